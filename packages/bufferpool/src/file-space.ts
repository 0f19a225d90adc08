/**
 * Which extents of the page file are in use, and since when (C4). An extent's *birth* is the epoch whose content it
 * holds. Given up, it is free at once if it was born in the epoch that gives it up, because then no superblock names it
 * or ever will; else it is retained until both superblocks are of epochs that no longer name it.
 *
 * Must hold: an extent that a superblock names, or that the running checkpoint will name, is never allocated.
 */
import type { IoFile } from '@pagewright/core/contracts';
import { foldAddress, MAX_UNITS, PagewrightError, sizeClassOf, unitOf } from '@pagewright/core/contracts';
import { type AllocationMap, emptyBits, type GivenUp, hasBit, mapBytes, setBits } from './allocation-map.js';
import { Births, type Epoch } from './births.js';
import { BuddyAllocator } from './buddy.js';
import { EpochList, type EpochListMemory } from './epoch-list.js';

/** The file grows by a quarter of its size, within these bounds. */
const SMALLEST_GROWTH = 64 * 1024;
const LARGEST_GROWTH = 4 * 1024 * 1024;

/** Large enough for the map of the largest file in the smallest pages. */
const LARGEST_EXTENT_CLASS = 20;
/** Holders of trees at one time. */
const MOST_HOLDERS = 65_535;

// Scalars, each a float of 64 bits.
const RETAINED_UNITS = 0;
/** The lower of the epochs in the two slots. */
const OLDEST_EPOCH = 1;
/** The number of the last holder. */
const LAST_HOLDER = 2;
/** While the file is made smaller: extents are to lie below this unit. 0: anywhere. */
const CEILING = 3;
/** Readers in other processes that were there when it was last looked. */
const READERS = 4;
const SCALARS = 8;

/** The memory of a file's space. It goes to other threads as it is. */
export interface FileSpaceMemory {
  readonly scalars: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  readonly births: SharedArrayBuffer;
  /** Folded addresses of extents that are retained, with the first epoch that does not name them. */
  readonly retained: EpochListMemory;
  /** Holders, with the epoch whose tree they read. */
  readonly held: EpochListMemory;
}

export class FileSpace {
  readonly #buddy: BuddyAllocator;
  readonly #births: Births;
  readonly #retained: EpochList;
  readonly #held: EpochList;
  readonly #scalars: Float64Array;

  /** Memory that it takes, but for what a few extents on their way take. */
  get bytes(): number {
    return this.#buddy.bytes + this.#births.bytes + this.#retained.bytes + this.#held.bytes;
  }

  constructor(
    /** This thread's own. */
    private readonly file: IoFile,
    memory: FileSpaceMemory,
    private readonly pageSize: number,
    /** Units at the beginning of the file that hold the superblocks. */
    private readonly reservedUnits: number,
    private readonly readOnly: boolean,
  ) {
    this.#buddy = new BuddyAllocator(memory.blocks, LARGEST_EXTENT_CLASS, MAX_UNITS);
    this.#births = new Births(memory.births);
    this.#retained = new EpochList(memory.retained);
    this.#held = new EpochList(memory.held);
    this.#scalars = new Float64Array(memory.scalars);
  }

  /** Memory for the space of one file. It grows as the file does; what is not used is address space alone. */
  static memory(): FileSpaceMemory {
    return {
      scalars: new SharedArrayBuffer(SCALARS * 8),
      blocks: BuddyAllocator.growing(LARGEST_EXTENT_CLASS, MAX_UNITS),
      births: Births.memory(MAX_UNITS),
      retained: EpochList.memory(MAX_UNITS),
      held: EpochList.memory(MOST_HOLDERS),
    };
  }

  get units(): number {
    return this.#buddy.units;
  }

  get freeUnits(): number {
    return this.#buddy.freeUnits;
  }

  get retainedUnits(): number {
    return this.#scalars[RETAINED_UNITS] as number;
  }

