/**
 * Compaction makes the file smaller, and does nothing else that anybody can see: not when work goes on beside it, and not when it is ended
 * early. What crashes and failing disks make of it is for the explorers, theme `compaction`, to find out.
 *
 * `COMPACT_SEED` repeats a run of the random tests.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type CompactProgress, type Engine, type IoBackend, isPagewrightError } from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const PATH = '/store/pages.pw';
const SEED = Number(process.env.COMPACT_SEED ?? Date.now() % 2 ** 31);
const MIB = 2 ** 20;
const SIZES = [30, 200, 900, 3000, 9000];

/** What should be in the index, by key: the number that its value repeats, and its length. */
type Content = Map<number, { readonly fill: number; readonly length: number }>;

const valuesOf = (db: Engine) => db.index<number, Uint8Array>('values', { key: 'u32', value: 'buffer' });

/** Fills the store with so many bytes in values of these sizes, then deletes all but this share. */
async function fillAndDelete(db: Engine, random: Random, bytes: number, kept: number, sizes = SIZES): Promise<Content> {
  const values = await valuesOf(db);
  const content: Content = new Map();
  for (let key = 0, total = 0; total < bytes; ) {
    const puts: Promise<void>[] = [];
    for (let batch = 0; batch < MIB; key++) {
      const length = random.pick(sizes);
      batch += length + 20;
      content.set(key, { fill: key % 251, length });
      puts.push(values.put(key, Buffer.alloc(length, key % 251)));
    }
    total += MIB;
    await Promise.all(puts);
  }
  const gone = [...content.keys()].filter(() => !random.chance(kept));
  await Promise.all(gone.map((key) => values.delete(key)));
  for (const key of gone) content.delete(key);
  return content;
}

async function expectContent(db: Engine, content: Content): Promise<void> {
  let count = 0;
  for (const [key, value] of (await valuesOf(db)).rangeSync()) {
    const expected = content.get(key);
    if (expected === undefined || !Buffer.alloc(expected.length, expected.fill).equals(value))
      throw new Error(`Key ${key} has another value. COMPACT_SEED=${SEED}`);
    count++;
  }
  expect(count, `COMPACT_SEED=${SEED}`).toBe(content.size);
}

/** What the pages of the last checkpoint take. */
async function bytesOfPages(db: Engine): Promise<number> {
  await db.checkpoint();
  const { problems, bytes } = await db.verify();
  expect(problems, `COMPACT_SEED=${SEED}`).toEqual([]);
  return bytes;
}

