/**
 * What an index must do: keep entries of bytes, sorted by key, on pages of the page store. Durability, transactions,
 * recovery, threads and backup come from elsewhere.
 *
 * Rules: X1 `modify` stamps pages with the commit's timestamp, and entries that move to another page take the higher
 * stamp with them. X2 a cursor that yielded to the event loop descends again by key.
 * X3 `upsert` and `remove` do not fail for anything within `limits()`: they run when the commit is in the log already, so what
 * they throw fails the engine (T6), and recovery, which does the same change again, meets it at every open.
 * All methods are synchronous and hold no latch when they return or throw. Arguments were checked by the caller, but for the two that would do lasting harm
 * where an index is used alone: keys that are put, and limits of batches. Keys
 * have 1 to `maxKeySize` bytes, values at most `maxValueSize`, both in private memory that does not change until the method returns, and may afterwards.
 */
import { PackedEntries } from './packed-entries.js';
import type { PageStore, SwipLocation } from './pages.js';

/** Tag of an entry whose value is there. Tags are the concurrency plugin's; an index keeps and returns them unread. */
export const TAG_VALUE = 0;
/** Tag of an entry that was deleted while older snapshots may still want to meet its key (T3). Its value is empty. */
export const TAG_TOMBSTONE = 1;

/** What a look-up fills in. Made once and used again, so that a read allocates nothing but its result. */
export class EntryReference {
  /** Set it to false to learn only whether the entry is there. */
  wantsValue = true;
  tag = 0;
  /** A private copy; valid if the look-up answered true and `wantsValue` is set. */
  value: Uint8Array = EMPTY;
  /** The stamp of the page that holds the entry, or would hold it: filled in whether it was found or not. */
  timestamp = 0;
}

const EMPTY = new Uint8Array(0);

/** Entries that a cursor hands out together, from one page that was validated once. Arrays are used again. */
export class EntryBatch {
  /** Set it to false to get keys and tags alone. */
  wantsValues = true;
  /** At most so many entries, and at least 1. */
  limit = 1024;
  count = 0;
  readonly keys: Uint8Array[] = [];
  readonly values: Uint8Array[] = [];
  readonly tags: number[] = [];
  /** The highest stamp of the pages that were gone past, whether they held any or not: filled in also where there are none, and at the end. */
  timestamp = 0;
  /** Set it to true to take entries packed as well, from an index that can pack them. */
  mayPack = false;
  /** Whether they are in {@link packed}, and `keys` and `values` have none of them. Set to false before each call by who calls; tags and count are here either way. */
  isPacked = false;
  readonly packed = new PackedEntries();
}

/** Where a cursor stands, and how far it will go. */
export interface SeekOptions {
  readonly exclusive?: boolean;
  readonly reverse?: boolean;
  /** Nothing beyond this key is wanted: a cursor may end there, and need not. An entry at the key is wanted. Null or left out: all there is. */
  readonly end?: Uint8Array | null;
  /** A hint for reading ahead: about so many entries will be asked for. */
  readonly limit?: number;
}

/**
 * Goes through entries in order of key, either way. Holds nothing between calls: a batch is copied out, and the next
 * call descends again by key, so changes in between neither disturb it nor make it repeat or skip an entry that stayed.
 */
export interface Cursor {
  /**
   * Stands before the first entry at or after `key` (after it, if `exclusive`); with `reverse`, the first at or before.
   * A null key stands at the very beginning or, with `reverse`, at the very end.
   */
  seek(key: Uint8Array | null, options: SeekOptions): void;
  /**
   * Fills the batch with the next entries in the direction of the seek and goes past them. False at the end; then
   * the batch is empty. A batch holds at least one entry, and stops early where its values exceed 1 MiB together.
   * An empty batch with the answer true means: nothing in this page, go on. May throw `PageFault`, with the position unchanged
   * and the content of the batch undefined. A limit below 1, or none that is a number, is `PW_ARGUMENT` (`assertBatchLimit`).
   */
  next(batch: EntryBatch): boolean;
  /**
   * Optional. Goes past entries as `next` does, those of about a page at a time, and says how many there were without handing
   * them out. False: there is nothing left to count. A page of which all entries are counted costs no more than finding it, whatever is on it.
   * May throw `PageFault`, with the position unchanged. An index without it is counted by `next`.
   */
  count?(into: EntryCount): boolean;
}

/** An index that is being built from sorted entries, as `Index.bulkLoad` begins it. */
export interface BulkLoad {
  /**
   * Adds an entry with the tag {@link TAG_VALUE}. Its key is above all before: the caller has looked. Both may be changed as soon as it returns. What it
   * throws is the page store's; then the load is over, and its tree is given up whole. `sharedWithLast` is how many bytes the key before begins with that this
   * one begins with, too, if the caller knows.
   */
  add(key: Uint8Array, value: Uint8Array, sharedWithLast?: number): void;
  /** All entries were added: afterwards the index has them, as if each had been put. */
  finish(): void;
}

/** `Index.entryOverhead` of an index that says nothing. */
export const ENTRY_OVERHEAD = 128;

