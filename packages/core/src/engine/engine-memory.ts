/**
 * What the engines of several threads over one store have to agree on, in shared memory: whether the store is usable,
 * which state the catalog is in, and how much log there is since the last checkpoint.
 *
 * Whatever changes here is news. A thread asks for news with one load at the beginning of each call, and looks around if
 * there are any; one that does nothing at the time is woken. What it has seen is kept for it, so that nothing is taken
 * away while a thread may still use it by what it knew before ({@link EngineMemory.allHaveSeen}).
 */
import { ERROR_CODES, type ErrorCode, PagewrightError } from '../errors.js';
import { SharedLatch } from '../threads/shared-latch.js';
import { MOST_THREADS, type Threads } from '../threads/threads.js';

/** Counts changes. */
const NEWS = 0;
/** Counts changes of the catalog; odd while one is under way. */
const CATALOG = 1;
const STATE = 2;
/** 1 when a thread has begun to say what went wrong: the first one does. */
const TOLD = 3;
/** Counts beginnings and ends of checkpoints: odd while one runs. */
const CHECKPOINTS = 4;
/** 1 when the thread that opened the store has begun to close it. */
const CLOSED = 5;
/** Changes that were logged since the last gate. */
const CHANGES = 6;
/** Pages that all threads had read at the last gate, modulo 2^32. */
const READS = 7;
/** Bytes logged since the last gate, as 64 bits. */
const LOGGED = 8;
/** For each slot of a thread: its tag, and the news that it has seen. */
const SEEN = 16;
const SEEN_WORDS = 2;
/** After it: the length of the code of what went wrong, that of its message, and both. */
const FAILURE = SEEN + SEEN_WORDS * MOST_THREADS;
const FAILURE_TEXT = 4 * (FAILURE + 2);
const TEXT_BYTES = 2048;

const WAIT_MS = 5;
const WAITS_BEFORE_SWEEP = 100;
const A_LONG_TIME_MS = 2 ** 30;

export const SHARED_OPEN = 0;
export const SHARED_READ_ONLY = 1;
export const SHARED_FAILED = 2;
/** It has failed because a thread was lost, whatever else that has brought about and was told before. */
export const SHARED_LOST = 3;

/** It goes in one direction only. */
export type SharedState = typeof SHARED_OPEN | typeof SHARED_READ_ONLY | typeof SHARED_FAILED | typeof SHARED_LOST;

export class EngineMemory {
  readonly #words: Int32Array;
  readonly #logged: BigInt64Array;
  readonly #text: Uint8Array;

  /** Zeros: of a store that has just been opened. */
  static create(): EngineMemory {
    const bytes = Math.ceil((FAILURE_TEXT + TEXT_BYTES) / 8) * 8;
    return new EngineMemory(new SharedArrayBuffer(bytes), new SharedArrayBuffer(SharedLatch.bytes()));
  }

  constructor(
    readonly buffer: SharedArrayBuffer,
    /** Of the catalog. */
    readonly latch: SharedArrayBuffer,
  ) {
    this.#words = new Int32Array(buffer, 0, FAILURE_TEXT >>> 2);
    this.#logged = new BigInt64Array(buffer, 4 * LOGGED, 1);
    this.#text = new Uint8Array(buffer, FAILURE_TEXT, TEXT_BYTES);
  }

