/**
 * A buddy allocator over numbered units: blocks of 2^c units, aligned to their size, split and joined again. It serves
 * the arena (units are frames) and the page file (units are pages of class 0). It keeps which blocks are free; who
 * holds the others is not its concern.
 *
 * Must hold: a unit is in at most one free block, and two free buddies never stand side by side.
 */
const NOT_FREE = -1;
const BYTES_OF_NUMBER = 8;

export class BuddyAllocator {
  /** For the first unit of each free block its class, else `NOT_FREE`. */
  #freeClass: Int8Array;
  /** Stacks of first units by class. An entry counts only if `#freeClass` agrees: blocks that were joined or claimed leave theirs behind. */
  readonly #stacks: number[][];
  #units = 0;
  #freeUnits = 0;

  constructor(
    readonly maxClass: number,
    capacity: number,
  ) {
    this.#freeClass = new Int8Array(Math.max(capacity, 64)).fill(NOT_FREE);
    this.#stacks = Array.from({ length: maxClass + 1 }, () => []);
  }

  get units(): number {
    return this.#units;
  }

  get freeUnits(): number {
    return this.#freeUnits;
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.#freeClass.length + this.#stacks.reduce((sum, stack) => sum + stack.length * BYTES_OF_NUMBER, 0);
  }

  /** Adds units at the end; they are not free until `release` says so. */
  extend(units: number): void {
    const total = this.#units + units;
    if (total > this.#freeClass.length) {
      const larger = new Int8Array(Math.max(total, this.#freeClass.length * 2)).fill(NOT_FREE);
      larger.set(this.#freeClass);
      this.#freeClass = larger;
    }
    this.#units = total;
  }

  /** The first unit of a block of this class, or -1 if there is none. */
  allocate(sizeClass: number): number {
    let from = sizeClass;
    let unit = this.#pop(from);
    while (unit < 0 && from < this.maxClass) unit = this.#pop(++from);
    if (unit < 0) return -1;
    // Keep the low half and put the high half back: what is allocated in a row lies in a row.
    while (from > sizeClass) this.#push(unit + 2 ** --from, from);
    this.#freeUnits -= 2 ** sizeClass;
    return unit;
  }

  /** Gives a block back and joins it with its free buddies. */
  free(unit: number, sizeClass: number): void {
    this.#freeUnits += 2 ** sizeClass;
    let head = unit;
    let size = sizeClass;
    for (; size < this.maxClass; size++) {
      const buddy = head ^ (1 << size);
      if (buddy + 2 ** size > this.#units || this.#freeClass[buddy] !== size) break;
      this.#freeClass[buddy] = NOT_FREE;
      head = Math.min(head, buddy);
    }
    this.#push(head, size);
  }

  /** Gives back any run of units, aligned or not. The lowest will be allocated first. */
  release(first: number, count: number): void {
    const blocks: [unit: number, sizeClass: number][] = [];
    const end = first + count;
    for (let unit = first; unit < end; ) {
      let size = unit === 0 ? this.maxClass : Math.min(this.maxClass, 31 - Math.clz32(unit & -unit));
      while (unit + 2 ** size > end) size--;
      blocks.push([unit, size]);
      unit += 2 ** size;
    }
    for (const [unit, size] of blocks.reverse()) this.free(unit, size);
  }

  /** Takes every free block that lies within the aligned block of this class; the units taken, as first unit and class. */
  claimWithin(unit: number, sizeClass: number): [unit: number, sizeClass: number][] {
    const claimed: [number, number][] = [];
    const end = unit + 2 ** sizeClass;
    for (let at = unit; at < end; ) {
      const size = this.#freeClass[at] as number;
      if (size === NOT_FREE) {
        at++;
        continue;
      }
      this.#freeClass[at] = NOT_FREE;
      this.#freeUnits -= 2 ** size;
      claimed.push([at, size]);
      at += 2 ** size;
    }
    return claimed;
  }

  /** Whether the unit is the first of a free block. */
  isFreeHead(unit: number): boolean {
    return this.#freeClass[unit] !== NOT_FREE;
  }

  /** Calls back for each free block, in order. */
  forEachFree(visit: (unit: number, sizeClass: number) => void): void {
    for (let unit = 0; unit < this.#units; ) {
      const size = this.#freeClass[unit] as number;
      if (size === NOT_FREE) unit++;
      else {
        visit(unit, size);
        unit += 2 ** size;
      }
    }
  }

  #push(unit: number, sizeClass: number): void {
    this.#freeClass[unit] = sizeClass;
    (this.#stacks[sizeClass] as number[]).push(unit);
  }

  #pop(sizeClass: number): number {
    const stack = this.#stacks[sizeClass] as number[];
    for (let unit = stack.pop(); unit !== undefined; unit = stack.pop()) {
      if (this.#freeClass[unit] !== sizeClass) continue;
      this.#freeClass[unit] = NOT_FREE;
      return unit;
    }
    return -1;
  }
}
