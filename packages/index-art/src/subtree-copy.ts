/**
 * Copies a subtree block by block: to another page, or from the image of a page back into it, without holes. Nodes get the smallest kind that holds their
 * children; one with a single child, or with its terminator alone, goes up in what is below it.
 *
 * Must hold: what is copied was measured, and the target has room for as much.
 */
import type { Segment } from '@pagewright/core';
import { NodeContent } from './node-content.js';
import {
  isNode,
  isOnOwnPage,
  isOutside,
  kindOf,
  LEAF,
  LEAF_SUFFIX,
  leafSize,
  linkTo,
  NO_BYTE,
  NODE48,
  NODE256,
  OWN_PAGE,
  offsetOf,
  SLICE,
  setLeaf,
  setTag,
  suffixLengthAt,
  swipOf,
  swipOfValue,
  tagAt,
  valueFieldAt,
  valueOffset,
} from './node-layout.js';
import { byteFrom, childFor, placeFor, sliceEnd } from './node-search.js';
import { takeBlock } from './page-heap.js';
import { addEntries } from './page-layout.js';

/** Swips that go along to another page: the number of each there is given before, the one here is noted. */
export class SwipMoves {
  count = 0;
  readonly from: Uint16Array;
  readonly to: Uint16Array;

  constructor(pageSize: number) {
    this.from = new Uint16Array(pageSize >>> 3);
    this.to = new Uint16Array(pageSize >>> 3);
  }

  /** For a page whose table has these swips alone. */
  begin(count: number): void {
    this.count = 0;
    for (let number = 0; number < count; number++) this.to[number] = number;
  }

  /** A swip goes along; its number there. */
  take(from: number): number {
    this.from[this.count] = from;
    return this.to[this.count++]!;
  }
}

export class SubtreeCopy {
  readonly #content: NodeContent;
  readonly #lead: Uint8Array;
  #leadLength = 0;
  /** The way down: nodes here and there, and the byte at which each goes on. */
  readonly #fromAt: Int32Array;
  readonly #fromKind: Uint8Array;
  readonly #next: Uint16Array;
  readonly #toAt: Int32Array;
  readonly #toKind: Uint8Array;
  #level = -1;

  #from!: Segment;
  #fromBase = 0;
  #to!: Segment;
  #toBase = 0;
  #moves!: SwipMoves;

  constructor(longestKey: number) {
    const levels = longestKey + 2;
    this.#content = new NodeContent(longestKey);
    this.#lead = new Uint8Array(longestKey + 1);
    this.#fromAt = new Int32Array(levels);
    this.#fromKind = new Uint8Array(levels);
    this.#next = new Uint16Array(levels);
    this.#toAt = new Int32Array(levels);
    this.#toKind = new Uint8Array(levels);
  }

