/** Clauses on crashes: at every operation of a workload, in recovery itself, and in many lives of a store. */
import assert from 'node:assert/strict';
import { dropAll, keepAll, keepSome, SimulatedDevice, type Survival } from '../device/simulated-device.js';
import { Random } from '../random.js';
import { isPowerLoss, LogHistory } from '../rig/log-history.js';
import { assertSameRecord, assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn, settled } from '../rig/log-store.js';
import type { LogClause, NewLog } from './log-clause.js';

export const crashClauses: readonly LogClause[] = [
  {
    id: 'acknowledged-is-durable',
    rules: ['L1'],
    says: 'loses no commit that was acknowledged, in the background or in place, though all that was not synced is lost',
    async check(create) {
      const history = new LogHistory(create);
      await history.open();
      for (let i = 0; i < 12; i++) {
        if (i % 2 === 0) history.commitSync(i * 100);
        else {
          history.commit(i * 100);
          await history.wait();
        }
        const crashed = history.fork();
        crashed.crash(dropAll);
        await crashed.open();
      }
    },
  },
  {
    id: 'waits-for-the-device',
    rules: ['L1'],
    says: 'acknowledges nothing while the device has not synced it',
    async check(create) {
      const { log, ...store } = await held(create);
      let acknowledged = 0;
      for (let i = 0; i < 3; i++)
        store.commit(100).then(
          () => acknowledged++,
          () => undefined,
        );
      await settled();
      assert.equal(acknowledged, 0, 'A commit was acknowledged while its sync was held back.');
      store.release();
      await log.commit(log.stats().appendedBytes);
      await settled();
      assert.equal(acknowledged, 3);
    },
  },
  {
    id: 'in-place-during-flush',
    rules: ['IO3', 'L1'],
    says: 'commits in place, durably, while a flush is under way that the event loop would have to finish (scenario 9)',
    async check(create) {
      for (const kind of ['write', 'sync'] as const) {
        const history = new LogHistory(create);
        await history.open();
        let release = (): void => undefined;
        history.disk.hold = (operation) =>
          operation.kind === kind ? new Promise((resolve) => (release = resolve)) : undefined;
        history.commit(100);
        history.commit(2000);
        await settled();
        history.commitSync(300);
        const crashed = history.fork();
        crashed.crash(dropAll);
        await crashed.open();
        history.disk.hold = null;
        release();
        await history.wait();
        assert.equal(history.acknowledged, 3);
        history.commitSync(10);
        history.crash(dropAll);
        await history.open();
      }
    },
  },
  {
    id: 'crash-anywhere',
    rules: ['L1', 'L2'],
    says: 'finds all that was acknowledged after a crash at any operation, whatever the device keeps',
    async check(create) {
      const whole = new LogHistory(create);
      await workload(whole);
      for (let at = 1; at <= whole.disk.operations + 1; at++) {
        for (const [which, survives] of [dropAll, keepAll, keepSome(at), keepSome(at + 1000)].entries()) {
          await during(`operation ${at}, survival ${which}`, async () => {
            const history = new LogHistory(create);
            history.disk.crashAt = at;
            await untilPowerLoss(history, () => workload(history));
            history.crash(survives);
            await history.open();
            history.commitSync(50);
            history.crash(dropAll);
            await history.open();
          });
        }
      }
    },
  },
  {
    id: 'crash-in-recovery',
    rules: ['L3'],
    says: 'recovers from a crash at any operation of a recovery, twice in a row (scenario 25)',
    async check(create) {
      const found = new LogHistory(create);
      await found.open();
      for (const size of [400, 20_000, 60]) found.commit(size);
      await found.wait();
      found.commit(5000);
      await settled();
      found.crash(keepSome(7));
      for (let at = 1; ; at++) {
        const history = found.fork();
        history.disk.crashAt = at;
        const cutOff = await untilPowerLoss(history, () => history.open());
        if (!cutOff) break;
        history.crash(keepSome(at));
        const again = history.fork();
        again.disk.crashAt = Math.ceil(at / 2);
        await untilPowerLoss(again, () => again.open());
        again.crash(keepSome(at + 500));
        for (const each of [history, again]) await during(`operation ${at}`, () => each.open());
      }
    },
  },
  {
    id: 'many-lives',
    rules: ['L1', 'L3'],
    says: 'keeps its promises through lives of commits, checkpoints, crashes, kills and closes',
    async check(create) {
      for (let seed = 1; seed <= 80; seed++) await during(`seed ${seed}`, () => lives(create, new Random(seed)));
    },
  },
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
          log.commit(log.stats().appendedBytes).catch(() => undefined);
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
        const written = await readAll(await replay);
        await log.secure(log.begin());
        for (let i = 0; i < 2; i++) {
          const record = recordOf(written.length + 1, 1, 500);
          log.reserveSync(log.sizeOf(record.operations));
          log.commitSync(log.append(record));
          written.push(record);
        }
        const found = await outcome(create, disk.afterCrash(dropAll), superblock);
        if (found !== 'corrupt') assertSameRecords(found, written);
      }
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

