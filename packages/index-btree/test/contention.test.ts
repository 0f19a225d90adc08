/** Contention splits: a leaf at which threads wait for each other is split between the entries that they want, and no other is. */
import { driveSchedule, POINT } from '@pagewright/core';
import { afterEach, describe, expect, it } from 'vitest';
import { WAITS, WINDOW } from '../src/contention.js';
import { ModeledTree } from './model.js';

const VALUE = new Uint8Array(8);
const KEYS = 60;

afterEach(() => {
  driveSchedule(null);
});

function keyOf(number: number): string {
  return `key/${String(number).padStart(4, '0')}`;
}

/** One leaf with room, of which each change finds, before it comes through, that another thread has just changed it. */
function treeOfOneLeaf() {
  const tree = new ModeledTree({ pageSize: 4096, watch: false });
  for (let i = 0; i < KEYS; i++) tree.put(keyOf(i), 0, VALUE);
  return tree;
}

function leavesOf(tree: ModeledTree): number[] {
  const leaves: number[] = [];
  tree.pages.walk(tree.root, (frame) => {
    if (tree.pages.segmentOf(frame).u16[tree.pages.baseOf(frame) >>> 1] === 1) leaves.push(frame);
  });
  return leaves;
}

/** Puts a key while another thread changes the leaf once between its descent and its latch. */
function putWaiting(tree: ModeledTree, key: string): void {
  changeWaiting(tree, () => tree.put(key, 0, VALUE));
}

function changeWaiting(tree: ModeledTree, change: () => void): void {
  const [leaf] = leavesOf(tree) as [number];
  let others = 1;
  driveSchedule((point) => {
    if (point !== POINT.descentEnd || others === 0) return;
    others--;
    tree.pages.latch(leaf);
    tree.pages.unlatch(leaf);
  });
  change();
  driveSchedule(null);
}

describe('a leaf is split', () => {
  it('between two entries that threads wait for again and again', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < WAITS; i++) putWaiting(tree, keyOf(i % 2 === 0 ? 5 : 50));
    const leaves = leavesOf(tree);
    expect(leaves).toHaveLength(2);
    const counts = leaves.map((leaf) => tree.pages.segmentOf(leaf).u16[(tree.pages.baseOf(leaf) + 32) >>> 1]!);
    expect(counts[0]).toBeGreaterThan(5);
    expect(counts[0]).toBeLessThanOrEqual(50);
    tree.expectWhole();
  });
});

describe('a leaf is split', () => {
  it('also where they remove these', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < WAITS / 2; i++) {
      for (const key of [keyOf(5 + (i % 3)), keyOf(50 - (i % 3))]) {
        changeWaiting(tree, () => tree.remove(key));
        tree.put(key, 0, VALUE);
      }
    }
    const leaves = leavesOf(tree);
    expect(leaves).toHaveLength(2);
    const counts = leaves.map((leaf) => tree.pages.segmentOf(leaf).u16[(tree.pages.baseOf(leaf) + 32) >>> 1]!);
    expect(counts[0]).toBeGreaterThan(7);
    expect(counts[0]).toBeLessThanOrEqual(48);
    tree.expectWhole();
  });
});

describe('a leaf is not split', () => {
  it('where they remove what is no more, or the last that there is', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < 3 * WAITS; i++) changeWaiting(tree, () => tree.remove(keyOf(1000 + (i % 2))));
    for (let i = 0; i < KEYS; i++) changeWaiting(tree, () => tree.remove(keyOf(i)));
    expect(leavesOf(tree).length).toBeLessThanOrEqual(2);
    tree.expectWhole();
  });

  it('where nobody waits', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < 4 * WAITS; i++) tree.put(keyOf(i % 2 === 0 ? 5 : 50), 0, VALUE);
    expect(leavesOf(tree)).toHaveLength(1);
  });

  it('where all want the same entry', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < 4 * WAITS; i++) putWaiting(tree, keyOf(20));
    expect(leavesOf(tree)).toHaveLength(1);
  });

  it('where waits are few among many changes', () => {
    const tree = treeOfOneLeaf();
    for (let i = 0; i < WAITS + 4; i++) {
      putWaiting(tree, keyOf(i % 2 === 0 ? 5 : 50));
      for (let other = 0; other < WINDOW / 8; other++) tree.put(keyOf(30), 0, VALUE);
    }
    expect(leavesOf(tree)).toHaveLength(1);
    tree.expectWhole();
  });

  it('where there is no page for it: the change is done all the same', () => {
    const tree = treeOfOneLeaf();
    // No other change allocates.
    tree.pages.failAllocation = 0;
    for (let i = 0; i < WAITS; i++) putWaiting(tree, keyOf(i % 2 === 0 ? 5 : 50));
    expect(leavesOf(tree)).toHaveLength(1);
    expect(tree.pages.failAllocation).toBe(-1);
    tree.expectWhole();
  });
});
