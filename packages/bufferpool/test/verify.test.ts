/** What verification finds in memory: pages, swips and frames that an index, or the pool itself, has left in disorder. */
import {
  NO_LOG,
  PAGE_CLASS,
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  type PageExpectation,
  SWIP_COOL,
  SWIP_HOT,
  type VerifyProblem,
} from '@pagewright/core';
import { FANOUT, keepAll, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const V = 1000;

/** The tree's pages all belong to index 1, and nothing is known of their content. */
const ROOT: PageExpectation = { index: 1, label: 'tree' };

async function openPool(files: SimulatedDevice): Promise<BufferPool> {
  const pool = new BufferPool({ memory: 2 ** 20, pageSize: 4096 });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

async function problemsOf(pool: BufferPool, inspect: (frame: number) => string | null = () => null) {
  const problems: VerifyProblem[] = [];
  await pool.verify<PageExpectation>({
    begin: () => ({
      root: ROOT,
      inspect: (frame, _, report) => {
        const message = inspect(frame);
        if (message !== null) report(message);
        return new Map(
          Array.from({ length: FANOUT }, (_, slot) => [PAGE_HEADER_SIZE + 8 * slot, { index: 1, label: '' }]),
        );
      },
    }),
    visible: () => V,
    report: (problem) => problems.push(problem),
    advanced: () => undefined,
  });
  return problems.map(({ path, message, code }) => `${code} ${path}: ${message}`);
}

const checkpoint = (pool: BufferPool) =>
  pool.checkpoint({ gate: () => ({ timestamp: V, log: NO_LOG }), secureLog: async () => undefined });

it('shows an inspector each page in memory once, also where a page is gone through before the one above it', async () => {
  const pool = await openPool(new SimulatedDevice());
  const { frame: root, offset } = pool.root;
  // Frames are given out from the first one on: the page in the middle of the path is before the one above it.
  const [middle, top, lowest] = [1, 2, 3].map((page) => {
    const frame = pool.allocate(1, page, 0, 0);
    const segment = pool.segmentOf(frame);
    segment.u32[(pool.baseOf(frame) + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
    segment.u16[(pool.baseOf(frame) + PAGE_SWIP_COUNT) >>> 1] = 1;
    segment.u16[(pool.baseOf(frame) + PAGE_SWIP_STRIDE) >>> 1] = 8;
    return frame;
  }) as [number, number, number];
  expect(middle).toBeLessThan(top);
  pool.latch(root);
  pool.modify(root, 0);
  pool.link(root, offset, top);
  pool.link(top, PAGE_HEADER_SIZE, middle);
  pool.link(middle, PAGE_HEADER_SIZE, lowest);
  for (const frame of [root, top, middle, lowest]) pool.unlatch(frame);
  const shown: number[] = [];
  const problems: VerifyProblem[] = [];
  await pool.verify<PageExpectation>({
    begin: () => ({
      root: ROOT,
      inspect: (frame, _, report) => {
        if (shown.includes(frame)) report('It was shown before');
        shown.push(frame);
        if (frame === middle) report('It is not as it should be');
        return new Map([[PAGE_HEADER_SIZE, { index: 1, label: '' }]]);
      },
    }),
    visible: () => V,
    report: (problem) => problems.push(problem),
    advanced: () => undefined,
  });
  expect(problems.map(({ message }) => message)).toEqual(['It is not as it should be']);
  expect([...shown].sort()).toEqual([middle, top, lowest]);
  await pool.close();
});

describe('finds in memory', () => {
  let pool: BufferPool;
  let tree: PageTree;

  beforeEach(async () => {
    const files = new SimulatedDevice();
    const writing = await openPool(files);
    const plants = new PageTree(writing);
    plants.plant(1);
    for (let a = 0; a < 4; a++) {
      plants.insert([], a, 100 + a, 0);
      for (let b = 0; b < 4; b++) plants.insert([a], b, 1000 + a * 4 + b, 0);
    }
    await checkpoint(writing);
    await writing.close();
    // Opened again, the root, [0], [0, 0] and [1] are in memory, all else below them is cold.
    pool = await openPool(files.afterCrash(keepAll));
    tree = new PageTree(pool);
    tree.numberAt([0, 0]);
    tree.numberAt([1]);
  });

  afterEach(() => pool.close());

  /** The frame of the page, which is in memory. */
  function frameOf(path: readonly number[]): number {
    let frame = word(pool.root.frame, pool.root.offset) >>> 2;
    for (const slot of path) frame = word(frame, PAGE_HEADER_SIZE + 8 * slot) >>> 2;
    return frame;
  }

  const word = (frame: number, offset: number): number =>
    pool.segmentOf(frame).u32[(pool.baseOf(frame) + offset) >>> 2] as number;

  function write(frame: number, offset: number, value: number): void {
    pool.segmentOf(frame).u32[(pool.baseOf(frame) + offset) >>> 2] = value >>> 0;
  }

  const swipOf = (slot: number): number => PAGE_HEADER_SIZE + 8 * slot;
  const inPath = (...frames: number[]): string =>
    ['memory', ...frames.map((frame, at) => (at === 0 ? `tree, frame ${frame}` : `frame ${frame}`))].join(' → ');

  it('nothing, if nothing is wrong', async () => {
    expect(await problemsOf(pool)).toEqual([]);
    tree.change([0, 0], 7);
    tree.insert([1], 9, 8, 1);
    tree.remove([], 2);
    expect(await problemsOf(pool)).toEqual([]);
    await checkpoint(pool);
    expect(await problemsOf(pool)).toEqual([]);
  });

  it.each([
    ['a page without a kind', PAGE_KIND, 0, /never formatted/],
    ['a page of another class', PAGE_CLASS, 0x00020007, /class 2, and its frame is of class 0/],
    ['a page of another index', PAGE_INDEX, 5, /index 5 instead of 1/],
    ['a stamp above the last commit', PAGE_TIMESTAMP + 4, 0x41d00000, /stamp \d+, above that of the last commit, 1000/],
    ['a swip table beyond the page', PAGE_SWIP_OFFSET, 4080, /swip table lies beyond/],
  ] as const)('%s', async (_, offset, value, message) => {
    const frame = frameOf([0, 0]);
    write(frame, offset & ~3, value);
    const report = await problemsOf(pool);
    expect(report).toEqual([
      expect.stringMatching(
        new RegExp(`^PW_CORRUPT_PAGE ${inPath(frameOf([]), frameOf([0]), frame)}: .*${message.source}`),
      ),
    ]);
  });

  it('what the index says of its page, in the one place where it is', async () => {
    const frame = frameOf([0, 0]);
    const report = await problemsOf(pool, (looked) => (looked === frame ? 'It is not as it should be' : null));
    expect(report).toEqual([`PW_CORRUPT_PAGE ${inPath(frameOf([]), frameOf([0]), frame)}: It is not as it should be`]);
  });

  it('an index whose check throws, and goes on beside it', async () => {
    const frame = frameOf([1]);
    const report = await problemsOf(pool, (looked) => {
      if (looked === frame) throw new TypeError('of the plugin');
      return null;
    });
    expect(report).toEqual([`PW_INTERNAL ${inPath(frameOf([]), frame)}: The page cannot be looked at: of the plugin`]);
  });

  it('a page that lost its swip, and the count that is wrong with it', async () => {
    const [root, parent, frame] = [frameOf([]), frameOf([0]), frameOf([0, 0])];
    write(parent, swipOf(0), 0);
    expect(await problemsOf(pool)).toEqual([
      expect.stringContaining(
        `PW_INTERNAL ${inPath(root, parent)}: 0 pages below it are in memory, and the frame counts 1`,
      ),
      expect.stringContaining(`PW_INTERNAL ${inPath(root, parent, frame)}: 0 swips of the page in frame ${parent}`),
    ]);
  });

  it('a page that two swips name', async () => {
    const [root, parent, frame] = [frameOf([]), frameOf([0]), frameOf([0, 0])];
    write(parent, swipOf(12), (frame << 2) | SWIP_HOT);
    expect(await problemsOf(pool)).toEqual([
      expect.stringContaining(`PW_INTERNAL ${inPath(root, parent)}: 2 pages below it`),
      expect.stringContaining(`PW_INTERNAL ${inPath(root, parent, frame)}: 2 swips`),
    ]);
  });

  it('a swip to a frame whose page has another place', async () => {
    const [root, other, frame] = [frameOf([]), frameOf([1]), frameOf([0, 0])];
    write(other, swipOf(12), (frame << 2) | SWIP_HOT);
    expect(await problemsOf(pool)).toEqual([
      expect.stringContaining(
        `PW_INTERNAL ${inPath(root, other)}: The swip at offset ${swipOf(12)} names frame ${frame}`,
      ),
      expect.stringContaining(`PW_INTERNAL ${inPath(root, other)}: 1 pages below it`),
    ]);
  });

  it('a swip that says cool of a page that is hot', async () => {
    const frame = frameOf([0, 0]);
    write(frameOf([0]), swipOf(0), (frame << 2) | SWIP_COOL);
    expect(await problemsOf(pool)).toEqual([expect.stringContaining('The page is hot, and its swip says otherwise')]);
  });

  it('rubbish where a swip should be', async () => {
    write(frameOf([0]), swipOf(12), 0x1234 << 2);
    expect(await problemsOf(pool)).toEqual([expect.stringContaining(`There is no swip at offset ${swipOf(12)}`)]);
  });

  it('a stored page that two swips name, and one that is not where it is said to be', async () => {
    const parent = frameOf([0]);
    const [address, checksum] = [word(parent, swipOf(1)), word(parent, swipOf(1) + 4)];
    write(parent, swipOf(12), address);
    write(parent, swipOf(12) + 4, checksum);
    expect(await problemsOf(pool)).toEqual([
      expect.stringContaining(
        `${inPath(frameOf([]), parent)}: The swip at offset ${swipOf(12)} names an extent that is named by`,
      ),
    ]);
    write(parent, swipOf(12), 0);
    write(parent, swipOf(1) + 4, checksum ^ 1);
    expect(await problemsOf(pool)).toEqual([
      expect.stringMatching(`^PW_CORRUPT_PAGE ${inPath(frameOf([]), parent)} → page at byte \\d+: .*checksum`),
    ]);
  });
});
