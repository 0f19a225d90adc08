/** Where a backup puts its extents: side by side, each aligned to its size, and what alignment leaves is used. */
import { sizeClassOf, unitOf } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BackupSpace } from '../src/backup-space.js';

const SEED = Number(process.env.BACKUP_SEED ?? Date.now() % 2 ** 31);

it(`gives no unit out twice, aligns extents to their sizes, and knows which are left over (seed ${SEED})`, () => {
  for (let round = 0; round < 50; round++) {
    const random = new Random(SEED + round);
    const reserved = random.between(1, 2);
    const space = new BackupSpace(reserved);
    const taken = new Set<number>(Array.from({ length: reserved }, (_, unit) => unit));
    const take = (first: number, count: number, what: string): void => {
      for (let unit = first; unit < first + count; unit++) {
        if (taken.has(unit)) throw new Error(`seed ${SEED + round}: ${what} ${unit} lies on another`);
        taken.add(unit);
      }
    };
    let last = 0;
    for (let extents = random.between(1, 200); extents > 0; extents--) {
      const sizeClass = random.chance(0.7) ? 0 : random.between(0, 9);
      const address = space.allocate(sizeClass);
      expect(sizeClassOf(address)).toBe(sizeClass);
      expect(unitOf(address) % 2 ** sizeClass).toBe(0);
      take(unitOf(address), 2 ** sizeClass, 'extent at');
      last = Math.max(last, unitOf(address) + 2 ** sizeClass);
    }
    expect(space.units).toBe(last);
    space.forEachGap((unit, count) => take(unit, count, 'gap at'));
    expect(taken.size).toBe(space.units);
  }
});

it('fills what a large extent has left before it goes on at the end', () => {
  const space = new BackupSpace(1);
  space.allocate(4);
  expect(space.units).toBe(32);
  for (let unit = 1; unit < 16; unit++) space.allocate(0);
  expect(space.units).toBe(32);
  let gaps = 0;
  space.forEachGap(() => gaps++);
  expect(gaps).toBe(0);
});

it('refuses to become larger than a store can be', () => {
  const space = new BackupSpace(1);
  const fill = (): void => {
    for (let extents = 0; extents < 40; extents++) space.allocate(25);
  };
  expect(fill).toThrow(expect.objectContaining({ code: 'PW_FULL' }));
});
