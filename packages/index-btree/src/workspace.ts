/**
 * Private memory that operations of one thread work in: copies of pages, keys, separators. Made once for all indexes of
 * an engine, because operations are synchronous and none calls another. Nothing in it outlives an operation.
 */
import { ResultSlab, Segment, SwipList } from '@pagewright/core';
import { LeafCount } from './leaf-count.js';
import { LeafPacker } from './leaf-packer.js';

/** Pages that are asked for ahead at once, at most. */
const MOST_WANTED = 64;

export class Workspace {
  /**
   * Copies of up to three pages, one behind the other: two neighbours whose entries are being divided anew, and one page
   * that is being rewritten meanwhile. Seen through the same class of view as the pages themselves.
   */
  readonly images: Segment;
  readonly leftImage = 0;
  readonly rightImage: number;
  readonly thirdImage: number;
  /** Keys of any length that a page may have. `keyA` and `keyB` hold nothing beyond the call that fills them. */
  readonly keyA: Uint8Array;
  readonly keyB: Uint8Array;
  readonly separator: Uint8Array;
  readonly leftFence: Uint8Array;
  readonly rightFence: Uint8Array;
  readonly results = new ResultSlab();
  readonly packer: LeafPacker;
  readonly leafCount: LeafCount;
  /** Pages that are asked for ahead. */
  readonly wanted = new SwipList(MOST_WANTED);

  constructor(readonly pageSize: number) {
    this.images = new Segment(new SharedArrayBuffer(3 * pageSize));
    this.rightImage = pageSize;
    this.thirdImage = 2 * pageSize;
    this.packer = new LeafPacker(pageSize);
    this.leafCount = new LeafCount(pageSize);
    const longest = pageSize >>> 2;
    this.keyA = new Uint8Array(longest);
    this.keyB = new Uint8Array(longest);
    this.separator = new Uint8Array(longest);
    this.leftFence = new Uint8Array(longest);
    this.rightFence = new Uint8Array(longest);
  }

  /** Copies a page to one of the places for images. */
  copyPage(segment: Segment, base: number, to: number): void {
    copyPage(segment, base, this.images, to, this.pageSize);
  }
}

export function copyPage(from: Segment, base: number, into: Segment, to: number, pageSize: number): void {
  into.u8.set(from.u8.subarray(base, base + pageSize), to);
}
