/**
 * Goes through a scan and gives out what its entries stand for, one by one: at once, or without ever blocking. The
 * asynchronous form also lets the event loop turn now and then when all pages are in memory.
 */
import type { EngineCore } from './engine-core.js';
import { EntryIterator } from './entry-iterator.js';
import type { EntrySource } from './entry-source.js';
import { attemptRead, FAULTED } from './reading.js';

export type { EntrySource, TakeEntry } from './entry-source.js';

/** Entries between two turns of the event loop. */
const ENTRIES_A_TURN = 2048;
const EMPTY_BATCH_COST = 64;

export function entriesNow<Item>(source: EntrySource<Item>): EntryIterator<Item> {
  return new EntryIterator(source);
}

export class EntryStream<Item> implements AsyncIterableIterator<Item, undefined> {
  private at = 0;
  private left: number;
  private ended = false;
  private sinceTurn = 0;
  /** The step that is under way; others wait for it, in order. */
  private busy: Promise<unknown> | null = null;

  constructor(
    private readonly core: EngineCore,
    private readonly source: EntrySource<Item>,
  ) {
    this.left = source.limit;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.busy !== null) return this.after(this.busy);
    try {
      const result = this.step();
      if (!(result instanceof Promise)) return Promise.resolve(result);
      return this.occupy(result);
    } catch (error) {
      this.ended = true;
      return Promise.reject(error);
    }
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.ended = true;
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private after(busy: Promise<unknown>): Promise<IteratorResult<Item, undefined>> {
    const step = (): IteratorResult<Item, undefined> | Promise<IteratorResult<Item, undefined>> => this.step();
    return this.occupy(busy.then(step, step));
  }

  private occupy(step: Promise<IteratorResult<Item, undefined>>): Promise<IteratorResult<Item, undefined>> {
    this.busy = step;
    const free = (): void => {
      if (this.busy === step) this.busy = null;
    };
    step.then(free, () => {
      this.ended = true;
      free();
    });
    return step;
  }

  private step(): IteratorResult<Item, undefined> | Promise<IteratorResult<Item, undefined>> {
    const { scan, take } = this.source;
    for (;;) {
      if (this.ended || this.left === 0) return END;
      if (this.at < scan.count) {
        this.left--;
        return { done: false, value: take(scan, this.at++) };
      }
      if (this.sinceTurn >= ENTRIES_A_TURN) {
        this.sinceTurn = 0;
        return new Promise(setImmediate).then(() => this.step());
      }
      this.source.assertOpen();
      if (attemptRead(this.core.pages, this.readOn) === FAULTED) {
        return this.core.readOn(this.readOn).then(() => this.step());
      }
    }
  }

  private readonly readOn = (): void => {
    const { scan } = this.source;
    if (!scan.next()) this.ended = true;
    this.at = 0;
    // A batch may be empty, where all is deleted, and still took time.
    this.sinceTurn += EMPTY_BATCH_COST + scan.count;
  };
}

const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
