/** The default parts with as little memory as they take, as the rounds of schedules have them. */
import { BufferPool } from '@pagewright/bufferpool';
import {
  type Concurrency,
  type IoBackend,
  type Log,
  openEngine,
  type PageStore,
  TeardownStack,
} from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { Mvcc } from '@pagewright/mvcc';
import type { OpenEngine, ScheduleSubject } from '@pagewright/testkit';
import { WriteAheadLog } from '@pagewright/wal';

const PAGE_SIZE = 4096;
const MEMORY = 64 * PAGE_SIZE;
/** Few transactions fill it, so that snapshots are revoked. */
const FEW_VERSIONS = 6000;

export const DEFAULT_PARTS: Required<ScheduleSubject> = {
  index: {
    openPages: (io, path) => poolOn(new BufferPool({ memory: MEMORY, pageSize: PAGE_SIZE }), io, path),
    joinPages: (pages, io) => joined(new BufferPool(), pages, io),
    indexType: () => new BtreeType(),
  },
  engine: {
    openEngine: (io, path, options) => engineOf(io, path, options),
  },
};

/** Opens the pool on a store, which is created if there is none. */
export async function poolOn(pool: BufferPool, io: IoBackend, path: string): Promise<BufferPool> {
  await pool.open({ path, io, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

/** Attaches a pool to the pages of another. */
export async function joined(pool: BufferPool, pages: PageStore, io: IoBackend): Promise<BufferPool> {
  await pool.attach({ io, handle: pages.share() });
  return pool;
}

/** An engine of the default parts, but for those that are given. */
export async function engineOf(
  io: IoBackend,
  path: string,
  { fewVersions }: { readonly fewVersions: boolean },
  given: { readonly concurrency?: Concurrency; readonly log?: Log } = {},
): Promise<OpenEngine> {
  const pages = new BufferPool({ memory: MEMORY, pageSize: PAGE_SIZE });
  const concurrency = given.concurrency ?? new Mvcc({ versionMemory: fewVersions ? FEW_VERSIONS : '16MiB' });
  const log = given.log ?? new WriteAheadLog({ segmentSize: '64KiB', bufferLimit: '16KiB' });
  const parts = { io, pages, indexes: [new BtreeType()], concurrency, log, teardown: new TeardownStack() };
  const engine = await openEngine(parts, path, { checkpoint: { logBytes: 40_000 } });
  return { engine, concurrency, pages };
}
