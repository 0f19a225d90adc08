/**
 * The buffer pool: the page store of Pagewright, after LeanStore. Pages of one shared memory are reached through swips
 * that name a frame while the page is in memory, and an address in the file else. This class is what indexes call; the
 * parts behind it are the arena, the frame table, latches, residency (what is in memory), epochs (what changed) and the
 * checkpointer.
 *
 * The root of everything is frame 0, which is no page of the file: its one swip is what the superblock says of the
 * catalog's root, so that marking, checkpoints and eviction need no special case for the top of the tree.
 */
import { crc32 } from 'node:zlib';
import {
  type BackupRequest,
  type BackupResult,
  type CheckpointResult,
  type CheckpointSteps,
  type CompactRequest,
  type CompactResult,
  inject,
  injectAll,
  injectable,
  invariant,
  isPagewrightError,
  LARGEST_PAGE,
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageExpectation,
  type PageStore,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  type PageStoreStats,
  PagewrightError,
  POINT,
  REPLACEMENTS,
  RESTART,
  type ReplacementPolicyType,
  type Segment,
  type StoreState,
  SWIP_COLD,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  type SwipList,
  type SwipLocation,
  schedulePoint,
  sizeClassOf,
  Threads,
  TRANSLATIONS,
  type Translation,
  type TranslationType,
  type VerifyProgress,
  type VerifyRequest,
} from '@pagewright/core';
import { type AllocationMap, decodeMap } from './allocation-map.js';
import { Arena } from './arena.js';
import { Arrivals } from './arrivals.js';
import { backupStore } from './backup.js';
import { BuddyAllocator } from './buddy.js';
import { Checkpointer } from './checkpointer.js';
import { compactStore } from './compact.js';
import { Counters, HITS, MISSES, RESTARTS } from './counters.js';
import { batchBytes } from './epoch-memory.js';
import { Epochs } from './epochs.js';
import { FileSpace } from './file-space.js';
import {
  DIRTY_EPOCH,
  FrameTable,
  NO_FRAME,
  PARENT,
  PINS,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE_HOT,
  WRITING,
} from './frames.js';
import { Gate } from './gate.js';
import { Latches } from './latches.js';
import { Loads } from './loads.js';
import {
  type BufferPoolOptions,
  type CheckedOptions,
  checkMemory,
  checkOptions,
  DEFAULT_PAGE_SIZE,
  POOL_OPTIONS,
} from './options.js';
import { PageFile } from './page-file.js';
import { formatPage, stampPage } from './page-image.js';
import { PageProvider } from './page-provider.js';
import { provideFrames } from './page-provider-rounds.js';
import { PageProviderSignal } from './page-provider-signal.js';
import type { PoolParts } from './placement.js';
import { PoolLatch } from './pool-latch.js';
import {
  checkHandle,
  createMemory,
  handleOf,
  type PoolHandle,
  type PoolMemory,
  type PoolShape,
} from './pool-memory.js';
import { Prefetch } from './prefetch.js';
import { ReaderPins } from './reader-pins.js';
import { ReadsInFlight } from './reads-in-flight.js';
import { builtInReplacements, findReplacement, isBuiltIn } from './replacement/choice.js';
import { Residency } from './residency.js';
import { emptyTree } from './resident-tree.js';
import { poolStats } from './statistics.js';
import type { Superblock } from './superblock.js';
import { builtInTranslations, findTranslation } from './translation/choice.js';
import { releaseTree } from './tree-release.js';
import { verifyStore } from './verify.js';
import { verifyBesideWriter } from './verify-reader.js';

const ROOT_FRAME = 0;
const ROOT: SwipLocation = Object.freeze({ frame: ROOT_FRAME, offset: PAGE_HEADER_SIZE });

