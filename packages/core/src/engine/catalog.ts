/**
 * The catalog: which indexes there are, and where their trees begin. It is kept on pages of the page store, so that a
 * checkpoint holds it together with all that it leads to; its pages stay in memory while the store is open.
 *
 * What always holds: a name and a number lead to at most one live index; a number is used once, ever (T7); a tree that is
 * being given up has a slot until it is gone, so that nothing leaks if the process ends before.
 *
 * Each thread has a catalog of its own over the same pages: `shared-catalog.ts` sees to it that they agree.
 */

import type { Concurrency } from '../contracts/concurrency.js';
import type { IndexType } from '../contracts/index-plugin.js';
import { SWIP_NULL, SWIP_SIZE } from '../contracts/page-layout.js';
import type { PageStore, SwipLocation } from '../contracts/pages.js';
import { invariant, PagewrightError } from '../errors.js';
import {
  CATALOG_INDEX,
  CatalogDamage,
  entryPagesPerRoot,
  formatEntries,
  formatRoot,
  type IndexDescription,
  KIND_CATALOG_ENTRIES,
  KIND_CATALOG_ROOT,
  ROOT_SWIPS,
  readEntries,
  readRoot,
  type SlotContent,
  STATE_ABANDONED,
  STATE_BUILDING,
  STATE_BUILT,
  STATE_DROPPED,
  STATE_FREE,
  STATE_LIVE,
  slotOffset,
  slotsPerPage,
  writeNextNumber,
  writeSlot,
  writeSlotState,
  writeTombstoneFlag,
} from './catalog-layout.js';
import { IndexEntry } from './index-entry.js';

/** The largest number that an index can have. */
const LAST_NUMBER = 2 ** 32 - 2;
/** The catalog's pages stay in memory: they may take this share of it. */
const POOL_SHARE = 4;

/** A tree that no index has any more. */
export interface DroppedTree {
  readonly location: SwipLocation;
  /** Snapshots from this timestamp on may still read it, */
  readonly incarnation: number;
  /** and below this one; 0 if none may. */
  readonly neededBelow: number;
  /** The index that it belonged to, if that lives on. */
  readonly entry: IndexEntry | null;
}

const SEEN_BY_NONE = { incarnation: 0, neededBelow: 0, entry: null } as const;

/** What the catalog's pages say at one moment. */
export interface CatalogContent {
  readonly nextNumber: number;
  /** Entry pages, in order. */
  readonly frames: readonly number[];
  /** All slots, those of later pages first, and of a page the last one first. */
  readonly slots: readonly { readonly content: SlotContent | undefined; readonly location: SwipLocation }[];
}

/** A tree that a bulk load builds beside that of its index. */
export interface NewTree {
  readonly location: SwipLocation;
  /** Number of the index. */
  readonly number: number;
  /** Tells it from others of the index: the last timestamp when it was begun. */
  readonly stamp: number;
  /** Trees that ended threads had built for the index, abandoned by now: given up as soon as no checkpoint has them as built. */
  readonly left: readonly SwipLocation[];
}

/** A load that another thread has begun. That thread may have ended. */
export interface OtherLoad {
  readonly location: SwipLocation;
  readonly state: typeof STATE_BUILDING | typeof STATE_BUILT;
  /** Tag of the thread. */
  readonly loader: number;
}

export class Catalog {
  readonly byName = new Map<string, IndexEntry>();
  readonly byNumber = new Map<number, IndexEntry>();
  readonly dropped = new Set<DroppedTree>();
  /** Trees that are built, by the numbers of their indexes, and wait for the commits that make them live. */
  readonly built = new Map<number, NewTree>();
  /** Bulk loads, by the numbers of their indexes, as they were when the catalog was last read: of those of this thread that means nothing. */
  readonly loads = new Map<number, readonly OtherLoad[]>();
  readonly types: ReadonlyMap<string, IndexType>;
  /** The number for the next index. */
  nextNumber = 1;
  private root = -1;
  private entryPages: number[] = [];
  /** Pages that this thread keeps in memory for itself. What it has made stays there for all. */
  private readonly pinned: number[] = [];
  /** Of the dropped trees: those that an earlier process was building, or had abandoned. */
  private readonly unfinished: DroppedTree[] = [];
  /** Indexes that were open when the catalog could not be read. */
  private reopens = new Set<IndexEntry>();
  /** The last one is used next. */
  private readonly freeSlots: SwipLocation[] = [];

