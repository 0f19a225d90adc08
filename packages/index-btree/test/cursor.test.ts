/** What a cursor and a look-up do beyond the contract: pages that are not read, and memory that cannot be taken away. */
import { EntryBatch } from '@pagewright/core';
import { keyBytes, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { ModeledTree } from './model.js';

function numbers(count: number, length: number): ModeledTree {
  const tree = new ModeledTree({ frames: 8192 });
  for (let i = 0; i < count; i++) tree.put(`k${String(i * 10).padStart(7, '0')}`, i & 255, valueBytes(i, length));
  return tree;
}

it('a cursor reads no page of a value if no values are wanted', () => {
  const tree = numbers(100, 9000);
  tree.pages.evictAll();
  const loads = tree.pages.counts.loads;
  const cursor = tree.index.cursor();
  cursor.seek(null, {});
  const batch = new EntryBatch();
  batch.wantsValues = false;
  let entries = 0;
  while (cursor.next(batch)) entries += batch.count;
  expect(entries).toBe(100);
  // The pages of the nodes, and none of the hundred pages of values.
  expect(tree.pages.counts.loads - loads).toBeLessThan(10);
});

it('what is handed out cannot be taken away from others by a transfer to another thread', () => {
  const tree = numbers(20, 16);
  tree.index.lookup(keyBytes(tree.sorted[0]!), tree.reference);
  const first = tree.reference.value;
  tree.index.lookup(keyBytes(tree.sorted[1]!), tree.reference);
  try {
    structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
  } catch {
    // Node.js 20 copies what must not be transferred, later releases refuse.
  }
  expect(tree.reference.value).toEqual(valueBytes(1, 16));
  tree.expectWhole();
});
