/**
 * What the pool tells those who listen, by `node:diagnostics_channel`. A message is made only if somebody has subscribed, and
 * never for a hit. Subscribers are called at once, in the thread in which it happened, while latches may be held: they note what
 * they are told, and do not use the store.
 */
import { channel } from 'node:diagnostics_channel';
import type { CheckpointResult, PageStoreStats } from '@pagewright/core/contracts';
import type { PageFile } from './page-file.js';

/** A page was read from the file, and has passed its checks. On `pagewright:pool:read`. */
export interface PoolRead {
  /** Of the page file. */
  readonly path: string;
  /** In bytes, in the file. */
  readonly offset: number;
  readonly bytes: number;
  /** The thread waited for it; else its event loop went on. */
  readonly inPlace: boolean;
}

/** Pages have left memory together. On `pagewright:pool:eviction`. */
export interface PoolEviction {
  readonly path: string;
  readonly pages: number;
  /** How many of them had to be written before. */
  readonly written: number;
}

/** A checkpoint is complete, and its superblock durable. On `pagewright:pool:checkpoint`. */
export interface PoolCheckpoint extends CheckpointResult {
  readonly path: string;
}

/** What `stats()` says, once a second and when the pool is closed. On `pagewright:pool:statistics`. */
export interface PoolStatistics extends PageStoreStats {
  readonly path: string;
}

/** The page provider, a thread of the pool's own, has come or gone. On `pagewright:pool:provider`. */
export interface PoolProvider {
  readonly path: string;
  /** `unavailable`: one was wanted, and could not be started. From then on, and after `ended`, each thread evicts for itself. */
  readonly event: 'started' | 'ended' | 'unavailable';
  /** Why, if it did not end because the pool was closed. */
  readonly error?: unknown;
}

const READ_CHANNEL = channel('pagewright:pool:read');
const EVICTION_CHANNEL = channel('pagewright:pool:eviction');
const CHECKPOINT_CHANNEL = channel('pagewright:pool:checkpoint');
const STATISTICS_CHANNEL = channel('pagewright:pool:statistics');
const PROVIDER_CHANNEL = channel('pagewright:pool:provider');

/** `address` is the folded one. */
export function tellRead(file: PageFile, address: number, bytes: number, inPlace: boolean): void {
  if (!READ_CHANNEL.hasSubscribers) return;
  READ_CHANNEL.publish({ path: file.io.path, offset: file.offsetOf(address), bytes, inPlace } satisfies PoolRead);
}

export function tellEviction(file: PageFile, pages: number, written: number): void {
  if (pages === 0 || !EVICTION_CHANNEL.hasSubscribers) return;
  EVICTION_CHANNEL.publish({ path: file.io.path, pages, written } satisfies PoolEviction);
}

export function tellCheckpoint(file: PageFile, result: CheckpointResult): void {
  if (!CHECKPOINT_CHANNEL.hasSubscribers) return;
  CHECKPOINT_CHANNEL.publish({ ...result, path: file.io.path } satisfies PoolCheckpoint);
}

/** `count` is called only if somebody listens. */
export function tellStatistics(file: PageFile, count: () => PageStoreStats): void {
  if (!STATISTICS_CHANNEL.hasSubscribers) return;
  STATISTICS_CHANNEL.publish({ ...count(), path: file.io.path } satisfies PoolStatistics);
}

export function tellProvider(path: string, event: PoolProvider['event'], error?: unknown): void {
  if (!PROVIDER_CHANNEL.hasSubscribers) return;
  PROVIDER_CHANNEL.publish({ path, event, ...(error === undefined ? {} : { error }) } satisfies PoolProvider);
}
