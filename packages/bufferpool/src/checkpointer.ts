/**
 * Checkpoints (C1 to C5): the tree as it was at one instant is written to new places, children before parents, then the
 * allocation map, and the superblock makes it count. Work goes on meanwhile.
 *
 * Must hold (C3): images and map are durable, and the log up to the mark, before the superblock is written; nothing is
 * recycled before it is durable.
 */
import { crc32 } from 'node:zlib';
import {
  type CheckpointResult,
  type CheckpointSteps,
  PagewrightError,
  POINT,
  schedulePoint,
  sizeClassOf,
} from '@pagewright/core/contracts';
import { encodeMap, mapBytes } from './allocation-map.js';
import { CheckpointBatch } from './checkpoint-batch.js';
import type { StagedImage } from './closed-epoch.js';
import { tellCheckpoint } from './diagnostics.js';
import type { Epochs } from './epochs.js';
import type { FileSpace } from './file-space.js';
import type { Gate } from './gate.js';
import type { PageFile } from './page-file.js';
import type { PoolLatch } from './pool-latch.js';
import type { ReaderPins } from './reader-pins.js';
import { assertMark } from './request-check.js';
import { messageOf } from './verify-tree.js';

/** Images are staged in slices of so many bytes. */
const SLICE_BYTES = 128 * 1024;
/** So much is brought to the device at once while others use it: a flush of the log that comes meanwhile waits for that. */
const PIECE_BYTES = 1024 * 1024;
/** For each byte that a checkpoint writes so many are brought out at most meanwhile, besides what there was when it began. */
const MOST_EVICTED = 4;
/** And so many more when all is written, besides what is left then: others evict while that is brought out as well. */
const MOST_EVICTED_AT_LAST = 3;
/** That goes so many times as fast: where others evict faster than is brought out meanwhile, they are caught up with. */
const HASTE_AT_LAST = 2;
/** When so little is left it ends. */
const LITTLE_BYTES = 4 * 1024 * 1024;
/** An eviction by another thread ends when its write does, and tells nobody. */
const BETWEEN_LOOKS_MS = 1;

/** How far a checkpoint has come, what it has written itself, what was unsynced when it began, and what it may still bring out by now; in bytes. */
interface Progress {
  written: number;
  bytes: number;
  readonly unsynced: number;
  granted: number;
}

export class Checkpointer {
  readonly batch: CheckpointBatch;
  #running: Promise<CheckpointResult> | null = null;
  #next: Promise<CheckpointResult> | null = null;
  #failure: unknown = null;
  /** Units in the maps of the two slots, the newer first, as far as they are known; and in the one that is on its way. */
  #mappedUnits: readonly [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  #nextMappedUnits = 0;

  constructor(
    private readonly epochs: Epochs,
    private readonly space: FileSpace,
    private readonly file: PageFile,
    private readonly rootFrame: number,
    /** Images are written in batches of so many bytes. */
    private readonly batchBytes: number,
    private readonly gate: Gate,
    private readonly poolLatch: PoolLatch,
    private readonly readers: ReaderPins,
  ) {
    this.batch = new CheckpointBatch(epochs, file, poolLatch);
  }

