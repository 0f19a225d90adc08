/**
 * Changes of the entries of one page whose latch is held, while there is room.
 *
 * Must hold: whatever can throw is done before the first byte changes, and `modify` comes before that.
 */
import { type LargeValues, type PageStore, SWIP_SIZE } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { setTerminator, trimLeaf, trimNode } from './node-change.js';
import {
  blockSize,
  fixedSize,
  isOnOwnPage,
  kindOf,
  LEAF,
  LEAF_SUFFIX,
  leafSize,
  NODE4,
  NODE4_SIZE,
  nodeSize,
  OWN_PAGE,
  offsetOf,
  setLeaf,
  setTag,
  suffixLengthAt,
  swipOfValue,
  valueFieldAt,
  valueOffset,
} from './node-layout.js';
import { bytesForSwip, giveBlock, takeBlock, takeSwip } from './page-heap.js';
import { addEntries, isSlice, swipCountOf, swipOffset } from './page-layout.js';
import type { PageShape } from './page-shape.js';
import { AT_LEAF, AT_LINK, AT_NODE, AT_NOTHING, AT_OTHER_LEAF, AT_PREFIX, AT_TERMINATOR, type Way } from './way.js';
import type { Workspace } from './workspace.js';

export class PageEntries {
  readonly #pageSize: number;
  /** Key and value together beyond this go to two pages. */
  readonly #largestInline: number;

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly way: Way,
    private readonly shape: PageShape,
    private readonly values: LargeValues,
  ) {
    this.#pageSize = pages.pageSize;
    this.#largestInline = pages.pageSize >>> 2;
  }

  /** Inserts or replaces; false if there is no room, and no entry has changed. Errors: `PW_CORRUPT_PAGE`, those of `allocate` and `modify`. */
  put(frame: number, key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): boolean {
    const isLarge = key.length + value.length > this.#largestInline;
    const field = isLarge ? OWN_PAGE : value.length;
    this.way.follow(frame, key);
    const needed = this.#bytesFor(frame, key, field);
    if (!this.shape.hasRoom(frame, needed)) return false;
    if (this.shape.provide(frame, needed, timestamp)) {
      this.way.follow(frame, key);
      if (!this.shape.fits(frame, this.#bytesFor(frame, key, field))) return false;
    }
    if (isLarge) {
      this.#putLarge(frame, key, tag, value, timestamp);
      return true;
    }
    this.pages.modify(frame, timestamp);
    this.#discardOld(frame);
    const at = this.#place(frame, key, field);
    const { u8 } = this.pages.segmentOf(frame);
    setTag(this.pages.segmentOf(frame), at, tag);
    copyIn(u8, at + valueOffset(suffixLengthAt(this.pages.segmentOf(frame), at), field), value);
    return true;
  }

  #putLarge(frame: number, key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    const { pages } = this;
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const page = this.values.store(value, timestamp);
    let offset: number;
    try {
      pages.modify(frame, timestamp);
      this.#discardOld(frame);
      const swip = takeSwip(segment, base, this.#pageSize);
      offset = swipOffset(this.#pageSize, swip);
      setTag(segment, this.#place(frame, key, OWN_PAGE | swip), tag);
    } catch (error) {
      pages.free(page);
      throw error;
    }
    pages.link(frame, offset, page);
    pages.unlatch(page);
  }

  /** Removes the entry; false if there is none. Errors: `PW_CORRUPT_PAGE`, those of `modify`. */
  remove(frame: number, key: Uint8Array, timestamp: number): boolean {
    const { way } = this;
    way.follow(frame, key);
    if (way.end !== AT_LEAF) return false;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    this.#assertSwip(frame);
    this.pages.modify(frame, timestamp);
    this.#discardOld(frame);
    const offset = offsetOf(way.reference);
    giveBlock(segment, base, offset, blockSize(segment, base + offset, LEAF));
    addEntries(segment, base, -1);
    this.shape.remove(frame);
    return true;
  }

  /** Bytes that an entry takes where its way ends, before anything is given back. */
  #bytesFor(frame: number, key: Uint8Array, field: number): number {
    const { way } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const rest = key.length - way.depth;
    const swip = isOnOwnPage(field) ? bytesForSwip(segment, base, this.#pageSize) : 0;
    switch (way.end) {
      case AT_LEAF: {
        this.#assertSwip(frame);
        const at = base + offsetOf(way.reference);
        const old = valueFieldAt(segment, at);
        const size = leafSize(rest, field);
        const forSwip = isOnOwnPage(old) ? 0 : swip;
        return forSwip + (size <= leafSize(suffixLengthAt(segment, at), old) ? 0 : size);
      }
      case AT_NOTHING:
        return swip + NODE4_SIZE + leafSize(rest, field);
      case AT_NODE:
        return swip + this.shape.growth(frame) + leafSize(rest, field);
      case AT_TERMINATOR:
        return swip + leafSize(0, field);
      case AT_OTHER_LEAF:
      case AT_PREFIX:
        return swip + nodeSize(NODE4, way.shared) + leafSize(Math.max(0, rest - way.shared - 1), field);
      default:
        throw damagedPage(this.number, frame, 'the way of a key leads out of it');
    }
  }

  /** The entry that the way has led to gets another value, or goes: the page of its value goes. */
  #discardOld(frame: number): void {
    const { way } = this;
    if (way.end !== AT_LEAF) return;
    const segment = this.pages.segmentOf(frame);
    const field = valueFieldAt(segment, this.pages.baseOf(frame) + offsetOf(way.reference));
    if (isOnOwnPage(field)) this.pages.discard(frame, swipOffset(this.#pageSize, swipOfValue(field)));
  }

  #assertSwip(frame: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const field = valueFieldAt(segment, base + offsetOf(this.way.reference));
    if (isOnOwnPage(field) && swipOfValue(field) >= swipCountOf(segment, base))
      throw damagedPage(this.number, frame, 'an entry names a swip that is not there');
  }

  /** Makes a leaf where the way ends, with the rest of the key and room for the value; its position in the segment. Tag and value are the caller's to write. */
  #place(frame: number, key: Uint8Array, field: number): number {
    const { way, workspace } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (way.end === AT_LEAF) return this.#replace(frame, key, field);
    addEntries(segment, base, 1);
    switch (way.end) {
      case AT_NOTHING: {
        if (!isSlice(segment, base)) return this.#setPlace(frame, this.#leaf(frame, key, way.depth, field));
        const leaf = this.#leaf(frame, key, way.depth + 1, field);
        workspace.node.clear();
        workspace.node.insert(key[way.depth]!, leaf);
        this.#setPlace(frame, this.#node(frame));
        return base + offsetOf(leaf);
      }
      case AT_NODE: {
        const leaf = this.#leaf(frame, key, way.depth, field);
        this.shape.add(frame, leaf);
        return base + offsetOf(leaf);
      }
      case AT_TERMINATOR: {
        const leaf = this.#leaf(frame, key, way.depth, field);
        const node = way.references[way.nodes - 1]!;
        setTerminator(segment, base + offsetOf(node), leaf);
        return base + offsetOf(leaf);
      }
      default:
        return this.#branch(frame, key, field);
    }
  }

  /** Puts a node where the way of the key parts from that of what is there. */
  #branch(frame: number, key: Uint8Array, field: number): number {
    const { way, workspace } = this;
    const { node } = workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const old = way.reference;
    const kind = kindOf(old);
    const at = base + offsetOf(old);
    const parting = way.depth + way.shared;
    node.clear();
    for (let i = 0; i < way.shared; i++) node.prefix[i] = key[way.depth + i]!;
    node.prefixLength = way.shared;
    const isBeginning = kind === LEAF && suffixLengthAt(segment, at) === way.shared;
    if (isBeginning) {
      trimLeaf(segment, base, offsetOf(old), way.shared);
      node.terminator = old;
    } else {
      const next = segment.u8[at + (kind === LEAF ? LEAF_SUFFIX : fixedSize(kind)) + way.shared]!;
      if (kind === LEAF) trimLeaf(segment, base, offsetOf(old), way.shared + 1);
      else trimNode(segment, base, offsetOf(old), kind, way.shared + 1);
      node.insert(next, old);
    }
    const isEnd = parting === key.length;
    const leaf = this.#leaf(frame, key, isEnd ? parting : parting + 1, field);
    if (isEnd) node.terminator = leaf;
    else node.insert(key[parting]!, leaf);
    this.#setPlace(frame, this.#node(frame));
    return base + offsetOf(leaf);
  }

  /** The leaf gets another value: in its place, if it fits there. */
  #replace(frame: number, key: Uint8Array, field: number): number {
    const { way } = this;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const offset = offsetOf(way.reference);
    const at = base + offset;
    const suffix = suffixLengthAt(segment, at);
    const before = blockSize(segment, at, LEAF);
    const size = leafSize(suffix, field);
    if (size <= before) {
      setLeaf(segment, at, suffix, field);
      giveBlock(segment, base, offset, before, size);
      return at;
    }
    const leaf = this.#leaf(frame, key, key.length - suffix, field);
    giveBlock(segment, base, offset, before);
    return this.#setPlace(frame, leaf);
  }

  /** A new leaf with the key from `depth` on; its reference. */
  #leaf(frame: number, key: Uint8Array, depth: number, field: number): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const length = key.length - depth;
    const offset = takeBlock(segment, base, leafSize(length, field));
    const { u8 } = segment;
    const from = base + offset + LEAF_SUFFIX;
    setLeaf(segment, base + offset, length, field);
    for (let i = 0; i < length; i++) u8[from + i] = key[depth + i]!;
    return offset | LEAF;
  }

  /** A new small node with the content that was made; its reference. */
  #node(frame: number): number {
    const { node } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const offset = takeBlock(segment, base, nodeSize(NODE4, node.prefixLength));
    node.write(segment, base + offset, NODE4);
    return offset | NODE4;
  }

  /** Writes a reference to where the way has come; its position in the segment. */
  #setPlace(frame: number, reference: number): number {
    const base = this.pages.baseOf(frame);
    this.pages.segmentOf(frame).u16[(base + this.way.place) >>> 1] = reference;
    return base + offsetOf(reference);
  }
}

/** Whether the way goes on to another page. */
export function leadsOn(way: Way): boolean {
  return way.end === AT_LINK;
}

function copyIn(u8: Uint8Array, to: number, value: Uint8Array): void {
  const { length } = value;
  if (length > SWIP_SIZE * 8) u8.set(value, to);
  else for (let i = 0; i < length; i++) u8[to + i] = value[i]!;
}
