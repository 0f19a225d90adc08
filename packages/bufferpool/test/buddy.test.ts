import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BuddyAllocator } from '../src/buddy.js';

it('blocks are aligned, never overlap, and join again until everything is free', () => {
  const step = fc.record({ allocate: fc.boolean(), sizeClass: fc.integer({ min: 0, max: 5 }), which: fc.nat() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.array(step, { maxLength: 400, size: 'max' }), (units, steps) => {
      const buddy = new BuddyAllocator(5, 8);
      buddy.extend(units);
      buddy.release(0, units);
      const held: [unit: number, sizeClass: number][] = [];
      const owner = new Array<number>(units).fill(-1);
      for (const [index, { allocate, sizeClass, which }] of steps.entries()) {
        if (allocate) {
          const unit = buddy.allocate(sizeClass);
          if (unit < 0) continue;
          expect(unit % 2 ** sizeClass).toBe(0);
          for (let at = unit; at < unit + 2 ** sizeClass; at++) {
            expect(owner[at], `unit ${at} is given out twice`).toBe(-1);
            owner[at] = index;
          }
          held.push([unit, sizeClass]);
        } else if (held.length > 0) {
          const [unit, size] = held.splice(which % held.length, 1)[0] as [number, number];
          owner.fill(-1, unit, unit + 2 ** size);
          buddy.free(unit, size);
        }
        expect(buddy.freeUnits).toBe(owner.filter((holder) => holder === -1).length);
      }
      for (const [unit, size] of held) buddy.free(unit, size);
      const blocks: number[] = [];
      buddy.forEachFree((_unit, size) => {
        blocks.push(size);
      });
      const fewest = Math.floor(units / 32) + [...(units % 32).toString(2)].filter((digit) => digit === '1').length;
      expect(blocks.length).toBe(fewest);
    }),
  );
});

it('claims exactly what is free within a region', () => {
  const buddy = new BuddyAllocator(4, 8);
  buddy.extend(32);
  buddy.release(0, 32);
  const taken = Array.from({ length: 5 }, () => buddy.allocate(0));
  const claimed = buddy.claimWithin(0, 4);
  const units = claimed.reduce((sum, [, size]) => sum + 2 ** size, 0);
  expect(units + taken.filter((unit) => unit < 16).length).toBe(16);
  expect(buddy.allocate(4)).toBe(16);
  expect(buddy.allocate(0)).toBe(-1);
});
