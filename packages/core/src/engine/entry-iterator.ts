/**
 * Goes through a scan at once, entry by entry: what a generator does, written out, because a generator takes longer for each entry than
 * the entry. It ends for good with the scan, with the first error, and when it is told to; then it lets go of all that it has.
 */
import type { Scan } from '../contracts/concurrency.js';
import type { EntrySource, TakeEntry } from './entry-source.js';

export class EntryIterator<Item> implements Generator<Item, void, undefined> {
  private scan: Scan | null;
  private readonly take: TakeEntry<Item>;
  /** Of the entries that the scan has read last: the next one, and how many are wanted. */
  private at = 0;
  private end = 0;
  /** Entries that are wanted, with these. */
  private left: number;

  constructor(private readonly source: EntrySource<Item>) {
    this.scan = source.scan;
    this.take = source.take;
    this.left = source.limit;
  }

  next(): IteratorResult<Item, void> {
    if (this.at === this.end && !this.readOn()) return { done: true, value: undefined };
    try {
      return { done: false, value: this.take(this.scan as Scan, this.at++) };
    } catch (error) {
      this.close();
      throw error;
    }
  }

  return(): IteratorResult<Item, void> {
    this.close();
    return { done: true, value: undefined };
  }

  throw(error: unknown): IteratorResult<Item, void> {
    this.close();
    throw error;
  }

  [Symbol.iterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get [Symbol.toStringTag](): string {
    return 'EntryIterator';
  }

  /** Has the scan read entries; false if there are none left. */
  private readOn(): boolean {
    const { scan, source } = this;
    if (scan === null) return false;
    this.left -= this.end;
    this.at = this.end = 0;
    try {
      while (this.end === 0 && this.left > 0) {
        source.assertOpen();
        if (!scan.next()) break;
        this.end = Math.min(scan.count, this.left);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.end === 0) this.close();
    return this.end > 0;
  }

  private close(): void {
    this.scan = null;
    this.at = this.end = 0;
  }
}

// What all iterators have, in releases of Node.js that give them methods like `map`.
Object.setPrototypeOf(EntryIterator.prototype, Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())));
