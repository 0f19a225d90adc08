/**
 * Who may write. One thing does at a time: a transaction from when it got the turn until it ends, or a step that makes a single commit. Those who need not
 * have it now stand in a line, in the order in which they asked; those who must have it now go before them if it is free.
 *
 * Must hold: who has the turn commits, and nobody else. It is given on in a turn of the event loop of its own (a microtask), never in the midst of what
 * another one does. With several threads the thread must have it first (`shared-turn.ts`), and asks for it again after each that had it.
 */
import { isPagewrightError, onAbort, PagewrightError, type Threads } from '@pagewright/core';
import type { WaitOptions } from './options.js';
import { SharedTurn } from './shared-turn.js';
import { WaitingLine } from './waiting-line.js';

/** What the line needs of who stands in it. */
interface Waiting {
  /** Null until it could go on. In milliseconds, as `performance.now()` has it. */
  readySince: number | null;
  /** Whether it will have the turn beyond the step in which it gets it. */
  readonly isTransaction: boolean;
  /** It is its turn: does all that it wants then, and does not throw. */
  begin(): void;
  refuse(error: unknown): void;
}

/** Where the memory of a line is, for all threads. */
export interface LineMemory {
  readonly turn: SharedArrayBuffer;
  readonly latch: SharedArrayBuffer;
}

export class WriterLine {
  readonly #line = new WaitingLine<Waiting>();
  #writer: object | null = null;
  /** Above 0 in a step that commits. */
  #moments = 0;
  #turn: SharedTurn | null = null;
  #isServing = false;
  #isAwaiting = false;
  #isClosing = false;
  #timer: NodeJS.Timeout | null = null;
  /** Since when the same one has the turn. */
  #heldSince = 0;

  constructor(private readonly waits: Required<WaitOptions>) {}

  /** Other threads may want the turn from now on. */
  share({ turn, latch }: LineMemory, threads: Threads): void {
    if (this.#turn !== null) return;
    this.#turn = new SharedTurn(turn, latch, threads);
    // Nobody else has the memory yet.
    if (this.#writer === null) return;
    this.#turn.take();
    this.#turn.use(false);
  }

  /** The thread has no use of it any more. */
  leave(): void {
    this.#refuseAll(closed());
    this.#writer = null;
    this.#quietly(() => this.#turn?.withdraw());
    this.#turn = null;
  }

  // ── Now ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The transaction writes from now on. Errors: `PW_WRITER_BUSY`, `PW_THREAD_LOST`, `PW_CLOSED`. */
  takeNow(transaction: object): void {
    this.#takeFor(false, true);
    this.#begins(transaction);
  }

  /** Begins a transaction that writes from now on. Errors: the same, and those of the step. */
  transactionNow<Transaction extends object>(begin: () => Transaction): Transaction {
    this.#takeFor(false, true);
    return this.#run(() => {
      const transaction = begin();
      this.#begins(transaction);
      return transaction;
    });
  }

