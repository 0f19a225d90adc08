/**
 * What this thread has in flight in the addon. The addon wakes the thread once for all that has ended since it looked last, and leaves the outcomes in one
 * array. Buffers are held here until then: the addon holds on to {@link NativeThread.reap}, and by it to them.
 *
 * There is one for each addon of a thread, and the addon has it: a second copy of these modules (a test runner with a registry of its own makes one) takes that of the first.
 */
import { type Addon, loadAddon } from './native.js';

/** How an operation ended that did not go well. */
export interface Outcome {
  /** An errno above zero, or one of {@link END_OF_FILE}, {@link NO_PROGRESS} and {@link NO_SUCH_CALL}. */
  readonly error: number;
  /** One of {@link STAGE}. */
  readonly stage: number;
  /** In bytes from the beginning of the file. */
  readonly offset: number;
}

export const END_OF_FILE = -1;
export const NO_PROGRESS = -2;
export const NO_SUCH_CALL = -4;

/** What was being done, as the addon numbers it. */
export const STAGE = { read: 0, write: 1, sync: 2, truncate: 3, reserve: 4, durableWrite: 5, writeBack: 6 } as const;

/** Called with null if all went well. */
type Ended = (outcome: Outcome | null) => void;

/** Outcomes that reach JavaScript by one call. */
const MOST_OUTCOMES = 256;
const OUTCOME_LENGTH = 4;

/** Reads that may end at once before the event loop must have gone round: else a loop of them would keep everything else from running. */
const MOST_AT_ONCE = 32;

export class NativeThread {
  readonly #results = new Float64Array((MOST_OUTCOMES + 1) * OUTCOME_LENGTH);
  /** By id: what to call, and what must not be collected meanwhile. */
  readonly #ended: (Ended | null)[] = [];
  readonly #held: unknown[] = [];
  readonly #freeIds: number[] = [];
  #atOnce = MOST_AT_ONCE;

  constructor(readonly addon: Addon) {
    addon.start((count) => this.#reap(count), this.#results);
  }

  /** Hands something over, under an id. `held` is what the addon uses until `ended` is called. */
  start(held: unknown, ended: Ended, handOver: (id: number) => void): void {
    const id = this.#freeIds.pop() ?? this.#ended.length;
    this.#ended[id] = ended;
    this.#held[id] = held;
    handOver(id);
  }

  /** How the call that was just waited for has failed. */
  status(): Outcome {
    return this.#outcomeAt(MOST_OUTCOMES);
  }

  /** Reads what the system has in memory, and tells whether that was all of it. It costs less than to hand it over. */
  readAtOnce(fd: number, buffer: Uint8Array, offset: number): boolean {
    if (this.#atOnce === 0 || this.addon.readCached(fd, buffer, offset) !== buffer.length) return false;
    this.#atOnce--;
    return true;
  }

  #reap(count: number): void {
    this.#atOnce = MOST_AT_ONCE;
    for (let at = 0; at < count; at++) {
      const id = this.#results[at * OUTCOME_LENGTH] as number;
      const ended = this.#ended[id];
      this.#ended[id] = null;
      this.#held[id] = undefined;
      this.#freeIds.push(id);
      const failed = this.#results[at * OUTCOME_LENGTH + 1] !== 0;
      ended?.(failed ? this.#outcomeAt(at) : null);
    }
  }

  #outcomeAt(at: number): Outcome {
    const [, error, stage, offset] = this.#results.subarray(at * OUTCOME_LENGTH, (at + 1) * OUTCOME_LENGTH);
    return { error: error as number, stage: stage as number, offset: offset as number };
  }
}

const OURS = Symbol.for('@pagewright/io-posix: what this thread has in flight');

let ours: NativeThread | undefined;

/** That of this thread. @throws Error where the addon does not load */
export function nativeThread(): NativeThread {
  if (ours === undefined) {
    const { addon, reason } = loadAddon();
    if (addon === null) throw new Error(`The native part of @pagewright/io-posix is not there: ${reason}.`);
    const shared = addon as Addon & { [OURS]?: NativeThread };
    shared[OURS] ??= new NativeThread(addon);
    ours = shared[OURS];
  }
  return ours;
}
