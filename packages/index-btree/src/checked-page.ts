/** What the parts of a check pass to each other, and to themselves from page to page. */
import type { PageBounds, ReportDamage, Segment } from '@pagewright/core';

/** Bounds that this index gives for a child say as well what kind of page it must be. */
export class ChildBounds implements PageBounds {
  constructor(
    readonly lower: Uint8Array | null,
    readonly upper: Uint8Array | null,
    readonly kind: number,
    /** Of a node. */
    readonly level: number,
  ) {}
}

/** A page under check: a private copy of it, from byte 0. */
export interface CheckedPage {
  readonly segment: Segment;
  readonly pageSize: number;
  readonly bounds: PageBounds;
  readonly report: ReportDamage;
}
