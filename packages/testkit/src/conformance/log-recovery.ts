/** Clauses on what recovery keeps of a log that ends in a crash, and on what it leaves out for good (L2 to L5). */
import assert from 'node:assert/strict';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll, keepAll, keepSome, type Survival } from '../device/survival.js';
import { LogHistory } from '../rig/log-history.js';
import { assertSameRecord, assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn, settled } from '../rig/log-store.js';
import { assertThrows, during, type LogClause, type NewLog, outcome } from './log-clause.js';

export const recoveryClauses: readonly LogClause[] = [
  {
    id: 'holes-are-cut',
    rules: ['L2'],
    says: 'takes a hole in what was never durable for an ordinary crash, cuts what lies behind it, and says how much (scenario 26)',
    async check(create) {
      let torn = 0;
      for (let seed = 1; seed <= 30; seed++) {
        const { disk, superblock } = await threeInFlight(create, keepSome(seed));
        const { log, replay } = openLog(create(), disk, superblock);
        const found = await replay;
        const records = await readAll(found);
        for (const [i, record] of records.entries()) assertSameRecord(record, recordOf(i + 1, 0, 2000));
        assert.ok(found.tornBytes() >= 0);
        torn += found.tornBytes();
        await log.close({ discard: false });
      }
      assert.ok(torn > 0, 'In 30 crashes with holes no torn byte was reported.');
      const { disk, superblock } = await threeInFlight(create, keepAll);
      const whole = await openLog(create(), disk, superblock).replay;
      assert.equal((await readAll(whole)).length, 3, 'All was kept, and not all was found.');
      assert.equal(whole.tornBytes(), 0, 'All was kept, and something is said to be torn.');
    },
  },
  {
    id: 'the-dead-stay-dead',
    rules: ['L3'],
    says: 'never brings back what an earlier recovery left out, though its place is filled again (scenarios 27, 28)',
    async check(create) {
      for (let seed = 1; seed <= 30; seed++) {
        await during(`seed ${seed}`, async () => {
          const history = new LogHistory(create);
          await history.open();
          for (let i = 0; i < 3; i++) history.append(2000);
          const { log } = history.store;
          history.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
          log.secure(log.mark()).catch(() => undefined);
          await settled();
          history.crash(keepSome(seed));
          for (let life = 0; life < 2; life++) {
            await history.open();
            history.commit(2000);
            await history.wait();
            history.crash([dropAll, keepAll][life]!);
          }
          await history.open();
        });
      }
    },
  },
  {
    id: 'older-superblock',
    rules: ['L4'],
    says: 'gives from an older superblock all that was acknowledged since, or PW_CORRUPT_LOG (scenario 29)',
    async check(create) {
      for (let seed = 1; seed <= 12; seed++) {
        const { disk, superblock } = await threeInFlight(create, keepSome(seed));
        const { log, replay } = openLog(create(), disk, superblock);
        const found = await replay;
        const written = await readAll(found);
        const last = found.lastTimestamp();
        await log.secure(log.begin(last));
        for (let i = 1; i <= 2; i++) {
          const record = recordOf(last + i, 1, 500);
          log.reserveSync(log.sizeOf(record.operations));
          log.commitSync(log.append(record));
          written.push(record);
        }
        const again = await outcome(create, disk.afterCrash(dropAll), superblock);
        if (again !== 'corrupt') assertSameRecords(again, written);
      }
    },
  },
  {
    id: 'new-timestamps',
    rules: ['L3'],
    says: 'says which timestamp was the last that it has seen, and begins a new log with a later one, as it is told, and never with an earlier one',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 3; i++) await store.commit(50);
      const disk = store.disk.afterCrash(dropAll);
      const { log, replay } = openLog(create(), disk, superblock);
      const found = await replay;
      await readAll(found);
      const last = found.lastTimestamp();
      assert.ok(last >= 3, `Commit 3 was found, and ${last} is said to be the last timestamp.`);
      assertThrows(() => log.begin(last - 1), 'PW_INTERNAL', 'begin() with a timestamp that was used');
      const mark = log.begin(last + 1000);
      await log.secure(mark);
      const later = [recordOf(last + 1001, 1, 10), recordOf(last + 1002, 1, 20)];
      for (const record of later) {
        log.reserveSync(log.sizeOf(record.operations));
        log.commitSync(log.append(record));
      }
      const after = disk.afterCrash(dropAll);
      const newer = { ...superblock, mark: { timestamp: last + 1000, log: mark } };
      assertSameRecords(await recordsOn(create(), after.copy(), newer), later);
      const again = await openLog(create(), after, superblock).replay;
      const records = await readAll(again);
      assertSameRecords(records, [...[1, 2, 3].map((timestamp) => recordOf(timestamp, 0, 50)), ...later]);
      assert.deepEqual(
        records.map(({ after: gap }) => gap),
        [undefined, undefined, undefined, 3, undefined],
        'Timestamps are left out, and the record behind them does not say so.',
      );
    },
  },
  {
    id: 'tells-how-far',
    says: 'says how many bytes there are to go through, and how many were, which never grow less',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 12; i++) await store.commit(20_000);
      const { replay } = openLog(create(), store.disk.afterCrash(dropAll), superblock);
      const found = await replay;
      let passed = found.passedBytes();
      const begin = passed;
      for await (const { timestamp } of found.records()) {
        const now = found.passedBytes();
        assert.ok(
          now >= passed && now <= found.bytes,
          `${now} of ${found.bytes} bytes at commit ${timestamp}, after ${passed}.`,
        );
        passed = now;
      }
      assert.ok(passed - begin >= 10 * 20_000, `Only ${passed - begin} bytes are said to have been gone through.`);
    },
  },
  {
    id: 'not-trusted-unsynced',
    rules: ['L5'],
    says: 'makes durable what an earlier process wrote and did not sync, before anything is built on it (scenario 33)',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
      for (let i = 0; i < 3; i++) store.commit(700).catch(() => undefined);
      await settled();
      const shown = store.disk.afterKill();
      const found = await recordsOn(create(), shown, superblock);
      for (const survives of [dropAll, keepSome(1), keepSome(2)]) {
        assertSameRecords(await recordsOn(create(), shown.copy().afterCrash(survives), superblock), found);
      }
    },
  },
  {
    id: 'superfluous-log',
    says: 'does not replay what is left of a log when the superblock names none',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      await store.log.secure(store.log.mark());
      superblock.mark = { timestamp: 1, log: { incarnation: 0, segment: 0, offset: 0 } };
      const again = await LogStore.open(create(), store.disk.afterCrash(dropAll), superblock, 1);
      assert.deepEqual(again.recovered, []);
      await again.commit(20);
      const last = await recordsOn(create(), again.disk.afterCrash(dropAll), superblock);
      assertSameRecords(last, [recordOf(2, 1, 20)]);
    },
  },
];

/** Three records are on their way to the device, none of them synced, when the power fails. */
async function threeInFlight(create: NewLog, survives: Survival) {
  const superblock = newSuperblock();
  const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
  for (let i = 0; i < 3; i++) store.append(2000);
  store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
  store.log.secure(store.log.mark()).catch(() => undefined);
  await settled();
  return { disk: store.disk.afterCrash(survives), superblock };
}
