/** A tree that is being built from sorted entries, as far as it is on no page yet: leaves, nodes with what is below them, and pages that were written, by their swips. */

import { LINK_WEIGHT } from './measure.js';
import { kindFor, LEAF, LINK, leafSize, NODE4, nodeSize, OWN_PAGE, SLICE } from './node-layout.js';

export interface LoadedLeaf {
  readonly kind: typeof LEAF;
  readonly key: Uint8Array;
  /** Null: it is on the page of a swip. */
  readonly value: Uint8Array | null;
  readonly swip: number;
  /** Bytes of the key that stand above it. */
  from: number;
}

export interface LoadedNode {
  readonly kind: typeof NODE4;
  /** A key below it. */
  readonly key: Uint8Array;
  /** Bytes of the key that stand above it, and above its children without theirs. */
  from: number;
  readonly depth: number;
  terminator: LoadedLeaf | null;
  /** In order; pages that were written come first. */
  children: LoadedChild[];
  /** Bytes and swips that the children take, in bytes of a page; and the swips. */
  weight: number;
  swips: number;
}

export interface LoadedPage {
  readonly kind: typeof LINK | typeof SLICE;
  readonly swip: number;
}

export type Loaded = LoadedLeaf | LoadedNode | LoadedPage;

export interface LoadedChild {
  readonly first: number;
  last: number;
  readonly what: Loaded;
}

export function newNode(key: Uint8Array, depth: number): LoadedNode {
  return { kind: NODE4, key, from: 0, depth, terminator: null, children: [], weight: 0, swips: 0 };
}

export function isPage(what: Loaded): what is LoadedPage {
  return what.kind === LINK || what.kind === SLICE;
}

export function fieldOf(leaf: LoadedLeaf): number {
  return leaf.value === null ? OWN_PAGE : leaf.value.length;
}

export function swipsOf(what: Loaded): number {
  if (isPage(what)) return 1;
  if (what.kind === LEAF) return what.value === null ? 1 : 0;
  return what.swips + (what.terminator === null ? 0 : swipsOf(what.terminator));
}

/** What it takes of a page, its swips included. */
export function weightOf(what: Loaded): number {
  if (isPage(what)) return LINK_WEIGHT;
  if (what.kind === LEAF)
    return leafSize(what.key.length - what.from, fieldOf(what)) + (what.value === null ? LINK_WEIGHT : 0);
  const own = nodeSize(kindOfNode(what.children), what.depth - what.from);
  return own + what.weight + (what.terminator === null ? 0 : weightOf(what.terminator));
}

/** The kind of node that some children are for. */
export function kindOfNode(children: readonly LoadedChild[]): number {
  let places = 0;
  for (const { first, last } of children) places += first === last ? 1 : 2;
  return kindFor(places, children.length);
}
