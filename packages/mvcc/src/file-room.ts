/**
 * Room in the page file for what several threads are about to change at a time. What the page store secures is nobody's, so each thread says how
 * much it may still need, and secures what all of them may need together: whoever comes last has secured it for all.
 */
import type { Sharing } from './sharing.js';

const CLAIMED = 0;

export class FileRoom {
  readonly #words: Int32Array;
  /** What this thread has claimed. */
  #own = 0;

  static bytes(): number {
    return 64;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
  ) {
    this.#words = new Int32Array(memory);
  }

  /** Makes sure that the thread can make so many pages dirty until {@link give}, whatever others do. `PW_FULL`: nothing has changed. */
  secure(pages: number): void {
    const store = this.sharing.host.pages;
    if (!this.sharing.isShared) {
      store.secureSpace(pages);
      return;
    }
    const others = Atomics.add(this.#words, CLAIMED, pages);
    this.#own += pages;
    store.secureSpace(others + pages);
  }

  /** The changes are made, or given up. */
  give(): void {
    if (this.#own === 0) return;
    Atomics.sub(this.#words, CLAIMED, this.#own);
    this.#own = 0;
  }
}
