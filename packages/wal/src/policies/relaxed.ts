/**
 * Commits that ask for no more than to survive the death of the process: the operating system has the record when they are told. One
 * write is under way at a time; what comes meanwhile goes with the next.
 */
import type { LogPosition } from '@pagewright/core';

/** What it takes of the stream. */
export interface HandedStream {
  readonly appended: LogPosition;
  /** All before it the operating system has. */
  readonly handed: LogPosition;
  hand(): Promise<LogPosition>;
  handSync(): LogPosition;
}

const HANDED = Promise.resolve();

/** After so many writes the event loop turns. */
const WRITES_A_TURN = 16;

export class RelaxedCommits {
  readonly #stream: HandedStream;
  /** The write under way, and the end of what it covers. */
  #current: Promise<void> | null = null;
  #target: LogPosition = 0;
  #next: Promise<void> | null = null;
  #writes = 0;

  constructor(stream: HandedStream) {
    this.#stream = stream;
  }

  commit(position: LogPosition): Promise<void> {
    if (position <= this.#stream.handed) return HANDED;
    if (this.#current !== null && position <= this.#target) return this.#current;
    this.#next ??= this.#afterCurrent();
    return this.#next;
  }

  commitSync(position: LogPosition): void {
    if (position > this.#stream.handed) this.#stream.handSync();
  }

  async #afterCurrent(): Promise<void> {
    if (this.#current !== null) await this.#current.catch(() => undefined);
    else await this.#endOfTurn();
    const write = this.#write();
    this.#current = write;
    this.#next = null;
    const over = (): void => {
      this.#current = null;
    };
    write.then(over, over);
    return write;
  }

  /** Those that commit before it go together. A write in place is over at once, so that whoever commits in a loop would never let the event loop turn. */
  #endOfTurn(): Promise<void> {
    this.#writes = (this.#writes + 1) % WRITES_A_TURN;
    return new Promise((resolve) => (this.#writes === 0 ? setImmediate(resolve) : process.nextTick(resolve)));
  }

  async #write(): Promise<void> {
    this.#target = this.#stream.appended;
    if (this.#stream.handed < this.#target) await this.#stream.hand();
  }
}
