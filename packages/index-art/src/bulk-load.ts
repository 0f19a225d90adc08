/**
 * Filling an empty tree from sorted entries. Of the tree only what leads to the last key is open; what lies before it is complete, and goes to pages as soon as it fills
 * one: children of a node together as a slice, or one alone as a subtree. Until the node above them is complete, too, such pages hang on the root page, which has nothing
 * else till the end: so that they can be evicted, checkpointed and given up, before the next call comes.
 */
import { assertKeyFits, type BulkLoad, copyOf, HeldLatches, latchChild, TAG_VALUE } from '@pagewright/core';
import {
  isPage,
  type Loaded,
  type LoadedChild,
  type LoadedLeaf,
  type LoadedNode,
  newNode,
  swipsOf,
  weightOf,
} from './loaded-nodes.js';
import { LoadedPageWriter } from './loaded-page.js';
import { LINK_WEIGHT } from './measure.js';
import { LEAF, LINK, NODE256_SIZE, SLICE } from './node-layout.js';
import { takeSwip } from './page-heap.js';
import { HEAP_START, KIND_NODES, swipCountOf, swipOffset } from './page-layout.js';
import { SWIP_RESERVE } from './page-shape.js';
import type { TreeParts } from './tree-parts.js';

/** Puts an entry into the tree as any other is put. */
type Put = (key: Uint8Array, tag: number, value: Uint8Array, timestamp: number) => void;

export class ArtBulkLoad implements BulkLoad {
  readonly #held: HeldLatches;
  readonly #writer: LoadedPageWriter;
  /** Bytes that children of one node fill in a page. */
  readonly #budget: number;
  /** Swips that may hang on the root page. */
  readonly #most: number;
  /** Nodes on the way to the last key, from the root on, and that key's leaf. */
  readonly #open: LoadedNode[] = [];
  #last: LoadedLeaf | null = null;
  /** All is in the tree, and what comes is put there. */
  #isPut = false;

  constructor(
    private readonly parts: TreeParts,
    private readonly put: Put,
    private readonly timestamp: number,
    fill: number,
  ) {
    const { pages } = parts.context;
    this.#held = new HeldLatches(pages);
    this.#writer = new LoadedPageWriter(pages, parts.workspace);
    this.#budget = Math.floor((pages.pageSize - HEAP_START - SWIP_RESERVE) * fill) - NODE256_SIZE;
    this.#most = (pages.pageSize - HEAP_START) / LINK_WEIGHT - 2;
  }

