/**
 * Loading an index in bulk: its new tree is built beside the old one, and made live by one commit (T7). The order of writes, and why a
 * crash at any point leaves the index as it was or as it was to be, is told in `docs/decisions/0013-bulk-load.md`:
 *
 * 1. A slot of the catalog says that a tree is being built; whoever opens the store gives it up.
 * 2. The tree is filled, a few milliseconds at a time. Between two of these all of it is in the store, to be evicted and checkpointed.
 * 3. The slot says that the tree is built, and two checkpoints are written: any from which a replay may begin has the tree whole.
 * 4. A commit makes it live. It is durable by the log, as any other.
 */
import type { BulkLoad } from '../contracts/index-plugin.js';
import { ENTRY_OVERHEAD, TAG_VALUE } from '../contracts/index-plugin.js';
import { OPERATION_LOAD_INDEX } from '../contracts/log.js';
import { copyOf } from '../encodings/byte-slab.js';
import { describe } from '../encodings/encoding.js';
import { PagewrightError } from '../errors.js';
import { EntriesToLoad, unlessInterrupted } from './bulk-load-input.js';
import type { NewTree } from './catalog.js';
import type { Commits } from './commits.js';
import type { EngineCore } from './engine-core.js';
import type { EntryCodec } from './entry-codec.js';
import type { IndexEntry } from './index-entry.js';
import type { IndexPlace } from './index-locks.js';
import { encodeStamp } from './loaded-tree.js';
import { argument } from './range.js';

export interface BulkLoadOptions {
  /**
   * How full pages are made, from 0.5 to 1. Default: 1, for what is read more than it is changed. With 0.9 or less there is room for later inserts
   * between the keys; for keys that are added behind the last one there always is.
   */
  readonly fill?: number | undefined;
  /** Ends it: the promise rejects with the signal's reason, and the index is as it was. */
  readonly signal?: AbortSignal | undefined;
  /** Told now and then, and at the end of the input, how far it is. What it throws ends the load. */
  readonly onProgress?: ((progress: BulkLoadProgress) => void) | undefined;
}

export interface BulkLoadProgress {
  /** Entries that were taken from the input. */
  readonly entries: number;
  /** Bytes of their keys and values. */
  readonly bytes: number;
}

export interface BulkLoadReport extends BulkLoadProgress {
  readonly durationMs: number;
}

/** A loop is faster than a native call where there is little to copy. */
const LONGEST_LOOP = 32;
/**
 * Bytes of input between two checkpoints. They write what was built while the input is read, so that little is left to be written and synced at the end;
 * the next one waits for the last one, which keeps the input from running ahead of the disk.
 */
const CHECKPOINT_BYTES = 16 * 1024 * 1024;
/** Bytes of input between two calls of `onProgress`. */
const PROGRESS_BYTES = 1024 * 1024;
/** Pages for which room is secured at a time, and what is kept so that on a disk that is full the tree can be given up. */
const SECURED_PAGES = 128;
const SPARE_PAGES = 64;
/** How many times more pages there may be than bytes of keys and values would fill. */
const PAGES_A_PAGE = 4;

/** Bytes of a key in a message. */
const MOST_SHOWN = 32;
const OPTIONS: readonly string[] = ['fill', 'signal', 'onProgress'];
const LEAST_FILL = 0.5;

/** Waits for the index, and loads it. */
export async function bulkLoad<Key, Value>(
  core: EngineCore,
  entry: IndexEntry,
  codec: EntryCodec<Key, Value>,
  input: unknown,
  options: BulkLoadOptions,
): Promise<BulkLoadReport> {
  const { closing, commits, housekeeping, locks, operations, state } = core;
  state.assertWritable();
  assertNotDropped(entry);
  checkOptions(options);
  const { signal } = options;
  const closed = { signal: closing, reason: () => closedBy(state) };
  const aborted = signal === undefined ? [] : [{ signal, reason: (): unknown => signal.reason }];
  const interruptions = [closed, ...aborted];
  const entries = EntriesToLoad.of(input, interruptions);
  operations.begin();
  const place = locks.load(entry);
  try {
    await unlessInterrupted(
      interruptions,
      () => untilFirst(commits, place),
      () => place.leave(),
    );
    return await new BulkLoader(core, entry, codec, entries, options).run();
  } finally {
    place.leave();
    operations.end();
    housekeeping.wake();
  }
}

