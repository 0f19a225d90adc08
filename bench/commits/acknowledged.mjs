/**
 * Which entries one thread has begun to commit, and which of them were acknowledged. Of n threads, thread t commits those numbered t, t + n, t + 2n …, so
 * that nothing is committed twice. It is kept in a file of its own beside the store, for the process that checks it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'acknowledged-';

export class Acknowledged {
  begun = 0;
  #flags = new Uint8Array(2 ** 16);
  #thread;
  #threads;

  constructor(thread, threads) {
    this.#thread = thread;
    this.#threads = threads;
  }

  /** The number of the next entry. */
  begin() {
    if (this.begun === this.#flags.length) {
      const flags = new Uint8Array(2 * this.begun);
      flags.set(this.#flags);
      this.#flags = flags;
    }
    return this.#thread + this.begun++ * this.#threads;
  }

  done(number) {
    this.#flags[(number - this.#thread) / this.#threads] = 1;
  }

  /** Whether the entry that was begun as that one, from 0 on, was acknowledged. */
  has(at) {
    return this.#flags[at] === 1;
  }

  /** Of each entry that was begun, in order: 1 if it was acknowledged. */
  flags() {
    return this.#flags.slice(0, this.begun);
  }
}

/** @param flagsOfThreads {Uint8Array[]} */
export function writeAcknowledged(directory, flagsOfThreads) {
  for (const [thread, flags] of flagsOfThreads.entries()) writeFileSync(join(directory, `${FILE}${thread}`), flags);
}

/** @returns {Uint8Array[]} What was written, thread by thread. */
export function readAcknowledged(directory) {
  const { length } = readdirSync(directory).filter((name) => name.startsWith(FILE));
  return Array.from({ length }, (_, thread) => readFileSync(join(directory, `${FILE}${thread}`)));
}
