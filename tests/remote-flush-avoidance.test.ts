/**
 * Commits that depend on nothing but the pages that they touched: the power goes with many in flight, and what is kept is never without what it has read, nor is anything
 * missing that was acknowledged. Commits that were visible before, and were not touched, may be missing.
 *
 * `AVOIDANCE_SEED` repeats a run.
 */
import type { Engine, WriteOptions } from '@pagewright/core';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const SEED = Number(process.env.AVOIDANCE_SEED ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env.AVOIDANCE_ROUNDS ?? 4);
const STORE = '/app.pw';
const CHOICE = { pageSize: 4096, memory: 2 ** 20, commit: 'autonomous' } as const;
const KEYS = 120;
const COMMITS = 80;
const CRASHES = 12;

/** The commit of that number wrote an entry, and has read entries that these commits had written. */
interface Entry {
  readonly number: number;
  /** The last number that was visible when it began. */
  readonly began: number;
  readonly read: readonly (readonly [key: number, number: number])[];
  readonly padding: string;
}

async function entriesOf(db: Engine) {
  return db.index<number, Entry>('things', { key: 'u32', value: 'json' });
}

async function run(seed: number, options: WriteOptions) {
  const random = new Random(seed);
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, STORE, CHOICE);
  const index = await entriesOf(db);
  const padding = 'x'.repeat(400);
  for (let key = 0; key < KEYS; key++) index.putSync(key, { number: 0, began: 0, read: [], padding });
  await db.checkpoint();
  const points: { at: string; disk: SimulatedDevice; acknowledged: readonly (readonly [number, number])[] }[] = [];
  const acknowledged: [key: number, number: number][] = [];
  disk.onOperation = ({ number, kind, path }) => {
    if (!path.includes('-wal')) return;
    points.push({ at: `${number}: ${kind} ${path}`, disk: disk.copy(), acknowledged: [...acknowledged] });
  };
  // Writes that are under way beside each other end in any order.
  disk.hold = ({ kind, path }) => (kind !== 'read' && path.includes('-wal') ? settled(random.below(12)) : undefined);
  const commits: Promise<void>[] = [];
  /** What they wrote, from the first commit on. */
  const keys: number[] = [];
  for (let number = 1; number <= COMMITS; number++) {
    const key = random.below(KEYS);
    keys.push(key);
    const transaction = db.begin(options);
    const read: [number, number][] = [];
    for (let reads = random.below(3); reads > 0; reads--) {
      const other = random.below(KEYS);
      if (random.chance(0.5)) read.push([other, transaction.getSync(index, other)!.number]);
      else {
        const range = transaction.rangeSync(index, { gte: other, limit: 3, reverse: random.chance(0.5) });
        for (const [each, entry] of range) read.push([each, entry.number]);
      }
    }
    transaction.put(index, key, { number, began: number - 1, read, padding: padding.slice(random.below(300)) });
    commits.push(transaction.commit().then(() => void acknowledged.push([key, number])));
    if (random.chance(0.4)) await settled(1);
  }
  await Promise.all(commits);
  disk.onOperation = null;
  disk.hold = null;
  await db.close();
  return { points, keys };
}

/** How many entries are kept that were written when another one was visible which is missing. */
async function crashed(seed: number, options: WriteOptions): Promise<number> {
  let beyond = 0;
  const random = new Random(seed);
  const { points, keys } = await run(seed, options);
  for (let crash = 0; crash < CRASHES; crash++) {
    const { at, disk, acknowledged } = random.pick(points);
    const what = `AVOIDANCE_SEED=${seed}, crash ${crash}, before ${at}`;
    const found = disk.copy().afterCrash(random.pick([dropAll, keepSome(seed + crash)]));
    const db = await engineOn(found, STORE, CHOICE);
    const entries = new Map((await entriesOf(db)).rangeSync());
    expect(entries.size, what).toBe(KEYS);
    for (const [key, number] of acknowledged) {
      expect(entries.get(key)!.number, `${what}: acknowledged for key ${key}`).toBeGreaterThanOrEqual(number);
    }
    for (const { number, began, read } of entries.values()) {
      for (const [key, other] of read) {
        expect(entries.get(key)!.number, `${what}: ${number} has read key ${key}`).toBeGreaterThanOrEqual(other);
      }
      const before = keys.slice(0, began);
      if (before.some((key, at) => entries.get(key)!.number < at + 1)) beyond++;
    }
    await db.close();
  }
  return beyond;
}

describe(`commits that depend on the pages that they touched (seed ${SEED})`, () => {
  it('are kept with all that they have read, whatever else is lost', async () => {
    let beyond = 0;
    for (let round = 0; round < ROUNDS; round++) beyond += await crashed(SEED + round, { dependsOn: 'touched' });
    expect(beyond, 'kept without something that was visible before').toBeGreaterThan(0);
  }, 120_000);

  it('are not kept without what was visible before, if they are to depend on that', async () => {
    expect(await crashed(SEED, { dependsOn: 'seen' })).toBe(0);
    expect(await crashed(SEED + 1, {})).toBe(0);
  }, 120_000);
});
