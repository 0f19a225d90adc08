/**
 * A tree of pages without any order, and the model that it must agree with: the plainest thing that can be built on a
 * page store, so that a fault here is the store's. Each page has sixteen swips and a number, from which its other bytes follow.
 */
import {
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageStore,
  RESTART,
  SWIP_NULL,
} from '@pagewright/core';

export const FANOUT = 16;
const NUMBER_AT = PAGE_HEADER_SIZE + FANOUT * 8;
const FILL_AT = NUMBER_AT + 8;
const KIND = 7;

/** What a page should hold. */
export interface Model {
  number: number;
  sizeClass: number;
  children: (Model | null)[];
}

export function copyOf(model: Model | null): Model | null {
  return model === null ? null : { ...model, children: model.children.map(copyOf) };
}

/** A leaf of the model: `sizeClass` above 0 has no swips in use. */
export function newModel(number: number, sizeClass = 0): Model {
  return { number, sizeClass, children: Array<Model | null>(FANOUT).fill(null) };
}

export class PageTree {
  timestamp = 1;

  constructor(readonly pages: PageStore) {}

  /** Puts a new page at the root, or below the page that the path leads to. */
  insert(path: readonly number[], slot: number, number: number, sizeClass: number): void {
    this.#withPage(path, (parent) => {
      const frame = this.#allocate(number, sizeClass);
      this.pages.modify(parent, ++this.timestamp);
      this.pages.link(parent, this.#offset(parent, slot), frame);
      this.pages.unlatch(frame);
    });
  }

  change(path: readonly number[], number: number): void {
    this.#withPage(path, (frame) => {
      this.pages.modify(frame, ++this.timestamp);
      this.#fill(frame, number);
    });
  }

  /** Gives up the page in the slot, and what is below it. */
  remove(path: readonly number[], slot: number): void {
    let done = false;
    while (!done) {
      this.#withPage(path, (frame) => {
        const offset = this.#offset(frame, slot);
        this.pages.unlatch(frame);
        done = this.pages.releaseTree({ frame, offset }, ++this.timestamp, 3);
        this.pages.latch(frame);
      });
    }
  }

  discardLeaf(path: readonly number[], slot: number): void {
    this.#withPage(path, (frame) => {
      this.pages.modify(frame, ++this.timestamp);
      this.pages.discard(frame, this.#offset(frame, slot));
    });
  }

  /** Moves a page from one parent to another, which is not below it. */
  move(from: readonly number[], fromSlot: number, to: readonly number[], toSlot: number): void {
    this.#withPage(from, (source) => {
      this.#withPage(
        to,
        (target) => {
          this.pages.modify(source, ++this.timestamp);
          this.pages.modify(target, this.timestamp);
          this.pages.moveSwips(source, this.#offset(source, fromSlot), target, this.#offset(target, toSlot), 1, 8);
        },
        from,
      );
    });
  }

  /** Reads the whole tree as a reader does, and says where it is not what the model says. */
  check(model: Model | null): void {
    const root = this.#child(this.pages.root.frame, this.pages.root.offset);
    this.#check(root, model, 'root');
  }

  /** Reads one page's number without waiting; throws the page fault if it is not there. */
  numberAt(path: readonly number[]): number {
    for (;;) {
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
        offset = this.#offset(frame, slot);
      }
      if (!found) continue;
      const number = this.pages.segmentOf(frame).f64[(this.pages.baseOf(frame) + NUMBER_AT) >>> 3] as number;
      if (this.pages.validate(frame, version)) return number;
    }
  }

  #check(frame: number | null, model: Model | null, where: string): void {
    if (frame === null || model === null) {
      if (frame !== model)
        throw new Error(`${where}: ${frame === null ? 'a page is missing' : 'a page should not be there'}`);
      return;
    }
    this.pages.pin(frame);
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const size = this.pages.sizeOf(frame);
    const number = segment.f64[(base + NUMBER_AT) >>> 3];
    if (number !== model.number) throw new Error(`${where}: holds ${number} instead of ${model.number}`);
    if (size !== this.pages.pageSize << model.sizeClass) throw new Error(`${where}: has ${size} bytes`);
    for (const at of [FILL_AT, FILL_AT + 8, size >>> 1, size - 8]) {
      const aligned = (base + at) >>> 3;
      if (segment.f64[aligned] !== model.number + at)
        throw new Error(`${where}: bytes at ${at} are those of another page`);
    }
    for (const [slot, child] of model.children.entries()) {
      if (model.sizeClass === 0) this.#check(this.#child(frame, this.#offset(frame, slot)), child, `${where}.${slot}`);
    }
    this.pages.unpin(frame);
  }

  #child(frame: number, offset: number): number | null {
    for (;;) {
      if (this.pages.segmentOf(frame).u32[(this.pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL) return null;
      const child = this.pages.child(frame, offset, this.pages.readVersion(frame));
      if (child !== RESTART) return child;
    }
  }

  /** Latches the pages of the path, one after the other, and calls back with the last; `held` is a path that is latched already. */
  #withPage(path: readonly number[], use: (frame: number) => void, held: readonly number[] | null = null): void {
    const root = this.pages.root;
    const latched: number[] = [];
    const hold = (frame: number, depth: number): void => {
      const isHeld =
        held !== null && depth <= held.length && path.slice(0, depth).every((slot, at) => held[at] === slot);
      if (isHeld) return;
      this.pages.latch(frame);
      latched.push(frame);
    };
    try {
      if (held === null) hold(root.frame, 0);
      let frame = root.frame;
      let offset = root.offset;
      for (let depth = 0; depth <= path.length; depth++) {
        if (this.pages.segmentOf(frame).u32[(this.pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL)
          throw new Error('A page of the path is missing');
        frame = this.pages.childOfLatched(frame, offset);
        hold(frame, depth);
        if (depth < path.length) offset = this.#offset(frame, path[depth] as number);
      }
      use(frame);
    } finally {
      for (const frame of latched.reverse()) this.pages.unlatch(frame);
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
    const frame = this.pages.allocate(1, KIND, sizeClass, ++this.timestamp);
    const base = this.pages.baseOf(frame);
    const segment = this.pages.segmentOf(frame);
    if (sizeClass === 0) {
      segment.u32.fill(0, (base + PAGE_HEADER_SIZE) >>> 2, (base + NUMBER_AT) >>> 2);
      segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
      segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = FANOUT;
      segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = 8;
    }
    this.#fill(frame, number);
    return frame;
  }

  #fill(frame: number, number: number): void {
    const { f64 } = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const size = this.pages.sizeOf(frame);
    f64[(base + NUMBER_AT) >>> 3] = number;
    for (const at of [FILL_AT, FILL_AT + 8, size >>> 1, size - 8]) f64[(base + at) >>> 3] = number + at;
  }

  #offset(_frame: number, slot: number): number {
    return PAGE_HEADER_SIZE + Math.max(slot, 0) * 8;
  }
}
