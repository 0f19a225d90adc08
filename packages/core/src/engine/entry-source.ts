/** What a range goes through, whether at once or without blocking. */
import type { Scan } from '../contracts/concurrency.js';

/** Makes what the caller gets of one entry. */
export type TakeEntry<Item> = (scan: Scan, at: number) => Item;

/** What a stream goes through, and how. */
export interface EntrySource<Item> {
  readonly scan: Scan;
  /** Entries at most. */
  readonly limit: number;
  readonly take: TakeEntry<Item>;
  /** Throws if the engine, or the transaction that reads, has ended meanwhile. Called before each batch. */
  assertOpen(): void;
}
