/** Lists of the timestamps that recovery kept behind a hole: a whole one rises, and says what its bytes say. */
import { crc32 } from 'node:zlib';
import { assertSurroundingsUntouched, type FuzzTarget, type Random, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat } from './agreement.js';
import { keptTimestamps as format } from './internals.js';

const CHECKSUM = 12;
const RANGES = 40;
const RANGE_SIZE = 16;

export const keptLists: FuzzTarget<null> = {
  name: 'lists of kept timestamps',
  resizes: true,
  refusals: new Set(),
  seeds: (random) =>
    Array.from({ length: 6 }, () => {
      const bytes = format.encodeKept({
        storeId: Buffer.from(random.fill(new Uint8Array(16))).toString('hex'),
        incarnation: random.below(2 ** 32),
        ranges: rangesBy(random),
      });
      return { bytes, context: null, fields: [{ start: 0, end: bytes.length }] };
    }),
  repair(bytes) {
    if (bytes.length < RANGES) return;
    const list = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    list.writeUInt32LE(0, CHECKSUM);
    list.writeUInt32LE(crc32(list), CHECKSUM);
  },
  run(bytes) {
    const found = decode(bytes, 0);
    expectSame(decode(bytes, 1), found, 'what lies around a list changes it');
    if (found === null) return 'no list';
    const list = Buffer.from(bytes);
    const checksum = list.readUInt32LE(CHECKSUM);
    list.writeUInt32LE(0, CHECKSUM);
    expectThat(crc32(list) === checksum, 'a list whose bytes were changed is taken for whole');
    const wanted = {
      storeId: list.toString('hex', 16, 32),
      incarnation: list.readUInt32LE(32),
      ranges: Array.from({ length: list.readUInt32LE(36) }, (_, i) => ({
        first: Number(list.readBigUInt64LE(RANGES + i * RANGE_SIZE)),
        last: Number(list.readBigUInt64LE(RANGES + i * RANGE_SIZE + 8)),
      })),
    };
    expectSame(found, wanted, 'a list is decoded wrongly');
    let above = -1;
    for (const { first, last } of found.ranges) {
      expectThat(Number.isSafeInteger(first) && Number.isSafeInteger(last), 'a list has a number beyond 2^53');
      expectThat(first > above && last >= first, 'the ranges of a list do not rise');
      above = last + 1;
    }
    return 'list';
  },
};

export function rangesBy(random: Random): { first: number; last: number }[] {
  let next = random.below(2 ** 40);
  return Array.from({ length: random.below(6) }, () => {
    const first = next;
    const last = first + random.below(random.chance(0.5) ? 1 : 1000);
    next = last + 2 + random.below(2 ** 20);
    return { first, last };
  });
}

function decode(bytes: Uint8Array, pattern: 0 | 1) {
  const view = surrounded(bytes, pattern);
  const found = format.decodeKept(view);
  assertSurroundingsUntouched(view, pattern);
  return found;
}
