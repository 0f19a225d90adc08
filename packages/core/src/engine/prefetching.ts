/**
 * Reading several entries without blocking: when one of them needs a page that is not in memory, the pages that the next
 * ones need are asked for together with it (M5), where the index can say which these are.
 */
import type { Target } from '../contracts/concurrency.js';
import type { PageStore } from '../contracts/pages.js';

/** Entries that are looked ahead to. What their pages may take of memory is for the page store to say. */
const LOOKED_AHEAD = 64;

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
    if (keys === undefined) keysOf.set(target, [key.slice()]);
    else keys.push(key.slice());
  }
  for (const [target, keys] of keysOf) prefetchKeys(pages, target, keys);
}

/** The same for entries of one index. */
export function prefetchKeys(pages: PageStore, target: Target, keys: readonly Uint8Array[], from = 0): void {
  if (target.dropped || keys.length - from < 2) return;
  pages.faulting = true;
  try {
    target.index.prefetch?.(keys.slice(from, from + LOOKED_AHEAD));
  } finally {
    pages.faulting = false;
  }
}
