/**
 * The images that a checkpoint has on their way to the file, as one batch. It is written without blocking, and settled by the
 * thread's event loop; who wants room in the same thread, and cannot wait for that, writes it once more, in place.
 *
 * Must hold: images and their extents stay what they are until both writes are over. Those of a settled page are kept by its
 * birth in the closed epoch (C4), which the checkpoint ends only afterwards.
 */
import { isPagewrightError, POINT, schedulePoint, type Threads } from '@pagewright/core/contracts';
import type { StagedImage } from './closed-epoch.js';
import type { Epochs } from './epochs.js';
import type { PageFile } from './page-file.js';
import type { PoolLatch } from './pool-latch.js';

export class CheckpointBatch {
  /** Null if none is on its way, or if its pages are settled already. */
  #unsettled: readonly StagedImage[] | null = null;

  constructor(
    private readonly epochs: Epochs,
    private readonly file: PageFile,
    private readonly poolLatch: PoolLatch,
  ) {}

  /** Whether pages wait for this thread's event loop to be told that they are in the file. */
  get isUnderWay(): boolean {
    return this.#unsettled !== null;
  }

  /** Writes the images, and settles them. If that fails they are taken back, and the checkpoint has failed. Errors: those of writing. */
  async write(batch: readonly StagedImage[]): Promise<void> {
    this.#unsettled = batch;
    try {
      await this.file.writeImages(batch);
    } catch (error) {
      this.#end(batch, (staged) => this.epochs.unstage(staged));
      this.poolLatch.holding(() => this.epochs.fail());
      throw error;
    }
    schedulePoint(POINT.imagesWritten);
    this.#end(batch, (staged) => this.epochs.settleStaged(staged));
  }

  /**
   * Writes the images that are on their way in place, so that their pages may leave; false if there are none. The caller has the
   * pool latch, which is given back for the write. Errors: those of writing; then the batch is on its way still.
   */
  finish(): boolean {
    const batch = this.#unsettled;
    if (batch === null || this.epochs.hasFailed) return false;
    const depth = this.poolLatch.suspend();
    try {
      this.file.writeImagesSync(batch);
    } finally {
      this.poolLatch.resume(depth);
    }
    // Of one that has failed meanwhile the extents are not free before the other write is over.
    if (this.epochs.hasFailed) return false;
    this.#unsettled = null;
    for (const staged of batch) this.epochs.settleAhead(staged);
    return true;
  }

  /** The same for a thread that another one blocks, which may wait for these frames. What writing throws the other write is told, too. */
  finishWhileBlocked(threads: Threads): void {
    if (!this.isUnderWay || threads.isInPoolLatch) return;
    try {
      this.poolLatch.holding(() => this.finish());
    } catch (error) {
      if (!isPagewrightError(error) || error.code === 'PW_INTERNAL') throw error;
    }
  }

  /** The write is over. Of pages that were settled meanwhile the memory of the images is left. */
  #end(batch: readonly StagedImage[], settle: (staged: StagedImage) => void): void {
    const isUnsettled = this.#unsettled === batch;
    this.#unsettled = null;
    this.poolLatch.holding(() => {
      for (const staged of batch) {
        if (isUnsettled) settle(staged);
        else this.epochs.giveImage(staged);
      }
    });
  }
}
