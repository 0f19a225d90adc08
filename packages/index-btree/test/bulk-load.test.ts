/** The shape of a tree that was loaded in bulk: as full as was asked for, no page underfull, none written twice, and ready to grow. */
import { valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { KIND_INNER, KIND_LEAF } from '../src/node-layout.js';
import { ModeledTree } from './model.js';

interface PageShape {
  readonly kind: number;
  readonly fill: number;
}

/** Nodes of the tree, in the order in which they are reached. */
function nodesOf(tree: ModeledTree): PageShape[] {
  const nodes: PageShape[] = [];
  const { pages } = tree;
  pages.walk(tree.root, (frame) => {
    const { u16, u32 } = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const kind = u16[base >>> 1]!;
    const slots = u16[(base + 32) >>> 1]!;
    const used = 128 + u32[(base + 52) >>> 2]!;
    if (kind === KIND_LEAF) nodes.push({ kind, fill: (used + slots * 12) / pages.pageSize });
    if (kind === KIND_INNER) nodes.push({ kind, fill: (used + (slots + 1) * 16) / pages.pageSize });
  });
  return nodes;
}

function loaded(
  count: number,
  { fill = 1, keyOf = numbered, size = 40 }: { fill?: number; keyOf?: (at: number) => string; size?: number } = {},
): ModeledTree {
  const tree = new ModeledTree({ watch: false, frames: 16_384 });
  const loading = tree.index.bulkLoad!(++tree.timestamp, fill);
  for (let at = 0; at < count; at++) {
    const value = valueBytes(at, size);
    loading.add(Uint8Array.from(Buffer.from(keyOf(at), 'latin1')), value);
    tree.notePut(keyOf(at), 0, value);
  }
  loading.finish();
  return tree;
}

function numbered(at: number): string {
  return String(at).padStart(16, '0');
}

describe('leaves are as full as was asked for', () => {
  for (const fill of [1, 0.9, 0.75, 0.5]) {
    it(`with a fill of ${fill}`, () => {
      const leaves = nodesOf(loaded(20_000, { fill })).filter(({ kind }) => kind === KIND_LEAF);
      const all = leaves.reduce((sum, leaf) => sum + leaf.fill, 0) / leaves.length;
      expect(all).toBeGreaterThan(fill - 0.04);
      for (const leaf of leaves.slice(0, -2)) expect(leaf.fill).toBeLessThanOrEqual(fill);
    });
  }

  it('also where some values have pages of their own', () => {
    const tree = new ModeledTree({ watch: false, frames: 16_384 });
    const loading = tree.index.bulkLoad!(++tree.timestamp, 0.8);
    for (let at = 0; at < 6000; at++) {
      const value = valueBytes(at, at % 37 === 5 ? 3000 : 40);
      loading.add(Uint8Array.from(Buffer.from(numbered(at))), value);
      tree.notePut(numbered(at), 0, value);
    }
    loading.finish();
    const leaves = nodesOf(tree).filter(({ kind }) => kind === KIND_LEAF);
    expect(leaves.reduce((sum, leaf) => sum + leaf.fill, 0) / leaves.length).toBeGreaterThan(0.7);
    tree.expectWhole();
  });
});

it('no page is underfull, on any level, however many entries there are', () => {
  for (const size of [0, 40, 900]) {
    for (let count = 1; count < 40_000; count = Math.ceil(count * 1.7)) {
      const tree = loaded(count, { size });
      const nodes = nodesOf(tree);
      // The root may have as little as there is.
      for (const { fill } of nodes.slice(1)) expect(fill, `${count} values of ${size} bytes`).toBeGreaterThan(0.38);
      if (count < 3000) tree.expectWhole();
    }
  }
});

it('inner pages are filled, and their separators are as short as can be', () => {
  const nodes = nodesOf(loaded(40_000, { size: 20 }));
  const inner = nodes.filter(({ kind }) => kind === KIND_INNER).length;
  expect((nodes.length - inner) / (inner - 1)).toBeGreaterThan(150);
});

it('pages are allocated once, and leaves marked once', () => {
  const tree = loaded(30_000);
  const { allocations, marks } = tree.pages.counts;
  const pages = tree.pages.countPages(tree.root);
  // The last ones may be merged.
  expect(allocations).toBeLessThanOrEqual(pages + 2);
  // For each leaf its parent; the splits of inner pages, and the last two pages of each level.
  expect(marks).toBeLessThan(1.1 * pages + 30);
});

it('what is put behind the last key goes on filling pages, and what is put between splits them in halves', () => {
  const tree = loaded(5000);
  for (let at = 5000; at < 15_000; at++) tree.put(numbered(at), 0, valueBytes(at, 40));
  const leaves = () => nodesOf(tree).filter(({ kind }) => kind === KIND_LEAF);
  const fill = () => leaves().reduce((sum, leaf) => sum + leaf.fill, 0) / leaves().length;
  expect(fill()).toBeGreaterThan(0.9);
  for (let at = 0; at < 15_000; at += 3) tree.put(`${numbered(at)}/between`, 0, valueBytes(at, 40));
  expect(fill()).toBeGreaterThan(0.5);
  tree.expectWhole();
});

it('what no entry uses of a page is zeros, whatever the leaves before had there', () => {
  const tree = new ModeledTree({ watch: false, frames: 16_384 });
  const loading = tree.index.bulkLoad!(++tree.timestamp, 0.8);
  for (let at = 0; at < 8000; at++) {
    const size = [0, 900, 3, 77][Math.floor(at / 500) % 4]!;
    const key = at % 1000 < 700 ? numbered(at) : `${numbered(at)}/${'z'.repeat(at % 50)}`;
    const value = new Uint8Array(size).fill(0xff);
    loading.add(Uint8Array.from(Buffer.from(key)), value);
    tree.notePut(key, 0, value);
  }
  loading.finish();
  const leaves: Buffer[] = [];
  tree.pages.walk(tree.root, (frame) => {
    const base = tree.pages.baseOf(frame);
    const page = Buffer.from(tree.pages.segmentOf(frame).u8.slice(base, base + tree.pages.pageSize));
    if (page.readUInt16LE(0) === KIND_LEAF) leaves.push(page);
  });
  expect(leaves.length).toBeGreaterThan(100);
  // The last two were evened out, and are what changes have made of them.
  for (const [number, page] of leaves.slice(0, -2).entries()) {
    const slots = page.readUInt16LE(32);
    const isUsed = new Uint8Array(page.length).fill(1, 0, 128 + 12 * slots);
    const fence = page.readUInt16LE(40) === 0xffff ? 0 : page.readUInt16LE(40);
    const prefixAt = page.readUInt16LE(36);
    isUsed.fill(1, prefixAt, prefixAt + page.readUInt16LE(34) + fence);
    for (let slot = 128; slot < 128 + 12 * slots; slot += 12) {
      const keyAt = page.readUInt16LE(slot + 4);
      isUsed.fill(1, keyAt - page.readUInt16LE(slot + 8), keyAt + Math.max(0, page.readUInt16LE(slot + 6) - 4));
    }
    const wrong = page.findIndex((byte, at) => byte !== 0 && isUsed[at] === 0);
    expect(wrong, `a byte of leaf ${number}`).toBe(-1);
  }
  tree.expectWhole();
});

it('keys that share nothing, or nearly all, or are prefixes of one another', () => {
  const shapes: ((at: number) => string)[] = [
    (at) => String.fromCharCode(1 + Math.floor(at / 200), 1 + (at % 200)) + 'x'.repeat(at % 90),
    (at) => 'the/same/beginning/of/all/of/them/'.repeat(20) + numbered(at),
    (at) => 'y'.repeat(at + 1),
  ];
  for (const keyOf of shapes) loaded(900, { keyOf, size: 30 }).expectWhole();
});
