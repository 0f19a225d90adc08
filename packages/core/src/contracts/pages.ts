/**
 * The page store: pages of one shared memory, reached through swips. An index is written against this contract and
 * nothing else; what it gets for that is caching, eviction, atomic checkpoints, checksums, verification and backup.
 *
 * How an index works with it:
 * - A page is addressed by its *frame*, a small integer. Its bytes are `segmentOf(frame)` from `baseOf(frame)` on.
 * - A page that is not held may be moved, evicted or changed by any call that can load, allocate or wait (`child`,
 *   `childOfLatched`, `prefetch`, `allocate`, `latch`). So a reader takes `readVersion`, reads, and trusts what it read only after
 *   `validate`; a writer latches whatever it needs to stay in place. M3: what is read before validation is bounded
 *   before use. M4: native code sees only bytes that were copied to private memory and validated.
 * - The swips of a page that is held may still change between hot, cool and cold during such a call: they are addressed by
 *   their offset, and their words are never kept across it.
 * - Before a latched page is changed, `modify` is called (C2, X1). Never after.
 * - M5: no latch is held across an `await`. Index methods are synchronous.
 *
 * Between threads: each has a store object of its own, attached to the pages of the one that opened them (`share`, `attach`); frames, versions,
 * latches, pins and the gate are those of all. An object is for its own thread alone. Whoever waits for another thread does so in
 * `Atomics.wait`, for moments, and never for that one's event loop (IO3). When a thread has ended that held something (M6), whatever waits, loads
 * or enters the gate throws `PW_THREAD_LOST`, and after the owner's `close` `PW_CLOSED`; hits and validation go on to look at memory alone.
 */

import type { Threads } from '../threads/threads.js';
import type { BackupRequest, BackupResult } from './backup.js';
import type { CompactRequest, CompactResult } from './compaction.js';
import type { IoBackend } from './io.js';
import type { LogMark } from './log.js';
import type { SwipList } from './swip-list.js';
import type { PageExpectation, VerifyProgress, VerifyRequest } from './verification.js';

/**
 * Views of one stretch of the arena, at most 1 GiB. One class for all segments, of fixed-length shared memory, so that
 * code that works on pages stays monomorphic; copies of pages in private memory are seen through the same.
 */
export class Segment<Memory extends ArrayBufferLike = ArrayBufferLike> {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;

