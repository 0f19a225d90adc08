/**
 * Pages that are read without blocking. A look-up that may not wait throws the page fault; its caller asks here for the
 * page and tries again. The frame in which a page arrives is named by nothing until the read is over; then the swip is
 * looked for again, because everything may have changed meanwhile.
 *
 * Must hold: no latch is held while a read is in flight (M5), and what arrives is used only if a swip still names it.
 */
import {
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PageFault,
  PagewrightError,
  POINT,
  SWIP_COLD,
  schedulePoint,
  sizeClassOf,
} from '@pagewright/core';
import { READS } from './counters.js';
import { tellRead } from './diagnostics.js';
import { SIZE_CLASS, STATE, STATE_COOL, STATE_HOT, STATE_LOADING } from './frames.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';

export class Loads {
  /** The one object that `child` throws. */
  readonly fault = new PageFault();
  /** Reads in flight, by folded address: who wants the same page waits for the same read. */
  readonly #inFlight = new Map<number, Promise<void>>();
  /** Those that wait for room, first come, first served. */
  readonly #waiting: { readonly frames: number; readonly resume: () => void }[] = [];
  #running = 0;
  /** Frames that reads in flight have taken. */
  #taken = 0;
  #parent = 0;
  #word = 0;
  #checksum = 0;

  constructor(
    private readonly parts: PoolParts,
    private readonly residency: Residency,
    /** Reads in flight at most. */
    private readonly depth: number,
    /** Frames that they may take together; a larger page is read alone. */
    private readonly budget: number,
  ) {}

  /** Notes what the next `load` is to read: a cold swip, and the page that holds it. */
  note(parent: number, word: number, checksum: number): PageFault {
    this.#parent = parent;
    this.#word = word;
    this.#checksum = checksum;
    return this.fault;
  }

  /** Reads the page that was noted last. */
  load(): Promise<void> {
    const address = this.#word >>> 2;
    const known = this.#inFlight.get(address);
    if (known !== undefined) return known;
    const reading = this.#read(this.#parent, this.#word, this.#checksum).finally(() => this.#inFlight.delete(address));
    this.#inFlight.set(address, reading);
    return reading;
  }

  /** Resolves when no read is in flight. Never rejects. */
  async idle(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.allSettled(this.#inFlight.values());
  }

  async #read(parent: number, word: number, checksum: number): Promise<void> {
    const address = word >>> 2;
    const sizeClass = sizeClassOf(address);
    if (address === 0 || sizeClass > this.residency.largestClass) {
      throw new PagewrightError(
        'PW_POOL_EXHAUSTED',
        `A page of ${this.parts.arena.pageSize * 2 ** sizeClass} bytes does not fit into the pool. Open the store with more memory.`,
      );
    }
    const wanted = 2 ** sizeClass;
    if (this.#waiting.length === 0 && this.#fits(wanted)) this.#take(wanted);
    else await new Promise<void>((resume) => this.#waiting.push({ frames: wanted, resume }));
    try {
      const frame = this.#holdingPoolLatch(() => this.residency.acquire(sizeClass, STATE_LOADING));
      let adopted = false;
      try {
        const bytes = this.parts.arena.view(frame, sizeClass);
        this.parts.counters.addOf(READS, sizeClass);
        await this.parts.file.io.read(bytes, this.parts.file.offsetOf(address));
        schedulePoint(POINT.loadArrived);
        adopted = this.#adopt(parent, word, checksum, frame, bytes);
        if (adopted) tellRead(this.parts.file, address, bytes.length, false);
      } finally {
        if (!adopted) this.#holdingPoolLatch(() => this.residency.release(frame));
      }
    } finally {
      this.#running--;
      this.#taken -= wanted;
      this.#admitWaiting();
    }
  }

  /** Puts what was read into the swip that still names it; whether there is one. */
  #adopt(parent: number, word: number, checksum: number, frame: number, bytes: Uint8Array): boolean {
    this.parts.latches.latch(parent);
    try {
      const offset = this.#findSwip(parent, word, checksum);
      // Given up, moved, or brought in by someone else while the read was under way: the caller will see on its way down.
      if (offset === 0) return false;
      this.residency.admit(frame, bytes, word >>> 2, checksum);
      this.#holdingPoolLatch(() => this.residency.swizzle(parent, offset, frame));
      return true;
    } finally {
      this.parts.latches.unlatch(parent);
    }
  }

  #holdingPoolLatch<Result>(step: () => Result): Result {
    this.parts.poolLatch.take();
    try {
      return step();
    } finally {
      this.parts.poolLatch.give();
    }
  }

  #fits(frames: number): boolean {
    return this.#running === 0 || (this.#running < this.depth && this.#taken + frames <= this.budget);
  }

  #take(frames: number): void {
    this.#running++;
    this.#taken += frames;
  }

  #admitWaiting(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.frames); first = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(first.frames);
      first.resume();
    }
  }

  /** Byte offset of the swip with these words in the page, or 0. The frame may hold any page by now, or none. */
  #findSwip(parent: number, word: number, checksum: number): number {
    const state = this.parts.frames.get(parent, STATE);
    if ((word & 3) !== SWIP_COLD || (state !== STATE_HOT && state !== STATE_COOL)) return 0;
    const segment = this.parts.arena.segmentOf(parent);
    const base = this.parts.arena.baseOf(parent);
    const size = this.parts.arena.pageSize << this.parts.frames.get(parent, SIZE_CLASS);
    const first = segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number;
    const stride = segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number;
    let left = segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] as number;
    for (let offset = first; left > 0 && offset < size; left--, offset += stride) {
      const at = (base + offset) >>> 2;
      if (segment.u32[at] === word && segment.u32[at + 1] === checksum) return offset;
    }
    return 0;
  }
}
