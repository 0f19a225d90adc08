/** X-merge: several leaves that are too full to be merged by twos become one fewer. */
import { isPagewrightError } from '@pagewright/core';
import { Random, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { ModeledTree } from './model.js';

const PAGE_SIZE = 4096;

function keyOf(number: number): string {
  return String(number).padStart(8, '0');
}

/** How much of its leaves is in use, and how many there are. */
function leavesOf(tree: ModeledTree) {
  let leaves = 0;
  let used = 0;
  tree.pages.walk(tree.root, (frame) => {
    const { u16, u32 } = tree.pages.segmentOf(frame);
    const base = tree.pages.baseOf(frame);
    if (u16[base >>> 1] !== 1) return;
    leaves++;
    used += 128 + u16[(base + 32) >>> 1]! * 12 + u32[(base + 52) >>> 2]!;
  });
  return { leaves, fill: used / leaves / PAGE_SIZE };
}

/** Removes this share of the keys, in an order that looks like none. */
function thin(tree: ModeledTree, share: number): void {
  const random = new Random(5);
  const keys = [...tree.sorted];
  for (let left = Math.round(keys.length * share); left > 0; left--) {
    const at = random.below(keys.length);
    tree.remove(keys[at]!);
    keys[at] = keys.at(-1)!;
    keys.pop();
  }
}

describe('leaves of which no two fit into one', () => {
  it('become fewer where five fit into four', () => {
    const tree = new ModeledTree({ pageSize: PAGE_SIZE, watch: false });
    for (let i = 0; i < 3000; i++) tree.put(keyOf(i), 0, valueBytes(i, 60));
    expect(leavesOf(tree).leaves).toBe(58);
    thin(tree, 0.55);
    const { leaves, fill } = leavesOf(tree);
    // By twos they would have become 55, half full: 0.49.
    expect(leaves).toBeLessThan(50);
    expect(fill).toBeGreaterThan(0.54);
    tree.expectWhole();
  });

  it('keep what they have when pages move, leave, and cannot be changed meanwhile', () => {
    for (let seed = 1; seed <= 6; seed++) {
      const random = new Random(seed);
      const tree = new ModeledTree({ pageSize: PAGE_SIZE, seed, relocate: 0.05, evict: 0.05, frames: 4096 });
      for (let i = 0; i < 1200; i++) tree.put(keyOf(i), 0, valueBytes(i, i % 90 === 0 ? 2000 : random.below(120)));
      for (let i = 0; i < 1100; i++) {
        if (random.chance(0.05)) tree.pages.failModify = random.below(8);
        const key = keyOf(random.below(1200));
        try {
          tree.remove(key);
        } catch (error) {
          if (!isPagewrightError(error, 'PW_FULL')) throw error;
        }
        tree.pages.failModify = -1;
        if (i % 100 === 99) tree.expectWhole();
      }
    }
  });
});