/** The largest page that can be written takes at most this share of the pool. */
const LARGEST_PAGE_SHARE = 16;
/** A store that was written with a larger pool may have larger pages: up to this share they can be read. */
const LARGEST_READ_SHARE = 4;
/** Reads in flight take at most this share of the frames. */
const LOADS_SHARE = 8;
const MOST_LOADS = 64;
/** Units kept free beside what is known to be needed: for allocation maps and for extents that do not fit side by side. */
const SPARE_UNITS = 16;
/** How often it is looked for threads that have ended, and whether one of them wants a page provider. */
const SWEEP_MS = 250;

@injectable()
export class BufferPool implements PageStore {
  readonly root = ROOT;
  faulting = false;
  maxSizeClass = 0;
  readonly #options: CheckedOptions;
  readonly #replacements: readonly ReplacementPolicyType[] | undefined;
  #replacement: ReplacementPolicyType;
  readonly #translations: readonly TranslationType[];
  #translationType: TranslationType;
  #pageSize = 0;
  #opened = false;
  #closing: Promise<void> | null = null;
  // Set by `open`; the arena of a pool that is not open has no frames.
  #arena = new Arena(0, DEFAULT_PAGE_SIZE);
  #counters!: Counters;
  #frames!: FrameTable;
  #translation!: Translation;
  /** Names below this one are frames: all that there are, or none. */
  #framesNamed = 0;
  #threads!: Threads;
  #poolLatch!: PoolLatch;
  #gate!: Gate;
  #latches!: Latches;
  #shape!: PoolShape;
  #memory!: PoolMemory;
  #sweeping: NodeJS.Timeout | null = null;
  #signal!: PageProviderSignal;
  /** In the thread that opened the pool, where there can be one. */
  #provider: PageProvider | null = null;
  #blocks!: BuddyAllocator;
  #file!: PageFile;
  #space!: FileSpace;
  #epochs!: Epochs;
  #residency!: Residency;
  #inFlight!: ReadsInFlight;
  #loads!: Loads;
  #prefetch!: Prefetch;
  #checkpointer!: Checkpointer;
  #readers!: ReaderPins;
  /** The last of what must not run beside another. Of a reader: going on to a later checkpoint, and verification; else compaction. */
  #turns: Promise<unknown> = Promise.resolve();

  /**
   * `replacements` are those that `options.replacement` may name, `translations` those of `options.translation`. Default: what
   * is in this package. Errors: `PW_OPTION_INVALID`; `PW_PLUGIN_DUPLICATE` if two have that name.
   */
  constructor(
    @inject(POOL_OPTIONS) options: BufferPoolOptions = {},
    @injectAll(REPLACEMENTS) replacements?: readonly ReplacementPolicyType[],
    @injectAll(TRANSLATIONS) translations: readonly TranslationType[] = builtInTranslations,
  ) {
    this.#options = checkOptions(options);
    const { replacement, coolingFraction, translation } = this.#options;
    this.#replacements = replacements;
    this.#replacement = findReplacement(replacement, replacements ?? builtInReplacements(coolingFraction));
    this.#translations = translations;
    this.#translationType = findTranslation(translation, translations);
  }

  get pageSize(): number {
    return this.#pageSize;
  }

