/**
 * What becomes of the nodes of a page as entries come and go: nodes grow, shrink, go up in what is below them, and the page is written anew when its heap has holes enough.
 *
 * The page is latched; `modify` comes before the first byte changes.
 */
import { type PageStore, SWIP_SIZE } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { addChild, childCount, isFull, removeChild, setTerminator } from './node-change.js';
import {
  blockSize,
  isNode,
  isOnOwnPage,
  kindOf,
  LEAF,
  LEAF_SUFFIX,
  leafSize,
  NODE4,
  NODE16,
  NODE48,
  nodeSize,
  offsetOf,
  prefixLengthAt,
  SLICE,
  setLeaf,
  setTag,
  suffixLengthAt,
  tagAt,
  terminatorAt,
  valueFieldAt,
  valueOffset,
} from './node-layout.js';
import { freeBytes, gapOf, giveBlock, isSoundPage, takeBlock } from './page-heap.js';
import {
  HEAP_START,
  isSlice,
  PAGE_ENTRIES,
  ROOT_REFERENCE,
  rootOf,
  setHeapEnd,
  setHeapUsed,
  setSwipCount,
  swipCountOf,
  swipOffset,
} from './page-layout.js';
import { copyBytes } from './subtree-copy.js';
import { TERMINATOR, type Way } from './way.js';
import type { Workspace } from './workspace.js';

/** A node with so few references becomes the next smaller one: some less than that holds, so that the next child does not make it grow again. */
const FEW_FOR_48 = 40;
const FEW_FOR_16 = 12;
const FEW_FOR_4 = 3;
/** Writing a page anew must give back a share of it of one part in so many, or it counts as full: else it would be done for every few entries. */
const LEAST_GAIN = 32;
/** What is always left free in a page: the swips of what is pushed out of it when it is full, in two parts at most. */
export const SWIP_RESERVE = 2 * SWIP_SIZE;

