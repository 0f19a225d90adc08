/**
 * The census: all that can be told of frames and swips at one instant, without reading what is on the pages. Each page is
 * where its parent says and nowhere else, each count is right, and no extent is named twice, or is free.
 *
 * Must hold: it is one synchronous step, because only then does nothing change between one frame and the next.
 */
import {
  type ErrorCode,
  foldAddress,
  PAGE_CLASS,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  SWIP_COLD,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_TAG_MASK,
  sizeClassOf,
  type Translation,
  unitOf,
} from '@pagewright/core/contracts';
import type { Arena } from './arena.js';
import type { BuddyAllocator } from './buddy.js';
import type { Epochs } from './epochs.js';
import type { FileSpace } from './file-space.js';
import {
  ADDRESS,
  DIRTY_EPOCH,
  type FrameTable,
  NO_FRAME,
  PARENT,
  PINS,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_CLAIMED,
  STATE_COOL,
  STATE_FREE,
  STATE_HOT,
  STATE_LOADING,
  STATE_TAIL,
} from './frames.js';
import { isSwipTable } from './page-image.js';
import { UnitSet } from './verify-extents.js';

export interface FramesParts {
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly translation: Translation;
  readonly blocks: BuddyAllocator;
  readonly epochs: Epochs;
  readonly space: FileSpace;
  /** Units at the beginning of the file that hold the superblocks. */
  readonly reservedUnits: number;
  readonly rootFrame: number;
}

/** A swip of a page in memory. */
export interface FrameSwip {
  readonly offset: number;
  readonly word: number;
  readonly checksum: number;
}

/** Told of what is wrong; the frame is -1 for what concerns no single one. */
export type ReportFrame = (frame: number, message: string, code: ErrorCode) => void;

export function isResident(frames: FrameTable, frame: number): boolean {
  const state = frames.get(frame, STATE);
  return state === STATE_HOT || state === STATE_COOL;
}

export function namesFrame(word: number): boolean {
  const tag = word & SWIP_TAG_MASK;
  return tag === SWIP_HOT || tag === SWIP_COOL;
}

/** The swips of the page in a frame; null if its header says what cannot be. */
export function swipsOfFrame(arena: Arena, frames: FrameTable, frame: number): FrameSwip[] | null {
  const { u16, u32 } = arena.segmentOf(frame);
  const base = arena.baseOf(frame);
  const table = {
    offset: u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number,
    count: u16[(base + PAGE_SWIP_COUNT) >>> 1] as number,
    stride: u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number,
  };
  if (!isSwipTable(table, arena.pageSize << frames.get(frame, SIZE_CLASS))) return null;
  return Array.from({ length: table.count }, (_, number) => {
    const offset = table.offset + number * table.stride;
    const at = (base + offset) >>> 2;
    return { offset, word: u32[at] as number, checksum: u32[at + 1] as number };
  });
}

/** Goes through all frames; those with pages, side by side where they have one parent. `visible`: no page has a higher stamp. */
export function takeCensus(parts: FramesParts, visible: number, report: ReportFrame): Int32Array {
  return new Census(parts, visible, report).take();
}

class Census {
  readonly #free: UnitSet;
  readonly #named: UnitSet;
  /** How many swips of its parent name each frame. */
  readonly #naming: Uint8Array;
  readonly #order: Int32Array;
  #ordered = 0;

  constructor(
    private readonly parts: FramesParts,
    private readonly visible: number,
    private readonly pass: ReportFrame,
  ) {
    const { space, reservedUnits } = parts;
    this.#free = new UnitSet(space.units);
    space.forEachFree((unit, sizeClass) => this.#free.add(unit, 2 ** sizeClass));
    this.#named = new UnitSet(space.units);
    this.#named.add(0, reservedUnits);
    this.#naming = new Uint8Array(parts.frames.count);
    this.#order = new Int32Array(parts.frames.count);
  }

  take(): Int32Array {
    const { frames, blocks, epochs } = this.parts;
    const pages: number[] = [];
    let free = 0;
    let dirty = 0;
    for (let frame = 0; frame < frames.count; ) {
      const state = frames.get(frame, STATE);
      // What another thread has claimed is neither free nor a page.
      if (state === STATE_FREE || state === STATE_TAIL || state === STATE_CLAIMED) {
        if (state === STATE_FREE) free++;
        else if (state === STATE_TAIL) this.#report(-1, `Frame ${frame} is a part of a page that begins nowhere`);
        frame++;
        continue;
      }
      if (state !== STATE_LOADING) pages.push(frame);
      frame += 1 << frames.get(frame, SIZE_CLASS);
    }
    for (const frame of pages) {
      if (frames.get(frame, DIRTY_EPOCH) === epochs.open) dirty++;
      this.#checkFrame(frame);
    }
    for (const frame of pages) this.#checkNaming(frame);
    if (free !== blocks.freeUnits) this.#report(-1, `${free} frames are free, and the pool counts ${blocks.freeUnits}`);
    if (dirty !== epochs.dirtyPages)
      this.#report(-1, `${dirty} pages are dirty, and the pool counts ${epochs.dirtyPages}`);
    return this.#order.subarray(0, this.#ordered);
  }

  #checkFrame(frame: number): void {
    const { arena, frames, rootFrame } = this.parts;
    if (frame !== rootFrame) {
      this.#checkHeader(frame);
      this.#checkPlace(frame);
      this.#checkExtent(frame);
    }
    if (frames.get(frame, PINS) < 0) this.#report(frame, 'The page was unpinned more often than pinned');
    const swips = swipsOfFrame(arena, frames, frame);
    if (swips === null) this.#report(frame, 'The swip table lies beyond the end of the page', 'PW_CORRUPT_PAGE');
    else this.#checkSwips(frame, swips);
  }

