/** Checking the nodes of a page: that each lies in the heap and is reached once, its bytes are in order, its keys not too long, and each swip has one owner. */
import { type PageBounds, SWIP_SIZE } from '@pagewright/core';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import {
  blockSize,
  fixedSize,
  isOnOwnPage,
  kindOf,
  LEAF,
  LEAST_LEAF,
  LINK,
  NO_BYTE,
  NODE_COUNT,
  NODE_KEYS,
  NODE4,
  NODE4_REFERENCES,
  NODE16,
  NODE16_REFERENCES,
  NODE48,
  NODE48_INDEX,
  NODE48_REFERENCES,
  offsetOf,
  prefixLengthAt,
  SLICE,
  suffixLengthAt,
  swipOf,
  swipOfValue,
  terminatorAt,
  valueFieldAt,
} from './node-layout.js';
import { byteFrom, childFor, sliceEnd } from './node-search.js';
import {
  entriesOf,
  HEAP_START,
  heapEndOf,
  heapUsedOf,
  isNullSwip,
  KIND_NODES,
  KIND_VALUE,
  rootOf,
  swipCountOf,
  swipOffset,
} from './page-layout.js';

/** Checks all that the root of a page leads to, and gives the bounds of its children by the offsets of their swips. */
export function checkNodes(page: CheckedPage, below: ChildBounds | null): ReadonlyMap<number, PageBounds> {
  return new NodeCheck(page).check(below);
}

/** A node on the way: its place, the path to its children, and where it goes on. */
interface Step {
  readonly at: number;
  readonly kind: number;
  readonly depth: number;
  next: number;
}

class NodeCheck {
  readonly #children = new Map<number, PageBounds>();
  readonly #blocks: { readonly start: number; readonly end: number }[] = [];
  /** Units of the heap at which a block begins that was met. */
  readonly #met: Uint8Array;
  readonly #owners: Uint8Array;
  readonly #path: Uint8Array;
  readonly #longest: number;
  readonly #steps: Step[] = [];
  #entries = 0;

  constructor(private readonly page: CheckedPage) {
    const { segment, pageSize, path } = page;
    this.#longest = pageSize >>> 2;
    this.#met = new Uint8Array(pageSize >>> 3);
    this.#owners = new Uint8Array(swipCountOf(segment, 0));
    this.#path = new Uint8Array(this.#longest + 1);
    this.#path.set(path.subarray(0, this.#longest));
  }

  check(below: ChildBounds | null): ReadonlyMap<number, PageBounds> {
    const { segment, path, report } = this.page;
    const root = rootOf(segment, 0);
    if (root !== 0) this.#enter(root, path.length);
    if (below?.slice) this.#checkSlice(root, below);
    while (this.#steps.length > 0) this.#goOn(this.#steps.at(-1)!);
    this.#checkBlocks();
    if (this.#entries !== entriesOf(segment, 0))
      report(`There are ${this.#entries} entries, the header says ${entriesOf(segment, 0)}`);
    this.#checkSwips();
    return this.#children;
  }

  /** The root of a slice has bytes of its range alone, and no more than these. */
  #checkSlice(root: number, { first, last }: ChildBounds): void {
    const { segment, report } = this.page;
    if (root === 0) return;
    const at = offsetOf(root);
    if (kindOf(root) < NODE4 || at + fixedSize(kindOf(root)) > heapEndOf(segment, 0)) {
      report('The root of a slice is no node');
      return;
    }
    if (prefixLengthAt(segment, at) !== 0 || terminatorAt(segment, at) !== 0)
      report('The root of a slice has a prefix or a terminator');
    for (let byte = byteFrom(segment, at, kindOf(root), 0); byte < NO_BYTE; ) {
      if (byte < first || byte > last) report(`Byte ${byte} is not one of a slice from ${first} to ${last}`);
      byte = byteFrom(segment, at, kindOf(root), byte + 1);
    }
  }

  /** Looks at a block that a reference leads to, behind so many bytes of keys. */
  #enter(reference: number, depth: number): void {
    const { segment, report } = this.page;
    const kind = kindOf(reference);
    const at = offsetOf(reference);
    const end = heapEndOf(segment, 0);
    const least = kind === LEAF ? LEAST_LEAF : kind >= NODE4 ? fixedSize(kind) : 0;
    if (least === 0 || at < HEAP_START || at + least > end) {
      report(`The reference ${reference} leads to no block of the page`);
      return;
    }
    const size = blockSize(segment, at, kind);
    if (at + size > end) {
      report(`The block at ${at} goes beyond the heap`);
      return;
    }
    if (this.#met[at >>> 3] === 1) {
      report(`The block at ${at} is reached twice`);
      return;
    }
    this.#met[at >>> 3] = 1;
    this.#blocks.push({ start: at, end: at + size });
    if (kind === LEAF) this.#leaf(at, depth);
    else this.#node(at, kind, depth);
  }