/** How many entries a cursor has passed, and how far it may go. Made once and used again. */
export class EntryCount {
  /** Entries at this key or beyond it, in the direction of the seek, are not counted. Null: all there are. */
  end: Uint8Array | null = null;
  /** With it, an entry at `end` is counted. */
  inclusive = false;
  /** Entries of a page with a higher stamp are not counted: they must be looked at one by one. */
  newest = Number.POSITIVE_INFINITY;
  /** With it, entries are passed only where none of those on a page that would be has the tag {@link TAG_VALUE}: so whoever looks for values gets by what was deleted. */
  deletedOnly = false;
  /** Entries that were passed, and how many of these have the tag {@link TAG_VALUE}. */
  count = 0;
  values = 0;
  /** The highest stamp of the pages that were gone past, 0 if there is none. */
  timestamp = 0;
  /** The cursor stands before entries of a page whose stamp is above `newest`, and has passed none. */
  isTooNew = false;
  /** The same where `deletedOnly` forbids it. */
  hasValues = false;
}

/** Told of each thing that is wrong on a page. */
export type ReportDamage = (message: string) => void;

/** Bounds that the page's parent sets: keys are above `lower` and at most `upper`, or as the index defines; null is open. */
export interface PageBounds {
  readonly lower: Uint8Array | null;
  readonly upper: Uint8Array | null;
}

/** An open index. */
export interface Index {
  /**
   * Optional. The most pages that one put may make dirty where its page has no room, new ones included, but for those of a large value and for those above that are only marked or lead to
   * more pages than before. It is what room in the file is secured for before a commit is logged. Default: 2, the page and a new one beside it.
   */
  readonly pagesAPut?: number;
  /**
   * Optional. The same of one of many puts in a commit, on average, and beside four times the bytes that they bring: a page is divided again and again only by what is brought to it. Default: {@link pagesAPut}.
   */
  readonly pagesOfManyPuts?: number;
  /**
   * Optional. What each of many entries takes of pages beside four times the bytes of its key and value, at most, in bytes: its head, its share of nodes and of pages above, all that is left empty in pages that
   * were divided. It is what room in the file is secured for before a commit of many entries is logged, and in a load. Default: {@link ENTRY_OVERHEAD}.
   */
  readonly entryOverhead?: number;
  /** Finds the entry and fills `into`. May throw `PageFault`, nothing changed. */
  lookup(key: Uint8Array, into: EntryReference): boolean;
  /**
   * Inserts or replaces. X3: takes every key and value within `limits()`. Only the page store may fail beneath it (`PW_IO`,
   * `PW_CORRUPT_PAGE`, `PW_POOL_EXHAUSTED`); then what is on the pages is whole, and the engine has failed. Other keys are `PW_KEY_EMPTY` and `PW_KEY_TOO_LARGE`
   * (`assertKeyFits`), and nothing has changed.
   */
  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void;
  /** Removes; false if there was no such entry. X3: as `upsert`, it does not fail by itself. */
  remove(key: Uint8Array, timestamp: number): boolean;
  cursor(): Cursor;
  /**
   * Optional. Begins to fill an empty index, which nobody else uses meanwhile, from entries in rising order of key: each page is written once,
   * about as full as `fill` says (0.5 to 1), but for the last ones. Between two calls all its pages are in the tree, so that they can be evicted and
   * checkpointed, and given up together by `releaseTree`; what they mean is its own until `finish`. An index without it is loaded by `upsert`.
   */
  bulkLoad?(timestamp: number, fill: number): BulkLoad;
  /**
   * Optional. About how many entries there are from `lower` up to, and without, `upper`; null is open. Reads the path to each of them, and as many of the pages between as the index needs
   * to be about right: a bounded number, however large the range is. May throw `PageFault`.
   */
  estimate?(lower: Uint8Array | null, upper: Uint8Array | null): number;
  /**
   * Optional. Has the store `prefetch` the pages that look-ups of these keys would miss, as one batch: for each key the
   * first one on its way. What is below that one is not known yet; another call goes on there. Reads nothing itself,
   * changes nothing, and never throws `PageFault`; damage that it meets is `PW_CORRUPT_PAGE`, as in a look-up. An index
   * without it is read page by page.
   */
  prefetch?(keys: readonly Uint8Array[]): void;
  /** Checks what the index keeps on one resident page, and gives the bounds of each child by swip offset. Holds for torn and damaged bytes: it reports, and never throws or loops. */
  check(frame: number, bounds: PageBounds, report: ReportDamage): ReadonlyMap<number, PageBounds>;
  /** Pages and levels, as far as it can tell cheaply. */
  stats(): { readonly height: number };
}

/** What an index gets when it is opened. */
export interface IndexContext {
  readonly pages: PageStore;
  /** The number that its pages carry. */
  readonly number: number;
  /** The swip of its root page. */
  readonly root: SwipLocation;
}

/** One kind of index, as its plugin registers it under the token `INDEXES`. */
export interface IndexType {
  /** As in `db.index(name, { type })`; kept in the catalog. */
  readonly name: string;
  /** Largest key and value in bytes for pages of this size. What is within them is always taken (X3): there is no later refusal. */
  limits(pageSize: number, maxSizeClass: number): { readonly maxKeySize: number; readonly maxValueSize: number };
  /** Puts an empty index at the root swip, which is null. */
  create(context: IndexContext, timestamp: number): Index;
  open(context: IndexContext): Index;
}