describe('compaction', () => {
  for (const pageSize of [4096, 8192, 16_384, 32_768, 65_536]) {
    it(`gives back the space of what was deleted, in pages of ${pageSize} bytes`, async () => {
      const disk = new SimulatedDevice();
      const choice = { pageSize, memory: 128 * pageSize };
      const db = await engineOn(disk, PATH, choice);
      const content = await fillAndDelete(db, new Random(SEED), 12 * MIB, 0.1);
      const before = disk.contentOf(PATH).length;
      const { bytesBefore, bytesAfter } = await db.compact();
      const after = disk.contentOf(PATH).length;
      expect([bytesBefore, bytesAfter]).toEqual([before, after]);
      expect(after).toBeLessThan(1.3 * (await bytesOfPages(db)) + MIB);
      expect(after).toBeLessThan(before / 2);
      await expectContent(db, content);
      (await valuesOf(db)).putSync(1_000_000, Buffer.alloc(5000, 7));
      content.set(1_000_000, { fill: 7, length: 5000 });
      await db.close();
      const again = await engineOn(disk, PATH, choice);
      await expectContent(again, content);
      await bytesOfPages(again);
      await again.close();
    });
  }

  it('makes a real file of 64 MiB as small as what is left, and keeps in memory what is in use', async () => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-'));
    try {
      const path = join(directory, 'app.pw');
      const db = await open(path, { memory: '4MiB' });
      const content = await fillAndDelete(db, new Random(SEED), 64 * MIB, 0.1, [400, 6000, 60_000]);
      const values = await valuesOf(db);
      const hot = [...content.keys()].slice(0, 40);
      for (let times = 0; times < 3; times++) for (const key of hot) values.getSync(key);
      const before = fs.statSync(path).size;
      const { bytesAfter } = await db.compact();
      const { misses } = db.stats().pages;
      for (const key of hot) values.getSync(key);
      expect(db.stats().pages.misses - misses).toBeLessThan(hot.length / 2);
      expect(fs.statSync(path).size).toBe(bytesAfter);
      expect(before).toBeGreaterThan(60 * MIB);
      expect(bytesAfter).toBeLessThan(1.3 * (await bytesOfPages(db)) + 2 * MIB);
      await expectContent(db, content);
      await db.close();
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  });

  it('goes on beside reads, writes, checkpoints, backups and verification', async () => {
    for (const schedule of [undefined, {}]) {
      const disk = new SimulatedDevice({ seed: SEED, ...(schedule === undefined ? {} : { schedule }) });
      const choice = { pageSize: 4096, memory: 96 * 4096 };
      const random = new Random(SEED);
      const db = await engineOn(disk, PATH, choice);
      const content = await fillAndDelete(db, random, 4 * MIB, 0.15);
      const values = await valuesOf(db);
      let isOver = false;
      const working = (async () => {
        for (let round = 0; !isOver; round++) {
          const key = random.below(4000);
          const known = content.get(key);
          const found = await values.get(key);
          if (found?.length !== known?.length) throw new Error(`Key ${key} is wrong. COMPACT_SEED=${SEED}`);
          const length = random.pick(SIZES);
          if (random.chance(0.4)) {
            await values.delete(key);
            content.delete(key);
          } else {
            await values.put(key, Buffer.alloc(length, round % 251));
            content.set(key, { fill: round % 251, length });
          }
          if (random.chance(0.05)) await db.checkpoint();
          if (round === 20) await db.backup('/store/copy.pw');
          if (round % 30 === 10) expect((await db.verify()).problems, `COMPACT_SEED=${SEED}`).toEqual([]);
          await turn();
        }
      })();
      try {
        for (let times = 0; times < 3; times++) {
          await db.compact();
          for (let turns = 0; turns < 20; turns++) await turn();
        }
      } finally {
        isOver = true;
        await working;
      }
      // What was kept for others at the time goes now.
      const { bytesAfter } = await db.compact();
      expect(bytesAfter, `COMPACT_SEED=${SEED}`).toBeLessThan(1.3 * (await bytesOfPages(db)) + MIB);
      await expectContent(db, content);
      await db.close();
      const again = await engineOn(disk, PATH, choice);
      await expectContent(again, content);
      await bytesOfPages(again);
      await again.close();
    }
  });

  it('has the checkpoint wait whose epoch a page is moved in, and moves that page again later', async () => {
    const disk = new SimulatedDevice();
    let held: ((write: () => Promise<void>) => Promise<void>) | null = null;
    const io = new Proxy<IoBackend>(disk, {
      get(target, name) {
        if (name !== 'open') {
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async (...given: Parameters<IoBackend['open']>) => {
          const file = await target.open(...given);
          const submit = file.submit.bind(file);
          file.submit = (operations, options) => {
            const hold = file.path === PATH && operations[0]?.kind === 'write' ? held : null;
            if (hold === null) return submit(operations, options);
            held = null;
            return hold(() => submit(operations, options));
          };
          return file;
        };
      },
    });
    const db = await engineOn(io, PATH, { pageSize: 4096, memory: 96 * 4096 });
    const content = await fillAndDelete(db, new Random(SEED), 4 * MIB, 0.1);
    for (let times = 0; times < 2; times++) await db.checkpoint();
    let isWritten = false;
    let checkpoint: Promise<unknown> | null = null;
    held = async (write) => {
      checkpoint = db.checkpoint().then(() => {
        isWritten = true;
      });
      for (let turns = 0; turns < 100; turns++) await turn();
      expect(isWritten, 'The checkpoint has not waited.').toBe(false);
      await write();
    };
    await db.compact();
    expect(checkpoint).not.toBeNull();
    await checkpoint;
    expect(await bytesOfPages(db)).toBeGreaterThan(0);
    await expectContent(db, content);
    await db.close();
  });

  it('moves large values though small pages lie all over the place', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, { pageSize: 4096, memory: 2 ** 22 });
    const random = new Random(SEED);
    const content = await fillAndDelete(db, random, 8 * MIB, 0.1, [3000]);
    const values = await valuesOf(db);
    for (let key = 100_000; key < 100_012; key++) {
      await values.put(key, Buffer.alloc(120_000, 3));
      content.set(key, { fill: 3, length: 120_000 });
    }
    await db.compact();
    const { bytesAfter, retainedBytes } = await db.compact();
    expect(retainedBytes).toBeLessThan(MIB);
    expect(bytesAfter).toBeLessThan(1.5 * (await bytesOfPages(db)) + MIB);
    await expectContent(db, content);
    await db.close();
  });

  it('leaves a whole store wherever it is ended, and is done by the next call', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096 });
    const content = await fillAndDelete(db, new Random(SEED), 4 * MIB, 0.1);
    for (const last of [1, 2, 3, 5, 8, 13]) {
      const ending = new AbortController();
      let calls = 0;
      const onProgress = (): void => {
        if (++calls === last) ending.abort(new Error('enough'));
      };
      await expect(db.compact({ signal: ending.signal, onProgress })).rejects.toThrow('enough');
      await bytesOfPages(db);
    }
    await expect(
      db.compact({
        onProgress: () => {
          throw new Error('thrown by onProgress');
        },
      }),
    ).rejects.toThrow('thrown by onProgress');
    const { bytesAfter } = await db.compact();
    expect(bytesAfter).toBeLessThan(1.3 * (await bytesOfPages(db)) + MIB);
    await expectContent(db, content);
    expect(db.state).toBe('open');
    await db.close();
  });

  it('goes no faster than it may, tells how far it is, and ends at once when the engine is closed', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096 });
    const content = await fillAndDelete(db, new Random(SEED), 4 * MIB, 0.1);
    const seen: CompactProgress[] = [];
    let hasMoved = (): void => {};
    const moved = new Promise<void>((resolve) => {
      hasMoved = resolve;
    });
    const compacting = db.compact({
      bytesPerSecond: 1,
      onProgress: (progress) => {
        seen.push(progress);
        if (progress.bytes > 0) hasMoved();
      },
    });
    const refused = compacting.catch((error: unknown) => error);
    await moved;
    await db.close();
    expect(isPagewrightError(await refused, 'PW_CLOSED')).toBe(true);
    expect(seen[0]).toEqual({ pages: 0, bytes: 0, fileBytes: seen[0]?.fileBytes });
    const again = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096 });
    await expectContent(again, content);
    await bytesOfPages(again);
    await again.close();
  });

  it('does next to nothing to a file that has nothing to give back', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096 });
    const content = await fillAndDelete(db, new Random(SEED), 2 * MIB, 1);
    await db.compact();
    const { bytesBefore, bytesAfter, pages } = await db.compact();
    expect({ pages, given: bytesBefore - bytesAfter }).toEqual({ pages: 0, given: 0 });
    await expectContent(db, content);
    await db.close();
    const empty = await engineOn(new SimulatedDevice(), PATH, { pageSize: 4096, memory: 96 * 4096 });
    await empty.compact();
    await empty.close();
  });

  it('refuses what it cannot do', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096 });
    await db.checkpoint();
    for (const options of [
      null,
      7,
      { speed: 1 },
      { signal: 1 },
      { onProgress: 1 },
      { bytesPerSecond: 0 },
      { bytesPerSecond: 'x' },
    ]) {
      const error = await db.compact(options as never).catch((refusal: unknown) => refusal);
      expect(isPagewrightError(error, 'PW_ARGUMENT'), JSON.stringify(options)).toBe(true);
    }
    await db.close();
    await expect(db.compact()).rejects.toMatchObject({ code: 'PW_CLOSED' });
    const reader = await engineOn(disk, PATH, { pageSize: 4096, memory: 96 * 4096, opening: { readOnly: true } });
    await expect(reader.compact()).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    await reader.close();
  });
});
