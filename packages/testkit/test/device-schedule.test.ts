import type { IoFile } from '@pagewright/core';
import { describe, expect, it, vi } from 'vitest';
import { engineOn } from '../../../tests/engine-on.js';
import { dropAll, keepAll, keepSome, Random, SECTOR, SimulatedDevice, type Survival } from '../src/index.js';
import { filled, opened } from './device-files.js';

// What an engine takes from node:crypto, the ids of stores and logs, follows from the seed of the run.
const identity = vi.hoisted(() => ({ next: 1 }));
vi.mock('node:crypto', async (original) => ({
  ...(await original<typeof import('node:crypto')>()),
  randomBytes: (length: number) => Buffer.alloc(length, identity.next++),
  randomInt: (least: number) => least + identity.next++,
}));

const SEEDS = Array.from({ length: 40 }, (_, at) => at + 1);

function scheduled(seed: number): SimulatedDevice {
  return new SimulatedDevice({ seed, schedule: {}, trace: 'content' });
}

describe('a device with a schedule', () => {
  it('lets operations on one file and on several overtake each other', async () => {
    const orders = new Set<string>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const files = [await opened(disk, '/store/a', filled(10, 1)), await opened(disk, '/store/b', filled(10, 1))];
      const order: number[] = [];
      await Promise.all([0, 1, 2, 3].map((at) => files[at % 2]!.write(filled(1, 2), at).then(() => order.push(at))));
      orders.add(order.join(''));
    }
    expect(orders.size).toBeGreaterThan(10);
  });

  it('lands the writes of a batch in any order, and all of them before its sync', async () => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(SECTOR, 1));
      const writes = [2, 3].map((value) => ({ kind: 'write' as const, buffer: filled(SECTOR, value), offset: 0 }));
      await file.submit(writes, { sync: true });
      const now = disk.contentOf('/store/a')[0];
      expect(disk.afterCrash(dropAll).contentOf('/store/a')[0], `seed ${seed}`).toBe(now);
      seen.add(String(now));
    }
    expect([...seen].sort()).toEqual(['2', '3']);
  });

  it('shows reads what is torn of a write in flight, between sectors and never within one', async () => {
    let torn = 0;
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(8 * SECTOR, 1));
      const buffer = new Uint8Array(8 * SECTOR - 100);
      await Promise.all([file.write(filled(8 * SECTOR, 2), 0), file.read(buffer, 50)]);
      const sectors = Array.from({ length: 8 }, (_, at) => {
        const bytes = buffer.subarray(Math.max(0, at * SECTOR - 50), (at + 1) * SECTOR - 50);
        expect(new Set(bytes).size, `seed ${seed}, sector ${at}`).toBe(1);
        return bytes[0];
      });
      if (new Set(sectors).size === 2) torn++;
    }
    expect(torn).toBeGreaterThan(5);
  });

  it('covers by a sync what had ended when it was issued, and what has not by choice', async () => {
    const outcomes = new Set<string>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(2 * SECTOR, 1));
      await file.write(filled(SECTOR, 2), 0);
      const during = file.write(filled(SECTOR, 3), SECTOR);
      await file.sync();
      await during;
      const found = disk.afterCrash(dropAll).contentOf('/store/a');
      expect(found[0], `seed ${seed}`).toBe(2);
      outcomes.add(String(found[SECTOR]));
    }
    expect([...outcomes].sort()).toEqual(['1', '3']);
  });

  it('covers by choice what has landed while the sync was under way', async () => {
    const covered = new Set<boolean>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(SECTOR, 1));
      const ended: string[] = [];
      const syncing = file.sync().then(() => ended.push('sync'));
      const writing = file.write(filled(SECTOR, 2), 0).then(() => ended.push('write'));
      await Promise.all([syncing, writing]);
      if (ended[0] === 'write') covered.add(disk.afterCrash(dropAll).contentOf('/store/a')[0] === 2);
    }
    expect(covered.size).toBe(2);
  });

  it('covers an older version of a sector that is written again while its sync is under way', async () => {
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(SECTOR, 1));
      await file.write(filled(SECTOR, 2), 0);
      const syncing = file.sync();
      const again = file.write(filled(SECTOR, 3), 0);
      await Promise.all([syncing, again]);
      expect([2, 3], `seed ${seed}`).toContain(disk.afterCrash(dropAll).contentOf('/store/a')[0]);
    }
  });

  it('may find some sectors of what was in flight at a crash, and all that had ended', async () => {
    const outcomes = new Set<string>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(4 * SECTOR, 1));
      const writing = file.write(filled(4 * SECTOR, 2), 0);
      for (let turn = seed % 4; turn > 0; turn--) await new Promise(setImmediate);
      const after = disk.afterCrash(keepSome(seed)).contentOf('/store/a');
      outcomes.add([0, 1, 2, 3].map((sector) => after[sector * SECTOR]).join(''));
      await writing.catch((error) => expect(error).toMatchObject({ code: 'PW_IO' }));
    }
    expect(outcomes.size).toBeGreaterThan(8);
  });

  it('makes a write happen over several turns, its parts in any order, and ends it with the last', async () => {
    const seen = new Set<string>();
    const turns = new Set<number>();
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(8 * SECTOR, 1));
      let over = false;
      const writing = file.write(filled(8 * SECTOR, 2), 0).then(() => {
        over = true;
      });
      let taken = 0;
      for (; !over; taken++) {
        await new Promise(setImmediate);
        const bytes = disk.contentOf('/store/a');
        seen.add(`${bytes[0]}${bytes.at(-1)}`);
        if (bytes.includes(1)) expect(over, `seed ${seed}`).toBe(false);
      }
      turns.add(taken);
      await writing;
      expect(disk.trace.filter((line) => line.includes('write /'))).toHaveLength(1);
    }
    expect([...seen].sort()).toEqual(['11', '12', '21', '22']);
    expect(turns.size).toBeGreaterThan(3);
  });

  it('has in flight at a crash what has not landed yet of a write, to the last sector', async () => {
    for (const seed of SEEDS) {
      const disk = scheduled(seed);
      const file = await opened(disk, '/store/a', filled(8 * SECTOR, 1));
      file.write(filled(8 * SECTOR, 2), 0).catch(() => undefined);
      for (let turn = seed % 5; turn > 0; turn--) await new Promise(setImmediate);
      expect(disk.afterCrash(keepAll).contentOf('/store/a'), `seed ${seed}`).toEqual(filled(8 * SECTOR, 2));
    }
  });

  it('waits in close for what is in flight', async () => {
    const disk = scheduled(3);
    const file = await opened(disk, '/store/a', filled(SECTOR, 1));
    void file.write(filled(SECTOR, 2), 0);
    await file.close();
    expect(disk.contentOf('/store/a')).toEqual(filled(SECTOR, 2));
  });

  it('goes on with a schedule after a crash', async () => {
    const disk = scheduled(5).afterCrash(keepAll);
    const file = await opened(disk, '/store/a', filled(10, 1));
    const order: number[] = [];
    await Promise.all(Array.from({ length: 9 }, (_, at) => file.write(filled(1, 2), at).then(() => order.push(at))));
    expect(order).not.toEqual([...order].sort());
  });
});

