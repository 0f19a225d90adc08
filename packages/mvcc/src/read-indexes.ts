/**
 * The indexes that a transaction has read, where it may rely on their trees: it commits what it writes only if each of them is still the one that it has read. While it
 * is checked and committed, no thread gives one of them another tree: their locks are taken with those of the keys.
 */
import type { Target } from '@pagewright/core';

export class ReadIndexes {
  readonly targets = new Set<Target>();
  /** Most reads are of the index of the last one. */
  #last: Target | null = null;

  note(target: Target): void {
    if (target === this.#last) return;
    this.#last = target;
    this.targets.add(target);
  }

  /** One that has another tree than it had at the timestamp, or none any more; null if there is none such. */
  replacedSince(timestamp: number): Target | null {
    for (const target of this.targets) if (target.dropped || target.incarnation > timestamp) return target;
    return null;
  }
}
