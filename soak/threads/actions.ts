/** What a thread does with an index that all threads share: writes of its own keys, reads and scans of all, each answer checked. */
import { EntryBatch, EntryReference, type Index, PageFault, type PageStore, TAG_VALUE } from '@pagewright/core';
import type { Random } from '@pagewright/testkit';
import { noCounts, type ThreadCounts } from './counts.js';
import { bytesOf, isAbsent, keyOf, numberOf, type Versions } from './versions.js';

export interface Share {
  /** From 0 up to `threads`. */
  readonly thread: number;
  readonly threads: number;
  /** Keys that change; those above are read alone. */
  readonly versions: Versions;
  /** Commit timestamps: one word, counted on by all. */
  readonly clock: Int32Array;
}

const LONGEST_SCAN = 120;
const BATCH = 24;

export class Actions {
  readonly #reference = new EntryReference();
  readonly #batch = new EntryBatch();

  constructor(
    private readonly pages: PageStore,
    private readonly index: Index,
    private readonly share: Share,
    private readonly random: Random,
    private readonly done: ThreadCounts = noCounts(),
  ) {
    this.#batch.limit = BATCH;
  }

  /** One operation, chosen by chance. */
  async act(): Promise<void> {
    const chance = this.random.fraction();
    if (chance < 0.45) this.write(this.#ownKey());
    else if (chance < 0.75) this.#read(this.#anyKey());
    else if (chance < 0.87) await this.#readLater(this.#anyKey());
    else if (chance < 0.99) this.#scan(this.#anyKey(), this.random.chance(0.4));
    else for (let i = 0, key = this.#ownKey(); i < 40; i++, key = this.#nextOwn(key)) this.write(key);
  }

  /** Leaves the next version of a key of this thread. */
  write(key: number): void {
    const { versions, clock } = this.share;
    const version = versions.begin(key);
    this.pages.enterGate();
    try {
      const timestamp = Atomics.add(clock, 0, 1) + 1;
      if (isAbsent(version)) {
        if (!this.index.remove(keyOf(key), timestamp)) throw new Error(`Key ${key} was not there to be removed`);
      } else {
        this.index.upsert(keyOf(key), TAG_VALUE, bytesOf(key, version), timestamp);
      }
      // Before the gate is left: a checkpoint that closes it then has the version, and is held against what was left.
      versions.end(key, version);
    } finally {
      this.pages.leaveGate();
    }
  }

  #read(key: number): void {
    const least = this.share.versions.least(key);
    const found = this.index.lookup(keyOf(key), this.#reference);
    this.share.versions.check(key, least, found ? this.#reference.value : null);
  }

  async #readLater(key: number): Promise<void> {
    const least = this.share.versions.least(key);
    for (let loads = 0; loads < 100; loads++) {
      this.pages.faulting = true;
      try {
        const found = this.index.lookup(keyOf(key), this.#reference);
        this.share.versions.check(key, least, found ? this.#reference.value : null);
        return;
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
      } finally {
        this.pages.faulting = false;
      }
      await this.pages.loadFault();
    }
    this.#read(key);
  }

  #scan(from: number, reverse: boolean): void {
    const { versions } = this.share;
    const length = 1 + this.random.below(LONGEST_SCAN);
    const step = reverse ? -1 : 1;
    const least: number[] = [];
    for (let key = from; least.length < length && key >= 0 && key < this.#keys; key += step)
      least.push(versions.least(key));
    const cursor = this.index.cursor();
    cursor.seek(keyOf(from), { reverse });
    const batch = this.#batch;
    batch.mayPack = this.random.chance(0.7);
    let at = 0;
    const passOver = (end: number): void => {
      for (; at < end; at++) {
        const key = from + at * step;
        if (versions.mustBeThere(key, least[at] as number))
          throw new Error(
            `A scan ${reverse ? 'down' : 'up'} from key ${from} passes over key ${key}, which was there all the time`,
          );
      }
    };
    const next = (): boolean => {
      batch.isPacked = false;
      if (!cursor.next(batch)) return false;
      this.done.batches++;
      if (batch.isPacked) this.done.packed++;
      this.done.scanned += batch.count;
      return true;
    };
    while (at < least.length && next()) {
      for (let i = 0; i < batch.count && at < least.length; i++) {
        const key = numberOf(batch.isPacked ? batch.packed.keys.viewAt(i) : (batch.keys[i] as Uint8Array));
        const place = (key - from) * step;
        if (place < at)
          throw new Error(
            `A scan ${reverse ? 'down' : 'up'} from key ${from} gives key ${key} after key ${from + (at - 1) * step}`,
          );
        passOver(Math.min(place, least.length));
        if (place >= least.length) return;
        const value = batch.isPacked ? batch.packed.valueAt(i) : (batch.values[i] as Uint8Array);
        versions.check(key, least[at] as number, value);
        at++;
      }
    }
    passOver(least.length);
  }

  get #keys(): number {
    return this.share.versions.keys;
  }

  #anyKey(): number {
    // Some keys are wanted by all, and most by chance: there are hot pages, and misses.
    return this.random.chance(0.2) ? this.random.below(Math.min(50, this.#keys)) : this.random.below(this.#keys);
  }

  /** The one behind an own key that is the calling thread's as well; behind the last the first. */
  #nextOwn(key: number): number {
    const { thread, threads } = this.share;
    return key + threads < this.#keys ? key + threads : thread;
  }

  /** Of the calling thread, who alone writes it. */
  #ownKey(): number {
    const { thread, threads } = this.share;
    const own = Math.floor((this.#keys - thread + threads - 1) / threads);
    const narrow = this.random.chance(0.3) ? Math.min(own, 20) : own;
    return thread + this.random.below(narrow) * threads;
  }
}