describe('the same seed', () => {
  it('gives the same run to the byte, and another seed another run', async () => {
    for (const seed of SEEDS.slice(0, 10)) {
      const first = await randomRun(seed);
      expect(await randomRun(seed), `seed ${seed}`).toEqual(first);
      expect((await randomRun(seed + 1000)).trace, `seed ${seed}`).not.toEqual(first.trace);
    }
  });

  it('gives the same run of a whole engine, to the byte', async ({ onTestFinished }) => {
    // The log's idle timer, a checkpoint that makes way and the time in records are all in an engine that goes by real time.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    for (const seed of [1, 2]) {
      const first = await engineRun(seed);
      expect(first.length).toBeGreaterThan(200);
      expect(await engineRun(seed), `seed ${seed}`).toEqual(first);
    }
    expect(await engineRun(3)).not.toEqual(await engineRun(4));
  });

  it('gives an engine that keeps what it acknowledged, however its operations overtake each other', async () => {
    for (const seed of [11, 12, 13]) {
      const disk = scheduled(seed);
      const db = await engineOn(disk, '/store/app.pw', { pageSize: 4096, memory: 64 * 4096 });
      const index = await db.index<string, string>('things', { key: 'utf8', value: 'utf8' });
      for (let round = 0; round < 5; round++) {
        const checkpoint = round % 2 === 0 ? db.checkpoint() : null;
        await Promise.all(
          Array.from({ length: 60 }, (_, at) => index.put(`key ${round}/${at}`, 'x'.repeat((at * 97) % 3000))),
        );
        await checkpoint;
      }
      void db.checkpoint().catch(() => undefined);
      await new Promise(setImmediate);
      const after = await engineOn(disk.afterCrash(keepSome(seed)), '/store/app.pw', { memory: 64 * 4096 });
      const found = await after.index<string, string>('things', { key: 'utf8', value: 'utf8' });
      for (let round = 0; round < 5; round++) {
        for (let at = 0; at < 60; at++) {
          expect(await found.get(`key ${round}/${at}`), `seed ${seed}`).toBe('x'.repeat((at * 97) % 3000));
        }
      }
      await after.close();
      await db.close().catch(() => undefined);
    }
  });
});

