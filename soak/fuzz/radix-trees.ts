/** Radix trees of a few pages each, which the fuzzers of the index damage. */
import type { Index } from '@pagewright/core';
import { ArtType } from '@pagewright/index-art';
import type { Field, FuzzSeed, Random } from '@pagewright/testkit';
import { naiveRadixEntries } from './naive-radix-tree.js';
import { fillShared, fillShort, type PageOfTree, pagesOf, put, type TreeKind } from './trees.js';

const RADIX: TreeKind = {
  type: new ArtType(),
  fills: [fillShort, fillShared, fillBytes, fillBeginnings],
  entries: naiveRadixEntries,
  leadsOn: (page) => page[0] === 1 && page.readUInt16LE(20) > 0,
  fieldsOf,
  // A way may have 32 pages for each byte of its key before it is one without end, and a look-up a few steps for each.
  steps: { reading: 2_000_000, changing: 8_000_000 },
};

export function pagesOfRadixTrees(random: Random): FuzzSeed<PageOfTree>[] {
  return pagesOf(RADIX, random);
}

/** Nodes of all kinds, and slices. */
function fillBytes(index: Index, random: Random): void {
  for (let i = 0; i < 150; i++)
    put(index, random, String.fromCharCode(random.below(100), random.below(256)), random.below(80));
}

/** Keys that are beginnings of each other, and long prefixes. */
function fillBeginnings(index: Index, random: Random): void {
  for (let i = 1; i < 40; i++) put(index, random, 'x'.repeat(i * 20), random.below(120));
  for (let i = 0; i < 20; i++) put(index, random, `${'x'.repeat(i * 31)}y${i}`, 200);
}

/** Headers, the heap, and the table of swips. */
function fieldsOf(page: Buffer): Field[] {
  const fields = [
    { start: 0, end: 32 },
    { start: 32, end: 48 },
  ];
  if (page.readUInt16LE(0) !== 1) return fields;
  const heapEnd = 8 * page.readUInt16LE(36);
  if (heapEnd > 48) fields.push({ start: 48, end: heapEnd });
  const table = page.readUInt32LE(16);
  if (table > 0) fields.push({ start: table, end: page.length });
  return fields;
}
