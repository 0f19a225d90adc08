/** Entries that come in order go to the last leaf without a descent, and to no other page than that, whatever has become of it. */
import { keyBytes, Random, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { BtreeType } from '../src/index.js';
import { ModeledTree } from './model.js';

const SEED = 7;

function keyOf(number: number): string {
  return `key/${String(number).padStart(6, '0')}`;
}

/** A tree, and how often it asked for a child of a page. */
function countedTree(options: ConstructorParameters<typeof ModeledTree>[0] = { watch: false, frames: 4096 }) {
  const tree = new ModeledTree(options);
  const counts = { children: 0 };
  const { pages } = tree;
  const child = pages.child.bind(pages);
  pages.child = (parent, offset, version) => {
    counts.children++;
    return child(parent, offset, version);
  };
  return { tree, counts };
}

it('puts in rising order descend only where leaves split', () => {
  const { tree, counts } = countedTree();
  for (let i = 0; i < 2000; i++) tree.put(keyOf(i), 0, valueBytes(i, 60));
  expect(tree.index.stats().height).toBeGreaterThan(1);
  counts.children = 0;
  for (let i = 2000; i < 4000; i++) tree.put(keyOf(i), 0, valueBytes(i, 60));
  // Some forty leaves, each with a descent for the put that finds no room, one to split it, and one afterwards.
  expect(counts.children).toBeLessThan(600);
  tree.expectWhole();
});

it('puts in any other order do not go there', () => {
  const { tree } = countedTree();
  for (let i = 0; i < 1000; i++) tree.put(keyOf(i * 10), 0, valueBytes(i, 60));
  for (let i = 999; i > 0; i -= 7) {
    tree.put(keyOf(i * 10 - 5), 0, valueBytes(i, 60));
    tree.put(keyOf(20_000 - i), 0, valueBytes(i, 60));
    tree.put(keyOf(i * 10), 1, valueBytes(i + 1, 30));
  }
  tree.expectWhole();
});

describe('a leaf that was the last is not taken for it any more', () => {
  const COUNT = 300;

  /** A tree whose last change went to the last leaf. */
  function filled(options = {}): ModeledTree {
    const tree = new ModeledTree({ pageSize: 4096, watch: false, frames: 512, ...options });
    for (let i = 0; i < COUNT; i++) tree.put(keyOf(i), 0, valueBytes(i, 60));
    return tree;
  }

  /** Another thread's view of the tree. */
  function otherOf(tree: ModeledTree) {
    const other = new BtreeType().open({ pages: tree.pages, number: tree.number, root: tree.root });
    return {
      put(number: number): void {
        const value = valueBytes(number, 60);
        other.upsert(keyBytes(keyOf(number)), 0, value, ++tree.timestamp);
        tree.notePut(keyOf(number), 0, value);
      },
      remove(number: number): void {
        expect(other.remove(keyBytes(keyOf(number)), ++tree.timestamp)).toBe(true);
        tree.noteRemoval(keyOf(number));
      },
    };
  }

  it('once another thread has merged it with the one before, though what it had is still to be seen where it was', () => {
    // Removed one by one from below, the leaf before the last becomes underfull at some point, and takes in what the last one has.
    for (let left = 2; left < 30; left += 3) {
      const tree = filled();
      const other = otherOf(tree);
      for (let i = COUNT - 100; i < COUNT - left; i++) other.remove(i);
      tree.put(keyOf(COUNT), 0, valueBytes(1, 60));
      tree.expectEntry(keyOf(COUNT));
      tree.expectWhole();
    }
  });

  it('once all entries were removed', () => {
    const tree = filled();
    for (let i = 0; i < COUNT; i++) tree.remove(keyOf(i));
    for (let i = 0; i < COUNT; i++) tree.put(keyOf(i), 0, valueBytes(i, 60));
    tree.expectWhole();
  });

  it('once another thread has split it, or put behind it', () => {
    const tree = filled();
    const { put } = otherOf(tree);
    for (let i = COUNT; i < COUNT + 200; i += 2) {
      put(i + 1);
      tree.put(keyOf(i), 0, valueBytes(i, 60));
      tree.expectEntry(keyOf(i));
    }
    for (let i = COUNT + 200; i < COUNT + 900; i++) {
      if (i % 90 < 45) put(i);
      else tree.put(keyOf(i), 0, valueBytes(i, 60));
    }
    tree.expectWhole();
  });

  it('once it was evicted, and another page is where it was', () => {
    const tree = filled();
    const random = new Random(SEED);
    for (let i = COUNT; i < COUNT + 400; i++) {
      if (random.chance(0.1)) tree.pages.evictAll();
      if (random.chance(0.1)) tree.expectEntry(keyOf(random.below(i)));
      tree.put(keyOf(i), 0, valueBytes(i, 60));
    }
    tree.expectWhole();
  });
});
