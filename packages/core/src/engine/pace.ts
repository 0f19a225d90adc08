/**
 * How fast a backup or a compaction goes: a token bucket. Bytes are spent first and waited for afterwards; time in which less was spent than allowed
 * counts for a quarter of a second at most, so that a slow stretch is not followed by a rush.
 */
import { onAbort } from '../on-abort.js';

/** What tells the time, and lets it pass. */
export interface Clock {
  /** Milliseconds since any instant; never goes back. */
  now(): number;
  /** Resolves after so many milliseconds, or as soon as the signal is aborted. Never rejects. */
  sleep(ms: number, interrupted: AbortSignal): Promise<void>;
}

const MOST_SAVED_MS = 250;
/** The longest that a timer takes. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

export class Pace {
  /** When all that was spent is paid for. */
  #paidAt: number;
  #bytes = 0;

  constructor(
    /** `Infinity`: as fast as it goes. */
    private readonly bytesPerSecond: number,
    private readonly clock: Clock = SYSTEM_CLOCK,
  ) {
    this.#paidAt = clock.now();
  }

  /** Waits until so many bytes, in all, may have been copied or moved; no longer when the signal is aborted. */
  async reach(bytes: number, interrupted: AbortSignal): Promise<void> {
    const { bytesPerSecond, clock } = this;
    const spent = bytes - this.#bytes;
    this.#bytes = bytes;
    this.#paidAt = Math.max(this.#paidAt, clock.now() - MOST_SAVED_MS) + (1000 * spent) / bytesPerSecond;
    for (let left = this.#paidAt - clock.now(); left > 0 && !interrupted.aborted; left = this.#paidAt - clock.now()) {
      await clock.sleep(Math.min(Math.ceil(left), LONGEST_SLEEP_MS), interrupted);
    }
  }
}

export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  // The timer keeps the process alive: whoever awaits the work expects that it ends.
  sleep: (ms, interrupted) =>
    new Promise((resolve) => {
      if (interrupted.aborted) return resolve();
      const end = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(end, ms);
      const stop = onAbort(interrupted, end);
    }),
};
