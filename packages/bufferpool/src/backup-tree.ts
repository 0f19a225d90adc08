/**
 * Copies a stored tree: every page is read, held against the checksum of the swip that names it, and written to the next place in
 * another file; a page goes after its children, because its swips are rewritten to where these have gone. Pages without
 * swips stay as they are, byte for byte, so their checksums do as well.
 *
 * Must hold: nothing is copied that does not match its checksum. No frame of the pool is used: what is in memory stays there. The
 * memory that it takes is one batch for each level of the tree, or the largest page on that level.
 */
import { crc32 } from 'node:zlib';
import {
  type BackupProgress,
  isPagewrightError,
  PagewrightError,
  SWIP_COLD,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import { BACKUP_BATCH_BYTES, type BackupFile } from './backup-file.js';
import type { BackupSpace } from './backup-space.js';
import type { PageFile } from './page-file.js';
import { swipsOfStored } from './stored-swips.js';

/** Deeper trees than this have a cycle. */
const DEEPEST = 64;

/** Folded address and CRC-32 of a stored page. */
export interface StoredPage {
  readonly address: number;
  readonly checksum: number;
}

/** A page on its way from one file to the other. */
interface PageInTransit extends StoredPage {
  /** Where the swip that names it is, in the page above. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export class BackupTree {
  #pages = 0;
  #bytes = 0;
  /** What was read last on each level. */
  readonly #levels: Buffer[] = [];

  constructor(
    private readonly source: PageFile,
    private readonly target: BackupFile,
    private readonly space: BackupSpace,
    /** Told how far it is after each batch that was written; what it throws ends the copying. */
    private readonly advanced: (copied: Omit<BackupProgress, 'totalBytes'>) => Promise<void> | void,
  ) {}

  get copied(): Omit<BackupProgress, 'totalBytes'> {
    return { pages: this.#pages, bytes: this.#bytes };
  }

  /** Copies the page and all below it; where it is in the copy. Errors: `PW_CORRUPT_PAGE`, `PW_IO`, `PW_FULL`. */
  async copy({ address, checksum }: StoredPage): Promise<StoredPage> {
    const swip = Buffer.alloc(SWIP_SIZE);
    writeSwip(swip, 0, { address, checksum });
    await this.#copyChildren(swip, [0], 0);
    return { address: swip.readUInt32LE(0) >>> 2, checksum: swip.readUInt32LE(4) };
  }

  /** Copies what the swips at these offsets name, and has them name the copies. */
  async #copyChildren(page: Buffer, offsets: readonly number[], level: number): Promise<void> {
    for (let next = 0; next < offsets.length; ) {
      const batch = await this.#readBatch(page, offsets, next, level);
      next += batch.length;
      for (const child of batch) {
        const swips = this.#swipsOf(child);
        if (swips.length > 0) {
          if (level === DEEPEST) throw this.#damaged(child.address, 'is deeper in its tree than any page can be');
          await this.#copyChildren(child.bytes, swips, level + 1);
        }
        const checksum = swips.length > 0 ? crc32(child.bytes) : child.checksum;
        writeSwip(page, child.offset, { address: await this.#place(child), checksum });
      }
    }
  }

  /** Reads pages side by side: as many as make a batch, at least one. Valid until the next call for this level. */
  async #readBatch(
    page: Buffer,
    offsets: readonly number[],
    first: number,
    level: number,
  ): Promise<readonly PageInTransit[]> {
    const { source } = this;
    let bytes = 0;
    let end = first;
    for (; end < offsets.length; end++) {
      const size = source.bytesOf(this.#addressAt(page, offsets[end] as number));
      if (bytes > 0 && bytes + size > BACKUP_BATCH_BYTES) break;
      bytes += size;
    }
    const buffer = this.#bufferFor(level, bytes);
    let at = 0;
    const batch = offsets.slice(first, end).map((offset) => {
      const address = this.#addressAt(page, offset);
      const size = source.bytesOf(address);
      at += size;
      return { offset, address, checksum: page.readUInt32LE(offset + 4), bytes: buffer.subarray(at - size, at) };
    });
    await source.readExtents(batch);
    for (const { bytes: read, address, checksum } of batch) this.#check(read, address, checksum);
    return batch;
  }

  #bufferFor(level: number, bytes: number): Buffer {
    const known = this.#levels[level];
    if (known !== undefined && known.length >= bytes) return known;
    const buffer = Buffer.allocUnsafeSlow(Math.max(bytes, BACKUP_BATCH_BYTES));
    this.#levels[level] = buffer;
    return buffer;
  }

  #check(bytes: Buffer, address: number, checksum: number): void {
    try {
      this.source.verify(bytes, address, checksum);
    } catch (error) {
      if (isPagewrightError(error, 'PW_CORRUPT_PAGE'))
        throw this.#damaged(address, 'does not match its checksum', error);
      throw error;
    }
  }

  /** Writes the page, with the batch that it is in, to the next place in the copy; its address there. */
  async #place({ bytes, address: from }: PageInTransit): Promise<number> {
    const { target, space, source } = this;
    if (!target.hasRoomFor(bytes.length)) await this.#flush();
    const address = space.allocate(sizeClassOf(from));
    target.stage(bytes, source.offsetOf(address));
    this.#pages++;
    this.#bytes += bytes.length;
    if (bytes.length > BACKUP_BATCH_BYTES) await this.#flush();
    return address;
  }

  async #flush(): Promise<void> {
    await this.target.flush();
    await this.advanced(this.copied);
  }

  /** The address in a swip that is not null. */
  #addressAt(page: Buffer, offset: number): number {
    const address = page.readUInt32LE(offset) >>> 2;
    const first = unitOf(address);
    const end = this.source.offsetOf(address) + this.source.bytesOf(address);
    if (address !== 0 && first >= this.source.reservedUnits && end <= this.source.io.size()) return address;
    throw this.source.reader?.overtaken() ?? this.#damaged(address, 'is named by a swip, and cannot be in the file');
  }

  /** Offsets of the swips of the page that name pages. */
  #swipsOf({ bytes, address }: PageInTransit): number[] {
    const offsets = swipsOfStored(bytes);
    if (offsets === null) throw this.#damaged(address, 'has a swip table beyond its end');
    for (const offset of offsets) {
      if ((bytes.readUInt32LE(offset) & SWIP_TAG_MASK) !== SWIP_COLD)
        throw this.#damaged(address, 'has a swip that names no page of the file');
    }
    return offsets;
  }

  #damaged(address: number, what: string, cause?: unknown): PagewrightError {
    const { io } = this.source;
    const offset = this.source.offsetOf(address);
    return new PagewrightError(
      'PW_CORRUPT_PAGE',
      `The page at byte ${offset} of ${io.path} ${what}, so no backup was made. Run verify() to find all that is damaged; an earlier backup may have it whole.`,
      { cause, details: { path: io.path, offset } },
    );
  }
}

function writeSwip(page: Buffer, offset: number, { address, checksum }: StoredPage): void {
  page.writeUInt32LE(((address << 2) | SWIP_COLD) >>> 0, offset);
  page.writeUInt32LE(checksum >>> 0, offset + 4);
}
