/** Autonomous commit on a device whose writes end in any order, and which loses power: rule T1, from the acknowledgement to the replay. */
import { type LogReplay, PagewrightError, type ReplayedRecord } from '@pagewright/core';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { type LogStore, newSuperblock, type Superblock } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import type { WalOptions } from '../src/options.js';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { openLog, openLogStore } from './store.js';

const SEED = Number(process.env.WRITES_SEED ?? Date.now() % 2 ** 31);
const OPTIONS: WalOptions = { commit: 'autonomous', batchBytes: 0, depth: 4, segmentSize: 64 * 1024 };

/** What was committed to a store until the power went. */
interface Life {
  readonly records: Map<number, ReplayedRecord>;
  readonly acknowledged: Set<number>;
}

/** Commits that depend on more or less, by `threads` threads in turn, until the device is dead. */
async function live(store: LogStore, random: Random, threads: number): Promise<Life> {
  const life: Life = { records: new Map(), acknowledged: new Set() };
  const { disk } = store;
  const logs = [store.log];
  while (logs.length < threads) logs.push((await store.attach(new WriteAheadLog())).log);
  const first = store.timestamp + 1;
  disk.crashAt = disk.operations + random.between(2, 70);
  const refused = (error: unknown): void => {
    if (!disk.isDead || !(error instanceof PagewrightError)) throw error;
  };
  const waiting: Promise<void>[] = [];
  for (let count = 0; count < 120 && !disk.isDead; count++) {
    const log = random.pick(logs);
    const { timestamp, ...rest } = store.nextRecord(random.chance(0.8) ? random.below(300) : random.below(9000));
    const dependsOn = random.chance(0.5) ? timestamp - 1 : Math.max(first - 1, timestamp - 1 - random.below(8));
    const record = { ...rest, timestamp, dependsOn };
    try {
      log.reserveSync(log.sizeOf(record.operations));
      const position = log.append(record);
      life.records.set(timestamp, record);
      store.timestamp++;
      const told = (): void => void life.acknowledged.add(timestamp);
      waiting.push(log.commit(position, { dependsOn }).then(told, refused));
    } catch (error) {
      refused(error);
      break;
    }
    for (let turns = random.below(4); turns > 0; turns--) await new Promise(setImmediate);
  }
  disk.cutPower();
  await Promise.all(waiting);
  return life;
}

/** What a replay yields must be what rule T1 says: the gapless run, and behind it what depends on no more than that. */
async function checkReplay(life: Life, found: readonly ReplayedRecord[], base: number): Promise<number> {
  const timestamps = new Set(found.map(({ timestamp }) => timestamp));
  let gapless = base;
  while (timestamps.has(gapless + 1)) gapless++;
  for (const { timestamp, dependsOn, operations } of found) {
    const written = life.records.get(timestamp);
    expect(written, `commit ${timestamp} is found`).toBeDefined();
    expect({ dependsOn, operations: [...operations] }).toEqual({
      dependsOn: written!.dependsOn,
      operations: [...written!.operations],
    });
    if (timestamp > gapless) expect(dependsOn, `what commit ${timestamp} depends on`).toBeLessThanOrEqual(gapless);
  }
  const lost = [...life.acknowledged].filter((timestamp) => timestamp > base && !timestamps.has(timestamp));
  expect(lost, 'acknowledged, and lost').toEqual([]);
  return [...life.acknowledged].filter((timestamp) => timestamp > gapless).length;
}

async function replayOf(disk: SimulatedDevice, superblock: Superblock): Promise<ReplayedRecord[]> {
  const { log, replay } = openLog(disk, superblock, OPTIONS);
  const found: ReplayedRecord[] = [];
  const records: LogReplay = await replay;
  for await (const record of records.records()) found.push(record);
  await log.close({ discard: false });
  return found;
}

describe(`writes side by side (seed ${SEED})`, () => {
  test.each([
    1, 3,
  ])('of %i threads lose nothing that was acknowledged, and keep nothing without what it depends on', async (threads) => {
    let behindHoles = 0;
    for (let round = 0; round < 60; round++) {
      const seed = SEED * 1000 + round;
      const random = new Random(seed);
      const disk = new SimulatedDevice({ seed, schedule: { turns: 9 } });
      const superblock = newSuperblock();
      const store = await openLogStore(disk, superblock, { options: OPTIONS });
      const base = superblock.mark.timestamp;
      const life = await live(store, random, threads);
      const after = disk.afterCrash(random.chance(0.5) ? dropAll : keepSome(seed, random.pick([0.2, 0.5, 0.9])));
      const told = `seed ${seed}`;
      try {
        behindHoles += await checkReplay(life, await replayOf(after.copy(), { ...superblock }), base);
        // Recovery dies, and begins anew; then it is over, and what it kept is in the store.
        const again = after.copy();
        again.crashAt = again.operations + random.between(1, 12);
        const dying = { ...superblock };
        await openLogStore(again, dying, { options: OPTIONS }).catch(() => undefined);
        await checkReplay(life, await replayOf(again.afterCrash(dropAll), { ...dying }), dying.mark.timestamp);
      } catch (error) {
        throw new Error(`${told}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
    // Else nothing here is about what lies behind a hole.
    expect(behindHoles).toBeGreaterThan(0);
  });
});
