import { Random } from '@pagewright/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuddyAllocator } from '../src/buddy.js';

type Block = [unit: number, sizeClass: number];

/** What the allocator should do, in the plainest way: the free blocks as a map from first unit to class. */
class NaiveBuddies {
  readonly blocks = new Map<number, number>();
  units = 0;

  constructor(readonly maxClass: number) {}

  allocate(sizeClass: number): number {
    const fits = [...this.blocks].filter(([, size]) => size >= sizeClass);
    fits.sort(([unit, size], [otherUnit, otherSize]) => size - otherSize || unit - otherUnit);
    const [unit, size] = fits[0] ?? [-1, -1];
    if (unit < 0) return -1;
    this.blocks.delete(unit);
    for (let half = size - 1; half >= sizeClass; half--) this.blocks.set(unit + 2 ** half, half);
    return unit;
  }

  free(unit: number, sizeClass: number): void {
    const buddy = Math.floor(unit / 2 ** sizeClass) % 2 === 0 ? unit + 2 ** sizeClass : unit - 2 ** sizeClass;
    if (sizeClass < this.maxClass && this.blocks.get(buddy) === sizeClass) {
      this.blocks.delete(buddy);
      this.free(Math.min(unit, buddy), sizeClass + 1);
    } else this.blocks.set(unit, sizeClass);
  }

  claimWithin(unit: number, sizeClass: number): Block[] {
    const claimed = this.sorted().filter(([at, size]) => at >= unit && at + 2 ** size <= unit + 2 ** sizeClass);
    for (const [at] of claimed) this.blocks.delete(at);
    return claimed;
  }

  sorted(): Block[] {
    return [...this.blocks].sort(([unit], [other]) => unit - other);
  }
}

function blocksOf(buddy: BuddyAllocator): Block[] {
  const blocks: Block[] = [];
  buddy.forEachFree((unit, sizeClass) => {
    blocks.push([unit, sizeClass]);
  });
  return blocks;
}

/** A unit is in at most one free block, and two free buddies never stand side by side. */
function expectSound(buddy: BuddyAllocator): void {
  const blocks = blocksOf(buddy);
  const heads = new Map(blocks);
  let end = 0;
  for (const [unit, sizeClass] of blocks) {
    expect(unit % 2 ** sizeClass).toBe(0);
    expect(unit, `unit ${unit} is in two free blocks`).toBeGreaterThanOrEqual(end);
    end = unit + 2 ** sizeClass;
    if (sizeClass === buddy.maxClass) continue;
    expect(heads.get(unit ^ (2 ** sizeClass)), `the buddies at ${unit} are not joined`).not.toBe(sizeClass);
  }
  expect(end).toBeLessThanOrEqual(buddy.units);
  expect(buddy.freeUnits).toBe(blocks.reduce((sum, [, size]) => sum + 2 ** size, 0));
}

/** As two threads have them: over the same memory, which may have grown in the other's hands. */
function pairOver(memory: SharedArrayBuffer, maxClass: number, capacity: number): [BuddyAllocator, BuddyAllocator] {
  return [
    new BuddyAllocator(memory, maxClass, capacity),
    new BuddyAllocator(structuredClone(memory), maxClass, capacity),
  ];
}

interface Shape {
  readonly maxClass: number;
  readonly capacity: number;
  readonly grows: boolean;
  /** Units that are added at a time. */
  readonly step: number;
}

const CHUNK = 2 ** 20;
const SHAPES: Record<string, Shape> = {
  'an arena': { maxClass: 5, capacity: 300, grows: false, step: 300 },
  'an arena in many steps': { maxClass: 3, capacity: 4000, grows: false, step: 97 },
  'a file': { maxClass: 20, capacity: 2 ** 29 - 1, grows: true, step: 700_001 },
  'a file of small steps': { maxClass: 20, capacity: 2 ** 29 - 1, grows: true, step: 53 },
  'a file of many chunks': { maxClass: 20, capacity: 2 ** 29 - 1, grows: true, step: 11 * CHUNK + 3 },
};

/** Both allocators by turns and the model do the same; what they answer must be the same too. */
function agree({ maxClass, capacity, grows, step }: Shape, seed: number, steps: number): void {
  const random = new Random(seed);
  const bytes = BuddyAllocator.bytes(maxClass, capacity);
  const memory = grows ? BuddyAllocator.growing(maxClass, capacity) : new SharedArrayBuffer(bytes);
  const pair = pairOver(memory, maxClass, capacity);
  const model = new NaiveBuddies(maxClass);
  const held: Block[] = [];
  const randomClass = (): number => {
    let sizeClass = random.chance(0.1) ? random.between(0, maxClass) : 0;
    while (sizeClass < maxClass && random.chance(0.4)) sizeClass++;
    return sizeClass;
  };
  for (let left = steps; left > 0; left--) {
    const buddy = random.pick(pair);
    const what = random.fraction();
    if (what < 0.04 && buddy.units + step <= capacity) {
      buddy.extend(step);
      model.units += step;
      // What is added need not be free at once, nor all of it.
      const first = model.units - step + random.below(3);
      const count = model.units - first;
      buddy.release(first, count);
      for (let unit = first; unit < first + count; ) {
        let size = maxClass;
        while (unit % 2 ** size !== 0 || unit + 2 ** size > first + count) size--;
        model.free(unit, size);
        unit += 2 ** size;
      }
    } else if (what < 0.5) {
      const sizeClass = randomClass();
      const unit = buddy.allocate(sizeClass);
      expect(unit, `a block of class ${sizeClass}`).toBe(model.allocate(sizeClass));
      if (unit >= 0) held.push([unit, sizeClass]);
    } else if (what < 0.9) {
      if (held.length === 0) continue;
      const [unit, sizeClass] = held.splice(random.below(held.length), 1)[0] as Block;
      buddy.free(unit, sizeClass);
      model.free(unit, sizeClass);
    } else if (what < 0.95 && buddy.units > 0) {
      const sizeClass = randomClass();
      const unit = Math.floor(random.below(buddy.units) / 2 ** sizeClass) * 2 ** sizeClass;
      const claimed = buddy.claimWithin(unit, sizeClass);
      expect(claimed).toEqual(model.claimWithin(unit, sizeClass));
      held.push(...claimed);
    } else {
      const unit = random.below(buddy.units + 1);
      expect(buddy.isFreeHead(unit)).toBe(model.blocks.has(unit));
    }
    expect(buddy.freeUnits).toBe(model.sorted().reduce((sum, [, size]) => sum + 2 ** size, 0));
    if (left % 10 === 0) expect(blocksOf(buddy)).toEqual(model.sorted());
  }
  for (const buddy of pair) expectSound(buddy);
  for (const [unit, sizeClass] of held) random.pick(pair).free(unit, sizeClass);
  for (const buddy of pair) expectSound(buddy);
}

