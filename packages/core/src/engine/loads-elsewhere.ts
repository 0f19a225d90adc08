/**
 * Bulk loads of other threads. What they load is said by the slots of the catalog, with the thread that does: changes of such an index wait
 * for it in every thread, and what is changed in place is refused.
 *
 * Must hold: who begins a load has the index alone for that instant, and a commit looks here when it has the locks of what it writes; so no commit is
 * installed in a tree that a load is about to replace. A load whose thread has ended is none; what becomes of its tree: `lost-loads.ts`.
 */
import { PagewrightError } from '../errors.js';
import type { Threads } from '../threads/threads.js';
import type { EngineMemory } from './engine-memory.js';
import type { SharedCatalog } from './shared-catalog.js';

/** News of a thread that has ended comes by nobody: it is looked for so often. */
const LOOK_MS = 250;

export class LoadsElsewhere {
  constructor(
    private readonly shared: SharedCatalog,
    private readonly threads: Threads,
    private readonly memory: EngineMemory,
  ) {}

  /** Whether another thread loads the index, as far as is known. */
  has(index: number): boolean {
    const loads = this.shared.catalog.loads.get(index);
    return loads?.some(({ loader }) => loader !== this.threads.tag && this.threads.isPresent(loader)) ?? false;
  }

  hasAny(indexes: Iterable<{ readonly number: number }>): boolean {
    for (const { number } of indexes) if (this.has(number)) return true;
    return false;
  }

  /** Errors: `PW_INDEX_LOADING` if another thread loads one of the indexes. */
  assertNone(indexes: Iterable<{ readonly number: number }>): void {
    if (this.shared.catalog.loads.size === 0) return;
    for (const { number: index } of indexes) {
      if (!this.has(index)) continue;
      // A thread that has ended may not have been found out yet, and who makes changes in place does not wait for that.
      this.threads.sweep();
      if (!this.has(index)) continue;
      const name = this.shared.catalog.byNumber.get(index)?.name ?? '';
      throw new PagewrightError(
        'PW_INDEX_LOADING',
        `The index '${name}' is being loaded in another thread, and takes no change until that is over. Try again, or make the change asynchronously: that waits by itself.`,
        { details: { index: name } },
      );
    }
  }

  /**
   * Resolves when no other thread loads any of the indexes, as far as is known. `assertGoesOn` throws if that is not worth waiting for any more: a load in a
   * store that has failed, or takes no changes, may never end.
   */
  async end(indexes: Iterable<number>, assertGoesOn: () => void): Promise<void> {
    if (this.shared.catalog.loads.size === 0) return;
    for (const index of indexes) {
      while (this.has(index)) {
        assertGoesOn();
        const { news } = this.memory;
        this.shared.catchUp();
        if (this.has(index)) await this.memory.awaitNews(news, LOOK_MS);
      }
    }
  }
}
