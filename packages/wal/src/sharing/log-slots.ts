/**
 * What each thread has of the log: room that it has reserved, the lowest segment that it is writing to, and a word by which
 * the others call it. A thread that has ended holds nothing any more: the system has no request of its left, so what its slot says lapses.
 *
 * Must hold: reservations change under the log latch. A thread shows what it writes under the latch, before it begins, and until the last
 * byte is where it belongs.
 */
import { MOST_THREADS, type Threads } from '@pagewright/core';

/** Numbers: two sums, then two for each thread. */
const FILE_TOTAL = 0;
const MEMORY_TOTAL = 1;
const RESERVATIONS = 2;
/** Words of a thread, behind the numbers. */
const TAG = 0;
const WRITES = 1;
const CALL = 2;
const SLOT_WORDS = 16;

const NUMBERS = RESERVATIONS + 2 * MOST_THREADS;

export class LogSlots {
  readonly #threads: Threads;
  readonly #numbers: Float64Array;
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #ownNumbers: number;
  /** Lowest segments of the writes that this thread has under way. */
  readonly #writes: number[] = [];

  static bytes(): number {
    return NUMBERS * 8 + MOST_THREADS * SLOT_WORDS * 4;
  }

  constructor(memory: SharedArrayBuffer, threads: Threads) {
    this.#threads = threads;
    this.#numbers = new Float64Array(memory, 0, NUMBERS);
    this.#words = new Int32Array(memory, NUMBERS * 8);
    this.#own = threads.slot * SLOT_WORDS;
    this.#ownNumbers = RESERVATIONS + 2 * threads.slot;
  }

  /** The calling thread takes part from now on. It has the latch. */
  enter(): void {
    this.#giveBack(this.#threads.slot);
    Atomics.store(this.#words, this.#own + WRITES, 0);
    Atomics.store(this.#words, this.#own + TAG, this.#threads.tag);
  }

  /** It takes part no more, and neither writes nor has anything reserved. */
  leave(): void {
    Atomics.store(this.#words, this.#own + TAG, 0);
    this.#call(this.#own);
  }

  // ── Room ────────────────────────────────────────────────────────────────────────────────────────────────────
  /** Bytes that threads have reserved in the file. */
  get inFile(): number {
    return this.#numbers[FILE_TOTAL] as number;
  }

  /** Bytes that they have reserved in the memory for unflushed records. */
  get inMemory(): number {
    return this.#numbers[MEMORY_TOTAL] as number;
  }

  /** Of the calling thread. */
  get ownInFile(): number {
    return this.#numbers[this.#ownNumbers] as number;
  }

  get ownInMemory(): number {
    return this.#numbers[this.#ownNumbers + 1] as number;
  }

  reserve(inFile: number, inMemory: number): void {
    const slot = this.#ownNumbers;
    this.#numbers[FILE_TOTAL] = this.inFile + inFile - this.ownInFile;
    this.#numbers[MEMORY_TOTAL] = this.inMemory + inMemory - this.ownInMemory;
    this.#numbers[slot] = inFile;
    this.#numbers[slot + 1] = inMemory;
  }

  /** What threads had reserved that have ended is free again. Whether there was any. */
  lapse(): boolean {
    const before = this.inFile + this.inMemory;
    const { slots } = this.#threads;
    for (let slot = 0; slot < slots; slot++) {
      if (!this.#isPresent(slot)) this.#giveBack(slot);
    }
    return this.inFile + this.inMemory < before;
  }

  // ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────
  /** The calling thread is about to write to segments from this one on. */
  beginWrites(lowest: number): void {
    this.#writes.push(lowest);
    this.#showWrites();
  }

  endWrites(lowest: number): void {
    this.#writes.splice(this.#writes.indexOf(lowest), 1);
    this.#showWrites();
  }

  /** The lowest segment that the calling thread writes to; infinite if it writes to none. */
  get ownLowest(): number {
    return Math.min(...this.#writes);
  }

  /** Whether a write may be under way to a segment up to this one. */
  hasWritesUpTo(segment: number): boolean {
    const { slots } = this.#threads;
    for (let slot = 0; slot < slots; slot++) {
      const lowest = Atomics.load(this.#words, slot * SLOT_WORDS + WRITES);
      if (lowest !== 0 && lowest <= segment && this.#isPresent(slot)) return true;
    }
    return false;
  }

  // ── Calls ───────────────────────────────────────────────────────────────────────────────────────────────────
  /** Has all other threads look at what has changed, when their event loops come to it. */
  callOthers(): void {
    const { slots } = this.#threads;
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * SLOT_WORDS;
      if (at !== this.#own && Atomics.load(this.#words, at + TAG) !== 0) this.#call(at);
    }
  }

  /** Calls back whenever others call, until it returns false. Does not keep the process alive. */
  async onCall(listen: () => boolean): Promise<void> {
    const at = this.#own + CALL;
    for (let seen = Atomics.load(this.#words, at); ; ) {
      await Atomics.waitAsync(this.#words, at, seen).value;
      seen = Atomics.load(this.#words, at);
      if (!listen()) return;
    }
  }

  #call(at: number): void {
    Atomics.add(this.#words, at + CALL, 1);
    Atomics.notify(this.#words, at + CALL);
  }

  #showWrites(): void {
    const lowest = this.ownLowest;
    Atomics.store(this.#words, this.#own + WRITES, Number.isFinite(lowest) ? lowest : 0);
  }

  #isPresent(slot: number): boolean {
    const tag = Atomics.load(this.#words, slot * SLOT_WORDS + TAG);
    return tag !== 0 && this.#threads.isPresent(tag);
  }

  #giveBack(slot: number): void {
    const at = RESERVATIONS + 2 * slot;
    const inFile = this.#numbers[at] as number;
    const inMemory = this.#numbers[at + 1] as number;
    if (inFile === 0 && inMemory === 0) return;
    this.#numbers[FILE_TOTAL] = this.inFile - inFile;
    this.#numbers[MEMORY_TOTAL] = this.inMemory - inMemory;
    this.#numbers[at] = 0;
    this.#numbers[at + 1] = 0;
  }
}
