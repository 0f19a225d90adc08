/**
 * The catalog as the engines of several threads share it: one at a time changes it, having read first what others have
 * changed; the rest read that when they hear of it, before they do anything else.
 *
 * Must hold: a change is made known before its commit is published, so that whoever sees the commit can learn of the change. Nobody
 * waits for the latch of the catalog who holds anything that a commit waits for: what is read meanwhile is read again instead.
 */
import type { IndexType } from '../contracts/index-plugin.js';
import type { PageStore } from '../contracts/pages.js';
import { SharedLatch } from '../threads/shared-latch.js';
import { Catalog } from './catalog.js';
import type { EngineMemory } from './engine-memory.js';

export class SharedCatalog {
  readonly #latch: SharedLatch;
  /** Of what is known. */
  #version: number;
  /** When that was told. */
  #news: number;

  /** The catalog that another thread has open. Errors: `PW_THREAD_LOST`, `PW_CLOSED`, `PW_CORRUPT_PAGE`. */
  static join(pages: PageStore, types: readonly IndexType[], memory: EngineMemory): SharedCatalog {
    const latch = new SharedLatch(memory.latch, pages.threads, 'catalogLatch');
    return latch.holding(() => {
      const catalog = Catalog.open(pages, types, { create: false, timestamp: 0 });
      return new SharedCatalog(catalog, pages, memory);
    });
  }

  constructor(
    readonly catalog: Catalog,
    private readonly pages: PageStore,
    private readonly memory: EngineMemory,
  ) {
    this.#latch = new SharedLatch(memory.latch, pages.threads, 'catalogLatch');
    this.#version = memory.catalogVersion;
    this.#news = memory.news;
  }

  /** What is known here was told by then. */
  get news(): number {
    return this.#news;
  }

  /** Runs a step in which nobody else changes the catalog, which is known as it is now. */
  exclusively<Result>(step: () => Result): Result {
    return this.#latch.holding(() => {
      this.catchUp();
      return step();
    });
  }

  /** Changes the catalog, in {@link exclusively}, and in the gate. */
  change<Result>(change: () => Result): Result {
    const isCurrent = this.#version === this.memory.catalogVersion;
    try {
      return this.memory.changingCatalog(change);
    } finally {
      if (isCurrent) this.#version = this.memory.catalogVersion;
      this.#news = this.memory.news;
    }
  }

  /** A change that is no part of a commit. */
  changeAlone(change: () => void): void {
    this.exclusively(() => {
      this.pages.enterGate();
      try {
        this.change(change);
      } finally {
        this.pages.leaveGate();
      }
    });
  }

  /** This thread uses it no more; others may. */
  leave(): void {
    this.catalog.unpin();
  }

  /** Whether no thread does anything by what the catalog was before what is known here. */
  get isKnownToAll(): boolean {
    return this.memory.allHaveSeen(this.#news, this.pages.threads);
  }

  /** Reads what other threads have changed. Errors: `PW_THREAD_LOST`, `PW_CLOSED`, `PW_CORRUPT_PAGE`. */
  catchUp(): void {
    for (;;) {
      const version = this.memory.settledCatalog(this.pages.threads);
      if (version === this.#version) return;
      const { news } = this.memory;
      const content = this.catalog.read();
      if (this.memory.catalogVersion !== version) continue;
      this.catalog.takeOver(content);
      this.#version = version;
      this.#news = news;
    }
  }
}
