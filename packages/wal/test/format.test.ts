import { crc32 } from 'node:zlib';
import {
  type CommitRecord,
  decodeOperations,
  EncodedOperations,
  encodeOperations,
  operationSize,
  operationsSize,
  type ReplayedRecord,
} from '@pagewright/core';
import { assertSameRecord } from '@pagewright/testkit/rig';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeKept, encodeKept } from '../src/format/kept-timestamps.js';
import {
  bodyIsWhole,
  commitRecordSize,
  decodeCommit,
  decodeHeader,
  decodeKeptRanges,
  encodeCommit,
  encodeEnding,
  RECORD_LOG_END,
  RecordHeader,
  recordSeed,
} from '../src/format/record.js';
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_SIZE } from '../src/format/segment-header.js';
import { segmentName, segmentsAmong } from '../src/format/segment-name.js';

/** When the records of these tests were appended. */
const TIME = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u53 = fc.maxSafeNat();
const record: fc.Arbitrary<CommitRecord> = fc.record({
  timestamp: u53,
  dependsOn: u53,
  operations: fc.array(
    fc.record({
      kind: fc.integer({ min: 1, max: 255 }),
      index: u32,
      key: fc.uint8Array({ maxLength: 200 }),
      value: fc.uint8Array({ maxLength: 40_000, size: 'large' }),
    }),
    { maxLength: 20 },
  ),
});
const place = fc.record({
  incarnation: u32,
  segment: fc.integer({ min: 1, max: 1_000_000 }),
  offset: fc.nat({ max: 2 ** 27 }).map((units) => units * 8),
});

interface Encoded {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

function encode(written: CommitRecord, seed: number): Encoded {
  const bytes = new Uint8Array(commitRecordSize(written.operations)).fill(0xaa);
  const view = new DataView(bytes.buffer);
  encodeCommit(bytes, view, 0, bytes.length, seed, { segment: 7, offset: 2 ** 40 + 8 }, written, TIME);
  return { bytes, view };
}

function decode({ bytes, view }: Encoded, seed: number): CommitRecord | null {
  const header = new RecordHeader();
  if (!decodeHeader(bytes, view, 0, bytes.length, seed, header)) return null;
  return bodyIsWhole(bytes, view, 0, header.length, seed) ? decodeCommit(bytes, 0, header) : null;
}

describe('a record', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(record, place, (written, { incarnation, segment, offset }) => {
        const seed = recordSeed(incarnation, segment, offset);
        const encoded = encode(written, seed);
        expect(encoded.bytes.length % 8).toBe(0);
        const found = decode(encoded, seed);
        expect(found).not.toBeNull();
        assertSameRecord(found!, written);
        const header = new RecordHeader();
        decodeHeader(encoded.bytes, encoded.view, 0, encoded.bytes.length, seed, header);
        expect(header.durable).toEqual({ segment: 7, offset: 2 ** 40 + 8 });
        expect(header.time).toBe(TIME);
        expect((found as ReplayedRecord).time).toBe(TIME);
      }),
    );
  });

  test('has the same bytes, whether its operations are objects or encoded already', () => {
    fc.assert(
      fc.property(record, u32, (written, seed) => {
        const body = new Uint8Array(operationsSize(written.operations));
        encodeOperations(body, 0, written.operations);
        const operations = new EncodedOperations().begin(written.operations.length, body.length);
        let start = 0;
        for (const { index, key, value } of written.operations) {
          const end = start + operationSize(index, key.length, value.length);
          operations.append(body, new DataView(body.buffer), start, end);
          start = end;
        }
        expect([...operations]).toEqual([...written.operations]);
        expect(encode({ ...written, operations }, seed).bytes).toEqual(encode(written, seed).bytes);
      }),
    );
  });

  test('is not taken for one of another incarnation, segment or offset', () => {
    fc.assert(
      fc.property(record, place, place, (written, here, there) => {
        const encoded = encode(written, recordSeed(here.incarnation, here.segment, here.offset));
        if (here.incarnation !== there.incarnation) {
          expect(decode(encoded, recordSeed(there.incarnation, here.segment, here.offset))).toBeNull();
        }
        if (here.segment !== there.segment) {
          expect(decode(encoded, recordSeed(here.incarnation, there.segment, here.offset))).toBeNull();
        }
        if (here.offset !== there.offset) {
          expect(decode(encoded, recordSeed(here.incarnation, here.segment, there.offset))).toBeNull();
        }
      }),
    );
  });

  test('with any bit flipped is refused', () => {
    fc.assert(
      fc.property(record, u32, fc.nat(), (written, seed, at) => {
        const encoded = encode(written, seed);
        const bit = at % (encoded.bytes.length * 8);
        encoded.bytes[bit >> 3]! ^= 1 << (bit & 7);
        expect(decode(encoded, seed)).toBeNull();
      }),
    );
  });

  test('that is not one is refused without reading beyond it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 56, maxLength: 300 }), u32, (bytes, seed) => {
        expect(decode({ bytes, view: new DataView(bytes.buffer) }, seed)).toBeNull();
      }),
    );
  });

  test('with a number beyond 2^53 is refused, though its checksums are right', () => {
    const written: CommitRecord = { timestamp: 1, dependsOn: 0, operations: [] };
    for (const at of [16, 24, 40, 48]) {
      const encoded = encode(written, 77);
      encoded.view.setUint32(at + 4, 2 ** 21, true);
      encoded.view.setUint32(0, crc32(encoded.bytes.subarray(4, 56), 77), true);
      expect(decode(encoded, 77), `u64 at ${at}`).toBeNull();
    }
  });

  test('with the number of an index beyond 32 bits does not add up', () => {
    for (const index of [
      [0xff, 0xff, 0xff, 0xff, 0x1f],
      [0xff, 0xff, 0xff, 0xff, 0xff],
    ]) {
      const body = Uint8Array.from([1, ...index, 0, 0]);
      expect(decodeOperations(body, 1), String(index)).toBeNull();
    }
    const largest = decodeOperations(Uint8Array.from([1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0]), 1);
    expect([...largest!]).toMatchObject([{ index: 2 ** 32 - 1 }]);
  });

  test('has the bytes that docs/format/log.md gives', () => {
    const written: CommitRecord = {
      timestamp: 2 ** 32 + 5,
      dependsOn: 4,
      operations: [{ kind: 1, index: 300, key: new Uint8Array([0x61, 0x62]), value: new Uint8Array([1, 2, 3]) }],
    };
    const { bytes } = encode(written, recordSeed(0x5f3a9c01, 2, 4096));
    expect(Buffer.from(bytes).toString('hex')).toMatchInlineSnapshot(
      `"01244836c84f8d56480000000100000005000000010000000400000000000000070000000100000008000000000100002e8fa97c9b01000001ac0202036162010203000000000000"`,
    );
  });
});