/**
 * Waits until all changes of the index that were asked for before have taken effect or failed. One that has gone on from its place in line, and comes back to it, is waited for
 * as well: so what a load waits for is over before it begins.
 */
async function untilFirst(commits: Commits, place: IndexPlace): Promise<void> {
  await commits.behindAll(() => {
    place.hadTurn = true;
  });
  while (place.isInLine && place.isBehind) {
    await place.comesFirst();
    await commits.behindAll(() => {});
  }
}

class BulkLoader<Key, Value> {
  private tree: NewTree | null = null;
  private loading: BulkLoad | null = null;
  private entryOverhead = ENTRY_OVERHEAD;
  private isLive = false;
  private readonly begun = performance.now();
  private entries = 0;
  private bytes = 0;
  private reported = 0;
  /** Bytes that were there when a checkpoint was last begun; and that one, until it has ended. */
  private written = 0;
  private writing: Promise<void> | null = null;
  /** Pages that may become dirty before room must be secured again. */
  private credit = 0;
  /** Pages that room is secured for. */
  private room = 0;
  private readonly last: Uint8Array;
  private lastLength = 0;

  constructor(
    private readonly core: EngineCore,
    private readonly entry: IndexEntry,
    private readonly codec: EntryCodec<Key, Value>,
    private readonly input: EntriesToLoad,
    private readonly options: BulkLoadOptions,
  ) {
    this.last = new Uint8Array(codec.maxKeySize);
  }

  /** The caller is the first in the line of the index. If it rejects, the index is as it was. */
  async run(): Promise<BulkLoadReport> {
    try {
      await this.begin();
      await this.input.read(
        (item) => this.add(item),
        () => this.pause(),
      );
      this.finishTree();
      await this.makeDurable();
      await this.makeLive();
      return { entries: this.entries, bytes: this.bytes, durationMs: performance.now() - this.begun };
    } catch (error) {
      await this.giveUp();
      throw error;
    } finally {
      this.giveRoom(0);
    }
  }

  // ── The tree ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Other threads may have been first: one at a time loads an index. */
  private async begin(): Promise<void> {
    const { loads, shared } = this.core;
    const { number } = this.entry;
    do {
      await loads.end([number], () => this.assertGoesOn());
      this.assertGoesOn();
      this.secure(0);
    } while (!shared.exclusively(() => !loads.has(number) && this.beginAlone()));
  }

  /** No commit on the index is under way in any thread when its load begins. */
  private beginAlone(): true {
    const { catalog, concurrency, pages, shared } = this.core;
    const { number } = this.entry;
    this.assertGoesOn();
    concurrency.alone(number, () => {
      const timestamp = concurrency.visible;
      this.inGate(() => {
        shared.change(() => {
          this.tree = catalog.beginTree(this.entry, timestamp);
        });
        const context = { pages, number, root: (this.tree as NewTree).location };
        const index = this.entry.type(catalog.types).create(context, timestamp);
        this.entryOverhead = index.entryOverhead ?? ENTRY_OVERHEAD;
        this.loading =
          index.bulkLoad?.(timestamp, this.options.fill ?? 1) ??
          ({
            add: (key, value) => this.inGate(() => index.upsert(key, TAG_VALUE, value, timestamp)),
            finish: () => {},
          } satisfies BulkLoad);
      });
    });
    return true;
  }

