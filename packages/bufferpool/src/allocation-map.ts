/**
 * The allocation map, as a checkpoint stores it: one bit for each unit of the file that its tree reaches or that is kept
 * for an older one, and the list of the latter with the epoch that gave them up. All else is free, so a crash leaks
 * nothing (C5).
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 0 | u32 | magic |
 * | 4 | u32 | units in the file |
 * | 8 | u32 | number of extents given up |
 * | 12 | u32 | reserved, 0 |
 * | 16 | bytes | one bit for each unit, lowest bit first, padded to 8 bytes |
 * | then | u32, f64 | 12 bytes for each extent given up: folded address, epoch |
 */
import { foldAddress, PagewrightError, sizeClassOf, unitOf } from '@pagewright/core/contracts';

const MAGIC = 0x50414d50;
const HEADER = 16;
const GIVEN_UP_SIZE = 12;

export interface GivenUp {
  readonly address: number;
  /** The first epoch that does not name it. */
  readonly epoch: number;
}

export interface AllocationMap {
  readonly units: number;
  /** Whether a unit is in use. */
  readonly bits: Uint8Array;
  readonly givenUp: readonly GivenUp[];
}

function bitmapBytes(units: number): number {
  return Math.ceil(units / 64) * 8;
}

export function mapBytes(units: number, givenUp: number): number {
  return HEADER + bitmapBytes(units) + givenUp * GIVEN_UP_SIZE;
}

export function emptyBits(units: number): Uint8Array {
  return new Uint8Array(bitmapBytes(units));
}

export function setBits(bits: Uint8Array, first: number, count: number, value: boolean): void {
  const end = first + count;
  for (let unit = first; unit < end; ) {
    // Whole bytes at once: a checkpoint goes through all units of the file.
    if ((unit & 7) === 0 && end - unit >= 8) {
      bits.fill(value ? 0xff : 0, unit >>> 3, end >>> 3);
      unit = (end >>> 3) * 8;
      continue;
    }
    const byte = bits[unit >>> 3] as number;
    bits[unit >>> 3] = value ? byte | (1 << (unit & 7)) : byte & ~(1 << (unit & 7));
    unit++;
  }
}

export function hasBit(bits: Uint8Array, unit: number): boolean {
  return ((bits[unit >>> 3] as number) & (1 << (unit & 7))) !== 0;
}

/** Writes the map into a buffer that is large enough; the rest of it is left alone. */
export function encodeMap(map: AllocationMap, into: Buffer): void {
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt32LE(map.units, 4);
  into.writeUInt32LE(map.givenUp.length, 8);
  into.writeUInt32LE(0, 12);
  into.set(map.bits, HEADER);
  let at = HEADER + map.bits.length;
  for (const { address, epoch } of map.givenUp) {
    into.writeUInt32LE(address, at);
    into.writeDoubleLE(epoch, at + 4);
    at += GIVEN_UP_SIZE;
  }
}

/**
 * Reads a map whose checksum was right. `PW_CORRUPT_FILE` if it makes no sense all the same: extents given up are in use, and
 * no two of them overlap, or a unit would be free twice. `reserved` units at the beginning of the file are no extent's.
 */
export function decodeMap(block: Buffer, reserved: number, path: string): AllocationMap {
  if (block.length < HEADER) throw damaged(path);
  const units = block.readUInt32LE(4);
  const count = block.readUInt32LE(8);
  if (block.readUInt32LE(0) !== MAGIC || mapBytes(units, count) > block.length) throw damaged(path);
  const bits = new Uint8Array(block.subarray(HEADER, HEADER + bitmapBytes(units)));
  const unclaimed = Uint8Array.from(bits);
  const givenUp: GivenUp[] = [];
  for (let at = HEADER + bits.length, left = count; left > 0; left--, at += GIVEN_UP_SIZE) {
    const address = block.readUInt32LE(at);
    const epoch = block.readDoubleLE(at + 4);
    const first = unitOf(address);
    const end = first + 2 ** sizeClassOf(address);
    if (address === 0 || first < reserved || end > units || !Number.isSafeInteger(epoch) || epoch < 0)
      throw damaged(path);
    if (foldAddress(first, sizeClassOf(address)) !== address) throw damaged(path);
    for (let unit = first; unit < end; unit++) if (!hasBit(unclaimed, unit)) throw damaged(path);
    setBits(unclaimed, first, end - first, false);
    givenUp.push({ address, epoch });
  }
  return { units, bits, givenUp };
}

function damaged(path: string): PagewrightError {
  return new PagewrightError(
    'PW_CORRUPT_FILE',
    `The allocation map of ${path} is damaged. Restore the file from a backup.`,
    {
      details: { path },
    },
  );
}