describe('the record at the end of an archived log', () => {
  const durable = { segment: 7, offset: 8192 };
  const ranges = Array.from({ length: 1000 }, (_, i) => ({ first: 3 * i + 1, last: 3 * i + 1 + (i % 2) }));
  const decoded = (bytes: Uint8Array, seed: number) => {
    const header = new RecordHeader();
    const view = new DataView(bytes.buffer);
    if (!decodeHeader(bytes, view, 0, bytes.length, seed, header)) return null;
    return bodyIsWhole(bytes, view, 0, header.length, seed)
      ? { header, kept: decodeKeptRanges(view, 0, header) }
      : null;
  };

  test('is read back as it was written, with ranges and without', () => {
    for (const kept of [[], ranges.slice(0, 1), ranges]) {
      const bytes = encodeEnding(RECORD_LOG_END, 99, durable, TIME, 42, kept);
      const found = decoded(bytes, 99);
      expect(found?.header).toMatchObject({ kind: RECORD_LOG_END, timestamp: 42, time: TIME, durable });
      expect(found?.header.length).toBe(bytes.length);
      expect(found?.kept).toEqual(kept);
    }
  });

  test('is not read at another place, or if a byte of it has changed', () => {
    const bytes = encodeEnding(RECORD_LOG_END, 99, durable, TIME, 42, ranges.slice(0, 3));
    expect(decoded(bytes, 98)).toBeNull();
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = (bytes[at] as number) ^ 0x10;
      expect(decoded(changed, 99), `byte ${at}`).toBeNull();
    }
  });
});

