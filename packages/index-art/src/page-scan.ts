/**
 * Going through the nodes of one page in order, either way, from a bound on. It works on pages that another thread may be changing, on damaged ones, and on
 * copies of them: it ends, and reads nothing outside the page (M3).
 *
 * The bytes of a key that lead to where it stands are in {@link PageScan.path}; those above the page are left there by the scan of the page above.
 */
import type { Segment } from '@pagewright/core';
import { compareKeys } from './key-order.js';
import {
  fixedSize,
  kindOf,
  LEAF,
  LEAF_SUFFIX,
  LEAST_LEAF,
  LINK,
  NO_BYTE,
  NODE4,
  offsetOf,
  prefixLengthAt,
  SLICE,
  suffixLengthAt,
  terminatorAt,
} from './node-layout.js';
import { byteFrom, byteUpTo, childFor, sliceEnd, sliceStart } from './node-search.js';
import { depthOf, HEAP_START, rootOf } from './page-layout.js';

/** It stands at an entry: {@link PageScan.reference} is its leaf. */
export const AT_ENTRY = 1;
/** It goes on in another page, to which the reference leads. */
export const AT_PAGE = 2;
/** There is nothing more on this page. */
export const AT_END = 3;
/** The bytes cannot be those of a page of nodes. */
export const IS_DAMAGED = 4;

/** Answers of single steps: go on with what follows, or go to the block that was noted. A page may be a chain of thousands of nodes, so steps do not call each other. */
const GO_ON = 0;
const ENTER = -1;

/** The place of a terminator among the children of its node. */
const TERMINATOR = -1;

export class PageScan {
  /** Bytes of the key from the root of the tree to the last node. */
  readonly path: Uint8Array;
  /** The same memory, in the order of the machine: words of which the last may have more than the path. */
  readonly pathWords: Int32Array;
  /** How many of them lead to the leaf, or to the page. */
  pathLength = 0;
  reference = 0;
  /** Whether the bound may lie in the page that the reference leads to. */
  isBounded = false;
  /** The bytes that a slice to which the reference leads has. */
  first = 0;
  last = 0;

  #segment!: Segment;
  #base = 0;
  #bound: Uint8Array = NO_KEY;
  #exclusive = false;
  #reverse = false;
  /** Nodes on the way: references, the path to their children, and the child where it is. */
  #level = -1;
  readonly #references: Uint16Array;
  readonly #depths: Uint16Array;
  readonly #bytes: Int16Array;
  /** Blocks that may still come: there cannot be more than fit into a page. */
  #left = 0;
  /** The block to go to, the path to it, and whether the bound may lie in it. */
  #child = 0;
  #childDepth = 0;
  #childBounded = false;

  constructor(private readonly pageSize: number) {
    const longest = pageSize >>> 2;
    this.pathWords = new Int32Array((longest >>> 2) + 1);
    this.path = new Uint8Array(this.pathWords.buffer, 0, longest + 1);
    this.#references = new Uint16Array(longest + 2);
    this.#depths = new Uint16Array(longest + 2);
    this.#bytes = new Int16Array(longest + 2);
  }

  /** Finds the first entry of a page in the direction, on this side of the bound if one is given. */
  begin(segment: Segment, base: number, bound: Uint8Array | null, exclusive: boolean, reverse: boolean): number {
    this.#segment = segment;
    this.#base = base;
    this.#bound = bound ?? NO_KEY;
    this.#exclusive = exclusive;
    this.#reverse = reverse;
    this.#level = -1;
    this.#left = this.pageSize >>> 3;
    const root = rootOf(segment, base);
    const depth = depthOf(segment, base);
    if (depth >= this.path.length || (bound !== null && depth > bound.length)) return IS_DAMAGED;
    if (root === 0) return AT_END;
    if (kindOf(root) !== LEAF && kindOf(root) < NODE4) return IS_DAMAGED;
    return this.#run(this.#to(root, depth, bound !== null));
  }

