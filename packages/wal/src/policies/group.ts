/**
 * Commits gather for a window, or until there are so many bytes; one flush makes them durable, and all are acknowledged. Few flushes, whatever the
 * load, for a latency of half a window more: for devices on which a flush is dear.
 */
import type { CommitPolicy, CommitPolicyOptions, CommitPolicyType, LogPosition, LogStream } from '@pagewright/core';
import { Gathered } from './gathered.js';

export const groupPolicy: CommitPolicyType = {
  name: 'group',
  attach: (stream, options) => new GroupPolicy(stream, options),
};

const DURABLE = Promise.resolve();

export class GroupPolicy implements CommitPolicy {
  readonly #stream: LogStream;
  readonly #windowMs: number;
  readonly #bytes: number;
  /** The flush under way, and the end of what it covers. */
  #current: Promise<void> | null = null;
  #target: LogPosition = 0;
  /** Those that gather for the next. */
  #group: Gathered | null = null;
  #timer: NodeJS.Timeout | null = null;
  #turn: NodeJS.Immediate | null = null;
  /** Whether the window is over, or the group large enough. */
  #isDue = false;

  constructor(stream: LogStream, { groupWindowMs, groupBytes }: CommitPolicyOptions) {
    this.#stream = stream;
    this.#windowMs = groupWindowMs;
    this.#bytes = groupBytes;
  }

  commit(position: LogPosition): Promise<void> {
    const { durable } = this.#stream;
    if (position <= durable) return DURABLE;
    if (this.#current !== null && position <= this.#target) return this.#current;
    if (this.#group === null) {
      this.#group = new Gathered();
      this.#await(this.#windowMs);
    }
    const { told } = this.#group;
    const flushing = this.#current === null ? durable : Math.max(durable, this.#target);
    if (position - flushing >= this.#bytes && !this.#isDue) process.nextTick(this.#due);
    return told;
  }

  commitSync(position: LogPosition): void {
    if (position > this.#stream.durable) this.#stream.flushSync();
  }

  /** Timers know whole milliseconds, from one on: what is left of the window passes in turns of the event loop, and a window of 0 is what is left of the turn. */
  #await(windowMs: number): void {
    const whole = Math.floor(windowMs);
    const end = windowMs > whole ? performance.now() + windowMs : 0;
    const turn = (): void => {
      if (performance.now() < end) this.#turn = setImmediate(turn);
      else this.#due();
    };
    if (whole > 0) this.#timer = setTimeout(turn, whole);
    else this.#turn = setImmediate(turn);
  }

  readonly #due = (): void => {
    if (this.#group === null) return;
    this.#isDue = true;
    if (this.#current === null) this.#begin();
  };

  #begin(): void {
    const group = this.#group as Gathered;
    this.#group = null;
    this.#isDue = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#timer = null;
    this.#turn = null;
    const flush = this.#flush();
    this.#current = flush;
    const over = (): void => {
      this.#current = null;
      if (this.#isDue) this.#begin();
    };
    flush.then(group.tell, group.fail);
    flush.then(over, over);
  }

  async #flush(): Promise<void> {
    this.#target = this.#stream.appended;
    if (this.#stream.durable < this.#target) await this.#stream.flush();
  }
}