/** What a log finds, or that it is damaged. Any other error fails. */
export async function outcome(
  create: NewLog,
  disk: SimulatedDevice,
  superblock: { mark: LogHistory['superblock']['mark']; storeId: string },
): Promise<Awaited<ReturnType<typeof readAll>> | 'corrupt'> {
  try {
    return await recordsOn(create(), disk, superblock);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'PW_CORRUPT_LOG') return 'corrupt';
    throw error;
  }
}

async function workload(history: LogHistory): Promise<void> {
  await history.open();
  history.commit(10);
  history.commit(400);
  await history.wait();
  history.commitSync(30_000);
  history.commit(20_000);
  await history.wait();
  history.commit(700);
  history.commit(100_000);
  history.commitSync(30);
  await history.wait();
  await history.store.checkpoint();
  history.commit(50_000);
  await history.wait();
  history.commit(40);
  await history.wait();
}

/** Commits whose sync the device holds back until `release`. */
async function held(create: NewLog) {
  const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
  const waiting: (() => void)[] = [];
  store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise((resolve) => waiting.push(resolve)) : undefined);
  return {
    log: store.log,
    commit: (size: number) => store.commit(size),
    release: () => {
      store.disk.hold = null;
      for (const go of waiting) go();
    },
  };
}

/** Three records are on their way to the device, none of them synced, when the power fails. */
async function threeInFlight(create: NewLog, survives: Survival) {
  const superblock = newSuperblock();
  const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
  for (let i = 0; i < 3; i++) store.append(2000);
  store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
  store.log.commit(store.log.stats().appendedBytes).catch(() => undefined);
  await settled();
  return { disk: store.disk.afterCrash(survives), superblock };
}

async function lives(create: NewLog, random: Random): Promise<void> {
  const history = new LogHistory(create);
  for (let life = random.between(1, 4); life > 0; life--) {
    if (random.chance(0.5)) history.disk.crashAt = history.disk.operations + random.below(100);
    const survives = keepSome(random.below(1_000_000), random.pick([0, 0.5, 0.9, 1]));
    const end = random.pick(['crash', 'crash', 'kill', 'close', 'discard'] as const);
    const cutOff = await untilPowerLoss(history, async () => {
      await history.open();
      for (let steps = random.below(20); steps > 0; steps--) await step(history, random);
      if (end === 'close' || end === 'discard') await history.close(end === 'discard', survives);
    });
    if (cutOff || end === 'crash') history.crash(survives);
    else if (end === 'kill') history.kill();
  }
  history.disk.crashAt = Number.POSITIVE_INFINITY;
  await history.open();
  await history.close(false, dropAll);
  await history.open();
}

async function step(history: LogHistory, random: Random): Promise<void> {
  const size = random.chance(0.7) ? random.below(300) : random.below(random.pick([20_000, 20_000, 140_000]));
  const choice = random.below(16);
  if (choice < 3) history.append(size);
  else if (choice < 9) history.commit(size);
  else if (choice < 12) history.commitSync(size);
  else if (choice < 15) await history.wait();
  else await history.store.checkpoint();
}

/** True if the work was cut off by the power; other errors are thrown. */
async function untilPowerLoss(history: LogHistory, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return history.disk.isDead;
  } catch (error) {
    if (!history.disk.isDead || !isPowerLoss(error)) throw error;
    return true;
  }
}

async function during(where: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
