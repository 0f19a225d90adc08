/**
 * What a flush writes: everything that is appended and not durable, whichever thread appended it, as a copy of its own. Two
 * flushes, of one thread or of two, may so write the same bytes to the same places at the same time, and whichever ends
 * later changes nothing, however late it is.
 *
 * Must hold: from before the copy until the last transfer is over, the thread's slot shows the lowest segment of the batch.
 */
import type { IoOperation, LogPosition, Threads } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { LogSlots } from '../sharing/log-slots.js';
import type { LogState } from '../sharing/log-state.js';
import type { SegmentFiles } from './segment-files.js';
import type { Unflushed } from './unflushed.js';

/**
 * Copies up to these sizes use the same memory again: so many of the small ones as there may be writes under way in a thread, and of the large ones as a
 * flush in the background, the idle write and a flush in place.
 */
const KEPT = [
  { size: 32 * 1024, count: 16 },
  { size: 256 * 1024, count: 3 },
] as const;

/** What is to be written to one segment. */
export interface SegmentWrites {
  readonly segment: number;
  readonly operations: IoOperation[];
}

/** What a flush, or a write of a stretch, writes. */
export interface Batch {
  /** From where on. */
  readonly begin: LogPosition;
  readonly target: LogPosition;
  /** The end of the last record, in the segment that is current, whose file has `fileSize` bytes. */
  readonly place: Place;
  readonly fileSize: number;
  /** Of the last transaction before the end. */
  readonly timestamp: number;
  /** Whether the file of the current segment has grown, and no sync has covered that. */
  readonly hasGrown: boolean;
  /** In order. One at least: the current segment is synced, though nothing be written. */
  readonly writes: readonly SegmentWrites[];
  readonly tellsSize: boolean;
  readonly memory: Uint8Array;
}

export class Batches {
  readonly #state: LogState;
  readonly #slots: LogSlots;
  readonly #unflushed: Unflushed;
  readonly #files: SegmentFiles;
  readonly #threads: Threads;
  /** By their places in `KEPT`. */
  readonly #kept: readonly Uint8Array[][] = KEPT.map(() => []);

  constructor(state: LogState, slots: LogSlots, unflushed: Unflushed, files: SegmentFiles, threads: Threads) {
    this.#state = state;
    this.#slots = slots;
    this.#unflushed = unflushed;
    this.#files = files;
    this.#threads = threads;
  }

  /**
   * All that is appended now, from what is durable on or from a later position, and then one record more. The caller has
   * the latch.
   */
  collect(beside: Uint8Array | null = null, from = this.#state.durable): Batch {
    const state = this.#state;
    const { appended, segment, used, durableSegment } = state;
    const memory = this.#memoryFor(appended - from);
    this.#unflushed.copy(from, appended, memory);
    const writes: SegmentWrites[] = [];
    for (let number = durableSegment; number <= segment; number++) {
      const end = number === segment ? appended : state.beginOf(number + 1);
      if (end < from) continue;
      const begin = number === durableSegment ? from : Math.max(from, state.beginOf(number));
      const offset = SEGMENT_HEADER_SIZE + begin - state.beginOf(number);
      const buffer = memory.subarray(begin - from, end - from);
      const operations: IoOperation[] = begin < end ? [{ kind: 'write', offset, buffer }] : [];
      if (number === segment && beside !== null) operations.push({ kind: 'write', offset: used, buffer: beside });
      if (operations.length > 0 || number === segment) writes.push({ segment: number, operations });
    }
    const tellsSize = this.headerIsDue && !this.#isTelling();
    if (tellsSize) {
      state.telling = this.#threads.tag;
      state.toldSize = state.durableSize;
      writes[writes.length - 1]!.operations.push({
        kind: 'write',
        offset: 0,
        buffer: this.#files.headerOf(segment, state.toldSize),
      });
    }
    this.#slots.beginWrites(writes[0]!.segment);
    return {
      begin: from,
      target: appended,
      place: { segment, offset: used },
      fileSize: state.allocated,
      timestamp: state.lastTimestamp,
      hasGrown: state.durableSize < state.allocated,
      writes,
      tellsSize,
      memory,
    };
  }

  /**
   * Whether the header is to be written: the file has grown, durably, so that a header which says so cannot be there without
   * the blocks. While one thread writes it no other does: the older of two writes could be the one to stay.
   */
  get headerIsDue(): boolean {
    return this.#state.toldSize < this.#state.durableSize;
  }

  /** The transfers are over, whatever came of them. */
  done({ writes, tellsSize, memory }: Batch): void {
    if (tellsSize) this.#state.telling = 0;
    this.#slots.endWrites(writes[0]!.segment);
    const at = KEPT.findIndex(({ size }) => size === memory.length);
    if (at >= 0 && this.#kept[at]!.length < KEPT[at]!.count) this.#kept[at]!.push(memory);
  }

  /** Whether a thread writes the header. If it has ended meanwhile, nobody knows how far it came, and the header is due again. */
  #isTelling(): boolean {
    const { telling } = this.#state;
    if (telling === 0) return false;
    if (this.#threads.isPresent(telling)) return true;
    this.#state.toldSize = 0;
    return false;
  }

  #memoryFor(size: number): Uint8Array {
    const at = KEPT.findIndex((kept) => size <= kept.size);
    return at < 0 ? privateBytes(size) : (this.#kept[at]!.pop() ?? privateBytes(KEPT[at]!.size));
  }
}

/** Not zeroed: it is written to before it is read. */
function privateBytes(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
