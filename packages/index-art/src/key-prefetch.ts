/**
 * Has the store read what look-ups of several keys will miss, as one batch: for each key the first page on its way that is
 * not in memory.
 */
import type { SwipList } from '@pagewright/core';
import { type Descent, type MissingPages, TO_END } from './descent.js';
import type { TreeParts } from './tree-parts.js';

export class KeyPrefetch implements MissingPages {
  readonly #parts: TreeParts;
  readonly #descent: Descent;
  readonly #wanted: SwipList;

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#descent = parts.descent;
    this.#wanted = parts.workspace.wanted;
  }

  /** Keys beyond what a list of swips holds are left out. Errors: `PW_CORRUPT_PAGE`. */
  prefetch(keys: readonly Uint8Array[]): void {
    const wanted = this.#wanted;
    wanted.clear();
    for (let at = 0; at < keys.length && !wanted.isFull; at++) {
      // A way that has changed meanwhile is not worth a second try.
      this.#descent.descend(keys[at]!, TO_END, this);
    }
    if (wanted.count > 0) this.#parts.context.pages.prefetch(wanted);
  }

  missed(parent: number, version: number, offset: number): boolean {
    this.#wanted.add(parent, version, offset);
    return true;
  }
}
