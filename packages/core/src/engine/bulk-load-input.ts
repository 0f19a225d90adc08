/**
 * The input of a bulk load: any iterable, gone through in short steps, so that the event loop turns, and left at once when it is
 * interrupted, even where it never gives its next item.
 */
import { describe } from '../encodings/encoding.js';
import { onAbort } from '../on-abort.js';
import { argument } from './range.js';
import { isThenable } from './thenable.js';

/** The longest that the event loop is held up, but for an item that takes longer by itself. */
const STEP_MS = 4;
/** Bytes of items between two looks at the clock, and what an item counts for beside them. */
const BYTES_A_LOOK = 8192;
const ITEM_OVERHEAD = 64;

type Items = Iterator<unknown> | AsyncIterator<unknown>;

/** What may end it before its time, and with which error. */
export interface Interruption {
  readonly signal: AbortSignal;
  readonly reason: () => unknown;
}

export class EntriesToLoad {
  /** Set when nothing of it is wanted any more. */
  private isOver = false;

  private items: Items | null = null;

  private constructor(
    private readonly beginning: () => Items,
    private readonly interruptions: readonly Interruption[],
  ) {}

  /** Errors: `PW_ARGUMENT` for what cannot be gone through. */
  static of(input: unknown, interruptions: readonly Interruption[]): EntriesToLoad {
    if (typeof input === 'object' && input !== null) {
      const iterable = input as Partial<Iterable<unknown> & AsyncIterable<unknown>>;
      const begin = iterable[Symbol.asyncIterator] ?? iterable[Symbol.iterator];
      if (typeof begin === 'function')
        return new EntriesToLoad(() => Reflect.apply(begin, input, []) as Items, interruptions);
    }
    throw argument('bulkLoad takes an iterable of entries [key, value], synchronous or asynchronous.', { input });
  }

  /**
   * Takes all items, and pauses between two steps; `take` answers how many bytes an item had. Rejects with what the input, `take` or `pause` throws; the
   * input is told to end then.
   */
  read(take: (item: unknown) => number, pause: () => Promise<void> | null): Promise<void> {
    return unlessInterrupted(
      this.interruptions,
      () => this.goThrough(take, pause),
      () => this.end(),
    );
  }

  private async goThrough(take: (item: unknown) => number, pause: () => Promise<void> | null): Promise<void> {
    const items = this.beginning();
    if (!isObject(items) || typeof items.next !== 'function') {
      throw argument('bulkLoad takes an iterable: its iterator is no object with a method next().', {});
    }
    this.items = items;
    let since = performance.now();
    let bytes = 0;
    while (!this.isOver) {
      // What the input itself throws has ended it.
      const next = items.next();
      const result: unknown = isThenable(next) ? await next : next;
      if (this.isOver) return;
      if (!isObject(result)) {
        const what = `next() of its iterator gave ${describe(result)}, and not { done, value }`;
        throw argument(`bulkLoad takes an iterable: ${what}.`, { result });
      }
      const { done, value } = result as Partial<IteratorResult<unknown>>;
      if (done === true) {
        this.isOver = true;
        return;
      }
      try {
        bytes += ITEM_OVERHEAD + take(value);
        if (bytes < BYTES_A_LOOK) continue;
        bytes = 0;
        if (performance.now() - since < STEP_MS) continue;
        const wait = pause();
        if (wait !== null) await wait;
        await new Promise(setImmediate);
        since = performance.now();
      } catch (error) {
        this.end();
        throw error;
      }
    }
  }

  /** Tells the input that no more is wanted. What comes of that is its own matter, and not waited for: it may never come. */
  private end(): void {
    if (this.isOver) return;
    this.isOver = true;
    try {
      Promise.resolve(this.items?.return?.()).catch(() => {});
    } catch {}
  }
}

/** What it comes to, unless it is interrupted first: then it rejects with the reason, `interrupt` has run, and what comes of the work is no longer waited for. */
export function unlessInterrupted<Result>(
  interruptions: readonly Interruption[],
  work: () => Promise<Result>,
  interrupt: () => void,
): Promise<Result> {
  const stops: (() => void)[] = [];
  const outcome = new Promise<Result>((resolve, reject) => {
    for (const { signal, reason } of interruptions) {
      const end = (): void => {
        interrupt();
        reject(reason());
      };
      if (signal.aborted) return end();
      stops.push(onAbort(signal, end));
    }
    work().then(resolve, reject);
  });
  return outcome.finally(() => {
    for (const stop of stops) stop();
  });
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
