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
import { AT_END } from './page-scan.js';
import { SWIP_RESERVE } from './page-shape.js';
import { Transfer } from './transfer.js';
import type { TreeParts } from './tree-parts.js';
import { AT_LINK } from './way.js';

/** More pages than any way has. */
const MOST_PAGES = 100_000;
/** A child that takes a share of the page of one part in so many goes by itself. */
const LARGE_SHARE = 4;
/** Where keys rise, only one that takes more than this share of it. */
const LARGE_IN_RUN = 0.3;
/** One that takes more than this share of it is divided itself. */
const MOST = 0.75;
const DONE = -1;

export class Splitter {
  readonly #held: HeldLatches;
  readonly #transfer: Transfer;
  /** The node that was chosen to be divided: where its reference stands, and the bytes of a key before its children. */
  #place = 0;
  #reference = 0;
  #depth = 0;
  #total = 0;
  /** Children that go to pages of their own: the first one, and how many. */
  readonly #pushes: (readonly [number, number])[] = [];
  /** Which page of the way has pushed out a part in the last {@link makeRoom}; below 0: none but the root. */
  pushed = -1;

  constructor(private readonly parts: TreeParts) {
    this.#held = new HeldLatches(parts.context.pages);
    this.#transfer = new Transfer(parts.context.pages, parts.workspace);
  }

