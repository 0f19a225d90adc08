/**
 * The segments that the stream goes through: the current one, those before it that a replay may still need, and the next
 * one, prepared in the background by whichever thread comes to it first. A record lies in one segment whole. A segment has a size that it
 * is meant to have, and may grow beyond it: when a record is larger than that, or when the next one could not be prepared
 * because the event loop was not yielded to.
 *
 * Must hold: all that threads have reserved fits into the current segment, or into the next, in whatever order it comes. What the calling thread
 * needs the latch for is said so; nothing else holds it for longer than an allocation in place.
 */
import { isPagewrightError, POINT, type SharedLatch, schedulePoint, type Threads } from '@pagewright/core';
import { RECORD_HEADER_SIZE } from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { LogSlots } from '../sharing/log-slots.js';
import { type LogState, MOST_UNFLUSHED_SEGMENTS } from '../sharing/log-state.js';
import type { OpenSegments } from './open-segments.js';
import type { SegmentFiles } from './segment-files.js';
import { FIRST_FILE_SIZE, grownSize, roomIn, sizeFor } from './segment-size.js';

/** Up to this much is allocated in place for a `reserve`; more is prepared in a new segment, without blocking. */
const IN_PLACE_LIMIT = 256 * 1024;
/** So often a reservation prepares what others then use up, before it makes room in place. */
const PREPARATIONS = 3;

export interface SegmentSequenceParts {
  readonly state: LogState;
  readonly slots: LogSlots;
  readonly latch: SharedLatch;
  readonly threads: Threads;
  readonly files: SegmentFiles;
  readonly open: OpenSegments;
  readonly segmentSize: number;
}

export class SegmentSequence {
  readonly #state: LogState;
  readonly #slots: LogSlots;
  readonly #latch: SharedLatch;
  readonly #threads: Threads;
  readonly #files: SegmentFiles;
  readonly #open: OpenSegments;
  readonly #segmentSize: number;
  #preparing: Promise<void> | null = null;

  constructor({ state, slots, latch, threads, files, open, segmentSize }: SegmentSequenceParts) {
    this.#state = state;
    this.#slots = slots;
    this.#latch = latch;
    this.#threads = threads;
    this.#files = files;
    this.#open = open;
    this.#segmentSize = segmentSize;
  }

