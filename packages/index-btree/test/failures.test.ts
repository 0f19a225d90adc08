/** Errors at any call of the store leave the tree as it was, with all latches given back; page faults pass through. */
import { EntryReference, isPagewrightError, PageFault, PagewrightError } from '@pagewright/core';
import { keyBytes, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { ModeledTree } from './model.js';

/** A tree in which nearly any put splits: full leaves, and full inner pages above them. */
function fullTree() {
  const tree = new ModeledTree({ frames: 8192 });
  for (let i = 0; i < 400; i++) {
    const group = String.fromCharCode(33 + (i % 200), 33 + (i >>> 2));
    tree.put(`${group}${'x'.repeat(500)}${i}`, 0, valueBytes(i, 300));
  }
  return tree;
}

/** Runs an operation; whether it failed with the code. */
function fails(code: 'PW_POOL_EXHAUSTED' | 'PW_IO' | 'PW_FULL', operation: () => void): boolean {
  try {
    operation();
    return false;
  } catch (error) {
    if (!isPagewrightError(error, code)) throw error;
    return true;
  }
}

/**
 * Puts an entry again and again, with the first, the second, … allocation or `modify` failing, until none is left to
 * fail: first a new entry, then one that is there. The number of failures.
 */
function putWithEachFailure(tree: ModeledTree, key: string, value: Uint8Array, first: number): number {
  const kinds = [
    ['failAllocation', 'PW_POOL_EXHAUSTED'],
    ['failModify', 'PW_FULL'],
  ] as const;
  let failures = 0;
  for (const [what, code] of [kinds[first & 1]!, kinds[(first + 1) & 1]!]) {
    for (let nth = 0; ; nth++) {
      tree.pages[what] = nth;
      const failed = fails(code, () => tree.index.upsert(keyBytes(key), 5, value, ++tree.timestamp));
      tree.pages[what] = -1;
      tree.pages.assertQuiet();
      if (!failed) tree.notePut(key, 5, value);
      tree.expectEntry(key);
      if (!failed) break;
      failures++;
    }
  }
  return failures;
}

describe('an allocation or a modify that fails', () => {
  it('leaves the tree whole, whichever of a put it is', () => {
    const tree = fullTree();
    let failures = 0;
    for (let i = 0; i < 150; i++) {
      const key = `${String.fromCharCode(33 + ((i * 7) % 200), 33 + i)}${'y'.repeat(700)}${i}`;
      failures += putWithEachFailure(tree, key, valueBytes(i, i % 3 === 0 ? 3000 : 200), i);
      if (i % 10 === 0) tree.expectWhole();
    }
    expect(failures).toBeGreaterThan(300);
    tree.expectWhole();
  });

  it('leaves the tree whole while it grows from nothing, root by root', () => {
    const tree = new ModeledTree();
    // Two keys each differ in their last byte alone, and leaves are cut between them: separators are long, and roots soon full.
    const pair = (i: number) => String.fromCharCode(33 + (i >>> 1)) + 'y'.repeat(1000) + (i & 1);
    for (let i = 118; i >= 0; i -= 2) {
      putWithEachFailure(tree, pair(i + 1), valueBytes(i, 10), i >>> 3);
      putWithEachFailure(tree, pair(i + 2), valueBytes(i, 10), i >>> 3);
    }
    tree.expectWhole();
    expect(tree.index.stats().height).toBeGreaterThan(2);
  });

  it('leaves the tree whole, whichever of a removal it is, and the entry is there or not as it was said', () => {
    const tree = fullTree();
    for (const [i, key] of [...tree.sorted].entries()) {
      tree.pages.failModify = i % 7;
      try {
        if (!tree.index.remove(keyBytes(key), ++tree.timestamp)) throw new Error('The entry is missing');
        tree.noteRemoval(key);
      } catch (error) {
        if (!isPagewrightError(error, 'PW_FULL')) throw error;
      }
      tree.pages.failModify = -1;
      tree.pages.assertQuiet();
      if (i % 40 === 0) tree.expectWhole();
    }
    tree.expectWhole();
    for (const key of [...tree.sorted]) tree.remove(key);
    tree.expectWhole();
    expect(tree.index.stats().height).toBe(1);
  });

  it('keeps the old value when there is no page for the new one', () => {
    const tree = new ModeledTree();
    tree.put('large', 1, valueBytes(1, 5000));
    tree.put('small', 1, valueBytes(2, 50));
    for (const key of ['large', 'small']) {
      tree.pages.failAllocation = 0;
      expect(fails('PW_POOL_EXHAUSTED', () => tree.index.upsert(keyBytes(key), 2, valueBytes(3, 6000), 20))).toBe(true);
    }
    tree.expectWhole();
  });
});

it('a page that cannot be given up keeps its entry as it was, whatever was to take its place', () => {
  const tree = new ModeledTree();
  tree.put('large', 1, valueBytes(1, 5000));
  tree.put('small', 1, valueBytes(2, 50));
  const { pages } = tree;
  const discard = pages.discard.bind(pages);
  pages.discard = () => {
    throw new PagewrightError('PW_IO', 'This call of discard was told to fail.');
  };
  const { freeFrames } = pages.stats();
  for (const size of [6000, 50])
    expect(fails('PW_IO', () => tree.index.upsert(keyBytes('large'), 2, valueBytes(3, size), ++tree.timestamp))).toBe(
      true,
    );
  expect(fails('PW_IO', () => tree.index.remove(keyBytes('large'), ++tree.timestamp))).toBe(true);
  pages.discard = discard;
  expect(pages.stats().freeFrames).toBe(freeFrames);
  tree.expectWhole();
});

describe('a page that cannot be read', () => {
  it('does not undo a removal when it is the neighbour that a page would merge with', () => {
    const tree = new ModeledTree();
    for (let i = 0; i < 2000; i++) tree.put(String(i).padStart(8, '0'), 0, valueBytes(i, 100));
    const keys = [...tree.sorted];
    for (let i = 600; i < 900; i++) {
      const key = keys[i]!;
      // Its own leaf is in memory, the neighbours are not.
      tree.pages.evictAll();
      tree.expectEntry(key);
      tree.pages.failLoads = true;
      tree.remove(key);
      tree.pages.failLoads = false;
      tree.pages.assertQuiet();
    }
    tree.expectWhole();
    for (const key of keys) tree.remove(key);
    tree.expectWhole();
    expect(tree.index.stats().height).toBe(1);
  });
});

describe('with faults instead of reads in place', () => {
  /** Starts an operation again after each fault, as its caller would. */
  async function withFaults<T>(tree: ModeledTree, operation: () => T): Promise<{ result: T; faults: number }> {
    for (let faults = 0; ; faults++) {
      try {
        tree.pages.faulting = true;
        return { result: operation(), faults };
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
        tree.pages.faulting = false;
        tree.pages.assertQuiet();
        await tree.pages.loadFault();
      } finally {
        tree.pages.faulting = false;
      }
    }
  }

  it('a look-up faults once for each page on its way, and for that of its value', async () => {
    const tree = fullTree();
    tree.put('zzz', 4, valueBytes(9, 9000));
    tree.pages.evictAll();
    const reference = new EntryReference();
    const { result, faults } = await withFaults(tree, () => tree.index.lookup(keyBytes('zzz'), reference));
    expect(result).toBe(true);
    expect(faults).toBe(tree.index.stats().height + 1);
    expect(reference.value).toEqual(valueBytes(9, 9000));
  });

  it('changes are made once, whatever is evicted in the middle of them', async () => {
    const tree = fullTree();
    tree.pages.chances.evict = 0.3;
    for (const [i, key] of [...tree.sorted].entries()) {
      if (i % 4 === 0) {
        tree.pages.evictAll();
        const { result } = await withFaults(tree, () => tree.index.remove(keyBytes(key), ++tree.timestamp));
        expect(result).toBe(true);
        tree.noteRemoval(key);
      } else if (i % 4 === 1) {
        tree.pages.evictAll();
        const value = valueBytes(i, i % 8 === 1 ? 4000 : 700);
        await withFaults(tree, () => tree.index.upsert(keyBytes(`${key}+`), 6, value, ++tree.timestamp));
        tree.notePut(`${key}+`, 6, value);
      }
    }
    tree.expectWhole();
  });

  it('a removal is done once, even if the page that it empties is evicted before it can be merged', async () => {
    const tree = new ModeledTree({ evict: 0.5, seed: 4 });
    for (let i = 0; i < 1200; i++) tree.put(String(i * 7).padStart(9, '0'), 0, valueBytes(i, 150));
    for (const key of [...tree.sorted]) {
      const { result } = await withFaults(tree, () => tree.index.remove(keyBytes(key), ++tree.timestamp));
      expect(result).toBe(true);
      tree.noteRemoval(key);
    }
    tree.expectWhole();
  });
});