export class PageShape {
  readonly #pageSize: number;

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly way: Way,
  ) {
    this.#pageSize = pages.pageSize;
  }

  /** Whether there is room for so many bytes, at once or if the page is written anew. */
  hasRoom(frame: number, needed: number): boolean {
    if (this.fits(frame, needed)) return true;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    return needed + this.#pageSize / LEAST_GAIN <= freeBytes(segment, base, this.#pageSize);
  }

  /** Whether there is one stretch of so many bytes. */
  fits(frame: number, needed: number): boolean {
    return needed + SWIP_RESERVE <= gapOf(this.pages.segmentOf(frame), this.pages.baseOf(frame), this.#pageSize);
  }

  /**
   * Makes one stretch of so many bytes of the room that there is. True: the page was written anew, and what was known of it is gone, also how much is needed: nodes are
   * smaller, or have gone up in what was below them, and must grow or be divided again. Whoever called asks {@link fits} with what is needed now.
   */
  provide(frame: number, needed: number, timestamp: number): boolean {
    if (this.fits(frame, needed)) return false;
    this.compact(frame, timestamp);
    return true;
  }

  /** Writes the page without holes in its heap and its table of swips, and its nodes as small as they can be. Errors: `PW_CORRUPT_PAGE`, those of `modify`. */
  compact(frame: number, timestamp: number): void {
    const { pages, workspace } = this;
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    this.assertSound(frame);
    pages.modify(frame, timestamp);
    workspace.copyPage(segment, base);
    setHeapEnd(segment, base, HEAP_START);
    setHeapUsed(segment, base, 0);
    segment.u16[(base + PAGE_ENTRIES) >>> 1] = 0;
    const { image, moves } = workspace;
    const root = rootOf(image, 0);
    moves.begin(swipCountOf(image, 0));
    if (root !== 0) {
      const copied = workspace.copy.copy(image, 0, root, segment, base, moves, isSlice(segment, base));
      segment.u16[(base + ROOT_REFERENCE) >>> 1] = copied;
    }
    for (let swip = 0; swip < moves.count; swip++) {
      const from = swipOffset(this.#pageSize, moves.from[swip]!) >>> 2;
      const to = (base + swipOffset(this.#pageSize, swip)) >>> 2;
      for (let word = 0; word < SWIP_SIZE / 4; word++) segment.u32[to + word] = image.u32[from + word]!;
    }
    setSwipCount(segment, base, this.#pageSize, moves.count);
  }

  /** Measures a page that is about to be written anew or divided. Errors: `PW_CORRUPT_PAGE`. */
  assertSound(frame: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (!isSoundPage(segment, base, this.#pageSize) || !this.workspace.measure.measure(segment, base))
      throw damagedPage(this.number, frame, 'its nodes are not what its header says');
  }

  // ── Children of the last node on the way ────────────────────────────────────────────────────────────────────

  /** Bytes that the last node on the way takes more to get another child. */
  growth(frame: number): number {
    const segment = this.pages.segmentOf(frame);
    const reference = this.way.references[this.way.nodes - 1]!;
    const at = this.pages.baseOf(frame) + offsetOf(reference);
    const kind = kindOf(reference);
    return isFull(segment, at, kind) ? nodeSize(kind + 1, prefixLengthAt(segment, at)) : 0;
  }

  /** Gives the last node on the way a child for the byte for which it has none. There is room. */
  add(frame: number, child: number): void {
    const { way } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const reference = way.references[way.nodes - 1]!;
    const at = base + offsetOf(reference);
    const kind = kindOf(reference);
    if (!isFull(segment, at, kind)) {
      addChild(segment, at, kind, way.byte, child);
      return;
    }
    const { node } = this.workspace;
    node.read(segment, at, kind);
    node.insert(way.byte, child);
    this.rewrite(frame, way.nodes - 1);
  }

  /** Writes the content that was changed as the node on a level of the way: in its place, if the kind is the same, else in a block for which there is room. */
  rewrite(frame: number, level: number): void {
    const { way, workspace } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const reference = way.references[level]!;
    const { node } = workspace;
    const before = blockSize(segment, base + offsetOf(reference), kindOf(reference));
    const kind = node.fits(kindOf(reference)) ? kindOf(reference) : node.kind;
    let offset = offsetOf(reference);
    if (kind !== kindOf(reference)) {
      offset = takeBlock(segment, base, nodeSize(kind, node.prefixLength));
      giveBlock(segment, base, offsetOf(reference), before);
    }
    node.write(segment, base + offset, kind);
    this.#replace(frame, level, offset | kind);
  }

  /** What the node on a level of the way is from now on; 0: there is none. */
  #replace(frame: number, level: number, reference: number): void {
    this.way.references[level] = reference;
    this.pages.segmentOf(frame).u16[(this.pages.baseOf(frame) + this.way.places[level]!) >>> 1] = reference;
  }

  /**
   * Takes away what the way has come to, whose block was given back or is on another page, and what is left of nodes by that: empty ones go, larger ones
   * become smaller, one with a single child goes up in it if there is room for that.
   */
  remove(frame: number): void {
    const { way } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    let level = way.nodes - 1;
    if (level < 0) {
      segment.u16[(base + ROOT_REFERENCE) >>> 1] = 0;
      return;
    }
    for (; level >= 0; level--) {
      const reference = way.references[level]!;
      const at = base + offsetOf(reference);
      const kind = kindOf(reference);
      const byte = way.bytes[level]!;
      if (byte === TERMINATOR) setTerminator(segment, at, 0);
      else this.#take(frame, level, byte);
      if (terminatorAt(segment, at) !== 0 || childCount(segment, at, kind) > 0) break;
      giveBlock(segment, base, offsetOf(reference), blockSize(segment, at, kind));
      if (level === 0) segment.u16[(base + ROOT_REFERENCE) >>> 1] = 0;
    }
    if (level >= 0) this.tidy(frame, level);
  }

  /** Takes away the child of a node on the way, all of it if it is a slice. */
  #take(frame: number, level: number, byte: number): void {
    const segment = this.pages.segmentOf(frame);
    const reference = this.way.references[level]!;
    const at = this.pages.baseOf(frame) + offsetOf(reference);
    const isLast = level === this.way.nodes - 1;
    if (!(isLast && kindOf(this.way.reference) === SLICE)) {
      removeChild(segment, at, kindOf(reference), byte);
      return;
    }
    const { node } = this.workspace;
    node.read(segment, at, kindOf(reference));
    node.remove(node.indexOf(byte));
    node.write(segment, at, kindOf(reference));
  }

  /** Makes a node that has lost children as small as it should be. */
  tidy(frame: number, level: number): void {
    const { way, workspace } = this;
    const { node } = workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const reference = way.references[level]!;
    const kind = kindOf(reference);
    const at = base + offsetOf(reference);
    const count = childCount(segment, at, kind);
    const isRootOfSlice = level === 0 && isSlice(segment, base);
    const few = kind === NODE4 ? 1 : kind === NODE16 ? FEW_FOR_4 : kind === NODE48 ? FEW_FOR_16 : FEW_FOR_48;
    if (count > few) return;
    if (count <= 1 && !isRootOfSlice && this.#collapse(frame, level)) return;
    if (kind === NODE4) return;
    node.read(segment, at, kind);
    // A smaller node lies in the block of the larger one.
    const smaller = kind - 1;
    if (!node.fits(smaller)) return;
    const size = blockSize(segment, at, kind);
    node.write(segment, at, smaller);
    giveBlock(segment, base, offsetOf(reference), size, nodeSize(smaller, node.prefixLength));
    this.#replace(frame, level, offsetOf(reference) | smaller);
  }

  /** Puts the only child of a node, or its terminator, in its place, with the bytes that lead to it. False: there is more, or no room, or the child is on another page. */
  #collapse(frame: number, level: number): boolean {
    const { node } = this.workspace;
    const reference = this.way.references[level]!;
    node.read(this.pages.segmentOf(frame), this.pages.baseOf(frame) + offsetOf(reference), kindOf(reference));
    if (node.count + (node.terminator === 0 ? 0 : 1) !== 1) return false;
    const child = node.count === 1 ? node.references[0]! : node.terminator;
    if (node.count === 1) {
      if (node.prefixLength === node.prefix.length) return false;
      node.prefix[node.prefixLength++] = node.first[0]!;
    }
    if (isNode(child)) return this.#lengthenNode(frame, level, child);
    return kindOf(child) === LEAF && this.#lengthenLeaf(frame, level, child);
  }

  #lengthenLeaf(frame: number, level: number, leaf: number): boolean {
    const { node } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const from = base + offsetOf(leaf);
    const suffix = suffixLengthAt(segment, from);
    const field = valueFieldAt(segment, from);
    const length = node.prefixLength + suffix;
    const size = leafSize(length, field);
    if (size > gapOf(segment, base, this.#pageSize)) return false;
    const offset = takeBlock(segment, base, size);
    const { u8 } = segment;
    const at = base + offset;
    setLeaf(segment, at, length, field);
    setTag(segment, at, tagAt(segment, from));
    for (let i = 0; i < node.prefixLength; i++) u8[at + LEAF_SUFFIX + i] = node.prefix[i]!;
    copyBytes(u8, from + LEAF_SUFFIX, u8, at + LEAF_SUFFIX + node.prefixLength, suffix);
    if (!isOnOwnPage(field))
      copyBytes(u8, from + valueOffset(suffix, field), u8, at + valueOffset(length, field), field);
    this.#takePlace(frame, level, leaf, offset | LEAF);
    return true;
  }

  #lengthenNode(frame: number, level: number, child: number): boolean {
    const { node, other } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const kind = kindOf(child);
    other.read(segment, base + offsetOf(child), kind);
    const length = node.prefixLength + other.prefixLength;
    if (length > other.prefix.length) return false;
    const size = nodeSize(kind, length);
    if (size > gapOf(segment, base, this.#pageSize)) return false;
    other.prefix.copyWithin(node.prefixLength, 0, other.prefixLength);
    other.prefix.set(node.prefix.subarray(0, node.prefixLength));
    other.prefixLength = length;
    const offset = takeBlock(segment, base, size);
    other.write(segment, base + offset, kind);
    this.#takePlace(frame, level, child, offset | kind);
    return true;
  }

  /** A block that was written stands for a node of the way and its only child. */
  #takePlace(frame: number, level: number, child: number, reference: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    for (const gone of [child, this.way.references[level]!])
      giveBlock(segment, base, offsetOf(gone), blockSize(segment, base + offsetOf(gone), kindOf(gone)));
    this.#replace(frame, level, reference);
  }
}