  #checkHeader(frame: number): void {
    const { arena, frames } = this.parts;
    const { u8, u16, f64 } = arena.segmentOf(frame);
    const base = arena.baseOf(frame);
    const sizeClass = frames.get(frame, SIZE_CLASS);
    const stamp = f64[(base + PAGE_TIMESTAMP) >>> 3] as number;
    if (u16[(base + PAGE_KIND) >>> 1] === 0)
      this.#report(frame, 'The page has no kind: it was never formatted', 'PW_CORRUPT_PAGE');
    if (u8[base + PAGE_CLASS] !== sizeClass) {
      const says = `The page says that it is of class ${u8[base + PAGE_CLASS]}, and its frame is of class ${sizeClass}`;
      this.#report(frame, says, 'PW_CORRUPT_PAGE');
    }
    if (!(stamp >= 0 && stamp <= this.visible)) {
      const says = `The page has the stamp ${stamp}, above that of the last commit, ${this.visible}`;
      this.#report(frame, says, 'PW_CORRUPT_PAGE');
    }
  }

  /** The page has a parent; if it is dirty, so is its parent (C2). */
  #checkPlace(frame: number): void {
    const { frames, epochs, rootFrame } = this.parts;
    const parent = frames.get(frame, PARENT);
    if (parent === NO_FRAME) this.#report(frame, 'The page has no place in the tree, and keeps its frame');
    else if (parent < 0 || parent >= frames.count || !isResident(frames, parent))
      this.#report(frame, `The page has its place in frame ${parent}, where there is no page`);
    else if (frames.get(frame, DIRTY_EPOCH) === epochs.open && frames.get(parent, DIRTY_EPOCH) !== epochs.open)
      this.#report(frame, `The page is dirty, and frame ${parent} above it is not`);
    else if (parent !== rootFrame && epochs.isDirty(frame) && !epochs.isDirty(parent) && !epochs.isBeingWritten(frame))
      this.#report(frame, `The page is owed to a checkpoint, and frame ${parent} above it is not`);
  }

  /** When all parents were gone through: one swip names the page. */
  #checkNaming(frame: number): void {
    const { frames, rootFrame } = this.parts;
    const parent = frames.get(frame, PARENT);
    const count = this.#naming[frame];
    if (frame === rootFrame || parent === NO_FRAME || count === 1) return;
    this.#report(frame, `${count} swips of the page in frame ${parent}, where it has its place, name it`);
  }

  #checkExtent(frame: number): void {
    const { frames, epochs } = this.parts;
    const address = frames.get(frame, ADDRESS) >>> 0;
    if (address !== 0) this.#checkAddress(frame, address);
    else if (!epochs.isDirty(frame)) this.#report(frame, 'The page is as it was stored, and stored nowhere');
  }

  #checkSwips(frame: number, swips: readonly FrameSwip[]): void {
    const { frames } = this.parts;
    let resident = 0;
    for (const { offset, word } of swips) {
      if (word === SWIP_NULL) continue;
      if (namesFrame(word)) {
        resident++;
        this.#checkChild(frame, offset, word);
      } else if ((word & SWIP_TAG_MASK) === SWIP_COLD) this.#checkAddress(frame, word >>> 2, offset);
      else this.#report(frame, `There is no swip at offset ${offset}, but ${word}`, 'PW_CORRUPT_PAGE');
    }
    const counted = frames.get(frame, RESIDENT_CHILDREN);
    if (counted !== resident)
      this.#report(frame, `${resident} pages below it are in memory, and the frame counts ${counted}`);
  }

  #checkChild(parent: number, offset: number, word: number): void {
    const { frames, translation } = this.parts;
    const child = translation.frameOf(word >>> 2);
    if (child === NO_FRAME || !isResident(frames, child) || frames.get(child, PARENT) !== parent) {
      this.#report(parent, `The swip at offset ${offset} names frame ${child}, which has another place, or none`);
      return;
    }
    if (frames.nameOf(child) !== word >>> 2)
      this.#report(child, `The page is named ${frames.nameOf(child)}, and its swip says ${word >>> 2}`);
    const isCool = frames.get(child, STATE) === STATE_COOL;
    if (((word & SWIP_TAG_MASK) === SWIP_COOL) !== isCool)
      this.#report(child, `The page is ${isCool ? 'cool' : 'hot'}, and its swip says otherwise`);
    if ((this.#naming[child] as number) === 0) this.#order[this.#ordered++] = child;
    if ((this.#naming[child] as number) < 255) this.#naming[child]!++;
  }

  #checkAddress(frame: number, address: number, offset?: number): void {
    const { space, reservedUnits } = this.parts;
    const which = offset === undefined ? 'The page was stored in' : `The swip at offset ${offset} names`;
    const units = 2 ** sizeClassOf(address);
    const isExtent = address > 0 && unitOf(address) >= reservedUnits && unitOf(address) + units <= space.units;
    if (!isExtent || foldAddress(unitOf(address), sizeClassOf(address)) !== address) {
      this.#report(frame, `${which} an extent that cannot be: ${address}`, 'PW_CORRUPT_PAGE');
      return;
    }
    if (!this.#named.claim(address)) this.#report(frame, `${which} an extent that is named by another way as well`);
    if (this.#free.hasExtent(address)) this.#report(frame, `${which} an extent that is free to be used again`);
  }

  #report(frame: number, message: string, code: ErrorCode = 'PW_INTERNAL'): void {
    this.pass(frame, message, code);
  }
}
