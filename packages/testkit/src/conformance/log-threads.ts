/**
 * Clauses on a log that several threads have. Here they are several logs in one thread, attached to the one that was opened: what is
 * wrong between threads shows already when they take turns. None of them waits for another, whatever holds that one up.
 */
import assert from 'node:assert/strict';
import { isPagewrightError, type Log, NO_LOG, PagewrightError } from '@pagewright/core';
import { type DiskOperation, ioError } from '../device/operation.js';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll, keepAll } from '../device/survival.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { type AttachedLog, LogStore, newSuperblock, recordsOn, settled } from '../rig/log-store.js';
import { assertRejects, assertThrows, type LogClause, type NewLog } from './log-clause.js';

const KIB = 1024;

export const threadClauses: readonly LogClause[] = [
  threads(
    'one-stream',
    ['L1'],
    'has one stream, whichever threads append to it, and gives it back in order',
    async (create) => {
      const { store, others } = await shared(create, 2);
      const logs = [store.log, ...others.map(({ log }) => log)];
      const sizes: number[] = [];
      let position = 0;
      for (let i = 0; i < 120; i++) {
        const log = logs[(i * 7) % 3] as Log;
        const size = (i * 997) % 7000;
        const next = store.append(size, log);
        sizes.push(size);
        assert.ok(next > position, `Position ${next} follows ${position} of another thread.`);
        position = next;
        for (const each of logs) {
          assert.deepEqual(each.mark(), log.mark(), 'Two threads see the stream end at different places.');
          assert.deepEqual(each.stats(), log.stats(), 'Two threads count differently.');
          assert.equal(each.maxRecordSize, log.maxRecordSize);
        }
        if (i % 5 === 0) await log.commit(next);
      }
      await store.log.commit(position);
      await assertFound(create, store, sizes);
    },
  ),
  threads(
    'flushes-what-others-appended',
    ['IO3', 'L1'],
    'makes durable what it waits for, whoever appended it, though that one never flushes',
    async (create) => {
      for (const way of ['commit', 'commitSync', 'secure'] as const) {
        const { store, others } = await shared(create, 2);
        const [first, second] = others as [AttachedLog, AttachedLog];
        const sizes = [100, 3000, 20_000, 50];
        for (const size of sizes.slice(0, 3)) store.append(size, first.log);
        const position = store.append(50, second.log);
        if (way === 'commit') await second.log.commit(position);
        else if (way === 'commitSync') second.log.commitSync(position);
        else await second.log.secure(NO_LOG);
        await assertFound(create, store, sizes);
      }
    },
  ),
  threads(
    'waits-for-no-thread',
    ['IO3', 'L1'],
    "commits, in the background and in place, while another thread's flush does not come to its end",
    async (create) => {
      for (const kind of ['write', 'sync'] as const) {
        const { store, others } = await shared(create, 1);
        const [other] = others as [AttachedLog];
        const { release, reached } = holdNext(store.disk, kind);
        const late = outcomeOf(store.commit(100));
        await reached;
        const sizes = [100];
        for (const size of [200, 30_000, 10]) {
          store.commitSync(size, other.log);
          sizes.push(size);
          await assertFound(create, store, sizes);
          await store.commit(size, other.log);
          sizes.push(size);
          await assertFound(create, store, sizes);
        }
        await other.log.secure(NO_LOG);
        release();
        assert.equal(await late, 'acknowledged');
        await assertFound(create, store, sizes);
      }
    },
  ),
  threads(
    'waits-for-the-device-threads',
    ['L1'],
    'acknowledges to no thread what the device has not synced, though flushes of several are under way',
    async (create) => {
      const { store, others } = await shared(create, 2);
      const releases: (() => void)[] = [];
      store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise((go) => releases.push(go)) : undefined);
      let acknowledged = 0;
      const commits: Promise<void>[] = [];
      for (const log of [store.log, ...others.map((other) => other.log)]) {
        for (let i = 0; i < 2; i++) {
          const commit = store.commit(100, log);
          commits.push(commit);
          commit.then(
            () => acknowledged++,
            () => undefined,
          );
        }
        await settled();
      }
      assert.equal(acknowledged, 0, 'A commit was acknowledged while all syncs were held back.');
      const found = await recordsOn(create(), store.disk.copy().afterCrash(dropAll), store.superblock);
      assert.deepEqual(found, []);
      store.disk.hold = null;
      for (const release of releases) release();
      await Promise.all(commits);
    },
  ),
  threads(
    'late-writes-do-no-harm',
    ['IO2', 'L1'],
    "leaves a thread's flush that hangs its bytes and its file, however far the others go on meanwhile",
    async (create) => {
      for (const kind of ['write', 'sync'] as const) {
        for (const checkpoints of [0, 4]) {
          const { store, others } = await shared(create, 1);
          const [other] = others as [AttachedLog];
          const sizes = [5 * KIB, 5 * KIB, 5 * KIB];
          for (const size of sizes) store.append(size);
          const { release, reached } = holdNext(store.disk, kind);
          const late = outcomeOf(other.log.commit(other.log.stats().appendedBytes));
          await reached;
          // Until what the flush reads and writes would have been used again several times.
          for (let round = 0; round < checkpoints; round++) {
            for (let i = 0; i < 24; i++) {
              store.commitSync(6 * KIB);
              await settled(1);
            }
            await store.checkpoint();
            sizes.length = 0;
          }
          for (let i = 0; i < 30; i++) {
            sizes.push(4 * KIB + i, 20);
            await store.reserveAndCommit(4 * KIB + i);
            store.commitSync(20);
          }
          release();
          assert.equal(await late, 'acknowledged');
          await settled();
          await assertFound(create, store, sizes);
          assert.deepEqual(store.failures, []);
        }
      }
    },
  ),
  threads(
    'fails-for-all',
    ['IO1'],
    'ends in all threads with the first write or sync that fails in one, and tells each of them once',
    async (create) => {
      for (const kind of ['write', 'sync'] as const) {
        for (const inPlace of [false, true]) {
          const { store, others } = await shared(create, 2);
          const [first, second] = others as [AttachedLog, AttachedLog];
          await store.commit(10, first.log);
          const { release, reached } = holdNext(store.disk, 'sync');
          const waiting = outcomeOf(store.commit(20, second.log));
          await reached;
          failNext(store.disk, kind);
          if (inPlace) {
            assertThrows(() => store.commitSync(30, first.log), 'PW_COMMIT_UNKNOWN', `A commit whose ${kind} failed`);
          } else {
            await assertRejects(store.commit(30, first.log), 'PW_COMMIT_UNKNOWN', `A commit whose ${kind} failed`);
          }
          release();
          const outcome = await waiting;
          assert.ok(
            isPagewrightError(outcome, 'PW_COMMIT_UNKNOWN'),
            `A commit that waited in another thread came out as: ${String(outcome)}.`,
          );
          await settled();
          for (const { log, failures } of [store, ...others]) {
            await assertRejects(log.reserve(10), 'PW_READ_ONLY', 'reserve() in a thread after a failure in another');
            assertThrows(() => log.reserveSync(10), 'PW_READ_ONLY', 'reserveSync() after a failure in another thread');
            const position = log.stats().appendedBytes;
            await assertRejects(
              log.commit(position),
              'PW_COMMIT_UNKNOWN',
              'commit() after a failure in another thread',
            );
            assertThrows(
              () => log.commitSync(position),
              'PW_COMMIT_UNKNOWN',
              'commitSync() after a failure in another',
            );
            assert.equal(failures.length, 1, `onFailure was called ${failures.length} times in a thread.`);
          }
          await closeAll(store, others);
          const found = await recordsOn(create(), store.disk.copy().afterCrash(dropAll), store.superblock);
          assert.ok(found.length >= 1, 'What was acknowledged before the failure is missing.');
        }
      }
    },
  ),
  threads(
    'reserved-is-kept',
    ['C6'],
    'keeps what a thread has made sure of, whatever the others append before it does: no I/O, no more space',
    async (create) => {
      for (const sizes of [[100], [5 * KIB, 9 * KIB], [18 * KIB, 18 * KIB, 18 * KIB]]) {
        const { store, others } = await shared(create, sizes.length);
        const written: number[] = [];
        for (let round = 0; round < 25; round++) {
          const reserved = sizes.map((size, i) => {
            const { log } = others[i] as AttachedLog;
            log.reserveSync(log.sizeOf(store.nextRecord(size).operations) + 16);
            return { log, size };
          });
          store.append((round % 5) * KIB);
          written.push((round % 5) * KIB);
          const { operations } = store.disk;
          store.disk.capacity = 0;
          let position = 0;
          for (const { log, size } of reserved) {
            position = log.append(store.nextRecord(size));
            store.timestamp++;
            written.push(size);
          }
          assert.equal(store.disk.operations, operations, 'append() did I/O, though room was reserved for it.');
          store.log.commitSync(position);
          store.disk.capacity = Number.POSITIVE_INFINITY;
        }
        await assertFound(create, store, written);
      }
    },
  ),
  threads(
    'reserved-and-not-used',
    [],
    'gives room that a thread reserved and did not use back to the others',
    async (create) => {
      const { store, others } = await shared(create, 3);
      for (let round = 0; round < 20; round++) {
        for (const { log } of others) log.reserveSync(Math.min(log.maxRecordSize, 500 * KIB));
        await store.commit(5 * KIB);
        await settled(1);
      }
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 15; i++) {
          await store.commit(6 * KIB);
          await settled(1);
        }
        await store.checkpoint();
      }
      assert.ok(store.disk.used < 1000 * KIB, `The files have ${store.disk.used} bytes, for 100 KiB of records.`);
    },
  ),
  threads(
    'segments-of-others',
    ['L1'],
    'goes on in files that another thread has made, and in files that were used before',
    async (create) => {
      const { store, others } = await shared(create, 2);
      const logs = [store.log, ...others.map(({ log }) => log)];
      for (let round = 0; round < 9; round++) {
        const busy = logs[round % 3] as Log;
        const sizes: number[] = [];
        for (let i = 0; i < 14; i++) {
          await store.reserveAndCommit(8 * KIB, busy);
          sizes.push(8 * KIB);
          if (i % 4 !== 3) continue;
          const another = logs[(round + i) % 3] as Log;
          store.commitSync(i, another);
          sizes.push(i);
          await assertFound(create, store, sizes);
        }
        await store.checkpoint();
      }
      for (const { failures } of [store, ...others]) assert.deepEqual(failures, []);
    },
  ),
  threads(
    'close-ends-a-thread',
    ['L1'],
    'makes durable, when a thread closes it, what that one appended, removes nothing, and goes on for the others',
    async (create) => {
      const { store, others } = await shared(create, 2);
      const [first, second] = others as [AttachedLog, AttachedLog];
      for (let i = 0; i < 3; i++) store.append(700, first.log);
      const waiting = outcomeOf(store.commit(40, first.log));
      await first.log.close({ discard: true });
      assert.equal(await waiting, 'acknowledged');
      const sizes = [700, 700, 700, 40];
      await assertFound(create, store, sizes);
      await assertRejects(first.log.reserve(10), 'PW_CLOSED', 'reserve() of a thread that has closed the log');
      assertThrows(() => store.append(10, first.log), 'PW_CLOSED', 'reserveSync() of a thread that has closed the log');
      await store.commit(30, second.log);
      store.commitSync(20);
      await assertFound(create, store, [...sizes, 30, 20]);
    },
  ),
  threads(
    'ended-thread',
    ['L1', 'M6'],
    'keeps and flushes what a thread appended that has ended since, and gives back what it held',
    async (create) => {
      const { store, others } = await shared(create, 2);
      const [first, second] = others as [AttachedLog, AttachedLog];
      const sizes = [100, 20_000];
      const { release, reached } = holdNext(store.disk, 'write');
      void outcomeOf(store.commit(100, first.log));
      await reached;
      store.append(20_000, first.log);
      first.log.reserveSync(30 * KIB);
      // As the registry finds a thread that ended and held nothing.
      first.threads.leave();
      await store.commit(300, second.log);
      sizes.push(300);
      await assertFound(create, store, sizes);
      for (let i = 0; i < 30; i++) {
        await store.reserveAndCommit(6 * KIB, i % 2 === 0 ? second.log : store.log);
        sizes.push(6 * KIB);
      }
      release();
      await settled();
      await assertFound(create, store, sizes);
      await store.attach(create());
    },
  ),
  threads(
    'owner-closes-for-all',
    ['L1'],
    'ends for all threads when the one that opened it closes it: what they appended is durable, and they get PW_CLOSED',
    async (create) => {
      for (const discard of [false, true]) {
        const { store, others } = await shared(create, 2);
        const [first, second] = others as [AttachedLog, AttachedLog];
        const handle: unknown = store.log.share();
        const { release, reached } = holdNext(store.disk, 'sync');
        const waiting = outcomeOf(store.commit(100, first.log));
        await reached;
        store.append(200, second.log);
        await store.log.close({ discard });
        release();
        assert.equal(
          await waiting,
          'acknowledged',
          'A commit that another thread had waiting did not come to its end.',
        );
        if (!discard) await assertFound(create, store, [100, 200]);
        await assertRejects(first.log.reserve(10), 'PW_CLOSED', 'reserve() after the owner closed the log');
        assertThrows(() => store.append(10, second.log), 'PW_CLOSED', 'reserveSync() after the owner closed the log');
        const { threads: registry } = first;
        const late = create().attach({ io: store.disk, threads: registry, handle, onFailure: () => undefined });
        await assertRejects(late, 'PW_CLOSED', 'attach() after the owner closed the log');
        for (const { log } of others) await log.close({ discard: true });
        assert.equal(store.disk.files().length > 0, !discard, 'The files are not as the owner left them.');
      }
    },
  ),
  threads(
    'of-the-owner',
    [],
    'leaves to the thread that opened it what concerns the log as a whole, and attaches to nothing but a handle',
    async (create) => {
      const { store, others } = await shared(create, 1);
      const [other] = others as [AttachedLog];
      await store.commit(10, other.log);
      await assertRejects(other.log.discardOld(), 'PW_UNSUPPORTED', 'discardOld() in a thread that attached');
      await assertRejects(other.log.recycle(other.log.mark()), 'PW_UNSUPPORTED', 'recycle() in a thread that attached');
      for (const handle of [null, undefined, 7, {}, { what: 'a pool of pages, 1' }]) {
        const { threads: registry } = other;
        const attaching = create().attach({ io: store.disk, threads: registry, handle, onFailure: () => undefined });
        await assertRejects(attaching, 'PW_ARGUMENT', `attach() to ${JSON.stringify(handle)}`);
      }
      const more = await Promise.all([store.attach(create()), store.attach(create())]);
      for (const { log } of more) await store.commit(20, log);
      await assertFound(create, store, [10, 20, 20]);
    },
  ),
];