  private add(item: unknown): number {
    if (!Array.isArray(item) || item.length !== 2) throw this.notAnEntry(item);
    // Before the key, which is lent: an encoding of both would use its memory again.
    const value = this.codec.borrowValue(item[1]);
    const key = this.codec.borrowKey(item[0]);
    const shared = this.advance(key);
    if (shared < 0) throw this.unsorted(key);
    const bytes = key.length + value.length;
    this.credit -= (PAGES_A_PAGE * bytes + this.entryOverhead) / this.core.pages.pageSize;
    if (this.credit < 0) this.secure(-this.credit);
    (this.loading as BulkLoad).add(key, value, shared);
    this.entries++;
    this.bytes += bytes;
    return bytes;
  }

  /** How many bytes a key shares with the last one, which it is then; below 0 if it is not above that. */
  private advance(key: Uint8Array): number {
    const { last, lastLength } = this;
    const { length } = key;
    const end = Math.min(length, lastLength);
    let at = 0;
    while (at < end && key[at] === last[at]) at++;
    if (at < end ? key[at]! < last[at]! : length <= lastLength) return -1;
    if (length - at > LONGEST_LOOP) last.set(key);
    else for (let to = at; to < length; to++) last[to] = key[to]!;
    this.lastLength = length;
    return at;
  }

  /** Between two steps, in which nothing of the tree is held. */
  private pause(): Promise<void> | null {
    this.assertGoesOn();
    this.report();
    if (this.bytes - this.written < CHECKPOINT_BYTES) return null;
    this.written = this.bytes;
    const before = this.writing;
    // One that fails is in the engine's state: the next step meets it there.
    this.writing = (before ?? Promise.resolve())
      .then(() => this.core.checkpoint())
      .then(
        () => {},
        () => {},
      );
    return before;
  }

  private report(): void {
    if (this.bytes - this.reported < PROGRESS_BYTES) return;
    this.reported = this.bytes;
    this.options.onProgress?.({ entries: this.entries, bytes: this.bytes });
  }

  private finishTree(): void {
    this.options.onProgress?.({ entries: this.entries, bytes: this.bytes });
    this.assertGoesOn();
    this.secure(0);
    (this.loading as BulkLoad).finish();
  }

  /** C6: nothing that follows meets a full disk. `PW_FULL`: nothing has changed. */
  private secure(pages: number): void {
    const { pages: store } = this.core;
    // What was used of the room is dirty by now; what is spare is kept even if there is no more.
    this.giveRoom(SPARE_PAGES);
    const wanted = Math.ceil(pages) + SECURED_PAGES + SPARE_PAGES - this.room;
    store.secureSpace(wanted);
    this.room += wanted;
    this.credit = SECURED_PAGES;
  }

  /** Gives back all room but for so many pages. */
  private giveRoom(kept: number): void {
    const given = Math.max(0, this.room - kept);
    if (given > 0) this.core.pages.giveSpace(given);
    this.room -= given;
  }

  // ── From beside to live ─────────────────────────────────────────────────────────────────────────────────────

  /** Both superblocks name the tree, whole: a replay begins at one of them. */
  private async makeDurable(): Promise<void> {
    const { catalog, concurrency, shared } = this.core;
    shared.changeAlone(() => catalog.noteBuilt(this.tree as NewTree, concurrency.visible));
    await this.core.checkpointAtOnce();
    this.assertGoesOn();
    await this.core.checkpointAtOnce();
    this.assertGoesOn();
    const tree = this.tree as NewTree;
    if (tree.left.length > 0) shared.changeAlone(() => catalog.giveUpLeft(tree, concurrency.visible));
  }

  private async makeLive(): Promise<void> {
    const { catalog, commits, pages } = this.core;
    const { stamp } = this.tree as NewTree;
    await commits.operation(
      () => {
        this.assertGoesOn();
        return { kind: OPERATION_LOAD_INDEX, index: this.entry.number, key: encodeStamp(stamp) };
      },
      (timestamp) => {
        this.isLive = true;
        catalog.adopt(this.entry, stamp, timestamp);
        this.entry.open(pages, catalog.types);
      },
    );
  }

