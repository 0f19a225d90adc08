/**
 * Looking for damage on one page that is in memory. The page is copied first and everything is bounded, so this ends and
 * throws nothing, whatever the bytes are. A page that another thread changes meanwhile may be reported: who verifies
 * keeps writers out.
 */
import {
  type IndexContext,
  PAGE_CLASS,
  PAGE_INDEX,
  PAGE_KIND,
  type PageBounds,
  type ReportDamage,
  Segment,
  VALUE_HEADER_SIZE,
  VALUE_LENGTH,
} from '@pagewright/core';
import { checkInner } from './check-inner.js';
import { checkLeaf } from './check-leaf.js';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import { KIND_INNER, KIND_LEAF, KIND_VALUE } from './node-layout.js';

/** Checks a page and gives the bounds of its children by the offsets of their swips. */
export function checkPage(
  context: IndexContext,
  frame: number,
  bounds: PageBounds,
  report: ReportDamage,
): ReadonlyMap<number, PageBounds> {
  const { pages, number } = context;
  const size = pages.sizeOf(frame);
  const base = pages.baseOf(frame);
  const segment = new Segment(new SharedArrayBuffer(size));
  segment.u8.set(pages.segmentOf(frame).u8.subarray(base, base + size));
  const page: CheckedPage = { segment, pageSize: size, bounds, report };
  const kind = segment.u16[PAGE_KIND >>> 1]!;
  const index = segment.u32[PAGE_INDEX >>> 2]!;
  if (index !== number) report(`The page belongs to index ${index} instead of ${number}`);
  if (size !== pages.pageSize << segment.u8[PAGE_CLASS]!) report('The size class is not that of the page');
  if (bounds instanceof ChildBounds && kind !== bounds.kind) {
    report(`The page is of kind ${kind} instead of ${bounds.kind}`);
    return NONE;
  }
  if (kind === KIND_VALUE) {
    if (!(bounds instanceof ChildBounds)) report('The root of a tree is the page of a value');
    checkValue(page);
    return NONE;
  }
  if (size !== pages.pageSize) report(`A node has ${size} bytes instead of ${pages.pageSize}`);
  else if (kind === KIND_LEAF) return checkLeaf(page);
  else if (kind === KIND_INNER) return checkInner(page);
  else report(`The page is of kind ${kind}, which is none of a B+-tree`);
  return NONE;
}

const NONE: ReadonlyMap<number, PageBounds> = new Map();

function checkValue({ segment, pageSize, report }: CheckedPage): void {
  const length = segment.u32[VALUE_LENGTH >>> 2]!;
  if (length > pageSize - VALUE_HEADER_SIZE)
    report(`A value of ${length} bytes is longer than its page of ${pageSize}`);
}