  /** Goes on in a copy of the page. */
  goOnIn(segment: Segment, base: number): void {
    this.#segment = segment;
    this.#base = base;
  }

  /** The next entry in the direction. */
  advance(): number {
    return this.#run(GO_ON);
  }

  #run(first: number): number {
    let answer = first;
    while (answer <= 0)
      answer = answer === ENTER ? this.#enter(this.#child, this.#childDepth, this.#childBounded) : this.#step();
    return answer;
  }

  /** Goes to a block next. */
  #to(reference: number, depth: number, bounded: boolean): number {
    this.#child = reference;
    this.#childDepth = depth;
    this.#childBounded = bounded;
    return ENTER;
  }

  /** Goes to the next child of the last node, or back from it. */
  #step(): number {
    while (this.#level >= 0) {
      const level = this.#level;
      const reference = this.#references[level]!;
      const at = this.#base + offsetOf(reference);
      const kind = kindOf(reference);
      const current = this.#bytes[level]!;
      if (!this.#reverse) {
        const byte = byteFrom(this.#segment, at, kind, current + 1);
        if (byte < NO_BYTE) return this.#visit(level, byte, false);
      } else if (current !== TERMINATOR) {
        const byte = byteUpTo(this.#segment, at, kind, current - 1);
        if (byte >= 0) return this.#visit(level, byte, false);
        const terminator = terminatorAt(this.#segment, at);
        this.#bytes[level] = TERMINATOR;
        if (terminator !== 0) return this.#to(terminator, this.#depths[level]!, false);
      }
      this.#level--;
    }
    return AT_END;
  }

  /** Copies the key of the entry where it stands; its length, or -1 if it is too long. */
  copyKey(into: Uint8Array): number {
    const { u8 } = this.#segment;
    const at = this.#base + offsetOf(this.reference);
    const suffix = suffixLengthAt(this.#segment, at);
    const length = this.pathLength + suffix;
    if (length > into.length || offsetOf(this.reference) + LEAF_SUFFIX + suffix > this.pageSize) return -1;
    for (let i = 0; i < this.pathLength; i++) into[i] = this.path[i]!;
    for (let i = 0; i < suffix; i++) into[this.pathLength + i] = u8[at + LEAF_SUFFIX + i]!;
    return length;
  }

  /** Goes to what a reference leads to, behind so many bytes. */
  #enter(reference: number, depth: number, bounded: boolean): number {
    const offset = offsetOf(reference);
    const kind = kindOf(reference);
    if (this.#left-- <= 0 || offset < HEAP_START || offset + LEAST_LEAF > this.pageSize) return IS_DAMAGED;
    if (kind === LEAF) return this.#leaf(reference, depth, bounded);
    if (kind < NODE4 || offset + fixedSize(kind) > this.pageSize) return IS_DAMAGED;
    const at = this.#base + offset;
    const prefix = prefixLengthAt(this.#segment, at);
    const below = depth + prefix;
    const start = offset + fixedSize(kind);
    if (below >= this.path.length || start + prefix > this.pageSize) return IS_DAMAGED;
    const { u8 } = this.#segment;
    for (let i = 0; i < prefix; i++) this.path[depth + i] = u8[this.#base + start + i]!;
    if (!bounded) return this.#enterWhole(reference, below);
    const bound = this.#bound;
    const end = Math.min(below, bound.length);
    for (let i = depth; i < end; i++) {
      const order = this.path[i]! - bound[i]!;
      if (order !== 0) return order < 0 === this.#reverse ? this.#enterWhole(reference, below) : GO_ON;
    }
    // What is here begins with the bound, and is longer.
    if (bound.length < below) return this.#reverse ? GO_ON : this.#enterWhole(reference, below);
    return this.#enterBounded(reference, below);
  }

  /** All that is below a node lies on this side of the bound. */
  #enterWhole(reference: number, below: number): number {
    this.#push(reference, below, this.#reverse ? NO_BYTE : TERMINATOR);
    if (this.#reverse) return GO_ON;
    const terminator = terminatorAt(this.#segment, this.#base + offsetOf(reference));
    return terminator === 0 ? GO_ON : this.#to(terminator, below, false);
  }

  /** The bound begins with the path to the node's children. */
  #enterBounded(reference: number, below: number): number {
    const at = this.#base + offsetOf(reference);
    const bound = this.#bound;
    this.#push(reference, below, TERMINATOR);
    if (bound.length === below) {
      const terminator = this.#exclusive ? 0 : terminatorAt(this.#segment, at);
      return terminator === 0 ? GO_ON : this.#to(terminator, below, true);
    }
    const byte = bound[below]!;
    this.#bytes[this.#level] = byte;
    if (childFor(this.#segment, at, kindOf(reference), byte) === 0) return GO_ON;
    return this.#visit(this.#level, byte, true);
  }

  #push(reference: number, depth: number, byte: number): void {
    this.#level++;
    this.#references[this.#level] = reference;
    this.#depths[this.#level] = depth;
    this.#bytes[this.#level] = byte;
  }

  /** Goes to the child of a node for a byte. */
  #visit(level: number, byte: number, bounded: boolean): number {
    const reference = this.#references[level]!;
    const at = this.#base + offsetOf(reference);
    const kind = kindOf(reference);
    const depth = this.#depths[level]!;
    const child = childFor(this.#segment, at, kind, byte);
    this.path[depth] = byte;
    this.#bytes[level] = byte;
    if (kindOf(child) === SLICE) {
      this.first = sliceStart(this.#segment, at, kind, byte);
      this.last = sliceEnd(this.#segment, at, kind, byte);
      this.#bytes[level] = this.#reverse ? this.first : this.last;
      return this.#leave(child, depth, bounded, bounded && byte === this.first && depth + 1 === this.#bound.length);
    }
    if (kindOf(child) === LINK)
      return this.#leave(child, depth + 1, bounded, bounded && depth + 1 === this.#bound.length);
    return child === 0 ? IS_DAMAGED : this.#to(child, depth + 1, bounded);
  }

  /** Goes on in another page, unless all that is there begins with the bound or lies beyond it, and none of it is wanted. */
  #leave(child: number, pathLength: number, bounded: boolean, isBeyond: boolean): number {
    if (isBeyond && this.#reverse && this.#exclusive) return GO_ON;
    this.reference = child;
    this.pathLength = pathLength;
    this.isBounded = bounded;
    return AT_PAGE;
  }

  #leaf(reference: number, depth: number, bounded: boolean): number {
    const offset = offsetOf(reference);
    const at = this.#base + offset;
    const suffix = suffixLengthAt(this.#segment, at);
    if (offset + LEAF_SUFFIX + suffix > this.pageSize || depth + suffix >= this.path.length) return IS_DAMAGED;
    if (bounded) {
      const order = this.#compareSuffix(at + LEAF_SUFFIX, suffix, depth);
      const isThis = order === 0 ? !this.#exclusive : order < 0 === this.#reverse;
      if (!isThis) return GO_ON;
    }
    this.reference = reference;
    this.pathLength = depth;
    return AT_ENTRY;
  }

  /** The order of a leaf's suffix and of what the bound has from `depth` on. */
  #compareSuffix(at: number, length: number, depth: number): number {
    const { u8 } = this.#segment;
    const bound = this.#bound;
    const rest = bound.length - depth;
    const end = Math.min(length, rest);
    for (let i = 0; i < end; i++) {
      const order = u8[at + i]! - bound[depth + i]!;
      if (order !== 0) return order;
    }
    return length - rest;
  }

  /** On which side of a key the path to a page of so many bytes lies, and so all that is on it; 0: that says nothing. */
  sideOf(key: Uint8Array, depth: number): number {
    const length = Math.min(depth, key.length);
    return compareKeys(this.path, length, key, length);
  }
}

const NO_KEY = new Uint8Array(0);
