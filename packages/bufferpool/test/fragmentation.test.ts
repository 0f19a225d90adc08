/**
 * A day's worth of random sizes, at a steady live volume. Requests are of random classes, up to 2^10 units. Most are of class
 * 0, and each further class is rarer by a factor that changes over the day, between a quarter and two fifths: with a third,
 * two of three requests and a third of the units are of class 0. Four of five extents live short, about a tenth as long
 * as the others, which are most of what lives at any time.
 *
 * What is measured, and where it must stay:
 * - *In memory*, where what there is is all there is, with 80 % of it in use: the share of the free units that a request
 *   cannot use, because they are in blocks smaller than it asks for. The mean over requests, each weighed with the units
 *   that it asks for, and over the day: under 25 %. And of 5,000 requests fewer than one finds no block, for which a pool
 *   has to clear a region.
 * - *In the file*, which grows when no block is large enough: the share of its units in which nothing lives, and nothing is
 *   retained. Under 25 % at all times.
 */
import { foldAddress, type IoFile, sizeClassOf, unitOf } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BuddyAllocator } from '../src/buddy.js';
import { FileSpace } from '../src/file-space.js';

const LARGEST_CLASS = 10;
/** How much rarer than a class the next one is, by the hour. */
const RARER = [0.25, 0.35, 0.4, 0.3];
const HOUR = 50_000;
const DAY = 20 * HOUR;
const SHORT_LIVED = 0.8;
const SHORT_SHARE = 0.3;
const MOST = 0.25;

function rarerAt(request: number): number {
  return RARER[Math.floor(request / HOUR) % RARER.length] as number;
}

function randomClass(random: Random, request: number): number {
  const rarer = rarerAt(request);
  let sizeClass = 0;
  while (sizeClass < LARGEST_CLASS && random.chance(rarer)) sizeClass++;
  return sizeClass;
}

/** Who holds what. The volume never exceeds what was set. */
class Population {
  readonly #short: number[] = [];
  readonly #long: number[] = [];
  units = 0;

  constructor(
    private readonly random: Random,
    private readonly volume: number,
    private readonly give: (address: number) => void,
  ) {}

  makeRoom(units: number): void {
    while (this.units + units > this.volume) {
      const all = this.#short.length + this.#long.length;
      const from = this.#short.length > SHORT_SHARE * all ? this.#short : this.#long;
      const at = this.random.below(from.length);
      const address = from[at] as number;
      from[at] = from[from.length - 1] as number;
      from.pop();
      this.units -= 2 ** sizeClassOf(address);
      this.give(address);
    }
  }

  add(address: number): void {
    (this.random.chance(SHORT_LIVED) ? this.#short : this.#long).push(address);
    this.units += 2 ** sizeClassOf(address);
  }
}

/** The share of the free units that cannot be used, as said above. */
function unusableShare(blocks: BuddyAllocator, rarer: number): number {
  const inClass = new Array<number>(LARGEST_CLASS + 1).fill(0);
  blocks.forEachFree((_unit, sizeClass) => {
    inClass[sizeClass] = (inClass[sizeClass] as number) + 2 ** sizeClass;
  });
  let smaller = 0;
  let sum = 0;
  let weights = 0;
  for (let sizeClass = 0; sizeClass <= LARGEST_CLASS; sizeClass++) {
    const weight = (2 * rarer) ** sizeClass;
    sum += (weight * smaller) / blocks.freeUnits;
    weights += weight;
    smaller += inClass[sizeClass] as number;
  }
  return sum / weights;
}

it.each([1, 2])('memory does not fragment over a day of random sizes (seed %i)', (seed) => {
  const frames = 2 ** 14;
  const blocks = new BuddyAllocator(
    new SharedArrayBuffer(BuddyAllocator.bytes(LARGEST_CLASS, frames)),
    LARGEST_CLASS,
    frames,
  );
  blocks.extend(frames);
  blocks.release(0, frames);
  const random = new Random(seed);
  const population = new Population(random, frames * 0.8, (address) =>
    blocks.free(unitOf(address), sizeClassOf(address)),
  );
  const samples: number[] = [];
  let refused = 0;
  for (let request = 0; request < DAY; request++) {
    const sizeClass = randomClass(random, request);
    population.makeRoom(2 ** sizeClass);
    const unit = blocks.allocate(sizeClass);
    if (unit >= 0) population.add(foldAddress(unit, sizeClass));
    else {
      refused++;
      let largest = -1;
      blocks.forEachFree((_unit, size) => {
        largest = Math.max(largest, size);
      });
      expect(largest, `seed ${seed}, request ${request}: refused although a block is free`).toBeLessThan(sizeClass);
    }
    if (request % 10_000 === 9_999) samples.push(unusableShare(blocks, rarerAt(request)));
  }
  const mean = samples.reduce((sum, share) => sum + share, 0) / samples.length;
  expect(mean, `seed ${seed}: the share of free memory that requests cannot use`).toBeLessThan(MOST);
  expect(refused / DAY, `seed ${seed}: requests that found no block`).toBeLessThan(1 / 5000);
  expect(blocks.freeUnits + population.units).toBe(frames);
});

it.each([1, 2])('the file does not grow beyond what lives in it, over a day of random sizes (seed %i)', (seed) => {
  let size = 0;
  const file = { path: '/day.pw', size: () => size, allocateSync: (at: number, bytes: number) => (size = at + bytes) };
  const space = new FileSpace(file as unknown as IoFile, FileSpace.memory(), 2 ** 14, 1, false);
  space.load(null, 1);
  const random = new Random(seed);
  const volume = 100_000;
  let epoch = 3;
  const population = new Population(random, volume, (address) => space.giveUp(address, 'open', epoch));
  for (let request = 0; request < DAY; request++) {
    const sizeClass = randomClass(random, request);
    population.makeRoom(2 ** sizeClass);
    population.add(space.allocate(sizeClass, 'open'));
    // A checkpoint after so many requests that it writes one page in sixteen.
    if (request % 3_000 !== 2_999) continue;
    space.closeEpoch();
    space.settleClosed();
    space.release(epoch - 1);
    epoch++;
    if (population.units < volume * 0.9) continue;
    const share = 1 - (population.units + space.retainedUnits) / space.units;
    expect(share, `seed ${seed}, request ${request}: the share of the file that is free`).toBeLessThan(MOST);
  }
});
