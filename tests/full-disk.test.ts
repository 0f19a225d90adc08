/**
 * A disk that gets full, at any point: the engine says so, turns read-only and answers reads; all that was acknowledged is
 * there then, and after opening the store again; and with room again it can be opened and written to.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Engine } from '@pagewright/core';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { engineOn } from './engine-on.js';
import { type Filling, fillUntilRefused, isForWantOfRoom, newFilling, writeMore } from './filling.js';
import type { Round } from './full-disk-program.js';
import { pagewrightOnly, readAll } from './known-content.js';
import { canMount } from './store-process.js';

const PATH = '/store/full.pw';
const KIB = 1024;
const CHOICE = { pageSize: 4096, memory: KIB * KIB, opening: { checkpoint: { logBytes: 100_000 } } };
const STEPS = Number(process.env.FULL_DISK_STEPS ?? 60);
const SEED = Number(process.env.FULL_DISK_SEED ?? Date.now() % 2 ** 31);
const random = new Random(SEED);

/** Opens the store on a disk with room, and sees that everything is there and that it can be written to. */
async function expectWhole(disk: SimulatedDevice, { known }: Filling): Promise<void> {
  disk.capacity = Number.POSITIVE_INFINITY;
  let db = await engineOn(disk, PATH, CHOICE);
  expect(db.state).toBe('open');
  expect(await readKnown(db, known)).toBe('right');
  await writeMore(db, known);
  await db.close();
  db = await engineOn(disk, PATH, CHOICE);
  expect(await readKnown(db, known)).toBe('right');
  await db.close();
}

/** Reads all indexes that were acknowledged. One that was asked for and refused may not be there. */
async function readKnown(db: Engine, known: Filling['known']): Promise<unknown> {
  return readAll(db, known.indexes(), 'waiting');
}

/** An engine that has met a full disk says so, and answers reads. */
async function expectReadOnly(db: Engine, { known, refusal }: Filling, told: readonly Error[]): Promise<void> {
  expect(refusal?.code).toMatch(/^PW_(FULL|READ_ONLY)$/);
  expect(isForWantOfRoom(refusal)).toBe(true);
  expect(db.state).toBe('read-only');
  expect(db.readOnly).toBe(true);
  expect(isForWantOfRoom(db.failure)).toBe(true);
  await Promise.resolve(); // the callback has a turn of its own
  expect(told).toEqual([db.failure]);
  expect(await readKnown(db, known)).toBe('right');
  const refused = { code: 'PW_READ_ONLY', message: expect.stringMatching(/open the store again/), cause: db.failure };
  const name = db.indexes()[0]?.name;
  if (name !== undefined) {
    const index = await db.index<string, unknown>(name);
    await expect(index.clear()).rejects.toMatchObject(refused);
    await expect(db.transaction((tx) => tx.delete(index, 'key/1'))).rejects.toMatchObject(refused);
    await expect(db.dropIndex(name)).rejects.toMatchObject(refused);
  }
  await expect(db.index('new index')).rejects.toMatchObject(refused);
  await expect(db.checkpoint()).rejects.toMatchObject(refused);
  expect(await readKnown(db, known)).toBe('right');
}

