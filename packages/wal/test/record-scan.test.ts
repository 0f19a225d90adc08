/** Looking for records in a stretch that has none: in as few steps as it is read, and wherever the next one lies. */
import { expect, test } from 'vitest';
import { encodeBare, RECORD_HEADER_SIZE, RECORD_MARK, recordSeed } from '../src/format/record.js';
import { RecordScan } from '../src/recovery/record-scan.js';
import { SegmentReader } from '../src/recovery/segment-reader.js';

const CHUNK = 256 * 1024;
const SIZE = 4 * 1024 * 1024;
const FROM = 4096;

function scanOf(bytes: Uint8Array): RecordScan {
  const file = {
    path: 'segment',
    size: () => bytes.length,
    read: async (buffer: Uint8Array, offset: number) => buffer.set(bytes.subarray(offset, offset + buffer.length)),
    sync: async () => undefined,
    close: async () => undefined,
  };
  return new RecordScan(new SegmentReader(file), 7, 1, FROM);
}

test('zeros are gone through in a few steps for each chunk, and not in one for every eight bytes', async () => {
  let isOver = false;
  const found = scanOf(new Uint8Array(SIZE))
    .next()
    .finally(() => {
      isOver = true;
    });
  let steps = 0;
  for (; !isOver; steps++) await null;
  expect(await found).toBe(false);
  expect(steps).toBeLessThan((SIZE / CHUNK) * 20);
});

test.each([
  ['at once', FROM],
  ['in the midst of a chunk', FROM + 100_000],
  ['across the end of a chunk', FROM + CHUNK - 8],
  ['in the last bytes before it', FROM + CHUNK - RECORD_HEADER_SIZE],
  ['at the beginning of the next', FROM + CHUNK],
  ['at the very end', SIZE - RECORD_HEADER_SIZE],
])('a record is found %s, and none behind it', async (_, offset) => {
  const bytes = new Uint8Array(SIZE);
  const durable = { segment: 1, offset: FROM };
  encodeBare(bytes, new DataView(bytes.buffer), offset, RECORD_MARK, recordSeed(7, 1, offset), durable, 0);
  const scan = scanOf(bytes);
  expect(await scan.next()).toBe(true);
  expect([scan.offset, scan.end, scan.isWhole]).toEqual([offset, offset + RECORD_HEADER_SIZE, true]);
  expect(await scan.next()).toBe(false);
});
