/**
 * Clauses about what may come between the steps of a commit when other threads have their turn at its schedule points (T1 to T3). What one would wait
 * for there, which is what the commit below on the stack holds, is left to stress with real threads.
 */
import assert from 'node:assert/strict';
import { driveSchedule, POINT, POINT_NAMES, type Snapshot } from '@pagewright/core';
import { bytes, codeOf, type RigThread } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause } from './concurrency-clause.js';
import { assertReads, OLD, shared } from './concurrency-shared.js';

/** Of a commit: others may do anything there that it does not exclude. */
const BEFORE_ITS_TIMESTAMP = [POINT.commitBegun, POINT.commitPrepared];
/** Others may read there, and wait for nothing. */
const IN_ITS_MIDST = [POINT.commitAppended, POINT.entryInstalled, POINT.commitPublishing];

export const interleavingClauses: readonly ConcurrencyClause[] = [
  {
    id: 'snapshot-in-preparation',
    rules: ['T2'],
    says: 'shows a snapshot that another thread opens while a commit prepares nothing of it, nor of what that thread commits then, though none was open before',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      for (const at of BEFORE_ITS_TIMESTAMP) {
        const { target, threads } = shared(subject, 2);
        const [first, second] = threads as [RigThread, RigThread];
        const writes = [
          { target, key: bytes('a'), value: bytes('new') },
          { target, key: bytes('b'), value: null },
          { target, key: bytes('e'), value: bytes('new') },
        ];
        let snapshot: Snapshot | undefined;
        atPoint(
          at,
          () => {
            if (snapshot !== undefined) return;
            snapshot = second.concurrency.snapshot();
            second.put(target, 'd', 'theirs');
          },
          () => first.concurrency.commit(writes),
        );
        for (const thread of threads) assertReads(thread, target, snapshot!, OLD, `Opened at ${POINT_NAMES[at]}`);
        for (const thread of threads)
          assertReads(thread, target, null, ['a=new', 'c=old', 'd=theirs', 'e=new'], 'The newest state');
        snapshot!.release();
      }
    },
  },
  {
    id: 'snapshot-alone-in-preparation',
    rules: ['T2'],
    says: 'shows a snapshot that another thread opens while a commit prepares nothing of it, though none was open before',
    needs: ['threads', 'snapshots'],
    check(subject) {
      for (const at of BEFORE_ITS_TIMESTAMP) {
        const { target, threads } = shared(subject, 2);
        const [first, second] = threads as [RigThread, RigThread];
        const writes = [
          { target, key: bytes('a'), value: bytes('new') },
          { target, key: bytes('b'), value: null },
        ];
        let snapshot: Snapshot | undefined;
        atPoint(
          at,
          () => {
            snapshot ??= second.concurrency.snapshot();
          },
          () => first.concurrency.commit(writes),
        );
        for (const thread of threads) assertReads(thread, target, snapshot!, OLD, `Opened at ${POINT_NAMES[at]}`);
        for (const thread of threads)
          assertReads(thread, target, null, ['a=new', 'c=old', 'd=old'], 'The newest state');
        snapshot!.release();
      }
    },
  },
  {
    id: 'reads-in-the-midst',
    rules: ['T2', 'T3'],
    says: 'shows a snapshot of another thread the same at every step of a commit, and the commit to nobody before it is published',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const snapshot = second.concurrency.snapshot();
      const { visible } = second.concurrency;
      const reached = new Set<number>();
      const writes = ['a', 'b', 'c', 'e'].map((key, i) => ({
        target,
        key: bytes(key),
        value: i % 2 === 0 ? bytes('new') : null,
      }));
      const look = (at: number): void => {
        reached.add(at);
        assertReads(second, target, snapshot, OLD, `At ${POINT_NAMES[at]}`);
        assert.equal(second.concurrency.visible, visible, `V has gone on at ${POINT_NAMES[at]}.`);
      };
      atPoints([...BEFORE_ITS_TIMESTAMP, ...IN_ITS_MIDST], look, () => first.concurrency.commit(writes));
      assert.deepEqual(
        [...reached].sort(),
        [...BEFORE_ITS_TIMESTAMP, ...IN_ITS_MIDST].sort(),
        'A commit says where it is.',
      );
      assert.equal(second.concurrency.visible, visible + 1);
      assertReads(second, target, snapshot, OLD, 'Afterwards');
    },
  },
  {
    id: 'commits-beside-preparation',
    rules: ['T1'],
    says: 'lets a thread commit other keys while a commit of another one prepares: timestamps are dense, and both are there',
    needs: ['threads', 'write-conflicts'],
    check(subject) {
      for (const at of BEFORE_ITS_TIMESTAMP) {
        const { rig, target, threads } = shared(subject, 2);
        const [first, second] = threads as [RigThread, RigThread];
        let times = 0;
        atPoint(
          at,
          () => times++ === 0 && second.put(target, 'e', 'theirs'),
          () => first.put(target, 'a', 'mine'),
        );
        assert.equal(times > 0, true);
        assert.equal(rig.logged, 6);
        for (const thread of threads) {
          assert.equal(thread.concurrency.visible, 6);
          assertReads(thread, target, null, ['a=mine', 'b=old', 'c=old', 'd=old', 'e=theirs'], 'The newest state');
        }
        for (const { timestamp, dependsOn } of rig.records) assert.ok(dependsOn < timestamp);
      }
    },
  },
  {
    id: 'conflict-in-preparation',
    rules: ['T2'],
    says: 'holds the keys of a transaction from its check on: what others do meanwhile is done to other keys, and no change is lost',
    needs: ['threads', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const transaction = first.concurrency.begin();
      transaction.put(target, bytes('a'), bytes('mine'));
      let isDone = false;
      atPoint(
        POINT.transactionChecked,
        () => {
          if (isDone) return;
          isDone = true;
          second.put(target, 'b', 'theirs');
          const reader = second.concurrency.snapshot();
          assertReads(second, target, reader, ['a=old', 'b=theirs', 'c=old', 'd=old'], 'In the midst');
          reader.release();
        },
        () => transaction.commit(),
      );
      assert.ok(isDone);
      assertReads(second, target, null, ['a=mine', 'b=theirs', 'c=old', 'd=old'], 'The newest state');
    },
  },
  {
    id: 'commit-within-a-look-up',
    rules: ['T2', 'T4'],
    says: 'shows a snapshot the same where another thread changes the key while it is looked up, before or after its entry was read',
    needs: ['threads', 'snapshots'],
    check(subject) {
      for (const isBefore of [true, false]) {
        for (const value of ['new', null]) {
          const { target, threads } = shared(subject, 2);
          const [first, second] = threads as [RigThread, RigThread];
          const snapshot = second.concurrency.snapshot();
          // So that the page was changed since the snapshot, and versions are looked for.
          first.put(target, 'a1', 'x');
          const { index } = target;
          const lookup = index.lookup.bind(index);
          let isOpen = true;
          index.lookup = (key, into) => {
            const interrupts = isOpen;
            isOpen = false;
            if (interrupts && isBefore) first.put(target, 'a', value);
            const found = lookup(key, into);
            if (interrupts && !isBefore) first.put(target, 'a', value);
            return found;
          };
          const when = isBefore ? 'before' : 'after';
          assert.equal(second.get(target, 'a', snapshot), 'old', `Changed right ${when} its entry was read.`);
          index.lookup = lookup;
          assertReads(second, target, snapshot, OLD, 'Afterwards');
        }
      }
    },
  },
  {
    id: 'revoked-in-the-check',
    rules: ['T4'],
    says: 'does not commit over a change of another thread that it cannot know of any more, because its snapshot was revoked while it looked for conflicts',
    needs: ['threads', 'revocation', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2, 0, 4000);
      const [first, second] = threads as [RigThread, RigThread];
      for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'old');
      const transaction = second.concurrency.begin();
      transaction.put(target, bytes('a'), bytes('mine'));
      first.put(target, 'a', 'theirs');
      const { incarnation } = target;
      let isOpen = true;
      Object.defineProperty(target, 'incarnation', {
        get: () => {
          if (isOpen) {
            isOpen = false;
            // Of other keys than the transaction's, which it has locked.
            for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'x'.repeat(150));
            while (first.concurrency.collect(100)) {}
          }
          return incarnation;
        },
      });
      const code = codeOf(() => transaction.commit());
      assert.ok(code === 'PW_SNAPSHOT_TOO_OLD' || code === 'PW_CONFLICT', `The commit came out as ${code}.`);
      assert.equal(first.get(target, 'a'), 'theirs');
    },
  },
];

function atPoint(point: number, others: () => unknown, run: () => unknown): void {
  atPoints([point], others, run);
}

/** Lets others have their turn at these points of what is run. */
function atPoints(points: readonly number[], others: (at: number) => unknown, run: () => unknown): void {
  let depth = 0;
  const before = driveSchedule((point) => {
    if (depth > 0 || !points.includes(point)) return;
    depth++;
    try {
      others(point);
    } catch (error) {
      failure ??= { error };
    } finally {
      depth--;
    }
  });
  let failure: { readonly error: unknown } | null = null as { readonly error: unknown } | null;
  try {
    run();
  } finally {
    driveSchedule(before);
  }
  if (failure !== null) throw failure.error;
}