  private constructor(
    private readonly pages: PageStore,
    types: readonly IndexType[],
  ) {
    this.types = new Map(types.map((type) => [type.name, type]));
  }

  /**
   * Reads the catalog; blocks while it does. With `create`, a store that has none gets one. Errors: `PW_CORRUPT_PAGE`, `PW_IO`.
   */
  static open(
    pages: PageStore,
    types: readonly IndexType[],
    options: { readonly create: boolean; readonly timestamp: number },
  ): Catalog {
    const catalog = new Catalog(pages, types);
    const { root } = pages;
    if (catalog.isNull(root)) {
      if (options.create) catalog.root = catalog.addPage(root, KIND_CATALOG_ROOT, formatRoot, options.timestamp);
    } else {
      catalog.load();
    }
    return catalog;
  }

  /**
   * Reads the catalog anew, when the page store has gone on to a later checkpoint: nothing that was known of frames holds. What stands
   * for an index goes on standing for it. If it cannot be read, all use of the indexes throws what this throws, until it was called again.
   */
  reload(): void {
    const before = [...this.byNumber.values()];
    const open = before.filter((entry) => entry.isOpen || this.reopens.has(entry));
    this.reopens = new Set(open);
    try {
      this.goOn(Catalog.open(this.pages, [...this.types.values()], { create: false, timestamp: 0 }));
      for (const entry of open) if (!entry.dropped) entry.open(this.pages, this.types);
      this.reopens.clear();
    } catch (error) {
      for (const entry of this.byNumber.values()) entry.lose(error);
      throw error;
    }
  }

  /** The index of that number. Undefined for one that was dropped: its operations are of no effect (T7). */
  live(number: number): IndexEntry | undefined {
    return this.byNumber.get(number);
  }

  /** Whether a tree can be put into the catalog without one more page. */
  get hasFreeSlot(): boolean {
    return this.freeSlots.length > 0;
  }

  /** Whether one more index can be created, or cleared. Errors: `PW_FULL`, `PW_POOL_EXHAUSTED`. */
  assertRoom(): void {
    const { pageSize } = this.pages;
    const most = entryPagesPerRoot(pageSize);
    if (this.nextNumber > LAST_NUMBER || (this.freeSlots.length === 0 && this.entryPages.length === most)) {
      throw new PagewrightError(
        'PW_FULL',
        `The catalog is full: with pages of ${pageSize} bytes it has room for ${most * slotsPerPage(pageSize)} indexes. Drop some that are not needed.`,
        { details: { catalog: true, indexes: this.byName.size } },
      );
    }
    if (this.freeSlots.length > 0) return;
    const { frames } = this.pages.stats();
    if (this.entryPages.length + 1 > frames / POOL_SHARE) {
      throw new PagewrightError(
        'PW_POOL_EXHAUSTED',
        `A pool of ${frames} frames has no room for more of the catalog, whose pages stay in memory. Open the store with more memory, or drop indexes that are not needed.`,
        { details: { frames, catalogPages: this.entryPages.length, indexes: this.byName.size } },
      );
    }
  }

  create(number: number, description: IndexDescription, timestamp: number): IndexEntry {
    const entry = this.entryOf(number, description, this.takeSlot(timestamp), timestamp);
    this.write(entry, timestamp);
    entry.create(this.pages, this.types, timestamp);
    this.byName.set(entry.name, entry);
    this.byNumber.set(number, entry);
    this.nextNumber = Math.max(this.nextNumber, number + 1);
    this.change(this.root, timestamp, (base) =>
      writeNextNumber(this.pages.segmentOf(this.root), base, this.nextNumber),
    );
    return entry;
  }

