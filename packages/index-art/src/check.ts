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
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageBounds,
  type ReportDamage,
  Segment,
  SWIP_SIZE,
  VALUE_HEADER_SIZE,
  VALUE_LENGTH,
} from '@pagewright/core';
import { checkNodes } from './check-nodes.js';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import {
  depthOf,
  HEAP_START,
  heapEndOf,
  heapUsedOf,
  isSlice,
  KIND_NODES,
  KIND_VALUE,
  PAGE_SLICE,
  swipCountOf,
} from './page-layout.js';

const NONE: ReadonlyMap<number, PageBounds> = new Map();
const NO_BYTES = new Uint8Array(0);

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
  const below = bounds instanceof ChildBounds ? bounds : null;
  const page: CheckedPage = { segment, pageSize: size, path: below?.lower ?? NO_BYTES, report };
  const kind = segment.u16[PAGE_KIND >>> 1]!;
  const index = segment.u32[PAGE_INDEX >>> 2]!;
  if (index !== number) report(`The page belongs to index ${index} instead of ${number}`);
  if (size !== pages.pageSize << segment.u8[PAGE_CLASS]!) report('The size class is not that of the page');
  if (kind !== (below?.kind ?? KIND_NODES)) {
    report(`The page is of kind ${kind} instead of ${below?.kind ?? KIND_NODES}`);
    return NONE;
  }
  if (kind === KIND_VALUE) {
    checkValue(page);
    return NONE;
  }
  if (size !== pages.pageSize) {
    report(`A page of nodes has ${size} bytes instead of ${pages.pageSize}`);
    return NONE;
  }
  return checkHeader(page, below) ? checkNodes(page, below) : NONE;
}

function checkValue({ segment, pageSize, report }: CheckedPage): void {
  const length = segment.u32[VALUE_LENGTH >>> 2]!;
  if (length > pageSize - VALUE_HEADER_SIZE)
    report(`A value of ${length} bytes is longer than its page of ${pageSize}`);
}

/** Checks what stands in front of the heap; false if what follows cannot be looked at. */
function checkHeader({ segment, pageSize, path, report }: CheckedPage, below: ChildBounds | null): boolean {
  const end = heapEndOf(segment, 0);
  const swips = swipCountOf(segment, 0);
  const table = segment.u32[PAGE_SWIP_OFFSET >>> 2]!;
  const stride = segment.u16[PAGE_SWIP_STRIDE >>> 1]!;
  const slice = segment.u16[PAGE_SLICE >>> 1]!;
  if (depthOf(segment, 0) !== path.length)
    report(`The page stands behind ${depthOf(segment, 0)} bytes of keys instead of ${path.length}`);
  if (slice > 1 || isSlice(segment, 0) !== (below?.slice ?? false))
    report(`The page is ${slice === 0 ? 'a subtree' : 'a slice'}, and the page above says otherwise`);
  if (end < HEAP_START || end + swips * SWIP_SIZE > pageSize || heapUsedOf(segment, 0) > end - HEAP_START) {
    report(`A heap up to ${end}, ${heapUsedOf(segment, 0)} bytes of it in use, and ${swips} swips do not fit`);
    return false;
  }
  const isTable =
    swips === 0 ? table === 0 && stride === 0 : table === pageSize - swips * SWIP_SIZE && stride === SWIP_SIZE;
  if (!isTable) report(`A table of ${swips} swips at ${table}, ${stride} bytes apart, cannot be`);
  return isTable;
}
