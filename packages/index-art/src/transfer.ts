/**
 * Children of a node that move to another page: their blocks are copied, and their swips moved. Both pages are latched and `modify`ed, the one they leave
 * was measured; what is left behind in it is for the caller to account for.
 */
import { type PageStore, SWIP_SIZE } from '@pagewright/core';
import type { NodeContent } from './node-content.js';
import { isOutside, kindOf, linkTo, nodeSize, swipOf } from './node-layout.js';
import { extendSwips, nullSwip, takeBlock } from './page-heap.js';
import { formatPage, ROOT_REFERENCE, swipCountOf, swipOffset } from './page-layout.js';
import type { Workspace } from './workspace.js';

export class Transfer {
  readonly #pageSize: number;

  constructor(
    private readonly pages: PageStore,
    private readonly workspace: Workspace,
  ) {
    this.#pageSize = pages.pageSize;
  }

  /** Fills a new page with one child of a node, a leaf or a node itself, as a subtree of its own. */
  moveChild(from: number, to: number, depth: number, child: number, swips: number): void {
    const { pages, workspace } = this;
    const segment = pages.segmentOf(to);
    const base = pages.baseOf(to);
    formatPage(segment, base, this.#pageSize, depth, false, swips);
    workspace.moves.begin(swips);
    const root = this.#copy(from, to, child);
    segment.u16[(base + ROOT_REFERENCE) >>> 1] = root;
    this.#moveSwips(from, to);
  }

  /** Fills a new page with some children of the node that `node` has, as a slice. */
  moveSlice(from: number, to: number, depth: number, first: number, count: number, swips: number): void {
    const { pages, workspace } = this;
    const segment = pages.segmentOf(to);
    const base = pages.baseOf(to);
    formatPage(segment, base, this.#pageSize, depth, true, swips);
    workspace.moves.begin(swips);
    const { node, other } = workspace;
    other.clear();
    for (let i = first; i < first + count; i++) other.add(node.first[i]!, node.last[i]!, node.references[i]!);
    const { kind } = other;
    // The root lies in front of what is below it.
    const root = takeBlock(segment, base, nodeSize(kind, 0));
    for (let i = 0; i < count; i++) other.references[i] = this.#move(from, to, other.references[i]!);
    other.write(segment, base + root, kind);
    segment.u16[(base + ROOT_REFERENCE) >>> 1] = root | kind;
    this.#moveSwips(from, to);
  }

  /** Bytes of the table of swips of a page that so many more make it grow by. */
  bytesForSwips(frame: number, swips: number): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    let number = nullSwip(segment, base, this.#pageSize);
    let left = swips;
    for (; left > 0 && number < swipCountOf(segment, base); left--)
      number = nullSwip(segment, base, this.#pageSize, number + 1);
    return left * SWIP_SIZE;
  }

  /** Copies all that is on a page into its parent, which has room for it, and moves its swips; the reference to it there. */
  drawSubtree(from: number, to: number, root: number, swips: number): number {
    this.#prepareSwips(to, swips);
    const drawn = this.#copy(from, to, root);
    this.#moveSwips(from, to);
    return drawn;
  }

  /** The same for the children of a slice, whose references in the content become those in the parent. */
  drawChildren(from: number, to: number, slice: NodeContent, swips: number): void {
    this.#prepareSwips(to, swips);
    for (let i = 0; i < slice.count; i++) slice.references[i] = this.#move(from, to, slice.references[i]!);
    this.#moveSwips(from, to);
  }

  #move(from: number, to: number, reference: number): number {
    if (!isOutside(reference)) return this.#copy(from, to, reference);
    return linkTo(this.workspace.moves.take(swipOf(reference)), kindOf(reference));
  }

  #copy(from: number, to: number, reference: number): number {
    const { pages, workspace } = this;
    return workspace.copy.copy(
      pages.segmentOf(from),
      pages.baseOf(from),
      reference,
      pages.segmentOf(to),
      pages.baseOf(to),
      workspace.moves,
    );
  }

  /** Numbers of null swips in a page for those that come. */
  #prepareSwips(to: number, swips: number): void {
    const { moves } = this.workspace;
    const segment = this.pages.segmentOf(to);
    const base = this.pages.baseOf(to);
    moves.begin(0);
    let number = -1;
    for (let i = 0; i < swips; i++) {
      number = nullSwip(segment, base, this.#pageSize, number + 1);
      if (number === swipCountOf(segment, base)) extendSwips(segment, base, this.#pageSize, number + 1);
      moves.to[i] = number;
    }
  }

  #moveSwips(from: number, to: number): void {
    const { moves } = this.workspace;
    for (let i = 0; i < moves.count; i++) {
      const [fromOffset, toOffset] = [
        swipOffset(this.#pageSize, moves.from[i]!),
        swipOffset(this.#pageSize, moves.to[i]!),
      ];
      this.pages.moveSwips(from, fromOffset, to, toOffset, 1, SWIP_SIZE);
    }
  }
}
