/**
 * All that is known of epochs, in memory that threads share: a header of numbers, the entries of the closed epoch, and the
 * area of images put aside. Objects over the same memory see the same state; the pool latch keeps them apart.
 */
import { ImageArea } from './image-area.js';
import { OwedPages } from './owed-pages.js';

/** The header, as numbers of its words. Epochs are numbered below 2^31: that is as many checkpoints. */
export const EPOCH = {
  /** The epoch in which changes are made now. */
  open: 0,
  /** Units of the file that the pages dirty in the open epoch will need, and how many pages these are. */
  dirtyUnits: 1,
  dirtyPages: 2,
  /** Evictions on their way to the file, of pages of the open epoch. */
  openWrites: 3,
  /** One of the states below. */
  closed: 4,
  /** What was dirty when the epoch closed. */
  closedUnits: 5,
  closedPages: 6,
  /** How much of that is not in the file yet. */
  owedUnits: 7,
  closedWrites: 8,
  /** 1 if anything has changed in the closed epoch. */
  hasChanged: 9,
  /** Where the topmost image is, once it is known; 0 for an empty tree. */
  topAddress: 10,
  topChecksum: 11,
  /** Checkpoints that were completed. */
  checkpoints: 12,
} as const;

/** No checkpoint runs. */
export const NONE = 0;
export const RUNNING = 1;
/** A checkpoint has failed: what was dirty stays so, no image is put aside, and no epoch closes any more. */
export const FAILED = 2;

const HEADER_BYTES = 64;

/** The image area is this share of a small pool, half of it of a large one, and at most so many bytes. */
const AREA_SHARE = 8;
const SMALL_AREA = 2 * 1024 * 1024;
const LARGEST_AREA = 8 * 1024 * 1024;

/** A batch of images of a checkpoint is at most this share of the pool, and at most so many bytes. */
const BATCH_SHARE = 8;
const LARGEST_BATCH = 1024 * 1024;

/** Bytes of images that are staged before they are written. The last one may be larger than what is left of it. */
export function batchBytes(frames: number, pageSize: number): number {
  return Math.min(Math.floor(frames / BATCH_SHARE) * pageSize, LARGEST_BATCH);
}

export class EpochMemory {
  readonly words: Int32Array;
  readonly owed: OwedPages;
  readonly area: ImageArea;

  static bytes(frames: number, pageSize: number): number {
    return areaOffset(frames, pageSize) + ImageArea.bytes(areaPages(frames, pageSize), pageSize);
  }

  /** Bytes of the images that may be put aside. */
  static imageBytes(frames: number, pageSize: number): number {
    return areaPages(frames, pageSize) * pageSize;
  }

  constructor(memory: SharedArrayBuffer, frames: number, pageSize: number) {
    this.words = new Int32Array(memory, 0, HEADER_BYTES >>> 2);
    this.owed = new OwedPages(memory, HEADER_BYTES, capacity(frames, pageSize));
    this.area = new ImageArea(memory, areaOffset(frames, pageSize), areaPages(frames, pageSize), pageSize);
  }

  get(field: number): number {
    return this.words[field] as number;
  }

  set(field: number, value: number): void {
    this.words[field] = value;
  }

  add(field: number, difference: number): void {
    this.words[field] = (this.words[field] as number) + difference;
  }
}

/** Entries that have frames, those with images put aside, and those on their way to the file. */
function capacity(frames: number, pageSize: number): number {
  return frames + areaPages(frames, pageSize) + Math.ceil(batchBytes(frames, pageSize) / pageSize);
}

function areaPages(frames: number, pageSize: number): number {
  const share = Math.floor(frames / AREA_SHARE);
  const small = Math.floor(SMALL_AREA / pageSize);
  return Math.min(share, Math.max(small, Math.floor(share / 2)), Math.floor(LARGEST_AREA / pageSize));
}

function areaOffset(frames: number, pageSize: number): number {
  return Math.ceil((HEADER_BYTES + OwedPages.bytes(capacity(frames, pageSize))) / 64) * 64;
}
