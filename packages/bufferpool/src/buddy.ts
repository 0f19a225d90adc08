/**
 * A buddy allocator over numbered units: blocks of 2^c units, aligned to their size, split and joined again. It serves
 * the arena (units are frames) and the page file (units are pages of class 0). It keeps which blocks are free; who
 * holds the others is not its concern. All of it is in the memory that it is given: every thread that has the memory can
 * have an allocator of its own over it. Calls come one at a time.
 *
 * Must hold: a unit is in at most one free block, and two free buddies never stand side by side.
 */
import { invariant, PagewrightError } from '@pagewright/core/contracts';
import { FreeBlocks } from './free-blocks.js';

export class BuddyAllocator {
  readonly #free: FreeBlocks;

  /**
   * `memory`: of `BuddyAllocator.bytes`, or from `BuddyAllocator.growing`, with the same `maxClass` (at most 20) and
   * `capacity`. Memory of zeros is an allocator without units.
   */
  constructor(
    memory: SharedArrayBuffer,
    readonly maxClass: number,
    capacity: number,
  ) {
    this.#free = new FreeBlocks(memory, maxClass, capacity);
  }

  /** Bytes of memory for so many units. */
  static bytes(maxClass: number, capacity: number): number {
    return FreeBlocks.bytes(maxClass, capacity);
  }

  /** Memory that grows as units are added, up to the capacity. */
  static growing(maxClass: number, capacity: number): SharedArrayBuffer {
    return FreeBlocks.growing(maxClass, capacity);
  }

  get units(): number {
    return this.#free.units;
  }

  get freeUnits(): number {
    return this.#free.freeUnits;
  }

  /** Free blocks of just that class. */
  freeBlocksOf(sizeClass: number): number {
    return this.#free.countOf(sizeClass);
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#free.bytes;
  }

  /** Adds units at the end; they are not free until `release` says so. */
  extend(units: number): void {
    this.#free.extend(units);
  }

  /**
   * The first unit of a block of this class, or -1 if none is free. Of the free blocks that are large enough it takes from
   * the smallest, and of these from the lowest: large ones stay whole, and the end of the file becomes free.
   */
  allocate(sizeClass: number): number {
    const enough = this.#free.classes & (-1 << sizeClass);
    if (enough === 0) return -1;
    const from = 31 - Math.clz32(enough & -enough);
    return this.#take(this.#free.next(from, 0), from, sizeClass);
  }

  /** As `allocate`, of the blocks that lie below this unit; -1 if none of them is large enough. */
  allocateBelow(end: number, sizeClass: number): number {
    for (let enough = this.#free.classes & (-1 << sizeClass); enough !== 0; enough &= enough - 1) {
      const from = 31 - Math.clz32(enough & -enough);
      const unit = this.#free.next(from, 0);
      if (unit + 2 ** sizeClass <= end) return this.#take(unit, from, sizeClass);
    }
    return -1;
  }

  /** The lowest block of this class that there is, whatever it is taken from; -1 if none is free. */
  allocateLowest(sizeClass: number): number {
    let lowest = -1;
    let lowestFrom = 0;
    for (let enough = this.#free.classes & (-1 << sizeClass); enough !== 0; enough &= enough - 1) {
      const from = 31 - Math.clz32(enough & -enough);
      const unit = this.#free.next(from, 0);
      if (lowest >= 0 && unit > lowest) continue;
      lowest = unit;
      lowestFrom = from;
    }
    return lowest < 0 ? -1 : this.#take(lowest, lowestFrom, sizeClass);
  }

  /** Gives a block back and joins it with its free buddies. */
  free(unit: number, sizeClass: number): void {
    const free = this.#free;
    invariant(unit + (1 << sizeClass) <= free.units, 'Units are given back that are not there');
    invariant(!free.covers(unit, sizeClass), 'Units are given back that are free');
    let head = unit;
    let size = sizeClass;
    for (; size < this.maxClass && free.has(head ^ (1 << size), size); size++) {
      free.remove(head ^ (1 << size), size);
      head &= ~(1 << size);
    }
    free.add(head, size);
  }