  /** Runs a step that commits, now. Errors: the same, and those of the step. */
  moment<Result>(step: () => Result): Result {
    if (this.#moments === 0) this.#takeFor(true, true);
    return this.#run(step);
  }

  /** The same if nobody has the turn, or has asked for it here; null if not. */
  atOnce<Result>(step: () => Result): Result | null {
    if (this.#writer !== null || this.#line.length > 0 || !this.#takeFor(true, false)) return null;
    return this.#run(step);
  }

  /** The transaction has ended. Of one that has not the turn: nothing. */
  end(transaction: object): void {
    if (this.#writer !== transaction) return;
    this.#writer = null;
    this.#goOn();
  }

  // ── In line ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs a step when it is its turn, which it keeps for the transaction that the step returns. Who waits leaves when the signal says so, with its reason. */
  transaction<Transaction extends object>(begin: () => Transaction, signal?: AbortSignal): Promise<Transaction> {
    if (this.#isClosing) return Promise.reject(closed());
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const leave = (): void => this.#refuse((waiting) => waiting === place, signal?.reason);
      const place: Waiting = {
        readySince: performance.now(),
        isTransaction: true,
        begin: () => {
          stop();
          try {
            const transaction = begin();
            this.#begins(transaction);
            resolve(transaction);
          } catch (error) {
            reject(error);
          }
        },
        refuse: (error) => {
          stop();
          reject(error);
        },
      };
      this.#line.join(place);
      const stop = signal === undefined ? (): void => {} : onAbort(signal, leave);
      this.#serve();
    });
  }

  place(): Place {
    const place = new Place(this);
    this.#line.join(place);
    return place;
  }

  /** Of the line alone. */
  isReady(place: Place): void {
    place.readySince = performance.now();
    this.#serve();
  }

  /** Of the line alone. */
  leaves(place: Place): void {
    const wasFirst = this.#line.first === place;
    this.#line.leave((waiting) => waiting === place);
    if (wasFirst) this.#goOn();
  }

  /** No transaction begins any more, and no other change waits for a transaction of another thread. */
  close(): void {
    this.#isClosing = true;
    this.#refuse((waiting) => waiting.isTransaction, closed());
    this.#serve();
  }

  #begins(transaction: object): void {
    this.#writer = transaction;
    this.#heldSince = performance.now();
  }

  #run<Result>(step: () => Result): Result {
    this.#moments++;
    try {
      return step();
    } finally {
      this.#moments--;
      this.#goOn();
    }
  }

  /** Takes the turn for this thread, and waits for it if it may. False only if it may not. */
  #takeFor(isMoment: boolean, mayWait: boolean): boolean {
    if (this.#writer !== null) throw this.#busy(0);
    const turn = this.#turn;
    if (turn === null) return true;
    if (!mayWait && turn.isKept) return false;
    if (!turn.take() && !this.#awaitNow(turn, mayWait)) return false;
    turn.use(isMoment);
    return true;
  }

  /** IO3: a bounded time. */
  #awaitNow(turn: SharedTurn, mayWait: boolean): boolean {
    const begun = performance.now();
    try {
      while (!turn.ask()) {
        const { owner } = turn;
        const left = begun + this.waits.waitSyncMs - performance.now();
        if (!mayWait && (turn.isKept || left <= 0)) return false;
        if (left <= 0 && turn.takeFromEnded()) return true;
        if (left <= 0) throw this.#busy(performance.now() - begun);
        turn.waitNow(owner, left);
      }
      return true;
    } finally {
      if (!turn.isMine && !this.#isWanted) this.#quietly(() => turn.withdraw());
    }
  }

  /** Whether the first in line could go on. */
  get #isWanted(): boolean {
    const { first } = this.#line;
    return first !== undefined && first.readySince !== null;
  }

