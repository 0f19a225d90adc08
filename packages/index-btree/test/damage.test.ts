/** Damaged pages: `check` names what is wrong; what no check can see, reads notice. */
import { isPagewrightError } from '@pagewright/core';
import { checkTree, GuardedPages, keyBytes, readCursor, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { copyKey } from '../src/node-keys.js';
import { ModeledTree } from './model.js';

const LEAF = 1;
const INNER = 2;
const VALUE = 3;
/** Stands for the first leaf that has a value on a page of its own. */
const LARGE = 1000;

function soundTree() {
  const tree = new ModeledTree({ frames: 2048 });
  for (let i = 0; i < 600; i++)
    tree.put(
      `users/${String(i * 3).padStart(6, '0')}/${'abc'.repeat(i % 5)}`,
      i & 255,
      valueBytes(i, i % 60 === 0 ? 3000 : 50),
    );
  for (let i = 0; i < 40; i++) tree.remove(tree.sorted[i * 9]!);
  return tree;
}

/** The pages of a kind, from left to right. */
function pagesOf(tree: ModeledTree, kind: number): number[] {
  const frames: number[] = [];
  tree.pages.walk(tree.root, (frame) => {
    if (tree.pages.segmentOf(frame).u16[tree.pages.baseOf(frame) >>> 1] === kind) frames.push(frame);
  });
  return frames;
}

/** Access to one page by offset. */
function page(tree: ModeledTree, frame: number) {
  const { u8, u16, u32 } = tree.pages.segmentOf(frame);
  const base = tree.pages.baseOf(frame);
  return {
    u8: (at: number) => u8[base + at]!,
    u16: (at: number) => u16[(base + at) >>> 1]!,
    u32: (at: number) => u32[(base + at) >>> 2]!,
    set8(at: number, value: number): void {
      u8[base + at] = value;
    },
    set16(at: number, value: number): void {
      u16[(base + at) >>> 1] = value;
    },
    set32(at: number, value: number): void {
      u32[(base + at) >>> 2] = value;
    },
  };
}

type Page = ReturnType<typeof page>;

function hasLarge(p: Page): boolean {
  return p.u16(20) > 0 && p.u32(p.u32(16)) !== 0;
}

/** Slot of the first entry whose value is on a page of its own. */
function largeSlot(p: Page): number {
  for (let i = 0; i < p.u16(32); i++) if ((p.u8(128 + 12 * i + 11) & 1) === 1) return 128 + 12 * i;
  throw new Error('The leaf has no such entry');
}

const DAMAGE: readonly { name: string; kind: number; at?: number; plant: (p: Page) => void; report: RegExp }[] = [
  { name: 'a page of another index', kind: LEAF, plant: (p) => p.set32(4, 99), report: /belongs to index 99/ },
  { name: 'a wrong size class', kind: LEAF, plant: (p) => p.set8(2, 1), report: /size class/ },
  { name: 'a page of another kind', kind: LEAF, plant: (p) => p.set16(0, INNER), report: /kind 2 instead of 1/ },
  { name: 'a wrong level', kind: INNER, plant: (p) => p.set8(44, 5), report: /kind 1 instead of 2/ },
  { name: 'more keys than fit', kind: LEAF, plant: (p) => p.set16(32, 5000), report: /do not fit/ },
  { name: 'a heap that begins in the slots', kind: LEAF, plant: (p) => p.set32(48, 80), report: /do not fit/ },
  { name: 'a wrong sum of the heap', kind: LEAF, plant: (p) => p.set32(52, p.u32(52) - 8), report: /bytes in use/ },
  {
    name: 'keys out of order',
    kind: LEAF,
    at: 3,
    plant: (p) => p.set32(128 + 24, p.u32(128) - 1),
    report: /not above the one before/,
  },
  { name: 'a changed head', kind: LEAF, plant: (p) => p.set32(128, 0xffffffff), report: /not above|not below/ },
  {
    name: 'a key above the fence',
    kind: LEAF,
    plant: (p) => p.set32(128 + 12 * (p.u16(32) - 1), 0xffffffff),
    report: /not below the page's upper bound/,
  },
  {
    name: 'a key below the lower bound',
    kind: LEAF,
    at: 4,
    plant: (p) => p.set32(128, 0),
    report: /below the page's lower bound/,
  },
  { name: 'a changed prefix', kind: LEAF, at: 3, plant: (p) => p.set8(p.u16(36), 1), report: /prefix|bound/ },
  {
    name: 'a changed fence',
    kind: LEAF,
    plant: (p) => p.set8(p.u16(42) + p.u16(40) - 1, 1),
    report: /upper fence is not the bound/,
  },
  {
    name: 'a fence where there is none',
    kind: LEAF,
    at: -1,
    plant: (p) => p.set16(40, 0),
    report: /upper fence is not the bound/,
  },
  { name: 'too much guaranteed', kind: LEAF, at: 2, plant: (p) => p.set16(38, p.u16(34) + 1), report: /guaranteed/ },
  { name: 'a prefix outside the page', kind: LEAF, plant: (p) => p.set16(34, 1020), report: /outside the page/ },
  { name: 'overlapping entries', kind: LEAF, plant: (p) => p.set16(128 + 4, p.u16(128 + 16)), report: /overlaps/ },
  {
    name: 'a heap of a leaf that is not aligned',
    kind: LEAF,
    plant: (p) => p.set32(48, p.u32(48) - 4),
    report: /not aligned/,
  },
  {
    name: 'an entry outside the page',
    kind: LEAF,
    plant: (p) => p.set16(128 + 8, 0x3fff),
    report: /outside the page|overlaps/,
  },
  {
    name: 'a value that is not aligned',
    kind: LEAF,
    plant: (p) => p.set16(128 + 4, p.u16(128 + 4) - 1),
    report: /not aligned/,
  },
  {
    name: 'a key that is too long',
    kind: LEAF,
    plant: (p) => p.set16(128 + 6, 2000),
    report: /outside the page, or is too long/,
  },
  {
    name: 'a fingerprint of another key',
    kind: LEAF,
    at: 3,
    plant: (p) => p.set8(128 + 12 + 11, p.u8(128 + 12 + 11) ^ 6),
    report: /fingerprint of key 1/,
  },
  {
    name: 'a value on a swip that is not there',
    kind: LEAF,
    at: LARGE,
    plant: (p) => p.set16(largeSlot(p) + 8, 500),
    report: /names swip 500/,
  },
  {
    name: 'a value that lost its swip',
    kind: LEAF,
    at: LARGE,
    plant: (p) => p.set32(p.u32(16), 0),
    report: /which is null/,
  },
  {
    name: 'a swip that no entry names',
    kind: LEAF,
    at: LARGE,
    plant: (p) => p.set8(largeSlot(p) + 11, p.u8(largeSlot(p) + 11) & ~1),
    report: /No entry names swip/,
  },
  { name: 'a table of swips outside the page', kind: LEAF, plant: (p) => p.set32(16, 4096), report: /table of/ },
  { name: 'a table of swips over entries', kind: LEAF, plant: (p) => p.set32(16, p.u32(16) - 8), report: /overlaps/ },
  { name: 'a missing child', kind: INNER, plant: (p) => p.set32(136, 0), report: /Child 0 is missing/ },
  {
    name: 'a child too few in the table',
    kind: INNER,
    plant: (p) => p.set16(20, p.u16(20) - 1),
    report: /table of swips is not that/,
  },
  { name: 'separators out of order', kind: INNER, plant: (p) => p.set32(128, 0xffffffff), report: /not above/ },
  {
    name: 'a separator that is not its children’s',
    kind: INNER,
    plant: (p) => p.set32(128 + 16, p.u32(128 + 16) - 1),
    report: /bound/,
  },
  {
    name: 'a value longer than its page',
    kind: VALUE,
    plant: (p) => p.set32(32, 5000),
    report: /longer than its page/,
  },
  { name: 'a node where a value belongs', kind: VALUE, plant: (p) => p.set16(0, LEAF), report: /kind 1 instead of 3/ },
];

describe('check reports', () => {
  for (const { name, kind, at = 0, plant, report } of DAMAGE) {
    it(name, () => {
      const tree = soundTree();
      expect(checkTree(tree.index, tree.pages)).toEqual([]);
      const frames = pagesOf(tree, kind);
      const frame = at === LARGE ? frames.find((leaf) => hasLarge(page(tree, leaf)))! : frames.at(at)!;
      const base = tree.pages.baseOf(frame);
      const before = tree.pages.segmentOf(frame).u8.slice(base, base + 4096);
      plant(page(tree, frame));
      tree.pages.acceptBytes(frame);
      // One page alone: what hangs below a damaged one may not be reachable.
      const found: string[] = [];
      const bounds = boundsOf(tree, frame, before);
      tree.index.check(frame, bounds.own, (message) => found.push(message));
      for (const child of bounds.children)
        tree.index.check(child.frame, child.of(frame), (message) => found.push(message));
      expect(found.join('\n')).toMatch(report);
    });
  }
});

/** The bounds of a page as its parent sets them, and its children, found while the page was sound. */
function boundsOf(tree: ModeledTree, frame: number, sound: Uint8Array) {
  const { u8 } = tree.pages.segmentOf(frame);
  const base = tree.pages.baseOf(frame);
  const damaged = u8.slice(base, base + sound.length);
  u8.set(sound, base);
  const silent = () => {};
  let own = { lower: null, upper: null } as Parameters<ModeledTree['index']['check']>[1];
  const known = new Map<number, typeof own>();
  const children: { frame: number; of: (parent: number) => typeof own }[] = [];
  tree.pages.walk(tree.root, (page, offset, parent) => {
    const bounds = known.get(parent * 65536 + offset) ?? own;
    if (page === frame) own = bounds;
    for (const [below, given] of tree.index.check(page, bounds, silent)) known.set(page * 65536 + below, given);
    if (parent === frame) {
      const of = (damagedParent: number) => tree.index.check(damagedParent, own, silent).get(offset) ?? bounds;
      children.push({ frame: page, of });
    }
  });
  u8.set(damaged, base);
  return { own, children: children.slice(0, 3) };
}

it('a scan backwards over a damaged separator fails, and does not end before its time', () => {
  const tree = soundTree();
  const root = pagesOf(tree, INNER)[0]!;
  const p = page(tree, root);
  // The separator before the last child cannot be read any more; on the way to the last child no search meets it.
  p.set16(128 + 16 * (p.u16(32) - 1) + 6, 3000);
  tree.pages.acceptBytes(root);
  const cursor = tree.index.cursor();
  cursor.seek(null, { reverse: true });
  expect(() => readCursor(cursor, 100)).toThrow(/damaged/);
});

it('an entry of no bytes in the heap that does not lie where a value may go is reported', () => {
  const tree = new ModeledTree({ frames: 64 });
  for (let i = 7; i >= 0; i--) tree.put(`k${i}`, 0, valueBytes(i, i === 0 ? 0 : 40));
  const [frame] = pagesOf(tree, LEAF) as [number];
  const p = page(tree, frame);
  p.set16(128 + 4, p.u16(128 + 4) ^ 1);
  tree.pages.acceptBytes(frame);
  expect(checkTree(tree.index, tree.pages).join()).toMatch(/entry 0 is not aligned/);
  const upsert = () => tree.index.upsert(keyBytes('k0'), 0, valueBytes(1, 40), 1);
  expect(upsert).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
});

it('the page of a value in place of the root is reported', () => {
  const tree = soundTree();
  const found: string[] = [];
  tree.index.check(pagesOf(tree, VALUE)[0]!, { lower: null, upper: null }, (message) => found.push(message));
  expect(found.join()).toMatch(/root of a tree/);
});

describe('a change of a damaged page is refused before it writes anywhere', () => {
  /** Damages a page, and expects that the change is refused and that no byte has changed. */
  function expectRefused(
    kind: number,
    plant: (p: Page) => void,
    change: (tree: ModeledTree, key: Uint8Array) => void,
  ): void {
    const tree = soundTree();
    const frames = pagesOf(tree, kind);
    const frame = frames.find((leaf) => kind !== LEAF || hasLarge(page(tree, leaf)))!;
    const { own } = boundsOf(tree, frame, copyOf(tree, frame));
    const key = kind === LEAF ? keyOfLarge(tree, frame) : keyBytes(`${tree.sorted[0]!}/more`);
    plant(page(tree, frame));
    tree.pages.acceptBytes(frame);
    const before = tree.pages.segmentOf(0).u8.slice();
    expect(() => change(tree, key), JSON.stringify(own)).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
    expect(Buffer.compare(tree.pages.segmentOf(0).u8, before)).toBe(0);
  }

  /** The key of the entry in the first slot whose value has a page of its own. */
  function keyOfLarge(tree: ModeledTree, leaf: number): Uint8Array {
    const slot = (largeSlot(page(tree, leaf)) - 128) / 12;
    const base = tree.pages.baseOf(leaf);
    const key = new Uint8Array(1024);
    const length = copyKey(tree.pages.segmentOf(leaf), base, 4096, 12, slot, key);
    return key.slice(0, length);
  }

  it('when the table of swips of a leaf lies outside it', () => {
    for (const offset of [127 << 8, 4092, 60]) {
      expectRefused(
        LEAF,
        (p) => p.set32(16, offset),
        (tree, key) => tree.index.remove(key, 1),
      );
      expectRefused(
        LEAF,
        (p) => p.set32(16, offset),
        (tree, key) => tree.index.upsert(key, 0, valueBytes(1, 3000), 1),
      );
    }
  });

  it('when an entry names a swip that the table does not have', () => {
    const plant = (p: Page): void => p.set16(largeSlot(p) + 8, 0xfff0);
    expectRefused(LEAF, plant, (tree, key) => tree.index.remove(key, 1));
    expectRefused(LEAF, plant, (tree, key) => tree.index.upsert(key, 0, valueBytes(1, 3000), 1));
  });

  it('when more of the prefix is guaranteed than there is', () => {
    expectRefused(
      LEAF,
      (p) => p.set16(38, 0xffff),
      (tree, key) => tree.index.upsert(key, 0, valueBytes(1, 40), 1),
    );
  });

  it('when the table of swips of a leaf lies in its lowest entry', () => {
    for (const change of [
      (tree: ModeledTree, key: Uint8Array) => tree.index.remove(key, 1),
      (tree: ModeledTree, key: Uint8Array) => tree.index.upsert(key, 0, valueBytes(1, 1000), 1),
      (tree: ModeledTree, key: Uint8Array) => tree.index.upsert(key, 0, valueBytes(1, 3000), 1),
    ]) {
      const tree = soundTree();
      const frame = pagesOf(tree, LEAF).find((leaf) => hasLarge(page(tree, leaf)))!;
      const p = page(tree, frame);
      const [table, heap] = [p.u32(16), p.u32(48)];
      let slot = 0;
      while (
        (p.u8(128 + 12 * slot + 11) & 1) !== 0 ||
        p.u16(128 + 12 * slot + 4) - p.u16(128 + 12 * slot + 8) !== heap
      ) {
        slot++;
        expect(128 + 12 * slot, 'no entry is the lowest').toBeLessThan(heap);
      }
      for (let at = 0; at < 8; at += 4) p.set32(heap + at, p.u32(table + at));
      p.set32(16, heap);
      tree.pages.acceptBytes(frame);
      const key = new Uint8Array(1024);
      const length = copyKey(tree.pages.segmentOf(frame), tree.pages.baseOf(frame), 4096, 12, slot, key);
      const before = tree.pages.segmentOf(0).u8.slice();
      const refused = expect.objectContaining({ code: 'PW_CORRUPT_PAGE' });
      expect(() => change(tree, key.slice(0, length))).toThrow(refused);
      expect(tree.pages.latchesHeld).toBe(0);
      expect(Buffer.compare(tree.pages.segmentOf(0).u8, before)).toBe(0);
    }
  });

  it('when the separator before a leaf that must be split lies outside its page, and no new page is left over', () => {
    const tree = new ModeledTree({ frames: 2048 });
    for (let i = 0; i < 60; i++) tree.put(`${String.fromCharCode(97 + (i % 20))} ${i}`, 0, valueBytes(i, 400));
    const [inner] = pagesOf(tree, INNER) as [number];
    const p = page(tree, inner);
    const slot = 128 + 16 * 2;
    const child = p.u32(slot + 16 + 8) >>> 2;
    const key = new Uint8Array(1024);
    const length = copyKey(tree.pages.segmentOf(child), tree.pages.baseOf(child), 4096, 12, 1, key);
    p.set16(slot + 6, 4000);
    tree.pages.acceptBytes(inner);
    const pages = tree.pages.countPages(tree.root);
    const { freeFrames } = tree.pages.stats();
    const near = (i: number): Uint8Array => Buffer.concat([key.subarray(0, length), Buffer.from(`+${i}`)]);
    expect(() => {
      for (let i = 0; i < 40; i++) tree.index.upsert(near(i), 0, valueBytes(i, 400), 1);
    }).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
    expect(tree.pages.latchesHeld).toBe(0);
    expect(tree.pages.countPages(tree.root)).toBe(pages);
    expect(tree.pages.stats().freeFrames).toBe(freeFrames);
  });

  it('when the entries of a leaf that must be split overlap, and are more than two pages hold', () => {
    const tree = new ModeledTree({ frames: 2048 });
    for (let i = 0; i < 60; i++) tree.put(`key ${String(i).padStart(4, '0')}`, 0, valueBytes(i, 40));
    const [frame] = pagesOf(tree, LEAF) as [number];
    const p = page(tree, frame);
    // Every entry says that its value is all of the heap before it.
    for (let slot = 128; slot < 128 + 12 * p.u16(32); slot += 12) p.set16(slot + 8, p.u16(slot + 4) & ~7);
    for (let slot = 128; slot < 128 + 12 * p.u16(32); slot += 12) p.set16(slot + 4, p.u16(slot + 8));
    tree.pages.acceptBytes(frame);
    const before = tree.pages.segmentOf(0).u8.slice();
    expect(() => {
      for (let i = 0; i < 200; i++) tree.index.upsert(keyBytes(`key 0000/${i}`), 0, valueBytes(i, 900), 1);
    }).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
    const other = pagesOf(tree, LEAF).filter((leaf) => leaf !== frame);
    for (const leaf of other) {
      const base = tree.pages.baseOf(leaf);
      expect(Buffer.compare(copyOf(tree, leaf), before.subarray(base, base + 4096)), `leaf ${leaf}`).toBe(0);
    }
  });
});

it('a key whose rest is said to be at the very end of its page is not compared beyond it', () => {
  const pages = new GuardedPages({ watch: false });
  const tree = new ModeledTree({}, pages);
  for (let i = 0; i < 120; i++) tree.put(`k/${i * 7}`, 1, valueBytes(i, i % 20 === 0 ? 3000 : 60));
  const p = page(tree, pagesOf(tree, LEAF)[0]!);
  for (let i = 0; i < p.u16(32); i++) {
    p.set16(128 + 12 * i + 4, 4095);
    p.set16(128 + 12 * i + 6, 30);
  }
  pages.guarded = true;
  for (const key of tree.sorted.map(keyBytes)) {
    const longer = new Uint8Array(200);
    longer.set(key);
    mayBeDamaged(() => tree.index.lookup(longer, tree.reference));
    longer.set(key.subarray(0, 6));
    for (let last = 0; last < 256; last++)
      mayBeDamaged(() => tree.index.lookup(longer.fill(last, 6, 7), tree.reference));
  }
  pages.guarded = false;
  expect(pages.outside).toBe(0);
});

function copyOf(tree: ModeledTree, frame: number): Uint8Array {
  const base = tree.pages.baseOf(frame);
  return tree.pages.segmentOf(frame).u8.slice(base, base + tree.pages.sizeOf(frame));
}

function mayBeDamaged(operation: () => void): void {
  try {
    operation();
  } catch (error) {
    if (!isPagewrightError(error, 'PW_CORRUPT_PAGE')) throw error;
  }
}