describe.each(Object.entries(SHAPES))('buddies of %s', (_name, shape) => {
  it('do what a naive model does, with two threads by turns, while the units become more', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => agree(shape, seed, 200)),
      { numRuns: 40 },
    );
  });
});

describe('buddies', () => {
  it('are all joined again when everything is free', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer(), (units, seed) => {
        const random = new Random(seed);
        const [buddy] = pairOver(new SharedArrayBuffer(BuddyAllocator.bytes(5, units)), 5, units);
        buddy.extend(units);
        buddy.release(0, units);
        const held: Block[] = [];
        for (let size = 0, unit = buddy.allocate(0); unit >= 0; unit = buddy.allocate(size)) {
          held.push([unit, size]);
          size = random.below(3);
        }
        while (held.length > 0) buddy.free(...(held.splice(random.below(held.length), 1)[0] as Block));
        const fewest = Math.floor(units / 32) + [...(units % 32).toString(2)].filter((digit) => digit === '1').length;
        expect(blocksOf(buddy).length).toBe(fewest);
        expectSound(buddy);
      }),
    );
  });

  it('claim exactly what is free within a region', () => {
    const [buddy] = pairOver(new SharedArrayBuffer(BuddyAllocator.bytes(4, 32)), 4, 32);
    buddy.extend(32);
    buddy.release(0, 32);
    const taken = Array.from({ length: 5 }, () => buddy.allocate(0));
    const claimed = buddy.claimWithin(0, 4);
    const units = claimed.reduce((sum, [, size]) => sum + 2 ** size, 0);
    expect(units + taken.filter((unit) => unit < 16).length).toBe(16);
    expect(buddy.allocate(4)).toBe(16);
    expect(buddy.allocate(0)).toBe(-1);
  });

  it('are the lowest of the smallest that fit', () => {
    const [buddy, other] = pairOver(BuddyAllocator.growing(20, 2 ** 29 - 1), 20, 2 ** 29 - 1);
    const units = 35 * CHUNK;
    buddy.extend(units);
    for (const unit of [34 * CHUNK + 7, 33 * CHUNK + 5, 2 * CHUNK + 33, 2 * CHUNK + 31]) buddy.release(unit, 1);
    buddy.release(CHUNK, 2);
    const order = [2 * CHUNK + 31, 2 * CHUNK + 33, 33 * CHUNK + 5, 34 * CHUNK + 7, CHUNK, CHUNK + 1, -1];
    expect(order.map((_, turn) => (turn % 2 === 0 ? buddy : other).allocate(0))).toEqual(order);
  });

  it('are found up to the last unit that a file can have', () => {
    const capacity = 2 ** 29 - 1;
    const [buddy, other] = pairOver(BuddyAllocator.growing(20, capacity), 20, capacity);
    buddy.extend(capacity);
    other.release(capacity - 3, 3);
    expect(blocksOf(other)).toEqual([
      [capacity - 3, 1],
      [capacity - 1, 0],
    ]);
    expect(buddy.allocate(1)).toBe(capacity - 3);
    expect(other.allocate(0)).toBe(capacity - 1);
    expect(buddy.freeUnits).toBe(0);
  });

  it('take about two bits a unit, and memory for no more units than there are', () => {
    for (const units of [4096, CHUNK, 16 * CHUNK]) {
      expect((BuddyAllocator.bytes(10, units) * 8) / units).toBeLessThan(2.5);
    }
    const memory = BuddyAllocator.growing(20, 2 ** 29 - 1);
    expect(memory.byteLength).toBeLessThan(4096);
    const [buddy] = pairOver(memory, 20, 2 ** 29 - 1);
    buddy.extend(100);
    expect(memory.byteLength).toBeLessThan(300_000);
    buddy.extend(3 * CHUNK);
    expect(memory.byteLength).toBeLessThan(4 * 300_000);
  });

  it('are not given back twice, nor beyond the end, without an error', () => {
    const [buddy, other] = pairOver(new SharedArrayBuffer(BuddyAllocator.bytes(5, 64)), 5, 64);
    buddy.extend(50);
    buddy.release(0, 50);
    const unit = buddy.allocate(1);
    other.free(unit, 1);
    expect(() => buddy.free(unit, 1), 'as part of a larger block').toThrow(/are free/);
    const alone = buddy.allocate(0);
    buddy.free(alone, 0);
    expect(() => buddy.free(alone, 0)).toThrow(/are free/);
    expect(() => buddy.free(50, 1)).toThrow(/not there/);
    expect(() => other.extend(64)).toThrow(/no memory/);
  });
});
