/**
 * Making room: a part of a full page goes to a page of its own. Where one child of a node takes much of the page, that is a subtree; where many
 * take a little each, it is a slice of the node: the children for a range of bytes, so that pages are not left with a few entries each. A slice that is
 * full is cut in two at the node above it, as a B-tree cuts a page; the page of that node makes room first, if it must.
 *
 * Must hold: pages are allocated, and what could be damaged was read, before the first byte changes (an error leaves the tree as it was). Latches are
 * taken from the top down.
 */
import { HeldLatches, POINT, type Segment, schedulePoint } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { TO_END } from './descent.js';
import {
  blockSize,
  isNode,
  isOutside,
  kindFor,
  kindOf,
  LEAF,
  LINK,
  linkTo,
  nodeSize,
  offsetOf,
  SLICE,
  swipOf,
} from './node-layout.js';
import { placeFor } from './node-search.js';
import { bytesForSwip, gapOf, giveBlock, takeSwip } from './page-heap.js';
import {
  addEntries,
  depthOf,
  heapUsedOf,
  isSlice,
  KIND_NODES,
  ROOT_REFERENCE,
  rootOf,
  setDepth,
  setHeapUsed,
  setSlice,
  stampOf,
  swipOffset,
} from './page-layout.js';
import { Transfer } from './transfer.js';
import type { TreeParts } from './tree-parts.js';
import { AT_LINK } from './way.js';

/** More pages than any way has. */
const MOST_PAGES = 100_000;
/** A child that takes a share of the page of one part in so many goes by itself. */
const LARGE_SHARE = 4;
/** A slice takes this share of a page at most. */
const LARGEST_SLICE = 0.75;
const DONE = -1;

export class Splitter {
  readonly #held: HeldLatches;
  readonly #transfer: Transfer;
  /** The node that was chosen to be divided: where its reference stands, and the bytes of a key before its children. */
  #place = 0;
  #reference = 0;
  #depth = 0;
  #total = 0;

  constructor(private readonly parts: TreeParts) {
    this.#held = new HeldLatches(parts.context.pages);
    this.#transfer = new Transfer(parts.context.pages, parts.workspace);
  }

  /** Makes room in the page where the way of a key ends, or in the first page above it that must make room before. Errors: those of `allocate` and `modify`. */
  makeRoom(key: Uint8Array, timestamp: number): void {
    let last = TO_END;
    for (let pages = 0; pages < MOST_PAGES; pages++) {
      last = this.#divide(key, last, timestamp);
      if (last === DONE) return;
      schedulePoint(POINT.splitGoesUp);
    }
    throw damagedPage(this.parts.context.number, -1, 'no page on the way of a key can be divided');
  }

  /** {@link DONE}, or which page of the way must make room before. */
  #divide(key: Uint8Array, last: number, timestamp: number): number {
    const { descent } = this.parts;
    const page = descent.latchPair(key, last);
    const { parent, ordinal } = descent;
    this.#held.add(parent);
    this.#held.add(page);
    try {
      if (this.#choose(page)) return this.#cut(key, parent, page, timestamp) ? DONE : ordinal - 1;
      this.#pushOut(page, timestamp);
      return DONE;
    } finally {
      this.#held.releaseAll();
    }
  }

