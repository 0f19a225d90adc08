/** Writes a part of a tree that is being built to a new page: nodes of their final size, without holes. A page may be a chain of thousands of nodes, so this keeps a stack of its own. */
import { type PageStore, type Segment, SWIP_SIZE, TAG_VALUE } from '@pagewright/core';
import {
  fieldOf,
  isPage,
  kindOfNode,
  type Loaded,
  type LoadedChild,
  type LoadedLeaf,
  type LoadedNode,
  newNode,
} from './loaded-nodes.js';
import {
  LEAF,
  LEAF_SUFFIX,
  leafSize,
  linkTo,
  nodeSize,
  OWN_PAGE,
  setLeaf,
  setTag,
  valueOffset,
} from './node-layout.js';
import { takeBlock } from './page-heap.js';
import { addEntries, formatPage, ROOT_REFERENCE, swipOffset } from './page-layout.js';
import { copyBytes } from './subtree-copy.js';
import type { Workspace } from './workspace.js';

const NO_KEY = new Uint8Array(0);

/** A node whose children are being written. */
interface Step {
  readonly node: LoadedNode;
  readonly offset: number;
  readonly references: number[];
  next: number;
}

export class LoadedPageWriter {
  #segment!: Segment;
  #base = 0;
  /** Swips of the page that all are kept on until they have a place, in the order of their new numbers. */
  readonly #swips: number[] = [];

  constructor(
    private readonly pages: PageStore,
    private readonly workspace: Workspace,
  ) {}

  /** Fills a page with a subtree behind so many bytes of keys; swips that it has are moved from another page. Both are latched and `modify`ed. */
  writeSubtree(to: number, from: number, what: LoadedLeaf | LoadedNode, depth: number, swips: number): void {
    this.#begin(to, depth, false, swips);
    this.#end(to, from, this.#write(what));
  }

  /** Fills a page with a slice of a node that has these children. */
  writeSlice(to: number, from: number, children: readonly LoadedChild[], depth: number, swips: number): void {
    this.#begin(to, depth, true, swips);
    const root = newNode(NO_KEY, depth);
    root.from = depth;
    root.children = [...children];
    this.#end(to, from, this.#write(root));
  }

  #begin(to: number, depth: number, slice: boolean, swips: number): void {
    this.#segment = this.pages.segmentOf(to);
    this.#base = this.pages.baseOf(to);
    this.#swips.length = 0;
    formatPage(this.#segment, this.#base, this.pages.pageSize, depth, slice, swips);
  }

  #end(to: number, from: number, root: number): void {
    const { pageSize } = this.pages;
    this.#segment.u16[(this.#base + ROOT_REFERENCE) >>> 1] = root;
    for (const [number, swip] of this.#swips.entries())
      this.pages.moveSwips(from, swipOffset(pageSize, swip), to, swipOffset(pageSize, number), 1, SWIP_SIZE);
  }

  /** Writes what there is; its reference. */
  #write(what: Loaded): number {
    const steps: Step[] = [];
    let reference = this.#open(what, steps);
    while (steps.length > 0) {
      const step = steps.at(-1)!;
      const child = step.node.children[step.next];
      if (child !== undefined) {
        step.next++;
        const opened = this.#open(child.what, steps);
        if (opened !== 0) step.references.push(opened);
        continue;
      }
      steps.pop();
      reference = this.#close(step);
      steps.at(-1)?.references.push(reference);
    }
    return reference;
  }

  /** Writes a leaf, or begins a node, whose reference comes later: 0. */
  #open(what: Loaded, steps: Step[]): number {
    if (isPage(what)) return linkTo(this.#swips.push(what.swip) - 1, what.kind);
    if (what.kind === LEAF) return this.#leaf(what);
    const size = nodeSize(kindOfNode(what.children), what.depth - what.from);
    steps.push({ node: what, offset: takeBlock(this.#segment, this.#base, size), references: [], next: 0 });
    return 0;
  }

  #close({ node, offset, references }: Step): number {
    const content = this.workspace.node;
    const kind = kindOfNode(node.children);
    content.clear();
    content.prefixLength = node.depth - node.from;
    for (let i = 0; i < content.prefixLength; i++) content.prefix[i] = node.key[node.from + i]!;
    if (node.terminator !== null) content.terminator = this.#leaf(node.terminator);
    for (const [at, { first, last }] of node.children.entries()) content.add(first, last, references[at]!);
    content.write(this.#segment, this.#base + offset, kind);
    return offset | kind;
  }

  #leaf(leaf: LoadedLeaf): number {
    const segment = this.#segment;
    const { key, from, value } = leaf;
    const length = key.length - from;
    const field = value === null ? OWN_PAGE | (this.#swips.push(leaf.swip) - 1) : fieldOf(leaf);
    const offset = takeBlock(segment, this.#base, leafSize(length, field));
    const at = this.#base + offset;
    setLeaf(segment, at, length, field);
    setTag(segment, at, TAG_VALUE);
    copyBytes(key, from, segment.u8, at + LEAF_SUFFIX, length);
    if (value !== null) copyBytes(value, 0, segment.u8, at + valueOffset(length, field), value.length);
    addEntries(segment, this.#base, 1);
    return offset | LEAF;
  }
}