  /**
   * Copies what a reference leads to, and gives the reference to it in the target. A root that `stays` is a node there, however few children it
   * has.
   */
  copy(
    from: Segment,
    fromBase: number,
    reference: number,
    to: Segment,
    toBase: number,
    moves: SwipMoves,
    stays = false,
  ): number {
    this.#from = from;
    this.#fromBase = fromBase;
    this.#to = to;
    this.#toBase = toBase;
    this.#moves = moves;
    this.#level = -1;
    this.#leadLength = 0;
    const root = this.#place(reference, stays);
    while (this.#level >= 0) this.#step();
    return root;
  }

  #step(): void {
    const level = this.#level;
    const at = this.#fromAt[level]!;
    const kind = this.#fromKind[level]!;
    const byte = byteFrom(this.#from, at, kind, this.#next[level]!);
    if (byte === NO_BYTE) {
      this.#level--;
      return;
    }
    const child = childFor(this.#from, at, kind, byte);
    const last = kindOf(child) === SLICE ? sliceEnd(this.#from, at, kind, byte) : byte;
    this.#next[level] = last + 1;
    const copied = isOutside(child) ? this.#link(child) : this.#place(child, false);
    this.#set(this.#toAt[level]!, this.#toKind[level]!, byte, last, copied);
  }

  /** Writes the reference of a child where the one before it is copied from stands. */
  #set(at: number, kind: number, byte: number, last: number, reference: number): void {
    const { u16 } = this.#to;
    const place = placeFor(this.#to, at, kind, byte);
    u16[place >>> 1] = reference;
    if (kind === NODE256)
      for (let other = byte + 1; other <= last; other++) u16[(place >>> 1) + other - byte] = reference;
    if (last > byte && kind < NODE48) u16[(place >>> 1) + 1] = reference;
  }

  #link(reference: number): number {
    return linkTo(this.#moves.take(swipOf(reference)), kindOf(reference));
  }

  /** Copies a block, with the bytes in front that nodes above it have left; its children follow. */
  #place(reference: number, stays: boolean): number {
    const content = this.#content;
    for (let current = reference; ; ) {
      const kind = kindOf(current);
      const at = this.#fromBase + offsetOf(current);
      if (kind === LEAF) return this.#leaf(at);
      content.read(this.#from, at, kind);
      const [child, terminator] = [content.references[0]!, content.terminator];
      const alone = terminator === 0 && content.count === 1 && (isNode(child) || kindOf(child) === LEAF);
      if (stays || !(alone || content.count === 0)) return this.#node(at, kind);
      this.#keep(content.prefix, content.prefixLength);
      if (alone) this.#lead[this.#leadLength++] = content.first[0]!;
      current = alone ? child : terminator;
    }
  }

  #keep(bytes: Uint8Array, length: number): void {
    for (let i = 0; i < length; i++) this.#lead[this.#leadLength + i] = bytes[i]!;
    this.#leadLength += length;
  }

  /** Copies the node that was read, with the references that it had: those of children are written as these are copied. */
  #node(fromAt: number, fromKind: number): number {
    const content = this.#content;
    const lead = this.#leadLength;
    if (lead > 0) {
      content.prefix.copyWithin(lead, 0, content.prefixLength);
      for (let i = 0; i < lead; i++) content.prefix[i] = this.#lead[i]!;
      content.prefixLength += lead;
      this.#leadLength = 0;
    }
    const { kind } = content;
    const offset = takeBlock(this.#to, this.#toBase, content.size);
    const { terminator } = content;
    if (terminator !== 0) content.terminator = this.#leaf(this.#fromBase + offsetOf(terminator));
    content.write(this.#to, this.#toBase + offset, kind);
    const level = ++this.#level;
    this.#fromAt[level] = fromAt;
    this.#fromKind[level] = fromKind;
    this.#next[level] = 0;
    this.#toAt[level] = this.#toBase + offset;
    this.#toKind[level] = kind;
    return offset | kind;
  }

  #leaf(at: number): number {
    const from = this.#from;
    const to = this.#to;
    const lead = this.#leadLength;
    const suffix = suffixLengthAt(from, at);
    const field = valueFieldAt(from, at);
    const length = lead + suffix;
    const offset = takeBlock(to, this.#toBase, leafSize(length, field));
    const target = this.#toBase + offset;
    const moved = isOnOwnPage(field) ? OWN_PAGE | this.#moves.take(swipOfValue(field)) : field;
    setLeaf(to, target, length, moved);
    setTag(to, target, tagAt(from, at));
    for (let i = 0; i < lead; i++) to.u8[target + LEAF_SUFFIX + i] = this.#lead[i]!;
    this.#leadLength = 0;
    copyBytes(from.u8, at + LEAF_SUFFIX, to.u8, target + LEAF_SUFFIX + lead, suffix);
    if (!isOnOwnPage(field))
      copyBytes(from.u8, at + valueOffset(suffix, field), to.u8, target + valueOffset(length, field), field);
    addEntries(to, this.#toBase, 1);
    return offset | LEAF;
  }
}

/** Below so many bytes a loop is faster than a native copy. */
const FEW_BYTES = 64;

export function copyBytes(from: Uint8Array, at: number, to: Uint8Array, target: number, length: number): void {
  if (length > FEW_BYTES) to.set(from.subarray(at, at + length), target);
  else for (let i = 0; i < length; i++) to[target + i] = from[at + i]!;
}
