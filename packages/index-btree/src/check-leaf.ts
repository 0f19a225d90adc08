/** Checking a leaf: its entries, where their values are, and that each swip belongs to one of them. */
import { type PageBounds, SWIP_NULL, SWIP_SIZE } from '@pagewright/core';
import { checkBounds, checkHeader, checkHints, checkKeys, HeapBlocks, restOf } from './check-node.js';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import { fingerprintOf } from './fingerprint.js';
import { LEAF_ALIGNMENT } from './leaf-entries.js';
import { fingerprintAt, isOnOwnPage, keyOffsetAt, LEAF_SLOT_SIZE, leafSlot, valueFieldAt } from './leaf-layout.js';
import { align8, countOf, heapStartOf, KIND_VALUE, levelOf, swipCount, swipTableOffset } from './node-layout.js';

export function checkLeaf(page: CheckedPage): ReadonlyMap<number, PageBounds> {
  const { segment, pageSize, report } = page;
  const children = new Map<number, PageBounds>();
  const count = countOf(segment, 0);
  if (levelOf(segment, 0) !== 0) report(`A leaf is on level ${levelOf(segment, 0)}`);
  if (!checkHeader(page, LEAF_SLOT_SIZE, count, SWIP_SIZE)) return children;
  const heap = heapStartOf(segment, 0);
  if ((heap & (LEAF_ALIGNMENT - 1)) !== 0) report(`The heap of a leaf begins at ${heap}, which is not aligned`);
  const blocks = new HeapBlocks();
  checkBounds(page, blocks, LEAF_ALIGNMENT);
  const keys = checkKeys(page, LEAF_SLOT_SIZE, false);
  checkFingerprints(page, keys);
  checkHints(page, LEAF_SLOT_SIZE);
  const table = swipTableOffset(segment, 0);
  const swips = swipCount(segment, 0);
  blocks.add(table, swips * SWIP_SIZE, 'table of swips');
  const owners = new Array<number>(swips).fill(0);
  for (let i = 0; i < count; i++) {
    const slot = leafSlot(0, i);
    const field = valueFieldAt(segment, slot);
    const keyOffset = keyOffsetAt(segment, slot);
    if (isOnOwnPage(segment, slot)) {
      if (field < swips) owners[field]!++;
      else report(`Entry ${i} names swip ${field} of ${swips}`);
      if (restOf(page, slot) > 0) blocks.add(keyOffset, align8(restOf(page, slot)), `key of entry ${i}`);
      continue;
    }
    const start = keyOffset - field;
    const size = align8(field + restOf(page, slot));
    if (start < 0 || start + size > pageSize) report(`Entry ${i} lies outside the page`);
    else if ((start & 7) !== 0) report(`The value of entry ${i} is not aligned`);
    else blocks.add(start, size, `entry ${i}`);
  }
  blocks.check(page);
  for (const [number, owned] of owners.entries()) {
    const offset = table + number * SWIP_SIZE;
    const isNull = segment.u32[offset >>> 2] === SWIP_NULL;
    if (owned > 1) report(`${owned} entries name swip ${number}`);
    if (owned > 0 && isNull) report(`An entry names swip ${number}, which is null`);
    if (owned === 0 && !isNull) report(`No entry names swip ${number}`);
    if (!isNull) children.set(offset, new ChildBounds(null, null, KIND_VALUE, 0));
  }
  return children;
}

/** A look-up takes a key whose fingerprint is another one for another key. */
function checkFingerprints({ segment, report }: CheckedPage, keys: readonly (Uint8Array | null)[]): void {
  for (const [i, key] of keys.entries()) {
    const fingerprint = fingerprintAt(segment, leafSlot(0, i));
    if (key !== null && fingerprint !== 0 && fingerprint !== fingerprintOf(key, key.length))
      report(`The fingerprint of key ${i} is that of another key`);
  }
}
