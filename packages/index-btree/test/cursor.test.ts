/** Cursors: where they stand, what a batch holds, and what changes between batches do to them. */
import { EntryBatch } from '@pagewright/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, memoryTree, readAll, text, valueBytes } from './model.js';

const MIB = 1024 * 1024;

function numbers(count: number, length = 60) {
  const tree = memoryTree({ frames: 8192 });
  for (let i = 0; i < count; i++) tree.put(`k${String(i * 10).padStart(7, '0')}`, i & 255, valueBytes(i, length));
  return tree;
}

describe('a cursor', () => {
  it('agrees with the list from any key, either way, with and without the key itself', () => {
    const tree = numbers(1500);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.constant(null),
          fc.integer({ min: -20, max: 15_020 }).map((n) => `k${String(Math.max(0, n)).padStart(7, '0')}`),
          fc.constantFrom('a', 'k', 'k0', 'k000', 'zzz', '\x00', '\xff', 'k0000010x'),
        ),
        fc.boolean(),
        fc.boolean(),
        fc.integer({ min: 1, max: 100 }),
        (from, exclusive, reverse, limit) => tree.expectScan(from, exclusive, reverse, limit, 300),
      ),
      { numRuns: 200 },
    );
  });

  it('is at its end at once in an empty tree', () => {
    const tree = memoryTree();
    for (const reverse of [false, true]) {
      const cursor = tree.index.cursor();
      const batch = new EntryBatch();
      cursor.seek(null, { reverse });
      expect(cursor.next(batch)).toBe(false);
      expect(cursor.next(batch)).toBe(false);
      cursor.seek(bytes('k'), { reverse });
      expect(cursor.next(batch)).toBe(false);
      expect(batch.count).toBe(0);
    }
  });

  it('goes on where it was although all around it changes', () => {
    for (const reverse of [false, true]) {
      const tree = numbers(1200);
      const before = reverse ? [...tree.sorted].reverse() : [...tree.sorted];
      const cursor = tree.index.cursor();
      cursor.seek(null, { reverse });
      const batch = new EntryBatch();
      batch.limit = 25;
      const seen: string[] = [];
      for (let round = 0; cursor.next(batch); round++) {
        for (let i = 0; i < batch.count; i++) seen.push(text(batch.keys[i]!));
        // Splits and merges at the place where it stands: every third of the next entries goes, others come in between.
        const ahead = before.indexOf(seen.at(-1)!);
        for (let i = 1; i < 60; i++) {
          const key = before[ahead + i];
          if (key === undefined) break;
          if (i % 3 === 0 && tree.entries.has(key)) tree.remove(key);
          else if (round % 2 === 0) tree.put(`${key}${i}new`, 0, valueBytes(i, 200));
        }
      }
      const order = reverse ? (a: string, b: string) => a > b : (a: string, b: string) => a < b;
      for (let i = 1; i < seen.length; i++) expect(order(seen[i - 1]!, seen[i]!)).toBe(true);
      const scanned = new Set(seen);
      for (const key of before) if (tree.entries.has(key)) expect(scanned.has(key)).toBe(true);
      tree.expectWhole();
    }
  });

  it('ends a batch when its values have more than 1 MiB together, and always has one', () => {
    const tree = memoryTree({ frames: 16384, maxSizeClass: 9 });
    for (let i = 0; i < 12; i++) tree.put(`v${i}`, 0, valueBytes(i, 400_000));
    tree.put('v99', 0, valueBytes(99, 1_900_000));
    const cursor = tree.index.cursor();
    for (const reverse of [false, true]) {
      cursor.seek(null, { reverse });
      const batch = new EntryBatch();
      let entries = 0;
      while (cursor.next(batch)) {
        let sum = 0;
        for (let i = 0; i < batch.count - 1; i++) sum += batch.values[i]!.length;
        expect(sum).toBeLessThanOrEqual(MIB);
        entries += batch.count;
      }
      expect(entries).toBe(13);
    }
  });

  it('reads keys and tags alone if no values are wanted', () => {
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

  it('gives the stamp of the page', () => {
    const tree = numbers(10);
    const cursor = tree.index.cursor();
    cursor.seek(null, {});
    const batch = new EntryBatch();
    cursor.next(batch);
    expect(batch.timestamp).toBe(tree.timestamp);
  });

  it('is not disturbed by what its user does with keys that were given or handed out', () => {
    const tree = numbers(300);
    const from = bytes('k0000500');
    const cursor = tree.index.cursor();
    cursor.seek(from, {});
    from.fill(0);
    const batch = new EntryBatch();
    batch.limit = 10;
    const seen: string[] = [];
    while (cursor.next(batch)) {
      for (let i = 0; i < batch.count; i++) {
        seen.push(text(batch.keys[i]!));
        batch.keys[i]!.fill(0xff);
      }
    }
    expect(seen).toEqual(tree.sorted.filter((key) => key >= 'k0000500'));
  });
});

describe('what is handed out', () => {
  it('never changes, and changing it changes nothing', () => {
    const tree = numbers(400, 100);
    const held: { key: string; value: Uint8Array }[] = [];
    for (const key of tree.sorted) {
      tree.index.lookup(bytes(key), tree.reference);
      held.push({ key, value: tree.reference.value });
    }
    const scanned = (() => {
      const cursor = tree.index.cursor();
      cursor.seek(null, {});
      return readAll(cursor, 50);
    })();
    for (const key of [...tree.sorted]) tree.put(key, 0, valueBytes(7, 100));
    for (const [i, { value }] of held.entries()) expect(value).toEqual(valueBytes(i, 100));
    for (const [i, { value }] of scanned.entries()) expect(value).toEqual(valueBytes(i, 100));
    for (const { value } of [...held, ...scanned]) value.fill(0xee);
    tree.expectWhole();
  });

  it('cannot be taken away from others by a transfer to another thread', () => {
    const tree = numbers(20, 16);
    tree.index.lookup(bytes(tree.sorted[0]!), tree.reference);
    const first = tree.reference.value;
    tree.index.lookup(bytes(tree.sorted[1]!), tree.reference);
    try {
      structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
    } catch {
      // Node.js 20 copies what must not be transferred, later releases refuse.
    }
    expect(tree.reference.value).toEqual(valueBytes(1, 16));
    tree.expectWhole();
  });
});
