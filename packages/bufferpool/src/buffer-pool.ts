/**
 * The buffer pool: the page store of Pagewright, after LeanStore. Pages of one shared memory are reached through swips
 * that name a frame while the page is in memory, and an address in the file else. This class is what indexes call; the
 * parts behind it are the arena, the frame table, latches, residency (what is in memory), epochs (what changed) and the
 * checkpointer.
 *
 * The root of everything is frame 0, which is no page of the file: its one swip is what the superblock says of the
 * catalog's root, so that marking, checkpoints and eviction need no special case for the top of the tree.
 */
import { threadId } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import {
  type CheckpointResult,
  type CheckpointSteps,
  inject,
  injectAll,
  injectable,
  invariant,
  LARGEST_PAGE,
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageExpectation,
  type PageStore,
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
  type SwipLocation,
  schedulePoint,
  type VerifyProgress,
  type VerifyRequest,
} from '@pagewright/core';
import { type AllocationMap, decodeMap } from './allocation-map.js';
import { Arena } from './arena.js';
import { BuddyAllocator } from './buddy.js';
import { Checkpointer } from './checkpointer.js';
import { Epochs } from './epochs.js';
import { FileSpace } from './file-space.js';
import { FrameTable, NO_FRAME, PARENT, PINS, RESIDENT_CHILDREN, SIZE_CLASS, STATE_HOT } from './frames.js';
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
import type { PoolParts } from './placement.js';
import { ReaderPins } from './reader-pins.js';
import { builtInReplacements, findReplacement } from './replacement/choice.js';
import { Residency } from './residency.js';
import { emptyTree } from './resident-tree.js';
import type { Superblock } from './superblock.js';
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
/** A batch of images of a checkpoint is at most this share of the pool. */
const BATCH_SHARE = 8;
/** Units kept free beside what is known to be needed: for allocation maps and for extents that do not fit side by side. */
const SPARE_UNITS = 16;

@injectable()
export class BufferPool implements PageStore {
  readonly root = ROOT;
  faulting = false;
  maxSizeClass = 0;
  readonly #options: CheckedOptions;
  readonly #replacement: ReplacementPolicyType;
  #pageSize = 0;
  #opened = false;
  #closing: Promise<void> | null = null;
  #restarts = 0;
  // Set by `open`; the arena of a pool that is not open has no frames.
  #arena = new Arena(0, DEFAULT_PAGE_SIZE);
  #frames!: FrameTable;
  #latches!: Latches;
  #blocks!: BuddyAllocator;
  #file!: PageFile;
  #space!: FileSpace;
  #epochs!: Epochs;
  #residency!: Residency;
  #loads!: Loads;
  #checkpointer!: Checkpointer;
  #readers!: ReaderPins;
  /** Of a reader: the last of what must not run beside another: going on to a later checkpoint, and verification. */
  #reading: Promise<unknown> = Promise.resolve();

  /**
   * `replacements` are those that `options.replacement` may name. Default: the two of this package.
   * Errors: `PW_OPTION_INVALID`; `PW_PLUGIN_DUPLICATE` if two of the policies have that name.
   */
  constructor(
    @inject(POOL_OPTIONS) options: BufferPoolOptions = {},
    @injectAll(REPLACEMENTS) replacements?: readonly ReplacementPolicyType[],
  ) {
    this.#options = checkOptions(options);
    const { replacement, coolingFraction } = this.#options;
    this.#replacement = findReplacement(replacement, replacements ?? builtInReplacements(coolingFraction));
  }

