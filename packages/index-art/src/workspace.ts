/**
 * Private memory that operations of one thread work in. Made once for all indexes of an engine, because operations are synchronous and none calls
 * another. Nothing in it outlives an operation.
 */
import { ResultSlab, Segment, SwipList } from '@pagewright/core';
import { Measure } from './measure.js';
import { NodeContent } from './node-content.js';
import { PagePacker } from './page-packer.js';
import { PageScan } from './page-scan.js';
import { SubtreeCopy, SwipMoves } from './subtree-copy.js';

/** Pages that are asked for ahead at once, at most. */
const MOST_WANTED = 64;

export class Workspace {
  /** Bytes that a key may have. */
  readonly longestKey: number;
  /** A copy of a page, seen through the same class of view as the pages themselves. */
  readonly image: Segment;
  /** Nodes whose shape changes. */
  readonly node: NodeContent;
  readonly other: NodeContent;
  readonly measure: Measure;
  readonly copy: SubtreeCopy;
  readonly moves: SwipMoves;
  readonly scan: PageScan;
  /** For what follows while that one stands. */
  readonly scanAhead: PageScan;
  /** A key of any length that a page may have, and a byte more. */
  readonly key: Uint8Array;
  readonly results = new ResultSlab();
  readonly packer: PagePacker;
  /** Pages that are asked for ahead. */
  readonly wanted = new SwipList(MOST_WANTED);

  constructor(readonly pageSize: number) {
    this.longestKey = pageSize >>> 2;
    this.image = new Segment(new SharedArrayBuffer(pageSize));
    this.node = new NodeContent(this.longestKey);
    this.other = new NodeContent(this.longestKey);
    this.measure = new Measure(pageSize);
    this.copy = new SubtreeCopy(this.longestKey);
    this.moves = new SwipMoves(pageSize);
    this.scan = new PageScan(pageSize);
    this.scanAhead = new PageScan(pageSize);
    this.key = new Uint8Array(this.longestKey + 1);
    this.packer = new PagePacker(pageSize);
  }

  /** Copies a page to the place for an image. */
  copyPage(segment: Segment, base: number): void {
    this.image.u8.set(segment.u8.subarray(base, base + this.pageSize), 0);
  }
}