  /**
   * Takes over what the superblock's map says; `oldestEpoch` is the lower of the epochs in the two slots. The thread that
   * opens the file calls it, once for its memory.
   */
  load(map: AllocationMap | null, oldestEpoch: number): void {
    const fileUnits = Math.min(Math.floor(this.file.size() / this.pageSize), MAX_UNITS);
    const mapped = map === null ? this.reservedUnits : map.units;
    this.#buddy.extend(Math.max(fileUnits, mapped));
    if (map !== null) {
      for (let unit = this.reservedUnits, run = unit; unit <= mapped; unit++) {
        if (unit < mapped && !hasBit(map.bits, unit)) continue;
        if (unit > run) this.#buddy.release(run, unit - run);
        run = unit + 1;
      }
      for (const { address, epoch } of map.givenUp) this.#retain(address, epoch);
    }
    if (fileUnits > mapped) this.#buddy.release(mapped, fileUnits - mapped);
    this.release(oldestEpoch);
  }

  /**
   * An extent for content of the open epoch, or of the closed one. Grows the file if nothing is free. Errors: `PW_FULL`.
   */
  allocate(sizeClass: number, epoch: Epoch): number {
    const { ceiling } = this;
    let unit = ceiling === 0 ? this.#buddy.allocate(sizeClass) : this.#allocateLow(ceiling, sizeClass);
    if (unit < 0) {
      const { units } = this.#buddy;
      const size = 2 ** sizeClass;
      this.#grow(Math.ceil(units / size) * size + size - units);
      unit = this.#buddy.allocate(sizeClass);
    }
    this.#births.add(unit, 2 ** sizeClass, epoch);
    return foldAddress(unit, sizeClass);
  }

  /** An extent below the ceiling, for content of the open epoch; 0 if there is no room for one. */
  allocateBelowCeiling(sizeClass: number): number {
    const unit = this.#buddy.allocateBelow(this.ceiling, sizeClass);
    if (unit < 0) return 0;
    this.#births.add(unit, 2 ** sizeClass, 'open');
    return foldAddress(unit, sizeClass);
  }

  /** The unit below which all threads allocate, as long as there is room; 0: they allocate anywhere. */
  get ceiling(): number {
    return this.#scalars[CEILING] as number;
  }

  set ceiling(unit: number) {
    this.#scalars[CEILING] = unit;
  }

  /** How many readers in other processes were there when it was last looked: the thread that looks says so. */
  get readers(): number {
    return this.#scalars[READERS] as number;
  }

  set readers(count: number) {
    this.#scalars[READERS] = count;
  }

  /** The first of the units at the end of the file that are all free. */
  get end(): number {
    return this.#buddy.freeEnd;
  }

  /**
   * Lets go of free units at the end, as long as so many free ones are left in all. Nothing is allocated in them any more; the file has them
   * until `truncate`.
   */
  shrink(keepFree: number): void {
    const units = Math.min(this.units - this.end, this.freeUnits - keepFree);
    if (units > 0) this.#buddy.cut(units);
  }

  /** Cuts the file off where its units end. No superblock names a map of more units, nor does one that is on its way. */
  truncate(): void {
    if (this.file.size() > this.units * this.pageSize) this.file.truncateSync(this.units * this.pageSize);
  }

