/** What the pool counts, in which rows, and what it tells those who subscribe. */
import { channel } from 'node:diagnostics_channel';
import { type CheckpointSteps, NO_LOG } from '@pagewright/core';
import { PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Counters, EVICTED_AHEAD, MISSES, RESIDENT, SIZE_CLASSES, WRITES } from '../src/counters.js';
import {
  BufferPool,
  type PoolCheckpoint,
  type PoolEviction,
  type PoolRead,
  type PoolStatistics,
} from '../src/index.js';

const PATH = '/store.pw';
const STEPS: CheckpointSteps = { gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} };

describe('counters', () => {
  it('of two threads are added up, also what went up in one and down in the other', () => {
    const memory = new SharedArrayBuffer(Counters.bytes(3));
    const [one, other] = [new Counters(memory, 0), new Counters(memory, 2)];
    one.add(EVICTED_AHEAD);
    other.add(EVICTED_AHEAD, 2 ** 40);
    one.addOf(RESIDENT, 3, 5);
    other.addOf(RESIDENT, 3, -4);
    for (const counters of [one, other]) {
      expect(counters.total(EVICTED_AHEAD)).toBe(2 ** 40 + 1);
      expect(counters.totalOf(RESIDENT, 3)).toBe(1);
      expect(counters.totalOfAll(RESIDENT)).toBe(1);
    }
  });

  it('of one size class are no other class’s and no other counter’s, up to the last row’s end', () => {
    const counters = new Counters(new SharedArrayBuffer(Counters.bytes(2)), 1);
    counters.addOf(WRITES, SIZE_CLASSES - 1, 7);
    counters.addOf(MISSES, SIZE_CLASSES);
    expect(counters.totalOf(WRITES, SIZE_CLASSES - 1)).toBe(7);
    expect([...counters.row].reduce((sum, count) => sum + count, 0)).toBe(7);
  });
});

describe('the channels of a pool', () => {
  const heard: { name: string; message: unknown }[] = [];
  const names = ['read', 'eviction', 'checkpoint', 'statistics'].map((what) => `pagewright:pool:${what}`);
  const listen = (message: unknown, name: string | symbol): void => void heard.push({ name: String(name), message });
  const heardOf = <Message>(what: string): Message[] =>
    heard.filter(({ name }) => name === `pagewright:pool:${what}`).map(({ message }) => message as Message);

  afterEach(() => {
    for (const name of names) channel(name).unsubscribe(listen);
    heard.length = 0;
    vi.useRealTimers();
  });

  it('tell of every page read, every page evicted and every checkpoint, as often as they are counted', async () => {
    for (const name of names) channel(name).subscribe(listen);
    const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
    const request = { path: PATH, io: new SimulatedDevice(), create: true, errorIfExists: false, readOnly: false };
    await pool.open(request);
    new PageTreeDriver(pool, new Random(3)).run(1500);
    const result = await pool.checkpoint(STEPS);
    const { pageReads, evictions } = pool.stats();
    const reads = heardOf<PoolRead>('read');
    expect(reads.length).toBe(pageReads);
    expect(reads[0]).toMatchObject({ path: PATH, inPlace: true });
    expect(reads.every(({ offset, bytes }) => offset % 4096 === 0 && bytes % 4096 === 0 && bytes > 0)).toBe(true);
    const batches = heardOf<PoolEviction>('eviction');
    expect(batches.reduce((sum, { pages }) => sum + pages, 0)).toBe(evictions);
    expect(batches.every(({ pages, written, path }) => written <= pages && path === PATH)).toBe(true);
    expect(heardOf<PoolCheckpoint>('checkpoint')).toEqual([{ ...result, path: PATH }]);
    await pool.close();
  });

  it('tell of the counters once a second, and when the pool is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
    await pool.open({ path: PATH, io: new SimulatedDevice(), create: true, errorIfExists: false, readOnly: false });
    vi.advanceTimersByTime(1000);
    for (const name of names) channel(name).subscribe(listen);
    vi.advanceTimersByTime(999);
    expect(heard).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(heardOf<PoolStatistics>('statistics')).toEqual([{ ...pool.stats(), path: PATH }]);
    new PageTreeDriver(pool, new Random(3)).run(100);
    const counted = pool.stats();
    await pool.close();
    expect(heardOf<PoolStatistics>('statistics').slice(1)).toEqual([{ ...counted, path: PATH }]);
    vi.advanceTimersByTime(5000);
    expect(heardOf<PoolStatistics>('statistics').length).toBe(2);
  });
});

it('pages of two sizes: hits, cooling and restarts are those of the page’s own class', async () => {
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({ path: PATH, io: new SimulatedDevice(), create: true, errorIfExists: false, readOnly: false });
  const [small, large] = [0, 2].map((sizeClass) => pool.allocate(1, 1, sizeClass, 1)) as [number, number];
  for (const [frame, times] of [
    [small, 3],
    [large, 2],
  ] as const) {
    for (let time = 0; time < times; time++) {
      const version = pool.unlatch(frame);
      pool.latch(frame);
      expect(pool.validate(frame, version)).toBe(false);
      expect(pool.upgrade(frame, version)).toBe(false);
    }
  }
  const { bySizeClass: after, restarts } = pool.stats();
  expect(after.slice(0, 4).map(({ restarts }) => restarts)).toEqual([6, 0, 4, 0]);
  expect(restarts).toBe(10);
  for (const frame of [small, large]) pool.free(frame);
  await pool.close();
});

it('what is in memory, by size class, follows allocation, giving up and eviction', async () => {
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({ path: PATH, io: new SimulatedDevice(), create: true, errorIfExists: false, readOnly: false });
  const resident = (): number[] => pool.stats().bySizeClass.map(({ residentPages }) => residentPages);
  const frames = [0, 0, 2].map((sizeClass) => pool.allocate(1, 1, sizeClass, 1));
  expect(resident().slice(0, 3)).toEqual([2, 0, 1]);
  for (const frame of frames) pool.free(frame);
  expect(resident().every((pages) => pages === 0)).toBe(true);
  new PageTreeDriver(pool, new Random(3)).run(1500);
  await pool.checkpoint(STEPS);
  const { bySizeClass, frames: all, freeFrames, evictions, pageWrites } = pool.stats();
  // One frame is the root's, which is no page.
  const taken = bySizeClass.reduce((sum, { residentPages, sizeClass }) => sum + (residentPages << sizeClass), 0);
  expect(taken).toBe(all - freeFrames - 1);
  expect(Math.min(evictions, pageWrites)).toBeGreaterThan(0);
  const used = bySizeClass.filter(({ hits, cooled }) => hits > 0 && cooled > 0);
  expect(used.length).toBeGreaterThan(1);
  await pool.close();
});
