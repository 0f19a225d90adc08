/**
 * A tree of pages without any order, and the model that it must agree with: the plainest thing that can be built on a
 * page store, so that a fault here is the store's. Each page has a table of swips and a number, from which its other bytes
 * follow. It uses the store by the letter of its contract.
 */
import {
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageStore,
  RESTART,
  SWIP_NULL,
  SWIP_SIZE,
} from '@pagewright/core';

/** Swips of a page, unless the tree is made with more. */
export const FANOUT = 16;
/** Number of the index that the pages say they belong to, and their kind. */
export const TREE_INDEX = 1;
export const TREE_KIND = 7;

/** A reader that is alone starts again for each level that is not in memory, and no more often. */
const MOST_RESTARTS = 1000;

/** What a page should hold. */
export interface PageModel {
  number: number;
  sizeClass: number;
  children: (PageModel | null)[];
}

export function copyOfModel(model: PageModel | null): PageModel | null {
  return model === null ? null : { ...model, children: model.children.map(copyOfModel) };
}

/** Pages in the tree. */
export function pagesOf(model: PageModel | null): number {
  return model === null ? 0 : model.children.reduce((sum, child) => sum + pagesOf(child), 1);
}

/** A page without children. Those of a class above 0 never have any. */
export function newModel(number: number, sizeClass = 0, fanout = FANOUT): PageModel {
  return { number, sizeClass, children: Array<PageModel | null>(fanout).fill(null) };
}

export class PageTree {
  timestamp = 1;
  readonly #numberAt: number;
  readonly #fillAt: number;

  constructor(
    readonly pages: PageStore,
    readonly fanout = FANOUT,
  ) {
    this.#numberAt = PAGE_HEADER_SIZE + fanout * SWIP_SIZE;
    this.#fillAt = this.#numberAt + 8;
  }

  /** Byte offset of a swip in its page. */
  offsetOf(slot: number): number {
    return PAGE_HEADER_SIZE + Math.max(slot, 0) * SWIP_SIZE;
  }

  /** Puts a new page below the page that the path leads to. */
  insert(path: readonly number[], slot: number, number: number, sizeClass: number): void {
    this.withPage(path, (parent) => {
      const frame = this.#allocate(number, sizeClass);
      this.pages.modify(parent, ++this.timestamp);
      this.pages.link(parent, this.offsetOf(slot), frame);
      this.pages.unlatch(frame);
    });
  }

  /** Gives the page that the path leads to, a list of slots, another number. */
  change(path: readonly number[], number: number): void {
    this.withPage(path, (frame) => {
      this.pages.modify(frame, ++this.timestamp);
      this.#fill(frame, number);
    });
  }

  /** Gives up the page in the slot, and what is below it. */
  remove(path: readonly number[], slot: number): void {
    let done = false;
    while (!done) {
      this.withPage(path, (frame) => {
        const offset = this.offsetOf(slot);
        this.pages.unlatch(frame);
        done = this.pages.releaseTree({ frame, offset }, ++this.timestamp, 3);
        this.pages.latch(frame);
      });
    }
  }

  /** Gives up a page without children, unread. */
  discardLeaf(path: readonly number[], slot: number): void {
    this.withPage(path, (frame) => {
      this.pages.modify(frame, ++this.timestamp);
      this.pages.discard(frame, this.offsetOf(slot));
    });
  }

  /** Moves a page from one parent to another, which is not below it. */
  move(from: readonly number[], fromSlot: number, to: readonly number[], toSlot: number): void {
    this.withPage(from, (source) => {
      this.withPage(
        to,
        (target) => {
          this.pages.modify(source, ++this.timestamp);
          this.pages.modify(target, this.timestamp);
          this.pages.moveSwips(source, this.offsetOf(fromSlot), target, this.offsetOf(toSlot), 1, SWIP_SIZE);
        },
        from,
      );
    });
  }

  /** Reads the whole tree as a reader does, and says where it is not what the model says. */
  check(model: PageModel | null): void {
    const root = this.#child(this.pages.root.frame, this.pages.root.offset);
    this.#check(root, model, 'root');
  }

  /** Reads one page's number without waiting; throws the page fault if it is not there. */
  numberAt(path: readonly number[]): number {
    for (let restarts = 0; restarts < MOST_RESTARTS; restarts++) {
      let frame = this.pages.root.frame;
      let offset = this.pages.root.offset;
      let version = this.pages.readVersion(frame);
      let found = true;
      for (const slot of [...path, -1]) {
        const child = this.pages.child(frame, offset, version);
        if (child === RESTART) {
          found = false;
          break;
        }
        const childVersion = this.pages.readVersion(child);
        if (!this.pages.validate(frame, version)) {
          found = false;
          break;
        }
        frame = child;
        version = childVersion;
        offset = this.offsetOf(slot);
      }
      if (!found) continue;
      const number = this.numberIn(frame);
      if (this.pages.validate(frame, version)) return number;
    }
    throw new Error(`The page at ${path.join('.')} could not be reached, though nobody else is at work`);
  }

