/**
 * Goes through a scan and gives out what its entries stand for, one by one: at once, or without ever blocking. The
 * asynchronous form also lets the event loop turn now and then when all pages are in memory.
 */
import { describe } from '../encodings/encoding.js';
import type { EngineCore } from './engine-core.js';
import { EntryIterator } from './entry-iterator.js';
import type { EntrySource } from './entry-source.js';
import { argument } from './range.js';
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
    return this.inTurn(this.takeNext, END);
  }

  /**
   * The next entries, `most` of them at most, in one list: those that have been read together, so there may be fewer before the end. At the end there are
   * none. Many entries take less time so than one by one. Errors: `PW_ARGUMENT`, those of `next`.
   */
  nextMany(most: number): Promise<Item[]> {
    if (!Number.isInteger(most) || most < 1) {
      return Promise.reject(argument(`nextMany takes a whole number from 1 on, not ${describe(most)}.`, { most }));
    }
    return this.inTurn(() => this.takeMany(most), null).then((items) => items ?? []);
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.ended = true;
    return Promise.resolve(END);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private readonly takeNext = (): IteratorResult<Item, undefined> => {
    this.left--;
    const { scan, take } = this.source;
    return { done: false, value: take(scan, this.at++) };
  };

  private takeMany(most: number): Item[] {
    const { scan, take } = this.source;
    const count = Math.min(most, this.left, scan.count - this.at);
    this.left -= count;
    const items: Item[] = [];
    for (let i = 0; i < count; i++) items.push(take(scan, this.at++));
    return items;
  }

  /** Takes what there is when all calls before have come to their end. */
  private inTurn<Taken>(take: () => Taken, end: Taken): Promise<Taken> {
    if (this.busy !== null) {
      const step = (): Taken | Promise<Taken> => this.step(take, end);
      return this.occupy(this.busy.then(step, step));
    }
    try {
      const result = this.step(take, end);
      return result instanceof Promise ? this.occupy(result) : Promise.resolve(result);
    } catch (error) {
      this.ended = true;
      return Promise.reject(error);
    }
  }

  private occupy<Taken>(step: Promise<Taken>): Promise<Taken> {
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

  private step<Taken>(take: () => Taken, end: Taken): Taken | Promise<Taken> {
    const { scan } = this.source;
    for (;;) {
      if (this.ended || this.left === 0) return end;
      if (this.at < scan.count) return take();
      if (this.sinceTurn >= ENTRIES_A_TURN) {
        this.sinceTurn = 0;
        return new Promise(setImmediate).then(() => this.step(take, end));
      }
      this.source.assertOpen();
      if (attemptRead(this.core.pages, this.readOn) === FAULTED) {
        return this.core.readOn(this.readOn).then(() => this.step(take, end));
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
