/** Headers of pages whose checksum was right: their swip table lies in the page, or is refused. */
import { Segment } from '@pagewright/core';
import type { FuzzTarget, Random } from '@pagewright/testkit';
import { Surroundings } from '@pagewright/testkit';
import { expectThat } from './agreement.js';
import { pageImage } from './internals.js';

const SIZE = 4096;
const places = [new Surroundings(SIZE, 0), new Surroundings(SIZE, 1)] as const;
const table = { offset: 0, count: 0, stride: 0 };

export const pageHeaders: FuzzTarget<null> = {
  name: 'page headers',
  resizes: false,
  refusals: new Set(['PW_INTERNAL']),
  seeds: (random) => Array.from({ length: 8 }, () => pageWithTable(random)),
  run(bytes) {
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const [offset, count, stride] = [header.readUInt32LE(16), header.readUInt16LE(20), header.readUInt16LE(22)];
    const fits = tableFits(offset, count, stride);
    for (const { segment, base } of places.map((place) => placed(place, bytes))) {
      expectThat(pageImage.sizeClassOnPage(segment, base) === bytes[2], 'the size class is another');
      const isTable = pageImage.isSwipTable({ offset, count, stride }, SIZE);
      expectThat(
        isTable === fits,
        () => `a table of ${count} swips at ${offset}, ${stride} apart, is ${isTable ? '' : 'not '}taken`,
      );
      pageImage.readSwipTable(segment, base, SIZE, table);
      const same = table.offset === offset && table.count === count && table.stride === stride;
      expectThat(same, 'the swip table is another');
    }
    return 'taken';
  },
};

function placed(place: Surroundings, bytes: Uint8Array): Surroundings {
  place.place(bytes);
  return place;
}

/** Every swip is aligned, behind the header, and whole. Looked at one by one. */
function tableFits(offset: number, count: number, stride: number): boolean {
  if (count > 0 && (stride < 8 || stride % 8 !== 0)) return false;
  for (let swip = 0; swip < count; swip++) {
    const at = offset + swip * stride;
    if (at < 32 || at % 8 !== 0 || at + 8 > SIZE) return false;
  }
  return true;
}

function pageWithTable(random: Random) {
  const segment = new Segment(new SharedArrayBuffer(SIZE));
  pageImage.formatPage(segment, 0, { index: random.below(9), kind: 1, sizeClass: 0, timestamp: random.below(2 ** 40) });
  const stride = 8 * random.between(1, 4);
  segment.u32[4] = 32 + 8 * random.below(16);
  const most = Math.floor((SIZE - 160) / stride);
  // Some tables go up to the end of the page, so that little damage takes them beyond it.
  segment.u16[10] = random.chance(0.5) ? random.below(most) : 1 + Math.floor((SIZE - 8 - segment.u32[4]) / stride);
  segment.u16[11] = stride;
  return {
    bytes: Uint8Array.from(segment.u8),
    context: null,
    fields: [
      { start: 0, end: 32 },
      { start: 16, end: 24 },
    ],
  };
}