  #check(frame: number | null, model: PageModel | null, where: string): void {
    if (frame === null || model === null) {
      if (frame !== model)
        throw new Error(`${where}: ${frame === null ? 'a page is missing' : 'a page should not be there'}`);
      return;
    }
    this.pages.pin(frame);
    try {
      this.#checkBytes(frame, model, where);
      for (const [slot, child] of model.children.entries()) {
        if (model.sizeClass === 0) this.#check(this.#child(frame, this.offsetOf(slot)), child, `${where}.${slot}`);
      }
    } finally {
      this.pages.unpin(frame);
    }
  }

  #checkBytes(frame: number, model: PageModel, where: string): void {
    const { f64, u16, u32 } = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const size = this.pages.sizeOf(frame);
    const number = this.numberIn(frame);
    if (number !== model.number) throw new Error(`${where}: holds ${number} instead of ${model.number}`);
    if (size !== this.pages.pageSize << model.sizeClass) throw new Error(`${where}: has ${size} bytes`);
    if (u16[(base + PAGE_KIND) >>> 1] !== TREE_KIND || u32[(base + PAGE_INDEX) >>> 2] !== TREE_INDEX)
      throw new Error(`${where}: its header says that it belongs to another index`);
    for (const at of this.#fillsOf(size)) {
      if (f64[(base + at) >>> 3] !== model.number + at)
        throw new Error(`${where}: bytes at ${at} are those of another page`);
    }
  }

  #child(frame: number, offset: number): number | null {
    for (let restarts = 0; restarts < MOST_RESTARTS; restarts++) {
      if (this.pages.segmentOf(frame).u32[(this.pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL) return null;
      const child = this.pages.child(frame, offset, this.pages.readVersion(frame));
      if (child !== RESTART) return child;
    }
    throw new Error('A page that nobody else uses could not be reached');
  }

  /** The number of the page in a frame. */
  numberIn(frame: number): number {
    return this.pages.segmentOf(frame).f64[(this.pages.baseOf(frame) + this.#numberAt) >>> 3] as number;
  }

  /** Latches the pages of the path, one after the other, and calls back with the last; `held` is a path that is latched already. */
  withPage(path: readonly number[], use: (frame: number) => void, held: readonly number[] | null = null): void {
    const root = this.pages.root;
    const latched: number[] = [];
    const isHeld = (depth: number): boolean =>
      held !== null && depth <= held.length && path.slice(0, depth).every((slot, at) => held[at] === slot);
    try {
      if (held === null) {
        this.pages.latch(root.frame);
        latched.push(root.frame);
      }
      let frame = root.frame;
      let offset = root.offset;
      for (let depth = 0; depth <= path.length; depth++) {
        if (this.pages.segmentOf(frame).u32[(this.pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL)
          throw new Error('A page of the path is missing');
        if (isHeld(depth)) frame = this.pages.childOfLatched(frame, offset);
        else {
          frame = this.#latchChild(frame, offset);
          latched.push(frame);
        }
        if (depth < path.length) offset = this.offsetOf(path[depth] as number);
      }
      use(frame);
    } finally {
      for (const frame of latched.reverse()) this.pages.unlatch(frame);
    }
  }

  /** Waiting for a latch may move the page: it counts when the swip still names the frame. */
  #latchChild(parent: number, offset: number): number {
    for (;;) {
      const frame = this.pages.childOfLatched(parent, offset);
      this.pages.latch(frame);
      if (this.pages.childOfLatched(parent, offset) === frame) return frame;
      this.pages.unlatch(frame);
    }
  }

  /** A root page for an empty store. */
  plant(number: number): void {
    const { frame, offset } = this.pages.root;
    this.pages.latch(frame);
    this.pages.modify(frame, ++this.timestamp);
    const child = this.#allocate(number, 0);
    this.pages.link(frame, offset, child);
    this.pages.unlatch(child);
    this.pages.unlatch(frame);
  }

  #allocate(number: number, sizeClass: number): number {
    const frame = this.pages.allocate(TREE_INDEX, TREE_KIND, sizeClass, ++this.timestamp);
    const base = this.pages.baseOf(frame);
    const segment = this.pages.segmentOf(frame);
    if (sizeClass === 0) {
      segment.u32.fill(0, (base + PAGE_HEADER_SIZE) >>> 2, (base + this.#numberAt) >>> 2);
      segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
      segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = this.fanout;
      segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = SWIP_SIZE;
    }
    this.#fill(frame, number);
    return frame;
  }

  #fill(frame: number, number: number): void {
    const { f64 } = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const size = this.pages.sizeOf(frame);
    f64[(base + this.#numberAt) >>> 3] = number;
    for (const at of this.#fillsOf(size)) f64[(base + at) >>> 3] = number + at;
  }

  /** Where a page's bytes tell that they are its own. */
  #fillsOf(size: number): number[] {
    return [this.#fillAt, this.#fillAt + 8, size >>> 1, size - 8];
  }
}