/** Runs each step with its number in whatever goes wrong. */
async function eachStep(count: number, step: (at: number) => Promise<void>): Promise<void> {
  for (let at = 0; at < count; at++) {
    try {
      await step(at);
    } catch (cause) {
      throw new Error(
        `step ${at} of ${count}, FULL_DISK_SEED=${SEED}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }
}

/** The disk as the next process finds it: closed, killed, or after a loss of power. */
async function leave(disk: SimulatedDevice, db: Engine, at: number): Promise<SimulatedDevice> {
  if (at % 3 === 0) {
    await db.close();
    return disk;
  }
  const after = disk.copy().afterCrash(at % 3 === 1 ? dropAll : keepSome(at + SEED, 0.5));
  disk.cutPower();
  await db.close().catch(pagewrightOnly);
  return after;
}

/** While there is no room the store can be opened, or that is refused for want of it; nothing is lost by trying. */
async function tryWhileFull(disk: SimulatedDevice, filling: Filling): Promise<string> {
  let db: Engine;
  try {
    db = await engineOn(disk, PATH, CHOICE);
  } catch (error) {
    expect(pagewrightOnly(error).code).toBe('PW_FULL');
    return 'refused';
  }
  expect(await readKnown(db, filling.known)).toBe('right');
  await db.close().catch((error) => expect(isForWantOfRoom(error)).toBe(true));
  return 'opened';
}

describe('a disk that is full', () => {
  for (const commit of ['pipelined', 'sync'] as const) {
    it(`turns the engine read-only; when another file has gone, all is there and writes work again (${commit})`, async () => {
      const disk = new SimulatedDevice();
      disk.put('/store/another file', new Uint8Array(500 * KIB));
      disk.capacity = 1500 * KIB;
      const told: Error[] = [];
      const choice = {
        ...CHOICE,
        commit,
        opening: { ...CHOICE.opening, onFailure: (error: Error) => told.push(error) },
      };
      const db = await engineOn(disk, PATH, choice);
      const filling = await fillUntilRefused(db, null);
      expect(filling.acknowledged).toBeGreaterThan(100);
      await expectReadOnly(db, filling, told);
      await db.close();
      expect(db.state).toBe('closed');
      await tryWhileFull(disk, filling);
      disk.drop('/store/another file');
      const again = await engineOn(disk, PATH, CHOICE);
      expect(await readKnown(again, filling.known)).toBe('right');
      const more = await fillUntilRefused(again, filling);
      expect(more.acknowledged).toBeGreaterThan(filling.acknowledged / 2);
      await again.close();
      await expectWhole(disk, more);
    });
  }

  for (const way of ['put', 'putSync'] as const) {
    it(`for the log alone refuses the commit and loses nothing, though the pages would have room (${way})`, async () => {
      const disk = new SimulatedDevice();
      const told: Error[] = [];
      const db = await engineOn(disk, PATH, { ...CHOICE, opening: { onFailure: (error) => told.push(error) } });
      const filling = await fillUntilRefused(db, null, { limit: 50 });
      const index = await db.index<string, unknown>('data');
      await db.checkpoint();
      disk.capacity = disk.used + 24 * KIB;
      for (let number = 0; filling.refusal === null; number++) {
        const value = `${number} `.repeat(300);
        try {
          if (way === 'put') await index.put('again and again', value);
          else index.putSync('again and again', value);
          filling.known.put('data', 'again and again', value);
        } catch (error) {
          filling.refusal = pagewrightOnly(error);
        }
      }
      expect(filling.refusal).toMatchObject({
        code: 'PW_FULL',
        message: expect.stringMatching(/of log.*free some space/),
      });
      await expectReadOnly(db, filling, told);
      await expectWhole(await leave(disk, db, 1), filling);
    });
  }

  it('at any point while it is filled loses nothing, and with room the store can be opened and written to', async () => {
    const whole = new SimulatedDevice();
    const db = await engineOn(whole, PATH, CHOICE);
    await fillUntilRefused(db, null, { limit: 900 });
    const most = whole.used + 64 * KIB;
    await db.close();
    const outcomes = { 'not created': 0, 'turned read-only': 0, 'not full': 0 };
    await eachStep(STEPS, async (at) => {
      let disk = new SimulatedDevice();
      disk.capacity = 4 * KIB + Math.floor(((at + random.fraction()) * most) / STEPS);
      const told: Error[] = [];
      let db: Engine;
      try {
        db = await engineOn(disk, PATH, {
          ...CHOICE,
          opening: { ...CHOICE.opening, onFailure: (error) => told.push(error) },
        });
      } catch (error) {
        expect(pagewrightOnly(error).code).toBe('PW_FULL');
        if (at % 2 === 0) disk = disk.afterCrash(dropAll);
        outcomes['not created']++;
        await expectWhole(disk, newFilling());
        return;
      }
      const filling = await fillUntilRefused(db, null, { limit: 900, inPlace: at % 4 === 3 });
      if (filling.refusal === null) outcomes['not full']++;
      else {
        outcomes['turned read-only']++;
        await expectReadOnly(db, filling, told);
      }
      const { capacity } = disk;
      disk = await leave(disk, db, at);
      disk.capacity = capacity;
      if (at % 2 === 0) await tryWhileFull(disk, filling);
      await expectWhole(disk, filling);
    });
    console.log(`a disk that gets full at ${STEPS} points, FULL_DISK_SEED=${SEED}: ${JSON.stringify(outcomes)}`);
    expect(outcomes['turned read-only']).toBeGreaterThan(STEPS / 2);
  }, 300_000);

  it('at any point of a recovery loses nothing, and is not met by a checkpoint or by closing', async () => {
    const original = new SimulatedDevice();
    const first = await engineOn(original, PATH, CHOICE);
    const filling = await fillUntilRefused(first, null, { limit: 400 });
    const killed = original.afterKill();
    await first.close().catch(pagewrightOnly);
    const outcomes: Record<string, number> = {};
    await eachStep(STEPS, async (at) => {
      const disk = killed.copy();
      const known = await copyOf(filling);
      disk.capacity = disk.used + Math.floor(((at + random.fraction()) * 400 * KIB) / STEPS);
      const opened = await tryWhileFull(disk, known);
      outcomes[`${opened} while full`] = (outcomes[`${opened} while full`] ?? 0) + 1;
      if (opened === 'refused') expect(await tryWhileFull(disk, known)).toBe('refused');
      await expectWhole(at % 2 === 0 ? disk : disk.afterCrash(keepSome(at, 0.5)), known);
    });
    await eachStep(STEPS, async (at) => {
      let disk = killed.copy();
      const db = await engineOn(disk, PATH, CHOICE);
      const known = await fillUntilRefused(db, await copyOf(filling), { limit: 60 });
      disk.capacity = disk.used + Math.floor(((at + random.fraction()) * 100 * KIB) / STEPS);
      // Room for both was made before the commits were acknowledged (C6).
      if (at % 2 === 0) await db.checkpoint();
      else await db.close();
      if (at % 2 === 0) disk = await leave(disk, db, at);
      await expectWhole(disk, known);
    });
    console.log(`a disk that is full while the store is opened: ${JSON.stringify(outcomes)}`);
  }, 300_000);

  it('was found out in time: after the last write that was taken a checkpoint and closing have room (C6)', async () => {
    const tried = { closed: 0, 'found full again': 0 };
    await eachStep(Math.ceil(STEPS / 3), async (at) => {
      const capacity = Math.floor((200 + at * 40 + random.fraction() * 40) * KIB);
      const limits = { pageSize: 4096, memory: KIB * KIB };
      const first = new SimulatedDevice();
      first.capacity = capacity;
      const refused = await engineOn(first, PATH, limits);
      const { began } = await fillUntilRefused(refused, null, { inPlace: at % 3 === 2 });
      await refused.close();
      const disk = new SimulatedDevice();
      disk.capacity = capacity;
      const db = await engineOn(disk, PATH, limits);
      const filling = await fillUntilRefused(db, null, { limit: began, inPlace: at % 3 === 2 });
      tried[filling.refusal === null ? 'closed' : 'found full again']++;
      if (filling.refusal === null && at % 2 === 0) await db.checkpoint();
      await db.close();
      if (filling.refusal === null) expect(disk.files()).toEqual([PATH]);
      await expectWhole(disk, filling);
    });
    expect(tried.closed).toBeGreaterThan(0);
  }, 300_000);

  it('can still be read by whoever opens the store to read alone', async () => {
    const disk = new SimulatedDevice();
    disk.capacity = 600 * KIB;
    const db = await engineOn(disk, PATH, CHOICE);
    const filling = await fillUntilRefused(db, null);
    await db.close();
    const reader = await engineOn(disk, PATH, { ...CHOICE, opening: { readOnly: true } });
    for (const { name } of reader.indexes()) for await (const _ of (await reader.index(name)).range());
    await reader.close();
    await expectWhole(disk, filling);
  });
});

/** What is known once more, so that what is written on one copy of a disk is not expected on another. */
async function copyOf(filling: Filling): Promise<Filling> {
  const copy = newFilling();
  for (const { name, shape, entries } of filling.known.indexes()) {
    copy.known.declare(name, shape);
    for (const [key, value] of entries) copy.known.put(name, key, value);
  }
  copy.next = filling.next;
  copy.acknowledged = filling.acknowledged;
  return copy;
}

describe('a file system that is full', () => {
  for (const commit of ['pipelined', 'sync'] as const) {
    it(`turns the engine read-only; with room again all is there and writes work (${commit})`, async ({ skip }) => {
      skip(!canMount(), 'needs user namespaces, to mount a file system');
      const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-full-'));
      try {
        const program = await bundle('../../../tests/full-disk-program.ts', directory);
        const mounted = join(directory, 'mounted');
        fs.mkdirSync(mounted);
        const rounds = runWithin(mounted, program, commit);
        for (const seen of rounds) {
          expect(seen).toMatchObject({
            state: 'read-only',
            failure: 'PW_FULL',
            told: ['PW_FULL'],
            nextWrite: 'PW_READ_ONLY',
            readWhenFull: 'right',
            closed: 'done',
            readAfterwards: 'right',
            stateAfterwards: 'open',
            readAtLast: 'right',
          });
          expect(seen.written).toBeGreaterThan(100);
          expect(seen.refusedWith).toMatch(/^PW_(FULL|READ_ONLY)$/);
          expect(seen.reopenedWhenFull).toMatch(/^(PW_FULL|done)$/);
        }
      } finally {
        fs.rmSync(directory, { recursive: true, force: true });
      }
    });
  }
});

/** Runs the program in a process that has a small file system of its own at `mounted`; it goes with the process. */
function runWithin(mounted: string, program: string, commit: string): readonly Round[] {
  const script = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" "$3" "$1" "$4"';
  const result = spawnSync('unshare', ['-rm', 'sh', '-c', script, 'sh', mounted, process.execPath, program, commit], {
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`the program failed: ${result.stderr}`);
  return JSON.parse(result.stdout) as Round[];
}