  // ── News ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Differs from what it was when there was news; wraps around. */
  get news(): number {
    return Atomics.load(this.#words, NEWS);
  }

  /** Something has changed: all threads are told. */
  tell(): void {
    Atomics.add(this.#words, NEWS, 1);
    Atomics.notify(this.#words, NEWS);
  }

  /** Resolves when there is other news than that. Does not keep the process alive. */
  otherNews(than: number): Promise<unknown> {
    const waiting = Atomics.waitAsync(this.#words, NEWS, than);
    return waiting.async ? waiting.value : Promise.resolve();
  }

  /** The same, or after so many milliseconds, for who cannot go on before. */
  async awaitNews(than: number, milliseconds: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, NEWS, than, milliseconds);
    if (waiting.async) await keptAlive(waiting.value);
  }

  /** The thread of that tag uses nothing any more by what it knew before this news. */
  hasSeen(slot: number, tag: number, news: number): void {
    const at = SEEN + SEEN_WORDS * slot;
    // What a thread before it had seen does not count for this one.
    if (Atomics.load(this.#words, at) !== tag) Atomics.store(this.#words, at, 0);
    Atomics.store(this.#words, at + 1, news);
    Atomics.store(this.#words, at, tag);
  }

  /** The thread uses nothing any more. */
  hasLeft(slot: number): void {
    Atomics.store(this.#words, SEEN + SEEN_WORDS * slot, 0);
  }

  /** Whether all threads that have an engine over the store have seen this news, or later ones. */
  allHaveSeen(news: number, threads: Threads): boolean {
    const { slots } = threads;
    for (let slot = 0; slot < slots; slot++) {
      const at = SEEN + SEEN_WORDS * slot;
      const tag = Atomics.load(this.#words, at);
      if (tag === 0 || !threads.isPresent(tag)) continue;
      if (((Atomics.load(this.#words, at + 1) - news) | 0) < 0) return false;
    }
    return true;
  }

  // ── The state of the store ──────────────────────────────────────────────────────────────────────────────────

  get state(): SharedState {
    return Atomics.load(this.#words, STATE) as SharedState;
  }

  /** Goes on to a state if it is a later one than now. */
  advance(state: SharedState): void {
    for (;;) {
      const before = Atomics.load(this.#words, STATE);
      if (before >= state) return;
      if (Atomics.compareExchange(this.#words, STATE, before, state) !== before) continue;
      this.tell();
      return;
    }
  }

  /** Whether the thread that opened the store has begun to close it: for all others it is closed. */
  get isClosed(): boolean {
    return Atomics.load(this.#words, CLOSED) !== 0;
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1);
    this.tell();
  }

  /** Says why, once: what the first thread has to say counts. Call it before {@link advance}. */
  explain(error: Error): void {
    if (Atomics.compareExchange(this.#words, TOLD, 0, 1) !== 0) return;
    const code = Buffer.from(error instanceof PagewrightError ? error.code : 'PW_INTERNAL');
    const message = Buffer.from(error.message).subarray(0, TEXT_BYTES - code.length);
    this.#text.set(code);
    this.#text.set(message, code.length);
    Atomics.store(this.#words, FAILURE + 1, message.length);
    Atomics.store(this.#words, FAILURE, code.length);
  }

  /** What another thread has said; one that says so if it ended before it could. */
  explanation(): PagewrightError {
    const codeLength = Atomics.load(this.#words, FAILURE);
    const text = Buffer.from(this.#text.slice(0, codeLength + Atomics.load(this.#words, FAILURE + 1)));
    const code = text.toString('utf8', 0, codeLength);
    if (!Object.hasOwn(ERROR_CODES, code)) {
      return new PagewrightError('PW_INTERNAL', 'Another thread has failed, and could not say why.');
    }
    return new PagewrightError(code as ErrorCode, `In another thread: ${text.toString('utf8', codeLength)}`);
  }

  // ── The catalog ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Even, and the same for as long as nothing changes. */
  get catalogVersion(): number {
    return Atomics.load(this.#words, CATALOG);
  }

  /** The version of a catalog that nobody is changing; waits for that. Errors: `PW_THREAD_LOST`, `PW_CLOSED`. */
  settledCatalog(threads: Threads): number {
    for (let waits = 1; ; waits++) {
      const version = Atomics.load(this.#words, CATALOG);
      if ((version & 1) === 0) return version;
      Atomics.wait(this.#words, CATALOG, version, WAIT_MS);
      if (waits % WAITS_BEFORE_SWEEP === 0) threads.sweepWhileBlocked();
      threads.assertMayGoOn();
    }
  }

  /** Runs a change of the catalog; one at a time. Returns what the change returned. */
  changingCatalog<Result>(change: () => Result): Result {
    Atomics.add(this.#words, CATALOG, 1);
    try {
      return change();
    } finally {
      // Told first: whoever finds the catalog settled finds this news, too, or later ones.
      this.tell();
      Atomics.add(this.#words, CATALOG, 1);
      Atomics.notify(this.#words, CATALOG);
    }
  }

  // ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes logged since the last gate. */
  get logged(): number {
    return Number(Atomics.load(this.#logged, 0));
  }

  /** Changes of entries that were logged since the last gate. */
  get changes(): number {
    return Atomics.load(this.#words, CHANGES) >>> 0;
  }

  /** Returns the bytes there are now. */
  addLogged(bytes: number): number {
    return Number(Atomics.add(this.#logged, 0, BigInt(bytes))) + bytes;
  }

  /** Returns the changes there are now. */
  addChanges(changes: number): number {
    return (Atomics.add(this.#words, CHANGES, changes) + changes) >>> 0;
  }

  /** There is none at the gate. `pageReads`: pages that all threads have read. */
  clearLogged(pageReads: number): void {
    Atomics.store(this.#logged, 0, 0n);
    Atomics.store(this.#words, CHANGES, 0);
    Atomics.store(this.#words, READS, pageReads | 0);
  }

  /** Pages that were read since the last gate, of so many in all. */
  readsSinceGate(pageReads: number): number {
    return (pageReads - Atomics.load(this.#words, READS)) >>> 0;
  }

  get isCheckpointRunning(): boolean {
    return (Atomics.load(this.#words, CHECKPOINTS) & 1) === 1;
  }

  checkpointBegins(): void {
    this.#stepCheckpoints(1);
  }

  checkpointEnds(): void {
    this.#stepCheckpoints(0);
  }

  /** Resolves when no checkpoint runs that ran when it was called, or after so many milliseconds. Whether it has ended. */
  async checkpointEnd(milliseconds: number): Promise<boolean> {
    const running = Atomics.load(this.#words, CHECKPOINTS);
    if ((running & 1) === 0) return true;
    const waiting = Atomics.waitAsync(this.#words, CHECKPOINTS, running, milliseconds);
    if (waiting.async) await keptAlive(waiting.value);
    return Atomics.load(this.#words, CHECKPOINTS) !== running;
  }

  /** Counts beginnings and ends of checkpoints. */
  get checkpoints(): number {
    return Atomics.load(this.#words, CHECKPOINTS);
  }

  /** {@link checkpointEnd} in place. */
  checkpointEndSync(milliseconds: number): boolean {
    const running = this.checkpoints;
    return (running & 1) === 0 || Atomics.wait(this.#words, CHECKPOINTS, running, milliseconds) !== 'timed-out';
  }

  #stepCheckpoints(running: 0 | 1): void {
    const before = Atomics.load(this.#words, CHECKPOINTS);
    if ((before & 1) === running) return;
    Atomics.store(this.#words, CHECKPOINTS, (before + 1) | 0);
    Atomics.notify(this.#words, CHECKPOINTS);
  }
}

/** Who waits for another thread keeps its own alive, as who waits for a file does: `Atomics.waitAsync` alone would let it end. */
async function keptAlive(waiting: Promise<unknown>): Promise<void> {
  const timer = setInterval(() => {}, A_LONG_TIME_MS);
  try {
    await waiting;
  } finally {
    clearInterval(timer);
  }
}
