/**
 * Deleted entries that are still in their index, because scans of older snapshots must meet their keys (T3). Here is
 * which they are, so that they can be removed once the oldest snapshot has passed them.
 *
 * Each thread knows those that it has written, and what other threads have left to it. What it knows may be out of date, when another thread has put
 * the key again: whoever removes one looks at the entry first. Only how many there are is counted for all threads together; that of one
 * that ended without leaving stays in the count, so that nobody takes its tombstones for removed before they are swept.
 */
import type { Index, Target } from '@pagewright/core';
import { LinkedQueue, type Links } from './linked-queue.js';
import type { SharedCounter } from './shared-counter.js';

export class Tombstone implements Links<Tombstone> {
  ahead: Tombstone | null = null;
  behind: Tombstone | null = null;

  constructor(
    readonly target: Target,
    /** The index object that it was written to; after a `clear` the target has another one. */
    readonly index: Index,
    /** That of the index when it was written. */
    readonly incarnation: number,
    readonly key: Uint8Array,
    readonly text: string,
    readonly timestamp: number,
  ) {}
}

export class Tombstones {
  private readonly byIndex = new Map<Index, Map<string, Tombstone>>();
  /** In order of their commits. */
  private readonly queue = new LinkedQueue<Tombstone>();

  constructor(private readonly counter: SharedCounter) {}

  /** Of all threads. */
  get count(): number {
    return this.counter.count;
  }

  has(index: Index, text: string): boolean {
    return this.byIndex.get(index)?.has(text) === true;
  }

  /** Whether there are any in that index: if not, an insert need not look for the one that it replaces. */
  holds(index: Index): boolean {
    return this.byIndex.has(index);
  }

  add(tombstone: Tombstone): void {
    this.adopt(tombstone);
    this.counter.add(1);
  }

  /** One that was counted already, by a thread that has left it. */
  adopt(tombstone: Tombstone): void {
    let keys = this.byIndex.get(tombstone.index);
    if (keys === undefined) {
      keys = new Map();
      this.byIndex.set(tombstone.index, keys);
    }
    // Another thread may have put the key since this one has deleted it for the first time.
    const before = keys.get(tombstone.text);
    if (before !== undefined) this.remove(before);
    if (keys.size === 0) this.byIndex.set(tombstone.index, keys);
    keys.set(tombstone.text, tombstone);
    this.queue.append(tombstone);
  }

  /** The key was inserted again: its entry is no tombstone any more. */
  forget(index: Index, text: string): void {
    const tombstone = this.byIndex.get(index)?.get(text);
    if (tombstone !== undefined) this.remove(tombstone);
  }

  /** One that another thread has left is of a tree that is no more. */
  forgetLeft(): void {
    this.counter.add(-1);
  }

  get first(): Tombstone | null {
    return this.queue.first;
  }

  /** The oldest one, if every snapshot has passed it; else null. */
  ripe(oldestNeeded: number): Tombstone | null {
    const first = this.queue.first;
    return first !== null && first.timestamp <= oldestNeeded ? first : null;
  }

  remove(tombstone: Tombstone): void {
    this.release(tombstone);
    this.counter.add(-1);
  }

  /** It is known elsewhere from now on. */
  release(tombstone: Tombstone): void {
    this.queue.remove(tombstone);
    const keys = this.byIndex.get(tombstone.index);
    keys?.delete(tombstone.text);
    if (keys?.size === 0) this.byIndex.delete(tombstone.index);
  }
}
