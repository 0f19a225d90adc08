/**
 * Clauses about an engine that several threads share (T1 to T4, T6). Here they are several objects in one thread, attached to what the first one
 * keeps: what is not shared shows already when they take turns, and what may come between the steps of a commit when others have their turn at its
 * schedule points. What one would wait for there, which is what the commit below on the stack holds, is left to stress with real threads.
 */
import assert from 'node:assert/strict';
import { driveSchedule, POINT, POINT_NAMES, type Snapshot, TAG_TOMBSTONE } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, type ConcurrencyRig, codeOf, type RigTarget, type RigThread } from '../rig/concurrency-rig.js';
import { assertCode, type ConcurrencyClause, type ConcurrencySubject } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

const OLD = ['a=old', 'b=old', 'c=old', 'd=old'];

/** Of a commit: others may do anything there that it does not exclude. */
const BEFORE_ITS_TIMESTAMP = [POINT.commitBegun, POINT.commitPrepared];
/** Others may read there, and wait for nothing. */
const IN_ITS_MIDST = [POINT.commitAppended, POINT.entryInstalled, POINT.commitPublishing];

export const threadClauses: readonly ConcurrencyClause[] = [
  {
    id: 'threads-see-commits',
    rules: ['T1', 'T2'],
    says: 'shows a commit to all threads when it returns in one, and all of them count the same',
    needs: ['threads'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 3, 41);
      for (let i = 0; i < 12; i++) {
        threads[i % 3]!.put(target, 'k', `${i}`);
        for (const thread of threads) {
          assert.equal(thread.concurrency.visible, rig.logged, 'V is not the last commit in another thread.');
          assert.equal(thread.get(target, 'k'), `${i}`);
          const snapshot = thread.concurrency.snapshot();
          assert.equal(snapshot.timestamp, rig.logged, 'A snapshot is not of the newest commit of another thread.');
          assert.equal(thread.get(target, 'k', snapshot), `${i}`);
          snapshot.release();
          assert.deepEqual(thread.concurrency.stats(), rig.concurrency.stats());
        }
      }
      assert.equal(rig.concurrency.stats().commits, 16);
      assertCode(() => subject.another().attach({} as never, { no: 'handle' }), 'PW_ARGUMENT', 'What is no handle');
    },
  },
  {
    id: 'large-timestamps',
    rules: ['T1'],
    says: 'has the same V in all threads where timestamps outgrow 32 bits, as they do after crashes',
    needs: ['threads'],
    check(subject) {
      for (const start of [2 ** 31 - 6, 2 ** 32 - 6, 3 * 2 ** 32 - 2]) {
        const { rig, target, threads } = shared(subject, 2, start);
        const snapshot = threads[1]!.concurrency.snapshot();
        for (let i = 0; i < 12; i++) {
          threads[i % 2]!.put(target, 'a', `${i}`);
          for (const thread of threads) assert.equal(thread.concurrency.visible, start + 5 + i);
        }
        assert.equal(threads[0]!.get(target, 'a', snapshot), 'old');
        assert.equal(rig.records.at(-1)?.timestamp, start + 16);
      }
    },
  },
  {
    id: 'threads-keep-versions',
    rules: ['T2', 'T3', 'T4'],
    says: 'keeps what a snapshot of another thread needs, and lets it go when that ends',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const snapshot = second.concurrency.snapshot();
      assert.equal(first.concurrency.oldestNeeded, snapshot.timestamp);
      for (let round = 0; round < 3; round++) {
        first.put(target, 'a', `new${round}`);
        first.put(target, 'b', null);
        second.put(target, 'c', null);
        first.put(target, 'e', 'new');
        for (const thread of threads) while (thread.concurrency.collect(10)) {}
        for (const thread of threads) assertReads(thread, target, snapshot, OLD, `The snapshot after round ${round}`);
        first.put(target, 'c', 'again');
        second.put(target, 'e', null);
      }
      const before = rig.concurrency.stats();
      assert.ok(before.versions > 0 && before.activeSnapshots === 1 && before.oldestSnapshot === snapshot.timestamp);
      snapshot.release();
      for (const thread of threads) while (thread.concurrency.collect(10)) {}
      const { versions, versionBytes, tombstones, activeSnapshots } = first.concurrency.stats();
      assert.deepEqual(
        [versions, versionBytes, tombstones, activeSnapshots],
        [0, 0, 0, 0],
        'Something was kept for no one.',
      );
      assert.deepEqual(
        target.index.entries.map(({ text }) => text),
        ['a', 'c', 'd'],
      );
    },
  },
  {
    id: 'threads-conflict',
    rules: ['T2'],
    says: 'lets the first of two threads commit that change a key, and both if they change different ones',
    needs: ['threads', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      for (const [one, other] of [threads, [...threads].reverse()] as [RigThread, RigThread][]) {
        const loser = other.concurrency.begin();
        const winner = one.concurrency.begin();
        const bystander = other.concurrency.begin();
        loser.put(target, bytes('a'), bytes('loser'));
        winner.put(target, bytes('a'), bytes('winner'));
        bystander.put(target, bytes('b'), bytes('bystander'));
        winner.commit();
        assertCode(() => loser.commit(), 'PW_CONFLICT', 'The second to commit');
        bystander.commit();
        const plain = other.concurrency.begin();
        plain.put(target, bytes('c'), bytes('loser'));
        one.put(target, 'c', 'plain');
        assertCode(() => plain.commit(), 'PW_CONFLICT', 'A transaction after a plain put in another thread');
        for (const thread of threads)
          assertReads(thread, target, null, ['a=winner', 'b=bystander', 'c=plain', 'd=old'], 'The newest state');
      }
    },
  },
  {
    id: 'threads-cleared-index',
    rules: ['T7'],
    says: 'shows a snapshot what an index was before another thread has cleared it, and refuses writes of one that it has dropped',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const before = second.concurrency.snapshot();
      const late = second.concurrency.begin();
      late.put(target, bytes('a'), bytes('late'));
      first.put(target, 'a', 'changed');
      first.clear(target);
      const between = second.concurrency.snapshot();
      first.put(target, 'a', 'after');
      second.put(target, 'a', 'later');
      for (const thread of threads) {
        assertReads(thread, target, before, OLD, 'A snapshot from before the clear');
        assertReads(thread, target, between, [], 'A snapshot from after the clear');
        assertReads(thread, target, null, ['a=later'], 'The newest state');
      }
      assertCode(() => late.commit(), 'PW_CONFLICT', 'A transaction from before the clear');
      second.drop(target);
      assertCode(() => first.put(target, 'a', 'x'), 'PW_INDEX_DROPPED', 'A put');
    },
  },
  {
    id: 'snapshot-in-preparation',
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
    needs: ['threads'],
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
    id: 'threads-revoke',
    rules: ['T4'],
    says: 'revokes the oldest snapshot of whichever thread when memory for versions runs short, and never answers it wrongly',
    needs: ['threads', 'snapshots', 'revocation', 'write-conflicts'],
    check(subject) {
      const { target, threads, rig } = shared(subject, 2, 0, 4000);
      const [first, second] = threads as [RigThread, RigThread];
      for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'old');
      const oldest = second.concurrency.snapshot();
      const transaction = second.concurrency.begin();
      transaction.put(target, bytes('k0'), bytes('mine'));
      for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'x'.repeat(150));
      assertCode(() => oldest.assertStands(), 'PW_SNAPSHOT_TOO_OLD', 'The oldest snapshot');
      assertCode(() => second.get(target, 'k0', oldest), 'PW_SNAPSHOT_TOO_OLD', 'A look-up');
      assertCode(() => second.scan(target, oldest), 'PW_SNAPSHOT_TOO_OLD', 'A scan');
      const code = codeOf(() => transaction.commit());
      assert.ok(code === 'PW_SNAPSHOT_TOO_OLD' || code === 'PW_CONFLICT', `The commit came out as ${code}.`);
      oldest.release();
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
    },
  },
  {
    id: 'tombstones-of-all',
    rules: ['T3'],
    says: 'collects a tombstone only when snapshots of all threads have passed it, and never what another thread has put since',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const oldest = second.concurrency.snapshot();
      for (const key of ['a', 'b', 'c']) first.put(target, key, null);
      second.put(target, 'a', 'again');
      second.put(target, 'b', 'again');
      const younger = first.concurrency.snapshot();
      second.put(target, 'b', null);
      oldest.release();
      collectIn(threads);
      assertReads(first, target, younger, ['a=again', 'b=again', 'd=old'], 'A snapshot between two deletions');
      assertReads(first, target, null, ['a=again', 'd=old'], 'The newest state');
      assert.ok(target.index.entries.some(({ text, tag }) => text === 'b' && tag === TAG_TOMBSTONE));
      younger.release();
      collectIn(threads);
      assert.deepEqual(
        target.index.entries.map(({ text }) => text),
        ['a', 'd'],
      );
      assert.equal(rig.concurrency.stats().tombstones, 0);
    },
  },
  {
    id: 'detach',
    rules: ['T3', 'T4'],
    says: 'releases the snapshots of a thread that detaches, leaves its tombstones to the others, and answers it no more',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const other = first.concurrency.snapshot();
      second.concurrency.snapshot();
      second.concurrency.begin();
      second.put(target, 'b', null);
      second.put(target, 'c', 'new');
      second.concurrency.detach();
      second.concurrency.detach();
      assertCode(() => second.concurrency.snapshot(), 'PW_CLOSED', 'A snapshot');
      assertCode(() => second.put(target, 'a', 'x'), 'PW_CLOSED', 'A put');
      assert.equal(rig.concurrency.stats().activeSnapshots, 1);
      assertReads(first, target, other, OLD, 'A snapshot of the thread that has stayed');
      other.release();
      collectIn([first]);
      assertReads(first, target, null, ['a=old', 'c=new', 'd=old'], 'The newest state');
      const { activeSnapshots, versions, tombstones } = rig.concurrency.stats();
      assert.deepEqual(
        [activeSnapshots, versions, tombstones],
        [0, 0, 0],
        'Something was kept for a thread that is gone.',
      );
      assert.equal(target.index.entries.length, 3, 'The tombstone of the thread that is gone is still there.');
    },
  },
  {
    id: 'ended-thread',
    rules: ['T4', 'M6'],
    says: 'lets the snapshots of a thread lapse that has ended without a word, and those of the others stand',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 3);
      const [first, second, third] = threads as [RigThread, RigThread, RigThread];
      second.concurrency.snapshot();
      first.put(target, 'a', 'x');
      const standing = third.concurrency.snapshot();
      first.put(target, 'a', 'y');
      second.end();
      collectIn([first, third]);
      assert.equal(rig.concurrency.stats().activeSnapshots, 1);
      assert.equal(first.concurrency.oldestNeeded, standing.timestamp);
      assert.equal(third.get(target, 'a', standing), 'x');
      assert.equal(rig.concurrency.stats().versions, 1);
      first.put(target, 'b', 'goes on');
      assert.equal(third.get(target, 'b'), 'goes on');
    },
  },
  {
    id: 'failure-reaches-all',
    rules: ['T6'],
    says: 'fails the engine in all threads by an error after the append in one, and nothing more is logged',
    needs: ['threads'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const { visible } = first.concurrency;
      for (const { concurrency } of threads) concurrency.assertSound();
      target.index.failNextUpsert = true;
      assertCode(() => second.put(target, 'a', 'new'), 'PW_ENGINE_FAILED', 'A put that failed after it was logged');
      const { length } = rig.records;
      for (const thread of threads) {
        assertCode(() => thread.concurrency.assertSound(), 'PW_ENGINE_FAILED', 'What a checkpoint asks');
        assertCode(() => thread.put(target, 'b', 'x'), 'PW_ENGINE_FAILED', 'A put');
        assertCode(() => thread.clear(target), 'PW_ENGINE_FAILED', 'A clear');
        assert.ok(thread.failure instanceof Error, 'The host of a thread was not told.');
        assert.equal(thread.concurrency.visible, visible, 'What failed was published.');
      }
      assert.equal(rig.records.length, length, 'Something was logged after the engine had failed.');
    },
  },
  {
    id: 'threads-in-any-turns',
    rules: ['T1', 'T2', 'T3', 'T4'],
    says: 'gives in any turns of several threads what snapshot isolation says, and leaves nothing behind',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      for (let seed = 1; seed <= 20; seed++) {
        try {
          takeTurns(subject, new Random(seed));
        } catch (error) {
          throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    },
  },
];

