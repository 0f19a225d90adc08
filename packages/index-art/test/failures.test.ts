/**
 * Errors at any allocation and any `modify` leave the tree as it was, or as it is to be, with every page in it and all latches given back: in puts that divide pages, in removals that draw
 * pages in, in bulk loads. ART_SEED repeats a run.
 */
import { isPagewrightError, PagewrightError } from '@pagewright/core';
import { keyBytes, Random, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { ArtType } from '../src/index.js';
import { ModeledTree } from './model.js';
import { shapeOf } from './pages.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));
const SEEDS = [1, SEED];
const LONGEST = 1024;
/** More than any operation here has. */
const MOST_CALLS = 100;
const KINDS = [
  ['failAllocation', 'PW_POOL_EXHAUSTED'],
  ['failModify', 'PW_FULL'],
] as const;
type Kind = (typeof KINDS)[number];

/** A tree with slices, slices next to each other, and pages below pages: short keys, and some behind long beginnings. */
function grownTree(random: Random, count: number): ModeledTree {
  const tree = new ModeledTree({ frames: 8192 });
  for (let i = 0; i < count; i++) tree.put(drawKey(random), 0, valueBytes(i, random.below(500)));
  return tree;
}

function drawKey(random: Random): string {
  const beginning = random.chance(0.3) ? 'x'.repeat(random.below(700)) : '';
  const rest = Array.from({ length: random.between(1, 4) }, () => String.fromCharCode(random.below(256)));
  return beginning + rest.join('');
}

/** Runs an operation of which a call of the store fails; whether it passed the error on. */
function fails(tree: ModeledTree, [what, code]: Kind, nth: number, operation: () => void): boolean {
  tree.pages[what] = nth;
  try {
    operation();
    return false;
  } catch (error) {
    if (!isPagewrightError(error, code)) throw error;
    return true;
  }
}

/** Whether a call that was to fail has not been made. */
function isLeft(tree: ModeledTree, [what]: Kind): boolean {
  const left = tree.pages[what] >= 0;
  tree.pages[what] = -1;
  return left;
}

it.each(SEEDS)('whichever call of a put fails that divides pages, the tree is whole (ART_SEED=%i)', (seed) => {
  const random = new Random(seed);
  const tree = grownTree(random, 300);
  const failures = { failAllocation: 0, failModify: 0 };
  /** Failures behind the first `modify`: in a division, or behind it. */
  let late = 0;
  for (let i = 0; i < 200; i++) {
    const key = drawKey(random);
    const value = valueBytes(i, random.chance(0.1) ? 3000 : LONGEST - key.length);
    // Now allocations fail first, now calls of modify: what a put that failed has divided is room for the next attempt.
    for (const kind of [KINDS[i & 1]!, KINDS[(i + 1) & 1]!]) {
      for (let nth = 0; ; nth++) {
        if (nth > MOST_CALLS) throw new Error('a put fails again and again');
        const hasFailed = fails(tree, kind, nth, () => tree.index.upsert(keyBytes(key), 5, value, ++tree.timestamp));
        const isOver = isLeft(tree, kind);
        if (!hasFailed) tree.notePut(key, 5, value);
        tree.expectEntry(key);
        tree.pages.assertQuiet();
        if (isOver) break;
        failures[kind[0]]++;
        if (nth > 0) late++;
      }
    }
    if (i % 4 === 0) tree.expectWhole();
  }
  tree.expectWhole();
  expect(shapeOf(tree).slices).toBeGreaterThan(5);
  expect(failures.failAllocation).toBeGreaterThan(40);
  expect(failures.failModify).toBeGreaterThan(120);
  expect(late).toBeGreaterThan(40);
});

it.each(
  SEEDS,
)('whichever call of a removal fails that draws pages in, the entry is there or not as it was said (ART_SEED=%i)', (seed) => {
  const random = new Random(seed);
  const tree = grownTree(random, 700);
  for (let i = 0; i < 20; i++) tree.put(drawKey(random), 0, valueBytes(i, 3000));
  const keys = tree.sorted;
  const kind = KINDS[1];
  let refused = 0;
  /** Failures while a page was drawn in, or given up: they are passed over. */
  let passedOver = 0;
  for (let i = 0; tree.sorted.length > 0; i++) {
    const key = random.pick(tree.sorted);
    const hasFailed = fails(tree, kind, i % 4, () => {
      if (!tree.index.remove(keyBytes(key), ++tree.timestamp)) throw new Error('The entry is missing');
      tree.noteRemoval(key);
    });
    const isOver = isLeft(tree, kind);
    if (hasFailed) refused++;
    else if (!isOver) passedOver++;
    tree.expectEntry(key);
    tree.pages.assertQuiet();
    if (i % 20 === 0) tree.expectWhole();
  }
  tree.expectWhole();
  expect(refused).toBeGreaterThan(100);
  expect(passedOver).toBeGreaterThan(40);
  // What was passed over is done by removals after it.
  for (let i = 0; i < keys.length; i++) tree.put(keys[i]!, 0, valueBytes(i, 300));
  for (const key of keys) tree.remove(key);
  tree.expectWhole();
  expect(shapeOf(tree).pages).toBe(1);
});

it.each(
  SEEDS,
)('whichever call of a bulk load fails, no page is lost, the tree can be given up and loaded again (ART_SEED=%i)', (seed) => {
  for (const kind of KINDS) {
    let failures = 0;
    for (let nth = 0; ; nth++) {
      const random = new Random(seed);
      const tree = new ModeledTree({ frames: 2048 });
      const keys = new Set(Array.from({ length: 160 }, () => drawKey(random)));
      const entries = [...keys].sort().map((key, i) => [key, valueBytes(i, i % 8 === 0 ? 2000 : 100)] as const);
      const load = () => {
        const bulkLoad = tree.index.bulkLoad!(++tree.timestamp, 1);
        for (const [key, value] of entries) bulkLoad.add(keyBytes(key), value);
        bulkLoad.finish();
      };
      const hasFailed = fails(tree, kind, nth, load);
      const isOver = isLeft(tree, kind);
      tree.pages.assertQuiet();
      expect(hasFailed).toBe(!isOver);
      if (hasFailed) {
        failures++;
        while (!tree.pages.releaseTree(tree.root, tree.timestamp, 5)) tree.pages.assertQuiet();
        expect(tree.pages.countPages(tree.root)).toBe(0);
        const type = new ArtType();
        tree.index = type.create({ pages: tree.pages, number: 7, root: tree.root }, ++tree.timestamp);
        load();
      }
      for (const [key, value] of entries) tree.notePut(key, 0, value);
      tree.expectWhole();
      if (isOver) break;
    }
    expect(failures).toBeGreaterThan(15);
  }
});

it('an entry is as it was when there is no page for its value, or the page of the old one cannot be given up', () => {
  const tree = new ModeledTree();
  tree.put('large', 1, valueBytes(1, 5000));
  tree.put('small', 1, valueBytes(2, 50));
  const expectRefused = (kind: Kind | null, operation: () => void) => {
    if (kind !== null) expect(fails(tree, kind, 0, operation)).toBe(true);
    else expect(operation).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    tree.expectWhole();
  };
  for (const key of ['large', 'small', 'neither'])
    expectRefused(KINDS[0], () => tree.index.upsert(keyBytes(key), 2, valueBytes(3, 6000), ++tree.timestamp));
  const { pages } = tree;
  const discard = pages.discard.bind(pages);
  const { freeFrames } = pages.stats();
  pages.discard = () => {
    throw new PagewrightError('PW_IO', 'This call of discard was told to fail.');
  };
  for (const size of [6000, 50])
    expectRefused(null, () => tree.index.upsert(keyBytes('large'), 2, valueBytes(3, size), ++tree.timestamp));
  expectRefused(null, () => tree.index.remove(keyBytes('large'), ++tree.timestamp));
  pages.discard = discard;
  expect(pages.stats().freeFrames).toBe(freeFrames);
  tree.expectWhole();
});
