/**
 * The superblock: the one thing that is written in place. Two slots of 4 KiB at the beginning of the file take turns;
 * the valid one with the higher epoch counts. What no superblock names does not exist. `docs/format/page-file.md` gives
 * every byte.
 *
 * Must hold: a slot is trusted only if magic and checksum are right and its numbers can be; a slot of another format is told apart from a
 * damaged one, and both from a file that is no store.
 */
import { crc32 } from 'node:zlib';
import { type CheckpointMark, MAX_PAGE_SIZE, MIN_PAGE_SIZE, PagewrightError } from '@pagewright/core/contracts';

export const SLOT_SIZE = 4096;
export const SLOT_COUNT = 2;
export const FORMAT_VERSION = 1;

/** No valid UTF-8, and broken by any line ending conversion. */
const MAGIC = Buffer.from([0x8f, 0x50, 0x41, 0x47, 0x45, 0x57, 0x0d, 0x0a]);

const AT_MAGIC = 0;
const AT_VERSION = 8;
const AT_CRC = 12;
const AT_FEATURES = 16;
const AT_PAGE_SIZE = 20;
const AT_STORE_ID = 24;
const AT_EPOCH = 40;
const AT_TIMESTAMP = 48;
const AT_CATALOG_ADDRESS = 56;
const AT_CATALOG_CHECKSUM = 60;
const AT_MAP_ADDRESS = 64;
const AT_MAP_CHECKSUM = 68;
const AT_LOG_INCARNATION = 72;
const AT_LOG_SEGMENT = 76;
const AT_LOG_OFFSET = 80;

const STORE_ID_SIZE = 16;
/** Folded addresses have 30 bits. */
const ADDRESS_END = 2 ** 30;
/** Features that a release must know to open the store. There are none yet. */
const KNOWN_FEATURES = 0;

export interface Superblock {
  readonly pageSize: number;
  /** 16 bytes as hex. */
  readonly storeId: string;
  readonly epoch: number;
  readonly mark: CheckpointMark;
  /** Folded address and CRC-32 of the catalog's root page; 0 if there is none yet. */
  readonly catalogAddress: number;
  readonly catalogChecksum: number;
  /** Folded address and CRC-32 of the allocation map; 0 if nothing is allocated. */
  readonly mapAddress: number;
  readonly mapChecksum: number;
}

export function encodeSuperblock(superblock: Superblock): Buffer {
  const block = Buffer.alloc(SLOT_SIZE);
  MAGIC.copy(block, AT_MAGIC);
  block.writeUInt32LE(FORMAT_VERSION, AT_VERSION);
  block.writeUInt32LE(KNOWN_FEATURES, AT_FEATURES);
  block.writeUInt32LE(superblock.pageSize, AT_PAGE_SIZE);
  block.write(superblock.storeId, AT_STORE_ID, STORE_ID_SIZE, 'hex');
  block.writeDoubleLE(superblock.epoch, AT_EPOCH);
  block.writeDoubleLE(superblock.mark.timestamp, AT_TIMESTAMP);
  block.writeUInt32LE(superblock.catalogAddress, AT_CATALOG_ADDRESS);
  block.writeUInt32LE(superblock.catalogChecksum, AT_CATALOG_CHECKSUM);
  block.writeUInt32LE(superblock.mapAddress, AT_MAP_ADDRESS);
  block.writeUInt32LE(superblock.mapChecksum, AT_MAP_CHECKSUM);
  block.writeUInt32LE(superblock.mark.log.incarnation, AT_LOG_INCARNATION);
  block.writeUInt32LE(superblock.mark.log.segment, AT_LOG_SEGMENT);
  block.writeDoubleLE(superblock.mark.log.offset, AT_LOG_OFFSET);
  block.writeUInt32LE(crc32(block), AT_CRC);
  return block;
}

/** What one slot holds. */
export type Slot =
  | { readonly kind: 'valid'; readonly superblock: Superblock }
  | { readonly kind: 'other-version'; readonly version: number }
  | { readonly kind: 'other-features'; readonly features: number }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'blank' }
  | { readonly kind: 'foreign' };

