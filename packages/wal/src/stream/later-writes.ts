/**
 * What is written though nobody waits for it: the mark that tells what is durable, when the stream is idle, and what was acknowledged without being durable, when it
 * has lagged for long enough. It keeps no process alive, and whoever uses a log that has failed is told then.
 */

/** A stream that has had no flush for this long writes down what is durable. */
const IDLE_MS = 20;
/** What is not durable though nobody waits for it gets durable after so long. */
const LAG_MS = 1000;

export interface LaterWritesContext {
  /** The stream was idle. Called once at a time; what becomes of it is nobody's concern. */
  onIdle(): Promise<void>;
  onLag(): Promise<void>;
}

export class LaterWrites {
  readonly #context: LaterWritesContext;
  #idleTimer: NodeJS.Timeout | null = null;
  #lagTimer: NodeJS.Timeout | null = null;
  #idleWrite: Promise<void> | null = null;

  constructor(context: LaterWritesContext) {
    this.#context = context;
  }

  /** There is something to write when the stream is idle. Called again, it is idle later. */
  whenIdle(): void {
    if (this.#idleTimer === null) this.#idleTimer = setTimeout(() => this.#beIdle(), IDLE_MS).unref();
    else this.#idleTimer.refresh();
  }

  /** There is something to write in a while. */
  whenLagging(): void {
    if (this.#lagTimer !== null) return;
    this.#lagTimer = setTimeout(() => {
      this.#lagTimer = null;
      this.#context.onLag().catch(() => undefined);
    }, LAG_MS).unref();
  }

  /** Begins nothing any more that was to come. */
  stop(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    if (this.#lagTimer !== null) clearTimeout(this.#lagTimer);
    this.#idleTimer = null;
    this.#lagTimer = null;
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#idleWrite;
  }

  #beIdle(): void {
    if (this.#idleWrite !== null) return;
    this.#idleWrite = this.#context
      .onIdle()
      .catch(() => undefined)
      .finally(() => {
        this.#idleWrite = null;
      });
  }
}
