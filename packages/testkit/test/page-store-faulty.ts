/** Page stores with a fault, and which clauses notice. */
import { BufferPool } from '@pagewright/bufferpool';
import type {
  BackupRequest,
  BackupResult,
  IoBackend,
  IoFile,
  PageStore,
  PageStoreOpenRequest,
  StoreState,
} from '@pagewright/core';
import { brokenClauses, pageStoreSuite } from '../src/index.js';

export const PAGE_SIZE = 4096;
export const EVERYTHING = {
  files: true,
  eviction: true,
  faulting: true,
  sizeClasses: true,
  readers: true,
  threads: true,
};

export type PoolClass = new (options: { memory: number; pageSize: number }) => PageStore;

/** Which of these clauses the store breaks. */
export async function brokenBy(Pool: PoolClass, ...ids: string[]): Promise<string[]> {
  const make = (frames: number): PageStore => new Pool({ memory: frames * PAGE_SIZE, pageSize: PAGE_SIZE });
  const broken = await brokenClauses(pageStoreSuite, { create: () => ({ make }) }, EVERYTHING, new Set(ids));
  return broken.map(({ id }) => id);
}

/** A pool whose file is reached through this. */
export function onFiles(change: (file: IoFile) => IoFile): PoolClass {
  return class extends BufferPool {
    override open(request: PageStoreOpenRequest): Promise<StoreState> {
      const io: IoBackend = new Proxy(request.io, {
        get(target, name) {
          if (name === 'open')
            return async (...given: Parameters<IoBackend['open']>) => change(await target.open(...given));
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return super.open({ ...request, io });
    }
  };
}

/** A pool whose backups are made on a backend that is changed. */
export function copyingThrough(change: (io: IoBackend) => Partial<IoBackend>): PoolClass {
  return class extends BufferPool {
    override backup(request: BackupRequest): Promise<BackupResult> {
      const changes = change(request.io);
      const io: IoBackend = new Proxy(request.io, {
        get(target, name) {
          const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return super.backup({ ...request, io });
    }
  };
}

/** The same file, but for some of its methods. */
export function fileWith(file: IoFile, changes: Partial<IoFile>): IoFile {
  return new Proxy(file, {
    get(target, name) {
      const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
