/** Clauses on readers that go on to a later checkpoint: V goes on with them, and what saw less is told so (C7). */
import assert from 'node:assert/strict';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';

export const followingClauses: readonly ConcurrencyClause[] = [
  {
    id: 'advance',
    rules: ['C7', 'T2'],
    says: 'goes on to what another process has committed, and answers nothing any more through what was begun before',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig({}, 5);
      const target = rig.target();
      rig.arrive(target, 7, [
        ['a', '1'],
        ['b', '1'],
      ]);
      const snapshot = rig.concurrency.snapshot();
      const transaction = rig.concurrency.begin();
      const scan = rig.openScan(target, snapshot);
      assertReads(rig, target, snapshot, ['a=1', 'b=1'], 'A snapshot of the first checkpoint');
      rig.arrive(target, 9, [
        ['a', '2'],
        ['b', '1'],
        ['c', '2'],
      ]);
      assert.equal(rig.concurrency.visible, 9);
      assertCode(() => snapshot.assertStands(), 'PW_SNAPSHOT_TOO_OLD', 'A snapshot of before');
      assertCode(() => rig.get(target, 'b', snapshot), 'PW_SNAPSHOT_TOO_OLD', 'A look-up');
      assertCode(() => scan.next(), 'PW_SNAPSHOT_TOO_OLD', 'A scan that had begun');
      assertCode(() => rig.get(target, 'a', transaction), 'PW_SNAPSHOT_TOO_OLD', 'A transaction of before');
      transaction.abort();
      const later = rig.concurrency.snapshot();
      assert.equal(later.timestamp, 9);
      for (const from of [null, later]) assertReads(rig, target, from, ['a=2', 'b=1', 'c=2'], 'The later checkpoint');
      snapshot.release();
      later.release();
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
    },
  },
  {
    id: 'advance-to-the-same',
    rules: ['C7'],
    says: 'lets snapshots stand when a later checkpoint holds the same commits',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig({}, 5);
      const target = rig.target();
      rig.arrive(target, 7, [['a', '1']]);
      const snapshot = rig.concurrency.snapshot();
      rig.concurrency.advance(7);
      assertReads(rig, target, snapshot, ['a=1'], 'A snapshot of the same commits');
      snapshot.release();
    },
  },
];
