/** Clauses on what is kept for readers of the past: as long as one needs it, and no longer (T3, T4). */
import assert from 'node:assert/strict';
import { type Snapshot, TAG_TOMBSTONE } from '@pagewright/core';
import { bytes, type ConcurrencyRig, type RigTarget } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

const NO_LEFTOVERS = { activeSnapshots: 0, versions: 0, versionBytes: 0, tombstones: 0 };

export const collectionClauses: readonly ConcurrencyClause[] = [
  {
    id: 'kept-while-needed',
    rules: ['T4'],
    says: 'keeps what an open snapshot needs, whatever is collected, and whichever other snapshot ends (scenario 36)',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const open: { snapshot: Snapshot; state: string[] }[] = [];
      for (let round = 0; round < 24; round++) {
        for (const key of ['a', 'b', 'b1', 'c']) {
          const value = (round * 7 + key.length + key.charCodeAt(0)) % 5 === 0 ? null : `${round}${key}`;
          rig.put(target, key, value);
        }
        open.push({ snapshot: rig.concurrency.snapshot(), state: rig.scan(target) });
        if (round % 3 === 2) open.splice((round * 5) % open.length, 1)[0]!.snapshot.release();
        rig.concurrency.collect(1 + (round % 4));
        for (const { snapshot, state } of open) assertReads(rig, target, snapshot, state, `Round ${round}`);
      }
    },
  },
  {
    id: 'nothing-kept-for-no-one',
    rules: ['T4'],
    says: 'keeps no version and no tombstone while no snapshot is open, and none after the last has ended',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      for (let i = 0; i < 10; i++) rig.put(target, 'a', `${i}`);
      rig.put(target, 'b', null);
      collectAll(rig);
      assertNothingKept(rig, target, ['a', 'c', 'd']);
      const snapshots = [rig.concurrency.snapshot(), rig.concurrency.snapshot()];
      const transaction = rig.concurrency.begin();
      for (const key of ['a', 'c', 'e']) rig.put(target, key, 'x');
      for (const key of ['c', 'd', 'e']) rig.put(target, key, null);
      snapshots[1]!.release();
      transaction.abort();
      snapshots[0]!.release();
      collectAll(rig);
      assertNothingKept(rig, target, ['a']);
    },
  },
  {
    id: 'versions-are-bounded',
    rules: ['T4'],
    says: 'keeps of a key that changes all the time no more versions than snapshots can see',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const old = rig.concurrency.snapshot();
      for (let i = 0; i < 1000; i++) {
        const brief = rig.concurrency.snapshot();
        rig.put(target, 'a', `${i}`);
        brief.release();
        rig.concurrency.collect(10);
      }
      const { versions } = rig.concurrency.stats();
      assert.ok(versions <= 20, `${versions} versions are kept for one snapshot.`);
      assert.equal(rig.get(target, 'a', old), 'old');
    },
  },
  {
    id: 'collects-after-the-oldest',
    rules: ['T4'],
    says: 'collects what only the oldest snapshot needed when that ends, though younger ones stay',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const oldest = rig.concurrency.snapshot();
      for (let i = 0; i < 100; i++) rig.put(target, `k${i}`, 'x');
      const younger = rig.concurrency.snapshot();
      rig.put(target, 'k0', 'y');
      oldest.release();
      collectAll(rig);
      assert.ok(
        rig.concurrency.stats().versions <= 1,
        `${rig.concurrency.stats().versions} versions are kept, 1 is needed.`,
      );
      assert.equal(rig.get(target, 'k0', younger), 'x');
    },
  },
  {
    id: 'queue-beside-a-snapshot',
    rules: ['T3', 'T4'],
    says: 'collects keys that were put and deleted beside an open snapshot, which has never seen them, and none that it sees',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const key = (number: number): string => String(number).padStart(5, '0');
      // Of what the snapshot sees some is deleted, some is deleted, put and deleted again, and some stays.
      for (let i = 0; i < 30; i++) rig.put(target, key(i), 'old');
      const state = rig.scan(target);
      const snapshot = rig.concurrency.snapshot();
      for (let i = 0; i < 20; i++) rig.put(target, key(i), null);
      for (let i = 0; i < 10; i++) rig.put(target, key(i), 'again');
      const between = rig.concurrency.snapshot();
      for (let i = 0; i < 10; i++) rig.put(target, key(i), null);
      between.release();
      const count = 1000;
      for (let i = 30; i < 30 + count; i++) {
        rig.put(target, key(i), 'queued');
        // Now and then there is another one beside it, which sees what is in the queue.
        const brief = i % 7 === 0 ? rig.concurrency.snapshot() : null;
        const seen = brief === null ? [] : rig.scan(target);
        rig.put(target, key(i), null);
        while (i % 50 === 0 && rig.concurrency.collect(64)) {}
        if (brief !== null) assertReads(rig, target, brief, seen, `A snapshot beside key ${i}`);
        brief?.release();
      }
      collectAll(rig);
      assert.ok(
        target.index.entries.length < count / 2,
        `The index has ${target.index.entries.length} entries, of which 20 are needed by a snapshot.`,
      );
      assertReads(rig, target, snapshot, state, 'The snapshot');
      assertReads(rig, target, null, state.slice(20), 'The newest state');
      snapshot.release();
      collectAll(rig);
      assertNothingKept(
        rig,
        target,
        state.slice(20).map((entry) => entry.split('=')[0]!),
      );
    },
  },
  {
    id: 'reinserted',
    rules: ['T3'],
    says: 'does not collect a key that was put again after it was deleted, in this or in a cleared tree',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      for (const key of ['a', 'b']) rig.put(target, key, null);
      rig.put(target, 'a', 'again');
      rig.concurrency.collect(1);
      const other = rig.target('other');
      rig.put(other, 'k', 'x');
      const second = rig.concurrency.snapshot();
      rig.put(other, 'k', null);
      rig.clear(other);
      rig.put(other, 'k', 'new');
      snapshot.release();
      second.release();
      rig.put(target, 'c', null);
      collectAll(rig);
      assertReads(rig, target, null, ['a=again', 'd=old'], 'The newest state');
      assertReads(rig, other, null, ['k=new'], 'The cleared index');
      assert.equal(rig.concurrency.stats().tombstones, 0);
    },
  },
  {
    id: 'collect-budget',
    says: 'removes no more than its budget at a time, and tells whether something is left',
    needs: ['snapshots'],
    check(subject) {
      const count = 2000; // More than a plugin might remove at once when a snapshot ends.
      const rig = subject.rig();
      const target = rig.target();
      for (let i = 0; i < count; i++) rig.put(target, `k${i}`, 'old');
      const oldest = rig.concurrency.snapshot();
      for (let i = 0; i < count; i++) rig.put(target, `k${i}`, i % 2 === 0 ? null : 'new');
      const younger = rig.concurrency.snapshot();
      oldest.release();
      const kept = () => rig.concurrency.stats().versions + target.index.entries.length;
      for (let more = true; more; ) {
        const before = kept();
        more = rig.concurrency.collect(40);
        assert.ok(before - kept() <= 40, `collect(40) removed ${before - kept()}.`);
        if (more) assert.ok(before > kept(), 'collect() says that something is left, and removed nothing.');
      }
      assert.equal(
        target.index.entries.length,
        count / 2,
        'Tombstones are left though collect() says that nothing is.',
      );
      younger.release();
    },
  },
  {
    id: 'sweep',
    rules: ['T3'],
    says: 'sweeps the tombstones that an earlier process left, within its budget, and leaves its own and all values',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig({}, 100);
      const target = rig.target();
      target.noteTombstones();
      for (let i = 0; i < 12; i++) {
        const key = bytes(`k${String.fromCharCode(97 + i)}`);
        if (i % 3 === 0) target.index.upsert(key, 0, bytes('old'), 90);
        else target.index.upsert(key, TAG_TOMBSTONE, bytes(''), 90);
      }
      rig.put(target, 'kb', 'x');
      const snapshot = rig.concurrency.snapshot();
      rig.put(target, 'kb', null);
      rig.put(target, 'kc', 'again');
      const before = rig.scan(target, snapshot);
      sweepAll(rig, target, 2);
      assertReads(rig, target, snapshot, before, 'A snapshot from before the sweep');
      assertReads(rig, target, null, ['ka=old', 'kc=again', 'kd=old', 'kg=old', 'kj=old'], 'The newest state');
      const left = target.index.entries.filter(({ tag }) => tag === TAG_TOMBSTONE).map(({ text }) => text);
      assert.ok(
        left.every((key) => key === 'kb'),
        `Tombstones of an earlier process are left: ${left.join(', ')}.`,
      );
      snapshot.release();
      collectAll(rig);
      assertNothingKept(rig, target, ['ka', 'kc', 'kd', 'kg', 'kj']);
    },
  },
  {
    id: 'sweep-again',
    rules: ['T3'],
    says: 'sweeps everything when it starts from the beginning after a sweep that failed',
    check(subject) {
      const rig = subject.rig({}, 100);
      const target = rig.target();
      target.noteTombstones();
      for (const key of ['a', 'b', 'c']) target.index.upsert(bytes(key), TAG_TOMBSTONE, bytes(''), 90);
      const cursor = target.index.cursor();
      cursor.seek(null, {});
      rig.refuse = 'space';
      assertCode(() => rig.concurrency.sweep(target, cursor, 10), 'PW_FULL', 'A sweep without room');
      rig.refuse = null;
      sweepAll(rig, target, 10);
      assert.deepEqual(target.index.entries, []);
    },
  },
];

