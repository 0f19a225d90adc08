/**
 * The pool as one thread has it: the parts that find, bring in and evict pages, as objects over memory that may be another thread's. It is all
 * that the page provider needs; `BufferPool` adds what indexes and the engine ask for.
 */
import {
  type IoBackend,
  type ReplacementPolicyType,
  Threads,
  type Translation,
  type TranslationType,
} from '@pagewright/core/contracts';
import { Arena } from './arena.js';
import { BuddyAllocator } from './buddy.js';
import { Counters } from './counters.js';
import { Epochs } from './epochs.js';
import { FileSpace } from './file-space.js';
import { FrameTable } from './frames.js';
import { Gate } from './gate.js';
import { Latches } from './latches.js';
import { PageFile } from './page-file.js';
import { PageProviderSignal } from './page-provider-signal.js';
import type { PoolParts } from './placement.js';
import { PoolLatch } from './pool-latch.js';
import { checkHandle, type PoolMemory, type PoolShape } from './pool-memory.js';
import { builtInReplacements, findReplacement } from './replacement/choice.js';
import { Residency } from './residency.js';
import { SpaceNeeds } from './space-needs.js';
import { builtInTranslations, findTranslation } from './translation/choice.js';
import { UnsyncedRegions } from './unsynced-regions.js';

/** What the names in a handle may stand for. */
export interface PolicyChoice {
  /** Default: those of this package. */
  readonly replacements?: readonly ReplacementPolicyType[] | undefined;
  readonly translations?: readonly TranslationType[] | undefined;
}

export class PoolInThread implements PoolParts {
  readonly threads: Threads;
  readonly counters: Counters;
  readonly poolLatch: PoolLatch;
  readonly gate: Gate;
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly translation: Translation;
  readonly latches: Latches;
  readonly blocks: BuddyAllocator;
  /** Of a reader that goes on to a later checkpoint: another one. */
  space: FileSpace;
  readonly epochs: Epochs;
  readonly needs: SpaceNeeds;
  readonly signal: PageProviderSignal;
  readonly residency: Residency;

  constructor(
    readonly file: PageFile,
    readonly shape: PoolShape,
    readonly memory: PoolMemory,
    replacement: ReplacementPolicyType,
    translation: TranslationType,
  ) {
    const { frames, pageSize, largestReadClass, readOnly } = shape;
    this.threads = new Threads(memory.threads);
    this.counters = new Counters(memory.counters, this.threads.slot);
    this.poolLatch = new PoolLatch(memory.poolLatch, this.threads);
    this.gate = new Gate(memory.gate, this.threads);
    this.arena = new Arena(frames, pageSize, memory.segments);
    this.frames = new FrameTable(frames, memory.frames);
    this.translation = translation.attach(this.frames, memory.translation);
    this.latches = new Latches(this.frames, this.threads, this.counters);
    this.blocks = new BuddyAllocator(memory.blocks, largestReadClass, frames);
    file.unsynced = new UnsyncedRegions(memory.unsynced);
    this.space = new FileSpace(file.io, memory.space, pageSize, file.reservedUnits, readOnly);
    const { arena, space, counters } = this;
    const parts = { arena, frames: this.frames, translation: this.translation, file, space, counters };
    this.epochs = new Epochs(parts, memory.epochs);
    this.needs = new SpaceNeeds(this.epochs, space, memory.claims, this.threads, this.poolLatch, pageSize);
    this.signal = new PageProviderSignal(memory.provider);
    this.residency = new Residency(this, replacement, memory.cooler, this.signal);
  }

  /** Joins a pool that another thread has open. Errors: those of `PageStore.attach`. */
  static async attach(io: IoBackend, handle: unknown, choice: PolicyChoice = {}): Promise<PoolInThread> {
    const { path, lockName, superblock, shape, memory } = checkHandle(handle);
    const { replacements = builtInReplacements(shape.coolingFraction), translations = builtInTranslations } = choice;
    const replacement = findReplacement(shape.replacement, replacements);
    const translation = findTranslation(shape.translation, translations);
    const file = await PageFile.share(io, path, superblock, lockName);
    let pool: PoolInThread | null = null;
    try {
      pool = new PoolInThread(file, shape, memory, replacement, translation);
      pool.threads.assertWhole();
      return pool;
    } catch (error) {
      pool?.threads.leave();
      await file.close();
      throw error;
    }
  }

  /** The thread has no use of the pool any more. */
  async leave(): Promise<void> {
    this.threads.leave();
    await this.file.close();
  }
}