  get pageSize(): number {
    return this.#pageSize;
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(request: PageStoreOpenRequest): Promise<StoreState> {
    invariant(!this.#opened, 'A buffer pool is opened once');
    this.#opened = true;
    const file = await PageFile.open(request, this.#options, DEFAULT_PAGE_SIZE);
    try {
      this.#file = file;
      this.#pageSize = file.pageSize;
      this.#readers = new ReaderPins(file.io, file.superblock.storeId);
      const map = await this.#readMap(file);
      // What only a slot that is not valid any more could name, nothing names but readers.
      const oldestNamed = file.olderSuperblock?.epoch ?? file.superblock.epoch;
      this.#loadSpace(map, request.readOnly ? oldestNamed : await this.#readers.limit(oldestNamed));
      this.#buildPool(file);
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

  checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    return this.#checkpointer.run(steps);
  }

  verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
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
        rootFrame: ROOT_FRAME,
      },
      request,
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#opened) return;
    await this.#checkpointer.idle();
    await this.#loads.idle();
    await this.#reading;
    await this.#file.close();
  }

  stats(): PageStoreStats {
    const residency = this.#residency;
    const { cooler, eviction } = residency;
    return {
      pageSize: this.#pageSize,
      memoryBytes: this.#frames.count * this.#pageSize,
      frames: this.#frames.count,
      freeFrames: this.#blocks.freeUnits,
      coolFrames: cooler.coolPages,
      dirtyFrames: this.#epochs.dirtyPages,
      pageReads: residency.pageReads,
      pageWrites: eviction.pageWrites + this.#checkpointer.pagesWritten,
      evictions: eviction.evictions,
      cooled: cooler.cooled,
      rewarmed: residency.rewarmed,
      relocations: residency.regions.relocations,
      restarts: this.#restarts,
      checkpoints: this.#checkpointer.count,
      fileBytes: this.#space.units * this.#pageSize,
      freeFileBytes: this.#space.freeUnits * this.#pageSize,
      retainedFileBytes: this.#space.retainedUnits * this.#pageSize,
      readers: this.#readers.count,
      pinnedEpoch: this.#file.reader?.pinnedEpoch ?? null,
    };
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
    return this.#latches.validate(frame, version);
  }

  upgrade(frame: number, version: number): boolean {
    return this.#latches.upgrade(frame, version);
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
    const frame = word >>> 2;
    // M3: the word may be torn or stale, so it is bounded; the caller validates the parent before it trusts the frame.
    if ((word & SWIP_TAG_MASK) === SWIP_HOT && frame < this.#frames.count) return frame;
    return this.#childSlowly(parent, offset, parentVersion);
  }

  childOfLatched(parent: number, offset: number): number {
    return this.#residency.resolve(parent, offset);
  }

  #childSlowly(parent: number, offset: number, parentVersion: number): number {
    schedulePoint(POINT.swipNotHot);
    if (!this.faulting && this.#isCold(parent, offset)) this.#residency.keepRoom();
    if (!this.#latches.upgrade(parent, parentVersion)) {
      this.#restarts++;
      return RESTART;
    }
    try {
      if (this.faulting && this.#isCold(parent, offset)) {
        const words = this.#arena.segmentOf(parent).u32;
        const at = (this.#arena.baseOf(parent) + offset) >>> 2;
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

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────

  modify(frame: number, timestamp: number): void {
    invariant(this.#latches.isHeld(frame), 'A page is about to change without its latch');
    this.#epochs.markDirty(frame);
    stampPage(this.#arena.segmentOf(frame), this.#arena.baseOf(frame), timestamp);
  }

  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    invariant(sizeClass >= 0, `A page of size class ${sizeClass} was asked for`);
    if (sizeClass > this.maxSizeClass) throw this.#tooLarge(sizeClass);
    const frame = this.#residency.acquire(sizeClass, STATE_HOT);
    this.#latches.latch(frame);
    formatPage(this.#arena.segmentOf(frame), this.#arena.baseOf(frame), { index, kind, sizeClass, timestamp });
    this.#epochs.markDirty(frame);
    return frame;
  }

  link(parent: number, offset: number, child: number): void {
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    invariant(this.#frames.get(child, PARENT) === NO_FRAME, 'A page is linked into the tree twice');
    // What stood here would be reached by nothing any more, and never be given up.
    invariant(this.#arena.segmentOf(parent).u32[at] === SWIP_NULL, 'A page is linked where another one is');
    this.#residency.swizzle(parent, offset, child);
  }

  unlink(parent: number, offset: number): number {
    const { u32 } = this.#arena.segmentOf(parent);
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    if (u32[at] === SWIP_NULL) return NO_FRAME;
    const frame = this.#residency.resolve(parent, offset);
    this.#cut(parent, frame, u32, at);
    return frame;
  }

  free(frame: number): void {
    invariant(this.#frames.get(frame, PARENT) === NO_FRAME, 'A page is freed that still has its place in the tree');
    invariant(this.#frames.get(frame, RESIDENT_CHILDREN) === 0, 'A page is freed that still has children');
    invariant(this.#frames.get(frame, PINS) === 0, 'A pinned page is freed');
    this.#epochs.pageFreed(frame);
    this.#residency.release(frame);
    this.#latches.unlatch(frame);
  }

  discard(parent: number, offset: number): void {
    const { u32 } = this.#arena.segmentOf(parent);
    const at = (this.#arena.baseOf(parent) + offset) >>> 2;
    const word = u32[at] as number;
    if (word === SWIP_NULL) return;
    if ((word & SWIP_TAG_MASK) === SWIP_COLD) {
      this.#epochs.extentFreed(word >>> 2);
      u32[at] = SWIP_NULL;
      u32[at + 1] = 0;
      return;
    }
    const frame = word >>> 2;
    this.#latches.latch(frame);
    this.#cut(parent, frame, u32, at);
    this.free(frame);
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    const source = this.#arena.segmentOf(from).u32;
    const target = this.#arena.segmentOf(to).u32;
    let sourceAt = (this.#arena.baseOf(from) + fromOffset) >>> 2;
    let targetAt = (this.#arena.baseOf(to) + toOffset) >>> 2;
    const step = stride >>> 2;
    let resident = 0;
    for (let left = count; left > 0; left--, sourceAt += step, targetAt += step) {
      const word = source[sourceAt] as number;
      const tag = word & SWIP_TAG_MASK;
      target[targetAt] = word;
      target[targetAt + 1] = source[sourceAt + 1] as number;
      source[sourceAt] = SWIP_NULL;
      source[sourceAt + 1] = 0;
      if (tag === SWIP_HOT || tag === SWIP_COOL) {
        this.#frames.set(word >>> 2, PARENT, to);
        resident++;
      }
    }
    this.#frames.add(from, RESIDENT_CHILDREN, -resident);
    this.#frames.add(to, RESIDENT_CHILDREN, resident);
  }

  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean {
    return releaseTree(this, location.frame, location.offset, timestamp, budget);
  }

  secureSpace(pages: number): void {
    this.#space.secure(this.#epochs.dirtyUnits + this.#epochs.owedUnits + this.#mapUnits() + pages + SPARE_UNITS);
  }

  pin(frame: number): void {
    this.#frames.add(frame, PINS, 1);
  }

  unpin(frame: number): void {
    this.#frames.add(frame, PINS, -1);
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

  #mapUnits(): number {
    return 2 ** Math.ceil(Math.log2(Math.max(1, this.#space.closedMapBytes() / this.#pageSize)));
  }

  // ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────

  #state(): StoreState {
    const { created, usedOlderSlot, superblock } = this.#file;
    const { storeId, epoch, mark } = superblock;
    return { created, storeId, epoch, mark, usedOlderSlot };
  }

  #loadSpace(map: AllocationMap | null, oldestEpoch: number): void {
    const { io, pageSize, reservedUnits, reader } = this.#file;
    this.#space = new FileSpace(io, pageSize, reservedUnits, reader !== null);
    this.#space.load(map, oldestEpoch);
  }

  /** The newest map that can be read: a reader that could not pin it may find that its space was used again. */
  async #readMap(file: PageFile): Promise<AllocationMap | null> {
    for (;;) {
      try {
        return await this.#mapOf(file, file.superblock);
      } catch (error) {
        const newer = (await file.reader?.newer()) ?? null;
        if (newer === null) throw error;
        file.adopt(newer);
      }
    }
  }

  async #mapOf(file: PageFile, { mapAddress, mapChecksum }: Superblock): Promise<AllocationMap | null> {
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
        {
          details: { path, offset: file.offsetOf(mapAddress) },
        },
      );
    }
    const map = decodeMap(block, file.reservedUnits, path);
    if (map.units * file.pageSize > file.io.size()) throw truncated(path, file.io.size(), map.units * file.pageSize);
    return map;
  }

  #buildPool(file: PageFile): void {
    checkMemory(this.#options.memory, file.pageSize);
    const frames = Math.floor(this.#options.memory / file.pageSize);
    const largestClass = (share: number): number =>
      Math.floor(Math.log2(Math.min(LARGEST_PAGE / file.pageSize, frames / share)));
    this.maxSizeClass = largestClass(LARGEST_PAGE_SHARE);
    this.#arena = new Arena(frames, file.pageSize);
    this.#frames = new FrameTable(frames);
    this.#latches = new Latches(this.#frames, threadId);
    this.#blocks = new BuddyAllocator(largestClass(LARGEST_READ_SHARE), frames);
    this.#blocks.extend(frames);
    this.#blocks.release(ROOT_FRAME + 1, frames - 1);
    this.#epochs = new Epochs(this.#arena, this.#frames, file, this.#space, file.superblock.epoch + 1);
    this.#residency = new Residency(this.#parts, this.#replacement);
    const budget = Math.floor(frames / LOADS_SHARE);
    const depth = Math.min(MOST_LOADS, budget);
    this.#loads = new Loads(this.#arena, this.#frames, this.#latches, this.#residency, file, depth, budget);
    const batchBytes = (frames * file.pageSize) / BATCH_SHARE;
    this.#checkpointer = new Checkpointer(this.#epochs, this.#space, file, ROOT_FRAME, batchBytes, this.#readers);
    this.#buildRoot(file);
  }

  get #parts(): PoolParts {
    return {
      arena: this.#arena,
      frames: this.#frames,
      latches: this.#latches,
      blocks: this.#blocks,
      epochs: this.#epochs,
      file: this.#file,
    };
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
        map = await this.#mapOf(file, newest);
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
        emptyTree(this.#parts, this.#residency, ROOT_FRAME);
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
    const result = this.#reading.then(work);
    this.#reading = result.catch(() => {});
    return result;
  }
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