  /** Makes room in the page where the way of a key ends, or in the first page above it that must make room before. Errors: those of `allocate` and `modify`. */
  makeRoom(key: Uint8Array, timestamp: number): void {
    let last = TO_END;
    this.pushed = -1;
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
      this.#pushOut(key, page, timestamp);
      if (!descent.atRoot) this.pushed = ordinal;
      return DONE;
    } finally {
      this.#held.releaseAll();
    }
  }

  /**
   * Goes down to the first node none of whose children takes most of what is on the page, and reads it. True: it is the root of a slice, which the node
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
      if (!isNode(this.#reference)) throw this.#fullOfNothing(page);
      const at = base + offsetOf(this.#reference);
      node.read(segment, at, kindOf(this.#reference));
      this.#depth += node.prefixLength;
      if (node.count === 0) throw this.#fullOfNothing(page);
      const largest = this.#largest();
      const child = node.references[largest]!;
      if (!isNode(child) || measure.weight(child) <= this.#total * MOST) break;
      this.#place = placeFor(segment, at, kindOf(this.#reference), node.first[largest]!) - base;
      this.#reference = child;
      this.#depth++;
    }
    return this.#place === ROOT_REFERENCE && isSlice(segment, base) && node.count > 1;
  }

  /** Which child of the node that was read takes most. */
  #largest(): number {
    const { measure, node } = this.parts.workspace;
    let largest = 0;
    for (let i = 1; i < node.count; i++)
      if (measure.weight(node.references[i]!) > measure.weight(node.references[largest]!)) largest = i;
    return largest;
  }

  #fullOfNothing(page: number): Error {
    return damagedPage(this.parts.context.number, page, 'it is full, and there is nothing on it to be divided');
  }

  // ── Out of a page ───────────────────────────────────────────────────────────────────────────────────────────

  /** Moves children of the node that was chosen to new pages. */
  #pushOut(key: Uint8Array, page: number, timestamp: number): void {
    const { context, shape, workspace } = this.parts;
    const { pages } = context;
    const { pageSize } = pages;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    if (gapOf(segment, base, pageSize) < SWIP_RESERVE) {
      shape.compact(page, timestamp);
      this.#choose(page);
    }
    const { node } = workspace;
    this.#planPushes(key, page);
    const fresh: number[] = [];
    try {
      for (const _ of this.#pushes) fresh.push(this.#allocate(segment, base, timestamp));
      pages.modify(page, timestamp);
    } catch (error) {
      for (const frame of fresh) {
        this.#held.forget(frame);
        pages.free(frame);
      }
      throw error;
    }
    // From here on nothing fails, and what was allocated gets its place. The last ones go first: so the others keep their places.
    for (const [first, count] of this.#pushes) {
      const to = fresh.pop()!;
      const { bytes, swips, entries } = this.#sum(first, count);
      const isAlone = count === 1;
      if (isAlone) this.#transfer.moveChild(page, to, this.#depth + 1, node.references[first]!, swips);
      else this.#transfer.moveSlice(page, to, this.#depth, first, count, swips);
      setHeapUsed(segment, base, heapUsedOf(segment, base) - bytes);
      addEntries(segment, base, -entries);
      const swip = takeSwip(segment, base, pageSize);
      node.references[first] = linkTo(swip, isAlone ? LINK : SLICE);
      if (!isAlone) {
        node.last[first] = first + count < node.count ? node.first[first + count]! - 1 : 255;
        node.remove(first + 1, count - 1);
      }
      node.write(segment, base + offsetOf(this.#reference), kindOf(this.#reference));
      pages.link(page, swipOffset(pageSize, swip), to);
    }
  }

  /**
   * Decides which children of the node that was chosen leave the page, the last ones first: one that is large by itself; else all of them, half by half, so
   * that nothing is left but the node; or of what rises to the end all but the last one. Where there are links among them, those that lie between two of these, so that
   * slices do not lie in slices; if there is little else, links are divided like children.
   */
  #planPushes(key: Uint8Array, page: number): void {
    const { measure, node } = this.parts.workspace;
    const pushes = this.#pushes;
    pushes.length = 0;
    const largest = this.#largest();
    const child = node.references[largest]!;
    const run = this.#heaviestRun();
    const isBehindAll = this.#isBehindAll(key, page);
    const isLarge = !isOutside(child) && measure.weight(child) > this.#total * LARGE_IN_RUN;
    // Of what rises all goes but the last child, to which more will come: so pages are left full.
    if (isBehindAll && !isLarge && this.#weightOf(run[0], run[1] - 1) * 2 >= this.#total) {
      pushes.push([run[0], run[1] - 1]);
      return;
    }
    if (!isOutside(child) && (measure.weight(child) * LARGE_SHARE >= this.#total || node.count === 1)) {
      pushes.push([largest, 1]);
      return;
    }
    const [first, count] = run;
    const isAll = count === node.count;
    if (!isAll && count > 1 && this.#weightOf(first, count) * LARGE_SHARE >= this.#total) {
      pushes.push([first, count]);
      return;
    }
    if (node.count < 2) throw this.#fullOfNothing(page);
    if (isAll && isBehindAll) {
      pushes.push(count > 2 ? [0, count - 1] : [0, 1]);
      return;
    }
    const half = this.#halfWay();
    for (const push of [[half, node.count - half] as const, [0, half] as const])
      if (push[1] > 1 || !isOutside(node.references[push[0]]!)) pushes.push(push);
    if (pushes.length === 0) throw this.#fullOfNothing(page);
  }

  /** What some children of the node that was read take together. */
  #weightOf(first: number, count: number): number {
    const { measure, node } = this.parts.workspace;
    let weight = 0;
    for (let i = first; i < first + count; i++) weight += measure.weight(node.references[i]!);
    return weight;
  }

  /** The children next to each other, and none of them a link, that take most together: the first one, and how many. */
  #heaviestRun(): readonly [number, number] {
    const { measure, node } = this.parts.workspace;
    let best: readonly [number, number] = [0, 0];
    let most = 0;
    for (let first = 0; first < node.count; first++) {
      let weight = 0;
      let end = first;
      for (; end < node.count && !isOutside(node.references[end]!); end++)
        weight += measure.weight(node.references[end]!);
      if (weight > most) {
        most = weight;
        best = [first, end - first];
      }
      first = end;
    }
    return best;
  }

  /** Whether a key lies behind all entries of a page, and so may be one of a run. */
  #isBehindAll(key: Uint8Array, page: number): boolean {
    const { pages } = this.parts.context;
    const { scan } = this.parts.workspace;
    return scan.begin(pages.segmentOf(page), pages.baseOf(page), key, true, false) === AT_END;
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
      if (!shape.fits(parent, this.#bytesAbove(parent))) return false;
      if (!this.#choose(page)) throw damagedPage(number, page, 'it is not what it was');
    }
    const { node, other } = workspace;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    const from = this.#isBehindAll(key, page) ? node.count - 1 : this.#halfWay();
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
