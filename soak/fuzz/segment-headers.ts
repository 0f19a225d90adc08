/** Headers of log segments: one with a right checksum says what its bytes say, in numbers that JavaScript can count with. */
import { crc32 } from 'node:zlib';
import { assertSurroundingsUntouched, type FuzzTarget, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat } from './agreement.js';
import { segmentHeader as format } from './internals.js';

const CHECKSUM = 12;

export const segmentHeaders: FuzzTarget<null> = {
  name: 'log segment headers',
  resizes: true,
  refusals: new Set(),
  seeds: (random) =>
    Array.from({ length: 4 }, () => ({
      bytes: format.encodeSegmentHeader({
        storeId: Buffer.from(random.fill(new Uint8Array(16))).toString('hex'),
        incarnation: random.below(2 ** 32),
        segment: random.below(2 ** 20),
        fileSize: 8 * random.below(2 ** 32),
        origin: {
          end: { incarnation: random.below(2 ** 32), segment: random.below(100), offset: random.below(2 ** 40) },
          timestamp: random.below(2 ** 48),
          keptRanges: random.below(1000),
          first: 2 ** 48 + random.below(2 ** 48),
        },
      }),
      context: null,
      fields: [{ start: 0, end: 84 }],
    })),
  repair(bytes) {
    if (bytes.length < format.SEGMENT_HEADER_SIZE) return;
    const header = Buffer.from(bytes.buffer, bytes.byteOffset, format.SEGMENT_HEADER_SIZE);
    header.writeUInt32LE(0, CHECKSUM);
    header.writeUInt32LE(crc32(header), CHECKSUM);
  },
  run(bytes) {
    const found = decode(bytes, 0);
    expectSame(decode(bytes, 1), found, 'what lies around a header changes it');
    if (found.kind !== 'header') return found.kind;
    const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const unsigned = Buffer.from(block.subarray(0, format.SEGMENT_HEADER_SIZE));
    unsigned.writeUInt32LE(0, CHECKSUM);
    expectThat(
      crc32(unsigned) === block.readUInt32LE(CHECKSUM),
      'a header whose bytes were changed is taken for whole',
    );
    const wanted = {
      storeId: block.toString('hex', 16, 32),
      incarnation: block.readUInt32LE(32),
      segment: block.readUInt32LE(36),
      fileSize: Number(block.readBigUInt64LE(40)),
      origin: {
        end: {
          incarnation: block.readUInt32LE(48),
          segment: block.readUInt32LE(52),
          offset: Number(block.readBigUInt64LE(56)),
        },
        timestamp: Number(block.readBigUInt64LE(64)),
        keptRanges: block.readUInt32LE(80),
        first: Number(block.readBigUInt64LE(72)),
      },
    };
    expectSame(found.header, wanted, 'a header is decoded wrongly');
    const { fileSize, origin } = found.header;
    for (const number of [fileSize, origin.end.offset, origin.timestamp, origin.first])
      expectThat(Number.isSafeInteger(number), () => `a header has the number ${number}, beyond 2^53`);
    expectThat(origin.first > origin.timestamp, 'an incarnation begins with a timestamp that was used before it');
    return 'header';
  },
};

function decode(bytes: Uint8Array, pattern: 0 | 1) {
  const view = surrounded(bytes, pattern);
  const found = format.decodeSegmentHeader(view);
  assertSurroundingsUntouched(view, pattern);
  return found;
}
