/**
 * Both superblock slots of a page file. What is trusted has a right checksum and fields that can be what they say; of two
 * that are trusted the newer one is chosen. What is around a slot has no part in it.
 */
import { crc32 } from 'node:zlib';
import type { FuzzSeed, FuzzTarget, Random } from '@pagewright/testkit';
import { assertSurroundingsUntouched, surrounded } from '@pagewright/testkit';
import { expectSame, expectThat } from './agreement.js';
import { superblock as format } from './internals.js';

const SLOT = 4096;
const CHECKSUM = 12;
const MAGIC = '8f50414745570d0a';
/** Folded addresses have 30 bits. */
const ADDRESSES = 2 ** 30;

export const superblocks: FuzzTarget<null> = {
  name: 'superblocks',
  resizes: false,
  refusals: new Set(['PW_CORRUPT_FILE', 'PW_NOT_A_STORE', 'PW_FORMAT_VERSION']),
  seeds: (random) => [slots(random, 1), slots(random, 2 ** 33), slots(random, 7)],
  repair(bytes) {
    for (const slot of [0, SLOT]) {
      const block = bytes.subarray(slot, slot + SLOT);
      block.fill(0, CHECKSUM, CHECKSUM + 4);
      Buffer.from(block.buffer, block.byteOffset, SLOT).writeUInt32LE(crc32(block), CHECKSUM);
    }
  },
  run(bytes) {
    const [first, second] = [0, 1].map((pattern) => decodeBoth(bytes, pattern as 0 | 1));
    expectSame(second, first, 'what lies around the slots changes them');
    const wanted = [naive(bytes.subarray(0, SLOT)), naive(bytes.subarray(SLOT))];
    for (const [i, slot] of first!.entries()) {
      if (slot.kind === 'valid') expectSame(slot.superblock, wanted[i], `slot ${i} is decoded wrongly`);
      else expectThat(wanted[i] === null, () => `slot ${i} is ${slot.kind} and nothing is wrong with it`);
    }
    const choice = format.chooseSuperblock(first!, '/store/fuzzed.pw');
    if (choice === null) return 'none';
    const newest = Math.max(...wanted.map((slot) => slot?.epoch ?? 0));
    expectThat(choice.newest.epoch === newest, 'it is not the newest superblock that is chosen');
    return choice.older === null ? 'one' : 'both';
  },
};

function slots(random: Random, epoch: number): FuzzSeed<null> {
  const encode = (number: number): Buffer =>
    format.encodeSuperblock({
      pageSize: 4096 << random.below(5),
      storeId: Buffer.from(random.fill(new Uint8Array(16))).toString('hex'),
      epoch: number,
      mark: {
        timestamp: random.below(2 ** 40),
        log: { incarnation: random.below(2 ** 32), segment: random.below(1000), offset: 8 * random.below(10_000) },
      },
      catalogAddress: 2 * random.between(1, 1000) + 1,
      catalogChecksum: random.below(2 ** 32),
      mapAddress: 2 * random.between(1, 1000) + 1,
      mapChecksum: random.below(2 ** 32),
    });
  const bytes = new Uint8Array(Buffer.concat([encode(epoch), encode(epoch + 1)]));
  const fields = [0, SLOT].map((start) => ({ start, end: start + 88 }));
  return { bytes, context: null, fields };
}

function decodeBoth(bytes: Uint8Array, pattern: 0 | 1) {
  const view = surrounded(bytes, pattern);
  const blocks = [0, SLOT].map((slot) => Buffer.from(view.buffer, view.byteOffset + slot, SLOT));
  const decoded = blocks.map((block) => format.decodeSlot(block));
  assertSurroundingsUntouched(view, pattern);
  return decoded;
}

/** A slot as `docs/format/page-file.md` has it; null if it must not be trusted. */
function naive(slot: Uint8Array) {
  const block = Buffer.from(slot);
  const checksum = block.readUInt32LE(CHECKSUM);
  block.writeUInt32LE(0, CHECKSUM);
  const isOurs = block.toString('hex', 0, 8) === MAGIC && block.readUInt32LE(8) === 1 && block.readUInt32LE(16) === 0;
  if (!isOurs || crc32(block) !== checksum) return null;
  const numbers = [40, 48, 80].map((at) => block.readDoubleLE(at));
  const [epoch, timestamp, offset] = numbers as [number, number, number];
  const catalogAddress = block.readUInt32LE(56);
  const mapAddress = block.readUInt32LE(64);
  const pageSize = block.readUInt32LE(20);
  if (![4096, 8192, 16384, 32768, 65536].includes(pageSize)) return null;
  if (!numbers.every((number) => Number.isSafeInteger(number) && !Object.is(number, -0) && number >= 0)) return null;
  if (epoch === 0 || catalogAddress >= ADDRESSES || mapAddress >= ADDRESSES) return null;
  return {
    pageSize,
    storeId: block.toString('hex', 24, 40),
    epoch,
    mark: { timestamp, log: { incarnation: block.readUInt32LE(72), segment: block.readUInt32LE(76), offset } },
    catalogAddress,
    catalogChecksum: block.readUInt32LE(60),
    mapAddress,
    mapChecksum: block.readUInt32LE(68),
  };
}
