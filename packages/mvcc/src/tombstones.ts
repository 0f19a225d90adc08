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
  /** Whether this thread knows of it no more. */
  isGone = false;

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

/** Lists shorter than that have as many in vain as they like. */
const FEW = 64;

export class Tombstones {
  private readonly byIndex = new Map<Index, Map<string, Tombstone>>();
  /** In order of their commits. */
  private readonly queue = new LinkedQueue<Tombstone>();
  /** Those of which it was not looked who needs them, oldest first, from `nextNew` on. */
  private news: Tombstone[] = [];
  private nextNew = 0;
  /** The others, by the timestamp of a snapshot that needs them. */
  private readonly needed = new Map<number, Tombstone[]>();

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
    if (before !== undefined && before.timestamp > tombstone.timestamp) {
      // What was left is of before that. The entry is a tombstone of the later commit, and goes when that may.
      this.forgetLeft();
      return;
    }
    if (before !== undefined) this.remove(before);
    if (keys.size === 0) this.byIndex.set(tombstone.index, keys);
    keys.set(tombstone.text, tombstone);
    this.queue.append(tombstone);
    this.nextNew = this.append(this.news, tombstone, this.nextNew);
  }

  /** The key was inserted again: its entry is no tombstone any more. */
  forget(index: Index, text: string): void {
    const tombstone = this.byIndex.get(index)?.get(text);
    if (tombstone !== undefined) this.remove(tombstone);
  }

  /** One that another thread has left is of a tree, or an entry, that is no more. */
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

  /** The next one of which it is not known who needs it; null if there is none. It stays the next one until it is removed, or {@link noteNeeded}. */
  get nextOfUnknown(): Tombstone | null {
    for (; this.nextNew < this.news.length; this.nextNew++) {
      const tombstone = this.news[this.nextNew]!;
      if (!tombstone.isGone) return tombstone;
    }
    this.news = [];
    this.nextNew = 0;
    return null;
  }

  /** The snapshot of that timestamp needs the {@link nextOfUnknown}: it is looked at again when that has gone. */
  noteNeeded(snapshot: number): void {
    const tombstone = this.news[this.nextNew++]!;
    const others = this.needed.get(snapshot);
    if (others === undefined) this.needed.set(snapshot, [tombstone]);
    else this.append(others, tombstone, 0);
  }

  /** Of tombstones that only snapshots needed which have gone it is not known any more who needs them. */
  forgetSnapshots(stands: (timestamp: number) => boolean): void {
    for (const [snapshot, tombstones] of this.needed) {
      if (stands(snapshot)) continue;
      this.needed.delete(snapshot);
      for (const tombstone of tombstones) this.nextNew = this.append(this.news, tombstone, this.nextNew);
    }
  }

  /** Appends to a list that goes on at `next`, and leaves out those that are gone when they are most of it. Where it goes on. */
  private append(list: Tombstone[], tombstone: Tombstone, next: number): number {
    list.push(tombstone);
    if (list.length <= 2 * this.queue.count + FEW) return next;
    const left = list.slice(next).filter(({ isGone }) => !isGone);
    list.length = 0;
    for (const one of left) list.push(one);
    return 0;
  }

  remove(tombstone: Tombstone): void {
    this.release(tombstone);
    this.counter.add(-1);
  }

  /** It is known elsewhere from now on. */
  release(tombstone: Tombstone): void {
    tombstone.isGone = true;
    this.queue.remove(tombstone);
    const keys = this.byIndex.get(tombstone.index);
    keys?.delete(tombstone.text);
    if (keys?.size === 0) this.byIndex.delete(tombstone.index);
  }
}
