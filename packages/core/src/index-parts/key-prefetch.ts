/**
 * Has the store read what look-ups of several keys will miss, as one batch: for each key the first page on its way that is
 * not in memory.
 */
import type { PageStore } from '../contracts/pages.js';
import type { SwipList } from '../contracts/swip-list.js';

export class KeyPrefetch {
  /** `descend` goes the way of a key, and ends where `missed` of what it gets is told of a page and answers true. What it answers is not asked for: a way that has changed meanwhile is not worth a second try. */
  constructor(
    private readonly pages: PageStore,
    private readonly wanted: SwipList,
    private readonly descend: (key: Uint8Array, missing: KeyPrefetch) => unknown,
  ) {}

  /** Keys beyond what a list of swips holds are left out. Errors: those of `descend`. */
  prefetch(keys: readonly Uint8Array[]): void {
    const { wanted } = this;
    wanted.clear();
    for (let at = 0; at < keys.length && !wanted.isFull; at++) this.descend(keys[at]!, this);
    if (wanted.count > 0) this.pages.prefetch(wanted);
  }

  /** The page that the swip at `offset` of `parent` names is not in memory. */
  missed(parent: number, version: number, offset: number): boolean {
    this.wanted.add(parent, version, offset);
    return true;
  }
}
