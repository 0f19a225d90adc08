/** The shape that the tree keeps: how full its pages are, how deep it is, that it shrinks, and that the largest keys fit. */
import { valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { BtreeType } from '../src/index.js';
import { ModeledTree } from './model.js';

const KIND_LEAF = 1;
const KIND_INNER = 2;

function shapeOf(tree: ModeledTree) {
  const shape = {
    leaves: 0,
    empty: 0,
    inner: 0,
    values: 0,
    leafFill: 0,
    innerFill: 0,
    height: tree.index.stats().height,
  };
  const { pages } = tree;
  pages.walk(tree.root, (frame) => {
    const { u16, u32 } = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const kind = u16[base >>> 1];
    const slots = u16[(base + 32) >>> 1]!;
    const used = 128 + u32[(base + 52) >>> 2]!;
    if (kind === KIND_LEAF) {
      shape.leaves++;
      if (slots === 0) shape.empty++;
      shape.leafFill += (used + slots * 12) / pages.pageSize;
    } else if (kind === KIND_INNER) {
      shape.inner++;
      shape.innerFill += (used + (slots + 1) * 16) / pages.pageSize;
    } else shape.values++;
  });
  shape.leafFill /= shape.leaves;
  shape.innerFill /= Math.max(1, shape.inner);
  return shape;
}

/** Numbers from 0 to n - 1 in an order that looks like none. */
function shuffled(n: number): number[] {
  const order = Array.from({ length: n }, (_, i) => i);
  let random = 99;
  for (let i = n - 1; i > 0; i--) {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    const other = random % (i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

it('the root leaves out what its few separators begin with, however it came by them', () => {
  const key = (n: number) => `/the/same/beginning/${String(n).padStart(9, '0')}`;
  const trees = ['ascending', 'shuffled', 'loaded'].map((how) => {
    const tree = new ModeledTree({ frames: 4096 });
    const order = how === 'shuffled' ? shuffled(900) : Array.from({ length: 900 }, (_, n) => n);
    const loading = how === 'loaded' ? tree.index.bulkLoad!(++tree.timestamp, 1) : null;
    for (const n of order) {
      if (loading === null) tree.put(key(n), 0, valueBytes(n, 60));
      else {
        loading.add(Uint8Array.from(Buffer.from(key(n))), valueBytes(n, 60));
        tree.notePut(key(n), 0, valueBytes(n, 60));
      }
    }
    loading?.finish();
    return tree;
  });
  for (const tree of trees) {
    const roots: { readonly count: number; readonly prefix: number }[] = [];
    tree.pages.walk(tree.root, (frame) => {
      const { u16 } = tree.pages.segmentOf(frame);
      const at = tree.pages.baseOf(frame) >>> 1;
      if (u16[at] === KIND_INNER) roots.push({ count: u16[at + 16]!, prefix: u16[at + 17]! });
    });
    expect(roots).toHaveLength(1);
    expect(roots[0]!.count).toBeGreaterThan(2);
    expect(roots[0]!.prefix).toBeGreaterThanOrEqual('/the/same/beginning/'.length);
    // A separator that does not begin so still finds its place.
    tree.put('/another', 0, valueBytes(1, 900));
    for (let n = 0; n < 30; n++) tree.put(`/another/${n}`, 0, valueBytes(n, 900));
    tree.expectWhole();
  }
});

describe('sorted loads fill pages to 90 % and more', () => {
  for (const pageSize of [4096, 16384]) {
    const count = pageSize * 4;
    const paths = (n: number) => `/usr/share/some/long/path/that/many/files/share/${String(n).padStart(9, '0')}.txt`;
    const numbers = (n: number) => String(n).padStart(16, '0');
    for (const [what, keyOf] of [
      ['numbers', numbers],
      ['paths', paths],
    ] as const) {
      for (const direction of ['ascending', 'descending'] as const) {
        it(`with ${direction} ${what} on pages of ${pageSize} bytes`, () => {
          const tree = new ModeledTree({ pageSize, watch: false });
          for (let i = 0; i < count; i++)
            tree.put(keyOf(direction === 'ascending' ? i : count - i), 0, valueBytes(i, 40));
          const shape = shapeOf(tree);
          expect(shape.leafFill).toBeGreaterThan(0.9);
          expect(shape.height).toBeLessThanOrEqual(3);
          tree.expectWhole();
        });
      }
    }
  }

  it('with runs at many places at once', () => {
    const tree = new ModeledTree({ watch: false });
    for (let i = 0; i < 2000; i++)
      for (let user = 0; user < 20; user++) tree.put(`user${user}/${String(i).padStart(8, '0')}`, 0, valueBytes(i, 30));
    expect(shapeOf(tree).leafFill).toBeGreaterThan(0.85);
    tree.expectWhole();
  });

  it('with runs downwards at many places at once', () => {
    const tree = new ModeledTree({ watch: false });
    for (let i = 2000; i > 0; i--)
      for (let user = 0; user < 20; user++) tree.put(`user${user}/${String(i).padStart(8, '0')}`, 0, valueBytes(i, 30));
    expect(shapeOf(tree).leafFill).toBeGreaterThan(0.85);
    tree.expectWhole();
  });

  it('also in inner pages', () => {
    const tree = new ModeledTree({ watch: false, frames: 20000 });
    for (let i = 0; i < 40_000; i++) tree.put(String(i).padStart(20, '0'), 0, valueBytes(i, 20));
    const { inner, leaves } = shapeOf(tree);
    // The separators are as short as can be: about four bytes beyond the prefix. A full inner page has some 200 children.
    expect(leaves / (inner - 1)).toBeGreaterThan(150);
    tree.expectWhole();
  });
});

it('keeps pages about 70 % full under random inserts', () => {
  const tree = new ModeledTree({ watch: false, frames: 8192 });
  for (const i of shuffled(20_000)) tree.put(String(i * 7919).padStart(16, '0'), 0, valueBytes(i, 60));
  expect(shapeOf(tree).leafFill).toBeGreaterThan(0.65);
  tree.expectWhole();
});

describe('pages merge when they become empty', () => {
  const orders: Record<string, (keys: readonly string[]) => string[]> = {
    ascending: (keys) => [...keys],
    descending: (keys) => [...keys].reverse(),
    random: (keys) => shuffled(keys.length).map((i) => keys[i]!),
    'inside out': (keys) => [...keys].sort((a, b) => (a.slice(-3) < b.slice(-3) ? -1 : 1)),
  };
  for (const [name, order] of Object.entries(orders)) {
    it(`down to one empty leaf, removed in ${name} order`, () => {
      const tree = new ModeledTree({ seed: 3, relocate: 0.02, evict: 0.02 });
      for (let i = 0; i < 4000; i++)
        tree.put(`key-${String(i * 31).padStart(9, '0')}`, 0, valueBytes(i, i % 50 === 0 ? 2000 : 300));
      expect(tree.index.stats().height).toBe(3);
      const before = shapeOf(tree);
      const keys = order(tree.sorted);
      for (const key of keys.slice(0, 2000)) tree.remove(key);
      tree.expectWhole();
      expect(shapeOf(tree).leafFill).toBeGreaterThan(0.4);
      expect(shapeOf(tree).leaves).toBeLessThan(before.leaves);
      for (const key of keys.slice(2000)) tree.remove(key);
      tree.expectWhole();
      expect(shapeOf(tree)).toMatchObject({ leaves: 1, inner: 0, values: 0, height: 1 });
    });
  }
});

it('merges a page whose parent has no other child, once the parent has neighbours for it', () => {
  const tree = new ModeledTree({ watch: false });
  const keyOf = (i: number) => String(i).padStart(12, '0');
  const { pages } = tree;
  /** Children of the last page above the leaves, and entries of the last leaf. */
  const last = () => {
    let children = 0;
    let entries = 0;
    pages.walk(tree.root, (frame) => {
      const count = pages.segmentOf(frame).u16[(pages.baseOf(frame) + 32) >>> 1]!;
      if (pages.segmentOf(frame).u16[pages.baseOf(frame) >>> 1] === KIND_INNER) children = count + 1;
      else entries = count;
    });
    return { children, entries };
  };
  // The third allocation of a put fails: the root was split, and its leaf cannot be. So that is alone below its parent.
  const putFails = (i: number): boolean => {
    pages.failAllocation = 2;
    try {
      tree.put(keyOf(i), 0, valueBytes(i, 900));
      return false;
    } catch {
      return true;
    } finally {
      pages.failAllocation = -1;
    }
  };
  for (let i = 0; !putFails(i); i++);
  // Room for separators in the other page of that level.
  for (const key of tree.sorted.slice(0, 300)) tree.remove(key);
  const before = last();
  expect(before.children).toBe(1);
  const newest = [...tree.sorted].reverse();
  for (const key of newest.slice(0, before.entries - 1)) {
    tree.remove(key);
    expect(last().entries).toBeGreaterThan(1);
  }
  tree.expectWhole();
});

describe('keys of a quarter of a page', () => {
  // Two keys each differ in their last byte alone, so that separators are as long as keys; others share nothing.
  const worst = (pageSize: number, i: number) =>
    String.fromCharCode(33 + ((i >>> 1) % 199), 33 + (i >>> 1)) + 'k'.repeat(pageSize / 4 - 3) + (i & 1);
  /** An order in which leaves are cut between the two of a pair. */
  function staggered(count: number): number[] {
    const order: number[] = [];
    for (let i = count - 2; i >= 0; i -= 2) order.push(i + 1, i + 2);
    return order;
  }

  for (const pageSize of [4096, 8192, 65536]) {
    for (const valueLength of [0, 1, pageSize]) {
      it(`fit on pages of ${pageSize} bytes with values of ${valueLength} bytes, at every level`, () => {
        const count = pageSize === 65536 ? 200 : 440;
        const tree = new ModeledTree({ pageSize, frames: 4096, watch: pageSize < 65536 });
        let most = 0;
        for (const i of staggered(count)) tree.put(worst(pageSize, i), 1, valueBytes(i, valueLength));
        expect(shapeOf(tree).height).toBeGreaterThan(pageSize === 65536 ? 2 : 3);
        tree.expectWhole();
        for (const [at, i] of shuffled(count).entries()) {
          tree.remove(worst(pageSize, i));
          if (at % 16 === 0) most = Math.max(most, shapeOf(tree).empty);
        }
        // Not even for a while: children that got new neighbours are looked at again.
        expect(most).toBe(0);
        tree.expectWhole();
        for (const i of shuffled(count)) tree.put(worst(pageSize, i), 1, valueBytes(i, valueLength));
        tree.expectWhole();
        for (const key of [...tree.sorted].reverse()) tree.remove(key);
        tree.expectWhole();
        expect(shapeOf(tree)).toMatchObject({ leaves: 1, height: 1 });
      });
    }
  }

  it('do not burst a page whose long common prefix ends with them', () => {
    const tree = new ModeledTree({ pageSize: 16384, frames: 4096 });
    const prefix = 'p'.repeat(4000);
    for (let i = 0; i < 800; i++) tree.put(prefix + String(i).padStart(6, '0'), 0, valueBytes(i, 3));
    // Without the prefix the keys of one page fill hundreds.
    tree.put('a', 0, valueBytes(1, 1));
    tree.put('z', 0, valueBytes(1, 1));
    tree.put(`${prefix.slice(0, 2000)}z`, 0, valueBytes(1, 1));
    tree.expectWhole();
    for (const key of [...tree.sorted].reverse()) tree.remove(key);
    tree.expectWhole();
  });
});

it('states its limits', () => {
  const type = new BtreeType();
  expect(type.limits(4096, 0)).toEqual({ maxKeySize: 1024, maxValueSize: 4056 });
  expect(type.limits(16384, 10)).toEqual({ maxKeySize: 4096, maxValueSize: 16 * 1024 * 1024 - 40 });
});

it('moves a value between its leaf and pages of its own as its length changes', () => {
  const tree = new ModeledTree({ seed: 8, relocate: 0.1, evict: 0.1 });
  for (let i = 0; i < 40; i++) tree.put(`k${i}`, 0, valueBytes(i, 50));
  for (let round = 0; round < 300; round++) {
    const length = [0, 10, 64, 900, 1100, 5000, 60][round % 7]!;
    tree.put(`k${(round * 13) % 40}`, round & 255, valueBytes(round, length));
    if (round % 25 === 0) tree.expectWhole();
  }
  tree.expectWhole();
  const live = [...tree.entries].filter(([key, { value }]) => key.length + value.length > 1024).length;
  expect(shapeOf(tree).values).toBe(live);
});
