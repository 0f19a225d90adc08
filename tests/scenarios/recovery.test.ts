/**
 * Lines of the list of scenarios in which the power goes at the worst moment, or the disk is full then: what was acknowledged
 * is there afterwards, and nothing is wrong with the store.
 *
 * `SCENARIO_SEED` repeats a run.
 */
import { type Engine, type IndexHandle, isPagewrightError } from '@pagewright/core';
import { type SimulatedDevice as Device, dropAll, keepSome, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { engineOn } from '../engine-on.js';
import { isForWantOfRoom } from '../filling.js';

const PATH = '/store/scenario.pw';
const SEED = Number(process.env.SCENARIO_SEED ?? Date.now() % 2 ** 31);
/** The smallest pool, of pages of 4 KiB. */
const SMALL = { pageSize: 4096, memory: 64 * 4096 };

type Things = IndexHandle<string, Uint8Array>;
const things = (db: Engine): Promise<Things> => db.index('things', { key: 'utf8', value: 'buffer' });

/** What was written, as far as the test knows: acknowledged, or refused or cut off, so that either may be found. */
class Expected {
  readonly #settled = new Map<string, number>();
  readonly #open = new Map<string, number[]>();

  /** Writes a number under a key, at a size that follows from it. */
  async put(index: Things, key: string, number: number): Promise<void> {
    this.#open.set(key, [...(this.#open.get(key) ?? []), number]);
    await index.put(key, contentOf(number));
    this.#settled.set(key, number);
    this.#open.delete(key);
  }

  async expectIn(db: Engine, what: string): Promise<void> {
    const index = await things(db);
    const found = new Map<string, number>();
    for await (const [key, value] of index.range()) {
      const number = Buffer.from(value).readUInt32LE(0);
      expect(Buffer.compare(value, contentOf(number)), what).toBe(0);
      found.set(key, number);
    }
    for (const [key, number] of this.#settled) {
      if (!this.#open.has(key)) expect(found.get(key), `${what}: ${key}`).toBe(number);
    }
    for (const [key, numbers] of this.#open) {
      // Of several that were not acknowledged a later one may be missing; what was there before stays then.
      expect([this.#settled.get(key), ...numbers], `${what}: ${key}`).toContain(found.get(key));
    }
    expect(
      [...found.keys()].filter((key) => !this.#settled.has(key) && !this.#open.has(key)),
      what,
    ).toEqual([]);
    const { problems } = await db.verify();
    expect(problems, what).toEqual([]);
  }
}

function contentOf(number: number): Buffer {
  const bytes = Buffer.alloc(4 + (number % 13 === 0 ? 6000 : (number * 37) % 300), number & 0xff);
  bytes.writeUInt32LE(number, 0);
  return bytes;
}

async function expectAfter(disk: Device, expected: Expected, what: string): Promise<void> {
  const db = await engineOn(disk, PATH, SMALL);
  await expected.expectIn(db, what);
  await db.close();
}

/** The power is gone: whatever is still called comes to nothing. */
async function abandon(db: Engine): Promise<void> {
  await db.close().catch(() => undefined);
}

it('scenario 14: commits are under way at every step of a checkpoint, and no acknowledged one is missing after a crash', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, SMALL);
  const index = await things(db);
  const expected = new Expected();
  let number = 0;
  for (let step = 0; step < 20; step++) {
    const puts: Promise<void>[] = [];
    for (let i = 0; i < 8; i++) puts.push(expected.put(index, `key/${number % 90}`, number++));
    for (let tick = 0; tick < step; tick++) await null;
    const checkpoint = db.checkpoint();
    for (let tick = 0; tick < 40; tick++) {
      puts.push(expected.put(index, `key/${number % 90}`, number++));
      await null;
    }
    await checkpoint;
    if (step % 4 === 0) await expectAfter(disk.copy().afterCrash(dropAll), expected, `step ${step}`);
    await Promise.all(puts);
  }
  await expectAfter(disk.copy().afterCrash(dropAll), expected, 'at the end');
  await abandon(db);
});

it('scenario 21: a superblock that was written and not synced is found by the next process, and then the power fails', async () => {
  const expected = new Expected();
  const running = new SimulatedDevice();
  const db = await engineOn(running, PATH, SMALL);
  const index = await things(db);
  for (let number = 0; number < 150; number++) await expected.put(index, `key/${number % 60}`, number);
  await db.checkpoint();
  for (let number = 150; number < 250; number++) await expected.put(index, `key/${number % 60}`, number);
  // The first sync of a checkpoint covers its images, the second its superblock.
  let syncs = 0;
  let written = (): void => undefined;
  const isWritten = new Promise<void>((resolve) => {
    written = resolve;
  });
  running.hold = ({ kind, path }) => {
    if (kind !== 'sync' || path !== PATH || ++syncs < 2) return undefined;
    written();
    return new Promise(() => undefined);
  };
  void db.checkpoint().catch(() => undefined);
  await isWritten;
  for (let number = 250; number < 330; number++) await expected.put(index, `later/${number}`, number);
  const killed = running.copy();
  // How many operations opening takes.
  const rehearsal = killed.copy();
  await engineOn(rehearsal, PATH, SMALL);
  for (let at = 1 + (SEED & 1); at <= rehearsal.operations; at += 2) {
    for (let round = 0; round < 2; round++) {
      const disk = killed.copy();
      disk.crashAt = at;
      await engineOn(disk, PATH, SMALL).then(abandon, () => undefined);
      const survival = round === 0 ? dropAll : keepSome(SEED + at);
      await expectAfter(disk.afterCrash(survival), expected, `operation ${at}, round ${round}, SCENARIO_SEED=${SEED}`);
    }
  }
});

it('scenario 23: the disk fills during a checkpoint: commits are refused before they are logged, and with room all goes on, and space comes back', async () => {
  for (let room = 0; room < 6; room++) {
    const expected = new Expected();
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, SMALL);
    const index = await things(db);
    for (let number = 0; number < 250; number++) await expected.put(index, `key/${number % 60}`, number);
    await db.checkpoint();
    for (let number = 250; number < 400; number++) await expected.put(index, `key/${number % 60}`, number);
    disk.capacity = disk.used + room * 16384;
    const refusals: unknown[] = [];
    const checkpoint = db.checkpoint().catch((error: unknown) => refusals.push(error));
    for (let number = 400; number < 2000 && refusals.length === 0; number++) {
      await expected.put(index, `new/${number}`, number).catch((error: unknown) => refusals.push(error));
    }
    await checkpoint;
    expect(refusals.length, `room ${room}`).toBeGreaterThan(0);
    for (const refusal of refusals) expect(isForWantOfRoom(refusal), String(refusal)).toBe(true);
    await expected.expectIn(db, `room ${room}, while it is full`);
    const full = disk.copy();
    full.capacity = disk.capacity;
    await abandon(db);
    // On a disk that is still full it opens, or says that it is; each time anew, and nothing gets lost by it.
    for (let opening = 0; opening < 2; opening++) {
      const again = await engineOn(full, PATH, SMALL).catch((error: unknown) => {
        if (!isPagewrightError(error) || !isForWantOfRoom(error)) throw error;
        return null;
      });
      if (again !== null) {
        await expected.expectIn(again, `room ${room}, opened while it is full`);
        await abandon(again);
      }
    }
    full.capacity = Number.POSITIVE_INFINITY;
    await expectAfter(full, expected, `room ${room}, with room again`);
    const last = await engineOn(full, PATH, SMALL);
    await last.dropIndex('things');
    for (let round = 0; round < 4; round++) {
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      await last.checkpoint();
    }
    const { fileBytes, freeFileBytes } = last.stats().pages;
    expect(freeFileBytes / fileBytes, `room ${room}`).toBeGreaterThan(0.7);
    await last.close();
  }
});

it.each([
  ['grows', grow],
  ['gets shorter by compact()', shrink],
] as const)('scenario 25: the power goes while the file %s, and again while recovery writes its checkpoint, twice in a row', async (_what, change) => {
  const rehearsal = new SimulatedDevice();
  const begun = await change(rehearsal, new Expected());
  const operations = rehearsal.operations - begun;
  let interrupted = 0;
  const ROUNDS = 14;
  for (let round = 0; round < ROUNDS; round++) {
    const seed = SEED + round * 7;
    const expected = new Expected();
    let disk = new SimulatedDevice();
    await change(disk, expected, Math.floor((operations * (round + 0.5)) / ROUNDS));
    if (disk.isDead) interrupted++;
    for (let again = 0; again < 2; again++) {
      disk = disk.afterCrash(keepSome(seed + again));
      const probe = disk.copy();
      await engineOn(probe, PATH, SMALL).then(abandon);
      disk.crashAt = 1 + ((round * 17 + again * 5) % probe.operations);
      await engineOn(disk, PATH, SMALL).then(abandon, () => undefined);
    }
    await expectAfter(disk.afterCrash(keepSome(seed + 2)), expected, `round ${round}, SCENARIO_SEED=${SEED}`);
  }
  expect(interrupted).toBeGreaterThan(ROUNDS / 2);
});

/** Fills a store, which grows all the time; ends when the power does. Returns the operations before it began to. */
async function grow(disk: Device, expected: Expected, crashAfter = Number.POSITIVE_INFINITY): Promise<number> {
  disk.crashAt = crashAfter;
  try {
    const db = await engineOn(disk, PATH, { ...SMALL, opening: { checkpoint: { logBytes: 60_000 } } });
    const index = await things(db);
    for (let number = 0; number < 300 && !disk.isDead; number += 5) {
      const puts = [0, 1, 2, 3, 4].map((i) => expected.put(index, `key/${(number + i) * 7919}`, number + i));
      await Promise.all(puts).catch(() => undefined);
    }
    await abandon(db);
  } catch (error) {
    if (!disk.isDead) throw error;
  }
  return 0;
}

/** Compacts a store that is mostly free space, while it is written to; ends when the power does. Returns the operations before that. */
async function shrink(disk: Device, expected: Expected, crashAfter = Number.POSITIVE_INFINITY): Promise<number> {
  const db = await engineOn(disk, PATH, SMALL);
  const gone = await db.index('gone', { key: 'utf8', value: 'buffer' });
  const index = await things(db);
  for (let number = 0; number < 200; number++) {
    await gone.put(`key/${number}`, Buffer.alloc(3000, number));
    await expected.put(index, `key/${number}`, number);
  }
  await db.dropIndex('gone');
  // What was dropped is given up bit by bit, and is free when no slot names it.
  for (let round = 0; round < 4; round++) {
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await db.checkpoint();
  }
  const begun = disk.operations;
  disk.crashAt = begun + crashAfter;
  const unlessDead = (error: unknown): void => {
    if (!disk.isDead) throw error;
  };
  let isOver = false;
  const compacting = db
    .compact()
    .then(({ bytesBefore, bytesAfter }) => expect(bytesAfter).toBeLessThan(bytesBefore / 2), unlessDead)
    .finally(() => {
      isOver = true;
    });
  for (let number = 200; !disk.isDead && (number < 260 || !isOver); number++) {
    await expected.put(index, `key/${(number * 7) % 200}`, number).catch(unlessDead);
    // What compaction does in turns of its own comes in between.
    await new Promise(setImmediate);
  }
  await compacting;
  await abandon(db);
  return begun;
}

it.each([
  'sync',
  'group',
  'pipelined',
  'autonomous',
] as const)('scenario 31: by the policy %s, what was seen before a commit began is there if the commit was acknowledged', async (commit) => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, { ...SMALL, commit });
  const index = await things(db);
  const seenBefore: string[] = [];
  for (let round = 0; round < 24; round++) {
    const [x, y] = [`x/${round}`, `y/${round}`];
    // Nobody waits for it, or it asks for less.
    const durability = (['durable', 'relaxed', 'none'] as const)[Math.floor(round / 2) % 3];
    const relaxed = index.put(x, contentOf(round), { durability });
    relaxed.catch(() => undefined);
    if (durability !== 'durable') await relaxed;
    for (let tick = 0; tick < round % 9; tick++) await null;
    if (index.hasSync(x)) seenBefore.push(x);
    if (round % 3 === 0) index.putSync(y, contentOf(round));
    else if (round % 3 === 1) await index.put(y, contentOf(round));
    else await db.transaction((tx) => tx.put(index, y, contentOf(round)));
    const again = await engineOn(disk.copy().afterCrash(dropAll), PATH, SMALL);
    const found = await things(again);
    expect(await found.has(y)).toBe(true);
    for (const key of seenBefore) expect(await found.has(key), `${key} before ${y}`).toBe(true);
    await abandon(again);
    await relaxed;
  }
  expect(seenBefore.length).toBeGreaterThan(5);
  await db.close();
});