export function collectAll(rig: ConcurrencyRig): void {
  for (let rounds = 0; rig.concurrency.collect(7); rounds++) {
    assert.ok(rounds < 10_000, 'collect() says again and again that something is left.');
  }
}

/** Nothing is there but the newest entries. */
export function assertNothingKept(rig: ConcurrencyRig, target: RigTarget, keys: readonly string[]): void {
  const { activeSnapshots, versions, versionBytes, tombstones } = rig.concurrency.stats();
  assert.deepEqual(
    { activeSnapshots, versions, versionBytes, tombstones },
    NO_LEFTOVERS,
    'Something was kept for no one.',
  );
  assert.deepEqual(
    target.index.entries.map(({ text }) => text),
    keys,
    'The index has other keys than it should.',
  );
}

function sweepAll(rig: ConcurrencyRig, target: RigTarget, budget: number): void {
  const cursor = target.index.cursor();
  cursor.seek(null, {});
  for (let done = false, rounds = 0; !done; rounds++) {
    assert.ok(rounds < 10_000, 'sweep() comes to no end.');
    const before = target.index.handedOut;
    done = rig.concurrency.sweep(target, cursor, budget);
    const passed = target.index.handedOut - before;
    assert.ok(passed <= budget, `sweep() went through ${passed} entries; its budget is ${budget}.`);
  }
}