  drop(entry: IndexEntry, timestamp: number): void {
    entry.dropped = true;
    this.byName.delete(entry.name);
    this.byNumber.delete(entry.number);
    for (const tree of this.dropped) {
      if (tree.entry !== entry) continue;
      this.dropped.delete(tree);
      this.dropped.add({ location: tree.location, ...SEEN_BY_NONE });
    }
    this.giveUpTree(entry.location, timestamp);
  }

  /** Gives the index a new, empty tree. The old one stays readable for snapshots below the timestamp. */
  clear(entry: IndexEntry, timestamp: number): void {
    const before = entry.location;
    // The new tree goes to another slot: the old one keeps its place, and whoever reads it does not notice.
    const location = this.takeSlot(timestamp);
    this.leave(before, { incarnation: entry.incarnation, neededBelow: timestamp, entry }, timestamp);
    entry.begin(timestamp, location);
    this.write(entry, timestamp);
    entry.create(this.pages, this.types, timestamp);
  }

  // ── Trees that are built beside ─────────────────────────────────────────────────────────────────────────────

  /** A place for a new tree of the index, whose swip is null, when no thread that is there builds another. Errors: those of {@link assertRoom}. */
  beginTree(entry: IndexEntry, timestamp: number): NewTree {
    const { number } = entry;
    const tree = {
      location: this.takeSlot(timestamp),
      number,
      stamp: timestamp,
      left: this.takeLeft(number, timestamp),
    };
    const state = { state: STATE_BUILDING, incarnation: timestamp, mayHaveTombstones: false };
    this.writeContent(entry, tree.location, { ...state, loader: this.pages.threads.tag }, timestamp);
    return tree;
  }

  /** The tree is whole. From now on it is given up only when no checkpoint says this any more. */
  noteBuilt(tree: NewTree, timestamp: number): void {
    this.writeState(tree.location, STATE_BUILT, timestamp);
    this.built.set(tree.number, tree);
  }

  /** The tree will never be live. It stays where it is until it is {@link giveUp given up}. */
  abandon(tree: NewTree, timestamp: number): void {
    this.writeState(tree.location, STATE_ABANDONED, timestamp);
    if (this.built.get(tree.number) === tree) this.built.delete(tree.number);
  }

  /** The pages of an abandoned tree are of no use any more. */
  giveUp({ location }: NewTree, timestamp: number): void {
    this.giveUpTree(location, timestamp);
  }

  /** Trees that threads were building which have ended will never be live: they are abandoned. Returns where they are, and whether a checkpoint may have one of them as built. */
  abandonLost(timestamp: number): { readonly locations: readonly SwipLocation[]; readonly mayBeBuilt: boolean } {
    const lost: OtherLoad[] = [];
    for (const [number, loads] of this.loads) {
      const left = loads.filter((load) => this.isLoading(load));
      lost.push(...loads.filter((load) => !left.includes(load)));
      if (left.length > 0) this.loads.set(number, left);
      else this.loads.delete(number);
    }
    for (const { location } of lost) this.writeState(location, STATE_ABANDONED, timestamp);
    return {
      locations: lost.map(({ location }) => location),
      mayBeBuilt: lost.some(({ state }) => state === STATE_BUILT),
    };
  }

  /** As {@link giveUp}, of trees that were abandoned. */
  giveUpLost(locations: readonly SwipLocation[], timestamp: number): void {
    for (const location of locations) this.giveUpTree(location, timestamp);
  }

  /** Whether a thread that has ended was loading an index, as far as is known. */
  get hasLostLoads(): boolean {
    for (const loads of this.loads.values()) if (!loads.every((load) => this.isLoading(load))) return true;
    return false;
  }

  private isLoading({ loader }: OtherLoad): boolean {
    const { threads } = this.pages;
    return loader === threads.tag || threads.isPresent(loader);
  }

  /** The same for those that ended threads had left. Call it once. */
  giveUpLeft({ left }: NewTree, timestamp: number): void {
    for (const location of left) this.giveUpTree(location, timestamp);
  }