  constructor(readonly buffer: Memory) {
    this.u8 = new Uint8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}

/** The place of a swip: the frame of the page that holds it, and its byte offset in that page. The page is pinned. */
export interface SwipLocation {
  readonly frame: number;
  readonly offset: number;
}

/**
 * Thrown (one instance for each store, never a `PagewrightError`) by `child` when `faulting` is on and the page must be
 * read from the file. Whoever turned `faulting` on catches it, awaits `loadFault()` and starts the operation again.
 * An index lets it pass through; it holds no latch when it calls `child`.
 */
export class PageFault {
  readonly isPageFault = true;
}

/** What is kept in the superblock beside the tree: the point that the checkpoint stands for. */
export interface CheckpointMark {
  /** B: the tree holds exactly the commits up to this timestamp. */
  readonly timestamp: number;
  /** Where replay begins, and which log it is. */
  readonly log: LogMark;
}

/** What was found when a store was opened. */
export interface StoreState {
  readonly created: boolean;
  /** 16 random bytes as hex, chosen when the store was created. Log segments carry it as well. */
  readonly storeId: string;
  /** Number of the checkpoint that was found. */
  readonly epoch: number;
  readonly mark: CheckpointMark;
  /** The newer superblock was not valid, and the older one is used. */
  readonly usedOlderSlot: boolean;
}

/** A call for a checkpoint. */
export interface CheckpointSteps {
  /** Called once, at the instant at which the epoch closes (C1): no change is under way. Synchronous. */
  gate(): CheckpointMark;
  /** Called when images and map are durable, before the superblock is written (C3): makes the log durable up to the mark. */
  secureLog(mark: CheckpointMark): Promise<void>;
  /**
   * Called after each batch of images, and once if there are none; the next one is written when it has resolved. `bringOut` brings to the device a piece of what was written so far, by whomever, or all of it, so that not
   * all is left for the end: if it was called, and there is more than is due by then, this is called again. What it throws ends the checkpoint.
   */
  advanced?(progress: CheckpointProgress, bringOut: () => Promise<void>): Promise<void>;
}

/** How far a checkpoint is. */
export interface CheckpointProgress {
  /** Of what was dirty at the gate, the share that is in the file, whoever wrote it: 0 to 1. */
  readonly written: number;
  /** Whether `bringOut` brings out a piece, as far as it is known, and not all that there is. */
  readonly inPieces?: boolean | undefined;
  /** So many times the share of the time that it is given it should take: where others write faster than is brought out, they are to be caught up with. Default: 1. */
  readonly haste?: number | undefined;
}

export interface CheckpointResult {
  readonly epoch: number;
  readonly mark: CheckpointMark;
  /** The mark of the older slot: the log is kept from here (C4). */
  readonly olderMark: CheckpointMark;
  readonly pagesWritten: number;
  readonly bytesWritten: number;
  readonly durationMs: number;
}

/** Pages of one size class. Counters since the store was opened. */
export interface SizeClassStats {
  readonly sizeClass: number;
  readonly pageBytes: number;
  /** In memory now, and those of them that may leave. */
  readonly residentPages: number;
  readonly coolPages: number;
  /** Blocks of frames that are free, and as large as such a page; what is in a larger free block is counted there alone. */
  readonly freeBlocks: number;
  readonly hits: number;
  readonly misses: number;
  readonly pageReads: number;
  readonly pageWrites: number;
  readonly evictions: number;
  readonly cooled: number;
  readonly rewarmed: number;
  readonly relocations: number;
  /** Of pages that had changed, or whose latch was waited for. */
  readonly restarts: number;
  readonly latchWaits: number;
}

/** Counters since the store was opened, of all threads together; sizes in bytes. */
export interface PageStoreStats {
  readonly pageSize: number;
  /** All memory that the store has taken for pages, and for keeping track of them, and what threads of its own hold for themselves. Of pages it is touched as they come. */
  readonly memoryBytes: number;
  readonly frames: number;
  readonly freeFrames: number;
  /** Under pages that may leave; they are hot again if they are touched in time. */
  readonly coolFrames: number;
  readonly dirtyFrames: number;
  /** Look-ups of a swip that found the page in memory. A read of an index does one for each level, and those again when it starts again. */
  readonly hits: number;
  /** Look-ups of a swip whose page was not in memory. */
  readonly misses: number;
  /** Pages that were read: less than the misses where several waited for one, more where pages were read ahead. */
  readonly pageReads: number;
  /** Images of pages that were written, because their frames were wanted or for a checkpoint. */
  readonly pageWrites: number;
  readonly evictions: number;
  /** Of these, what a thread of the store's own has written and evicted, before others wanted the frames. */
  readonly pageWritesAhead: number;
  readonly evictionsAhead: number;
  readonly cooled: number;
  readonly rewarmed: number;
  readonly relocations: number;
  /** What was read without a latch had changed meanwhile, so often. */
  readonly restarts: number;
  /** So often a latch was held by another thread, and waited for. */
  readonly latchWaits: number;
  /** From the smallest class, 0, on; the totals above are their sums. */
  readonly bySizeClass: readonly SizeClassStats[];
  readonly checkpoints: number;
  readonly fileBytes: number;
  readonly freeFileBytes: number;
  /** Extents that were given up and are kept, because a superblock still names them, or a reader in another process does. */
  readonly retainedFileBytes: number;
  /** Readers that keep space, as found after the last checkpoint. 0 if this store is open read-only. */
  readonly readers: number;
  /**
   * Of a store that is open read-only: from this checkpoint on the writer keeps what this reader needs. Null: it is not asked to,
   * because nothing may be written beside the store; or this is no reader.
   */
  readonly pinnedEpoch: number | null;
}

/** How a thread joins a store that another one has open. */
export interface PageStoreAttachRequest {
  readonly io: IoBackend;
  /** What `share` returned in the other thread, posted to this one. */
  readonly handle: unknown;
}

export interface PageStoreOpenRequest {
  readonly path: string;
  readonly io: IoBackend;
  readonly create: boolean;
  readonly errorIfExists: boolean;
  readonly readOnly: boolean;
}

export interface PageStore {
  /** Bytes in a page of class 0. Known for sure once the store is open, and the same in all threads, as are the largest class and the root. */
  readonly pageSize: number;
  /** The largest size class that a page may have in this store. */
  readonly maxSizeClass: number;
  /** The swip of the catalog's root page. */
  readonly root: SwipLocation;
  /** The threads that have the store open, and the slot of the calling one. There once the store is open; all parts of an engine show what they hold in it (M6). */
  readonly threads: Threads;

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────
  /**
   * Locks and opens the page file in the thread whose the store is from then on: its *owner*. Chooses the newest valid superblock and makes it durable (C5). With `readOnly` neither: it asks
   * the writer, if there is one, to keep what it reads (C7).
   */
  open(request: PageStoreOpenRequest): Promise<StoreState>;
  /**
   * C7: goes on to the newest checkpoint of a store that is open read-only. Null: it reads that already, or is open for writing.
   * Else all pages leave their frames, pinned ones too, so that nothing that was known of a frame holds any more, and in the same instant
   * `moved` is called, synchronously; after that other work goes on. What `moved` throws is passed on; the store has moved all the same.
   * Waits for a verification that is under way. A store that is open read-only serves one thread.
   * Errors: `PW_IO`, `PW_CORRUPT_FILE`, `PW_CLOSED`; nothing has moved then.
   */
  follow(moved: (state: StoreState) => void): Promise<StoreState | null>;
  /**
   * Writes a checkpoint of what all threads have changed, while other work goes on. Calls that come while one runs share the next. For the
   * instant of the gate it blocks until no other thread is in it; the caller is not. Errors: what the steps throw, `PW_IO`, `PW_FULL`, `PW_READ_ONLY`
   * after one that failed, `PW_THREAD_LOST`, `PW_CLOSED`; `PW_UNSUPPORTED` in a thread that attached. When it fails after the gate, the store may be
   * found as of this checkpoint or the one before.
   */
  checkpoint(steps: CheckpointSteps): Promise<CheckpointResult>;
  /**
   * Looks for damage while other work goes on: in both superblocks, in the trees of the checkpoints that they name, in what
   * these say of the file's space, and in the pages that are in memory and those below them. Writes nothing. What the
   * checkpoints reach is kept for as long as it takes. Errors: what `request.advanced` throws, `PW_CLOSED`; `PW_UNSUPPORTED` in a thread that attached.
   */
  verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress>;
  /**
   * Copies the last checkpoint to a store of its own while other work goes on: the same pages, store id and timestamp, no
   * log. No page in memory is moved by it, and what the checkpoint reaches is kept for as long as it takes. Errors: what
   * `request.advanced` throws, `PW_EXISTS`, `PW_LOCKED` (another backup to the same path), `PW_NOT_FOUND` (its directory), `PW_CORRUPT_PAGE`,
   * `PW_IO`, `PW_FULL`, `PW_PERMISSION`, `PW_CLOSED`; after all of them nothing is at the path. `PW_UNSUPPORTED` in a thread that attached.
   */
  backup(request: BackupRequest): Promise<BackupResult>;
  /**
   * Makes the file smaller while other work goes on: pages that lie near its end are stored again nearer to its beginning, and when no
   * superblock names what was there, the file is cut off. What readers and backups need stays. A call that comes while another
   * is under way begins after it. Errors, after which the store is whole: what the functions of the request throw,
   * `PW_READ_ONLY`, `PW_UNSUPPORTED` (a thread that did not open the store), `PW_FULL` (no room to move anything), `PW_CORRUPT_PAGE`, `PW_IO`,
   * `PW_POOL_EXHAUSTED`, `PW_CLOSED`.
   */
  compact(request: CompactRequest): Promise<CompactResult>;
  /**
   * What another thread of this process needs to {@link attach}: plain data and shared memory, to be posted as it is, to any
   * number of threads. Errors: `PW_UNSUPPORTED` if the store serves one thread.
   */
  share(): unknown;
  /**
   * In another thread, instead of `open`: the same pages in the same memory. The thread has its own view of them, its own
   * `faulting`, and files of its own. Checkpoints and what else concerns the store as a whole stay with the thread that opened it. `close`
   * leaves the pages to the others. Errors: `PW_ARGUMENT` for what is no handle, `PW_CLOSED`, `PW_THREAD_LOST`.
   */
  attach(request: PageStoreAttachRequest): Promise<void>;
  /**
   * Ends the use of the file and releases the lock. No checkpoint is written. In the thread that opened the store it waits until no
   * other thread is in the midst of something; these get `PW_CLOSED` from then on. Idempotent.
   */
  close(): Promise<void>;
  /**
   * Optional. How many pages there are at most, in the file and in memory alone, in pages of class 0: what {@link stats} says of it, in no time, for who asks
   * before each commit.
   */
  readonly mostPages?: number;
  /** Counts of all threads, each as it was at some instant of the call: others count on meanwhile. */
  stats(): PageStoreStats;