interface Run {
  readonly trace: readonly string[];
  readonly faults: readonly object[];
  readonly digests: readonly string[];
}

/** Operations of every kind, many at once, with faults, and a crash at the end. */
async function randomRun(seed: number): Promise<Run> {
  const random = new Random(seed);
  const disk = new SimulatedDevice({
    seed,
    schedule: { turns: 9 },
    trace: 'content',
  });
  const files: IoFile[] = [];
  for (const name of ['a', 'b', 'c']) files.push(await opened(disk, `/store/${name}`, filled(20 * SECTOR, 1)));
  for (const kind of ['lost-write', 'misdirected-write', 'misdirected-read', 'bit-rot'] as const) {
    disk.inject({ fault: { kind }, chance: 0.05, times: 5 });
  }
  disk.inject({ fault: { kind: 'error', errno: 'EIO', torn: true }, chance: 0.05, times: 5 });
  disk.inject({ fault: { kind: 'failed-sync', dirty: 'dropped' }, chance: 0.2, times: 2 });
  for (let round = 0; round < 20; round++) {
    await Promise.allSettled(Array.from({ length: 8 }, () => randomOperation(random, random.pick(files))));
    if (random.chance(0.2)) await disk.rename('/store/a', '/store/d').catch(() => undefined);
    if (random.chance(0.2)) await disk.syncDirectory('/store');
  }
  for (let at = 0; at < 6; at++) void randomOperation(random, random.pick(files)).catch(() => undefined);
  await new Promise(setImmediate);
  const survivals: Survival[] = [dropAll, keepSome(seed), keepAll];
  const digests = survivals.map((survival) => disk.afterCrash(survival).digest());
  return { trace: [...disk.trace], faults: [...disk.faults], digests: [disk.digest(), ...digests] };
}

function randomOperation(random: Random, file: IoFile): Promise<void> {
  const offset = random.below(20 * SECTOR);
  const buffer = random.fill(new Uint8Array(random.between(1, 6 * SECTOR)));
  const kind = random.below(8);
  if (kind < 3) return file.write(buffer, offset);
  if (kind < 5) return file.read(buffer, offset);
  if (kind === 5) return file.sync();
  return kind === 6 ? file.truncate(offset) : file.allocate(offset, buffer.length);
}

async function engineRun(seed: number): Promise<readonly string[]> {
  identity.next = seed;
  const random = new Random(seed);
  const disk = scheduled(seed);
  const db = await engineOn(disk, '/store/app.pw', {
    pageSize: 4096,
    memory: 64 * 4096,
    opening: { checkpoint: { dutyCycle: 1 } },
  });
  const index = await db.index<string, Uint8Array>('things', { key: 'utf8', value: 'buffer' });
  for (let round = 0; round < 6; round++) {
    const puts = Array.from({ length: 30 }, () =>
      index.put(`key ${random.below(500)}`, new Uint8Array(random.below(3000))),
    );
    const checkpoint = round % 2 === 1 ? db.checkpoint() : null;
    await Promise.all([...puts, checkpoint]);
    await Promise.all(Array.from({ length: 30 }, () => index.get(`key ${random.below(500)}`)));
  }
  await db.close();
  return [...disk.trace, disk.digest()];
}