  /**
   * Gives the index the tree that was built with this stamp. The old one stays readable for snapshots below the timestamp. Errors: `PW_CORRUPT_LOG`
   * if there is none, as in a replay that did not begin at a checkpoint which has it.
   */
  adopt(entry: IndexEntry, stamp: number, timestamp: number): void {
    const tree = this.built.get(entry.number);
    if (tree?.stamp !== stamp) {
      throw new PagewrightError(
        'PW_CORRUPT_LOG',
        `Commit ${timestamp} gives the index '${entry.name}' what was loaded into it, and that is not in this copy of the store, because it is older: what is loaded in bulk is not in the log. Use a backup that was made later.`,
        { details: { index: entry.name, timestamp } },
      );
    }
    this.built.delete(entry.number);
    this.leave(entry.location, { incarnation: entry.incarnation, neededBelow: timestamp, entry }, timestamp);
    entry.begin(timestamp, tree.location);
    this.write(entry, timestamp);
  }

  /** When all commits are there: what an earlier process was building, or had built, and did not become live never will. */
  giveUpLoads(timestamp: number): void {
    for (const tree of [...this.built.values()]) {
      this.abandon(tree, timestamp);
      this.giveUp(tree, timestamp);
    }
    // Said on the page as well: nobody is loading that another thread would take for one of this process.
    for (const tree of this.unfinished.splice(0)) {
      if (this.dropped.has(tree)) this.writeState(tree.location, STATE_DROPPED, timestamp);
    }
    this.loads.clear();
  }

  /** The tree is gone: its swip is null. The slot can be used again. */
  forget(tree: DroppedTree, timestamp: number): void {
    const { location } = tree;
    invariant(this.isNull(location), 'A slot of the catalog becomes free that has a tree');
    this.writeState(location, STATE_FREE, timestamp);
    // What another thread has changed meanwhile may have put another object in its place.
    for (const known of this.dropped) if (keyOf(known.location) === keyOf(location)) this.dropped.delete(known);
    this.freeSlots.push(location);
  }

  setTombstoneFlag(entry: IndexEntry, mayHaveTombstones: boolean, timestamp: number): void {
    const { frame, offset } = entry.location;
    this.change(frame, timestamp, (base) =>
      writeTombstoneFlag(this.pages.segmentOf(frame), base + offset, mayHaveTombstones),
    );
    entry.mayHaveTombstones = mayHaveTombstones;
  }

  /** Takes over what was read of a later checkpoint. */
  private goOn(later: Catalog): void {
    this.root = later.root;
    this.entryPages = later.entryPages;
    this.nextNumber = later.nextNumber;
    this.freeSlots.splice(0, this.freeSlots.length, ...later.freeSlots);
    this.dropped.clear();
    for (const tree of later.dropped) this.dropped.add(tree);
    for (const [number, entry] of this.byNumber) if (!later.byNumber.has(number)) entry.dropped = true;
    const entries = [...later.byNumber.values()].map((found) => {
      const known = this.byNumber.get(found.number);
      known?.goOn(found);
      return known ?? found;
    });
    this.byName.clear();
    this.byNumber.clear();
    for (const entry of entries) {
      this.byName.set(entry.name, entry);
      this.byNumber.set(entry.number, entry);
    }
  }

  /** Forgets what indexes were before they were cleared, as far as no snapshot sees it. */
  forgetUnseen(isSeen: Concurrency['isSeen']): void {
    for (const entry of this.byNumber.values()) if (entry.predecessor !== null) entry.forgetUnseen(isSeen);
  }

  // ── Between threads ─────────────────────────────────────────────────────────────────────────────────────────

  /** Reads all pages. They are those of one moment if nobody changes the catalog meanwhile. Errors: `PW_CORRUPT_PAGE`. */
  read(): CatalogContent {
    const { pages } = this;
    const { nextNumber } = this.reading(this.root, readRoot);
    const most = entryPagesPerRoot(pages.pageSize);
    const frames: number[] = [];
    const slots: { content: SlotContent | undefined; location: SwipLocation }[] = [];
    while (frames.length < most) {
      const location = { frame: this.root, offset: ROOT_SWIPS + frames.length * SWIP_SIZE };
      if (this.isNull(location)) break;
      const frame = this.loaded(location);
      frames.push(frame);
      const found = this.reading(frame, readEntries);
      const inReverse = found.map((content, slot) => ({ content, location: { frame, offset: slotOffset(slot) } }));
      slots.push(...inReverse.reverse());
    }
    return { nextNumber, frames, slots };
  }

