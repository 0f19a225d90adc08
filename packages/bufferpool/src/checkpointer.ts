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
} from '@pagewright/core';
import { encodeMap, mapBytes } from './allocation-map.js';
import type { Epochs, StagedImage } from './epochs.js';
import type { FileSpace } from './file-space.js';
import type { PageFile } from './page-file.js';
import type { ReaderPins } from './reader-pins.js';

/** Images are written in batches of so many bytes. */
const BATCH_BYTES = 1024 * 1024;

export class Checkpointer {
  /** Completed ones. */
  count = 0;
  pagesWritten = 0;
  #running: Promise<CheckpointResult> | null = null;
  #next: Promise<CheckpointResult> | null = null;
  #failure: unknown = null;

  constructor(
    private readonly epochs: Epochs,
    private readonly space: FileSpace,
    private readonly file: PageFile,
    private readonly rootFrame: number,
    private readonly batchBytes: number,
    private readonly readers: ReaderPins,
  ) {
    this.batchBytes = Math.min(batchBytes, BATCH_BYTES);
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
        'No checkpoint can be written after one has failed. Close the store and open it again.',
        {
          cause: this.#failure,
        },
      );
    }
    const begun = performance.now();
    const mark = steps.gate();
    this.epochs.close(this.rootFrame);
    schedulePoint(POINT.gateClosed);
    try {
      const epoch = this.epochs.closedNumber;
      const entries = this.epochs.entries;
      const bytes = await this.#writeImages(entries);
      const previous = this.file.superblock;
      let { catalogAddress, catalogChecksum, mapAddress, mapChecksum } = previous;
      if (entries > 0) {
        ({ address: catalogAddress, checksum: catalogChecksum } = this.epochs.topImage);
        ({ address: mapAddress, checksum: mapChecksum } = await this.#writeMap(epoch, mapAddress));
        await this.file.io.sync();
        schedulePoint(POINT.pagesSynced);
      }
      await steps.secureLog(mark);
      schedulePoint(POINT.logSecured);
      await this.file.switchTo({ ...previous, epoch, mark, catalogAddress, catalogChecksum, mapAddress, mapChecksum });
      schedulePoint(POINT.superblockWritten);
      this.epochs.settle();
      this.space.release(await this.readers.limit(previous.epoch));
      schedulePoint(POINT.spaceRecycled);
      this.count++;
      this.pagesWritten += entries;
      return {
        epoch,
        mark,
        olderMark: previous.mark,
        pagesWritten: entries,
        bytesWritten: bytes,
        durationMs: performance.now() - begun,
      };
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  async #writeImages(entries: number): Promise<number> {
    let total = 0;
    let batch: StagedImage[] = [];
    let bytes = 0;
    const flush = async (): Promise<void> => {
      try {
        await this.file.io.submit(batch.map((staged) => this.file.write(staged.address, staged.image.bytes)));
        schedulePoint(POINT.imagesWritten);
      } catch (error) {
        for (const staged of batch) this.epochs.unstage(staged);
        throw error;
      }
      for (const staged of batch) this.epochs.settleStaged(staged);
      total += bytes;
      batch = [];
      bytes = 0;
    };
    for (let entry = 0; entry < entries; entry++) {
      const staged = this.epochs.stage(entry);
      if (staged === null) continue;
      batch.push(staged);
      bytes += staged.image.size;
      if (bytes >= this.batchBytes) await flush();
    }
    if (batch.length > 0) await flush();
    return total;
  }

  /** Writes the map of the closed epoch to an extent that it names itself. */
  async #writeMap(epoch: number, previous: number): Promise<{ address: number; checksum: number }> {
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
    const block = Buffer.alloc(pageSize << sizeClassOf(address));
    encodeMap(map, block);
    await this.file.io.write(block, this.file.offsetOf(address));
    schedulePoint(POINT.mapWritten);
    return { address, checksum: crc32(block) };
  }
}
