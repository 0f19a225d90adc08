/**
 * The threads that have a store open, each with a slot in shared memory that shows what it holds. A thread may end at any
 * instruction (`terminate()`, an uncaught error), so a slot says that something is held before it is, and until after it
 * is not any more. All parts of an engine that share memory between threads show what they hold in the same slots.
 *
 * Must hold (M6): if a thread ends while its slot shows anything, the store has failed for all, because what is shared may
 * be half changed; if it shows nothing, its slot is cleared and work goes on. Nobody waits for a thread that is not there.
 */
import { PagewrightError } from '../errors.js';
import { isThere, ownPresence, type Presence } from './presence.js';

/** So many threads can have one store open: more than there are cores. What is shared has room for all of them, and is gone through no further than {@link Threads.slots}. */
export const MOST_THREADS = 512;

const SLOT_SHIFT = 4;
const SLOT_WORDS = 1 << SLOT_SHIFT;

/** Of the memory: 0, or 1 + the slot of the thread that was lost, or {@link CLOSED}. */
const FAILURE = 0;
const CLOSED = -1;
/** So many slots have become free. */
const ENDINGS = 1;
/** Slots from this one on were never taken. */
const SLOTS = 2;

/** Of a slot. */
const STATE = 0;
/** By what it is told that the thread is there (`presence.ts`). */
const WHO = 1;
const SINCE = 2;
/** Latches of pages that it holds, is about to take, or has just given back. */
const LATCHES = 3;
/** Above 0 while it changes pages, and holds the gate. */
const GATE = 4;
/** Above 0 while it has the pool latch, or is about to. */
const POOL_LATCH = 5;
/** Above 0 while it reads or writes in the page file, between two holds of the pool latch. */
const TRANSFERS = 6;
/** Frames into which it reads. It may end meanwhile, and nothing is wrong: nobody else has seen them. */
const READS = 7;
/** Above 0 while it has the latch of the log, or is about to. */
const LOG_LATCH = 8;
/** Above 0 from before it takes its first lock for a commit until that is published, or given up. */
const COMMIT = 9;
/** Above 0 while it has the latch under which timestamps are taken, that of the version store, or that of the catalog. */
const ORDER_LATCH = 10;
const VERSION_LATCH = 11;
const CATALOG_LATCH = 12;
/** Above 0 while it has the latch under which the turn to write goes from one to another. */
const TURN_LATCH = 13;

/** So many looks at threads that are at work while the store closes, and it is asked whether they are there. */
const CLOSING_SWEEP = 100;

/** The lowest bits of a slot's state. Those above count how often it was taken, so that a slot that is another thread's by now is told apart. */
const STATE_BITS = 3;
const STATE_FREE = 0;
const STATE_ARRIVING = 1;
const STATE_TAKEN = 2;
const TAKING = 4;
/** A tag tells so many takings of a slot apart. */
const TAKINGS_TOLD = 2 ** 21;

/** What a slot shows. */
export type Held =
  | 'latches'
  | 'gate'
  | 'poolLatch'
  | 'transfers'
  | 'logLatch'
  | 'commit'
  | 'orderLatch'
  | 'versionLatch'
  | 'catalogLatch'
  | 'turnLatch';

const FIELDS: Readonly<Record<Held, number>> = {
  latches: LATCHES,
  gate: GATE,
  poolLatch: POOL_LATCH,
  transfers: TRANSFERS,
  logLatch: LOG_LATCH,
  commit: COMMIT,
  orderLatch: ORDER_LATCH,
  versionLatch: VERSION_LATCH,
  catalogLatch: CATALOG_LATCH,
  turnLatch: TURN_LATCH,
};

export class Threads {
  /** Of the calling thread, from 0 up. */
  readonly slot: number;
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #presence: Presence;
  /**
   * What the calling thread does while it is blocked by another one for long: ends what its event loop would end, and the other one may
   * wait for. Takes no time if there is nothing, and does not throw.
   */
  whileBlocked: (() => void) | null = null;
  /** Whether it was this thread that closed the store. */
  #hasClosed = false;
  /** The slot is this thread's no more. */
  #hasLeft = false;