interface Sharing {
  readonly rig: ConcurrencyRig;
  readonly target: RigTarget;
  /** The first one was started, the others are attached. */
  readonly threads: readonly RigThread[];
}

/** A rig of several threads, with an index of four entries. */
function shared(subject: ConcurrencySubject, count: number, startAt = 0, versionMemory?: number): Sharing {
  const limits = versionMemory === undefined ? {} : { versionMemory };
  const { rig, target } = filled(subject.rig(limits, startAt));
  const others = Array.from({ length: count - 1 }, () => rig.attach(subject.another(limits)));
  return { rig, target, threads: [rig.asThread, ...others] };
}

/** What several threads do by turns, held against the states that there were. */
function takeTurns(subject: ConcurrencySubject, random: Random): void {
  const { rig, target, threads } = shared(subject, 3);
  const keys = ['a', 'a1', 'b', 'b1', 'c', 'd'];
  const model = new Map(OLD.map((entry) => entry.split('=') as [string, string]));
  const state = (): string[] => [...model.keys()].sort().map((key) => `${key}=${model.get(key)}`);
  const put = (key: string, value: string | null): void =>
    void (value === null ? model.delete(key) : model.set(key, value));
  const open: { snapshot: Snapshot; state: string[] }[] = [];
  const begun: {
    thread: RigThread;
    transaction: ReturnType<RigThread['concurrency']['begin']>;
    from: number;
    writes: Map<string, string | null>;
  }[] = [];
  const changed = new Map<string, number>();
  for (let step = 0; step < 120; step++) {
    const thread = random.pick(threads);
    const key = random.pick(keys);
    const value = random.chance(0.4) ? null : `v${step}`;
    const kind = random.below(10);
    if (kind < 3) {
      thread.put(target, key, value);
      // To delete what is not there changes nothing.
      if (value !== null || model.has(key)) changed.set(key, rig.logged);
      put(key, value);
    } else if (kind === 3) open.push({ snapshot: thread.concurrency.snapshot(), state: state() });
    else if (kind === 4) open.splice(random.below(Math.max(1, open.length)), 1)[0]?.snapshot.release();
    else if (kind === 5) thread.concurrency.collect(1 + random.below(5));
    else if (kind === 6)
      begun.push({ thread, transaction: thread.concurrency.begin(), from: rig.logged, writes: new Map() });
    else if (begun.length > 0 && kind === 7) {
      const { transaction, writes } = random.pick(begun);
      writes.set(key, value);
      if (value === null) transaction.delete(target, bytes(key));
      else transaction.put(target, bytes(key), bytes(value));
    } else if (begun.length > 0 && kind === 8) {
      const [{ transaction, writes, from }] = begun.splice(random.below(begun.length), 1) as [(typeof begun)[0]];
      const conflicts = [...writes.keys()].some((written) => (changed.get(written) ?? 0) > from);
      assert.equal(
        codeOf(() => transaction.commit()),
        conflicts ? 'PW_CONFLICT' : 'none',
        `Step ${step}, a transaction.`,
      );
      if (conflicts) continue;
      for (const [written, to] of writes) {
        if (to !== null || model.has(written)) changed.set(written, rig.logged);
        put(written, to);
      }
    } else {
      assertReads(thread, target, null, state(), `Step ${step}, the newest state`);
      for (const each of open) assertReads(thread, target, each.snapshot, each.state, `Step ${step}, a snapshot`);
    }
  }
  for (const { transaction } of begun) transaction.abort();
  for (const { snapshot } of open) snapshot.release();
  collectIn(threads);
  const { activeSnapshots, versions, tombstones } = rig.concurrency.stats();
  assert.deepEqual([activeSnapshots, versions, tombstones], [0, 0, 0], 'Something was kept for no one.');
  assert.equal(target.index.entries.length, model.size, 'Tombstones are left.');
}

/** Until no thread has anything left, whoever has left it. */
function collectIn(threads: readonly RigThread[]): void {
  for (const { concurrency } of threads) {
    for (let rounds = 0; concurrency.collect(7); rounds++) assert.ok(rounds < 1000, 'collect() comes to no end.');
  }
}

function assertReads(
  thread: RigThread,
  target: RigTarget,
  from: Snapshot | null,
  wanted: readonly string[],
  what: string,
): void {
  assert.deepEqual(thread.scan(target, from), wanted, `${what}, forwards.`);
  assert.deepEqual(thread.scan(target, from, { reverse: true }), [...wanted].reverse(), `${what}, backwards.`);
  for (const key of ['a', 'a1', 'b', 'b1', 'c', 'd', 'e']) {
    const entry = wanted.find((each) => each.startsWith(`${key}=`));
    assert.equal(thread.get(target, key, from), entry?.slice(key.length + 1), `${what}, key ${key}.`);
  }
}

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
