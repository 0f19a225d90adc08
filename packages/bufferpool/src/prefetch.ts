/**
 * Pages that are read ahead of whoever will want them, many as one batch: in place, or without blocking. A hint is never
 * worth a failure, so what cannot be had cheaply is left out, and what goes wrong is left to who needs the page.
 *
 * Must hold: no latch is held while the batch is read (M5), every frame that was taken is either in a swip afterwards or
 * free, and a page that is on its way already is not read twice.
 */
import {
  type IoOperation,
  isPagewrightError,
  PAGE_HEADER_SIZE,
  POINT,
  SWIP_COLD,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  type SwipList,
  schedulePoint,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import type { Arrival, Arrivals } from './arrivals.js';
import { READS } from './counters.js';
import { NO_FRAME, SIZE_CLASS, STATE, STATE_COOL, STATE_HOT, STATE_LOADING } from './frames.js';
import type { PoolParts } from './placement.js';
import type { ReadsInFlight } from './reads-in-flight.js';
import type { Residency } from './residency.js';

/** A page that is to be read. */
interface Wanted {
  /** Which of the swips names it. */
  readonly at: number;
  readonly parent: number;
  readonly word: number;
  readonly checksum: number;
}

export class Prefetch {
  /** How many of the swips, from the first on, the last call has dealt with. */
  #dealtWith = 0;

  constructor(
    private readonly parts: PoolParts,
    private readonly residency: Residency,
    /** How many units the file has. */
    private readonly units: () => number,
    private readonly inFlight: ReadsInFlight,
    private readonly arrivals: Arrivals,
  ) {}

  /** Begins to read; does not block. How many of the swips it has dealt with. */
  begin(swips: SwipList): number {
    const batch = this.#take(swips);
    const dealtWith = this.#dealtWith;
    if (batch.length === 0) return dealtWith;
    // Even a read that fails at once is over only after it has begun.
    const reading = this.#read(batch).finally(() => {
      for (const { word } of batch) this.inFlight.end(word >>> 2);
    });
    for (const { word } of batch) this.inFlight.begin(word >>> 2, reading);
    // What it rejects with is no error of reading, and for those who wait for one of the pages. There may be nobody.
    reading.catch(() => {});
    return dealtWith;
  }

  /** Reads in place. How many of the swips it has dealt with. */
  now(swips: SwipList): number {
    const batch = this.#take(swips);
    const dealtWith = this.#dealtWith;
    if (batch.length === 0) return dealtWith;
    try {
      if (this.#passes(() => this.parts.file.io.submitSync(this.#operations(batch)))) {
        this.#arrive(batch, POINT.pageRead);
      } else this.#release(batch);
    } finally {
      this.#leave(batch);
    }
    return dealtWith;
  }

  async #read(batch: readonly Arrival[]): Promise<void> {
    try {
      try {
        await this.parts.file.io.submit(this.#operations(batch));
      } catch (error) {
        this.#release(batch);
        if (isOfReading(error)) return;
        throw error;
      }
      this.#arrive(batch, POINT.loadArrived);
    } finally {
      this.#leave(batch);
    }
  }

  // ── Before the read ─────────────────────────────────────────────────────────────────────────────────────────

  /** Frames for what is wanted, as far as there are any. Evicts one batch of pages at most. */
  #take(swips: SwipList): Arrival[] {
    const { arena, poolLatch } = this.parts;
    const wanted = this.#wanted(swips);
    if (wanted.length === 0) return [];
    const blocks = wanted.reduce((sum, { word }) => sum + blocksOf(word), 0);
    // From here on the parents may have changed: only what was read of them counts, and it is looked for again.
    this.#passes(() => poolLatch.holding(() => this.residency.makeSpare(blocks)));
    const batch: Arrival[] = [];
    for (const { at, parent, word, checksum } of wanted) {
      const sizeClass = sizeClassOf(word >>> 2);
      const frame = poolLatch.holding(() => this.residency.acquireSpare(sizeClass, STATE_LOADING));
      if (frame === NO_FRAME) {
        this.inFlight.leave(blocksOf(word));
        this.#dealtWith = Math.min(this.#dealtWith, at);
      } else batch.push({ frame, bytes: arena.view(frame, sizeClass), parent, word, checksum });
    }
    return batch;
  }

  /** What is cold, not on its way, and for which there is room among the reads in flight. */
  #wanted(swips: SwipList): Wanted[] {
    const { arena, latches } = this.parts;
    const wanted: Wanted[] = [];
    this.#dealtWith = swips.count;
    for (let at = 0; at < swips.count; at++) {
      const parent = swips.parents[at]!;
      const offset = swips.offsets[at]!;
      if (!this.#isPlace(parent, offset)) continue;
      const { u32 } = arena.segmentOf(parent);
      const index = (arena.baseOf(parent) + offset) >>> 2;
      const word = u32[index]!;
      const checksum = u32[index + 1]!;
      if (!latches.validate(parent, swips.versions[at]!)) {
        this.#dealtWith = at;
        break;
      }
      const address = word >>> 2;
      if ((word & SWIP_TAG_MASK) !== SWIP_COLD || !this.#isAddress(address)) continue;
      if (this.inFlight.of(address) !== undefined || wanted.some((other) => other.word === word)) continue;
      if (!this.inFlight.tryEnter(blocksOf(word))) {
        this.#dealtWith = at;
        break;
      }
      wanted.push({ at, parent, word, checksum });
    }
    return wanted;
  }

  /** Whether a swip can be there: in a page that is in memory, and not in its header. */
  #isPlace(parent: number, offset: number): boolean {
    const { arena, frames } = this.parts;
    if (!(parent >= 0 && parent < frames.count)) return false;
    const state = frames.get(parent, STATE);
    if (state !== STATE_HOT && state !== STATE_COOL) return false;
    const size = arena.pageSize << frames.get(parent, SIZE_CLASS);
    return offset >= PAGE_HEADER_SIZE && offset + SWIP_SIZE <= size && offset % SWIP_SIZE === 0;
  }

  /** Whether an extent can have this address: what is no swip may look like one. */
  #isAddress(address: number): boolean {
    if (address === 0 || sizeClassOf(address) > this.residency.largestClass) return false;
    const unit = unitOf(address);
    return unit >= this.parts.file.reservedUnits && unit + 2 ** sizeClassOf(address) <= this.units();
  }

  #operations(batch: readonly Arrival[]): IoOperation[] {
    const { counters, file } = this.parts;
    for (const { word } of batch) counters.addOf(READS, sizeClassOf(word >>> 2));
    return batch.map(({ bytes, word }) => ({ kind: 'read', offset: file.offsetOf(word >>> 2), buffer: bytes }));
  }

  // ── After it ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts each page where it belongs. One that is damaged is not used; the others are. */
  #arrive(batch: readonly Arrival[], point: number): void {
    let settled = 0;
    try {
      for (const arrival of batch) {
        schedulePoint(point);
        settled++;
        this.#passes(() => this.arrivals.settle(arrival));
      }
    } finally {
      this.#release(batch.slice(settled));
    }
  }

  #release(batch: readonly Arrival[]): void {
    this.parts.poolLatch.holding(() => {
      for (const { frame } of batch) this.residency.release(frame);
    });
  }

  #leave(batch: readonly Arrival[]): void {
    for (const { word } of batch) this.inFlight.leave(blocksOf(word));
  }

  /** Whether it did what it should, and did not fail as files do. */
  #passes(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (isOfReading(error)) return false;
      throw error;
    }
  }
}

function blocksOf(word: number): number {
  return 2 ** sizeClassOf(word >>> 2);
}

/** An error of files or pages, which whoever needs the page will meet; not one that says that the pool is wrong. */
function isOfReading(error: unknown): boolean {
  return isPagewrightError(error) && error.code !== 'PW_INTERNAL';
}
