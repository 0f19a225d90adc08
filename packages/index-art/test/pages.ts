/** What stands on the pages of a tree, for tests of its shape. */
import type { HostilePages } from '@pagewright/testkit';
import {
  isOnOwnPage,
  isOutside,
  kindOf,
  LEAF,
  type LINK,
  NO_BYTE,
  NODE4,
  NODE16,
  NODE48,
  NODE256,
  offsetOf,
  prefixLengthAt,
  SLICE,
  terminatorAt,
  valueFieldAt,
} from '../src/node-layout.js';
import { byteFrom, childFor, sliceEnd } from '../src/node-search.js';
import { freeBytes } from '../src/page-heap.js';
import { isSlice, KIND_NODES, rootOf } from '../src/page-layout.js';
import type { ModeledTree } from './model.js';

export interface Shape {
  pages: number;
  slices: number;
  values: number;
  /** Share of the pages of nodes that is in use. */
  fill: number;
  leaves: number;
  terminators: number;
  links: number;
  /** How many nodes there are of each kind. */
  readonly nodes: Record<'node4' | 'node16' | 'node48' | 'node256', number>;
  longestPrefix: number;
}

const NAMES = { [NODE4]: 'node4', [NODE16]: 'node16', [NODE48]: 'node48', [NODE256]: 'node256' } as const;

export function shapeOf(tree: ModeledTree): Shape {
  const shape: Shape = {
    pages: 0,
    slices: 0,
    values: 0,
    fill: 0,
    leaves: 0,
    terminators: 0,
    links: 0,
    nodes: { node4: 0, node16: 0, node48: 0, node256: 0 },
    longestPrefix: 0,
  };
  const { pages } = tree;
  pages.walk(tree.root, (frame) => {
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    if (segment.u16[base >>> 1] !== KIND_NODES) {
      shape.values++;
      return;
    }
    shape.pages++;
    if (isSlice(segment, base)) shape.slices++;
    shape.fill += 1 - freeBytes(segment, base, pages.pageSize) / pages.pageSize;
    if (rootOf(segment, base) !== 0) addBlock(shape, pages, frame, rootOf(segment, base));
  });
  shape.fill /= shape.pages;
  return shape;
}

function addBlock(shape: Shape, pages: HostilePages, frame: number, reference: number): void {
  const kind = kindOf(reference);
  if (isOutside(reference)) {
    shape.links++;
    return;
  }
  const segment = pages.segmentOf(frame);
  const at = pages.baseOf(frame) + offsetOf(reference);
  if (kind === LEAF) {
    shape.leaves++;
    if (isOnOwnPage(valueFieldAt(segment, at))) shape.links++;
    return;
  }
  shape.nodes[NAMES[kind as typeof NODE4]]++;
  shape.longestPrefix = Math.max(shape.longestPrefix, prefixLengthAt(segment, at));
  const terminator = terminatorAt(segment, at);
  if (terminator !== 0) {
    shape.terminators++;
    addBlock(shape, pages, frame, terminator);
  }
  for (let byte = byteFrom(segment, at, kind, 0); byte < NO_BYTE; ) {
    const child = childFor(segment, at, kind, byte);
    addBlock(shape, pages, frame, child);
    byte = byteFrom(segment, at, kind, (kindOf(child) === SLICE ? sliceEnd(segment, at, kind, byte) : byte) + 1);
  }
}

/** The first page of nodes, from the root down, that is as asked. */
export function pageWhere(tree: ModeledTree, asked: (shape: PageView) => boolean): PageView {
  let found: PageView | null = null;
  tree.pages.walk(tree.root, (frame) => {
    const view = new PageView(tree.pages, frame);
    if (found === null && asked(view)) found = view;
  });
  if (found === null) throw new Error('There is no such page');
  return found;
}

/** One page, by offset. */
export class PageView {
  readonly #segment;
  readonly #base: number;

  constructor(
    pages: HostilePages,
    readonly frame: number,
  ) {
    this.#segment = pages.segmentOf(frame);
    this.#base = pages.baseOf(frame);
  }

  u8(at: number): number {
    return this.#segment.u8[this.#base + at]!;
  }
  u16(at: number): number {
    return this.#segment.u16[(this.#base + at) >>> 1]!;
  }
  set8(at: number, value: number): void {
    this.#segment.u8[this.#base + at] = value;
  }
  set16(at: number, value: number): void {
    this.#segment.u16[(this.#base + at) >>> 1] = value;
  }
  set32(at: number, value: number): void {
    this.#segment.u32[(this.#base + at) >>> 2] = value;
  }
  get kind(): number {
    return this.u16(0);
  }
  get root(): number {
    return this.u16(32);
  }

  /** The offset of the first node of a kind below the root; -1 if there is none. */
  find(kind: number, reference = this.root): number {
    if (reference === 0 || isOutside(reference) || this.kind !== KIND_NODES) return -1;
    if (kindOf(reference) === kind) return offsetOf(reference);
    if (kindOf(reference) === LEAF) return -1;
    const at = this.#base + offsetOf(reference);
    const terminator = terminatorAt(this.#segment, at);
    if (kind === LEAF && terminator !== 0) return offsetOf(terminator);
    for (let byte = 0; byte < NO_BYTE; byte++) {
      const child = childFor(this.#segment, at, kindOf(reference), byte);
      const found = child === 0 ? -1 : this.find(kind, child);
      if (found >= 0) return found;
    }
    return -1;
  }

  /** Whether a link of the kind stands below the root. */
  hasLink(kind: typeof LINK | typeof SLICE): boolean {
    const at = this.#base + offsetOf(this.root);
    if (this.kind !== KIND_NODES || kindOf(this.root) < NODE4) return false;
    for (let byte = 0; byte < NO_BYTE; byte++)
      if (kindOf(childFor(this.#segment, at, kindOf(this.root), byte)) === kind) return true;
    return false;
  }
}
