/** Clauses on snapshots: what one sees is the state at its beginning, and stays so (T2, T3). */
import assert from 'node:assert/strict';
import { EntryReference } from '@pagewright/core';
import { bytes, type ConcurrencyRig, type RigTarget } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';

export const snapshotClauses: readonly ConcurrencyClause[] = [
  {
    id: 'newest',
    says: 'reads the newest values without a snapshot, in ranges both ways',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      rig.put(target, 'b', 'new');
      rig.put(target, 'c', null);
      rig.put(target, 'e', 'more');
      assertReads(rig, target, null, ['a=old', 'b=new', 'd=old', 'e=more'], 'The newest state');
      assert.equal(rig.get(target, 'c'), undefined);
      assert.equal(rig.get(target, 'never'), undefined);
    },
  },
  {
    id: 'published-before-return',
    rules: ['T1', 'T2'],
    says: 'shows a commit to everyone when it returns, and V is its timestamp',
    check(subject) {
      const rig = subject.rig({}, 41);
      const target = rig.target();
      assert.equal(rig.concurrency.visible, 41);
      for (let i = 1; i <= 5; i++) {
        const ticket = rig.concurrency.commit([{ target, key: bytes('k'), value: bytes(`${i}`) }]);
        assert.equal(ticket.timestamp, 41 + i);
        assert.equal(rig.concurrency.visible, 41 + i);
        assert.equal(rig.get(target, 'k'), `${i}`);
        const snapshot = rig.concurrency.snapshot();
        assert.equal(snapshot.timestamp, 41 + i, 'A snapshot is not of the newest commit.');
        assert.equal(rig.get(target, 'k', snapshot), `${i}`);
        snapshot.release();
      }
    },
  },
  {
    id: 'stable-snapshot',
    rules: ['T2'],
    says: 'does not change a snapshot under its reader, whatever is committed meanwhile (scenario 34)',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      const younger: { snapshot: typeof snapshot; state: string[] }[] = [];
      for (const [i, value] of ['x', null, 'y', 'z', null, null, 'w'].entries()) {
        for (const key of ['a', 'c', 'new', 'n2']) rig.put(target, key, value === null ? null : `${value}${key}`);
        assertReads(rig, target, snapshot, ['a=old', 'b=old', 'c=old', 'd=old'], `The snapshot after round ${i}`);
        for (const key of ['new', 'n2']) assert.equal(rig.get(target, key, snapshot), undefined);
        younger.push({ snapshot: rig.concurrency.snapshot(), state: rig.scan(target) });
        for (const each of younger)
          assertReads(rig, target, each.snapshot, each.state, `A younger snapshot after round ${i}`);
      }
    },
  },
  {
    id: 'scan-meets-deleted-key',
    rules: ['T3'],
    says: 'finds in the scan of a snapshot a key that was deleted since (scenario 35)',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      for (const key of ['b', 'd']) rig.put(target, key, null);
      while (rig.concurrency.collect(10)) {}
      assertReads(rig, target, snapshot, ['a=old', 'b=old', 'c=old', 'd=old'], 'The snapshot');
      assertReads(rig, target, null, ['a=old', 'c=old'], 'The newest state');
      snapshot.release();
      while (rig.concurrency.collect(10)) {}
      assertReads(rig, target, null, ['a=old', 'c=old'], 'The newest state');
    },
  },
  {
    id: 'scan-goes-on',
    rules: ['T2', 'X2'],
    says: 'goes on with a scan after the key that it passed, while commits come between its batches',
    needs: ['snapshots'],
    check(subject) {
      for (const reverse of [false, true]) {
        const rig = subject.rig();
        const target = rig.target();
        const keys = ['a', 'b', 'c', 'd', 'e'];
        for (const key of keys) rig.put(target, key, 'old');
        const snapshot = rig.concurrency.snapshot();
        const scan = rig.openScan(target, snapshot, { reverse });
        const seen: string[] = [];
        let round = 0;
        while (rig.step(scan, seen)) {
          const key = keys[round++ % keys.length]!;
          rig.put(target, key, round % 2 === 0 ? null : 'new');
          rig.put(target, `${key}0`, 'new');
        }
        assert.deepEqual(
          seen,
          (reverse ? keys.reverse() : keys).map((key) => `${key}=old`),
        );
      }
    },
  },
  {
    id: 'bounds',
    says: 'keeps to the bounds of a scan, inclusive and exclusive, forwards and backwards',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      for (const from of [null, snapshot]) {
        for (const lowerExclusive of [false, true]) {
          for (const upperExclusive of [false, true]) {
            const bounds = { lower: bytes('b'), upper: bytes('d'), lowerExclusive, upperExclusive };
            const wanted = ['b=old', 'c=old', 'd=old'].slice(lowerExclusive ? 1 : 0, upperExclusive ? 2 : 3);
            assert.deepEqual(rig.scan(target, from, bounds), wanted);
            assert.deepEqual(rig.scan(target, from, { ...bounds, reverse: true }), [...wanted].reverse());
          }
        }
        assert.deepEqual(rig.scan(target, from, { lower: bytes('c0'), upper: bytes('c9') }), []);
      }
    },
  },
  {
    id: 'keys-alone',
    says: 'gives the keys alone when a scan or a look-up does not want values',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const scan = rig.openScan(target, null, { wantsValues: false });
      let keys = 0;
      for (let more = true; more; ) {
        more = scan.next();
        keys += scan.count;
      }
      assert.equal(keys, 4);
      assert.deepEqual(scan.values, []);
      const into = new EntryReference();
      into.wantsValue = false;
      assert.equal(rig.concurrency.lookup(target, bytes('a'), into, null), true);
      assert.equal(into.value.length, 0);
    },
  },
  {
    id: 'copies',
    rules: ['T2'],
    says: 'gives out copies: whoever changes one changes nothing for others',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      rig.put(target, 'a', 'new');
      const into = new EntryReference();
      assert.ok(rig.concurrency.lookup(target, bytes('a'), into, snapshot));
      into.value.fill(0);
      const scan = rig.openScan(target, snapshot, {});
      for (let more = true; more; ) {
        more = scan.next();
        for (let i = 0; i < scan.count; i++) scan.values[i]!.fill(0);
      }
      assert.equal(rig.get(target, 'a', snapshot), 'old');
      assert.equal(rig.get(target, 'a'), 'new');
    },
  },
  {
    id: 'release',
    says: 'lets a snapshot be released twice, and answers nothing through it afterwards',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const [first, second] = [rig.concurrency.snapshot(), rig.concurrency.snapshot()];
      rig.put(target, 'a', 'new');
      first.release();
      first.release();
      assertCode(() => first.assertStands(), 'PW_CLOSED', 'A snapshot that was released');
      assertCode(() => rig.get(target, 'a', first), 'PW_CLOSED', 'A look-up through it');
      assert.equal(rig.get(target, 'a', second), 'old', 'One that was not released is gone with it.');
      assert.equal(rig.concurrency.stats().activeSnapshots, 1);
    },
  },
  {
    id: 'oldest-needed',
    rules: ['T4'],
    says: 'tells which snapshot is the oldest, those of transactions too, and V if there is none',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const { concurrency } = rig;
      assert.equal(concurrency.oldestNeeded, concurrency.visible);
      assert.equal(concurrency.stats().oldestSnapshot, null);
      const transaction = concurrency.begin();
      const oldest = transaction.snapshot.timestamp;
      rig.put(target, 'a', 'x');
      const snapshot = concurrency.snapshot();
      rig.put(target, 'a', 'y');
      assert.equal(concurrency.oldestNeeded, oldest);
      assert.equal(concurrency.stats().oldestSnapshot, oldest);
      assert.equal(concurrency.stats().activeSnapshots, 2);
      transaction.abort();
      assert.equal(concurrency.oldestNeeded, snapshot.timestamp);
      snapshot.release();
      assert.equal(concurrency.oldestNeeded, concurrency.visible);
    },
  },
  {
    id: 'seen',
    rules: ['T7'],
    says: 'tells whether a snapshot is of a span of timestamps, or can be yet',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const { concurrency } = rig;
      const first = concurrency.snapshot();
      for (let times = 0; times < 3; times++) rig.put(target, 'a', `${times}`);
      const second = concurrency.begin();
      for (let times = 0; times < 3; times++) rig.put(target, 'a', `${times}`);
      const [one, other] = [first.timestamp, second.snapshot.timestamp];
      const { visible } = concurrency;
      for (let from = one - 1; from <= visible; from++) {
        for (let below = from; below <= visible; below++) {
          const isSeen = (from <= one && one < below) || (from <= other && other < below);
          assert.equal(concurrency.isSeen(from, below), isSeen, `From ${from} on, below ${below}.`);
        }
        assert.ok(concurrency.isSeen(from, visible + 1), 'The next snapshot is of V.');
      }
      first.release();
      assert.ok(!concurrency.isSeen(one, other), 'A snapshot that has gone still sees.');
      assert.ok(concurrency.isSeen(one, visible), 'One that has not gone sees nothing.');
      second.abort();
      assert.ok(!concurrency.isSeen(one, visible), 'None is left, and still one sees.');
    },
  },
  {
    id: 'cleared-index',
    rules: ['T7'],
    says: 'shows a snapshot what an index was before it was cleared, and everyone else what it is now',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const before = rig.concurrency.snapshot();
      const scan = rig.openScan(target, before);
      const seen: string[] = [];
      rig.step(scan, seen);
      rig.put(target, 'a', 'changed');
      rig.clear(target);
      const between = rig.concurrency.snapshot();
      rig.put(target, 'a', 'after');
      assertReads(rig, target, before, ['a=old', 'b=old', 'c=old', 'd=old'], 'A snapshot from before the clear');
      assertReads(rig, target, between, [], 'A snapshot from after the clear');
      assertReads(rig, target, null, ['a=after'], 'The newest state');
      while (rig.step(scan, seen)) {}
      assert.deepEqual(seen, ['a=old', 'b=old', 'c=old', 'd=old'], 'A scan that the clear overtook.');
      rig.clear(target);
      assertReads(rig, target, before, ['a=old', 'b=old', 'c=old', 'd=old'], 'The snapshot after another clear');
      assertReads(rig, target, null, [], 'The newest state');
    },
  },
  {
    id: 'younger-index',
    rules: ['T7'],
    says: 'shows a snapshot nothing of an index that was created after it',
    needs: ['snapshots'],
    check(subject) {
      const { rig } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      rig.put(rig.target('other'), 'k', 'x');
      const younger = rig.target('younger');
      rig.put(younger, 'k', 'x');
      assertReads(rig, younger, snapshot, [], 'The snapshot');
      assert.equal(rig.get(younger, 'k', snapshot), undefined);
    },
  },
  {
    id: 'dropped-index',
    rules: ['T7'],
    says: 'refuses to read or write an index that was dropped (PW_INDEX_DROPPED, scenario 39)',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const scan = rig.openScan(target, null);
      const snapshot = rig.concurrency.snapshot();
      rig.drop(target);
      const successor = rig.target(target.name);
      rig.put(successor, 'k', 'x');
      const records = rig.records.length;
      assertCode(() => rig.put(target, 'k', 'y'), 'PW_INDEX_DROPPED', 'A put');
      assertCode(() => rig.get(target, 'a'), 'PW_INDEX_DROPPED', 'A look-up');
      assertCode(() => rig.get(target, 'a', snapshot), 'PW_INDEX_DROPPED', 'A look-up at a snapshot');
      assertCode(() => scan.next(), 'PW_INDEX_DROPPED', 'A scan');
      assert.equal(rig.records.length, records, 'A put into a dropped index was logged.');
      assert.equal(rig.get(successor, 'k'), 'x');
    },
  },
];

/** A rig with an index of four entries. */
export function filled(rig: ConcurrencyRig, name = 'index'): { rig: ConcurrencyRig; target: RigTarget } {
  const target = rig.target(name);
  for (const key of ['a', 'b', 'c', 'd']) rig.put(target, key, 'old');
  return { rig, target };
}