  /**
   * Takes over what another thread has changed. What stands for an index goes on standing for it: with another tree after a `clear`,
   * and what it was before for older snapshots; dropped if it is there no more.
   */
  takeOver({ nextNumber, frames, slots }: CatalogContent): void {
    this.nextNumber = nextNumber;
    for (const frame of frames.slice(this.entryPages.length)) this.pin(frame);
    this.entryPages = [...frames];
    this.takeOverLive(slots);
    this.takeOverDropped(slots);
    this.takeOverLoads(slots);
    const free = slots.filter(({ content }) => content === undefined).map(({ location }) => location);
    this.freeSlots.splice(0, this.freeSlots.length, ...free);
  }

  /** The calling thread uses the catalog no more: others may still. */
  unpin(): void {
    for (const frame of this.pinned.splice(0)) this.pages.unpin(frame);
  }

  private takeOverLive(slots: CatalogContent['slots']): void {
    const before = new Map(this.byNumber);
    this.byName.clear();
    this.byNumber.clear();
    for (const { content, location } of slots) {
      if (content?.state !== STATE_LIVE) continue;
      const { number, type, keyEncoding, valueEncoding, name, incarnation, mayHaveTombstones } = content;
      const description = { type, keyEncoding, valueEncoding, name };
      const entry = before.get(number) ?? this.entryOf(number, description, location, incarnation);
      before.delete(number);
      if (entry.incarnation !== incarnation) this.catchUpWith(entry, { incarnation, location }, slots);
      entry.mayHaveTombstones = mayHaveTombstones;
      this.byName.set(name, entry);
      this.byNumber.set(number, entry);
    }
    for (const entry of before.values()) entry.dropped = true;
  }

  /**
   * Goes through all the trees that the index had since it was last looked at: snapshots of this thread may see each of them, whether it has used the index
   * or not. Those that were loaded in vain are not among them.
   */
  private catchUpWith(
    entry: IndexEntry,
    now: { readonly incarnation: number; readonly location: SwipLocation },
    slots: CatalogContent['slots'],
  ): void {
    const wasOpen = entry.isOpen;
    const isKnown = this.types.has(entry.description.type);
    const passed = slots.flatMap(({ content, location }) => {
      const isPast = content?.state === STATE_DROPPED && content.number === entry.number && content.loader === 0;
      return isPast && content.incarnation > entry.incarnation ? [{ incarnation: content.incarnation, location }] : [];
    });
    passed.sort((a, b) => a.incarnation - b.incarnation);
    for (const { incarnation, location } of [...passed, now]) {
      if (isKnown) entry.open(this.pages, this.types);
      entry.begin(incarnation, location);
    }
    if (wasOpen) entry.open(this.pages, this.types);
  }

  private takeOverLoads(slots: CatalogContent['slots']): void {
    this.loads.clear();
    for (const { content, location } of slots) {
      if (content?.state !== STATE_BUILDING && content?.state !== STATE_BUILT) continue;
      const { number, state, loader } = content;
      this.loads.set(number, [...(this.loads.get(number) ?? []), { location, state, loader }]);
    }
  }

  /** What ended threads were building for the index is given up. What they had built is abandoned, so that nobody finds two such trees. Returns the latter. */
  private takeLeft(number: number, timestamp: number): readonly SwipLocation[] {
    const own = this.pages.threads.tag;
    const left = (this.loads.get(number) ?? []).filter(({ loader }) => loader !== own);
    this.loads.delete(number);
    for (const { location, state } of left) {
      if (state === STATE_BUILDING) this.giveUpTree(location, timestamp);
      else this.writeState(location, STATE_ABANDONED, timestamp);
    }
    return left.filter(({ state }) => state === STATE_BUILT).map(({ location }) => location);
  }

