/**
 * Reading several entries without blocking: when one of them needs a page that is not in memory, the pages that the next
 * ones need are asked for together with it (M5), where the index can say which these are.
 */
import type { Target } from '../contracts/concurrency.js';
import type { PageStore } from '../contracts/pages.js';
import { copyOf } from '../encodings/byte-slab.js';

/** Entries that are looked ahead to. What their pages may take of memory is for the page store to say. */
const LOOKED_AHEAD = 64;
/** Of these, so many are asked for together, and then read, where the next ones follow before they have come: their pages are one read, which is over when the slowest is. */
export const STEP = 16;

/** What needs the entries of keys: one after the other. */
export interface WantedEntries {
  readonly length: number;
  /** The entry of that number, until another one is asked for: object and key may be used again. */
  at(number: number): { readonly target: Target; readonly key: Uint8Array } | undefined;
}

/** Asks for the pages that these entries will need, from one of them on. Blocks nobody, and may be called between a fault and `loadFault`. */
export function prefetchEntries(pages: PageStore, entries: WantedEntries, from: number): void {
  const keysOf = new Map<Target, Uint8Array[]>();
  const end = Math.min(entries.length, from + LOOKED_AHEAD);
  for (let at = from; at < end; at++) {
    const { target, key } = entries.at(at)!;
    const keys = keysOf.get(target);
    if (keys === undefined) keysOf.set(target, [copyOf(key)]);
    else keys.push(copyOf(key));
  }
  for (const [target, keys] of keysOf) prefetchKeys(pages, target, keys);
}

function prefetchKeys(pages: PageStore, target: Target, keys: readonly Uint8Array[]): void {
  if (target.dropped || keys.length < 2) return;
  pages.faulting = true;
  try {
    target.index.prefetch?.(keys);
  } finally {
    pages.faulting = false;
  }
}

/**
 * The same for many keys of one index that are read one after the other, from a miss on: while some are read, the pages of the next are on their way in several reads, so that the device
 * does not run idle until the slowest of one has come.
 */
export class LookAhead {
  /** How many keys were asked for, from the first on. */
  #asked = 0;

  constructor(
    private readonly pages: PageStore,
    private readonly target: Target,
    private readonly keys: readonly Uint8Array[],
  ) {}

  /** After a miss at a key, and before `loadFault`: whatever was asked for before may have missed pages on the way alone. */
  missedAt(at: number): void {
    this.#asked = at;
    this.goOnFrom(at);
  }

  /** All keys before this one were read. */
  goOnFrom(at: number): void {
    for (; this.#asked < this.keys.length && this.#asked + STEP <= at + LOOKED_AHEAD; this.#asked += STEP) {
      prefetchKeys(this.pages, this.target, this.keys.slice(this.#asked, this.#asked + STEP));
    }
  }
}