  get threads(): Threads {
    return this.#threads;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(request: PageStoreOpenRequest): Promise<StoreState> {
    invariant(!this.#opened, 'A buffer pool is opened once');
    this.#opened = true;
    const file = await PageFile.open(request, this.#options, DEFAULT_PAGE_SIZE);
    try {
      const map = await readMap(file);
      const shape = this.#shapeFor(file, request.readOnly);
      this.#build(file, shape, createMemory(shape, this.#replacement, this.#translationType, map?.units ?? 0));
      // What only a slot that is not valid any more could name, nothing names but readers.
      const oldestNamed = file.olderSuperblock?.epoch ?? file.superblock.epoch;
      this.#space.load(map, request.readOnly ? oldestNamed : await this.#readers.limit(oldestNamed));
      this.#blocks.extend(shape.frames);
      this.#blocks.release(ROOT_FRAME + 1, shape.frames - 1);
      this.#epochs.initialize(file.superblock.epoch + 1);
      this.#buildRoot(file);
      this.#provider = this.#makeProvider(request);
      this.#sweeping = setInterval(() => this.#lookAround(), SWEEP_MS).unref();
    } catch (error) {
      this.#closing = file.close();
      await this.#closing;
      throw error;
    }
    return this.#state();
  }

  follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
    return this.#inTurn(() => this.#follow(moved));
  }

  share(): PoolHandle {
    if (this.#shape.readOnly) {
      throw new PagewrightError(
        'PW_UNSUPPORTED',
        'A reader cannot be shared, because it empties its memory when it goes on to a later checkpoint. Open the store in each thread.',
      );
    }
    return handleOf(this.#file.io.path, this.#file.superblock, this.#shape, this.#memory);
  }

  async attach({ io, handle }: PageStoreAttachRequest): Promise<void> {
    invariant(!this.#opened, 'A buffer pool is opened once');
    const { path, superblock, shape, memory } = checkHandle(handle);
    this.#opened = true;
    this.#replacement = findReplacement(
      shape.replacement,
      this.#replacements ?? builtInReplacements(shape.coolingFraction),
    );
    this.#translationType = findTranslation(shape.translation, this.#translations);
    const file = await PageFile.share(io, path, superblock);
    try {
      this.#build(file, shape, memory);
      this.#join();
    } catch (error) {
      this.#closing = file.close();
      await this.#closing;
      throw error;
    }
  }

  /** The thread has a slot. Errors, and then it has none: `PW_THREAD_LOST`, `PW_CLOSED`. */
  #join(): void {
    try {
      this.#threads.assertWhole();
    } catch (error) {
      this.#threads.leave();
      throw error;
    }
  }

  /** For the page provider, whose thread does nothing else: keeps frames free until the pool is closed. Errors: `PW_THREAD_LOST`, and those of writing. */
  provideFrames(): void {
    provideFrames(this.#threads, this.#residency, this.#signal);
    this.#signal.end();
  }

  checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    if (!this.#isOwner) return Promise.reject(notHere('A checkpoint is written'));
    return this.#checkpointer.run(steps);
  }

  verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
    if (!this.#isOwner) return Promise.reject(notHere('A store is verified'));
    const { reader } = this.#file;
    if (reader === null) return this.#verify(request);
    return this.#inTurn(() => verifyBesideWriter(reader, request, (asked) => this.#verify(asked)));
  }

  #verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
    return verifyStore(
      {
        ...this.#parts,
        space: this.#space,
        residency: this.#residency,
        checkpointer: this.#checkpointer,
        gate: this.#gate,
        rootFrame: ROOT_FRAME,
      },
      request,
    );
  }

  backup(request: BackupRequest): Promise<BackupResult> {
    if (!this.#isOwner) return Promise.reject(notHere('A backup is made'));
    return backupStore({ file: this.#file, space: this.#space, poolLatch: this.#poolLatch }, request);
  }

  compact(request: CompactRequest): Promise<CompactResult> {
    if (!this.#isOwner) return Promise.reject(notHere('A store is compacted'));
    if (this.#shape.readOnly) return Promise.reject(this.#readOnly());
    return this.#inTurn(() =>
      compactStore(
        {
          ...this.#parts,
          space: this.#space,
          residency: this.#residency,
          checkpointer: this.#checkpointer,
          gate: this.#gate,
          rootFrame: ROOT_FRAME,
          neededUnits: () => this.#neededUnits(),
          assertOpen: () => {
            if (this.#closing !== null)
              throw new PagewrightError('PW_CLOSED', `${this.#file.io.path} was closed while it was made smaller.`);
          },
        },
        request,
      ),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#opened) return;
    await this.#checkpointer.idle();
    await this.#inFlight.idle();
    await this.#turns;
    if (this.#isOwner) {
      await this.#provider?.stop();
      // Once the lock is given back nobody may write any more.
      await this.#threads.closeForOthers();
      clearInterval(this.#sweeping as NodeJS.Timeout);
    }
    this.#threads.leave();
    await this.#file.close();
  }

  /** Looks for threads that have ended. What has failed thereby meets whoever uses the pool. */
  #sweep(): void {
    this.#threads.sweep();
    try {
      this.#residency.reclaim();
    } catch (error) {
      if (!isPagewrightError(error)) throw error;
    }
  }

  /** The thread that opened the pool, and not one that attached to it. */
  get #isOwner(): boolean {
    return this.#sweeping !== null;
  }

  stats(): PageStoreStats {
    return poolStats({
      ...this.#parts,
      space: this.#space,
      checkpointer: this.#checkpointer,
      coolerMemory: this.#memory.cooler,
      translationMemory: this.#memory.translation,
      readers: this.#readers,
    });
  }

  // ── Addressing ──────────────────────────────────────────────────────────────────────────────────────────────

  segmentOf(frame: number): Segment {
    return this.#arena.segmentOf(frame);
  }

  baseOf(frame: number): number {
    return this.#arena.baseOf(frame);
  }

  sizeOf(frame: number): number {
    return this.#pageSize << this.#frames.get(frame, SIZE_CLASS);
  }

  // ── Latches ─────────────────────────────────────────────────────────────────────────────────────────────────

  readVersion(frame: number): number {
    return this.#latches.readVersion(frame);
  }

  validate(frame: number, version: number): boolean {
    if (this.#latches.validate(frame, version)) return true;
    this.#counters.add(RESTARTS);
    return false;
  }

  upgrade(frame: number, version: number): boolean {
    if (this.#latches.upgrade(frame, version)) return true;
    this.#counters.add(RESTARTS);
    return false;
  }

  latch(frame: number): void {
    this.#latches.latch(frame);
  }

  unlatch(frame: number): void {
    this.#latches.unlatch(frame);
  }

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number, parentVersion: number): number {
    const word = this.#arena.segmentOf(parent).u32[(this.#arena.baseOf(parent) + offset) >>> 2] as number;
    const name = word >>> 2;
    if ((word & SWIP_TAG_MASK) === SWIP_HOT) {
      // M3: the word may be torn or stale, so it is bounded; the caller validates the parent before it trusts the frame.
      const frame = name < this.#framesNamed ? name : this.#translation.frameOf(name);
      if (frame !== NO_FRAME) {
        this.#counters.add(HITS);
        return frame;
      }
    }
    return this.#childSlowly(parent, offset, parentVersion);
  }

  childOfLatched(parent: number, offset: number): number {
    return this.#residency.resolve(parent, offset);
  }

  #childSlowly(parent: number, offset: number, parentVersion: number): number {
    schedulePoint(POINT.swipNotHot);
    if (!this.faulting && this.#isCold(parent, offset)) this.#residency.keepRoom();
    this.#threads.assertWhole();
    if (!this.#latches.upgrade(parent, parentVersion)) {
      this.#counters.add(RESTARTS);
      return RESTART;
    }
    try {
      if (this.faulting && this.#isCold(parent, offset)) {
        const words = this.#arena.segmentOf(parent).u32;
        const at = (this.#arena.baseOf(parent) + offset) >>> 2;
        this.#counters.addOf(MISSES, sizeClassOf((words[at] as number) >>> 2));
        throw this.#loads.note(parent, words[at] as number, words[at + 1] as number);
      }
      this.#residency.resolve(parent, offset);
    } finally {
      this.#latches.unlatch(parent);
    }
    // The swip has changed, and with it the parent's version.
    return RESTART;
  }

  #isCold(parent: number, offset: number): boolean {
    const word = this.#arena.segmentOf(parent).u32[(this.#arena.baseOf(parent) + offset) >>> 2] as number;
    return (word & SWIP_TAG_MASK) === SWIP_COLD;
  }

  loadFault(): Promise<void> {
    return this.#loads.load();
  }

  prefetch(swips: SwipList): number {
    return this.faulting ? this.#prefetch.begin(swips) : this.#prefetch.now(swips);
  }

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────

  enterGate(): void {
    this.#gate.enter();
  }

  leaveGate(): void {
    this.#gate.leave();
  }

  modify(frame: number, timestamp: number): void {
    invariant(this.#latches.isHeld(frame), 'A page is about to change without its latch');
    const frames = this.#frames;
    if (frames.get(frame, DIRTY_EPOCH) !== this.#epochs.open || frames.get(frame, WRITING) !== 0)
      this.#markDirty(frame);
    stampPage(this.#arena.segmentOf(frame), this.#arena.baseOf(frame), timestamp);
  }

  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    invariant(sizeClass >= 0, `A page of size class ${sizeClass} was asked for`);
    if (sizeClass > this.maxSizeClass) throw this.#tooLarge(sizeClass);
    const frame = this.#poolLatch.holding(() => this.#residency.acquire(sizeClass, STATE_HOT));
    this.#latches.latch(frame);
    formatPage(this.#arena.segmentOf(frame), this.#arena.baseOf(frame), { index, kind, sizeClass, timestamp });
    this.#markDirty(frame);
    return frame;
  }

  #markDirty(frame: number): void {
    this.#poolLatch.holding(() => this.#epochs.markDirty(frame));
  }

  link(parent: number, offset: number, child: number): void {
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    invariant(this.#frames.get(child, PARENT) === NO_FRAME, 'A page is linked into the tree twice');
    // What stood here would be reached by nothing any more, and never be given up.
    invariant(this.#arena.segmentOf(parent).u32[at] === SWIP_NULL, 'A page is linked where another one is');
    this.#poolLatch.take();
    this.#residency.swizzle(parent, offset, child);
    this.#poolLatch.give();
  }

  unlink(parent: number, offset: number): number {
    const { u32 } = this.#arena.segmentOf(parent);
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    if (u32[at] === SWIP_NULL) return NO_FRAME;
    const frame = this.#residency.resolve(parent, offset);
    this.#poolLatch.take();
    this.#cut(parent, frame, u32, at);
    this.#poolLatch.give();
    return frame;
  }

  free(frame: number): void {
    invariant(this.#frames.get(frame, PARENT) === NO_FRAME, 'A page is freed that still has its place in the tree');
    invariant(this.#frames.get(frame, RESIDENT_CHILDREN) === 0, 'A page is freed that still has children');
    invariant(this.#frames.get(frame, PINS) === 0, 'A pinned page is freed');
    this.#poolLatch.holding(() => {
      this.#epochs.pageFreed(frame);
      this.#residency.release(frame);
    });
    this.#latches.unlatch(frame);
  }

  discard(parent: number, offset: number): void {
    const { u32 } = this.#arena.segmentOf(parent);
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    // The parent's latch keeps the swip as it is, but for its being cool or hot.
    const word = u32[at] as number;
    if (word === SWIP_NULL) return;
    const isCold = (word & SWIP_TAG_MASK) === SWIP_COLD;
    const frame = isCold ? NO_FRAME : this.#poolLatch.holding(() => this.#residency.frameNamedBy(parent, offset, word));
    if (frame !== NO_FRAME) this.#latches.latch(frame);
    try {
      this.#poolLatch.take();
      if (frame === NO_FRAME) {
        this.#epochs.extentFreed(word >>> 2);
        u32[at] = SWIP_NULL;
        u32[at + 1] = 0;
      } else {
        invariant(this.#frames.get(frame, RESIDENT_CHILDREN) === 0, 'A page is given up that still has children');
        invariant(this.#frames.get(frame, PINS) === 0, 'A pinned page is given up');
        // First what can fail: the page keeps its place then.
        this.#epochs.pageFreed(frame);
        this.#cut(parent, frame, u32, at);
        this.#residency.release(frame);
      }
    } finally {
      this.#poolLatch.give();
      if (frame !== NO_FRAME) this.#latches.unlatch(frame);
    }
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    const source = this.#arena.segmentOf(from).u32;
    const target = this.#arena.segmentOf(to).u32;
    let sourceAt = (this.#arena.baseOf(from) + fromOffset) >>> 2;
    let targetAt = (this.#arena.baseOf(to) + toOffset) >>> 2;
    const step = stride >>> 2;
    let resident = 0;
    this.#poolLatch.take();
    for (let left = count; left > 0; left--, sourceAt += step, targetAt += step) {
      const word = source[sourceAt] as number;
      const tag = word & SWIP_TAG_MASK;
      target[targetAt] = word;
      target[targetAt + 1] = source[sourceAt + 1] as number;
      source[sourceAt] = SWIP_NULL;
      source[sourceAt + 1] = 0;
      if (tag === SWIP_HOT || tag === SWIP_COOL) {
        this.#frames.set(this.#translation.frameOf(word >>> 2), PARENT, to);
        resident++;
      }
    }
    this.#frames.add(from, RESIDENT_CHILDREN, -resident);
    this.#frames.add(to, RESIDENT_CHILDREN, resident);
    this.#poolLatch.give();
  }

  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean {
    return releaseTree(this, location.frame, location.offset, timestamp, budget);
  }

  secureSpace(pages: number): void {
    this.#poolLatch.take();
    try {
      this.#space.secure(this.#neededUnits() + pages);
    } finally {
      this.#poolLatch.give();
    }
  }

  pin(frame: number): void {
    this.#addPins(frame, 1);
  }

  unpin(frame: number): void {
    this.#addPins(frame, -1);
  }

  #addPins(frame: number, pins: number): void {
    this.#poolLatch.take();
    this.#frames.add(frame, PINS, pins);
    this.#poolLatch.give();
  }

  /** An index keeps to the limit; a log that was written with a larger pool does not. */
  #tooLarge(sizeClass: number): PagewrightError {
    const bytes = this.#pageSize * 2 ** sizeClass;
    const least = LARGEST_PAGE_SHARE * bytes;
    return new PagewrightError(
      'PW_POOL_EXHAUSTED',
      `A page of ${bytes} bytes cannot be written with ${this.#options.memory} bytes of memory. Open the store with more memory: at least ${least} bytes.`,
      { details: { pageBytes: bytes, memory: this.#options.memory, least } },
    );
  }

  /** The page loses its place: its swip becomes null. */
  #cut(parent: number, frame: number, words: Uint32Array, at: number): void {
    this.#residency.cooler.rewarm(frame);
    this.#frames.set(frame, PARENT, NO_FRAME);
    this.#frames.add(parent, RESIDENT_CHILDREN, -1);
    words[at] = SWIP_NULL;
    words[at + 1] = 0;
  }

  /** Free units that the file must have for all that is dirty, and for the next map (C6). */
  #neededUnits(): number {
    return this.#epochs.dirtyUnits + this.#epochs.owedUnits + this.#mapUnits() + SPARE_UNITS;
  }

  #mapUnits(): number {
    return 2 ** Math.ceil(Math.log2(Math.max(1, this.#space.closedMapBytes() / this.#pageSize)));
  }

  // ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────

  #shapeFor(file: PageFile, readOnly: boolean): PoolShape {
    const { memory, coolingFraction } = this.#options;
    const { pageSize } = file;
    checkMemory(memory, pageSize);
    const frames = Math.floor(memory / pageSize);
    const largestClass = (share: number): number =>
      Math.floor(Math.log2(Math.min(LARGEST_PAGE / pageSize, frames / share)));
    return {
      frames,
      pageSize,
      maxSizeClass: largestClass(LARGEST_PAGE_SHARE),
      largestReadClass: largestClass(LARGEST_READ_SHARE),
      replacement: this.#replacement.name,
      translation: this.#translationType.name,
      coolingFraction,
      readOnly,
    };
  }

  /** The parts as this thread has them, over memory that may be another thread's. */
  #build(file: PageFile, shape: PoolShape, memory: PoolMemory): void {
    const { frames, pageSize, maxSizeClass, largestReadClass, readOnly } = shape;
    this.#file = file;
    this.#shape = shape;
    this.#memory = memory;
    this.#pageSize = pageSize;
    this.maxSizeClass = maxSizeClass;
    this.#readers = new ReaderPins(file.io, file.superblock.storeId);
    this.#threads = new Threads(memory.threads);
    this.#counters = new Counters(memory.counters, this.#threads.slot);
    this.#poolLatch = new PoolLatch(memory.poolLatch, this.#threads);
    this.#gate = new Gate(memory.gate, this.#threads);
    this.#arena = new Arena(frames, pageSize, memory.segments);
    this.#frames = new FrameTable(frames, memory.frames);
    this.#translation = this.#translationType.attach(this.#frames, memory.translation);
    this.#framesNamed = this.#translationType.namesFrames ? frames : 0;
    this.#latches = new Latches(this.#frames, this.#threads, this.#counters);
    this.#blocks = new BuddyAllocator(memory.blocks, largestReadClass, frames);
    this.#space = new FileSpace(file.io, memory.space, pageSize, file.reservedUnits, readOnly);
    this.#epochs = new Epochs(
      {
        arena: this.#arena,
        frames: this.#frames,
        translation: this.#translation,
        file,
        space: this.#space,
        counters: this.#counters,
      },
      memory.epochs,
    );
    this.#signal = new PageProviderSignal(memory.provider);
    this.#residency = new Residency(this.#parts, this.#replacement, memory.cooler, this.#signal);
    const budget = Math.floor(frames / LOADS_SHARE);
    this.#inFlight = new ReadsInFlight(Math.min(MOST_LOADS, budget), budget);
    const arrivals = new Arrivals(this.#parts, this.#residency);
    this.#loads = new Loads(this.#parts, this.#residency, this.#inFlight, arrivals);
    const units = (): number => this.#space.units;
    this.#prefetch = new Prefetch(this.#parts, this.#residency, units, this.#inFlight, arrivals);
    this.#checkpointer = new Checkpointer(
      this.#epochs,
      this.#space,
      file,
      ROOT_FRAME,
      batchBytes(frames, pageSize),
      this.#gate,
      this.#poolLatch,
      this.#readers,
    );
  }

  #makeProvider({ io, readOnly }: PageStoreOpenRequest): PageProvider | null {
    const isPossible = this.#options.pageProvider && !readOnly && isBuiltIn(this.#replacement);
    if (!isPossible || io.module === undefined) return null;
    return new PageProvider(this.#signal, this.#threads, { handle: this.share(), io: io.module });
  }

  #lookAround(): void {
    this.#sweep();
    this.#provider?.startIfWanted();
  }

  #state(): StoreState {
    const { created, usedOlderSlot, superblock } = this.#file;
    const { storeId, epoch, mark } = superblock;
    return { created, storeId, epoch, mark, usedOlderSlot };
  }

  /** Of a reader that goes on: what the newer map says. Its own memory goes with the old one. */
  #loadSpace(map: AllocationMap | null, oldestEpoch: number): void {
    const { io, pageSize, reservedUnits } = this.#file;
    this.#space = new FileSpace(io, FileSpace.memory(), pageSize, reservedUnits, true);
    this.#space.load(map, oldestEpoch);
  }

  get #parts(): PoolParts {
    return {
      arena: this.#arena,
      frames: this.#frames,
      translation: this.#translation,
      latches: this.#latches,
      blocks: this.#blocks,
      epochs: this.#epochs,
      file: this.#file,
      threads: this.#threads,
      poolLatch: this.#poolLatch,
      counters: this.#counters,
    };
  }

  #readOnly(): PagewrightError {
    const { path } = this.#file.io;
    return new PagewrightError(
      'PW_READ_ONLY',
      `${path} was opened read-only, and is not made smaller. Open it for writing.`,
      {
        details: { path },
      },
    );
  }

  /** Frame 0: a page of one swip, which names what the superblock names. */
  #buildRoot(file: PageFile): void {
    this.#frames.initialize(ROOT_FRAME, 0, STATE_HOT);
    this.#frames.set(ROOT_FRAME, PINS, 1);
    const segment = this.#arena.segmentOf(ROOT_FRAME);
    formatPage(segment, 0, { index: 0, kind: 0, sizeClass: 0, timestamp: 0 });
    segment.u32[PAGE_SWIP_OFFSET >>> 2] = ROOT.offset;
    segment.u16[PAGE_SWIP_COUNT >>> 1] = 1;
    segment.u16[PAGE_SWIP_STRIDE >>> 1] = SWIP_SIZE;
    this.#nameCatalog(file.superblock);
  }

  #nameCatalog({ catalogAddress, catalogChecksum }: Superblock): void {
    const { u32 } = this.#arena.segmentOf(ROOT_FRAME);
    u32[ROOT.offset >>> 2] = catalogAddress === 0 ? SWIP_NULL : ((catalogAddress << 2) | SWIP_COLD) >>> 0;
    u32[(ROOT.offset >>> 2) + 1] = catalogChecksum;
  }

  // ── Reading beside a writer ─────────────────────────────────────────────────────────────────────────────────

  async #follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
    const file = this.#file;
    const { reader } = file;
    if (reader === null) return null;
    let newer = await reader.newer();
    while (newer !== null) {
      const { newest } = newer;
      let map: AllocationMap | null;
      try {
        map = await mapOf(file, newest);
      } catch (error) {
        if (reader.isNamed(newest)) throw error;
        newer = await reader.newer();
        continue;
      }
      try {
        // One step: nobody sees pages of two checkpoints.
        file.adopt(newer);
        this.#loadSpace(map, file.olderSuperblock?.epoch ?? newest.epoch);
        this.#latches.latch(ROOT_FRAME);
        this.#poolLatch.holding(() => emptyTree(this.#parts, this.#residency, ROOT_FRAME));
        this.#nameCatalog(newest);
        this.#latches.unlatch(ROOT_FRAME);
        moved(this.#state());
      } finally {
        await reader.movePin();
      }
      return this.#state();
    }
    return null;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turns.then(work);
    this.#turns = result.catch(() => {});
    return result;
  }
}

/** The newest map that can be read: a reader that could not pin it may find that its space was used again. */
async function readMap(file: PageFile): Promise<AllocationMap | null> {
  for (;;) {
    try {
      return await mapOf(file, file.superblock);
    } catch (error) {
      const newer = (await file.reader?.newer()) ?? null;
      if (newer === null) throw error;
      file.adopt(newer);
    }
  }
}

async function mapOf(file: PageFile, { mapAddress, mapChecksum }: Superblock): Promise<AllocationMap | null> {
  const { path } = file.io;
  if (mapAddress === 0) return null;
  const bytes = file.bytesOf(mapAddress);
  if (file.offsetOf(mapAddress) + bytes > file.io.size()) throw truncated(path, file.io.size());
  const block = Buffer.alloc(bytes);
  await file.io.read(block, file.offsetOf(mapAddress));
  if (crc32(block) !== mapChecksum) {
    throw new PagewrightError(
      'PW_CORRUPT_FILE',
      `The allocation map of ${path} does not match its checksum. Restore the file from a backup.`,
      { details: { path, offset: file.offsetOf(mapAddress) } },
    );
  }
  const map = decodeMap(block, file.reservedUnits, path);
  if (map.units * file.pageSize > file.io.size()) throw truncated(path, file.io.size(), map.units * file.pageSize);
  return map;
}

function notHere(what: string): PagewrightError {
  return new PagewrightError('PW_UNSUPPORTED', `${what} by the thread that opened the pool. Ask that one for it.`);
}

function truncated(path: string, bytes: number, expected?: number): PagewrightError {
  const should = expected === undefined ? '' : `; it had ${expected}`;
  return new PagewrightError(
    'PW_CORRUPT_FILE',
    `${path} is cut off at ${bytes} bytes${should}. Restore the file from a backup.`,
    {
      details: { path, bytes, ...(expected === undefined ? {} : { expected }) },
    },
  );
}