  /** Gives back any run of units, aligned or not. */
  release(first: number, count: number): void {
    const end = first + count;
    for (let unit = first; unit < end; ) {
      let size = unit === 0 ? this.maxClass : Math.min(this.maxClass, 31 - Math.clz32(unit & -unit));
      while (unit + 2 ** size > end) size--;
      this.free(unit, size);
      unit += 2 ** size;
    }
  }

  /** The first of the units at the end that are all free. */
  get freeEnd(): number {
    let end = 0;
    let first = 0;
    this.forEachFree((unit, sizeClass) => {
      if (unit !== end) first = unit;
      end = unit + 2 ** sizeClass;
    });
    return end === this.units ? first : this.units;
  }

  /** Takes units away at the end, all of which are free. */
  cut(units: number): void {
    const first = this.units - units;
    let taken = 0;
    for (let unit = this.units; unit > first; ) {
      const sizeClass = this.#classOfFreeBlockAt(unit);
      unit -= 2 ** sizeClass;
      this.#free.remove(unit, sizeClass);
      taken += 2 ** sizeClass;
    }
    this.#free.cut(units);
    if (taken > units) this.release(first - (taken - units), taken - units);
  }

  /** The class of the free block that ends before this unit. */
  #classOfFreeBlockAt(end: number): number {
    for (let sizeClass = 0; sizeClass <= this.maxClass && end % 2 ** sizeClass === 0; sizeClass++) {
      if (this.#free.has(end - 2 ** sizeClass, sizeClass)) return sizeClass;
    }
    throw new PagewrightError('PW_INTERNAL', 'Units are taken away that are in use. Please report this.');
  }

  /** Takes a block of this class from the beginning of a free one. */
  #take(unit: number, freeClass: number, sizeClass: number): number {
    this.#free.remove(unit, freeClass);
    // Keep the low half and put the high half back: what is allocated in a row lies in a row.
    for (let from = freeClass; from > sizeClass; ) this.#free.add(unit + (1 << --from), from);
    return unit;
  }

  /** Takes every free block that lies within the aligned block of this class; the units taken, as first unit and class. */
  claimWithin(unit: number, sizeClass: number): [unit: number, sizeClass: number][] {
    const claimed: [number, number][] = [];
    this.#visit(unit, unit + 2 ** sizeClass, sizeClass, (head, size) => {
      this.#free.remove(head, size);
      claimed.push([head, size]);
    });
    return claimed;
  }

  /** Whether the unit is the first of a free block. */
  isFreeHead(unit: number): boolean {
    for (let size = 0; size <= this.maxClass && unit % 2 ** size === 0; size++) {
      if (this.#free.has(unit, size)) return true;
    }
    return false;
  }

  /** Calls back for each free block, in order. */
  forEachFree(visit: (unit: number, sizeClass: number) => void): void {
    this.#visit(0, this.units, this.maxClass, visit);
  }

  /** Calls back for each free block of these classes that begins in the run, in order. The callback may take that block. */
  #visit(first: number, end: number, largest: number, visit: (unit: number, sizeClass: number) => void): void {
    // The next block of each class; the lowest of them comes first. `end` stands for none.
    const next = Array.from({ length: largest + 1 }, (_, size) => this.#nextBelow(end, size, first));
    for (;;) {
      let lowest = 0;
      for (let size = 1; size <= largest; size++) {
        if ((next[size] as number) < (next[lowest] as number)) lowest = size;
      }
      const unit = next[lowest] as number;
      if (unit >= end) return;
      visit(unit, lowest);
      next[lowest] = this.#nextBelow(end, lowest, unit + 2 ** lowest);
    }
  }

  #nextBelow(end: number, sizeClass: number, from: number): number {
    const unit = this.#free.next(sizeClass, from);
    return unit < 0 ? end : unit;
  }
}
