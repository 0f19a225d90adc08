/** Damaged pages: `check` names what is wrong; what no check is asked about, changes notice before they write anything. */
import { isPagewrightError, type PagewrightError } from '@pagewright/core';
import { checkTree, GuardedPages, keyBytes, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { LEAF, LINK, NODE4, NODE16, NODE48, NODE256, SLICE } from '../src/node-layout.js';
import { ModeledTree } from './model.js';
import { type PageView, pageWhere } from './pages.js';

function soundTree(): ModeledTree {
  const tree = new ModeledTree({ frames: 2048, watch: false });
  for (let i = 0; i < 700; i++) {
    const value = valueBytes(i, i % 60 === 0 ? 3000 : 40);
    tree.put(`users/${String(i * 3).padStart(6, '0')}/${'abc'.repeat(i % 5)}`, i & 255, value);
  }
  for (let byte = 0; byte < 256; byte += 2) tree.put(`z${String.fromCharCode(byte)}${byte}`, 0, valueBytes(byte, 20));
  for (let byte = 0; byte < 30; byte++) tree.put(`y/${String.fromCharCode(byte)}`, 0, valueBytes(byte, 4));
  for (let byte = 0; byte < 9; byte++) tree.put(`x/${String.fromCharCode(byte)}`, 0, valueBytes(byte, 4));
  return tree;
}

interface Damage {
  readonly name: string;
  /** Of which page. Default: the first one. */
  readonly where?: (page: PageView) => boolean;
  readonly plant: (page: PageView) => void;
  readonly report: RegExp;
}

const has = (kind: number) => (page: PageView) => page.find(kind) >= 0;
const DAMAGE: readonly Damage[] = [
  { name: 'a page of another index', plant: (p) => p.set32(4, 99), report: /belongs to index 99/ },
  { name: 'a wrong size class', plant: (p) => p.set8(2, 1), report: /size class/ },
  { name: 'a page of another kind', plant: (p) => p.set16(0, 2), report: /kind 2 instead of 1/ },
  { name: 'a wrong depth', plant: (p) => p.set16(34, 3), report: /behind 3 bytes of keys instead of 0/ },
  { name: 'a root that says that it is a slice', plant: (p) => p.set16(42, 1), report: /a slice, and the page above/ },
  { name: 'a heap beyond the page', plant: (p) => p.set16(36, 600), report: /do not fit/ },
  { name: 'a wrong sum of the heap', plant: (p) => p.set16(38, p.u16(38) - 1), report: /bytes in use/ },
  { name: 'a wrong number of entries', plant: (p) => p.set16(40, p.u16(40) + 1), report: /entries, the header says/ },
  { name: 'a root that leads nowhere', plant: (p) => p.set16(32, 0xfff8 | NODE4), report: /leads to no block/ },
  { name: 'a root that is a link', plant: (p) => p.set16(32, LINK), report: /leads to no block/ },
  {
    name: 'a leaf beyond the heap',
    where: has(LEAF),
    plant: (p) => p.set16(p.find(LEAF) + 2, 4000),
    report: /beyond the heap/,
  },
  {
    name: 'a swip that is not there',
    where: has(LEAF),
    plant: (p) => p.set16(p.find(LEAF) + 2, 0x8fff),
    report: /Swip 4095/,
  },
  {
    name: 'a key that is too long',
    where: has(LEAF),
    plant: (p) => p.set16(p.find(LEAF), 3000),
    report: /beyond|has 3\d* bytes/,
  },
  {
    name: 'keys that do not rise',
    where: has(NODE4),
    plant: (p) => p.set8(p.find(NODE4) + 4, 0xff),
    report: /do not rise|without a child/,
  },
  {
    name: 'a key without a child',
    where: has(NODE16),
    plant: (p) => p.set8(p.find(NODE16) + 4 + 15, 0xff),
    report: /without a child/,
  },
  {
    name: 'a place that is empty',
    where: has(NODE48),
    plant: (p) => p.set8(p.find(NODE48) + 8 + 200, 48),
    report: /where there is nothing/,
  },
  {
    name: 'a place that there is not',
    where: has(NODE48),
    plant: (p) => p.set8(p.find(NODE48) + 8, 77),
    report: /place 77/,
  },
  {
    name: 'a wrong number of references',
    where: has(NODE48),
    plant: (p) => p.set16(p.find(NODE48) + 4, 3),
    report: /references, and says 3/,
  },
  {
    name: 'a wrong number of bytes',
    where: has(NODE256),
    plant: (p) => p.set16(p.find(NODE256) + 4, 3),
    report: /references, and says 3/,
  },
  {
    name: 'a block that is reached twice',
    where: has(NODE256),
    plant: (p) => p.set16(p.find(NODE256) + 8 + 2 * 41, p.u16(p.find(NODE256) + 8 + 2 * 40)),
    report: /reached twice/,
  },
  {
    name: 'a prefix that is too long',
    where: has(NODE4),
    plant: (p) => p.set16(p.find(NODE4), 2000),
    report: /beyond the heap|makes keys of/,
  },
  {
    name: 'a terminator that is a node',
    where: has(NODE16),
    plant: (p) => p.set16(p.find(NODE16) + 2, p.root),
    report: /is no leaf/,
  },
  {
    name: 'a slice with a prefix',
    where: (p) => p.kind === 1 && p.u16(42) === 1,
    plant: (p) => p.set16(p.root & 0xfff8, 1),
    report: /has a prefix or a terminator/,
  },
  {
    name: 'a slice that says that it is none',
    where: (p) => p.u16(42) === 1,
    plant: (p) => p.set16(42, 0),
    report: /a subtree, and the page above/,
  },
  {
    name: 'a null swip that is named',
    where: (p) => p.hasLink(SLICE) || p.hasLink(LINK),
    plant: (p) => p.set32(p.u16(16), 0),
    report: /is named, and null/,
  },
  {
    name: 'a table of swips elsewhere',
    where: (p) => p.u16(20) > 0,
    plant: (p) => p.set32(16, 4000),
    report: /table of/,
  },
];

it.each(DAMAGE)('$name is reported', ({ where = () => true, plant, report }) => {
  const tree = soundTree();
  expect(checkTree(tree.index, tree.pages, tree.root)).toEqual([]);
  const page = pageWhere(tree, where);
  plant(page);
  tree.pages.acceptBytes(page.frame);
  expect(checkTree(tree.index, tree.pages, tree.root).join('; ')).toMatch(report);
});

it('a look-up reads nothing beyond the page, wherever its leaf is said to be', () => {
  const pages = new GuardedPages({ frames: 64, watch: false });
  const tree = new ModeledTree({}, pages);
  tree.put('a key of some length, which is compared byte by byte', 0, valueBytes(1, 3));
  const page = pageWhere(tree, () => true);
  const key = 'another one of such a length that it would reach beyond the page';
  for (let at = 4000; at < 4096; at += 8) {
    page.set16(32, at | LEAF);
    page.set16(at, key.length);
    for (let i = 0; i < key.length && at + 5 + i < 4096; i++) page.set8(at + 5 + i, key.charCodeAt(i));
    pages.guarded = true;
    codeOf(() => tree.index.lookup(keyBytes(key), tree.reference));
    pages.guarded = false;
  }
  expect(pages.outside).toBe(0);
});

it('a look-up takes no reference of a kind that there is not for a leaf', () => {
  const pages = new GuardedPages({ frames: 64, watch: false });
  const tree = new ModeledTree({}, pages);
  tree.put('a', 0, valueBytes(1, 3));
  const page = pageWhere(tree, () => true);
  for (const reference of [8, 4088, 0xdfb8, 0xfff8]) {
    page.set16(32, reference);
    pages.guarded = true;
    expect(codeOf(() => tree.index.lookup(keyBytes('a'), tree.reference))).toBe('PW_CORRUPT_PAGE');
    pages.guarded = false;
  }
  expect(pages.outside).toBe(0);
});

describe('changes of a damaged page', () => {
  const REFUSED: readonly (readonly [string, (page: PageView) => void])[] = [
    ['a heap beyond the page', (p) => p.set16(36, 600)],
    ['more in use than there is', (p) => p.set16(38, 600)],
    ['a root that leads nowhere', (p) => p.set16(32, 0xfff8 | NODE256)],
    ['a depth beyond every key', (p) => p.set16(34, 2000)],
    ['a prefix that is too long', (p) => p.set16(p.root & 0xfff8, 4000)],
    ['a table of swips in the heap', (p) => p.set16(20, 511)],
  ];

  it.each(REFUSED)('are refused, and write nothing: %s', (_, plant) => {
    const tree = new ModeledTree({ frames: 64, watch: false });
    for (let i = 0; i < 20; i++) tree.put(`users/${String(i).padStart(6, '0')}`, 0, valueBytes(i, i === 3 ? 3000 : 30));
    const page = pageWhere(tree, () => true);
    plant(page);
    tree.pages.acceptBytes(page.frame);
    const before = snapshot(tree, page.frame);
    for (const change of [
      () => tree.index.upsert(keyBytes('users/000003/new'), 0, valueBytes(1, 300), 5000),
      () => tree.index.remove(keyBytes('users/000003'), 5000),
    ]) {
      expect(codeOf(change)).toBe('PW_CORRUPT_PAGE');
      expect(tree.pages.latchesHeld).toBe(0);
    }
    expect(Buffer.compare(before, snapshot(tree, page.frame))).toBe(0);
  });

  it('that must make room find out that nodes are not what the header says, and leave the page as it is', () => {
    const tree = soundTree();
    const page = pageWhere(tree, () => true);
    page.set16(40, page.u16(40) + 1);
    tree.pages.acceptBytes(page.frame);
    let code: string | undefined;
    for (let i = 0; i < 200 && code === undefined; i++)
      code = codeOf(() =>
        tree.index.upsert(keyBytes(`${String.fromCharCode(i)}${i}`), 0, valueBytes(i, 200), 6000 + i),
      );
    expect(code).toBe('PW_CORRUPT_PAGE');
    expect(tree.pages.latchesHeld).toBe(0);
  });
});

function snapshot(tree: ModeledTree, frame: number): Uint8Array {
  const base = tree.pages.baseOf(frame);
  return tree.pages.segmentOf(frame).u8.slice(base, base + 4096);
}

function codeOf(operation: () => unknown): string | undefined {
  try {
    operation();
    return undefined;
  } catch (error) {
    if (!isPagewrightError(error)) throw error;
    return (error as PagewrightError).code;
  }
}
