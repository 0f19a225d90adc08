/** How much was written to which part of a file, until it is brought to the device. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NO_PIECE, UnsyncedRegions } from '../src/unsynced-regions.js';

const MIB = 2 ** 20;
/** So far apart are regions that are counted as one. */
const FOLD = 2 ** 14 * MIB;

function regions(): { readonly one: UnsyncedRegions; readonly other: UnsyncedRegions } {
  const memory = new SharedArrayBuffer(UnsyncedRegions.bytes());
  return { one: new UnsyncedRegions(memory), other: new UnsyncedRegions(memory) };
}

describe('what was written', () => {
  it('is taken in ranges that hold about so much, one after another, and counts no more', () => {
    const { one, other } = regions();
    for (let page = 0; page < 64; page++) other.add(page * 256 * 1024, 16384); // four in a region
    expect(one.total).toBe(MIB);
    expect(one.take(100_000, 64 * MIB).ranges).toEqual([{ offset: 0, length: 2 * MIB }]);
    expect(one.take(1, 64 * MIB).ranges).toEqual([{ offset: 2 * MIB, length: MIB }]);
    expect(one.total).toBe(MIB - 12 * 16384);
    expect(one.take(MIB, 64 * MIB).ranges).toEqual([{ offset: 3 * MIB, length: 13 * MIB }]);
    expect([one.total, one.take(1, 64 * MIB)]).toEqual([0, NO_PIECE]);
  });

  it('is found again where it comes about behind the place that was reached', () => {
    const { one } = regions();
    one.add(10 * MIB, 4096);
    expect(one.take(1, 20 * MIB).ranges).toEqual([{ offset: 10 * MIB, length: MIB }]);
    one.add(9 * MIB, 4096);
    expect(one.take(1, 20 * MIB).ranges).toEqual([{ offset: 9 * MIB, length: MIB }]);
  });

  it('is in each region that it reaches into, and in a file of any size', () => {
    const { one } = regions();
    one.add(FOLD + MIB - 8192, 16384);
    expect(one.total).toBe(16384);
    const ends = [
      { offset: 0, length: 2 * MIB },
      { offset: FOLD, length: MIB + 5 },
    ];
    expect(one.take(16384, FOLD + MIB + 5)).toEqual({ bytes: 16384, ranges: ends });
    expect(one.total).toBe(0);
    one.add(3 * FOLD, 4096);
    expect(one.take(1, MIB).ranges).toEqual([{ offset: 0, length: MIB }]); // the file was cut meanwhile
    one.add(5 * MIB, 4096);
    expect(one.take(1, MIB)).toEqual({ bytes: 4096, ranges: [] });
    expect(one.total).toBe(0);
  });

  it('is nothing once all of it is about to be synced', () => {
    const { one, other } = regions();
    for (let at = 0; at < 100; at++) one.add(at * 3 * MIB, 65536);
    other.clear();
    expect([one.total, one.take(1, FOLD)]).toEqual([0, NO_PIECE]);
  });

  it('lies in what was taken, whatever was written and however much is taken at a time', () => {
    const write = fc.record({
      page: fc.oneof(fc.nat(2000), fc.nat(2 ** 24)),
      pages: fc.integer({ min: 1, max: 1024 }),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), fc.integer({ min: 1, max: 20 * MIB }), (writes, bytes) => {
        const { one, other } = regions();
        const written = writes.map(({ page, pages }) => ({ offset: page * 16384, length: pages * 16384 }));
        for (const { offset, length } of written) other.add(offset, length);
        expect(one.total).toBe(written.reduce((sum, { length }) => sum + length, 0));
        const end = Math.max(0, ...written.map(({ offset, length }) => offset + length));
        const taken = [];
        for (let piece = one.take(bytes, end); piece.bytes > 0; piece = one.take(bytes, end))
          taken.push(...piece.ranges);
        for (const { offset, length } of written) {
          for (let at = offset; at < offset + length; at += 16384) {
            const isTaken = taken.some((range) => range.offset <= at && at + 16384 <= range.offset + range.length);
            expect(isTaken, `byte ${at}`).toBe(true);
          }
        }
        expect(one.total).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
