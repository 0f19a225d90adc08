/**
 * The page file: two superblocks, then extents at multiples of their size. Opens and locks it, reads and writes
 * superblocks, and moves page images to and from it; which extent holds what is not its concern.
 *
 * Must hold: nothing is trusted that does not match the checksum that was kept elsewhere; a superblock is written only
 * over the slot that does not count. Of a file that is open read-only nothing is written, synced or locked.
 */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  type FileLock,
  type IoBackend,
  type IoFile,
  type IoOperation,
  isPagewrightError,
  MAX_PAGE_SIZE,
  NO_LOG,
  type PageStoreOpenRequest,
  PagewrightError,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import { CheckpointReader, settledSlots } from './checkpoint-reader.js';
import { checkMemory } from './options.js';
import {
  chooseSuperblock,
  decodeSlot,
  encodeSuperblock,
  notAStore,
  SLOT_COUNT,
  SLOT_SIZE,
  type Slot,
  type Superblock,
  type SuperblockChoice,
} from './superblock.js';
import { NO_PIECE, type UnsyncedRegions } from './unsynced-regions.js';

/** What is to be written, and the extent that it is written to. */
interface AddressedImage {
  readonly address: number;
  readonly image: { readonly bytes: Uint8Array };
}

export class PageFile {
  /** The superblock that counts. */
  superblock: Superblock;
  /** The one in the other slot, if it is valid. */
  olderSuperblock: Superblock | null;
  /** What reads it beside a writer, if it is open read-only. */
  readonly reader: CheckpointReader | null;
  /** Where it is told what was written to the file, once the pool has memory for that. */
  unsynced: UnsyncedRegions | null = null;
  #slot: number;
  #syncsInstead = false;

  private constructor(
    readonly io: IoFile,
    readonly created: boolean,
    readonly usedOlderSlot: boolean,
    private readonly lock: FileLock | null,
    found: SuperblockChoice,
    readOnly: boolean,
  ) {
    this.reader = readOnly ? new CheckpointReader(this) : null;
    this.#slot = found.slot;
    this.superblock = found.newest;
    this.olderSuperblock = found.older;
  }