function threads(
  id: string,
  rules: readonly string[],
  says: string,
  check: (create: NewLog) => Promise<void>,
): LogClause {
  return { id, rules, says, needs: ['threads'], check };
}

/** An open store, and so many threads that are attached to it. */
async function shared(create: NewLog, count: number): Promise<{ store: LogStore; others: AttachedLog[] }> {
  const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
  const others: AttachedLog[] = [];
  for (let i = 0; i < count; i++) others.push(await store.attach(create()));
  return { store, others };
}

async function closeAll(store: LogStore, others: readonly AttachedLog[]): Promise<void> {
  for (const { log } of others) await log.close({ discard: false });
  await store.log.close({ discard: false });
}

/** After a loss of power now there are records of these sizes above the superblock, whatever the device keeps. */
async function assertFound(create: NewLog, store: LogStore, sizes: readonly number[]): Promise<void> {
  const { timestamp } = store.superblock.mark;
  const wanted = sizes.map((size, i) => recordOf(timestamp + 1 + i, 0, size));
  for (const survives of [dropAll, keepAll]) {
    const disk = store.disk.copy().afterCrash(survives);
    assertSameRecords(await recordsOn(create(), disk, { ...store.superblock }), wanted);
  }
}

interface Held {
  /** Resolves when the operation is held. */
  readonly reached: Promise<void>;
  release(): void;
}

/** Holds back the next operation of this kind that is not in place; those after it go through. */
function holdNext(disk: SimulatedDevice, kind: DiskOperation['kind']): Held {
  let release = (): void => undefined;
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  disk.hold = (operation) => {
    if (operation.kind !== kind) return undefined;
    disk.hold = null;
    reach();
    return new Promise((resolve) => {
      release = resolve;
    });
  };
  const letGo = (): void => {
    disk.hold = null;
    release();
  };
  return { reached, release: letGo };
}

function failNext(disk: SimulatedDevice, kind: 'write' | 'sync'): void {
  disk.onOperation = (operation) => {
    if (operation.kind !== kind) return;
    disk.onOperation = null;
    throw ioError('EIO', operation.path);
  };
}

/** What became of a commit. */
function outcomeOf(commit: Promise<void>): Promise<'acknowledged' | PagewrightError> {
  return commit.then(
    () => 'acknowledged' as const,
    (error: unknown) => {
      assert.ok(error instanceof PagewrightError, `A commit failed with ${String(error)}.`);
      return error;
    },
  );
}
