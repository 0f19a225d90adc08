/**
 * Locks on whole indexes. A bulk load has its index for as long as it goes on: whoever changes the index meanwhile waits, in the order
 * of the calls, and what is changed in place is refused. Readers do not look here.
 *
 * Must hold: a change that was asked for before the lock was taken takes effect before whatever the holder commits, because commits take
 * effect in the order in which they were asked for; one that was asked for later takes effect after it.
 */
import type { Target } from '../contracts/concurrency.js';
import { PagewrightError } from '../errors.js';

export class IndexLocks {
  /** Locked indexes, each with those that wait for it, first come first. */
  private readonly waiting = new Map<Target, (() => void)[]>();

  /** Whether any index is locked: one test on the way of every commit. */
  get any(): boolean {
    return this.waiting.size > 0;
  }

  /** Takes the index as soon as it is free; resolves to what gives it back. */
  take(target: Target): Promise<() => void> {
    const waiting = this.waiting.get(target);
    if (waiting === undefined) return Promise.resolve(this.lock(target));
    return new Promise((resolve) => waiting.push(() => resolve(this.take(target))));
  }

  /** Runs it in the step in which none of the indexes is locked any more: at once if none is now. */
  whenFree<Result>(targets: () => Iterable<Target>, run: () => Promise<Result>): Promise<Result> {
    const locked = this.lockedOf(targets());
    if (locked === null) return run();
    const waiting = this.waiting.get(locked)!;
    return new Promise((resolve) => waiting.push(() => resolve(this.whenFree(targets, run))));
  }

  /** Errors: `PW_INDEX_LOADING` if one of the indexes is locked. */
  assertFree(targets: Iterable<Target>): void {
    const locked = this.lockedOf(targets);
    if (locked === null) return;
    throw new PagewrightError(
      'PW_INDEX_LOADING',
      `The index '${locked.name}' is being loaded, and takes no change in place until that is over. Wait for bulkLoad(), or make the change asynchronously: that waits by itself.`,
      { details: { index: locked.name } },
    );
  }

  private lockedOf(targets: Iterable<Target>): Target | null {
    for (const target of targets) if (this.waiting.has(target)) return target;
    return null;
  }

  private lock(target: Target): () => void {
    const waiting: (() => void)[] = [];
    this.waiting.set(target, waiting);
    return () => {
      if (this.waiting.get(target) !== waiting) return;
      this.waiting.delete(target);
      // All in one step: one of them may take the index again, and those behind it wait for that one; nobody comes in between.
      for (const goOn of waiting) goOn();
    };
  }
}