  /**
   * The file as another thread of the process has it, which has opened and locked it. Each thread reads and writes through a
   * file of its own; superblocks are written by the thread with the lock alone. The lock of that thread, of this name, is joined: while
   * this one may write nobody else opens the file, whatever becomes of that one.
   */
  static async share(io: IoBackend, path: string, superblock: Superblock, lockName: string | null): Promise<PageFile> {
    const file = await io.open(path, {});
    try {
      const lock = lockName === null ? null : await file.joinLock?.(lockName);
      const choice = { slot: 0, newest: superblock, older: null };
      return new PageFile(file, false, false, lock ?? null, choice, false);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** By which other threads join the lock. */
  get lockName(): string | null {
    return this.lock?.name ?? null;
  }

  get pageSize(): number {
    return this.superblock.pageSize;
  }

  /** Units that the superblocks take at the beginning of the file. */
  get reservedUnits(): number {
    return Math.ceil((SLOT_COUNT * SLOT_SIZE) / this.pageSize);
  }

  /**
   * Opens the file, locks it or, read-only, pins what it finds, and chooses the superblock that counts; creates the store if there is
   * none. `pageSize` null takes what the store has, or 16 KiB for a new one.
   */
  static async open(
    request: PageStoreOpenRequest,
    { memory, pageSize }: { readonly memory: number; readonly pageSize: number | null },
    defaultPageSize: number,
  ): Promise<PageFile> {
    const { io, path, readOnly } = request;
    const existed = await io.exists(path);
    if (!existed && (readOnly || !request.create)) {
      throw new PagewrightError(
        'PW_NOT_FOUND',
        `There is no store at ${path}. Check the path${readOnly ? '; a store that is opened read-only is not created' : ', or open it with create: true'}.`,
        {
          details: { path },
        },
      );
    }
    if (existed && request.errorIfExists) {
      throw new PagewrightError(
        'PW_EXISTS',
        `There is a store at ${path} already. Choose another path, or leave out errorIfExists.`,
        {
          details: { path },
        },
      );
    }
    if (!existed) await refuseOrphanedLog(request);
    if (!existed) checkMemory(memory, pageSize ?? defaultPageSize);
    const file = await io.open(path, { create: !readOnly, readOnly }).catch((error) => {
      throw notAFile(error, path);
    });
    let lock: FileLock | null = null;
    try {
      lock = readOnly ? null : await file.lock();
      const blank = file.size() === 0 && request.create && !readOnly;
      // Beside a writer a slot may be half-written, or the store half-created, for an instant.
      const slots = blank ? [] : await (readOnly ? settledSlots(() => readSlots(file)) : readSlots(file));
      const choice = blank ? null : chooseSuperblock(slots, path);
      if (choice === null) {
        await refuseOthersData(file, slots);
        if (readOnly || !request.create) {
          throw new PagewrightError(
            'PW_NOT_FOUND',
            `${path} holds no store: its creation was cut short. Open it with create: true.`,
            {
              details: { path },
            },
          );
        }
        await refuseOrphanedLog(request);
        const superblock = await createStore(request, file, pageSize ?? defaultPageSize);
        return new PageFile(file, true, false, lock, { slot: 1, newest: superblock, older: superblock }, false);
      }
      if (pageSize !== null && pageSize !== choice.newest.pageSize) {
        throw new PagewrightError(
          'PW_PAGE_SIZE',
          `${path} has pages of ${choice.newest.pageSize} bytes, not ${pageSize}. A store keeps the page size that it was created with: leave pageSize out to open it.`,
          { details: { path, pageSize: choice.newest.pageSize, asked: pageSize } },
        );
      }
      // C5: what was found is durable before anything is built on it.
      if (!readOnly) await file.sync();
      // Which of the two was newer cannot be told when one is damaged, in its first bytes or in others.
      const isOneDamaged = slots.some((slot) => slot.kind !== 'valid');
      const pageFile = new PageFile(file, false, isOneDamaged, lock, choice, readOnly);
      await pageFile.reader?.begin();
      return pageFile;
    } catch (error) {
      await lock?.release();
      await file.close();
      throw error;
    }
  }

  offsetOf(address: number): number {
    return unitOf(address) * this.pageSize;
  }

  bytesOf(address: number): number {
    return this.pageSize * 2 ** sizeClassOf(address);
  }

  /** Writes the next superblock over the slot that does not count, and makes it durable (C3). */
  async switchTo(superblock: Superblock): Promise<void> {
    const slot = 1 - this.#slot;
    const write = { kind: 'write', offset: slot * SLOT_SIZE, buffer: encodeSuperblock(superblock) } as const;
    await this.io.submit([write], { sync: true });
    this.#slot = slot;
    this.olderSuperblock = this.superblock;
    this.superblock = superblock;
  }

  /** From now on this superblock counts: someone else has written it. */
  adopt({ slot, newest, older }: SuperblockChoice): void {
    this.#slot = slot;
    this.superblock = newest;
    this.olderSuperblock = older;
  }

  readSlots(): Promise<readonly Slot[]> {
    return readSlots(this.io);
  }

  readSlotsSync(): readonly Slot[] {
    const blocks = Buffer.alloc(SLOT_COUNT * SLOT_SIZE);
    this.io.readSync(blocks, 0);
    return decodeSlots(blocks);
  }

  /** Checks an extent that was read against the checksum of the swip that names it. */
  verify(bytes: Uint8Array, address: number, checksum: number): void {
    if (crc32(bytes) === checksum >>> 0) return;
    const overtaken = this.reader?.overtaken() ?? null;
    if (overtaken !== null) throw overtaken;
    throw new PagewrightError(
      'PW_CORRUPT_PAGE',
      `The page at byte ${this.offsetOf(address)} of ${this.io.path} (${bytes.length} bytes) does not match its checksum. Restore the store from a backup.`,
      { details: { path: this.io.path, offset: this.offsetOf(address), bytes: bytes.length } },
    );
  }

  /**
   * The error of a read that failed. To a reader that the writer has overtaken, the end of a file that has become smaller says no more than
   * a page that does not match its checksum.
   */
  whyUnread(error: unknown): unknown {
    const isBeyondEnd = isPagewrightError(error, 'PW_IO') && error.details.errno === 'EOF';
    return (isBeyondEnd ? this.reader?.overtaken() : null) ?? error;
  }

  /** Whether a superblock names this checkpoint still. */
  names(superblock: Superblock): boolean {
    if (this.reader !== null) return this.reader.isNamed(superblock);
    return superblock === this.superblock || superblock === this.olderSuperblock;
  }

  /** Reads extents, as one batch. What was read is not held against anything. */
  async readExtents(extents: readonly { readonly address: number; readonly bytes: Uint8Array }[]): Promise<void> {
    const reads = extents.map(
      ({ address, bytes }): IoOperation => ({ kind: 'read', offset: this.offsetOf(address), buffer: bytes }),
    );
    await this.io.submit(reads).catch((error) => {
      throw this.whyUnread(error);
    });
  }

  /** Writes images to their extents, as one batch in the order of the file. */
  async writeImages(images: readonly AddressedImage[]): Promise<void> {
    await this.io.submit(this.#writesOf(images));
    this.#tellWritten(images);
  }

  writeImagesSync(images: readonly AddressedImage[]): void {
    this.io.submitSync(this.#writesOf(images));
    this.#tellWritten(images);
  }

  /** Makes all that was written durable. */
  async sync(): Promise<void> {
    this.unsynced?.clear();
    await this.io.sync();
  }

  /** Whether a piece is brought out by a sync of all, as far as it was tried. */
  get syncsInstead(): boolean {
    return this.#syncsInstead;
  }

  /** Of what was written, how much has not been brought to the device, nor was about to be, as far as it is known. */
  get unsyncedBytes(): number {
    return this.unsynced?.total ?? 0;
  }

  /** Brings to the device about so many bytes of what was written, and makes nothing durable; all of it by a sync, where pieces cannot be had. Returns how many; 0 if there was nothing. */
  async writeBack(bytes: number): Promise<number> {
    const piece = this.unsynced?.take(bytes, this.io.size()) ?? NO_PIECE;
    for (const { offset, length } of piece.ranges) {
      const isDone = (await this.io.writeBack?.(offset, length)) ?? false;
      if (isDone) continue;
      this.#syncsInstead = true;
      const left = this.unsyncedBytes;
      await this.sync();
      return piece.bytes + left;
    }
    return piece.bytes;
  }

  #tellWritten(images: readonly AddressedImage[]): void {
    if (this.unsynced === null) return;
    for (const { address, image } of images) this.unsynced.add(this.offsetOf(address), image.bytes.length);
  }

  #writesOf(images: readonly AddressedImage[]): IoOperation[] {
    return images
      .map(
        ({ address, image }): IoOperation => ({ kind: 'write', offset: this.offsetOf(address), buffer: image.bytes }),
      )
      .sort((one, other) => one.offset - other.offset);
  }

  async close(): Promise<void> {
    try {
      await this.reader?.end();
    } finally {
      try {
        await this.io.close();
      } finally {
        await this.lock?.release();
      }
    }
  }
}

async function readSlots(file: IoFile): Promise<readonly Slot[]> {
  if (file.size() < SLOT_COUNT * SLOT_SIZE) {
    // A store is never this short. Creation fills both slots with zeros first: anything else was cut off, or is no store.
    const padded = Buffer.alloc(SLOT_SIZE);
    await file.read(padded.subarray(0, Math.min(file.size(), SLOT_SIZE)), 0);
    const slot = decodeSlot(padded);
    return slot.kind === 'blank' || slot.kind === 'foreign' ? [slot, slot] : [slot, { kind: 'damaged' as const }];
  }
  const blocks = Buffer.alloc(SLOT_COUNT * SLOT_SIZE);
  await file.read(blocks, 0);
  return decodeSlots(blocks);
}

function decodeSlots(blocks: Buffer): readonly Slot[] {
  return [decodeSlot(blocks.subarray(0, SLOT_SIZE)), decodeSlot(blocks.subarray(SLOT_SIZE))];
}

/**
 * A creation that was cut short leaves zeros, but for the first superblock, and no more than a page of them. All else that
 * begins so is someone's: an image of a disc, or a store whose beginning was wiped out. Errors: `PW_NOT_A_STORE`,
 * `PW_CORRUPT_FILE`.
 */
async function refuseOthersData(file: IoFile, slots: readonly Slot[]): Promise<void> {
  const size = file.size();
  if (size <= MAX_PAGE_SIZE) {
    const bytes = Buffer.alloc(size);
    if (size > 0) await file.read(bytes, 0);
    const from = slots[0]?.kind === 'damaged' ? SLOT_SIZE : 0;
    if (bytes.subarray(from).every((byte) => byte === 0)) return;
  }
  if (slots.some(({ kind }) => kind === 'damaged')) {
    throw new PagewrightError(
      'PW_CORRUPT_FILE',
      `A superblock of ${file.path} is damaged, and the other is wiped out. Restore the file from a backup; nothing was changed.`,
      { details: { path: file.path } },
    );
  }
  throw notAStore(file.path);
}

const NO_FILE: ReadonlySet<unknown> = new Set(['EISDIR', 'ENXIO', 'ENOTSUP']);

/** The error of opening what is a directory, a pipe or a device. Passes others through. */
function notAFile(error: unknown, path: string): unknown {
  if (!isPagewrightError(error, 'PW_IO') || !NO_FILE.has(error.details.errno)) return error;
  return new PagewrightError(
    'PW_NOT_A_STORE',
    `${path} is not a file, but a directory, a pipe or a device. Check the path; nothing was changed.`,
    { cause: error, details: { ...error.details } },
  );
}

/** A log beside an empty file says that there was a store: it is not overwritten in silence. */
async function refuseOrphanedLog(request: PageStoreOpenRequest): Promise<void> {
  const directory = `${request.path}-wal`;
  if ((await request.io.list(directory)).length === 0) return;
  throw new PagewrightError(
    'PW_CORRUPT_FILE',
    `${request.path} is empty or missing, but its log ${directory} is there. Restore the file from a backup, or remove the log to begin anew.`,
    { details: { path: request.path, log: directory } },
  );
}

/**
 * An empty store: both slots, so that a damaged slot beside a blank one can only mean that this was cut short.
 */
async function createStore(request: PageStoreOpenRequest, file: IoFile, pageSize: number): Promise<Superblock> {
  const storeId = randomBytes(16).toString('hex');
  const superblock = (epoch: number): Superblock => ({
    pageSize,
    storeId,
    epoch,
    mark: { timestamp: 0, log: NO_LOG },
    catalogAddress: 0,
    catalogChecksum: 0,
    mapAddress: 0,
    mapChecksum: 0,
  });
  await file.allocate(0, Math.max(pageSize, SLOT_COUNT * SLOT_SIZE));
  await file.submit([{ kind: 'write', offset: 0, buffer: encodeSuperblock(superblock(1)) }]);
  await file.sync();
  await file.submit([{ kind: 'write', offset: SLOT_SIZE, buffer: encodeSuperblock(superblock(2)) }]);
  await file.sync();
  await request.io.syncDirectory(dirname(request.path));
  return superblock(2);
}
