/**
 * Which extents of the page file are in use, and since when (C4). An extent's *birth* is the epoch whose content it
 * holds. Given up, it is free at once if it was born in the epoch that gives it up, because then no superblock names it
 * or ever will; else it is retained until both superblocks are of epochs that no longer name it.
 *
 * Must hold: an extent that a superblock names, or that the running checkpoint will name, is never allocated.
 */
import type { IoFile } from '@pagewright/core';
import { foldAddress, MAX_UNITS, PagewrightError, sizeClassOf, unitOf } from '@pagewright/core';
import { type AllocationMap, emptyBits, type GivenUp, hasBit, mapBytes, setBits } from './allocation-map.js';
import { BuddyAllocator } from './buddy.js';

/** The file grows by a quarter of its size, within these bounds. */
const SMALLEST_GROWTH = 64 * 1024;
const LARGEST_GROWTH = 4 * 1024 * 1024;

/** Large enough for the map of the largest file in the smallest pages. */
const LARGEST_EXTENT_CLASS = 20;

export class FileSpace {
  readonly #buddy = new BuddyAllocator(LARGEST_EXTENT_CLASS, 1024);
  /** Born in the open epoch. */
  #bornOpen = new Set<number>();
  /** Born in the closed epoch; empty when no checkpoint runs. */
  #bornClosed = new Set<number>();
  #retained: GivenUp[] = [];
  #retainedUnits = 0;
  /** The lower of the epochs in the two slots. */
  #oldestEpoch = 0;
  /** Epochs whose trees someone is reading; one entry for each reader. */
  readonly #held: number[] = [];

  /** Memory that it takes, but for what a few extents on their way take. */
  get bytes(): number {
    return this.#buddy.bytes;
  }

  constructor(
    private readonly file: IoFile,
    private readonly pageSize: number,
    /** Units at the beginning of the file that hold the superblocks. */
    private readonly reservedUnits: number,
    private readonly readOnly: boolean,
  ) {}

  get units(): number {
    return this.#buddy.units;
  }

  get freeUnits(): number {
    return this.#buddy.freeUnits;
  }

  get retainedUnits(): number {
    return this.#retainedUnits;
  }

  /** Takes over what the superblock's map says; `oldestEpoch` is the lower of the epochs in the two slots. */
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
      for (const givenUp of map.givenUp) {
        this.#retained.push(givenUp);
        this.#retainedUnits += 2 ** sizeClassOf(givenUp.address);
      }
    }
    if (fileUnits > mapped) this.#buddy.release(mapped, fileUnits - mapped);
    this.release(oldestEpoch);
  }

  /**
   * An extent for content of the open epoch, or of the closed one. Grows the file if nothing is free.
   * Errors: `PW_FULL`.
   */
  allocate(sizeClass: number, epoch: 'open' | 'closed'): number {
    let unit = this.#buddy.allocate(sizeClass);
    if (unit < 0) {
      this.#grow(2 ** sizeClass * 2);
      unit = this.#buddy.allocate(sizeClass);
    }
    const address = foldAddress(unit, sizeClass);
    (epoch === 'open' ? this.#bornOpen : this.#bornClosed).add(address);
    return address;
  }

  /** Takes back an extent that was allocated for a write that did not happen. */
  withdraw(address: number): void {
    this.#bornOpen.delete(address);
    this.#bornClosed.delete(address);
    this.#free(address);
  }

  /** The content of this epoch names the extent no longer. `epochNumber` is that epoch's number. */
  giveUp(address: number, epoch: 'open' | 'closed', epochNumber: number): void {
    const born = epoch === 'open' ? this.#bornOpen : this.#bornClosed;
    if (born.delete(address)) this.#free(address);
    else {
      this.#retained.push({ address, epoch: epochNumber });
      this.#retainedUnits += 2 ** sizeClassOf(address);
    }
  }

  /** At the gate: what was born in the open epoch is now of the closed one. */
  closeEpoch(): void {
    this.#bornClosed = this.#bornOpen;
    this.#bornOpen = new Set();
  }

  /** The checkpoint of the closed epoch counts: from now on what it names is of an earlier epoch. */
  settleClosed(): void {
    this.#bornClosed = new Set();
  }

  /** Frees what was given up in this epoch or before: no superblock names it. What a tree that is held names stays. */
  release(oldestEpoch: number): void {
    this.#oldestEpoch = oldestEpoch;
    const limit = Math.min(oldestEpoch, ...this.#held);
    const kept: GivenUp[] = [];
    for (const givenUp of this.#retained) {
      if (givenUp.epoch > limit) kept.push(givenUp);
      else {
        this.#retainedUnits -= 2 ** sizeClassOf(givenUp.address);
        this.#free(givenUp.address);
      }
    }
    this.#retained = kept;
  }

  /** Keeps all that the tree of this epoch names, until the function that is returned is called. A superblock names it now. */
  hold(epoch: number): () => void {
    this.#held.push(epoch);
    return () => {
      this.#held.splice(this.#held.indexOf(epoch), 1);
      this.release(this.#oldestEpoch);
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
    for (const address of this.#bornOpen) setBits(bits, unitOf(address), 2 ** sizeClassOf(address), false);
    // What the open epoch gave up is still reached by the closed one: in use, and nothing more.
    return { units, bits, givenUp: this.#retained.filter((givenUp) => givenUp.epoch <= closedEpoch) };
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
    const units = Math.ceil(Math.max(wanted, atLeast));
    if (first + units > MAX_UNITS) {
      throw new PagewrightError(
        'PW_FULL',
        `${this.file.path} has reached the largest size of a store with pages of ${this.pageSize} bytes. Larger pages allow a larger store.`,
        { details: { path: this.file.path, units: first, maxUnits: MAX_UNITS } },
      );
    }
    // Real blocks, so that writing a page later cannot meet a full disk.
    this.file.allocateSync(first * this.pageSize, units * this.pageSize);
    this.#buddy.extend(units);
    this.#buddy.release(first, units);
  }
}
