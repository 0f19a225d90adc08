/**
 * The reader's side of C7: a store that is open read-only reads one checkpoint, and goes on to later ones. What it reads is
 * pinned: published, and then the superblocks are read again. So every checkpoint that was found in a slot after the pin was
 * published is kept for it, those newer than the pin as well.
 *
 * Must hold: it writes nothing to the file and takes no lock. Where it may write nothing beside the file either, it reads all the
 * same: a page whose space was used again does not match its checksum, and that the superblock is gone tells this from damage.
 */
import { isPagewrightError, PagewrightError, type ReaderPin } from '@pagewright/core/contracts';
import type { PageFile } from './page-file.js';
import { pinText } from './reader-pins.js';
import { chooseSuperblock, encodeSuperblock, type Slot, type Superblock, type SuperblockChoice } from './superblock.js';

/** Times that slots are read which may just be being written. */
const MOST_READS = 8;

/** Why a reader may have to do without a pin: a directory or file system that it cannot write to, or a disk that is full. */
const UNPINNABLE = ['PW_PERMISSION', 'PW_FULL', 'PW_READ_ONLY'] as const;

/** Reads the slots until none looks half-written, or it has looked so often that it is not. */
export async function settledSlots(read: () => Promise<readonly Slot[]>): Promise<readonly Slot[]> {
  let slots = await read();
  for (let reads = 1; reads < MOST_READS && !slots.every(({ kind }) => kind === 'valid'); reads++) {
    await new Promise(setImmediate);
    slots = await read();
  }
  return slots;
}

export class CheckpointReader {
  #pin: ReaderPin | null = null;
  /** The epoch from which on the writer keeps everything; null if it is not asked to. */
  pinnedEpoch: number | null = null;

  constructor(private readonly file: PageFile) {}

  /** Publishes the pin of the checkpoint that the file was opened with, and goes on to the newest that it covers. */
  async begin(): Promise<void> {
    const { io, superblock } = this.file;
    if (io.publishPin === undefined) return;
    try {
      this.#pin = await io.publishPin(pinText(superblock.storeId, superblock.epoch));
    } catch (error) {
      if (UNPINNABLE.some((code) => isPagewrightError(error, code))) return;
      throw error;
    }
    this.pinnedEpoch = superblock.epoch;
    try {
      const newer = await this.newer();
      if (newer !== null) this.file.adopt(newer);
      await this.movePin();
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  /** The newest checkpoint, if it is newer than the one that is read. */
  async newer(): Promise<SuperblockChoice | null> {
    const { superblock, io } = this.file;
    const slots = await settledSlots(() => this.file.readSlots());
    const choice = chooseSuperblock(slots, io.path);
    if (choice === null || choice.newest.storeId !== superblock.storeId) return null;
    const { newest } = choice;
    // The same number with another content: the writer fell back to the older slot, and has come as far again.
    const isNewer = newest.epoch > superblock.epoch || (newest.epoch === superblock.epoch && !same(newest, superblock));
    return isNewer ? choice : null;
  }

  /** From now on the writer may use what only older checkpoints need than the one that is read. */
  async movePin(epoch = this.file.superblock.epoch): Promise<void> {
    if (this.#pin === null || this.pinnedEpoch === epoch) return;
    try {
      await this.#pin.move(pinText(this.file.superblock.storeId, epoch));
      this.pinnedEpoch = epoch;
    } catch (error) {
      // The old pin stays, and keeps all that the new one would, and more.
      if (!UNPINNABLE.some((code) => isPagewrightError(error, code))) throw error;
    }
  }

  /**
   * Whether a superblock still names the checkpoint that is read. Reads in place: it is asked when something does not match. Half-written
   * slots count for nothing: the writer writes over the one that does not count.
   */
  isNamed(superblock: Superblock = this.file.superblock): boolean {
    return this.file.readSlotsSync().some((slot) => slot.kind === 'valid' && same(slot.superblock, superblock));
  }

  /** The error of a page that does not match its checksum, because it is another one by now; null if it should be there. */
  overtaken(): PagewrightError | null {
    const { superblock, io } = this.file;
    if (this.isNamed()) return null;
    return new PagewrightError(
      'PW_SNAPSHOT_TOO_OLD',
      `Checkpoint ${superblock.epoch} of ${io.path} is gone: the writer has used its space again, because this reader could not ask it to wait, or no longer did. Call refresh() to go on to the newest checkpoint, and read again.`,
      { details: { path: io.path, checkpoint: superblock.epoch } },
    );
  }

  /**
   * Has the older superblock's checkpoint kept as well until the function that is returned is called. If the writer was faster, the file
   * has no older superblock any more.
   */
  async holdOlder(): Promise<() => Promise<void>> {
    const { file } = this;
    const { olderSuperblock } = file;
    if (olderSuperblock !== null) {
      await this.movePin(olderSuperblock.epoch);
      if (!this.isNamed(olderSuperblock)) file.olderSuperblock = null;
    }
    return () => this.movePin();
  }

  async end(): Promise<void> {
    this.pinnedEpoch = null;
    await this.#pin?.release();
  }
}

function same(a: Superblock, b: Superblock): boolean {
  return encodeSuperblock(a).equals(encodeSuperblock(b));
}
