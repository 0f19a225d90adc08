/**
 * Those who wait in this thread until something is durable, whoever writes it. They are asked in the order in which they came, whenever more is durable; what takes
 * longer than it should is written here as well, so that nobody waits for an event loop of others (IO3).
 */

/** Others' writes are waited for so long at least, and for so many times what a write took here. */
const PATIENCE_MS = 1;
const PATIENCE = 3;

export interface WaitersContext {
  /** Why nothing becomes durable any more; null as long as it does. */
  failure(): Error | null;
  /** Another number whenever more is durable. */
  progress(): number;
  progressSince(seen: number): Promise<void>;
  flush(): Promise<unknown>;
}

interface Waiter {
  readonly isReached: () => boolean;
  resolve(): void;
  reject(error: unknown): void;
}

export class Waiters {
  /** How long the last write of a stretch took. */
  writeMs = 0;
  readonly #context: WaitersContext;
  #waiting: Waiter[] = [];
  #isWatching = false;

  constructor(context: WaitersContext) {
    this.#context = context;
  }

  until(isReached: () => boolean): Promise<void> {
    const failure = this.#context.failure();
    if (failure !== null) return Promise.reject(failure);
    if (isReached()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ isReached, resolve, reject });
      if (!this.#isWatching) this.#watch();
    });
  }

  /** More may be durable, or nothing ever will be. */
  ask(): void {
    if (this.#waiting.length === 0) return;
    const failure = this.#context.failure();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if (failure !== null) waiter.reject(failure);
      else if (waiter.isReached()) waiter.resolve();
      else this.#waiting.push(waiter);
    }
  }

  /** While somebody waits: asks when more is durable, whoever wrote it, and flushes when that takes too long. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    try {
      for (;;) {
        const seen = this.#context.progress();
        this.ask(); // whatever became durable before
        if (this.#waiting.length === 0) return;
        const longest = [...this.#waiting];
        const isOver = await this.#progressSince(seen);
        this.ask();
        if (!isOver && longest.some((waiter) => this.#waiting.includes(waiter))) await this.#context.flush();
      }
    } catch (error) {
      for (const waiter of this.#waiting.splice(0)) waiter.reject(error);
    } finally {
      this.#isWatching = false;
    }
  }

  /** Whether more is durable; else patience is over. */
  #progressSince(seen: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(PATIENCE_MS, PATIENCE * this.writeMs), false);
      this.#context.progressSince(seen).then(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}
