/**
 * The frame table: what the pool knows of each frame, in shared memory beside the arena. Sixteen words a frame, one
 * cache line. The entry of a page larger than one block is that of its first block; the others say `STATE_TAIL`.
 */
import type { NamedFrames } from '@pagewright/core/contracts';

/** The latch: bit 0 held, bit 1 waiters, the rest counts. Never reset (M1). */
export const VERSION = 0;
/** The thread that holds the latch. */
export const OWNER = 1;
export const STATE = 2;
export const SIZE_CLASS = 3;
/** The frame that holds this page's swip; `NO_FRAME` while the page has no place in the tree. */
export const PARENT = 4;
/** Folded address of the extent that holds the page as it was when last written; 0 if it never was. */
export const ADDRESS = 5;
/** CRC-32 of that extent. */
export const CHECKSUM = 6;
/** Epoch in which the page, or one below it, last changed: the open one, or the closed one that it owes its image; else 0. */
export const DIRTY_EPOCH = 7;
/** Not evicted, moved or cooled while above 0. */
export const PINS = 8;
/** How many of its swips are hot or cool: only a page without any may leave (P1). */
export const RESIDENT_CHILDREN = 9;
/** The entry of the closed epoch that stands for this page; 0 if there is none (`owed-pages.ts`). */
export const ENTRY = 10;

/** The extent that eviction is writing the page to; 0 if it is not, or if the page has changed or gone meanwhile. */
export const WRITING = 11;
/** What swips call the page while it is in memory; 0 while none does. Kept by the translation. */
export const NAME = 12;

/** 1 + the slot of the thread that reads into the frame, while it is `STATE_LOADING`. */
export const READER = 13;

const WORDS_SHIFT = 4;

/** As many as a pool can have: the words of the table, and of what stands beside it, are numbered by integers of 32 bits with a sign. */
export const MOST_FRAMES = 2 ** (31 - WORDS_SHIFT);

export const NO_FRAME = -1;

export const STATE_FREE = 0;
/** A block inside a larger page. */
export const STATE_TAIL = 1;
/** Its bytes are being read; nothing names it yet. */
export const STATE_LOADING = 2;
export const STATE_HOT = 3;
export const STATE_COOL = 4;
/** No page is there; who clears the region around it has taken the block, and may be writing another page of the region. */
export const STATE_CLAIMED = 5;

/** Typed access to the table. Callers in hot paths index `words` themselves, by `at(frame)` plus a field. */
export class FrameTable implements NamedFrames {
  readonly words: Int32Array;

  static bytes(frames: number): number {
    return frames * 2 ** (WORDS_SHIFT + 2);
  }

  constructor(
    readonly count: number,
    memory: SharedArrayBuffer = new SharedArrayBuffer(FrameTable.bytes(count)),
  ) {
    this.words = new Int32Array(memory);
  }

  /** Index of the frame's first word. */
  at(frame: number): number {
    return frame << WORDS_SHIFT;
  }

  get(frame: number, field: number): number {
    return this.words[(frame << WORDS_SHIFT) + field] as number;
  }

  set(frame: number, field: number, value: number): void {
    this.words[(frame << WORDS_SHIFT) + field] = value;
  }

  add(frame: number, field: number, difference: number): void {
    const at = (frame << WORDS_SHIFT) + field;
    this.words[at] = (this.words[at] as number) + difference;
  }

  nameOf(frame: number): number {
    return this.words[(frame << WORDS_SHIFT) + NAME] as number;
  }

  setName(frame: number, name: number): void {
    this.words[(frame << WORDS_SHIFT) + NAME] = name;
  }

  /** Sets up the entry of a page that just got its frame; the latch words stay as they are (M1). */
  initialize(frame: number, sizeClass: number, state: number): void {
    const at = frame << WORDS_SHIFT;
    const words = this.words;
    words[at + STATE] = state;
    words[at + SIZE_CLASS] = sizeClass;
    words[at + PARENT] = NO_FRAME;
    words[at + ADDRESS] = 0;
    words[at + CHECKSUM] = 0;
    words[at + DIRTY_EPOCH] = 0;
    words[at + PINS] = 0;
    words[at + RESIDENT_CHILDREN] = 0;
    words[at + ENTRY] = 0;
    words[at + WRITING] = 0;
    words[at + NAME] = 0;
    words[at + READER] = 0;
    for (let tail = frame + 1; tail < frame + (1 << sizeClass); tail++)
      words[(tail << WORDS_SHIFT) + STATE] = STATE_TAIL;
  }

  /** Marks all blocks of the page free. */
  clear(frame: number, sizeClass: number): void {
    for (let block = frame; block < frame + (1 << sizeClass); block++) {
      this.words[(block << WORDS_SHIFT) + STATE] = STATE_FREE;
    }
  }

  /** Marks the blocks as taken, by who clears the region around them. */
  claim(first: number, sizeClass: number): void {
    for (let block = first; block < first + (1 << sizeClass); block++) this.set(block, STATE, STATE_CLAIMED);
  }

  /** Copies all but the latch words: the page has moved from one frame to another. */
  transfer(from: number, to: number): void {
    const source = from << WORDS_SHIFT;
    this.words.copyWithin((to << WORDS_SHIFT) + STATE, source + STATE, source + (1 << WORDS_SHIFT));
    const sizeClass = this.get(to, SIZE_CLASS);
    for (let tail = to + 1; tail < to + (1 << sizeClass); tail++)
      this.words[(tail << WORDS_SHIFT) + STATE] = STATE_TAIL;
  }

  /** The first block of the page that covers this block, or `NO_FRAME` if there is none. */
  headOf(block: number): number {
    let head = block;
    for (let shift = 1; this.get(head, STATE) === STATE_TAIL; shift++) head = (block >>> shift) << shift;
    const state = this.get(head, STATE);
    return state === STATE_FREE || state === STATE_CLAIMED ? NO_FRAME : head;
  }
}
