/**
 * What the pool says of itself. Counters are added up from the rows of all threads; gauges are read where they are kept.
 * `memoryBytes` names every memory of the pool that grows with what it was asked for or with the store, and its thread's.
 */
import type { PageStoreStats, SizeClassStats } from '@pagewright/core/contracts';
import type { CoolerMemory } from './cooler.js';
import {
  COOL_PAGES,
  COOLED,
  EVICTED_AHEAD,
  EVICTIONS,
  HITS,
  LATCH_WAITS,
  MISSES,
  READS,
  RELOCATIONS,
  RESIDENT,
  RESTARTS,
  REWARMED,
  WRITES,
  WRITTEN_AHEAD,
} from './counters.js';
import type { FileSpace } from './file-space.js';
import type { PageProviderSignal } from './page-provider-signal.js';
import type { PoolParts } from './placement.js';

export interface CountedParts extends PoolParts {
  readonly space: FileSpace;
  readonly coolerMemory: CoolerMemory;
  readonly translationMemory: SharedArrayBuffer;
  readonly signal: PageProviderSignal;
}

export function poolStats(parts: CountedParts): PageStoreStats {
  const { arena, frames, blocks, epochs, file, space, counters } = parts;
  return {
    pageSize: arena.pageSize,
    memoryBytes: memoryBytes(parts),
    frames: frames.count,
    freeFrames: blocks.freeUnits,
    coolFrames: counters.framesOfAll(COOL_PAGES),
    dirtyFrames: epochs.dirtyPages,
    hits: counters.totalOfAll(HITS),
    misses: counters.totalOfAll(MISSES),
    pageReads: counters.totalOfAll(READS),
    pageWrites: counters.totalOfAll(WRITES),
    evictions: counters.totalOfAll(EVICTIONS),
    pageWritesAhead: counters.total(WRITTEN_AHEAD),
    evictionsAhead: counters.total(EVICTED_AHEAD),
    cooled: counters.totalOfAll(COOLED),
    rewarmed: counters.totalOfAll(REWARMED),
    relocations: counters.totalOfAll(RELOCATIONS),
    restarts: counters.totalOfAll(RESTARTS),
    latchWaits: counters.totalOfAll(LATCH_WAITS),
    bySizeClass: Array.from({ length: blocks.maxClass + 1 }, (_, sizeClass) => ofClass(parts, sizeClass)),
    checkpoints: epochs.checkpoints,
    fileBytes: space.units * arena.pageSize,
    freeFileBytes: space.freeUnits * arena.pageSize,
    retainedFileBytes: space.retainedUnits * arena.pageSize,
    readers: space.readers,
    pinnedEpoch: file.reader?.pinnedEpoch ?? null,
  };
}

function ofClass({ arena, blocks, counters }: CountedParts, sizeClass: number): SizeClassStats {
  return {
    sizeClass,
    pageBytes: arena.pageSize << sizeClass,
    residentPages: counters.totalOf(RESIDENT, sizeClass),
    coolPages: counters.totalOf(COOL_PAGES, sizeClass),
    freeBlocks: blocks.freeBlocksOf(sizeClass),
    hits: counters.totalOf(HITS, sizeClass),
    misses: counters.totalOf(MISSES, sizeClass),
    pageReads: counters.totalOf(READS, sizeClass),
    pageWrites: counters.totalOf(WRITES, sizeClass),
    evictions: counters.totalOf(EVICTIONS, sizeClass),
    cooled: counters.totalOf(COOLED, sizeClass),
    rewarmed: counters.totalOf(REWARMED, sizeClass),
    relocations: counters.totalOf(RELOCATIONS, sizeClass),
    restarts: counters.totalOf(RESTARTS, sizeClass),
    latchWaits: counters.totalOf(LATCH_WAITS, sizeClass),
  };
}

function memoryBytes({ arena, frames, blocks, epochs, space, counters, ...memory }: CountedParts): number {
  return (
    arena.bytes +
    frames.words.byteLength +
    blocks.bytes +
    memory.coolerMemory.policy.byteLength +
    memory.coolerMemory.random.byteLength +
    memory.translationMemory.byteLength +
    epochs.bytes +
    space.bytes +
    counters.bytes +
    memory.signal.threadBytes
  );
}