describe('a segment header', () => {
  const header = {
    storeId: '00112233445566778899aabbccddeeff',
    incarnation: 0x5f3a9c01,
    segment: 3,
    fileSize: 16 * 1024 * 1024,
    origin: {
      end: { incarnation: 0x1234, segment: 9, offset: 2 ** 33 },
      timestamp: 2 ** 40 + 1,
      keptRanges: 2,
      first: 2 ** 40 + 2 ** 32,
    },
  };

  test('is read as it was written', () => {
    const bytes = encodeSegmentHeader(header);
    expect(bytes).toHaveLength(SEGMENT_HEADER_SIZE);
    expect(decodeSegmentHeader(bytes)).toEqual({ kind: 'header', header });
  });

  test('has the bytes that docs/format/log.md gives', () => {
    const bytes = encodeSegmentHeader(header);
    expect(Buffer.from(bytes.subarray(0, 88)).toString('hex')).toMatchInlineSnapshot(
      `"50574c4f470d0a1a02000000982dfdce00112233445566778899aabbccddeeff019c3a5f03000000000000010000000034120000090000000000000002000000010000000001000000000000010100000200000000000000"`,
    );
    expect(bytes.subarray(88).every((byte) => byte === 0)).toBe(true);
  });

  test('with a number beyond 2^53 is refused, though its checksum is right', () => {
    for (const at of [40, 56, 64, 72]) {
      const bytes = Buffer.from(encodeSegmentHeader(header));
      bytes.writeUInt32LE(2 ** 21, at + 4);
      bytes.writeUInt32LE(0, 12);
      bytes.writeUInt32LE(crc32(bytes), 12);
      expect(decodeSegmentHeader(bytes), `u64 at ${at}`).toEqual({ kind: 'invalid' });
    }
  });

  test('that begins with a timestamp which the log before it had is refused (L3)', () => {
    for (const first of [header.origin.timestamp, header.origin.timestamp - 1, 0]) {
      const bytes = encodeSegmentHeader({ ...header, origin: { ...header.origin, first } });
      expect(decodeSegmentHeader(bytes)).toEqual({ kind: 'invalid' });
    }
  });

  test('with any bit flipped is refused', () => {
    const bytes = encodeSegmentHeader(header);
    for (let bit = 0; bit < SEGMENT_HEADER_SIZE * 8; bit += 7) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeSegmentHeader(bytes)).toEqual({ kind: 'invalid' });
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
  });
});

describe('a list of kept timestamps', () => {
  const kept = {
    storeId: '00112233445566778899aabbccddeeff',
    incarnation: 0x5f3a9c01,
    ranges: [
      { first: 2 ** 40 + 3, last: 2 ** 40 + 3 },
      { first: 2 ** 40 + 5, last: 2 ** 40 + 9 },
    ],
  };
  const signed = (bytes: Uint8Array): Uint8Array => {
    const copy = Buffer.from(bytes);
    copy.writeUInt32LE(0, 12);
    copy.writeUInt32LE(crc32(copy), 12);
    return copy;
  };

  test('is read as it was written, however long it is', () => {
    expect(decodeKept(encodeKept(kept))).toEqual(kept);
    const ranges = Array.from({ length: 10_000 }, (_, i) => ({ first: 3 * i + 1, last: 3 * i + 1 + (i % 2) }));
    expect(decodeKept(encodeKept({ ...kept, ranges }))).toEqual({ ...kept, ranges });
  });

  test('has the bytes that docs/format/log.md gives', () => {
    expect(Buffer.from(encodeKept(kept)).toString('hex')).toMatchInlineSnapshot(
      `"50574b4550540a1a02000000afbd91be00112233445566778899aabbccddeeff019c3a5f020000000300000000010000030000000001000005000000000100000900000000010000"`,
    );
  });

  test('with any bit flipped, or cut short, or longer, is refused', () => {
    const bytes = encodeKept(kept);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeKept(bytes)).toBeNull();
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    for (let size = 0; size < bytes.length; size++) expect(decodeKept(bytes.slice(0, size))).toBeNull();
    expect(decodeKept(signed(Buffer.concat([bytes, Buffer.alloc(8)])))).toBeNull();
  });

  test('whose ranges touch, fall, end before they begin or go beyond 2^53 is refused, though its checksum is right', () => {
    const ranges = [
      [
        { first: 5, last: 6 },
        { first: 7, last: 7 },
      ],
      [
        { first: 5, last: 6 },
        { first: 2, last: 3 },
      ],
      [{ first: 5, last: 4 }],
    ];
    for (const each of ranges) expect(decodeKept(encodeKept({ ...kept, ranges: each }))).toBeNull();
    const bytes = Buffer.from(encodeKept(kept));
    bytes.writeUInt32LE(2 ** 21, bytes.length - 4);
    expect(decodeKept(signed(bytes))).toBeNull();
    bytes.writeUInt32LE(2 ** 8, bytes.length - 4);
    expect(decodeKept(signed(bytes))).not.toBeNull();
  });
});

test('names of segments are read as they were written, and other files are left alone', () => {
  const names = [segmentName(0x5f3a9c01, 12), segmentName(1, 123_456_789), segmentName(0xffffffff, 1)];
  expect(names[0]).toBe('5f3a9c01-00000012.log');
  expect(
    segmentsAmong([...names, 'notes.txt', '5F3A9C01-00000012.log', '5f3a9c01-1.log', 'x5f3a9c01-00000012.log']),
  ).toEqual([
    { name: names[2], incarnation: 0xffffffff, segment: 1 },
    { name: names[0], incarnation: 0x5f3a9c01, segment: 12 },
    { name: names[1], incarnation: 1, segment: 123_456_789 },
  ]);
});