  /** Takes back an extent that was allocated for a write that did not happen. */
  withdraw(address: number): void {
    if (!this.#unbear(address, 'open')) this.#unbear(address, 'closed');
    this.#free(address);
  }

  /** The content of this epoch names the extent no longer. `epochNumber` is that epoch's number. */
  giveUp(address: number, epoch: Epoch, epochNumber: number): void {
    if (this.#unbear(address, epoch)) this.#free(address);
    else this.#retain(address, epochNumber);
  }

  /** At the gate: what was born in the open epoch is now of the closed one. */
  closeEpoch(): void {
    this.#births.close();
  }

  /** The checkpoint of the closed epoch counts: from now on what it names is of an earlier epoch. */
  settleClosed(): void {
    this.#births.settle();
  }

  /** Frees what was given up in this epoch or before: no superblock names it. What a tree that is held names stays. */
  release(oldestEpoch: number): void {
    this.#scalars[OLDEST_EPOCH] = oldestEpoch;
    let limit = oldestEpoch;
    this.#held.forEach((_holder, epoch) => {
      limit = Math.min(limit, epoch);
    });
    this.#retained.filter((address, epoch) => {
      if (epoch > limit) return true;
      this.#scalars[RETAINED_UNITS] = this.retainedUnits - 2 ** sizeClassOf(address);
      this.#free(address);
      return false;
    });
  }

  /** Keeps all that the tree of this epoch names, until the function that is returned is called. A superblock names it now. */
  hold(epoch: number): () => void {
    const own = ((this.#scalars[LAST_HOLDER] as number) + 1) >>> 0;
    this.#held.push(own, epoch);
    this.#scalars[LAST_HOLDER] = own;
    return () => {
      this.#held.filter((holder) => holder !== own);
      this.release(this.#scalars[OLDEST_EPOCH] as number);
    };
  }

  /** Calls back for each run of units that is free, in order. */
  forEachFree(visit: (unit: number, sizeClass: number) => void): void {
    this.#buddy.forEachFree(visit);
  }

  /** Grows the file until so many units are free. `PW_FULL`: it grew as far as it could, and no data is lost. */
  secure(units: number): void {
    const missing = units - this.#buddy.freeUnits;
    if (missing > 0) this.#grow(missing);
  }

  /** Bytes that the map of the closed epoch may need, with room for the extent that will hold it. */
  closedMapBytes(): number {
    return mapBytes(this.#buddy.units + LARGEST_GROWTH / this.pageSize, this.#retained.length + 1);
  }

  /** The map of the closed epoch: all that is in use, but for what the open epoch alone names. */
  closedMap(closedEpoch: number): AllocationMap {
    const units = this.#buddy.units;
    const bits = emptyBits(units);
    setBits(bits, 0, units, true);
    this.#buddy.forEachFree((unit, sizeClass) => setBits(bits, unit, 2 ** sizeClass, false));
    this.#births.clearOpen(bits);
    const givenUp: GivenUp[] = [];
    // What the open epoch gave up is still reached by the closed one: in use, and nothing more.
    this.#retained.forEach((address, epoch) => {
      if (epoch <= closedEpoch) givenUp.push({ address, epoch });
    });
    return { units, bits, givenUp };
  }

  /** Whether the extent was born in the epoch; then it is so no longer. */
  #unbear(address: number, epoch: Epoch): boolean {
    return this.#births.remove(unitOf(address), 2 ** sizeClassOf(address), epoch);
  }

  #retain(address: number, epoch: number): void {
    this.#retained.push(address, epoch);
    this.#scalars[RETAINED_UNITS] = this.retainedUnits + 2 ** sizeClassOf(address);
  }

  #allocateLow(ceiling: number, sizeClass: number): number {
    const unit = this.#buddy.allocateBelow(ceiling, sizeClass);
    return unit < 0 ? this.#buddy.allocateLowest(sizeClass) : unit;
  }

  #free(address: number): void {
    this.#buddy.free(unitOf(address), sizeClassOf(address));
  }

  #grow(atLeast: number): void {
    if (this.readOnly) {
      throw new PagewrightError('PW_READ_ONLY', `${this.file.path} was opened read-only and cannot grow.`, {
        details: { path: this.file.path },
      });
    }
    const first = this.#buddy.units;
    const wanted = Math.min(Math.max((first * this.pageSize) / 4, SMALLEST_GROWTH), LARGEST_GROWTH) / this.pageSize;
    const units = Math.max(Math.min(Math.ceil(wanted), MAX_UNITS - first), atLeast);
    if (first + units > MAX_UNITS) {
      throw new PagewrightError(
        'PW_FULL',
        `${this.file.path} has reached the largest size of a store with pages of ${this.pageSize} bytes. Larger pages allow a larger store.`,
        { details: { path: this.file.path, units: first, maxUnits: MAX_UNITS } },
      );
    }
    // Real blocks, so that writing a page later cannot meet a full disk.
    this.file.allocateSync(first * this.pageSize, units * this.pageSize, { writeZeros: false });
    this.#buddy.extend(units);
    this.#buddy.release(first, units);
  }
}