  static bytes(): number {
    return (1 + MOST_THREADS) * SLOT_WORDS * 4;
  }

  /** Of a store that one thread has to itself. */
  static alone(): Threads {
    return new Threads(new SharedArrayBuffer(Threads.bytes()));
  }

  /** Takes a slot for the calling thread. Errors: `PW_ARGUMENT` if as many threads as can have the store open already. */
  constructor(memory: SharedArrayBuffer, presence = ownPresence()) {
    this.#words = new Int32Array(memory);
    this.#presence = presence;
    this.slot = this.#takeSlot();
    this.#own = slotAt(this.slot);
  }

  /**
   * Who the calling thread is: a number above 0, below 2 ** 31, which no other thread of the store has, nor is likely to get when this one has ended. What
   * belongs to a thread, and lapses with it, is kept with this number ({@link isPresent}).
   */
  get tag(): number {
    return this.#tagOf(this.slot);
  }

  /** Whether the thread of that {@link tag} has the store open. One that has ended is found out by {@link sweep}. */
  isPresent(tag: number): boolean {
    return this.#tagOf(tag % MOST_THREADS) === tag;
  }

  /** Goes on with each thread that has left, or was found to have ended. */
  get endings(): number {
    return Atomics.load(this.#words, ENDINGS);
  }

  /**
   * How many slots were ever taken: who looks at all threads looks at those below. A thread that comes later shows nothing that was there
   * before: its slot is counted first.
   */
  get slots(): number {
    return Atomics.load(this.#words, SLOTS);
  }

  /** Index of a counter of the calling thread in {@link words}: 1 is added before it takes something, and subtracted after it gave it back. */
  at(held: Held): number {
    return this.#own + FIELDS[held];
  }

  get words(): Int32Array {
    return this.#words;
  }

  /** Errors: `PW_THREAD_LOST` if a thread has ended while it held something, `PW_CLOSED` if the store was closed. */
  assertWhole(): void {
    const failure = Atomics.load(this.#words, FAILURE);
    if (failure > 0) throw threadLost(failure - 1);
    if (this.#hasLeft) throw left();
    if (failure !== 0) throw closed();
  }

  /**
   * The same for a thread that shows what it is about to do: only then is it asked. What was begun in the gate before the store was
   * closed may come to its end, as that is waited for; and the thread that closed the store may look at what is in memory.
   */
  assertMayGoOn(): void {
    const failure = Atomics.load(this.#words, FAILURE);
    if (failure === 0 && !this.#hasLeft) return;
    const isClosing = failure === CLOSED && (this.#hasClosed || Atomics.load(this.#words, this.#own + GATE) > 0);
    if (!isClosing) this.assertWhole();
  }

  /**
   * Nothing is done with pages from now on, in any thread but this one. Resolves when no other thread is in the midst of
   * something, or is found to have ended so.
   */
  async closeForOthers(): Promise<void> {
    this.#hasClosed = true;
    Atomics.compareExchange(this.#words, FAILURE, 0, CLOSED);
    for (let waits = 1; this.#othersAtWork(); waits++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (waits % CLOSING_SWEEP === 0 && this.#othersLost()) return;
    }
  }

  /** Whether a thread has ended while it held something. */
  get isLost(): boolean {
    return Atomics.load(this.#words, FAILURE) > 0;
  }

  /** `PW_THREAD_LOST` if a thread has ended while it held something, else null. Says more than whatever else comes of it. */
  get loss(): PagewrightError | null {
    const failure = Atomics.load(this.#words, FAILURE);
    return failure > 0 ? threadLost(failure - 1) : null;
  }

  /** Whether another thread holds the gate. */
  otherInGate(): number {
    const { slots } = this;
    for (let slot = 0; slot < slots; slot++) {
      if (slot !== this.slot && Atomics.load(this.#words, slotAt(slot) + GATE) > 0) return slotAt(slot) + GATE;
    }
    return -1;
  }

  /** How many threads have the store open. */
  get count(): number {
    let count = 0;
    for (let slot = this.slots - 1; slot >= 0; slot--) {
      if (this.#isTaken(slotAt(slot))) count++;
    }
    return count;
  }

  /** Looks for threads that have ended. The store has failed if one of them held something: the next call of {@link assertWhole} says so. */
  sweep(): void {
    this.#freeEnded((slot) => this.#lose(slot));
  }

  /** The same, by a thread that is blocked, and may be what the others wait for. */
  sweepWhileBlocked(): void {
    this.whileBlocked?.();
    this.sweep();
  }

  /** Whether the calling thread has the pool latch, or waits for it. Whoever has any other latch may take that one, as who has that one waits for no other. */
  get isInPoolLatch(): boolean {
    return Atomics.load(this.#words, this.#own + POOL_LATCH) > 0;
  }

  /**
   * The thread that had this slot has ended, as one knows who started it. As {@link sweep}, which does not see it everywhere; where it
   * does, the slot may be another thread's by now.
   */
  ended(slot: number): void {
    const isKnown = Atomics.load(this.#words, slotAt(slot) + WHO) !== 0;
    this.#freeIfEnded(
      slot,
      (at) => isKnown && this.#isAlive(at),
      (lost) => this.#lose(lost),
    );
  }

  /** How many frames more, or less, the calling thread reads into. It has the pool latch. */
  addReads(difference: number): void {
    const at = this.#own + READS;
    Atomics.store(this.#words, at, (this.#words[at] as number) + difference);
  }

  /** Whether a thread has ended, and nothing is wrong, but there are frames into which it read. */
  get hasEndedReader(): boolean {
    return this.#endedReaders().length > 0;
  }

  /** Calls back for each of these threads, and frees its slot. The caller has the pool latch. */
  reclaim(giveBack: (slot: number) => void): void {
    for (const { slot, state } of this.#endedReaders()) {
      giveBack(slot);
      this.#free(slotAt(slot), state);
    }
  }

  /** The calling thread has no use of the store any more. It holds nothing. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#free(this.#own, Atomics.load(this.#words, this.#own + STATE));
    this.#presence.end();
  }

  #tagOf(slot: number): number {
    const state = Atomics.load(this.#words, slotAt(slot) + STATE);
    if ((state & STATE_BITS) !== STATE_TAKEN) return 0;
    return (((state >>> 2) % TAKINGS_TOLD) + 1) * MOST_THREADS + slot;
  }

  #lose(slot: number): void {
    Atomics.compareExchange(this.#words, FAILURE, 0, slot + 1);
  }

  #othersAtWork(): boolean {
    return this.#others().some((at) => this.#mayWrite(at));
  }

  /** Whether those that hold something have all ended. */
  #othersLost(): boolean {
    return this.#others().every((at) => !this.#mayWrite(at) || !this.#isAlive(at));
  }

  /** When a thread was lost no other one begins to write, whatever it holds, and some may hold it for ever. */
  #mayWrite(at: number): boolean {
    if (!this.isLost) return this.#holdsAnything(at);
    return Atomics.load(this.#words, at + POOL_LATCH) !== 0 || Atomics.load(this.#words, at + TRANSFERS) !== 0;
  }

  #others(): number[] {
    const slots = Array.from({ length: this.slots }, (_, slot) => slotAt(slot));
    return slots.filter((at) => at !== this.#own && this.#isTaken(at));
  }

  #takeSlot(): number {
    for (const swept of [false, true]) {
      for (let slot = 0; slot < MOST_THREADS; slot++) {
        const at = slotAt(slot);
        const state = Atomics.load(this.#words, at + STATE);
        const arriving = state | STATE_ARRIVING;
        if ((state & STATE_BITS) !== STATE_FREE) continue;
        if (Atomics.compareExchange(this.#words, at + STATE, state, arriving) !== state) continue;
        this.#count(slot);
        Atomics.store(this.#words, at + WHO, this.#presence.who);
        Atomics.store(this.#words, at + SINCE, this.#presence.since);
        for (const field of [...Object.values(FIELDS), READS]) Atomics.store(this.#words, at + field, 0);
        Atomics.store(this.#words, at + STATE, (state + TAKING) | STATE_TAKEN | 0);
        return slot;
      }
      if (!swept) this.#freeEnded(() => {});
    }
    this.#presence.end();
    throw new PagewrightError(
      'PW_ARGUMENT',
      `${MOST_THREADS} threads have this store open already, which is as many as can. Close it in one of them.`,
      { details: { threads: MOST_THREADS } },
    );
  }

  #count(slot: number): void {
    for (let slots = this.slots; slots <= slot; slots = this.slots) {
      Atomics.compareExchange(this.#words, SLOTS, slots, slot + 1);
    }
  }

  /**
   * Frees the slots of threads that have ended, but for those that `reclaim` is for, and calls back for those that held something. Another thread may do the
   * same, and a new one may take what that frees: what was seen counts only for the thread whose slot it was in the beginning.
   */
  #freeEnded(lost: (slot: number) => void): void {
    const { slots } = this;
    for (let slot = 0; slot < slots; slot++) {
      if (slot !== this.slot) this.#freeIfEnded(slot, (at) => this.#isAlive(at), lost);
    }
  }

  /** While frames are to be given back a slot is freed by nobody else. */
  #endedReaders(): { readonly slot: number; readonly state: number }[] {
    const ended: { readonly slot: number; readonly state: number }[] = [];
    const { slots } = this;
    for (let slot = 0; slot < slots; slot++) {
      const at = slotAt(slot);
      const state = Atomics.load(this.#words, at + STATE);
      const mayRead = (state & STATE_BITS) === STATE_TAKEN && Atomics.load(this.#words, at + READS) > 0;
      if (slot === this.slot || !mayRead || this.#isAlive(at) || this.#holdsAnything(at)) continue;
      if (Atomics.load(this.#words, at + STATE) === state) ended.push({ slot, state });
    }
    return ended;
  }

  #freeIfEnded(slot: number, isAlive: (at: number) => boolean, lost: (slot: number) => void): void {
    const at = slotAt(slot);
    const state = Atomics.load(this.#words, at + STATE);
    if ((state & STATE_BITS) !== STATE_TAKEN || isAlive(at)) return;
    if (!this.#holdsAnything(at)) {
      if (Atomics.load(this.#words, at + READS) === 0) this.#free(at, state);
    } else if (Atomics.load(this.#words, at + STATE) === state) lost(slot);
  }

  /** Unless another thread has done so, and a new one may have taken it. */
  #free(at: number, state: number): void {
    const free = (state & ~STATE_BITS) | STATE_FREE;
    if (Atomics.compareExchange(this.#words, at + STATE, state, free) !== state) return;
    // Afterwards: who knows of this ending finds the thread gone.
    Atomics.add(this.#words, ENDINGS, 1);
  }

  #isTaken(at: number): boolean {
    return (Atomics.load(this.#words, at + STATE) & STATE_BITS) === STATE_TAKEN;
  }

  #holdsAnything(at: number): boolean {
    return Object.values(FIELDS).some((field) => Atomics.load(this.#words, at + field) !== 0);
  }

  #isAlive(at: number): boolean {
    return isThere(Atomics.load(this.#words, at + WHO), Atomics.load(this.#words, at + SINCE));
  }
}

function slotAt(slot: number): number {
  return (1 + slot) << SLOT_SHIFT;
}

function threadLost(slot: number): PagewrightError {
  return new PagewrightError(
    'PW_THREAD_LOST',
    'A thread ended while it was changing what all threads share: what is in memory cannot be trusted. Close the store in all threads, and open it again; nothing that was acknowledged is lost.',
    { details: { slot } },
  );
}

function closed(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The store was closed in the thread that opened it.');
}

function left(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The store was closed in this thread.');
}