  /** Makes the first segment. */
  async start(): Promise<void> {
    await this.#files.makeDirectory();
    const size = Math.min(FIRST_FILE_SIZE, this.#segmentSize);
    await this.#files.create(1, size, size);
    this.#latch.holding(() => {
      this.#state.prepareAt = this.#segmentSize / 2;
      this.#state.enter(1, size, size);
    });
  }

  get isStarted(): boolean {
    return this.#state.segment > 0;
  }

  /** Segment files that exist, but for one that is being made. */
  get count(): number {
    const { segment, oldest, nextSegment, retired } = this.#state;
    return segment === 0 ? 0 : segment - oldest + 1 + (nextSegment === 0 ? 0 : 1) + retired;
  }

  // ── With the latch ──────────────────────────────────────────────────────────────────────────────────────────
  /** Whether a record of this size fits, wherever others put theirs. */
  hasRoom(size: number): boolean {
    const needed = this.#slots.inFile + size;
    return this.#room >= needed || (this.#mayGoOn && this.#nextRoom >= needed);
  }

  /** Whether a record without operations may be appended to the current segment: others keep what they have reserved. */
  get hasRoomBeside(): boolean {
    const { inFile } = this.#slots;
    const left = this.#room - RECORD_HEADER_SIZE;
    return left >= inFile || (left >= 0 && this.#mayGoOn && this.#nextRoom >= inFile);
  }

  /** Whether the next record of this size goes to the next segment; null if there is no room for it. */
  goesOn(size: number): boolean | null {
    const { used } = this.#state;
    const fits = this.#room >= size;
    const isEmpty = used === SEGMENT_HEADER_SIZE;
    if (fits && (isEmpty || used + size + RECORD_HEADER_SIZE <= this.#segmentSize)) return false;
    const others = this.#slots.inFile - Math.min(size, this.#slots.ownInFile);
    if (this.#mayGoOn && this.#nextRoom >= size + others) return true;
    return fits ? false : null;
  }

  /** Whether the stream may go on to the next segment now: what threads have reserved fits there. */
  get mayAdvance(): boolean {
    return this.#mayGoOn && this.#nextRoom >= this.#slots.inFile;
  }

  /** Goes on to the next segment. The record that ends the current one has been appended to it. */
  advance(): void {
    const state = this.#state;
    state.enter(state.nextSegment, state.nextAllocated, state.nextToldSize);
    state.setNext(0, 0);
    state.prepareAt = this.#segmentSize / 2;
  }

  /** Makes room for a record of this size, now. `PW_FULL`, and nothing has changed. */
  extendSync(size: number): void {
    if (this.hasRoom(size)) return;
    // The reservation of a thread that has ended may be what is in the way, or that it was making the next segment.
    if (this.#slots.inFile > 0 || this.#state.preparing !== 0) {
      this.#threads.sweep();
      if (this.#slots.lapse() && this.hasRoom(size)) return;
    }
    this.#growSync(this.#slots.inFile + size);
  }

  // ── Without it ──────────────────────────────────────────────────────────────────────────────────────────────
  /** Makes room for a record of this size. `PW_FULL`, and nothing has changed. */
  async extend(size: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const way = this.#latch.holding(() => this.#wayToExtend(size, attempt));
      if (way === 'done') return;
      try {
        await this.#prepare(size);
      } catch (error) {
        if (!isPagewrightError(error, 'PW_FULL')) throw error;
        this.#latch.holding(() => this.extendSync(size)); // a whole segment does not fit on the disk, the record may
        return;
      }
    }
  }

  /**
   * Makes a segment to go on to from the current one, which is not full: with as much room as that has used, since the next one may be ended as early. It may still be that
   * the stream cannot go on, for what others do. `PW_FULL`.
   */
  async prepareToAdvance(): Promise<void> {
    for (let attempt = 1; attempt <= PREPARATIONS; attempt++) {
      const { mayAdvance, reserved, used } = this.#latch.holding(() => ({
        mayAdvance: this.mayAdvance,
        reserved: this.#slots.inFile,
        used: this.#state.used,
      }));
      if (mayAdvance) return;
      await this.#prepare(reserved, Math.min(sizeFor(used - SEGMENT_HEADER_SIZE), this.#segmentSize));
    }
  }

  /** Called after a flush: closes the files of segments that are durable, and prepares the next in good time. */
  maintain(): void {
    this.closeDurable();
    const isDue = this.#latch.holding(() => {
      const state = this.#state;
      if (state.nextSegment !== 0 || this.#isPrepared || state.used < state.prepareAt || state.isClosed) return false;
      state.prepareAt = state.used + this.#segmentSize / 4; // when it is tried again, should it fail
      return true;
    });
    if (isDue) this.#prepare(0).catch(() => undefined); // who needs the room meets the error
  }

  /** Closes the files that this thread does not need any more. */
  closeDurable(): void {
    const durable = this.#latch.holding(() => this.#state.durableSegment);
    this.#open.closeBelow(Math.min(durable, this.#slots.ownLowest));
  }

  /** Gives up the segments wholly before one, as far as they are durable. Asks for it before each: more may be needed by then. */
  async release(before: () => number): Promise<void> {
    for (;;) {
      const segment = before();
      const oldest = this.#latch.holding(() => this.#giveUpOldest(segment));
      if (oldest === 0) return;
      schedulePoint(POINT.segmentRetiring);
      const isKept = this.#latch.holding(() => this.#keep(oldest));
      if (!isKept) await this.#files.remove(oldest);
      this.#slots.callOthers();
    }
  }

  /** Resolves when this thread makes no segment any more. */
  async settled(): Promise<void> {
    await this.#preparing?.catch(() => undefined);
  }

  get #room(): number {
    return roomIn(this.#state.allocated, this.#state.used);
  }

  get #nextRoom(): number {
    return roomIn(this.#state.nextAllocated);
  }

  get #mayGoOn(): boolean {
    const { nextIsReady, nextSegment, durableSegment } = this.#state;
    return nextIsReady && nextSegment - durableSegment < MOST_UNFLUSHED_SEGMENTS;
  }

  /** Whether some thread that is there prepares the next segment. */
  get #isPrepared(): boolean {
    const { preparing } = this.#state;
    return preparing !== 0 && this.#threads.isPresent(preparing);
  }

  #wayToExtend(size: number, attempt: number): 'done' | 'prepare' {
    if (this.hasRoom(size)) return 'done';
    const withinSize = this.#state.used + size + RECORD_HEADER_SIZE <= this.#segmentSize;
    const isOthers = this.#preparing === null && this.#isPrepared;
    if (!isOthers && attempt <= PREPARATIONS && (size > IN_PLACE_LIMIT || !withinSize)) return 'prepare';
    this.extendSync(size);
    return 'done';
  }

  /** Makes the file of the next segment, or else of the current one, so large that there is so much room. */
  #growSync(room: number): void {
    const state = this.#state;
    const isNext = this.#mayGoOn;
    const segment = isNext ? state.nextSegment : state.segment;
    const allocated = isNext ? state.nextAllocated : state.allocated;
    const needed = sizeFor(room, isNext ? SEGMENT_HEADER_SIZE : state.used);
    const wanted = grownSize(allocated, needed);
    const file = this.#open.inPlace(segment);
    let size = wanted;
    try {
      // Never while the file grows in the background: an allocation that fills with zeros must not meet a record.
      file.allocateSync(allocated, wanted - allocated);
    } catch (error) {
      if (wanted === needed) throw error;
      file.allocateSync(allocated, needed - allocated);
      size = needed;
    }
    if (isNext) state.nextAllocated = size;
    else state.allocated = size;
  }

  #giveUpOldest(before: number): number {
    const { oldest, durableSegment } = this.#state;
    if (oldest >= Math.min(before, durableSegment)) return 0;
    this.#state.oldest = oldest + 1;
    return oldest;
  }

  /** Keeps a file for reuse, if it has the right size, and no write is under way that could reach its next life. */
  #keep(segment: number): boolean {
    const size = this.#state.sizeOf(segment);
    const fits = size >= this.#segmentSize && size <= 2 * this.#segmentSize;
    return fits && !this.#slots.hasWritesUpTo(segment) && this.#state.pushRetired({ segment, size });
  }

  /** Makes the next segment, with room for a record of this size, and meant to have a file of so many bytes. */
  #prepare(size: number, fileSize = this.#segmentSize): Promise<void> {
    this.#preparing ??= this.#makeNext(size, fileSize).finally(() => {
      this.#preparing = null;
    });
    return this.#preparing;
  }

  async #makeNext(size: number, fileSize: number): Promise<void> {
    const state = this.#state;
    const isMine = this.#latch.holding(() => {
      // Others may have reserved room in it.
      const isWanted = state.nextSegment !== 0 && this.#room < this.#slots.inFile;
      if (this.#isPrepared || isWanted) return false;
      state.preparing = this.#threads.tag;
      state.nextIsReady = false; // not to be used while it grows
      return true;
    });
    if (!isMine) return;
    try {
      if (state.nextSegment === 0) await this.#createNext(size, fileSize);
      else await this.#growNext(size);
    } finally {
      this.#latch.holding(() => {
        state.preparing = 0;
        state.nextIsReady = state.nextSegment !== 0;
      });
    }
  }

  async #createNext(size: number, fileSize: number): Promise<void> {
    const segmentSize = this.#segmentSize;
    const least = Math.max(sizeFor(size), Math.min(FIRST_FILE_SIZE, segmentSize));
    const wanted = Math.max(least, fileSize);
    const segment = this.#state.segment + 1;
    const reused = wanted <= segmentSize ? this.#latch.holding(() => this.#state.popRetired()) : undefined;
    const allocated = await this.#files.create(segment, wanted, least, reused);
    // The log may have been closed meanwhile, by another thread, and its files removed.
    if (this.#state.isClosed) await this.#files.remove(segment);
    else this.#latch.holding(() => this.#state.setNext(segment, allocated));
  }

  async #growNext(size: number): Promise<void> {
    const { nextSegment, nextAllocated } = this.#state;
    const needed = sizeFor(size);
    if (needed <= nextAllocated) return;
    const file = await this.#open.background(nextSegment);
    await file.allocate(nextAllocated, needed - nextAllocated);
    this.#latch.holding(() => {
      this.#state.nextAllocated = needed;
    });
  }
}
