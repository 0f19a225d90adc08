/**
 * The buffer pool: the page store of Pagewright, after LeanStore. Pages of one shared memory are reached through swips
 * that name a frame while the page is in memory, and an address in the file else. This class is what indexes and the engine call; the
 * parts behind it are those of its thread (`pool-in-thread.ts`), reads under way, and what one thread does for all: checkpoints,
 * verification, backups, compaction, the page provider.
 */
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
  SWIP_HOT,
  SWIP_TAG_MASK,
  type SwipList,
  type SwipLocation,
  schedulePoint,
  sizeClassOf,
  type Threads,
  TRANSLATIONS,
  type Translation,
  type TranslationType,
  type VerifyProgress,
  type VerifyRequest,
} from '@pagewright/core';
import { Arena } from './arena.js';
import { Arrivals } from './arrivals.js';
import { backupStore } from './backup.js';
import { Checkpointer } from './checkpointer.js';
import { compactStore } from './compact.js';
import { type Counters, HITS, MISSES, RESTARTS } from './counters.js';
import { tellProvider, tellStatistics } from './diagnostics.js';
import { batchBytes } from './epoch-memory.js';
import type { Epochs } from './epochs.js';
import { DIRTY_EPOCH, type FrameTable, NO_FRAME, PINS, SIZE_CLASS, STATE_HOT, WRITING } from './frames.js';
import type { Gate } from './gate.js';
import type { Latches } from './latches.js';
import { Loads } from './loads.js';
import { notOpen, openedTwice, partsNotThere } from './not-open.js';
import {
  type BufferPoolOptions,
  type CheckedOptions,
  checkOptions,
  DEFAULT_PAGE_SIZE,
  POOL_OPTIONS,
} from './options.js';
import { PageFile } from './page-file.js';
import { formatPage, stampPage } from './page-image.js';
import { PageProvider } from './page-provider.js';
import { PoolInThread } from './pool-in-thread.js';
import type { PoolLatch } from './pool-latch.js';
import { createMemory, handleOf, type PoolHandle } from './pool-memory.js';
import { followWriter } from './pool-reader.js';
import { LARGEST_PAGE_SHARE, shapeFor } from './pool-shape.js';
import { Prefetch } from './prefetch.js';
import { ReaderPins } from './reader-pins.js';
import { ReadsInFlight } from './reads-in-flight.js';
import { builtInReplacements, findReplacement, isBuiltIn } from './replacement/choice.js';
import {
  assertFrame,
  problemOfAttach,
  problemOfBackup,
  problemOfCheckpoint,
  problemOfCompact,
  problemOfOpen,
  problemOfVerify,
} from './request-check.js';
import type { Residency } from './residency.js';
import { buildRoot, ROOT, ROOT_FRAME } from './root-frame.js';
import { poolStats } from './statistics.js';
import { readMap } from './stored-map.js';
import { SwipChanges } from './swip-changes.js';
import { builtInTranslations, findTranslation } from './translation/choice.js';
import { releaseTree } from './tree-release.js';
import { type VerifyParts, verifyStore } from './verify.js';
import { verifyBesideWriter } from './verify-reader.js';

/** Reads in flight take at most this share of the frames. */
const LOADS_SHARE = 8;
const MOST_LOADS = 64;
/** How often it is looked for threads that have ended, and whether one of them wants a page provider. */
const SWEEP_MS = 250;
/** After so many looks the counters are told to who listens. */
const SWEEPS_TOLD = 4;

