/**
 * A log stream without a log: it appends, makes durable and fails exactly when a test says so, and keeps count of what a
 * commit policy asks of it. `durable` grows only by a flush that was completed, to what was appended when that flush began.
 */
import { type LogPosition, type LogStream, PagewrightError } from '@pagewright/core';

/** So often a policy may look at `durable` without asking for anything, before it counts as spinning. */
const SPIN_LIMIT = 100_000;
/** So many flushes are refused after a failure; later ones stay open for good, so that a policy that retries for ever does not hang the test. */
const RETRY_LIMIT = 100;

interface Flush {
  readonly target: LogPosition;
  resolve(durable: LogPosition): void;
  reject(error: PagewrightError): void;
}

export class ScriptedStream implements LogStream {
  appended: LogPosition = 0;
  /** Flushes that were asked for, in the background and in place. */
  flushes = 0;
  /** Whether a second flush was ever asked for while one was in flight. */
  overlapped = false;
  /** Set to fail the next flush in place. */
  failsInPlace = false;
  /** Why nothing becomes durable any more. */
  failure: PagewrightError | null = null;
  readonly #inFlight: Flush[] = [];
  #durable: LogPosition = 0;
  #looks = 0;
  #refused = 0;

  get durable(): LogPosition {
    if (++this.#looks <= SPIN_LIMIT) return this.#durable;
    this.#looks = 0;
    throw new Error('The policy looks at `durable` again and again, and asks for nothing.');
  }

  /** Whether a flush in the background waits to be completed. */
  get isFlushing(): boolean {
    return this.#inFlight.length > 0;
  }

  /** Appends a record of so many bytes; the position behind it. */
  append(bytes = 10): LogPosition {
    this.appended += bytes;
    return this.appended;
  }

  flush(): Promise<LogPosition> {
    this.#asked();
    if (this.failure !== null) {
      if (++this.#refused > RETRY_LIMIT) return new Promise(() => undefined);
      return Promise.reject(this.failure);
    }
    if (this.isFlushing) this.overlapped = true;
    return new Promise((resolve, reject) => {
      this.#inFlight.push({ target: this.appended, resolve, reject });
    });
  }

  flushSync(): LogPosition {
    this.#asked();
    if (this.failsInPlace) this.#fail();
    if (this.failure !== null) throw this.failure;
    this.#durable = this.appended;
    return this.#durable;
  }

  /** The flush in flight succeeds. */
  complete(): void {
    const flush = this.#inFlight.shift();
    if (flush === undefined) throw new Error('No flush is in flight.');
    if (this.failure !== null) {
      flush.reject(this.failure);
      return;
    }
    this.#durable = Math.max(this.#durable, flush.target);
    flush.resolve(this.#durable);
  }

  /** The flush in flight fails, and with it all later ones (IO1). */
  fail(): void {
    const failure = this.#fail();
    for (const { reject } of this.#inFlight.splice(0)) reject(failure);
  }

  #fail(): PagewrightError {
    this.failure ??= new PagewrightError('PW_COMMIT_UNKNOWN', 'Writing the log failed.');
    return this.failure;
  }

  #asked(): void {
    this.flushes++;
    this.#looks = 0;
  }
}
