/**
 * Room in a file that is written once and given up nowhere, as a backup is: extents one behind the other, each aligned to its size.
 * What alignment leaves between them is used for smaller ones that come later.
 *
 * Must hold: no unit is given out twice, and the last unit belongs to an extent.
 */
import { foldAddress, MAX_UNITS, PagewrightError } from '@pagewright/core/contracts';

export class BackupSpace {
  /** First units of the gaps, by size class; each is aligned to its size. */
  readonly #gaps: number[][] = [];
  #end: number;

  /** The units at the beginning are not given out. */
  constructor(reservedUnits: number) {
    this.#end = reservedUnits;
  }

  /** Units up to the end of the last extent. */
  get units(): number {
    return this.#end;
  }

  /** The folded address of a new extent. Errors: `PW_FULL`. */
  allocate(sizeClass: number): number {
    const gap = this.#gaps.findIndex((units, gapClass) => gapClass >= sizeClass && units.length > 0);
    const unit = gap < 0 ? this.#append(sizeClass) : this.#split(gap, sizeClass);
    return foldAddress(unit, sizeClass);
  }

  /** Calls back for each gap that is left. */
  forEachGap(visit: (unit: number, count: number) => void): void {
    this.#gaps.forEach((units, sizeClass) => {
      for (const unit of units) visit(unit, 2 ** sizeClass);
    });
  }

  #append(sizeClass: number): number {
    const size = 2 ** sizeClass;
    const unit = Math.ceil(this.#end / size) * size;
    if (unit + size > MAX_UNITS) {
      throw new PagewrightError('PW_FULL', 'The copy would be larger than a store can be.', {
        details: { units: unit + size, maxUnits: MAX_UNITS },
      });
    }
    while (this.#end < unit) {
      const gapClass = 31 - Math.clz32(this.#end & -this.#end);
      this.#keep(this.#end, gapClass);
      this.#end += 2 ** gapClass;
    }
    this.#end = unit + size;
    return unit;
  }

  /** Takes the beginning of a gap. */
  #split(gapClass: number, sizeClass: number): number {
    const unit = this.#gaps[gapClass]?.pop() as number;
    for (let half = gapClass - 1; half >= sizeClass; half--) this.#keep(unit + 2 ** half, half);
    return unit;
  }

  #keep(unit: number, gapClass: number): void {
    while (this.#gaps.length <= gapClass) this.#gaps.push([]);
    this.#gaps[gapClass]?.push(unit);
  }
}
