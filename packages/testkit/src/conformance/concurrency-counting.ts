/** Clauses on counting: as many as a scan would hand out, whatever lies in between. */
import assert from 'node:assert/strict';
import { bytes, type ConcurrencyRig, EVERYTHING, type RigTarget } from '../rig/concurrency-rig.js';
import { assertCode, type ConcurrencyClause } from './concurrency-clause.js';

/** Whoever accesses pages more often to count eight entries has lost its place. */
const MOST_CALLS = 1000;

export const countingClauses: readonly ConcurrencyClause[] = [
  {
    id: 'count',
    rules: ['T2', 'T3'],
    says: 'counts what a snapshot sees, and no tombstones, on pages that have changed since and on others',
    needs: ['snapshots'],
    check(subject) {
      for (const counts of [true, false]) {
        const { rig, target } = filled(subject.rig(), counts);
        const before = rig.concurrency.snapshot();
        rig.put(target, 'b1', null);
        rig.put(target, 'b9', 'new');
        rig.put(target, 'e1', 'new');
        rig.put(target, 'c2', 'changed');
        assert.equal(rig.count(target), 9, 'The newest state.');
        assert.equal(rig.count(target, before), 8, 'A snapshot of before.');
        const after = rig.concurrency.snapshot();
        rig.put(target, 'a1', null);
        assert.equal(rig.count(target, after), 9, 'A snapshot of after.');
        const bounds = { lower: bytes('b'), upper: bytes('c2'), upperExclusive: true };
        for (const reverse of [false, true]) {
          assert.equal(rig.count(target, before, { ...bounds, reverse }), 3);
          assert.equal(rig.count(target, null, { ...bounds, reverse }), 3);
        }
        assert.equal(rig.count(target, before, { lower: bytes('c'), upper: bytes('b') }), 0);
      }
    },
  },
  {
    id: 'count-of-what-was',
    rules: ['T7'],
    says: 'counts in an older snapshot what the index was before it was cleared, begins anew where it is cleared on the way, and counts nothing that was dropped',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig(), true);
      const before = rig.concurrency.snapshot();
      const counter = rig.concurrency.count(target, EVERYTHING, null);
      assert.equal(counter.next(), true);
      rig.clear(target);
      rig.put(target, 'a', 'new');
      rig.put(target, 'x', 'new');
      assert.equal(rig.count(target, before), 8);
      assert.equal(rig.count(target), 2);
      while (counter.next()) {}
      assert.equal(counter.count, 2, 'A count on whose way the index was cleared.');
      assert.equal(counter.next(), false, 'It goes on after its end.');
      before.release();
      assertCode(() => rig.count(target, before), 'PW_CLOSED', 'Counting with a snapshot that was released');
      target.dropped = true;
      assertCode(() => rig.count(target), 'PW_INDEX_DROPPED', 'Counting in an index that was dropped');
    },
  },
  {
    id: 'fault-in-count',
    says: 'lets the fault of a missing page through when it counts, and counts no entry twice afterwards',
    check(subject) {
      for (const counts of [true, false]) {
        const { rig, target } = filled(subject.rig(), counts);
        let calls = 0;
        rig.faults = () => {
          assert.ok(calls < MOST_CALLS, 'It does not end.');
          return calls++ % 2 === 0;
        };
        assert.equal(rig.count(target), 8);
        assert.ok(calls > 4, 'It met no fault.');
      }
    },
  },
];

/** Two entries on each of four pages. */
function filled(rig: ConcurrencyRig, counts: boolean): { rig: ConcurrencyRig; target: RigTarget } {
  const target = rig.target();
  target.index.counts = counts;
  for (const page of ['a', 'b', 'c', 'd']) for (const key of ['1', '2']) rig.put(target, page + key, 'old');
  return { rig, target };
}