  #leaf(at: number, depth: number): void {
    const { segment, report } = this.page;
    this.#entries++;
    const length = depth + suffixLengthAt(segment, at);
    if (length === 0 || length > this.#longest) report(`The key of the leaf at ${at} has ${length} bytes`);
    const field = valueFieldAt(segment, at);
    if (!isOnOwnPage(field)) return;
    this.#own(swipOfValue(field), new ChildBounds(KIND_VALUE, null, false, 0, 0));
  }

  #node(at: number, kind: number, depth: number): void {
    const { segment, report } = this.page;
    const prefix = prefixLengthAt(segment, at);
    const below = depth + prefix;
    if (below > this.#longest) {
      report(`The prefix of the node at ${at} makes keys of ${below} bytes`);
      return;
    }
    for (let i = 0; i < prefix; i++) this.#path[depth + i] = segment.u8[at + fixedSize(kind) + i]!;
    const terminator = terminatorAt(segment, at);
    if (terminator !== 0) this.#terminator(terminator, below);
    if (kind === NODE4 || kind === NODE16) this.#checkSmall(at, kind);
    else if (!this.#checkLarge(at, kind)) return;
    if (terminator === 0 && byteFrom(segment, at, kind, 0) === NO_BYTE)
      report(`The node at ${at} has nothing below it`);
    this.#steps.push({ at, kind, depth: below, next: 0 });
  }

