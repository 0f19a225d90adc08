/**
 * The memory that all threads of an engine have of its transactions, and how it goes from one to another: as a handle of plain data, which can be
 * posted as it is. Each part has its own, and is made over it in every thread.
 */
import { PagewrightError } from '@pagewright/core';
import { IndexLocks } from './index-locks.js';
import { KeyLocks } from './key-locks.js';
import { LeftTombstones } from './left-tombstones.js';
import type { CheckedOptions } from './options.js';
import { SharedCounter } from './shared-counter.js';
import { optionsMemory } from './shared-options.js';
import { Latch, Sharing } from './sharing.js';
import { SnapshotList } from './snapshots.js';
import { Timestamps } from './timestamps.js';
import { VersionBlocks } from './version-blocks.js';
import { VersionChains } from './version-chains.js';
import { VersionStore } from './version-store.js';

export interface MvccMemory {
  readonly options: SharedArrayBuffer;
  readonly sharing: SharedArrayBuffer;
  readonly order: SharedArrayBuffer;
  readonly latch: SharedArrayBuffer;
  readonly timestamps: SharedArrayBuffer;
  readonly snapshots: SharedArrayBuffer;
  readonly indexLocks: SharedArrayBuffer;
  readonly keyLocks: SharedArrayBuffer;
  readonly blocks: SharedArrayBuffer;
  readonly chains: SharedArrayBuffer;
  readonly versions: SharedArrayBuffer;
  readonly tombstones: SharedArrayBuffer;
  readonly conflicts: SharedArrayBuffer;
  readonly left: SharedArrayBuffer;
}

/** What one thread posts to another. */
export interface MvccHandle {
  readonly mvcc: MvccMemory;
  /** The timestamp at which the first thread has started. */
  readonly startedAt: number;
}

/** Zeros, but for the options. Of what versions may take nothing is touched yet. */
export function newMemory(options: CheckedOptions): MvccMemory {
  const blocks = new SharedArrayBuffer(VersionBlocks.bytes(options.versionMemory));
  return {
    options: optionsMemory(options),
    sharing: new SharedArrayBuffer(Sharing.bytes()),
    order: new SharedArrayBuffer(Latch.bytes()),
    latch: new SharedArrayBuffer(Latch.bytes()),
    timestamps: new SharedArrayBuffer(Timestamps.bytes()),
    snapshots: new SharedArrayBuffer(SnapshotList.bytes()),
    indexLocks: new SharedArrayBuffer(IndexLocks.bytes()),
    keyLocks: new SharedArrayBuffer(KeyLocks.bytes()),
    blocks,
    chains: new SharedArrayBuffer(VersionChains.bytes(blocks)),
    versions: new SharedArrayBuffer(VersionStore.bytes()),
    tombstones: new SharedArrayBuffer(SharedCounter.bytes()),
    conflicts: new SharedArrayBuffer(SharedCounter.bytes()),
    left: new SharedArrayBuffer(LeftTombstones.bytes()),
  };
}

/** What `share` returned in another thread. Errors: `PW_ARGUMENT`. */
export function handleOf(handle: unknown): MvccHandle {
  if (isHandle(handle)) return handle;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'That is no handle of transactions. Pass what share() returned in the thread that has the store open, as it was posted.',
  );
}

function isHandle(handle: unknown): handle is MvccHandle {
  if (typeof handle !== 'object' || handle === null || !('mvcc' in handle) || !('startedAt' in handle)) return false;
  const { mvcc, startedAt } = handle;
  if (typeof mvcc !== 'object' || mvcc === null || typeof startedAt !== 'number') return false;
  const wanted: (keyof MvccMemory)[] = [
    'options',
    'sharing',
    'order',
    'latch',
    'timestamps',
    'snapshots',
    'indexLocks',
    'keyLocks',
    'blocks',
    'chains',
    'versions',
    'tombstones',
    'conflicts',
    'left',
  ];
  return wanted.every((part) => Reflect.get(mvcc, part) instanceof SharedArrayBuffer);
}
