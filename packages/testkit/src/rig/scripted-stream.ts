/**
 * A log stream without a log: it appends, makes durable and fails exactly when a test says so, and keeps count of what a
 * commit policy asks of it. `durable` grows only by a flush that was completed, to what was appended when that flush began,
 * and by writes that were completed, to the end of the last before which all are. Each record has the timestamp one above the one before.
 */
import { type LogPosition, type LogStream, type LogWrite, PagewrightError } from '@pagewright/core';

/** So often a policy may look at `durable` without asking for anything, before it counts as spinning. */
const SPIN_LIMIT = 100_000;
/** So many flushes are refused after a failure; later ones stay open for good, so that a policy that retries for ever does not hang the test. */
const RETRY_LIMIT = 100;

interface Flush {
  /** Of a write: its stretch begins where the one before ends. */
  readonly isWrite: boolean;
  readonly target: LogPosition;
  resolve(durable: LogPosition): void;
  reject(error: PagewrightError): void;
}

/** What a write has taken. */
interface Stretch {
  readonly end: LogPosition;
  isOver: boolean;
}

interface Waiter {
  readonly isReached: () => boolean;
  resolve(): void;
  reject(error: unknown): void;
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
  /** The most writes of stretches that were ever under way at a time. */
  mostWrites = 0;
  readonly #inFlight: Flush[] = [];
  readonly #ends: LogPosition[] = [];
  #stretches: Stretch[] = [];
  #waiters: Waiter[] = [];
  #taken: LogPosition = 0;
  #durable: LogPosition = 0;
  #looks = 0;
  #refused = 0;

  get durable(): LogPosition {
    if (++this.#looks <= SPIN_LIMIT) return this.#durable;
    this.#looks = 0;
    throw new Error('The policy looks at `durable` again and again, and asks for nothing.');
  }

  /** Timestamps count records from 1. */
  get durableTimestamp(): number {
    return this.#ends.filter((end) => end <= this.#durable).length;
  }

  /** Whether the record that ends at the position is durable, and what it depends on: without that, all before it. */
  isSafe(position: LogPosition, dependsOn = Number.POSITIVE_INFINITY): boolean {
    if (position <= this.#durable) return true;
    const stretch = this.#stretches.find(({ end }) => end >= position);
    return stretch?.isOver === true && dependsOn <= this.durableTimestamp;
  }

  get unwritten(): number {
    return this.appended - Math.max(this.#taken, this.#durable);
  }

  /** Whether a flush in the background, or a write, waits to be completed. */
  get isFlushing(): boolean {
    return this.#inFlight.length > 0;
  }

  /** Appends a record of so many bytes; the position behind it. */
  append(bytes = 10): LogPosition {
    this.appended += bytes;
    this.#ends.push(this.appended);
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
      this.#inFlight.push({ isWrite: false, target: this.appended, resolve, reject });
    });
  }

  write(): LogWrite | null {
    this.#asked();
    if (this.failure !== null) throw this.failure;
    if (this.unwritten === 0) return null;
    if (this.#inFlight.some(({ isWrite }) => !isWrite)) this.overlapped = true;
    const begin = Math.max(this.#taken, this.#durable);
    const end = this.appended;
    this.#taken = end;
    this.#stretches.push({ end, isOver: false });
    const over = new Promise<void>((resolve, reject) => {
      this.#inFlight.push({ isWrite: true, target: end, resolve: () => resolve(), reject });
    });
    this.mostWrites = Math.max(this.mostWrites, this.#inFlight.length);
    return { begin, end, over };
  }

  until(isReached: () => boolean): Promise<void> {
    if (this.failure !== null) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ isReached, resolve, reject });
      this.#askWaiters();
    });
  }

  /** Another thread takes what no write has taken, and writes it; the returned function ends that write. */
  takeAway(): () => void {
    const stretch: Stretch = { end: this.appended, isOver: false };
    this.#taken = stretch.end;
    this.#stretches.push(stretch);
    return () => this.#over(stretch);
  }

  flushSync(): LogPosition {
    this.#asked();
    if (this.failsInPlace) this.#fail();
    if (this.failure !== null) throw this.failure;
    this.#reach(this.appended);
    return this.#durable;
  }

  /** The flush in flight succeeds, or of several writes that one. */
  complete(at = 0): void {
    const [flush] = this.#inFlight.splice(at, 1);
    if (flush === undefined) throw new Error('No flush is in flight.');
    if (this.failure !== null) {
      flush.reject(this.failure);
      return;
    }
    const stretch = flush.isWrite ? this.#stretches.find(({ end }) => end === flush.target) : undefined;
    if (stretch !== undefined) this.#over(stretch);
    else if (!flush.isWrite) this.#reach(flush.target);
    flush.resolve(this.#durable);
  }

  /** How many flushes and writes are in flight. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** The flush in flight fails, and with it all later ones (IO1). */
  fail(): void {
    const failure = this.#fail();
    for (const { reject } of this.#inFlight.splice(0)) reject(failure);
    for (const { reject } of this.#waiters.splice(0)) reject(failure);
  }

  #over(stretch: Stretch): void {
    stretch.isOver = true;
    while (this.#stretches[0]?.isOver === true) this.#reach((this.#stretches.shift() as Stretch).end);
  }

  #reach(end: LogPosition): void {
    this.#durable = Math.max(this.#durable, end);
    this.#stretches = this.#stretches.filter((stretch) => stretch.end > this.#durable);
    this.#askWaiters();
  }

  #askWaiters(): void {
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (waiter.isReached()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
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
