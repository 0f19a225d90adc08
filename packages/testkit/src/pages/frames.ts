/**
 * The frames of the hostile store: memory in segments, which page is in which frame, and free frames to be used again.
 * A frame of class c takes `2 ** c` places and lies within one segment. Versions only ever go up, whatever a frame is
 * used for next (M1); what a frame held is rubbish as soon as it is given up.
 */
import {
  PAGE_CLASS,
  PAGE_EPOCH,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_OFFSET,
  PAGE_TIMESTAMP,
  PagewrightError,
  Segment,
  SWIP_HOT,
} from '@pagewright/core';
import type { Random } from '../random.js';
import { swipOffsets } from './swip-table.js';

/** Stands for no frame, and for the parent of a page that has no place in the tree. */
export const NOWHERE = -1;
/** The frame of the catalog page, which is always there. */
export const CATALOG = 0;

const RUBBISH = 0xdb;
const FRAMES_PER_SEGMENT = 1024;

export class Frames {
  readonly versions: Int32Array;
  readonly parents: Int32Array;
  readonly pins: Uint8Array;
  /** Frames with a page in them, in no particular order. */
  readonly live: number[] = [];
  readonly #isLive: Uint8Array;
  readonly #classes: Uint8Array;
  readonly #segments: Segment[] = [];
  readonly #free: number[][] = [];
  #neverUsed = CATALOG;

  constructor(
    readonly count: number,
    readonly pageSize: number,
    private readonly random: Random,
  ) {
    this.versions = new Int32Array(count);
    this.parents = new Int32Array(count).fill(NOWHERE);
    this.pins = new Uint8Array(count);
    this.#isLive = new Uint8Array(count);
    this.#classes = new Uint8Array(count);
  }

  segmentOf(frame: number): Segment {
    const at = Math.floor(frame / FRAMES_PER_SEGMENT);
    while (this.#segments.length <= at)
      this.#segments.push(new Segment(new SharedArrayBuffer(FRAMES_PER_SEGMENT * this.pageSize)));
    return this.#segments[at]!;
  }

  baseOf(frame: number): number {
    return (frame % FRAMES_PER_SEGMENT) * this.pageSize;
  }

  sizeOf(frame: number): number {
    return this.pageSize << this.#classes[frame]!;
  }

  classOf(frame: number): number {
    return this.#classes[frame]!;
  }

  isLive(frame: number): boolean {
    return this.#isLive[frame] === 1;
  }

  /** The bytes of the page, in place. */
  bytes(frame: number): Uint8Array {
    const base = this.baseOf(frame);
    return this.segmentOf(frame).u8.subarray(base, base + this.sizeOf(frame));
  }

  /** Word 0 of a swip. */
  word(frame: number, offset: number): number {
    return this.segmentOf(frame).u32[(this.baseOf(frame) + offset) >>> 2]!;
  }

  swips(frame: number): number[] {
    return swipOffsets(this.bytes(frame));
  }

  /** The offset of the swip by which a page is reached. */
  swipTo(frame: number): number {
    const parent = this.parents[frame]!;
    const word = hotWord(frame);
    for (const offset of this.swips(parent)) if (this.word(parent, offset) === word) return offset;
    throw new Error(`The swip of frame ${frame} is not in the table of its parent ${parent}`);
  }

  /** A frame for a page of this class, any of those that are free. Errors: `PW_POOL_EXHAUSTED`. */
  take(sizeClass: number): number {
    const frame = this.#takeFree(sizeClass) ?? this.#takeNew(sizeClass);
    this.#isLive[frame] = 1;
    this.#classes[frame] = sizeClass;
    this.parents[frame] = NOWHERE;
    this.live.push(frame);
    return frame;
  }

  /** Fills in the header of a new page; the rest is rubbish. */
  format(frame: number, index: number, kind: number, timestamp: number): void {
    this.bytes(frame).fill(RUBBISH);
    const { u8, u16, u32, f64 } = this.segmentOf(frame);
    const base = this.baseOf(frame);
    u16[(base + PAGE_KIND) >>> 1] = kind;
    u8[base + PAGE_CLASS] = this.#classes[frame]!;
    u8[base + PAGE_CLASS + 1] = 0;
    u32[(base + PAGE_INDEX) >>> 2] = index;
    f64[(base + PAGE_TIMESTAMP) >>> 3] = timestamp;
    u32.fill(0, (base + PAGE_SWIP_OFFSET) >>> 2, (base + PAGE_EPOCH + 8) >>> 2);
  }

  /** Gives up a frame. */
  giveUp(frame: number): void {
    this.bytes(frame).fill(RUBBISH);
    const sizeClass = this.#classes[frame]!;
    this.#isLive[frame] = 0;
    this.#classes[frame] = 0;
    this.parents[frame] = NOWHERE;
    this.live.splice(this.live.lastIndexOf(frame), 1);
    this.touch(frame);
    this.#free[sizeClass] ??= [];
    this.#free[sizeClass].push(frame);
  }

  /** Whoever read the page before has to start again. */
  touch(frame: number): void {
    this.versions[frame] = (this.versions[frame]! + 4) | 0;
  }

  #takeFree(sizeClass: number): number | null {
    const list = this.#free[sizeClass] ?? [];
    if (list.length === 0) return null;
    const at = this.random.below(list.length);
    const frame = list[at]!;
    list[at] = list[list.length - 1]!;
    list.pop();
    return frame;
  }

  #takeNew(sizeClass: number): number {
    const places = 2 ** sizeClass;
    if (places > FRAMES_PER_SEGMENT) throw new Error(`Pages of class ${sizeClass} are larger than a segment`);
    const room = FRAMES_PER_SEGMENT - (this.#neverUsed % FRAMES_PER_SEGMENT);
    const frame = places <= room ? this.#neverUsed : this.#neverUsed + room;
    if (frame + places > this.count)
      throw new PagewrightError('PW_POOL_EXHAUSTED', 'The frames of the test store are used up; give it more.');
    this.#neverUsed = frame + places;
    return frame;
  }
}

/** Word 0 of a swip that names a frame. */
export function hotWord(frame: number): number {
  return ((frame << 2) | SWIP_HOT) >>> 0;
}