  /** Runs a checkpoint; calls that come while one runs share the one after it. */
  run(steps: CheckpointSteps): Promise<CheckpointResult> {
    schedulePoint(POINT.checkpointAsked);
    // One that waits for its turn has not begun: when none runs it is about to, and no other may come between.
    if (this.#running === null && this.#next === null) return this.#start(steps);
    this.#next ??= this.idle().then(() => {
      this.#next = null;
      return this.#start(steps);
    });
    return this.#next;
  }

  /** Whether one runs: a superblock may be on its way to the file. */
  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Units in the largest of the maps that count or may come to: those of both slots, and one on its way. The file is no shorter. */
  get mappedUnits(): number {
    return Math.max(...this.#mappedUnits, this.#nextMappedUnits);
  }

  /** Resolves when none runs. Never rejects. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running.catch(() => {});
  }

  #start(steps: CheckpointSteps): Promise<CheckpointResult> {
    const running = this.#write(steps).finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }

  async #write(steps: CheckpointSteps): Promise<CheckpointResult> {
    if (this.#failure !== null) {
      throw new PagewrightError(
        'PW_READ_ONLY',
        `No checkpoint can be written after one has failed: ${messageOf(this.#failure)} Close the store and open it again.`,
        {
          cause: this.#failure,
        },
      );
    }
    const begun = performance.now();
    const mark = this.gate.whileClosed(() => {
      const mark = steps.gate();
      assertMark(mark, this.file.superblock.mark);
      this.poolLatch.holding(() => this.epochs.close(this.rootFrame));
      return mark;
    });
    schedulePoint(POINT.gateClosed);
    try {
      const epoch = this.epochs.closedNumber;
      const pages = this.epochs.closedPages;
      const bytes = await this.#writeImages(steps);
      this.poolLatch.holding(() => this.epochs.checkReached());
      const previous = this.file.superblock;
      let { catalogAddress, catalogChecksum, mapAddress, mapChecksum } = previous;
      const top = this.epochs.topImage;
      if (top !== null) {
        ({ address: catalogAddress, checksum: catalogChecksum } = top);
        ({ address: mapAddress, checksum: mapChecksum } = await this.#writeMap(epoch, mapAddress));
        await this.file.sync();
        schedulePoint(POINT.pagesSynced);
      }
      await steps.secureLog(mark);
      schedulePoint(POINT.logSecured);
      await this.file.switchTo({ ...previous, epoch, mark, catalogAddress, catalogChecksum, mapAddress, mapChecksum });
      this.#mappedUnits = [top === null ? this.#mappedUnits[0] : this.#nextMappedUnits, this.#mappedUnits[0]];
      this.#nextMappedUnits = 0;
      schedulePoint(POINT.superblockWritten);
      this.poolLatch.holding(() => this.epochs.settle());
      const limit = await this.readers.limit(previous.epoch);
      this.poolLatch.holding(() => {
        this.space.release(limit);
        this.space.readers = this.readers.count;
        this.epochs.countCheckpoint();
      });
      schedulePoint(POINT.spaceRecycled);
      const result: CheckpointResult = {
        epoch,
        mark,
        olderMark: previous.mark,
        pagesWritten: pages,
        bytesWritten: bytes,
        durationMs: performance.now() - begun,
      };
      tellCheckpoint(this.file, result);
      return result;
    } catch (error) {
      this.#failure = error;
      this.poolLatch.holding(() => this.epochs.fail());
      throw error;
    }
  }

  /**
   * Writes what the closed epoch owes, one batch in flight at a time, so that reads of others find the device free in between.
   * Returns the bytes that were written here; others write images too, by eviction and to make room for more.
   */
  async #writeImages(steps: CheckpointSteps): Promise<number> {
    const progress = { written: 0, bytes: 0, unsynced: this.file.unsyncedBytes, granted: 0 };
    for (;;) {
      const batch: StagedImage[] = [];
      const bytes = this.#stageBatch(batch);
      if (batch.length === 0) {
        if (this.epochs.hasFailed) throw this.#elsewhere();
        if (this.poolLatch.holding(() => this.epochs.isStaged)) {
          // Others may have written the last of it.
          if (progress.written < 1) await this.#makeWay(steps, progress, 0);
          return progress.bytes;
        }
        // What comes next is being evicted by another thread, which may still fail to write it.
        await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
        continue;
      }
      await this.batch.write(batch);
      progress.bytes += bytes;
      await this.#makeWay(steps, progress, bytes);
    }
  }

  /**
   * After a batch: lets others use the device, and brings out a part of what was written, by evictions as well, so that little is left for the end, and nobody waits for much at once:
   * of what is there the share by which the checkpoint has advanced, and when all is written, all. Others may evict faster than is brought out here, so what comes of that is limited: a checkpoint has an end.
   */
  async #makeWay(steps: CheckpointSteps, progress: Progress, batchBytes: number): Promise<void> {
    if (steps.advanced === undefined) return;
    const written = this.poolLatch.holding(() => this.epochs.shareWritten);
    const advance = written - progress.written;
    const share = progress.written < 1 ? advance / (1 - progress.written) : 1;
    progress.written = written;
    const isLast = written === 1;
    // The sync at the end would follow at once.
    if (isLast && this.file.syncsInstead) return;
    const unsynced = this.file.unsyncedBytes;
    progress.granted += progress.unsynced * advance + MOST_EVICTED * batchBytes;
    if (isLast) progress.granted += unsynced + MOST_EVICTED_AT_LAST * progress.bytes;
    let due = isLast ? progress.granted : Math.min(unsynced * share, progress.granted);
    const haste = isLast ? HASTE_AT_LAST : 1;
    for (let isAsked = true; isAsked; ) {
      isAsked = false;
      const told = { written, inPieces: !this.file.syncsInstead, haste };
      await steps.advanced(told, async () => {
        const bytes = await this.file.writeBack(PIECE_BYTES);
        due -= bytes;
        progress.granted -= bytes;
        if (isLast) due = this.#dueAtLast(due);
        isAsked = bytes > 0 && due > 0 && !this.epochs.hasFailed;
      });
    }
  }

  /** Once little is left, that alone: others may go on. */
  #dueAtLast(due: number): number {
    const left = this.file.unsyncedBytes;
    return left > LITTLE_BYTES ? due : Math.min(due, left);
  }

  /** Stages a batch in slices, each of which is one call: others wait for one of them, not for a batch. */
  #stageBatch(batch: StagedImage[]): number {
    let bytes = 0;
    try {
      while (bytes < this.batchBytes) {
        const slice = Math.min(SLICE_BYTES, this.batchBytes - bytes);
        const staged = this.poolLatch.holding(() => this.epochs.stage(batch, slice));
        if (staged === 0) break;
        bytes += staged;
      }
    } catch (error) {
      this.poolLatch.holding(() => {
        for (const staged of batch) this.epochs.unstage(staged);
      });
      throw error;
    }
    return bytes;
  }

  #elsewhere(): PagewrightError {
    return new PagewrightError(
      'PW_IO',
      `A page that the checkpoint of ${this.file.io.path} needs could not be written by a change that had to make room. Close the store and open it again.`,
      { details: { path: this.file.io.path } },
    );
  }

  /** Writes the map of the closed epoch to an extent that it names itself. */
  async #writeMap(epoch: number, previous: number): Promise<{ address: number; checksum: number }> {
    const { address, block } = this.poolLatch.holding(() => this.#makeMap(epoch, previous));
    await this.file.io.write(block, this.file.offsetOf(address));
    schedulePoint(POINT.mapWritten);
    return { address, checksum: crc32(block) };
  }

  #makeMap(epoch: number, previous: number): { readonly address: number; readonly block: Buffer } {
    const { pageSize } = this.file;
    if (previous !== 0) this.space.giveUp(previous, 'closed', epoch);
    let address = 0;
    let map = this.space.closedMap(epoch);
    // Allocating may grow the file, and with it the map.
    for (let needed = this.space.closedMapBytes(); address === 0; ) {
      const sizeClass = Math.max(0, Math.ceil(Math.log2(needed / pageSize)));
      address = this.space.allocate(sizeClass, 'closed');
      map = this.space.closedMap(epoch);
      needed = mapBytes(map.units, map.givenUp.length);
      if (needed <= this.file.bytesOf(address)) break;
      this.space.withdraw(address);
      address = 0;
    }
    this.#nextMappedUnits = map.units;
    const block = Buffer.alloc(pageSize << sizeClassOf(address));
    encodeMap(map, block);
    return { address, block };
  }
}
