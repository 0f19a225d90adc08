/** What all threads of a round have in common: their parts, and what fills the pool. */
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';

/** How long one waits for the writer, where there is one: in place for a moment only, so that a transaction which has the turn in another thread is met as well. */
export const WAITS = { waitSyncMs: 20 };
/** Entries that are there only to take room: more of them than the pool holds. */
export const FILLING = { key: 'u32', value: 'buffer' } as const;
export const FILLING_ENTRIES = 4_000;
export const FILLING_BYTES = 800;

/** Of the store: the first is the default. */
export const INDEX_TYPES = [btree(), art()];