  /**
   * Goes down to the first node none of whose children takes half of what is on the page, and reads it. True: it is the root of a slice, which the node
   * above divides. Errors: `PW_CORRUPT_PAGE`.
   */
  #choose(page: number): boolean {
    const { context, workspace, shape } = this.parts;
    const { measure, node } = workspace;
    const segment = context.pages.segmentOf(page);
    const base = context.pages.baseOf(page);
    shape.assertSound(page);
    this.#place = ROOT_REFERENCE;
    this.#reference = rootOf(segment, base);
    this.#depth = depthOf(segment, base);
    this.#total = this.#reference === 0 ? 0 : measure.weight(this.#reference);
    for (;;) {
      if (!isNode(this.#reference)) throw damagedPage(context.number, page, 'it is full with a single entry');
      const at = base + offsetOf(this.#reference);
      node.read(segment, at, kindOf(this.#reference));
      this.#depth += node.prefixLength;
      if (node.count === 0) throw damagedPage(context.number, page, 'it is full with a single entry');
      const largest = this.#largest(0, node.count);
      const child = node.references[largest]!;
      if (!isNode(child) || measure.weight(child) * 2 <= this.#total) break;
      this.#place = placeFor(segment, at, kindOf(this.#reference), node.first[largest]!) - base;
      this.#reference = child;
      this.#depth++;
    }
    return this.#place === ROOT_REFERENCE && isSlice(segment, base) && node.count > 1;
  }

  /** Which child of the node that was read takes most. */
  #largest(from: number, to: number): number {
    const { measure, node } = this.parts.workspace;
    let largest = from;
    for (let i = from + 1; i < to; i++)
      if (measure.weight(node.references[i]!) > measure.weight(node.references[largest]!)) largest = i;
    return largest;
  }

  // ── Out of a page ───────────────────────────────────────────────────────────────────────────────────────────

  /** Moves a child of the node that was chosen, or a range of them, to a new page. */
  #pushOut(page: number, timestamp: number): void {
    const { context, shape, workspace } = this.parts;
    const { pages } = context;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    if (bytesForSwip(segment, base, pages.pageSize) > gapOf(segment, base, pages.pageSize)) {
      shape.compact(page, timestamp);
      this.#choose(page);
    }
    const { node, measure } = workspace;
    const largest = this.#largest(0, node.count);
    const child = node.references[largest]!;
    const isLarge = measure.weight(child) * LARGE_SHARE >= this.#total || node.count === 1;
    const isAlone = isLarge && !isOutside(child);
    let first = largest;
    let count = 1;
    if (!isAlone) {
      [first, count] = this.#bestRange();
      if (count < 2) throw damagedPage(context.number, page, 'it is full of links');
    }
    const { bytes, swips, entries } = this.#sum(first, count);
    const fresh = this.#allocate(segment, base, timestamp);
    try {
      pages.modify(page, timestamp);
    } catch (error) {
      this.#held.forget(fresh);
      pages.free(fresh);
      throw error;
    }
    // From here on nothing fails, and what was allocated gets its place.
    if (isAlone) this.#transfer.moveChild(page, fresh, this.#depth + 1, child, swips);
    else this.#transfer.moveSlice(page, fresh, this.#depth, first, count, swips);
    setHeapUsed(segment, base, heapUsedOf(segment, base) - bytes);
    addEntries(segment, base, -entries);
    const swip = takeSwip(segment, base, pages.pageSize);
    node.references[first] = linkTo(swip, isAlone ? LINK : SLICE);
    if (!isAlone) {
      node.last[first] = first + count < node.count ? node.first[first + count]! - 1 : 255;
      node.remove(first + 1, count - 1);
    }
    node.write(segment, base + offsetOf(this.#reference), kindOf(this.#reference));
    pages.link(page, swipOffset(pages.pageSize, swip), fresh);
  }

  /** The children next to each other that take nearest to half of the page: the first one, and how many. */
  #bestRange(): [number, number] {
    const { measure, node } = this.parts.workspace;
    const most = Math.min(this.#total, this.parts.context.pages.pageSize) * LARGEST_SLICE;
    const wanted = this.#total / 2;
    let best: [number, number] = [0, 0];
    let nearest = Number.POSITIVE_INFINITY;
    let sum = 0;
    let first = 0;
    for (let end = 0; end < node.count; end++) {
      sum += measure.weight(node.references[end]!);
      while (sum > most) sum -= measure.weight(node.references[first++]!);
      let rest = sum;
      for (let from = first; end - from >= 1; from++) {
        if (Math.abs(rest - wanted) < nearest) {
          nearest = Math.abs(rest - wanted);
          best = [from, end - from + 1];
        }
        if (rest < wanted) break;
        rest -= measure.weight(node.references[from]!);
      }
    }
    return best;
  }

  /** What some children of the node that was read take. */
  #sum(first: number, count: number): { bytes: number; swips: number; entries: number } {
    const { measure, node } = this.parts.workspace;
    const sum = { bytes: 0, swips: 0, entries: 0 };
    for (let i = first; i < first + count; i++) {
      const reference = node.references[i]!;
      const unit = offsetOf(reference) >>> 3;
      if (isOutside(reference)) sum.swips++;
      else {
        sum.bytes += measure.bytes[unit]!;
        sum.swips += measure.swips[unit]!;
        sum.entries += measure.entries[unit]!;
      }
    }
    return sum;
  }

  #allocate(segment: Segment, base: number, timestamp: number): number {
    const { pages, number } = this.parts.context;
    const stamp = Math.max(timestamp, stampOf(segment, base));
    return this.#held.add(pages.allocate(number, KIND_NODES, 0, stamp));
  }

  // ── Cutting a slice in two ──────────────────────────────────────────────────────────────────────────────────

  /** Moves the upper children of a slice, whose root was read, to a page beside it. False: the page above must make room before. */
  #cut(key: Uint8Array, parent: number, page: number, timestamp: number): boolean {
    const { context, shape, way, workspace } = this.parts;
    const { pages, number } = context;
    const { pageSize } = pages;
    const above = pages.segmentOf(parent);
    const aboveBase = pages.baseOf(parent);
    this.#followToSlice(parent, key);
    const needed = this.#bytesAbove(parent);
    if (!shape.hasRoom(parent, needed)) return false;
    if (shape.provide(parent, needed, timestamp)) {
      this.#followToSlice(parent, key);
      if (!this.#choose(page)) throw damagedPage(number, page, 'it is not what it was');
    }
    const { node, other } = workspace;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    const from = this.#halfWay();
    const count = node.count - from;
    const { bytes, swips, entries } = this.#sum(from, count);
    const fresh = this.#allocate(segment, base, timestamp);
    try {
      // What was removed from the slice may be looked for in the page above from now on.
      pages.modify(parent, Math.max(timestamp, stampOf(segment, base)));
      pages.modify(page, timestamp);
    } catch (error) {
      this.#held.forget(fresh);
      pages.free(fresh);
      throw error;
    }
    // From here on nothing fails, and what was allocated gets its place.
    const byte = node.first[from]!;
    const isSubtree = count === 1 && !isOutside(node.references[from]!);
    if (isSubtree) this.#transfer.moveChild(page, fresh, this.#depth + 1, node.references[from]!, swips);
    else this.#transfer.moveSlice(page, fresh, this.#depth, from, count, swips);
    setHeapUsed(segment, base, heapUsedOf(segment, base) - bytes);
    addEntries(segment, base, -entries);
    node.remove(from, count);
    const lower = node.first[0]!;
    const staysSubtree = this.#writeLower(page);
    const level = way.nodes - 1;
    const reference = way.references[level]!;
    other.clear();
    node.read(above, aboveBase + offsetOf(reference), kindOf(reference));
    const at = node.indexOf(way.byte);
    const swip = takeSwip(above, aboveBase, pageSize);
    node.divide(at, byte, linkTo(swip, isSubtree ? LINK : SLICE));
    if (isSubtree) node.last[at + 1] = byte;
    if (staysSubtree) {
      node.first[at] = node.last[at] = lower;
      node.references[at] = linkTo(swipOf(way.reference), LINK);
    }
    shape.rewrite(parent, level);
    pages.link(parent, swipOffset(pageSize, swip), fresh);
    return true;
  }

  /** Writes what is left of a slice. True: it is a subtree now, which has a single child's place. */
  #writeLower(page: number): boolean {
    const { context, workspace } = this.parts;
    const { node } = workspace;
    const segment = context.pages.segmentOf(page);
    const base = context.pages.baseOf(page);
    const at = base + offsetOf(this.#reference);
    const kind = kindOf(this.#reference);
    const child = node.references[0]!;
    if (node.count > 1 || !(isNode(child) || kindOf(child) === LEAF)) {
      node.write(segment, at, kind);
      return false;
    }
    giveBlock(segment, base, offsetOf(this.#reference), blockSize(segment, at, kind));
    segment.u16[(base + ROOT_REFERENCE) >>> 1] = child;
    setDepth(segment, base, this.#depth + 1);
    setSlice(segment, base, false);
    return true;
  }

  #followToSlice(parent: number, key: Uint8Array): void {
    const { context, way } = this.parts;
    way.follow(parent, key);
    if (way.end !== AT_LINK || kindOf(way.reference) !== SLICE || way.nodes === 0)
      throw damagedPage(context.number, parent, 'no slice leads to the page of one');
  }

  /** What the page above takes more for another slice. */
  #bytesAbove(parent: number): number {
    const { context, way, workspace } = this.parts;
    const { pages } = context;
    const segment = pages.segmentOf(parent);
    const base = pages.baseOf(parent);
    const reference = way.references[way.nodes - 1]!;
    const kind = kindOf(reference);
    const { other } = workspace;
    other.read(segment, base + offsetOf(reference), kind);
    const most = kindFor(other.places + 2, other.count + 1);
    const growth = most > kind ? nodeSize(most, other.prefixLength) : 0;
    return growth + bytesForSwip(segment, base, pages.pageSize);
  }

  /** Where the children of the slice that was read are cut, so that both sides take about the same. */
  #halfWay(): number {
    const { measure, node } = this.parts.workspace;
    let sum = 0;
    let all = 0;
    for (let i = 0; i < node.count; i++) all += measure.weight(node.references[i]!);
    for (let i = 0; i < node.count - 1; i++) {
      const weight = measure.weight(node.references[i]!);
      // The child in the middle goes where it makes less of a difference.
      if (2 * sum + weight >= all && i > 0) return i;
      sum += weight;
    }
    return node.count - 1;
  }
}
