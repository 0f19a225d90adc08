/**
 * Values on pages of their own. A leaf names such a page by a swip in its table; the page belongs to that one entry and
 * is written once: a changed value gets a new page.
 */
import { PAGE_KIND, RESTART, SWIP_NULL } from '../contracts/page-layout.js';
import type { PageStore } from '../contracts/pages.js';
import { POINT, schedulePoint } from '../schedule.js';
import { latchChild } from './latch-child.js';
import { unfilled } from './result-slab.js';
import { sizeClassFor, VALUE_HEADER_SIZE, VALUE_LENGTH, VALUE_RESERVED } from './value-layout.js';

/** The error for a page whose bytes cannot be those of the index. */
type Damaged = (index: number, frame: number, what: string) => Error;

export class LargeValues {
  /** `number` is that of the index, `kind` that of its pages with a value. */
  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly kind: number,
    private readonly damaged: Damaged,
  ) {}

  /** A new page with the value, latched, without a place in the tree. Errors: those of `allocate`. */
  store(value: Uint8Array, timestamp: number): number {
    const { pages } = this;
    const frame = pages.allocate(this.number, this.kind, sizeClassFor(value.length, pages.pageSize), timestamp);
    const { u8, u32 } = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    u32[(base + VALUE_LENGTH) >>> 2] = value.length;
    u32[(base + VALUE_RESERVED) >>> 2] = 0;
    u8.set(value, base + VALUE_HEADER_SIZE);
    // The rest of the page goes to the file as well: nothing that was in memory before may.
    u8.fill(0, base + VALUE_HEADER_SIZE + value.length, base + pages.sizeOf(frame));
    return frame;
  }

  /** The value that a swip of a leaf names, the leaf being read optimistically. Null: start again. May throw `PageFault`. */
  read(leaf: number, offset: number, leafVersion: number): Uint8Array | null {
    const { pages } = this;
    if (!this.#isSwip(leaf, offset)) {
      if (!pages.validate(leaf, leafVersion)) return null;
      throw this.damaged(this.number, leaf, 'an entry names no page for its value');
    }
    const frame = pages.child(leaf, offset, leafVersion);
    if (frame === RESTART) return null;
    schedulePoint(POINT.valueFrame);
    const version = pages.readVersion(frame);
    if (!pages.validate(leaf, leafVersion)) return null;
    const value = this.#copy(frame);
    if (!pages.validate(frame, version)) return null;
    if (value === null) throw this.damaged(this.number, frame, 'it is not the page of a value');
    return value;
  }

  /** The same for a leaf whose latch the caller holds. */
  readOfLatched(leaf: number, offset: number): Uint8Array {
    const { pages } = this;
    if (!this.#isSwip(leaf, offset)) throw this.damaged(this.number, leaf, 'an entry names no page for its value');
    const frame = latchChild(pages, leaf, offset);
    try {
      const value = this.#copy(frame);
      if (value === null) throw this.damaged(this.number, frame, 'it is not the page of a value');
      return value;
    } finally {
      pages.unlatch(frame);
    }
  }

  #isSwip(leaf: number, offset: number): boolean {
    if (offset <= 0 || offset + 8 > this.pages.pageSize || (offset & 7) !== 0) return false;
    return this.pages.segmentOf(leaf).u32[(this.pages.baseOf(leaf) + offset) >>> 2] !== SWIP_NULL;
  }

  /** A copy that counts once the page was validated; null if the page cannot be that of a value. */
  #copy(frame: number): Uint8Array | null {
    const { pages } = this;
    const { u8, u16, u32 } = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const length = u32[(base + VALUE_LENGTH) >>> 2]!;
    if (u16[(base + PAGE_KIND) >>> 1] !== this.kind || length > pages.sizeOf(frame) - VALUE_HEADER_SIZE) return null;
    const value = unfilled(length);
    value.set(u8.subarray(base + VALUE_HEADER_SIZE, base + VALUE_HEADER_SIZE + length));
    return value;
  }
}
