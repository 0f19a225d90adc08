/** What the suite for page stores is given, and the stores that its clauses open: on a simulated device, closed at the end. */
import {
  NO_LOG,
  type PageStore,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  type StoreState,
} from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import type { Survival } from '../device/survival.js';
import { Random } from '../random.js';
import { PageTreeDriver } from './page-tree-driver.js';
import type { Clause } from './suite.js';
import { WatchedFiles } from './watched-files.js';

/**
 * - `files`: what is in it outlives it: checkpoints, one file, locks. Without it `open` need not look at its request.
 * - `eviction`: it may be smaller than what is in it. Needs `files`.
 * - `faulting`: pages can be read without blocking, after a page fault. Needs `files`.
 * - `sizeClasses`: pages may be larger than its page size.
 * - `readers`: others may read it beside the one that writes. Needs `files`.
 * - `threads`: other threads may attach to it. Needs `files`.
 */
export type PageStoreCapability = 'files' | 'eviction' | 'faulting' | 'sizeClasses' | 'readers' | 'threads';

export interface PageStoreSubject {
  /** A store that was not opened yet, with memory for so many pages of its smallest size; never asked for fewer than 64. */
  make(frames: number): PageStore;
}

export type PageStoreClause = Clause<PageStoreSubject, PageStoreCapability>;

export const STORE = '/store/pages.pw';
/** As small a pool as the suite uses. */
export const SMALL = 64;
/** Large enough for all that a clause without eviction puts into it. */
export const LARGE = 4096;

/** The stores of one clause. */
export class Stores {
  readonly #open: PageStore[] = [];

  constructor(readonly subject: PageStoreSubject) {}

  async open(
    files = new WatchedFiles(new SimulatedDevice()),
    { frames = LARGE, ...request }: Partial<PageStoreOpenRequest> & { readonly frames?: number } = {},
  ): Promise<OpenStore> {
    const pages = this.subject.make(frames);
    const state = await pages.open({
      path: STORE,
      io: files,
      create: true,
      errorIfExists: false,
      readOnly: false,
      ...request,
    });
    this.#open.push(pages);
    return { pages, state, files };
  }

  /** A store that is attached to one of these. */
  async attach(request: PageStoreAttachRequest): Promise<PageStore> {
    const pages = this.subject.make(SMALL);
    await pages.attach(request);
    this.#open.push(pages);
    return pages;
  }

  /** A driver on a store of its own. */
  async drive(seed: number, frames = SMALL): Promise<PageTreeDriver & { readonly files: WatchedFiles }> {
    const { pages, files } = await this.open(undefined, { frames });
    return Object.assign(new PageTreeDriver(pages, new Random(seed)), { files });
  }

  async closeAll(): Promise<void> {
    // What a clause found out about closing it has said; here nothing more is learnt.
    // The one that was opened waits for those that are attached to it.
    for (const pages of this.#open.reverse()) await pages.close().catch(() => {});
  }
}

export interface OpenStore {
  readonly pages: PageStore;
  readonly state: StoreState;
  readonly files: WatchedFiles;
}

/** A clause that opens stores. */
export function clause(
  id: string,
  rules: readonly string[],
  says: string,
  needs: readonly PageStoreCapability[],
  check: (stores: Stores) => Promise<void>,
): PageStoreClause {
  return {
    id,
    rules,
    says,
    needs,
    async check(subject) {
      const stores = new Stores(subject);
      try {
        await check(stores);
      } finally {
        await stores.closeAll();
      }
    },
  };
}

/** The files as they are found after a crash; the store that was open works on with the old ones, and finds the power gone. */
export function crashed(files: WatchedFiles, survives: Survival): WatchedFiles {
  return new WatchedFiles(files.device.afterCrash(survives));
}

/** The files as they would be found after a crash at this instant; whoever has them open works on. */
export function crashedCopy(files: WatchedFiles, survives: Survival): WatchedFiles {
  return new WatchedFiles(files.device.copy().afterCrash(survives));
}

export function gateAt(timestamp: number): {
  readonly gate: () => { timestamp: number; log: typeof NO_LOG };
  readonly secureLog: () => Promise<void>;
} {
  return { gate: () => ({ timestamp, log: NO_LOG }), secureLog: async () => {} };
}

/** What was thrown; an error if nothing was. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown');
}

/** What it rejected with; an error if it did not. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  let result: unknown;
  try {
    result = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`Nothing was refused; the answer was ${JSON.stringify(result)?.slice(0, 80)}`);
}
