/**
 * The way of a key through a page whose latch is held, with all that is needed to change it there: each node on it, where the reference to it stands, and
 * what the way has come to. Positions are byte offsets in the page.
 *
 * What it meets is bounded; damage is thrown before anything has changed.
 */
import type { PageStore, Segment } from '@pagewright/core';
import { damagedPage } from './damage.js';
import {
  blockSize,
  fixedSize,
  isOutside,
  kindOf,
  LEAF,
  LEAF_SUFFIX,
  LEAST_LEAF,
  NODE_TERMINATOR,
  NODE4,
  offsetOf,
  prefixLengthAt,
  suffixLengthAt,
} from './node-layout.js';
import { placeFor } from './node-search.js';
import { isSoundPage } from './page-heap.js';
import { depthOf, HEAP_START, heapEndOf, ROOT_REFERENCE, rootOf } from './page-layout.js';

/** The page is empty. */
export const AT_NOTHING = 0;
/** The leaf of the key. */
export const AT_LEAF = 1;
/** The leaf of another key, which has {@link Way.shared} bytes of its suffix in common with this one. */
export const AT_OTHER_LEAF = 2;
/** A node that has no child for {@link Way.byte}. */
export const AT_NODE = 3;
/** A node behind whose prefix the key ends, and that has no terminator. */
export const AT_TERMINATOR = 4;
/** A node with {@link Way.shared} bytes of its prefix in common with the key, and not all. */
export const AT_PREFIX = 5;
/** A link. */
export const AT_LINK = 6;

/** In {@link Way.bytes}: the way goes on to the terminator. */
export const TERMINATOR = -1;

export class Way {
  /** What the way has come to. */
  end = AT_NOTHING;
  /** The reference of it, if there is one, and where that stands; -1 if there is no place for it yet. */
  reference = 0;
  place = ROOT_REFERENCE;
  /** Bytes of the key before it. */
  depth = 0;
  shared = 0;
  /** The last byte that a child was looked for by. */
  byte = 0;
  /** Nodes that were gone through: their references, where these stand, and the byte by which the way went on. */
  nodes = 0;
  readonly references: Uint16Array;
  readonly places: Int32Array;
  readonly bytes: Int16Array;

  readonly #pageSize: number;

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
  ) {
    this.#pageSize = pages.pageSize;
    const levels = (pages.pageSize >>> 2) + 2;
    this.references = new Uint16Array(levels);
    this.places = new Int32Array(levels);
    this.bytes = new Int16Array(levels);
  }

  /** Goes the way of a key. Errors: `PW_CORRUPT_PAGE`. */
  follow(frame: number, key: Uint8Array): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (!isSoundPage(segment, base, this.#pageSize)) throw this.#damaged(frame);
    this.nodes = 0;
    this.place = ROOT_REFERENCE;
    this.reference = rootOf(segment, base);
    this.depth = depthOf(segment, base);
    this.shared = 0;
    if (this.depth > key.length) throw this.#damaged(frame);
    if (this.reference === 0) this.end = AT_NOTHING;
    else while (!this.#step(segment, base, key, frame));
  }

  /** Looks at the block that the reference leads to, and goes on to its child. True: the way ends there. */
  #step(segment: Segment, base: number, key: Uint8Array, frame: number): boolean {
    const { reference } = this;
    if (isOutside(reference)) {
      this.end = AT_LINK;
      return true;
    }
    const offset = offsetOf(reference);
    const at = base + offset;
    this.#bound(segment, base, reference, frame);
    if (kindOf(reference) === LEAF) {
      this.shared = sharedBytes(segment.u8, at + LEAF_SUFFIX, suffixLengthAt(segment, at), key, this.depth);
      const isSame = this.shared === suffixLengthAt(segment, at) && this.depth + this.shared === key.length;
      this.end = isSame ? AT_LEAF : AT_OTHER_LEAF;
      return true;
    }
    const kind = kindOf(reference);
    const prefix = prefixLengthAt(segment, at);
    this.shared = sharedBytes(segment.u8, at + fixedSize(kind), prefix, key, this.depth);
    if (this.shared < prefix) {
      this.end = AT_PREFIX;
      return true;
    }
    this.references[this.nodes] = reference;
    this.places[this.nodes] = this.place;
    this.depth += prefix;
    const isEnd = this.depth === key.length;
    this.byte = isEnd ? TERMINATOR : key[this.depth++]!;
    this.bytes[this.nodes++] = this.byte;
    this.place = isEnd ? offset + NODE_TERMINATOR : placeFor(segment, at, kind, this.byte) - base;
    this.reference = this.place < 0 ? 0 : segment.u16[(base + this.place) >>> 1]!;
    if (this.reference !== 0) return false;
    this.end = isEnd ? AT_TERMINATOR : AT_NODE;
    return true;
  }

  /** The block that a reference leads to lies within the heap. */
  #bound(segment: Segment, base: number, reference: number, frame: number): void {
    const kind = kindOf(reference);
    const offset = offsetOf(reference);
    const end = heapEndOf(segment, base);
    const isKind = kind === LEAF || kind >= NODE4;
    const least = kind === LEAF ? LEAST_LEAF : fixedSize(kind);
    if (!isKind || offset < HEAP_START || offset + least > end) throw this.#damaged(frame);
    if (offset + blockSize(segment, base + offset, kind) > end) throw this.#damaged(frame);
  }

  #damaged(frame: number): Error {
    return damagedPage(this.number, frame, 'the way of a key leads out of it');
  }
}

/** How many bytes at a position are those of the key from `depth` on. */
function sharedBytes(u8: Uint8Array, at: number, length: number, key: Uint8Array, depth: number): number {
  const most = Math.min(length, key.length - depth);
  let shared = 0;
  while (shared < most && u8[at + shared] === key[depth + shared]) shared++;
  return shared;
}