  #terminator(reference: number, depth: number): void {
    const { segment, report } = this.page;
    if (kindOf(reference) !== LEAF) report(`A terminator of kind ${kindOf(reference)} is no leaf`);
    else this.#enter(reference, depth);
    const at = offsetOf(reference);
    if (at + LEAST_LEAF <= heapEndOf(segment, 0) && suffixLengthAt(segment, at) !== 0)
      report(`The terminator at ${at} has a suffix`);
  }

  /** Keys rise, and behind the last one there is nothing. */
  #checkSmall(at: number, kind: number): void {
    const { segment, report } = this.page;
    const places = kind === NODE4 ? 4 : 16;
    const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
    let isOver = false;
    for (let place = 0; place < places; place++) {
      const key = segment.u8[at + NODE_KEYS + place]!;
      const reference = segment.u16[references + place]!;
      if (reference === 0) {
        if (key !== 0) report(`The node at ${at} has a key without a child in place ${place}`);
        isOver = true;
      } else if (isOver) report(`The node at ${at} has a child behind the last one, in place ${place}`);
      else if (place > 1 && reference === segment.u16[references + place - 2])
        report(`The node at ${at} has a slice three times, at place ${place}`);
      else if (place > 0 && key <= segment.u8[at + NODE_KEYS + place - 1]!)
        report(`The keys of the node at ${at} do not rise at place ${place}`);
    }
  }

  /** References have owners, one byte or, of a slice, a range of bytes; and the count is right. False: its bytes lead nowhere. */
  #checkLarge(at: number, kind: number): boolean {
    const { segment, report } = this.page;
    const { u8, u16 } = segment;
    const owned = new Uint8Array(NO_BYTE);
    let bytes = 0;
    for (let byte = 0; byte < NO_BYTE; byte++) {
      const reference = childFor(segment, at, kind, byte);
      if (kind === NODE48) {
        const place = u8[at + NODE48_INDEX + byte]!;
        if (place === 0) continue;
        if (place > 48 || reference === 0) {
          report(`Byte ${byte} of the node at ${at} leads to place ${place}, where there is nothing`);
          return false;
        }
        const isNext = byte > 0 && u8[at + NODE48_INDEX + byte - 1] === place;
        if (owned[place - 1] === 1 && !(isNext && kindOf(reference) === SLICE))
          report(`Two bytes of the node at ${at} lead to place ${place}`);
        owned[place - 1] = 1;
      } else if (reference !== 0) bytes++;
    }
    if (kind === NODE48)
      for (let place = 0; place < 48; place++) {
        const isThere = u16[((at + NODE48_REFERENCES) >>> 1) + place] !== 0;
        bytes += isThere ? 1 : 0;
        if (isThere && owned[place] === 0) report(`No byte of the node at ${at} leads to place ${place}`);
      }
    const count = u16[(at + NODE_COUNT) >>> 1]!;
    if (count !== bytes) report(`The node at ${at} has ${bytes} references, and says ${count}`);
    return true;
  }

  /** Goes on to the next child of a node, or back from it. */
  #goOn(step: Step): void {
    const { segment } = this.page;
    const { at, kind, depth } = step;
    const byte = byteFrom(segment, at, kind, step.next);
    if (byte === NO_BYTE) {
      this.#steps.pop();
      return;
    }
    const reference = childFor(segment, at, kind, byte);
    const isSlice = kindOf(reference) === SLICE;
    const last = isSlice ? sliceEnd(segment, at, kind, byte) : byte;
    step.next = last + 1;
    this.#path[depth] = byte;
    if (isSlice) this.#link(reference, depth, true, byte, last);
    else if (kindOf(reference) === LINK) this.#link(reference, depth + 1, false, byte, byte);
    else this.#enter(reference, depth + 1);
  }

  #link(reference: number, depth: number, slice: boolean, first: number, last: number): void {
    if (depth > this.#longest) this.page.report(`A page stands behind ${depth} bytes of keys`);
    else this.#own(swipOf(reference), new ChildBounds(KIND_NODES, this.#path.slice(0, depth), slice, first, last));
  }

  #own(swip: number, bounds: ChildBounds): void {
    const { segment, pageSize, report } = this.page;
    const count = swipCountOf(segment, 0);
    if (swip >= count) {
      report(`Swip ${swip} of ${count} is named`);
      return;
    }
    if (this.#owners[swip] === 1) report(`Swip ${swip} is named twice`);
    this.#owners[swip] = 1;
    const offset = swipOffset(pageSize, swip);
    if (isNullSwip(segment, 0, offset)) report(`Swip ${swip} is named, and null`);
    else this.#children.set(offset, bounds);
  }

  /** Blocks do not overlap, and are what the header says is in use. */
  #checkBlocks(): void {
    const { segment, report } = this.page;
    let used = 0;
    let end = 0;
    for (const block of this.#blocks.sort((one, other) => one.start - other.start)) {
      if (block.start < end) report(`The block at ${block.start} overlaps the one before`);
      end = Math.max(end, block.end);
      used += block.end - block.start;
    }
    if (used !== heapUsedOf(segment, 0))
      report(`The heap has ${used} bytes in use, the header says ${heapUsedOf(segment, 0)}`);
  }

  /** A swip that nothing names is null; those that are not are named for whoever goes on, all the same. */
  #checkSwips(): void {
    const { segment, pageSize, report } = this.page;
    for (let swip = 0; swip < this.#owners.length; swip++) {
      const offset = swipOffset(pageSize, swip);
      if (this.#owners[swip] === 1 || isNullSwip(segment, 0, offset)) continue;
      report(`Nothing names swip ${swip}, at ${pageSize - SWIP_SIZE * (swip + 1)}`);
      this.#children.set(offset, new ChildBounds(KIND_VALUE, null, false, 0, 0));
    }
  }
}
