/**
 * Pages that are read without blocking, because somebody waits for them. A look-up that may not wait throws the page fault;
 * its caller asks here for the page and tries again.
 *
 * Must hold: no latch is held while a read is in flight (M5).
 */
import { PageFault, PagewrightError, POINT, schedulePoint, sizeClassOf } from '@pagewright/core/contracts';
import type { Arrivals } from './arrivals.js';
import { READS } from './counters.js';
import { NO_FRAME, STATE_LOADING } from './frames.js';
import type { PoolParts } from './placement.js';
import type { ReadsInFlight } from './reads-in-flight.js';
import { BETWEEN_ATTEMPTS_MS, type Residency } from './residency.js';

export class Loads {
  /** The one object that `child` throws. */
  readonly fault = new PageFault();
  #parent = 0;
  #word = 0;
  #checksum = 0;
  #isScanned = false;

  constructor(
    private readonly parts: PoolParts,
    private readonly residency: Residency,
    private readonly inFlight: ReadsInFlight,
    private readonly arrivals: Arrivals,
  ) {}

  /** Notes what the next `load` is to read: a cold swip, and the page that holds it. */
  note(parent: number, word: number, checksum: number): PageFault {
    this.#parent = parent;
    this.#word = word;
    this.#checksum = checksum;
    this.#isScanned = this.residency.isInLongScan;
    return this.fault;
  }

  /** Reads the page that was noted last. */
  load(): Promise<void> {
    const address = this.#word >>> 2;
    const known = this.inFlight.of(address);
    if (known !== undefined) return known;
    const reading = this.#read(this.#parent, this.#word, this.#checksum, this.#isScanned).finally(() =>
      this.inFlight.end(address),
    );
    this.inFlight.begin(address, reading);
    return reading;
  }

  async #read(parent: number, word: number, checksum: number, isScanned: boolean): Promise<void> {
    const address = word >>> 2;
    const sizeClass = sizeClassOf(address);
    if (address === 0 || sizeClass > this.residency.largestClass) {
      throw new PagewrightError(
        'PW_POOL_EXHAUSTED',
        `A page of ${this.parts.arena.pageSize * 2 ** sizeClass} bytes does not fit into the pool. Open the store with more memory.`,
      );
    }
    const wanted = 2 ** sizeClass;
    await this.inFlight.enter(wanted);
    try {
      const { arena, counters, file, poolLatch } = this.parts;
      const frame = await this.#frameFor(sizeClass, isScanned);
      const bytes = arena.view(frame, sizeClass);
      try {
        counters.addOf(READS, sizeClass);
        await file.io.read(bytes, file.offsetOf(address));
      } catch (error) {
        poolLatch.holding(() => this.residency.release(frame));
        // What the page was moved away from may be beyond the end of the file by now.
        if (!this.arrivals.isAwaited(parent, word, checksum)) return;
        throw file.whyUnread(error);
      }
      schedulePoint(POINT.loadArrived);
      this.arrivals.settle({ frame, bytes, parent, word, checksum });
    } finally {
      this.inFlight.leave(wanted);
    }
  }
  /** Waits for a frame with the event loop turning: what other reads of this thread have brought must find its place meanwhile (IO3). */
  async #frameFor(sizeClass: number, isScanned: boolean): Promise<number> {
    const { poolLatch } = this.parts;
    for (let attempt = 0; ; attempt++) {
      const frame = poolLatch.holding(() => this.residency.tryAcquire(sizeClass, STATE_LOADING, isScanned));
      if (frame !== NO_FRAME) return frame;
      this.residency.checkPatienceOfLoop(sizeClass, attempt);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_ATTEMPTS_MS));
    }
  }
}
