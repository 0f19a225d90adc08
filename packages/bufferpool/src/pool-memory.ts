/**
 * What a pool has in shared memory, and what another thread needs to work on it. Nothing of a pool that decides anything is
 * anywhere else: the objects of a thread are views on this, and a few private buffers.
 */
import {
  hasSharedMemory,
  invariant,
  MOST_THREADS,
  PagewrightError,
  type ReplacementPolicyType,
  Threads,
  type TranslationType,
} from '@pagewright/core/contracts';
import { Arena } from './arena.js';
import { BuddyAllocator } from './buddy.js';
import { type CoolerMemory, coolerMemory } from './cooler.js';
import { Counters } from './counters.js';
import { Epochs } from './epochs.js';
import { FileSpace, type FileSpaceMemory } from './file-space.js';
import { FrameTable } from './frames.js';
import { Gate } from './gate.js';
import type { PageFile } from './page-file.js';
import { PageProviderSignal } from './page-provider-signal.js';
import { PoolLatch } from './pool-latch.js';
import { SpaceClaims } from './space-claims.js';
import type { Superblock } from './superblock.js';
import { translationMemory } from './translation/choice.js';
import { UnsyncedRegions } from './unsynced-regions.js';

/** What all threads have to agree on. */
export interface PoolShape {
  readonly frames: number;
  readonly pageSize: number;
  /** Of pages that can be written, and of those that can be read. */
  readonly maxSizeClass: number;
  readonly largestReadClass: number;
  readonly replacement: string;
  readonly translation: string;
  readonly coolingFraction: number;
  readonly readOnly: boolean;
}

export interface PoolMemory {
  readonly segments: readonly SharedArrayBuffer[];
  readonly frames: SharedArrayBuffer;
  readonly threads: SharedArrayBuffer;
  readonly poolLatch: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  readonly space: FileSpaceMemory;
  readonly claims: SharedArrayBuffer;
  readonly unsynced: SharedArrayBuffer;
  readonly epochs: SharedArrayBuffer;
  readonly cooler: CoolerMemory;
  readonly provider: SharedArrayBuffer;
  readonly translation: SharedArrayBuffer;
}

/**
 * A pool that is open, for other threads of the process: to be posted as it is, to any number of them. It holds on to the
 * pool's memory, and is worth nothing once the pool is closed.
 */
export interface PoolHandle {
  readonly what: typeof WHAT;
  readonly path: string;
  /** Of the lock that the thread which opened the pool has on its file; null if it has no name. */
  readonly lockName: string | null;
  readonly superblock: Superblock;
  readonly shape: PoolShape;
  readonly memory: PoolMemory;
}

const WHAT = 'a pool of pages, 1';
const PARTS: readonly (keyof PoolMemory)[] = [
  'segments',
  'frames',
  'threads',
  'poolLatch',
  'gate',
  'counters',
  'blocks',
  'space',
  'claims',
  'unsynced',
  'epochs',
  'cooler',
  'provider',
  'translation',
];

export function handleOf({ io, lockName, superblock }: PageFile, shape: PoolShape, memory: PoolMemory): PoolHandle {
  return { what: WHAT, path: io.path, lockName, superblock, shape, memory };
}

/** Errors: `PW_ARGUMENT` for what is no handle, or one of another release. */
export function checkHandle(handle: unknown): PoolHandle {
  const what = (handle as Partial<PoolHandle> | null | undefined)?.what;
  if (what === WHAT && isWhole(handle as Partial<PoolHandle>)) return handle as PoolHandle;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'What was given is no handle of a buffer pool of this release. Post what share() of the pool returned, as it is.',
    { details: { what: typeof what === 'string' ? what : typeof handle } },
  );
}

function isWhole({ path, lockName, superblock, shape, memory }: Partial<PoolHandle>): boolean {
  const isNamed = lockName === null || typeof lockName === 'string';
  const isData =
    isNamed && typeof path === 'string' && typeof superblock?.storeId === 'string' && typeof shape?.frames === 'number';
  return isData && hasSharedMemory(memory, PARTS);
}

/**
 * Memory for a new pool over a file of so many units: zeros, which for each part is a state to begin with. Errors: `PW_OPTION_INVALID` if
 * there is not so much to be had.
 */
export function createMemory(
  shape: PoolShape,
  replacement: ReplacementPolicyType,
  translation: TranslationType,
  units: number,
): PoolMemory {
  try {
    return takeMemory(shape, replacement, translation, units);
  } catch (error) {
    // What JavaScript throws where memory is shared and there is no more, or where a length is beyond what it can be.
    if (!(error instanceof RangeError)) throw error;
    const memory = shape.frames * shape.pageSize;
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `memory is ${memory} bytes; so much cannot be had from this system, or not beside what it has given already. Give the pool less.`,
      { cause: error, details: { option: 'memory', memory } },
    );
  }
}

function takeMemory(
  shape: PoolShape,
  replacement: ReplacementPolicyType,
  translation: TranslationType,
  units: number,
): PoolMemory {
  const { frames, pageSize, largestReadClass } = shape;
  invariant(frames > 0, 'A pool has frames');
  const words = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
  return {
    segments: new Arena(frames, pageSize).segments.map(({ buffer }) => buffer),
    frames: words(FrameTable.bytes(frames)),
    threads: words(Threads.bytes()),
    poolLatch: words(PoolLatch.bytes()),
    gate: words(Gate.bytes()),
    counters: words(Counters.bytes(MOST_THREADS)),
    blocks: words(BuddyAllocator.bytes(largestReadClass, frames)),
    space: FileSpace.memory(),
    claims: words(SpaceClaims.bytes()),
    unsynced: words(UnsyncedRegions.bytes()),
    epochs: words(Epochs.bytes(frames, pageSize)),
    cooler: coolerMemory(frames, replacement),
    provider: words(PageProviderSignal.bytes()),
    translation: translationMemory(translation, frames, units),
  };
}
