/**
 * Keeps the memory for unflushed records within its limit: who wants to append when it is full waits in line, and a
 * flush is started if none is under way, so that nobody waits for a commit that never comes (IO3).
 */
/** What fills up, and what empties it. */
export interface Pressure {
  readonly pending: number;
  /** Empties it; rejects when that has failed for good. */
  flush(): Promise<unknown>;
}

interface Waiter {
  readonly bytes: number;
  resolve(): void;
  reject(error: unknown): void;
}

export class BackPressure {
  readonly #stream: Pressure;
  readonly #limit: number;
  readonly #waiters: Waiter[] = [];
  /** Bytes let through in this turn of the event loop, which are not appended yet. */
  #granted = 0;
  #turn: NodeJS.Immediate | null = null;
  #draining = false;

  constructor(stream: Pressure, limit: number) {
    this.#stream = stream;
    this.#limit = limit;
  }

  /** Resolves when a record of this size may be appended. One that is larger than the limit waits until nothing is pending. */
  admit(bytes: number): Promise<void> {
    if (this.#waiters.length === 0 && this.#fits(bytes)) {
      this.#grant(bytes);
      return Promise.resolve();
    }
    const turn = new Promise<void>((resolve, reject) => {
      this.#waiters.push({ bytes, resolve, reject });
    });
    this.#drain();
    return turn;
  }

  /** Whether a record of this size may be appended now, besides what is pending, and stays in memory: nobody waits. */
  hasRoom(bytes: number, pending: number): boolean {
    return this.#waiters.length === 0 && pending + this.#granted + bytes <= this.#limit;
  }

  /** Rejects all who wait. */
  fail(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  /** Lets through whoever fits, in the order in which they came. What keeps it from knowing concerns them, and not its caller. */
  release(): void {
    try {
      while (this.#waiters.length > 0 && this.#fits(this.#waiters[0]!.bytes)) {
        const waiter = this.#waiters.shift()!;
        this.#grant(waiter.bytes);
        waiter.resolve();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  #fits(bytes: number): boolean {
    const taken = this.#stream.pending + this.#granted;
    return taken === 0 || taken + bytes <= this.#limit;
  }

  /** What was let through is appended in this turn, or, like a transaction that ran into a conflict, perhaps never. */
  #grant(bytes: number): void {
    this.#granted += bytes;
    this.#turn ??= setImmediate(() => {
      this.#turn = null;
      this.#granted = 0;
      this.release();
      this.#drain();
    });
  }

  /** Sees to it that those who wait will be looked at again. */
  #drain(): void {
    if (this.#waiters.length === 0 || this.#turn !== null || this.#draining) return;
    this.#draining = true;
    this.#stream.flush().then(
      () => {
        this.#draining = false;
        this.release();
        this.#drain();
      },
      (error) => this.fail(error),
    );
  }
}