  /** Gives the turn on if nobody writes here, and does not keep a place for nobody. */
  #goOn(): void {
    if (this.#line.length === 0) this.#disarm();
    if (this.#writer !== null || this.#moments > 0) return;
    this.#quietly(() => (this.#isWanted ? this.#turn?.give() : this.#turn?.withdraw()));
    if (this.#line.length > 0) this.#serveSoon();
  }

  #serveSoon(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    queueMicrotask(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  /** Gives the turn to the first in line, if it can be. */
  #serve(): void {
    const { first } = this.#line;
    if (first === undefined || first.readySince === null || this.#moments > 0) return;
    if (this.#writer !== null) {
      this.#arm();
      return;
    }
    try {
      if (this.#turn?.ask() === false) {
        this.#awaitTurn(this.#turn);
        return;
      }
      this.#turn?.use(!first.isTransaction);
    } catch (error) {
      this.#refuseAll(error);
      return;
    }
    this.#line.serve();
    this.#run(() => first.begin());
  }

  /** Until this thread has the turn, or there is no use for it. */
  async #awaitTurn(turn: SharedTurn): Promise<void> {
    if (this.#isAwaiting) {
      // Others may have had the turn here since, so that nobody waited any more for a while.
      this.#arm();
      return;
    }
    this.#isAwaiting = true;
    this.#heldSince = performance.now();
    this.#arm();
    try {
      while (this.#line.length > 0 && !turn.isMine && this.#turn === turn) {
        if (this.#isClosing && turn.isKept) this.#refuseAll(closed());
        const { owner } = turn;
        if (owner === 0) break;
        await turn.wait(owner);
        if (turn.owner !== owner) this.#heldSince = performance.now();
        // One that has ended may have had it.
        else if (turn.take()) break;
      }
    } catch (error) {
      this.#refuseAll(error);
    } finally {
      this.#isAwaiting = false;
    }
    if (this.#turn !== turn) return;
    if (this.#isWanted) this.#serveSoon();
    else this.#goOn();
  }

  // ── Patience ────────────────────────────────────────────────────────────────────────────────────────────────

  /** It keeps the process alive: somebody waits. */
  #arm(): void {
    if (this.#timer !== null) return;
    const left = this.#deadlineOf(this.#line.first!) - performance.now();
    this.#timer = setTimeout(() => this.#lookAtTime(), Math.max(1, left));
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #lookAtTime(): void {
    this.#timer = null;
    const now = performance.now();
    this.#refuse((waiting) => this.#deadlineOf(waiting) <= now, this.#busy(this.waits.waitMs));
    if (this.#isWanted) this.#arm();
  }

  /** Whoever waits does so for one and the same. */
  #deadlineOf({ readySince }: Waiting): number {
    if (readySince === null) return Number.POSITIVE_INFINITY;
    return Math.max(readySince, this.#heldSince) + this.waits.waitMs;
  }

  #refuse(which: (waiting: Waiting) => boolean, error: unknown): void {
    const refused = this.#line.leave(which);
    for (const waiting of refused) waiting.refuse(error);
    if (refused.length > 0) this.#goOn();
  }

  #refuseAll(error: unknown): void {
    this.#refuse(() => true, error);
  }

  #busy(waitedMs: number): PagewrightError {
    const waited = waitedMs === 0 ? '' : ` (it has waited ${Math.round(waitedMs)} ms)`;
    return new PagewrightError(
      'PW_WRITER_BUSY',
      `Another transaction writes, and this change cannot wait for it any longer${waited}: one writes at a time. Commit or abort that one first. In the function of db.transaction(), change things by its transaction alone; ` +
        'elsewhere make the change asynchronously, which waits.',
      { details: { waitedMs } },
    );
  }

  /** Of a store that has failed, or is closed, nobody wants the turn. */
  #quietly(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!isPagewrightError(error, 'PW_THREAD_LOST') && !isPagewrightError(error, 'PW_CLOSED')) throw error;
    }
  }
}

/** A place for a step that commits. */
export class Place implements Waiting {
  readySince: number | null = null;
  readonly isTransaction = false;
  #begin: () => void = () => {};
  #refuse: (error: unknown) => void = () => {};
  /** Why it lost its place, before it was ready. */
  #refusal: { readonly error: unknown } | null = null;
  #isInLine = true;

  constructor(private readonly line: WriterLine) {}

  run<Result>(step: () => Result): Promise<Result> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal.error);
    return new Promise((resolve, reject) => {
      this.#begin = () => {
        try {
          resolve(step());
        } catch (error) {
          reject(error);
        }
      };
      this.#refuse = reject;
      this.line.isReady(this);
    });
  }

  leave(): void {
    if (this.#isInLine) this.line.leaves(this);
    this.#isInLine = false;
  }

  begin(): void {
    this.#isInLine = false;
    this.#begin();
  }

  refuse(error: unknown): void {
    this.#isInLine = false;
    this.#refusal = { error };
    this.#refuse(error);
  }
}

function closed(): PagewrightError {
  return new PagewrightError(
    'PW_CLOSED',
    'The engine was closed before this change had its turn: nothing of it was done.',
  );
}