  private takeOverDropped(slots: CatalogContent['slots']): void {
    const known = new Map([...this.dropped].map((tree) => [keyOf(tree.location), tree]));
    this.dropped.clear();
    for (const { content, location } of slots) {
      if (content?.state !== STATE_DROPPED) continue;
      // Of an index that was dropped, and of a tree that a thread was loading in vain, nobody sees anything.
      const entry = (content.loader === 0 ? this.byNumber.get(content.number) : undefined) ?? null;
      const { incarnation } = content;
      const found = known.get(keyOf(location));
      const isAsKnown =
        found !== undefined && found.entry === entry && (entry === null || found.incarnation === incarnation);
      if (isAsKnown) this.dropped.add(found);
      else if (entry === null) this.dropped.add({ location, ...SEEN_BY_NONE });
      else this.dropped.add({ location, incarnation, neededBelow: nextIncarnation(content, entry, slots), entry });
    }
  }

  // ── Slots ───────────────────────────────────────────────────────────────────────────────────────────────────

  private entryOf(
    number: number,
    description: IndexDescription,
    location: SwipLocation,
    incarnation: number,
  ): IndexEntry {
    return new IndexEntry(number, description, location, incarnation, (noted) =>
      this.setTombstoneFlag(noted, true, noted.incarnation),
    );
  }

  private write(entry: IndexEntry, timestamp: number): void {
    const { location, incarnation, mayHaveTombstones } = entry;
    this.writeContent(entry, location, { state: STATE_LIVE, incarnation, mayHaveTombstones, loader: 0 }, timestamp);
  }

  private writeContent(
    { description, number }: IndexEntry,
    { frame, offset }: SwipLocation,
    state: Pick<SlotContent, 'state' | 'incarnation' | 'mayHaveTombstones' | 'loader'>,
    timestamp: number,
  ): void {
    const content: SlotContent = { ...description, number, ...state };
    this.change(frame, timestamp, (base) => writeSlot(this.pages.segmentOf(frame), base + offset, content));
  }

  private writeState({ frame, offset }: SwipLocation, state: number, timestamp: number): void {
    this.change(frame, timestamp, (base) => writeSlotState(this.pages.segmentOf(frame), base + offset, state));
  }

  private leave(location: SwipLocation, seen: Omit<DroppedTree, 'location'>, timestamp: number): void {
    this.writeState(location, STATE_DROPPED, timestamp);
    this.dropped.add({ location, ...seen });
  }

  /** Leaves a tree that no snapshot sees. */
  private giveUpTree(location: SwipLocation, timestamp: number): void {
    this.leave(location, SEEN_BY_NONE, timestamp);
  }

  private takeSlot(timestamp: number): SwipLocation {
    if (this.freeSlots.length === 0) this.addEntryPage(timestamp);
    return this.freeSlots.pop()!;
  }

  private addEntryPage(timestamp: number): void {
    this.assertRoom();
    const location = { frame: this.root, offset: ROOT_SWIPS + this.entryPages.length * SWIP_SIZE };
    const frame = this.addPage(location, KIND_CATALOG_ENTRIES, formatEntries, timestamp);
    this.entryPages.push(frame);
    for (let slot = slotsPerPage(this.pages.pageSize) - 1; slot >= 0; slot--) {
      this.freeSlots.push({ frame, offset: slotOffset(slot) });
    }
  }

  // ── Pages ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Puts a new page at a swip that is null, and keeps it in memory. */
  private addPage(location: SwipLocation, kind: number, format: typeof formatRoot, timestamp: number): number {
    const { pages } = this;
    const frame = pages.allocate(CATALOG_INDEX, kind, 0, timestamp);
    try {
      format(pages.segmentOf(frame), pages.baseOf(frame), pages.pageSize);
      this.change(location.frame, timestamp, () => pages.link(location.frame, location.offset, frame));
      // It is never unpinned: others may not have read of it when this thread leaves.
      pages.pin(frame);
    } finally {
      pages.unlatch(frame);
    }
    return frame;
  }

  private change(frame: number, timestamp: number, write: (base: number) => void): void {
    const { pages } = this;
    pages.latch(frame);
    try {
      pages.modify(frame, timestamp);
      write(pages.baseOf(frame));
    } finally {
      pages.unlatch(frame);
    }
  }

