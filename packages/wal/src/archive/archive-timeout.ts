/**
 * Ends the segment in use when commits in it have waited for the archive for so long, in the thread that opened the log: what a disk can take with it is then what was
 * committed in that time, and not what a segment holds. Commits of all threads count.
 *
 * Must hold: no timer runs while the segment in use has no commits, none keeps the process alive, and nothing is begun after {@link ArchiveTimeout.stop}.
 */

/** What could not be ended is tried again after so long at most. */
const LONGEST_PAUSE_MS = 60_000;

export interface ArchiveTimeoutContext {
  readonly timeoutMs: number;
  /** The segment in use, if it has commits and can be ended; 0 if not. May throw when the log is over. */
  segmentToEnd(): number;
  /** Resolves when more is durable than when it is called, in whichever thread. */
  progressed(): Promise<void>;
  /** Whether the archive takes segments: else ending another one is of no use. */
  isArchiving(): boolean;
  /** Ends the segment, if it can be ended at the moment. */
  end(segment: number): Promise<void>;
}

export class ArchiveTimeout {
  readonly #context: ArchiveTimeoutContext;
  /** The segment that the timer runs for; 0 if it does not run. */
  #segment = 0;
  #timer: NodeJS.Timeout | null = null;
  #ending: Promise<void> | null = null;
  #isWatching = false;
  #isOver = false;

  constructor(context: ArchiveTimeoutContext) {
    this.#context = context;
  }

  /** The stream may have gone on to another segment, or may have its first commit in one. Never throws. */
  look(): void {
    if (this.#isOver || this.#ending !== null) return;
    const segment = this.#toEnd;
    if (segment !== this.#segment) this.#runFor(segment, this.#context.timeoutMs);
    if (segment === 0) this.#watch();
  }

  /** Begins nothing any more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#isOver = true;
    this.#runFor(0, 0);
    await this.#ending;
  }

  get #toEnd(): number {
    try {
      return this.#context.segmentToEnd();
    } catch {
      return 0; // a thread was lost, or the log is over: recovery will find what is left
    }
  }

  #runFor(segment: number, pause: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#segment = segment;
    this.#timer = segment === 0 ? null : setTimeout(() => this.#elapsed(), pause).unref();
  }

  #elapsed(): void {
    const segment = this.#segment;
    this.#runFor(0, 0);
    this.#ending = this.#end(segment).finally(() => {
      this.#ending = null;
      if (this.#isOver) return;
      const isStillThere = this.#toEnd === segment;
      if (isStillThere) this.#runFor(segment, Math.min(this.#context.timeoutMs, LONGEST_PAUSE_MS));
      else this.look();
    });
  }

  async #end(segment: number): Promise<void> {
    if (!this.#context.isArchiving()) return;
    try {
      await this.#context.end(segment);
    } catch {
      // A full disk is met again, if it still is one; whoever commits is told of a failure of the log.
    }
  }

  /** Looks again when more is durable. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    void this.#context.progressed().then(() => {
      this.#isWatching = false;
      this.look();
    });
    // Another thread may have committed before that.
    const segment = this.#toEnd;
    if (segment !== 0) this.#runFor(segment, this.#context.timeoutMs);
  }
}
