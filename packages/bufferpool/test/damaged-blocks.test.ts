/** Superblocks and allocation maps whose checksum is right and whose numbers cannot be. Fuzzing found them taken. */
import { crc32 } from 'node:zlib';
import { NO_LOG, unitOf } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { decodeMap, emptyBits, encodeMap, setBits } from '../src/allocation-map.js';
import { BufferPool } from '../src/buffer-pool.js';
import { decodeSlot, encodeSuperblock, SLOT_SIZE } from '../src/superblock.js';

const superblock = {
  pageSize: 4096,
  storeId: '00112233445566778899aabbccddeeff',
  epoch: 8,
  mark: { timestamp: 5, log: { incarnation: 1, segment: 2, offset: 4096 } },
  catalogAddress: 5,
  catalogChecksum: 1,
  mapAddress: 7,
  mapChecksum: 2,
};

/** A slot in which something was written after it was encoded, its checksum made right again. */
function changed(write: (block: Buffer) => void): Buffer {
  const block = encodeSuperblock(superblock);
  write(block);
  block.writeUInt32LE(0, 12);
  block.writeUInt32LE(crc32(block), 12);
  return block;
}

describe('a superblock whose checksum is right', () => {
  it('is damaged if its epoch, timestamp or log offset is no whole number from 0 on', () => {
    expect(decodeSlot(changed(() => {})).kind).toBe('valid');
    for (const at of [40, 48, 80]) {
      for (const number of [Number.NaN, -1, -0, 0.5, 2 ** 53, Number.POSITIVE_INFINITY]) {
        expect(decodeSlot(changed((block) => block.writeDoubleLE(number, at))).kind, `${number} at ${at}`).toBe(
          'damaged',
        );
      }
    }
    expect(decodeSlot(changed((block) => block.writeDoubleLE(0, 40))).kind).toBe('damaged');
  });

  it('is damaged if it names an address of more than 30 bits', () => {
    for (const at of [56, 64])
      expect(decodeSlot(changed((block) => block.writeUInt32LE(2 ** 31 + 1, at))).kind).toBe('damaged');
  });
});

describe('an allocation map whose checksum is right', () => {
  const RESERVED = 2;
  const mapOf = (givenUp: readonly { readonly address: number; readonly epoch: number }[]): Buffer => {
    const bits = emptyBits(64);
    setBits(bits, 0, 16, true);
    const block = Buffer.alloc(4096);
    encodeMap({ units: 64, bits, givenUp }, block);
    return block;
  };

  it('is taken if what was given up is in use, and nothing of it twice', () => {
    const givenUp = [
      { address: 2 * 8 + 4, epoch: 3 },
      { address: 2 * 12 + 1, epoch: 4 },
    ];
    expect(decodeMap(mapOf(givenUp), RESERVED, 'a file').givenUp).toEqual(givenUp);
  });

  it('is refused if an extent was given up twice, is free, reserved, beyond the file, or of no epoch', () => {
    const cases = [
      [
        { address: 2 * 8 + 4, epoch: 3 },
        { address: 2 * 9 + 1, epoch: 3 },
      ],
      [{ address: 2 * 16 + 1, epoch: 3 }],
      [{ address: 2 * 1 + 1, epoch: 3 }],
      [{ address: 2 * 64 + 1, epoch: 3 }],
      [{ address: 2 * 8 + 1, epoch: Number.NaN }],
      [{ address: 2 * 8 + 1, epoch: 1.5 }],
    ];
    for (const givenUp of cases) {
      expect(() => decodeMap(mapOf(givenUp), RESERVED, 'a file')).toThrow(
        expect.objectContaining({ code: 'PW_CORRUPT_FILE' }),
      );
    }
  });

  it('is refused if there is not even a header', () => {
    expect(() => decodeMap(Buffer.alloc(7), RESERVED, 'a file')).toThrow(
      expect.objectContaining({ code: 'PW_CORRUPT_FILE' }),
    );
  });
});

it.each([
  ['a frame', (5 << 2) | 1],
  ['a frame that is cool', (5 << 2) | 2],
  ['nothing that there is', 5 << 2],
])('a stored page with a swip that names %s is damaged, though its checksum is right', async (_, word) => {
  const files = new SimulatedDevice();
  const open = async () => {
    const pool = new BufferPool({ memory: '1MiB', pageSize: 4096 });
    await pool.open({ path: '/store.pw', io: files, create: true, errorIfExists: false, readOnly: false });
    return pool;
  };
  const pool = await open();
  const { frame, offset } = pool.root;
  pool.latch(frame);
  pool.modify(frame, 1);
  const page = pool.allocate(1, 1, 0, 1);
  const base = pool.baseOf(page);
  pool.segmentOf(page).u32.fill(0, (base + 32) >>> 2, (base + 4096) >>> 2);
  pool.segmentOf(page).u32[(base + 16) >>> 2] = 64;
  pool.segmentOf(page).u16[(base + 20) >>> 1] = 1;
  pool.segmentOf(page).u16[(base + 22) >>> 1] = 8;
  pool.link(frame, offset, page);
  pool.unlatch(page);
  pool.unlatch(frame);
  for (let i = 0; i < 2; i++)
    await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  await pool.close();

  const file = await files.open('/store.pw', {});
  for (const slot of [0, 1]) {
    const block = Buffer.alloc(SLOT_SIZE);
    file.readSync(block, slot * SLOT_SIZE);
    const decoded = decodeSlot(block);
    if (decoded.kind !== 'valid') throw new Error(`A slot is ${decoded.kind}`);
    const { catalogAddress } = decoded.superblock;
    const bytes = Buffer.alloc(4096);
    file.readSync(bytes, unitOf(catalogAddress) * 4096);
    bytes.writeUInt32LE(word, 64);
    file.writeSync(bytes, unitOf(catalogAddress) * 4096);
    file.writeSync(encodeSuperblock({ ...decoded.superblock, catalogChecksum: crc32(bytes) }), slot * SLOT_SIZE);
  }
  await file.close();

  const again = await open();
  const reach = () => again.child(again.root.frame, again.root.offset, again.readVersion(again.root.frame));
  expect(reach).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
  await again.close();
});