  private load(): void {
    const { pages } = this;
    this.root = this.loaded(pages.root);
    this.pin(this.root);
    const { nextNumber, frames, slots } = this.read();
    this.nextNumber = nextNumber;
    for (const frame of frames) this.pin(frame);
    this.entryPages = [...frames];
    this.takeOverLoads(slots);
    for (const { content, location } of slots) {
      this.orDamage(location.frame, () => this.place(content, location));
    }
  }

  private pin(frame: number): void {
    this.pages.pin(frame);
    this.pinned.push(frame);
  }

  private place(content: SlotContent | undefined, location: SwipLocation): void {
    if (content === undefined) {
      if (!this.isNull(location)) throw new CatalogDamage('has a free slot with a tree');
      this.freeSlots.push(location);
      return;
    }
    const { number, state, name, incarnation, type, keyEncoding, valueEncoding } = content;
    if (number >= this.nextNumber) throw new CatalogDamage(`has an index of number ${number}, which was not given yet`);
    if (state === STATE_BUILT) {
      if (this.isNull(location) || this.built.has(number))
        throw new CatalogDamage(`has no tree, or two, built for '${name}' (${number})`);
      this.built.set(number, { location, number, stamp: incarnation, left: [] });
      return;
    }
    if (state !== STATE_LIVE) {
      const tree: DroppedTree = { location, ...SEEN_BY_NONE };
      this.dropped.add(tree);
      if (state !== STATE_DROPPED) this.unfinished.push(tree);
      return;
    }
    if (this.isNull(location)) throw new CatalogDamage(`has the index '${name}' without a tree`);
    if (this.byName.has(name) || this.byNumber.has(number))
      throw new CatalogDamage(`has the index '${name}' (${number}) twice`);
    const entry = this.entryOf(number, { type, keyEncoding, valueEncoding, name }, location, incarnation);
    entry.mayHaveTombstones = content.mayHaveTombstones;
    this.byName.set(name, entry);
    this.byNumber.set(number, entry);
  }

  /** The frame of the page that a swip names; blocks while it is read. */
  private loaded(location: SwipLocation): number {
    const { pages } = this;
    pages.latch(location.frame);
    try {
      return pages.childOfLatched(location.frame, location.offset);
    } finally {
      pages.unlatch(location.frame);
    }
  }

  /** Reads a page from a private copy: what is decoded does not change meanwhile (M4). */
  private reading<Result>(frame: number, read: (page: DataView) => Result): Result {
    const { pages } = this;
    const base = pages.baseOf(frame);
    return this.orDamage(frame, () => {
      const size = pages.sizeOf(frame);
      if (size !== pages.pageSize) throw new CatalogDamage(`has ${size} bytes instead of ${pages.pageSize}`);
      const copy = new Uint8Array(size);
      pages.latch(frame);
      copy.set(pages.segmentOf(frame).u8.subarray(base, base + size));
      pages.unlatch(frame);
      return read(new DataView(copy.buffer));
    });
  }

  /** What a step finds damaged in a page becomes an error. */
  private orDamage<Result>(frame: number, step: () => Result): Result {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof CatalogDamage)) throw error;
      throw new PagewrightError(
        'PW_CORRUPT_PAGE',
        `The catalog is damaged: a page of it ${error.what}. Restore the store from a backup.`,
        { details: { frame } },
      );
    }
  }

  private isNull({ frame, offset }: SwipLocation): boolean {
    return this.pages.segmentOf(frame).u32[(this.pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL;
  }
}

/** The incarnation that came after that of a dropped tree: of those that still have a slot. */
function nextIncarnation(
  { number, incarnation }: SlotContent,
  entry: IndexEntry,
  slots: CatalogContent['slots'],
): number {
  let next = entry.incarnation;
  for (const { content } of slots) {
    const isPast = content?.state === STATE_DROPPED && content.number === number && content.loader === 0;
    if (isPast && content.incarnation > incarnation) next = Math.min(next, content.incarnation);
  }
  return next;
}

function keyOf({ frame, offset }: SwipLocation): string {
  return `${frame} ${offset}`;
}
