/** Clauses on reading the log while it is written: what readers get is durable, whole and in order, each commit once, from any one on. */
import assert from 'node:assert/strict';
import { isPagewrightError, type LogReadRequest, type ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { assertSameRecord, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, recordsOn, settled } from '../rig/log-store.js';
import { assertRejects, type LogClause } from './log-clause.js';

const KIB = 1024;
/** What a reader needs no time for but that of the device is there after so many turns. */
const TURNS = 200;

type Records = AsyncGenerator<ReplayedRecord, void, void>;

export const readingClauses: readonly LogClause[] = [
  {
    id: 'reads-all',
    says: 'gives readers every commit above the one that they have, each once and in order, as it was written',
    needs: ['reads'],
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const sizes = Array.from({ length: 30 }, (_, i) => [10, 300, 20 * KIB][i % 3] as number);
      for (const size of sizes) await store.reserveAndCommit(size);
      for (const after of [0, 1, 14, 29, 30]) {
        const found: ReplayedRecord[] = [];
        for await (const record of read(store, { after, follow: false })) found.push(record);
        assert.equal(found.length, 30 - after, `After ${after} there are ${found.length} commits of ${30 - after}.`);
        for (const [i, record] of found.entries())
          assertSameRecord(record, recordOf(after + i + 1, 0, sizes[after + i]!));
      }
      await assertRejects(read(store, { after: 31, follow: false }).next(), 'PW_ARGUMENT', 'read() beyond the end');
      await store.close({ discard: true });
    },
  },
  {
    id: 'reads-follow',
    says: 'gives a reader at the end what is committed then, in whatever thread of the process, and lets it go at any time',
    needs: ['reads', 'threads'],
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const { log: other } = await store.attach(create());
      const records = read(store, { after: 0, follow: true });
      for (let timestamp = 1; timestamp <= 12; timestamp++) {
        const next = records.next();
        await settled();
        await store.reserveAndCommit(12 * KIB, timestamp % 2 === 0 ? other : store.log);
        assertSameRecord(await soon(next), recordOf(timestamp, 0, 12 * KIB));
      }
      const ending = new AbortController();
      const waiting = read(store, { after: 12, follow: true, signal: ending.signal }).next();
      await settled();
      const reason = new Error('enough');
      ending.abort(reason);
      await assert.rejects(waiting, reason);
      await records.return();
      await other.close({ discard: false });
      await store.close({ discard: true });
    },
  },
  {
    id: 'reads-durable',
    rules: ['L1'],
    says: 'gives readers nothing that a crash takes back, and waits for what is not durable yet if it was appended before',
    needs: ['reads'],
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const given: number[] = [];
      const ending = new AbortController();
      const reading = (async () => {
        for await (const { timestamp } of read(store, { after: 0, follow: true, signal: ending.signal }))
          given.push(timestamp);
      })();
      for (let i = 0; i < 24; i++) {
        const position = store.append(3 * KIB);
        await settled(i % 4);
        const found = await recordsOn(create(), store.disk.copy().afterCrash(dropAll), superblock);
        const last = given.at(-1) ?? 0;
        assert.ok(
          last <= found.length,
          `Commit ${last} was given, and of ${found.length} it was known that they are durable.`,
        );
        if (i % 3 === 0) await store.log.commit(position);
      }
      const all: number[] = [];
      for await (const { timestamp } of read(store, { after: 0, follow: false })) all.push(timestamp);
      assert.equal(all.length, 24);
      ending.abort(new Error('enough'));
      await assert.rejects(reading);
      await store.close({ discard: true });
    },
  },
  {
    id: 'reads-keep',
    says: 'keeps for a reader what a checkpoint would give up, until it has read it',
    needs: ['reads', 'recycles'],
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      await store.reserveAndCommit(16 * KIB);
      const records = read(store, { after: 0, follow: true });
      assertSameRecord(await soon(records.next()), recordOf(1, 0, 16 * KIB));
      for (let round = 0; round < 6; round++) {
        for (let i = 0; i < 8; i++) await store.reserveAndCommit(16 * KIB);
        await store.checkpoint();
      }
      const kept = store.disk.used;
      for (let timestamp = 2; timestamp <= 49; timestamp++)
        assertSameRecord(await soon(records.next()), recordOf(timestamp, 0, 16 * KIB));
      await store.checkpoint();
      await settled(20);
      assert.ok(store.disk.used < kept / 2, `${kept} bytes were kept for a reader, and ${store.disk.used} still are.`);
      await records.return();
      await store.close({ discard: true });
    },
  },
  {
    id: 'reads-on',
    rules: ['L3'],
    says: 'goes on behind the last commit of the log before, and says what is not there any more (PW_LOG_GONE)',
    needs: ['reads'],
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 3; i++) await store.commit(100);
      const again = await LogStore.open(create(), store.disk.afterCrash(dropAll), superblock, 1);
      await again.commit(100);
      const records = read(again, { after: 3, follow: false });
      assertSameRecord(await soon(records.next()), recordOf(again.timestamp, 1, 100));
      assert.equal((await records.next()).done, true);
      const found: number[] = [];
      try {
        for await (const { timestamp } of read(again, { after: 1, follow: false })) found.push(timestamp);
        assert.deepEqual(found, [2, 3, again.timestamp], 'Commits were left out in silence.');
      } catch (error) {
        assert.ok(isPagewrightError(error, 'PW_LOG_GONE'), `read() failed with ${String(error)}.`);
        assert.deepEqual(found, []);
      }
      await again.close({ discard: true });
    },
  },
  {
    id: 'reads-end',
    says: 'ends readers that have had all when it is closed, and tells others that it is (PW_CLOSED), or gives them the rest',
    needs: ['reads'],
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      for (let i = 0; i < 3; i++) await store.reserveAndCommit(40 * KIB);
      const [done, late] = [0, 0].map(() => read(store, { after: 0, follow: true })) as [Records, Records];
      for (let i = 0; i < 3; i++) await soon(done.next());
      await soon(late.next());
      const end = done.next();
      await settled();
      await store.close({ discard: true });
      const over = await Promise.race([end, settled(TURNS)]);
      assert.equal(over?.done, true, 'A reader that has all does not end with the log.');
      const rest: number[] = [];
      try {
        for await (const { timestamp } of late) rest.push(timestamp);
        assert.deepEqual(rest, [2, 3], 'A reader has ended before it had all.');
      } catch (error) {
        assert.ok(isPagewrightError(error, 'PW_CLOSED'), `read() failed with ${String(error)}.`);
      }
    },
  },
];

function read({ log }: LogStore, request: LogReadRequest): Records {
  assert.ok(log.read !== undefined, 'The log has no read().');
  return log.read(request);
}

/** What is there to be had. */
async function soon(next: Promise<IteratorResult<ReplayedRecord, void>>): Promise<ReplayedRecord> {
  const result = await Promise.race([next, settled(TURNS)]);
  assert.ok(result !== undefined, 'A reader waits for what is durable.');
  assert.ok(!result.done, 'A reader has ended before it had all.');
  return result.value;
}
