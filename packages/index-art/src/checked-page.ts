/** What the parts of a check pass to each other, and to themselves from page to page. */
import type { PageBounds, ReportDamage, Segment } from '@pagewright/core';

/** Bounds that this index gives for a child say what kind of page it must be, and where in the keys it stands. The path to it is the lower bound. */
export class ChildBounds implements PageBounds {
  readonly upper = null;

  constructor(
    readonly kind: number,
    /** The bytes of the keys above the page; null of a value. */
    readonly lower: Uint8Array | null,
    readonly slice: boolean,
    /** The bytes that a slice has. */
    readonly first: number,
    readonly last: number,
  ) {}
}

/** A page under check: a private copy of it, from byte 0. */
export interface CheckedPage {
  readonly segment: Segment;
  readonly pageSize: number;
  /** Bytes of keys above it, as far as they are known. */
  readonly path: Uint8Array;
  readonly report: ReportDamage;
}
