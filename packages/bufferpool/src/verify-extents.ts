/** A set of units of the page file, one bit for each: what a verification has met so far, however large the store. */
import { sizeClassOf, unitOf } from '@pagewright/core/contracts';
import { emptyBits, hasBit, setBits } from './allocation-map.js';

export class UnitSet {
  readonly #bits: Uint8Array;

  constructor(readonly units: number) {
    this.#bits = emptyBits(units);
  }

  has(unit: number): boolean {
    return unit < this.units && hasBit(this.#bits, unit);
  }

  add(first: number, count: number): void {
    setBits(this.#bits, first, Math.min(count, this.units - first), true);
  }

  /** Whether all units of an extent are in it. */
  hasExtent(address: number): boolean {
    return this.#count(address) === 2 ** sizeClassOf(address);
  }

  /** Adds an extent; false if a unit of it was in it before. */
  claim(address: number): boolean {
    const isNew = this.#count(address) === 0;
    this.add(unitOf(address), 2 ** sizeClassOf(address));
    return isNew;
  }

  #count(address: number): number {
    const first = unitOf(address);
    let count = 0;
    for (let unit = first; unit < first + 2 ** sizeClassOf(address); unit++) if (this.has(unit)) count++;
    return count;
  }
}
