/**
 * That the log has failed (IO1): one word that all threads look at, and why. The word comes first; nobody acknowledges
 * anything after it, whoever met the failure.
 */

const FAILED = 0;
const LENGTH = 1;
const WORDS = 2;
/** Bytes of the reason that fit. */
const REASON_SIZE = 504;

export class SharedFailure {
  readonly #words: Int32Array;
  readonly #reason: Uint8Array;

  static bytes(): number {
    return WORDS * 4 + REASON_SIZE;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#reason = new Uint8Array(memory, WORDS * 4, REASON_SIZE);
  }

  get hasFailed(): boolean {
    return Atomics.load(this.#words, FAILED) !== 0;
  }

  /** Of the first failure; empty while that is being written. */
  get reason(): string {
    const length = Atomics.load(this.#words, LENGTH);
    return new TextDecoder().decode(this.#reason.slice(0, length));
  }

  /** Whether it is the first. */
  set(reason: string): boolean {
    if (Atomics.compareExchange(this.#words, FAILED, 0, 1) !== 0) return false;
    const { written } = new TextEncoder().encodeInto(reason, this.#reason);
    Atomics.store(this.#words, LENGTH, written);
    return true;
  }
}
