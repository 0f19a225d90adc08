/**
 * All that a commit has to itself from its check to its publication: the indexes that it writes, shared, and the keys. While it has them no other
 * thread commits any of the keys, or gives one of the indexes another tree.
 *
 * While nothing is shared it takes none: a commit is one synchronous step, and nobody else is there.
 */
import type { Target } from '@pagewright/core';
import type { CommitOperations } from './commit-operations.js';
import { IndexLocks } from './index-locks.js';
import { hashOf } from './key-hash.js';
import { KeyLocks } from './key-locks.js';
import type { Sharing } from './sharing.js';

export class CommitLocks {
  readonly #indexes: IndexLocks;
  readonly #keys: KeyLocks;

  constructor(
    memory: { readonly indexLocks: SharedArrayBuffer; readonly keyLocks: SharedArrayBuffer },
    private readonly sharing: Sharing,
  ) {
    this.#indexes = new IndexLocks(memory.indexLocks, sharing);
    this.#keys = new KeyLocks(memory.keyLocks, sharing);
  }

  /** Waits until the keys are free, and no index that was read gets another tree. Nothing is held, the gate neither. Errors, and then none is locked: `PW_THREAD_LOST`, `PW_ENGINE_FAILED`, `PW_CLOSED`. */
  take(operations: CommitOperations, read: Iterable<Target> | null = null): void {
    if (!this.sharing.isShared) return;
    if (operations.length === 1 && read === null) {
      const { index, key } = operations.at(0);
      this.takeKey(index, key);
      return;
    }
    for (let i = 0; i < operations.length; i++) {
      const { index, key } = operations.at(i);
      this.#indexes.want(index);
      this.#keys.want(hashOf(index, key));
    }
    if (read !== null) for (const { number } of read) this.#indexes.want(number);
    this.#show(1);
    try {
      this.#indexes.takeShared();
      this.#keys.takeAll();
      this.#assertMayGoOn();
    } catch (error) {
      this.give();
      throw error;
    }
  }

  takeKey(index: number, key: Uint8Array): void {
    if (!this.sharing.isShared) return;
    this.#show(1);
    try {
      this.#indexes.shareOne(index);
      this.#keys.takeOne(hashOf(index, key));
      this.#assertMayGoOn();
    } catch (error) {
      this.give();
      throw error;
    }
  }

  give(): void {
    if (!this.sharing.isShared) return;
    this.#keys.giveAll();
    this.#indexes.giveShared();
    this.#show(0);
  }

  /** For an operation of the catalog on an index. Errors: as of `take`. */
  takeAlone(index: number): void {
    if (!this.sharing.isShared) return;
    this.#show(1);
    try {
      this.#indexes.takeAlone(index);
    } catch (error) {
      this.#show(0);
      throw error;
    }
    try {
      this.#assertMayGoOn();
    } catch (error) {
      this.giveAlone(index);
      throw error;
    }
  }

  giveAlone(index: number): void {
    if (!this.sharing.isShared) return;
    this.#indexes.giveAlone(index);
    this.#show(0);
  }

  /** Shown first, then asked: either it is seen here that the store was closed, or who closes it sees this thread, and waits. */
  #assertMayGoOn(): void {
    this.sharing.threads.assertMayGoOn();
    this.sharing.assertSound();
  }

  /** M6: shown before anything is taken, until after all was given back. */
  #show(held: number): void {
    const { threads } = this.sharing;
    Atomics.store(threads.words, threads.at('commit'), held);
  }
}