  add(key: Uint8Array, value: Uint8Array, sharedWithLast = this.#sharedWithLast(key)): void {
    const { pages } = this.parts.context;
    assertKeyFits(key, this.parts.workspace.longestKey);
    pages.enterGate();
    try {
      if (!this.#isPut && !this.#hasRoom()) this.#end();
      if (this.#isPut) {
        this.put(key, TAG_VALUE, value, this.timestamp);
        return;
      }
      if (this.#last !== null) this.#complete(this.#last, sharedWithLast);
      const isLarge = key.length + value.length > this.parts.workspace.longestKey;
      const swip = isLarge ? this.#store(value) : -1;
      this.#last = { kind: LEAF, key: copyOf(key), value: isLarge ? null : copyOf(value), swip, from: 0 };
    } finally {
      pages.leaveGate();
    }
  }

  finish(): void {
    const { pages } = this.parts.context;
    pages.enterGate();
    try {
      if (!this.#isPut) this.#end();
    } finally {
      pages.leaveGate();
    }
  }

  #sharedWithLast(key: Uint8Array): number {
    if (this.#last === null) return 0;
    const { key: last } = this.#last;
    const most = Math.min(key.length, last.length);
    let shared = 0;
    while (shared < most && key[shared] === last[shared]) shared++;
    return shared;
  }

  // ── What is complete ────────────────────────────────────────────────────────────────────────────────────────

  /** A key comes that shares so many bytes with the last one: nodes below that are complete. */
  #complete(leaf: LoadedLeaf, shared: number): void {
    const open = this.#open;
    let what: LoadedLeaf | LoadedNode = leaf;
    while (open.length > 0 && open.at(-1)!.depth > shared) {
      const node: LoadedNode = open.pop()!;
      this.#attach(node, what);
      what = node;
    }
    if (open.length === 0 || open.at(-1)!.depth < shared) open.push(newNode(leaf.key, shared));
    this.#attach(open.at(-1)!, what);
  }

  /** Gives a node its next child, or its terminator. What is too much for one page goes to pages of its own before. */
  #attach(node: LoadedNode, what: LoadedLeaf | LoadedNode): void {
    if (what.kind === LEAF && what.key.length === node.depth) {
      what.from = node.depth;
      node.terminator = what;
      return;
    }
    what.from = node.depth + 1;
    this.#reduce(what);
    if (node.weight + weightOf(what) > this.#budget) this.#pushLast(node);
    const byte = what.key[node.depth]!;
    const before = node.children.at(-1);
    if (before !== undefined && before.what.kind === SLICE) before.last = byte - 1;
    node.children.push({ first: byte, last: byte, what });
    node.weight += weightOf(what);
    node.swips += swipsOf(what);
  }

  /** Makes a subtree as small as what goes into one page with others. */
  #reduce(what: LoadedLeaf | LoadedNode): void {
    if (what.kind === LEAF) return;
    const last = what.children.at(-1);
    if (last !== undefined && last.what.kind === SLICE) last.last = 255;
    if (weightOf(what) > this.#budget) this.#pushLast(what);
    // Pages of a node that has more of them than fit beside others: they lie in a slice, and that in the node.
    if (weightOf(what) > this.#budget && what.children.length > 1) this.#push(what, 0);
  }

  /** Writes those children of a node that are on no page yet. */
  #pushLast(node: LoadedNode): void {
    let from = node.children.length;
    while (from > 0 && !isPage(node.children[from - 1]!.what)) from--;
    if (from < node.children.length) this.#push(node, from);
  }

  /** Writes the children of a node from one on to a page, which takes their place. */
  #push(node: LoadedNode, from: number): void {
    const children = node.children.splice(from);
    const [only] = children;
    const isAlone = children.length === 1 && !isPage(only!.what);
    const swip = this.#emit(children, node.depth);
    const first = only!.first;
    const { last } = children.at(-1)!;
    node.children.push({ first, last: isAlone ? first : last, what: { kind: isAlone ? LINK : SLICE, swip } });
    node.weight = node.swips = 0;
    for (const { what } of node.children) {
      node.weight += weightOf(what);
      node.swips += swipsOf(what);
    }
  }

  // ── Pages ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes children of a node to a new page, which hangs on the root page; the number of its swip there. */
  #emit(children: readonly LoadedChild[], depth: number): number {
    const { pages, number } = this.parts.context;
    const [only] = children;
    const alone: Loaded | null = children.length === 1 && !isPage(only!.what) ? only!.what : null;
    let swips = 0;
    for (const { what } of children) swips += swipsOf(what);
    return this.#hang(
      () => pages.allocate(number, KIND_NODES, 0, this.timestamp),
      (page, root) => {
        if (alone !== null && !isPage(alone)) this.#writer.writeSubtree(page, root, alone, depth + 1, swips);
        else this.#writer.writeSlice(page, root, children, depth, swips);
      },
    );
  }

  /** Puts a value on a page of its own. */
  #store(value: Uint8Array): number {
    const { values } = this.parts;
    return this.#hang(
      () => values.store(value, this.timestamp),
      () => undefined,
    );
  }

  /** Makes a page, fills it and hangs it on the root page; the number of its swip there. */
  #hang(allocate: () => number, fill: (page: number, root: number) => void): number {
    const { pages } = this.parts.context;
    const { pageSize } = pages;
    try {
      const root = this.#latchRoot();
      const page = allocate();
      try {
        pages.modify(root, this.timestamp);
      } catch (error) {
        pages.free(page);
        throw error;
      }
      this.#held.add(page);
      fill(page, root);
      const swip = takeSwip(pages.segmentOf(root), pages.baseOf(root), pageSize);
      pages.link(root, swipOffset(pageSize, swip), page);
      return swip;
    } finally {
      this.#held.releaseAll();
    }
  }

  #latchRoot(): number {
    const { pages, root } = this.parts.context;
    pages.latch(root.frame);
    this.#held.add(root.frame);
    const frame = this.#held.add(latchChild(pages, root.frame, root.offset));
    this.#held.release(root.frame);
    return frame;
  }

  /** Whether the root page takes the swips that the next entry may need: its value's, and those of pages that are full by it. */
  #hasRoom(): boolean {
    const { pages } = this.parts.context;
    try {
      const frame = this.#latchRoot();
      if (swipCountOf(pages.segmentOf(frame), pages.baseOf(frame)) + this.#open.length + 2 < this.#most) return true;
    } finally {
      this.#held.releaseAll();
    }
    return false;
  }

  /** Completes all nodes, and puts the page with the root in the place of the one that all hung on. */
  #end(): void {
    this.#isPut = true;
    const leaf = this.#last;
    if (leaf === null) return;
    let what: LoadedLeaf | LoadedNode = leaf;
    for (let node = this.#open.pop(); node !== undefined; node = this.#open.pop()) {
      this.#attach(node, what);
      what = node;
    }
    what.from = 0;
    this.#reduce(what);
    this.#last = null;
    this.#replaceRoot(what);
  }

  #replaceRoot(what: LoadedLeaf | LoadedNode): void {
    const { pages, root, number } = this.parts.context;
    try {
      pages.latch(root.frame);
      this.#held.add(root.frame);
      const before = this.#held.add(latchChild(pages, root.frame, root.offset));
      const page = pages.allocate(number, KIND_NODES, 0, this.timestamp);
      try {
        pages.modify(root.frame, this.timestamp);
        pages.modify(before, this.timestamp);
      } catch (error) {
        pages.free(page);
        throw error;
      }
      this.#held.add(page);
      this.#writer.writeSubtree(page, before, what, 0, swipsOf(what));
      pages.unlink(root.frame, root.offset);
      this.#held.forget(before);
      pages.free(before);
      pages.link(root.frame, root.offset, page);
    } finally {
      this.#held.releaseAll();
    }
  }
}
