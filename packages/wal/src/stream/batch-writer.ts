/** Brings batches to the files of their segments, in the background or in place, and makes them durable if that is wanted. */
import { isPagewrightError, type PagewrightError, type SharedLatch } from '@pagewright/core';
import type { LogState } from '../sharing/log-state.js';
import type { Batch, Batches } from './batches.js';
import type { OpenSegments } from './open-segments.js';

export interface BatchWriterContext {
  readonly state: LogState;
  readonly latch: SharedLatch;
  readonly batches: Batches;
  readonly open: OpenSegments;
  /** What commits are told when a write or a sync has failed. */
  fail(error: unknown): PagewrightError;
  /** The same if the latch cannot be had any more; null for any other error. */
  cutOff(error: unknown): PagewrightError | null;
}

export class BatchWriter {
  readonly #context: BatchWriterContext;

  constructor(context: BatchWriterContext) {
    this.#context = context;
  }

  writeInPlace(batch: Batch, options: { readonly sync: boolean }): void {
    const { open, batches, fail } = this.#context;
    try {
      for (const { segment, operations } of batch.writes) {
        const file = open.inPlace(segment);
        const { transfers, file: whole } = syncsOf(batch, segment, options.sync);
        if (operations.length > 0) file.submitSync(operations, { sync: transfers });
        if (whole) file.syncSync();
      }
    } catch (error) {
      if (!this.#isSuperfluous(batch, error)) throw fail(error);
    } finally {
      batches.done(batch);
    }
  }

  async write(batch: Batch, options: { readonly sync: boolean }): Promise<void> {
    const { open, batches, latch, state, fail, cutOff } = this.#context;
    try {
      for (const { segment, operations } of batch.writes) {
        // A flush that overtook this one has made the segment durable, and the stream has gone on to another.
        if (latch.holding(() => segment < state.durableSegment)) continue;
        const file = await open.background(segment);
        const { transfers, file: whole } = syncsOf(batch, segment, options.sync);
        if (operations.length > 0) await file.submit(operations, { sync: transfers });
        if (whole) await file.sync();
      }
    } catch (error) {
      if (!this.#isSuperfluous(batch, error)) throw cutOff(error) ?? fail(error);
    } finally {
      batches.done(batch);
    }
  }

  /** Whether a file is missing because others have made all of this durable, and then given the file up. */
  #isSuperfluous({ target }: Batch, error: unknown): boolean {
    return isPagewrightError(error, 'PW_NOT_FOUND') && this.#context.state.durable >= target;
  }
}

/** Which syncs make a batch durable: that of its transfers, unless the file has grown, or nothing is transferred. */
function syncsOf(
  { place, hasGrown, writes }: Batch,
  segment: number,
  sync: boolean,
): { readonly transfers: boolean; readonly file: boolean } {
  const isWhole = (segment === place.segment && hasGrown) || writes.every(({ operations }) => operations.length === 0);
  return { transfers: sync && !isWhole, file: sync && isWhole };
}