export function decodeSlot(block: Buffer): Slot {
  if (block.every((byte) => byte === 0)) return { kind: 'blank' };
  if (!block.subarray(AT_MAGIC, AT_MAGIC + MAGIC.length).equals(MAGIC)) return { kind: 'foreign' };
  const copy = Buffer.from(block);
  copy.writeUInt32LE(0, AT_CRC);
  if (crc32(copy) !== block.readUInt32LE(AT_CRC)) return { kind: 'damaged' };
  // Magic, version and checksum stay where they are in all versions, so another version is no damage.
  const version = block.readUInt32LE(AT_VERSION);
  if (version !== FORMAT_VERSION) return { kind: 'other-version', version };
  const features = block.readUInt32LE(AT_FEATURES);
  if ((features & ~KNOWN_FEATURES) !== 0) return { kind: 'other-features', features };
  const pageSize = block.readUInt32LE(AT_PAGE_SIZE);
  if (pageSize < MIN_PAGE_SIZE || pageSize > MAX_PAGE_SIZE || (pageSize & (pageSize - 1)) !== 0)
    return { kind: 'damaged' };
  const superblock: Superblock = {
    pageSize,
    storeId: block.toString('hex', AT_STORE_ID, AT_STORE_ID + STORE_ID_SIZE),
    epoch: block.readDoubleLE(AT_EPOCH),
    mark: {
      timestamp: block.readDoubleLE(AT_TIMESTAMP),
      log: {
        incarnation: block.readUInt32LE(AT_LOG_INCARNATION),
        segment: block.readUInt32LE(AT_LOG_SEGMENT),
        offset: block.readDoubleLE(AT_LOG_OFFSET),
      },
    },
    catalogAddress: block.readUInt32LE(AT_CATALOG_ADDRESS),
    catalogChecksum: block.readUInt32LE(AT_CATALOG_CHECKSUM),
    mapAddress: block.readUInt32LE(AT_MAP_ADDRESS),
    mapChecksum: block.readUInt32LE(AT_MAP_CHECKSUM),
  };
  return isPossible(superblock) ? { kind: 'valid', superblock } : { kind: 'damaged' };
}

/** Whether the numbers are such as a store has: what they are not, no release wrote, whatever the checksum says. */
function isPossible({ epoch, mark, catalogAddress, mapAddress }: Superblock): boolean {
  return (
    isWhole(epoch) &&
    epoch > 0 &&
    isWhole(mark.timestamp) &&
    isWhole(mark.log.offset) &&
    catalogAddress < ADDRESS_END &&
    mapAddress < ADDRESS_END
  );
}

function isWhole(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0 && !Object.is(number, -0);
}

/** Which superblock counts. */
export interface SuperblockChoice {
  /** The slot with the newest valid superblock. */
  readonly slot: number;
  readonly newest: Superblock;
  /** The other slot's superblock, if it is valid too. */
  readonly older: Superblock | null;
}

/**
 * Chooses the newest valid slot. Null: both are blank, or one is and the other is damaged, which is a store whose
 * creation was cut short; both slots are written before creation is over.
 * Errors: `PW_NOT_A_STORE`, `PW_FORMAT_VERSION`, `PW_CORRUPT_FILE`.
 */
export function chooseSuperblock(slots: readonly Slot[], path: string): SuperblockChoice | null {
  for (const slot of slots) {
    if (slot.kind === 'other-version') {
      throw new PagewrightError(
        'PW_FORMAT_VERSION',
        `${path} has format version ${slot.version}; this release knows version ${FORMAT_VERSION}. Open it with a release that knows that version.`,
        { details: { path, version: slot.version, known: FORMAT_VERSION } },
      );
    }
    if (slot.kind === 'other-features') {
      throw new PagewrightError(
        'PW_FORMAT_VERSION',
        `${path} uses features that this release does not know (flags ${slot.features.toString(16)}). Open it with a newer release.`,
        { details: { path, features: slot.features } },
      );
    }
  }
  const valid = slots.flatMap((slot, index) =>
    slot.kind === 'valid' ? [{ slot: index, superblock: slot.superblock }] : [],
  );
  valid.sort((a, b) => b.superblock.epoch - a.superblock.epoch);
  const [newest, older] = valid;
  if (newest !== undefined) {
    return { slot: newest.slot, newest: newest.superblock, older: older === undefined ? null : older.superblock };
  }
  const blank = slots.filter((slot) => slot.kind === 'blank').length;
  const foreign = slots.filter((slot) => slot.kind === 'foreign').length;
  if (blank === slots.length || (blank > 0 && foreign === 0)) return null;
  if (foreign === slots.length || (foreign > 0 && blank > 0)) {
    throw notAStore(path);
  }
  throw new PagewrightError(
    'PW_CORRUPT_FILE',
    `Both superblocks of ${path} are damaged. Restore the file from a backup; nothing was changed.`,
    { details: { path } },
  );
}

/** The error for a file that does not begin as a store does. */
export function notAStore(path: string): PagewrightError {
  return new PagewrightError(
    'PW_NOT_A_STORE',
    `${path} is not a Pagewright store. Check the path; nothing was changed.`,
    { details: { path } },
  );
}