@injectable()
export class BufferPool implements PageStore {
  readonly root = ROOT;
  faulting = false;
  #scanned = 0;
  maxSizeClass = 0;
  readonly #options: CheckedOptions;
  readonly #replacements: readonly ReplacementPolicyType[] | undefined;
  readonly #replacement: ReplacementPolicyType;
  readonly #translations: readonly TranslationType[];
  readonly #translationType: TranslationType;
  #pageSize = 0;
  /** Whether the one call of `open` or `attach` has succeeded, once that is known. */
  #opening: Promise<boolean> | null = null;
  #closing: Promise<void> | null = null;
  // Set by `open` and `attach`; until then whatever is asked of them throws `PW_CLOSED`.
  #arena = new Arena(0, DEFAULT_PAGE_SIZE);
  #pool: PoolInThread = partsNotThere();
  // Parts of it that are on the way of each access.
  #counters: Counters = partsNotThere();
  #frames: FrameTable = partsNotThere();
  #translation: Translation = partsNotThere();
  /** Names below this one are frames: all that there are, or none. */
  #framesNamed = 0;
  #threads: Threads = partsNotThere();
  #poolLatch: PoolLatch = partsNotThere();
  #gate: Gate = partsNotThere();
  #latches: Latches = partsNotThere();
  #epochs: Epochs = partsNotThere();
  #residency: Residency = partsNotThere();
  #swips: SwipChanges = partsNotThere();
  #inFlight: ReadsInFlight = partsNotThere();
  #loads: Loads = partsNotThere();
  #prefetch: Prefetch = partsNotThere();
  #checkpointer: Checkpointer = partsNotThere();
  #readers: ReaderPins = partsNotThere();
  #sweeping: NodeJS.Timeout | null = null;
  #sweeps = 0;
  /** In the thread that opened the pool, where there can be one. */
  #provider: PageProvider | null = null;
  /** One is asked for, there can be none, and nobody has been told. */
  #isProviderMissed = false;
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
    this.#arena.segments.push(partsNotThere());
  }

  get pageSize(): number {
    return this.#pageSize;
  }

  get threads(): Threads {
    return this.#threads;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  open(request: PageStoreOpenRequest): Promise<StoreState> {
    const problem = problemOfOpen(request);
    if (problem !== null) return Promise.reject(problem);
    return this.#once(() => this.#open(request));
  }

  async #open(request: PageStoreOpenRequest): Promise<StoreState> {
    const file = await PageFile.open(request, this.#options, DEFAULT_PAGE_SIZE);
    try {
      const map = await readMap(file);
      const shape = shapeFor(this.#options, file.pageSize, request.readOnly);
      const memory = createMemory(shape, this.#replacement, this.#translationType, map?.units ?? 0);
      for (const segment of memory.segments) request.io.prepareMemory?.(new Uint8Array(segment));
      const pool = new PoolInThread(file, shape, memory, this.#replacement, this.#translationType);
      this.#use(pool);
      // What only a slot that is not valid any more could name, nothing names but readers.
      const oldestNamed = file.olderSuperblock?.epoch ?? file.superblock.epoch;
      pool.space.load(map, request.readOnly ? oldestNamed : await this.#readers.limit(oldestNamed));
      pool.space.readers = this.#readers.count;
      pool.blocks.extend(shape.frames);
      pool.blocks.release(ROOT_FRAME + 1, shape.frames - 1);
      pool.epochs.initialize(file.superblock.epoch + 1);
      buildRoot(pool);
      this.#provider = this.#makeProvider(request);
      this.#isProviderMissed = this.#provider === null && this.#options.pageProvider && !request.readOnly;
      this.#sweeping = setInterval(() => this.#lookAround(), SWEEP_MS).unref();
    } catch (error) {
      await file.close();
      throw error;
    }
    return this.#state();
  }

  follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
    return this.#inTurn(async () => {
      const hasMoved = await followWriter(this.#pool, () => moved(this.#state()));
      return hasMoved ? this.#state() : null;
    });
  }

  share(): PoolHandle {
    const { file, shape, memory } = this.#pool;
    if (shape.readOnly) {
      throw new PagewrightError(
        'PW_UNSUPPORTED',
        'A reader cannot be shared, because it empties its memory when it goes on to a later checkpoint. Open the store in each thread.',
      );
    }
    return handleOf(file, shape, memory);
  }

  attach(request: PageStoreAttachRequest): Promise<void> {
    const problem = problemOfAttach(request);
    if (problem !== null) return Promise.reject(problem);
    const { io, handle } = request;
    const choice = { replacements: this.#replacements, translations: this.#translations };
    return this.#once(async () => this.#use(await PoolInThread.attach(io, handle, choice)));
  }

  async #once<Result>(begin: () => Promise<Result>): Promise<Result> {
    if (this.#opening !== null || this.#closing !== null) throw openedTwice();
    const result = begin();
    this.#opening = result.then(
      () => true,
      () => false,
    );
    return result;
  }

  checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    const problem = this.#refusal('A checkpoint is written', () => problemOfCheckpoint(steps));
    if (problem !== null) return Promise.reject(problem);
    return this.#checkpointer.run(steps);
  }

  verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
    const problem = this.#refusal('A store is verified', () => problemOfVerify(request));
    if (problem !== null) return Promise.reject(problem);
    const { reader } = this.#pool.file;
    if (reader === null) return this.#verify(request);
    return this.#inTurn(() => verifyBesideWriter(reader, request, (asked) => this.#verify(asked)));
  }

  #verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
    return verifyStore(this.#wholeParts, request);
  }

  backup(request: BackupRequest): Promise<BackupResult> {
    const problem = this.#refusal('A backup is made', () => problemOfBackup(request));
    if (problem !== null) return Promise.reject(problem);
    return backupStore(this.#pool, request);
  }

  compact(request: CompactRequest): Promise<CompactResult> {
    const problem = this.#refusal('A store is compacted', () => problemOfCompact(request));
    if (problem !== null) return Promise.reject(problem);
    const { file, needs, shape } = this.#pool;
    if (shape.readOnly) return Promise.reject(readOnly(file.io.path, 'it is not made smaller'));
    const parts = {
      ...this.#wholeParts,
      neededUnits: () => needs.units,
      assertOpen: () => {
        if (this.#closing !== null)
          throw new PagewrightError('PW_CLOSED', `${file.io.path} was closed while it was made smaller.`);
      },
    };
    return this.#inTurn(() => compactStore(parts, request));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const hasOpened = await this.#opening;
    if (hasOpened !== true) return;
    await this.#checkpointer.idle();
    await this.#inFlight.idle();
    await this.#turns;
    if (this.#isOwner) {
      await this.#provider?.stop();
      // Once the lock is given back nobody may write any more.
      await this.#threads.closeForOthers();
      clearInterval(this.#sweeping as NodeJS.Timeout);
      tellStatistics(this.#pool.file, () => this.stats());
    }
    await this.#pool.leave();
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

  /** Why the calling thread is refused what it asks for; null if it is not. */
  #refusal(what: string, problem: () => PagewrightError | null): PagewrightError | null {
    if (this.#isOwner) return problem();
    if (this.#pool === partsNotThere()) return notOpen();
    return new PagewrightError('PW_UNSUPPORTED', `${what} by the thread that opened the pool. Ask that one for it.`);
  }

  get mostPages(): number {
    const { space, epochs } = this.#pool;
    // What is dirty may have no place in the file yet.
    return space.units - space.freeUnits + epochs.dirtyPages;
  }

  stats(): PageStoreStats {
    return poolStats({
      ...this.#wholeParts,
      coolerMemory: this.#pool.memory.cooler,
      translationMemory: this.#pool.memory.translation,
      signal: this.#pool.signal,
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
    this.#counters.addOf(RESTARTS, this.#frames.get(frame, SIZE_CLASS));
    return false;
  }

  upgrade(frame: number, version: number): boolean {
    if (this.#latches.upgrade(frame, version)) return true;
    this.#counters.addOf(RESTARTS, this.#frames.get(frame, SIZE_CLASS));
    return false;
  }

  latch(frame: number): void {
    assertFrame(frame, this.#frames.count);
    this.#latches.latch(frame);
  }

  unlatch(frame: number): number {
    return this.#latches.unlatch(frame);
  }

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number, parentVersion: number): number {
    const word = this.#arena.segmentOf(parent).u32[(this.#arena.baseOf(parent) + offset) >>> 2] as number;
    const name = word >>> 2;
    if ((word & SWIP_TAG_MASK) === SWIP_HOT) {
      // M3: the word may be torn or stale, so it is bounded; the caller validates the parent before it trusts the frame.
      const frame = name < this.#framesNamed ? name : this.#translation.frameOf(name);
      if (frame !== NO_FRAME) {
        this.#counters.addOf(HITS, this.#frames.get(frame, SIZE_CLASS));
        return frame;
      }
    }
    return this.#childSlowly(parent, offset, parentVersion);
  }

  get scanned(): number {
    return this.#scanned;
  }

  set scanned(pages: number) {
    if (pages === this.#scanned) return;
    this.#scanned = pages;
    this.#residency.scanned = pages;
  }

  childOfLatched(parent: number, offset: number): number {
    return this.#residency.resolve(parent, offset);
  }

  #childSlowly(parent: number, offset: number, parentVersion: number): number {
    schedulePoint(POINT.swipNotHot);
    if (!this.faulting && this.#isCold(parent, offset)) this.#residency.keepRoom();
    this.#threads.assertWhole();
    if (!this.#latches.upgrade(parent, parentVersion)) {
      this.#counters.addOf(RESTARTS, this.#frames.get(parent, SIZE_CLASS));
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
    this.#assertWritable();
    const frame = this.#poolLatch.holding(() => this.#residency.acquire(sizeClass, STATE_HOT));
    this.#latches.latch(frame);
    formatPage(this.#arena.segmentOf(frame), this.#arena.baseOf(frame), { index, kind, sizeClass, timestamp });
    this.#markDirty(frame);
    return frame;
  }

  /** What is open read-only changes no page: none could leave its frame. */
  #assertWritable(): void {
    const { shape, file } = this.#pool;
    if (shape.readOnly) throw readOnly(file.io.path, 'no page of it is changed');
  }

  #markDirty(frame: number): void {
    this.#assertWritable();
    this.#poolLatch.holding(() => this.#epochs.markDirty(frame));
  }

  link(parent: number, offset: number, child: number): void {
    this.#swips.link(parent, offset, child);
  }

  unlink(parent: number, offset: number): number {
    return this.#swips.unlink(parent, offset);
  }

  free(frame: number): void {
    this.#swips.free(frame);
    this.#latches.unlatch(frame);
  }

  discard(parent: number, offset: number): void {
    this.#assertWritable();
    this.#swips.discard(parent, offset);
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.#swips.moveSwips(from, fromOffset, to, toOffset, count, stride);
  }

  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean {
    this.#assertWritable();
    return releaseTree(this, location.frame, location.offset, timestamp, budget);
  }

  secureSpace(pages: number): void {
    this.#assertWritable();
    this.#pool.needs.secure(pages);
  }

  giveSpace(pages: number): void {
    this.#pool.needs.give(pages);
  }

  pin(frame: number): void {
    this.#addPins(frame, 1);
  }

  unpin(frame: number): void {
    this.#addPins(frame, -1);
  }

  #addPins(frame: number, pins: number): void {
    assertFrame(frame, this.#frames.count);
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

  // ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────

  #use(pool: PoolInThread): void {
    const { file, shape, space } = pool;
    const { frames, pageSize } = shape;
    this.#pool = pool;
    this.#pageSize = pageSize;
    this.maxSizeClass = shape.maxSizeClass;
    this.#threads = pool.threads;
    this.#counters = pool.counters;
    this.#poolLatch = pool.poolLatch;
    this.#gate = pool.gate;
    this.#arena = pool.arena;
    this.#frames = pool.frames;
    this.#translation = pool.translation;
    this.#framesNamed = findTranslation(shape.translation, this.#translations).namesFrames ? frames : 0;
    this.#latches = pool.latches;
    this.#epochs = pool.epochs;
    this.#residency = pool.residency;
    this.#swips = new SwipChanges(pool, pool.residency);
    this.#readers = new ReaderPins(file.io, file.superblock.storeId);
    const budget = Math.floor(frames / LOADS_SHARE);
    this.#inFlight = new ReadsInFlight(Math.min(MOST_LOADS, budget), budget);
    const arrivals = new Arrivals(pool, pool.residency);
    this.#loads = new Loads(pool, pool.residency, this.#inFlight, arrivals);
    this.#prefetch = new Prefetch(pool, pool.residency, () => pool.space.units, this.#inFlight, arrivals);
    this.#checkpointer = new Checkpointer(
      pool.epochs,
      space,
      file,
      ROOT_FRAME,
      batchBytes(frames, pageSize),
      pool.gate,
      pool.poolLatch,
      this.#readers,
    );
    const { batch } = this.#checkpointer;
    pool.residency.checkpointBatch = batch;
    pool.threads.whileBlocked = () => batch.finishWhileBlocked(pool.threads);
  }

  #makeProvider({ io, readOnly }: PageStoreOpenRequest): PageProvider | null {
    const isPossible = this.#options.pageProvider && !readOnly && isBuiltIn(this.#replacement);
    if (!isPossible || io.module === undefined) return null;
    return new PageProvider(this.#pool.signal, this.#threads, { handle: this.share(), io: io.module });
  }

  #lookAround(): void {
    this.#sweep();
    this.#provideIfWanted();
    if (++this.#sweeps % SWEEPS_TOLD === 0) tellStatistics(this.#pool.file, () => this.stats());
  }

  #provideIfWanted(): void {
    if (this.#provider !== null) this.#provider.startIfWanted();
    else if (this.#isProviderMissed && this.#pool.signal.isWanted) {
      this.#isProviderMissed = false;
      tellProvider(this.#pool.file.io.path, 'unavailable');
    }
  }

  #state(): StoreState {
    const { created, usedOlderSlot, superblock } = this.#pool.file;
    const { storeId, epoch, mark } = superblock;
    return { created, storeId, epoch, mark, usedOlderSlot };
  }

  /** For what goes through all of the pool. */
  get #wholeParts(): VerifyParts {
    return { ...this.#pool, checkpointer: this.#checkpointer, rootFrame: ROOT_FRAME };
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turns.then(work);
    this.#turns = result.catch(() => {});
    return result;
  }
}

function readOnly(path: string, what: string): PagewrightError {
  return new PagewrightError('PW_READ_ONLY', `${path} was opened read-only, and ${what}. Open it for writing.`, {
    details: { path },
  });
}