  /** The tree goes; an engine that takes no changes any more leaves that to the next one, which finds its slot. */
  private async giveUp(): Promise<void> {
    const { catalog, concurrency, shared, state } = this.core;
    const { tree } = this;
    if (tree === null || this.isLive || state.readOnly || state.hasFailed) return;
    const wasBuilt = catalog.built.get(tree.number) === tree;
    try {
      shared.changeAlone(() => catalog.abandon(tree, concurrency.visible));
      // No checkpoint may have it as built when its slot is used again: a replay from there would keep it.
      for (let times = 0; wasBuilt && times < 2; times++) await this.core.checkpointAtOnce();
      shared.changeAlone(() => catalog.giveUp(tree, concurrency.visible));
    } catch {
      // The engine is closing, or has no room, or is read-only by now. What ended the load is what its caller must know.
    }
  }

  private inGate(change: () => void): void {
    const { pages } = this.core;
    pages.enterGate();
    try {
      change();
    } finally {
      pages.leaveGate();
    }
  }

  // ── What ends it ────────────────────────────────────────────────────────────────────────────────────────────

  private assertGoesOn(): void {
    const { closing, state } = this.core;
    this.options.signal?.throwIfAborted();
    if (closing.aborted) state.assertUsable();
    state.assertAcceptsCommits();
    assertNotDropped(this.entry);
  }

  private notAnEntry(item: unknown): PagewrightError {
    return argument(
      `bulkLoad takes entries of the form [key, value]; the one after ${this.entries} others is ${describe(item)}.`,
      { index: this.entry.name, position: this.entries },
    );
  }

  /** Of the bytes of both keys: the input may have written over what it gave them by. */
  private unsorted(bytes: Uint8Array): PagewrightError {
    const { name } = this.entry;
    const key = this.decoded(copyOf(bytes));
    const previous = this.decoded(this.last.slice(0, this.lastLength));
    return new PagewrightError(
      'PW_UNSORTED',
      `bulkLoad takes entries in rising order of their keys, each key once: in '${name}', ${shown(key)} comes after ${shown(previous)}. Keys sort by their bytes, as the encoding '${this.codec.key.name}' makes them.`,
      { details: { index: name, position: this.entries, key, previous } },
    );
  }

  /** An encoding of the program's own may not take back what it has made. */
  private decoded(bytes: Uint8Array): Key | Uint8Array {
    try {
      return this.codec.decodeKey(bytes);
    } catch {
      return bytes;
    }
  }
}

/** A key as an error message shows it. */
function shown(key: unknown): string {
  if (!(key instanceof Uint8Array)) return describe(key);
  const { buffer, byteOffset, length } = key;
  const start = Buffer.from(buffer, byteOffset, Math.min(length, MOST_SHOWN)).toString('hex');
  return `the key 0x${start}${length > MOST_SHOWN ? '…' : ''}`;
}

function checkOptions(options: BulkLoadOptions): void {
  if (typeof options !== 'object' || options === null)
    throw argument('The options of bulkLoad are an object.', { options });
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined)
    throw argument(`bulkLoad has no option '${unknown}'. There are: ${OPTIONS.join(', ')}.`, { option: unknown });
  const { fill = 1, signal, onProgress } = options;
  if (typeof fill !== 'number' || !(fill >= LEAST_FILL && fill <= 1))
    throw argument(`The option fill is a number from ${LEAST_FILL} to 1, not ${String(fill)}.`, { fill });
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw argument('The option signal is an AbortSignal.', { signal });
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw argument('The option onProgress is a function.', { onProgress });
}

/** What tells that the engine is being closed. */
function closedBy(state: EngineCore['state']): unknown {
  try {
    state.assertUsable();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Errors: `PW_INDEX_DROPPED`. */
export function assertNotDropped(entry: IndexEntry): void {
  if (!entry.dropped) return;
  throw new PagewrightError(
    'PW_INDEX_DROPPED',
    `The index '${entry.name}' was dropped. Open or create it again with index().`,
    { details: { index: entry.name } },
  );
}
