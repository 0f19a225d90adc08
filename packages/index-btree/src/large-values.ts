/**
 * Values on pages of their own. A leaf names such a page by a swip in its table; the page belongs to that one entry and
 * is written once: a changed value gets a new page.
 */
import { PAGE_KIND, type PageStore, POINT, RESTART, SWIP_NULL, schedulePoint } from '@pagewright/core';
import { damagedPage } from './damage.js';
import type { Descent } from './descent.js';
import { KIND_VALUE } from './node-layout.js';
import { unfilled } from './result-slab.js';
import { sizeClassFor, VALUE_HEADER_SIZE, VALUE_LENGTH, VALUE_RESERVED } from './value-layout.js';

export class LargeValues {
  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly descent: Descent,
  ) {}

  /** A new page with the value, latched, without a place in the tree. Errors: those of `allocate`. */
  store(value: Uint8Array, timestamp: number): number {
    const { pages } = this;
    const frame = pages.allocate(this.number, KIND_VALUE, sizeClassFor(value.length, pages.pageSize), timestamp);
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
      throw damagedPage(this.number, leaf, 'an entry names no page for its value');
    }
    const frame = pages.child(leaf, offset, leafVersion);
    if (frame === RESTART) return null;
    schedulePoint(POINT.valueFrame);
    const version = pages.readVersion(frame);
    if (!pages.validate(leaf, leafVersion)) return null;
    const value = this.#copy(frame);
    if (!pages.validate(frame, version)) return null;
    if (value === null) throw damagedPage(this.number, frame, 'it is not the page of a value');
    return value;
  }

  /** The same for a leaf whose latch the caller holds. */
  readOfLatched(leaf: number, offset: number): Uint8Array {
    if (!this.#isSwip(leaf, offset)) throw damagedPage(this.number, leaf, 'an entry names no page for its value');
    const frame = this.descent.latchChild(leaf, offset);
    try {
      const value = this.#copy(frame);
      if (value === null) throw damagedPage(this.number, frame, 'it is not the page of a value');
      return value;
    } finally {
      this.pages.unlatch(frame);
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
    if (u16[(base + PAGE_KIND) >>> 1] !== KIND_VALUE || length > pages.sizeOf(frame) - VALUE_HEADER_SIZE) return null;
    const value = unfilled(length);
    value.set(u8.subarray(base + VALUE_HEADER_SIZE, base + VALUE_HEADER_SIZE + length));
    return value;
  }
}
