/** Clauses on failures of the device (IO1): the first is final, and nothing is acknowledged by a later success. */
import assert from 'node:assert/strict';
import { isPagewrightError } from '@pagewright/core';
import { ioError } from '../device/operation.js';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll, keepAll } from '../device/survival.js';
import { assertSameRecord, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, recordsOn, settled } from '../rig/log-store.js';
import { assertRejects, assertThrows, type LogClause, type NewLog } from './log-clause.js';

export const failureClauses: readonly LogClause[] = [
  ...(['write', 'sync'] as const).map(
    (kind): LogClause => ({
      id: `failed-${kind}`,
      rules: ['IO1'],
      says: `ends with the first ${kind} that fails: what waits is PW_COMMIT_UNKNOWN, what comes is PW_READ_ONLY (scenario 32)`,
      async check(create) {
        const store = await openStore(create);
        await store.commit(10);
        failOnce(store.disk, kind);
        const position = store.append(20);
        for (const commit of [store.log.commit(position), store.commit(30)]) {
          await assertRejects(commit, 'PW_COMMIT_UNKNOWN', `A commit whose ${kind} failed`);
        }
        await assertEnded(store, position);
        await assertStillThere(create, store, 1);
      },
    }),
  ),
  {
    id: 'failed-in-place',
    rules: ['IO1', 'IO3'],
    says: 'ends with a sync in place that fails, also for the flush that is under way',
    async check(create) {
      const store = await openStore(create);
      await store.commit(10);
      let release = (): void => undefined;
      store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise((resolve) => (release = resolve)) : undefined);
      const position = store.append(20);
      const waiting = store.log.commit(position).then(
        () => 'acknowledged',
        (error: unknown) => error,
      );
      await settled();
      failOnce(store.disk, 'sync');
      assertThrows(() => store.commitSync(30), 'PW_COMMIT_UNKNOWN', 'A commit in place whose sync failed');
      store.disk.hold = null;
      release();
      const outcome = await waiting;
      assert.ok(
        isPagewrightError(outcome, 'PW_COMMIT_UNKNOWN'),
        `The commit that waited came out as: ${String(outcome)}.`,
      );
      await assertEnded(store, position);
      await assertStillThere(create, store, 1);
    },
  },
  {
    id: 'failed-write-back',
    rules: ['IO1'],
    says: 'acknowledges nothing that a write-back of the operating system has lost, in the background or in place',
    async check(create) {
      for (const meanwhile of [false, true]) {
        const store = await openStore(create);
        store.disk.onOperation = ({ kind, path }) => {
          if (kind !== 'sync') return;
          store.disk.onOperation = null;
          store.disk.failWriteBack(path);
        };
        let inPlace: unknown = null;
        store.disk.onWriteBackError = () => {
          store.disk.onWriteBackError = null;
          if (!meanwhile) return;
          try {
            store.log.commitSync(store.log.stats().appendedBytes);
          } catch (error) {
            inPlace = error;
          }
        };
        await assertRejects(store.commit(10), 'PW_COMMIT_UNKNOWN', 'A commit whose write-back failed');
        assert.ok(
          !meanwhile || isPagewrightError(inPlace, 'PW_COMMIT_UNKNOWN'),
          `A commit in place at the same time came out as: ${String(inPlace)}.`,
        );
      }
    },
  },
  {
    id: 'failure-is-told',
    rules: ['IO1'],
    says: 'calls onFailure once, at any operation that fails, and loses nothing that was acknowledged before',
    async check(create) {
      for (let after = 0; after < 30; after++) {
        const store = await openStore(create);
        let left = after;
        store.disk.onOperation = ({ kind, path }) => {
          if ((kind === 'write' || kind === 'sync') && left-- <= 0) throw ioError('EIO', path);
        };
        let acknowledged = 0;
        try {
          for (let i = 0; i < 20; i++) {
            if (i % 2 === 0) await store.reserveAndCommit(9000);
            else store.commitSync(100);
            acknowledged = store.timestamp;
          }
        } catch (error) {
          if (!isPagewrightError(error)) throw error;
        }
        await settled();
        const told = store.failures.length;
        assert.ok(told <= 1, `onFailure was called ${told} times.`);
        assert.ok(told === 1 || acknowledged === 20, 'A commit failed, and onFailure was not called.');
        store.disk.onOperation = null;
        await store.log.close({ discard: false });
        await assertStillThere(create, store, acknowledged);
      }
    },
  },
];

function openStore(create: NewLog): Promise<LogStore> {
  return LogStore.open(create(), new SimulatedDevice(), newSuperblock());
}

function failOnce(disk: SimulatedDevice, kind: 'write' | 'sync'): void {
  disk.onOperation = (operation) => {
    if (operation.kind !== kind) return;
    disk.onOperation = null;
    throw ioError('EIO', operation.path);
  };
}

/** The device works again, and the log stays ended. */
async function assertEnded({ log, disk, failures }: LogStore, position: number): Promise<void> {
  assert.equal(failures.length, 1, `onFailure was called ${failures.length} times.`);
  await assertRejects(log.commit(position), 'PW_COMMIT_UNKNOWN', 'commit() after the failure');
  assertThrows(() => log.commitSync(position), 'PW_COMMIT_UNKNOWN', 'commitSync() after the failure');
  await assertRejects(log.secure(log.mark()), 'PW_COMMIT_UNKNOWN', 'secure() after the failure');
  await assertRejects(log.reserve(10), 'PW_READ_ONLY', 'reserve() after the failure');
  assertThrows(() => log.reserveSync(10), 'PW_READ_ONLY', 'reserveSync() after the failure');
  assertThrows(() => log.append(recordOf(4, 0, 10)), 'PW_READ_ONLY', 'append() after the failure');
  const syncs = disk.syncs;
  await log.close({ discard: false });
  assert.equal(disk.syncs, syncs, 'There was another sync after the failure.');
  assert.equal(failures.length, 1, `onFailure was called ${failures.length} times.`);
}

/** What was acknowledged before the failure is there; what comes after it is what was written, if anything. */
async function assertStillThere(create: NewLog, { disk, superblock }: LogStore, acknowledged: number): Promise<void> {
  for (const survives of [dropAll, keepAll]) {
    const found = await recordsOn(create(), disk.copy().afterCrash(survives), superblock);
    assert.ok(found.length >= acknowledged, `${acknowledged} commits were acknowledged, ${found.length} are there.`);
    found.forEach((record, i) => {
      const [first] = record.operations;
      const size = first?.value.length ?? 0;
      assertSameRecord(record, recordOf(i + 1, 0, size));
    });
  }
}
