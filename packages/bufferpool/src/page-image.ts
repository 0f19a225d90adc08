/**
 * Private copies of pages, and what a page store reads of them: the header and the swip table. What is written to the
 * file is always such a copy (P4), in which every swip is cold. It is used while one thread stages, writes and settles.
 */

import { crc32 } from 'node:zlib';
import {
  invariant,
  PAGE_CLASS,
  PAGE_EPOCH,
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  type Segment,
  SWIP_SIZE,
} from '@pagewright/core/contracts';
import { privateMemory } from './aligned-memory.js';

/** A page's bytes in memory that no other thread sees. */
export class PageImage {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly #numbers: Float64Array;

  /** Over this memory, from a place that is aligned for transfers past the page cache. */
  constructor(
    buffer: ArrayBuffer,
    offset: number,
    readonly size: number,
  ) {
    this.bytes = new Uint8Array(buffer, offset, size);
    this.words = new Uint32Array(buffer, offset, size >>> 2);
    this.#numbers = new Float64Array(buffer, offset, size >>> 3);
  }

  /** Writes the epoch whose content this is, and gives the checksum of the whole. */
  seal(epoch: number): number {
    this.#numbers[PAGE_EPOCH >>> 3] = epoch;
    return crc32(this.bytes);
  }
}

/** Images of up to a quarter of so many bytes share memory, so that not each of them takes address space of its own. */
const SLAB_BYTES = 1024 * 1024;

/** Images by size, used again. */
export class ImagePool {
  readonly #free = new Map<number, PageImage[]>();
  /** Of large images. */
  #keptBytes = 0;
  #slab: ArrayBuffer | null = null;
  #slabUsed = SLAB_BYTES;
  /** Of all images that there are: those that are kept, and those that were taken. */
  bytes = 0;

  /** Keeps at most so many bytes of large images for later, and all small ones: of these there are never more than were in use at a time. */
  constructor(private readonly limit: number) {}

  take(size: number): PageImage {
    const image = this.#free.get(size)?.pop();
    if (image === undefined) {
      this.bytes += size;
      return this.#make(size);
    }
    if (!isInSlab(size)) this.#keptBytes -= size;
    return image;
  }

  give(image: PageImage): void {
    if (!isInSlab(image.size)) {
      if (this.#keptBytes + image.size > this.limit) {
        this.bytes -= image.size;
        return;
      }
      this.#keptBytes += image.size;
    }
    const same = this.#free.get(image.size);
    if (same === undefined) this.#free.set(image.size, [image]);
    else same.push(image);
  }

  #make(size: number): PageImage {
    if (!isInSlab(size)) return new PageImage(privateMemory(size), 0, size);
    if (this.#slab === null || this.#slabUsed + size > SLAB_BYTES) {
      this.#slab = privateMemory(SLAB_BYTES);
      this.#slabUsed = 0;
    }
    const offset = this.#slabUsed;
    this.#slabUsed += size;
    return new PageImage(this.#slab, offset, size);
  }
}

/** Then it is kept: what is left of a slab without it is of no use to anyone. */
function isInSlab(size: number): boolean {
  return size <= SLAB_BYTES / 4;
}

/** The swip table of a page in the arena: `offset`, `count` and `stride` of the header, packed by `readSwipTable`. */
export interface SwipTable {
  offset: number;
  count: number;
  stride: number;
}

/** Fills in where the page's swips are. `PW_INTERNAL` if the header says what cannot be: an index has overwritten it. */
export function readSwipTable(segment: Segment, base: number, size: number, into: SwipTable): void {
  peekSwipTable(segment, base, into);
  if (into.count === 0) return;
  invariant(isSwipTable(into, size), `A page of index ${indexOf(segment, base)} has a swip table beyond its end`);
}

/** Fills in what the page's header says, whatever that is. */
export function peekSwipTable(segment: Segment, base: number, into: SwipTable): void {
  into.offset = segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number;
  into.count = segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] as number;
  into.stride = segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number;
}

/** The same of a copy of a page, which begins at this byte offset. Its table was checked when the copy was made. */
export function swipTableOfImage(words: Uint32Array, offset: number, into: SwipTable): SwipTable {
  const counts = words[(offset + PAGE_SWIP_COUNT) >>> 2] as number;
  into.offset = words[(offset + PAGE_SWIP_OFFSET) >>> 2] as number;
  into.count = counts & 0xffff;
  into.stride = counts >>> 16;
  return into;
}

/** Whether the table lies within a page of this size. */
export function isSwipTable(table: SwipTable, size: number): boolean {
  return (
    table.count === 0 ||
    (table.offset >= PAGE_HEADER_SIZE &&
      table.offset % SWIP_SIZE === 0 &&
      table.stride >= SWIP_SIZE &&
      table.stride % SWIP_SIZE === 0 &&
      table.offset + (table.count - 1) * table.stride + SWIP_SIZE <= size)
  );
}

function indexOf(segment: Segment, base: number): number {
  return segment.u32[(base + PAGE_INDEX) >>> 2] as number;
}

export function sizeClassOnPage(segment: Segment, base: number): number {
  return segment.u8[base + PAGE_CLASS] as number;
}

/** Fills in the header of a new page: no swips, and no content yet. */
export function formatPage(
  segment: Segment,
  base: number,
  header: { readonly index: number; readonly kind: number; readonly sizeClass: number; readonly timestamp: number },
): void {
  segment.u8.fill(0, base, base + PAGE_HEADER_SIZE);
  segment.u16[(base + PAGE_KIND) >>> 1] = header.kind;
  segment.u8[base + PAGE_CLASS] = header.sizeClass;
  segment.u32[(base + PAGE_INDEX) >>> 2] = header.index;
  segment.f64[(base + PAGE_TIMESTAMP) >>> 3] = header.timestamp;
}

/** Raises the page's stamp (X1). */
export function stampPage(segment: Segment, base: number, timestamp: number): void {
  const at = (base + PAGE_TIMESTAMP) >>> 3;
  if (timestamp > (segment.f64[at] as number)) segment.f64[at] = timestamp;
}