  // ── Addressing ──────────────────────────────────────────────────────────────────────────────────────────────
  /** The memory that the frame is in: the same in all threads, seen through views of this one. Neither this nor where the page begins ever changes. */
  segmentOf(frame: number): Segment;
  /** Byte offset of the frame's page in its segment; a multiple of the page size. */
  baseOf(frame: number): number;
  /** Bytes in the frame's page. That may be another page, of another size, as soon as it is not held. */
  sizeOf(frame: number): number;

  // ── Latches (M1, M2) ────────────────────────────────────────────────────────────────────────────────────────
  /** The version of a page that no thread is changing; waits while one has the latch. Errors: `PW_THREAD_LOST`, `PW_CLOSED`; `PW_INTERNAL` if the caller has it. */
  readVersion(frame: number): number;
  /** Whether nothing has changed since `readVersion`, and what was read in between was whole, whichever thread might have changed it. */
  validate(frame: number, version: number): boolean;
  /** Takes the latch if nothing has changed since `readVersion` and no thread has it. Does not wait. */
  upgrade(frame: number, version: number): boolean;
  /** Takes the latch; waits until no other thread has it. Errors: as of `readVersion`; it is not taken then. */
  latch(frame: number): void;
  /**
   * Gives the latch back, in the thread that took it, and lets the version count on. What was written is there for whoever reads the version after that. Returns
   * that version: as long as it is the frame's, nobody has taken the latch since.
   */
  unlatch(frame: number): number;

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────
  /**
   * The frame of the page that the swip at `offset` of `parent` names, read from the file if need be. The parent is not
   * latched and had `parentVersion` when the offset was found; if that has changed the answer is {@link RESTART}.
   * Sequence for a reader: `child`, `readVersion(child)`, `validate(parent, parentVersion)`, in this order: loading a
   * child changes the parent's swip, so when the answer is a frame that had to be read the parent's version has gone on
   * and the reader starts again, now without a miss. While it reads in place other threads wait for this parent alone.
   * Errors: `PW_CORRUPT_PAGE`, `PW_IO`, `PW_POOL_EXHAUSTED`; {@link PageFault} when `faulting`. Of a store that is open
   * read-only also `PW_SNAPSHOT_TOO_OLD`, with the `checkpoint` in the details: the writer has used the page's space again. `follow` then.
   */
  child(parent: number, offset: number, parentVersion: number): number;
  /** The same for a parent whose latch the caller holds: never restarts, never faults, reads in place. */
  childOfLatched(parent: number, offset: number): number;
  /** When on, `child` throws {@link PageFault} instead of reading in place. Off by default. Of this thread alone. */
  faulting: boolean;
  /**
   * Pages that the scan has gone through for which pages are brought in and touched now; 0 if it is for none. A scan goes past each of them once: of a long one
   * the store may let them leave before others. A hint. 0 by default. Of this thread alone.
   */
  scanned: number;
  /**
   * Reads the page that the last fault of this thread asked for, without blocking. Call it at once after catching the
   * fault; only a `prefetch` may come between. If another thread brings the page in meanwhile, that one counts, and what was read here is
   * given up: whoever asked starts again anyway.
   */
  loadFault(): Promise<void>;
  /**
   * Reads pages that will be wanted soon as one batch. When `faulting`, it begins to, and whoever misses one of them
   * meanwhile waits for the same read; else they are in memory when it returns. The caller holds no latch.
   *
   * A hint, of which as much is done as can be had for little: pages that are in memory or on their way are left out, and
   * those for which no frame can be had cheaply. It does nothing about a swip whose page has changed since its version was
   * read, or that is none. It neither waits nor throws: what keeps a page from being read meets who needs it.
   *
   * Returns how many of the swips, from the first on, it has dealt with; the others are left for later, because there is no
   * room for more, or because the page that holds the next one has changed.
   */
  prefetch(swips: SwipList): number;

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────
  /**
   * C1: who changes pages is in the gate for the whole of a structural change, and a commit from taking its timestamp to
   * publishing. Any number of threads are in it at once. Waits while a checkpoint closes the gate, which it does for an instant. May be nested; nothing is
   * awaited in it. Errors: `PW_THREAD_LOST`, `PW_CLOSED`; it was not entered then.
   * Where one thread alone has the store and changes are synchronous it may be left out: a checkpoint comes between them anyway.
   */
  enterGate(): void;
  leaveGate(): void;
  /**
   * Declares that the latched page is about to change by the commit of this timestamp. Marks it, and all pages above
   * it, dirty in the open epoch; puts their images aside if a running checkpoint still needs them. The latch is the caller's, those
   * of the pages above may be anybody's. Errors: those of writing, if room had to be made for images; nothing has changed then.
   */
  modify(frame: number, timestamp: number): void;
  /**
   * A new page, latched, dirty, its header filled in (no swips), the rest undefined. It has no place in the tree until
   * `link`: no other thread can reach it. Waits for frames that other threads have for moments. Errors: `PW_POOL_EXHAUSTED`, with what holds the
   * frames in the details; those of writing; `PW_THREAD_LOST`, `PW_CLOSED`.
   */
  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number;
  /** Writes the swip of a page that has no place yet, where a null one is. The parent is latched and `modify`ed. */
  link(parent: number, offset: number, child: number): void;
  /**
   * Makes the swip null; the page that it named is brought in if need be, and has no place now. Returns its frame, or -1 for a null swip. The parent is latched
   * and `modify`ed. Readers of other threads may be on the page still: they find out by the parent's version, or by its own once it was latched.
   */
  unlink(parent: number, offset: number): number;
  /** Gives up a page that has no place and no swips of its own. Its latch is held, and gone afterwards. */
  free(frame: number): void;
  /**
   * Gives up the page that a swip names, without reading it if it is cold, and makes the swip null. The page has no
   * swips of its own. The parent is latched and `modify`ed. Waits for the latch of a page that is in memory.
   */
  discard(parent: number, offset: number): void;
  /**
   * Moves `count` swips, `stride` bytes apart on both sides, and tells their pages who their parent is now. Source swips
   * become null. Both pages are latched and `modify`ed; within one page plain copying does.
   */
  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void;
  /** Gives up a whole tree, `budget` pages at most, leaves first; true when nothing is left and the swip is null. The caller holds no latch, and no other thread changes the tree. */
  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean;

  /**
   * Makes sure that the file has room for all pages that are dirty, for what was secured and not given back, and for `pages` more, so that nothing
   * which follows in this commit meets a full disk. Called before the log is appended to. `PW_FULL`: nothing has changed. Until {@link giveSpace} nobody
   * else counts on that room; it lapses when the thread ends, or closes the store.
   */
  secureSpace(pages: number): void;
  /** So many of the pages that this thread has secured room for are dirty by now, or will not be. */
  giveSpace(pages: number): void;

  /** Keeps a page in its frame until `unpin`; counted, for all threads together, and not given back by a thread that ends. For catalog pages and I/O, not for operations of an index. */
  pin(frame: number): void;
  unpin(frame: number): void;
}
