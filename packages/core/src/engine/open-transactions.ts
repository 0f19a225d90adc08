/**
 * The transactions that are open in this thread. One that stays open keeps old versions, and what was deleted, from being given up: after a time it is reported, with where it was begun, and
 * after a longer one it is aborted. They are looked at now and then, so that one which ends soon costs nothing but to be written down.
 */
import { channel } from 'node:diagnostics_channel';

export interface OpenTransactionOptions {
  /**
   * A transaction that is open for so many milliseconds is reported once: as a warning of the process (`PAGEWRIGHT_OPEN_TRANSACTION`), and on the channel `pagewright:transaction:open`. False: none is. Default: 60,000.
   */
  readonly reportAfterMs?: number | false | undefined;
  /** A transaction that is open for so many milliseconds is aborted: `PW_TXN_CLOSED` from then on. False: none is. Default: 3,600,000, which is an hour. */
  readonly abortAfterMs?: number | false | undefined;
}

/** What is told of a transaction that is open for long. */
export interface OpenTransactionReport {
  /** Of the store. */
  readonly path: string;
  readonly openMs: number;
  /** The timestamp that it reads at: nothing that was replaced since is given up. */
  readonly timestamp: number;
  /** The calls that led to `begin()`, or the beginning of the function that `transaction()` was given. */
  readonly begunAt: string;
  /** Whether it was aborted for it. */
  readonly isAborted: boolean;
}

/** A transaction as it is looked after. */
export interface Watched {
  readonly timestamp: number;
  /** When it was begun, by {@link OpenTransactions.now}. */
  readonly begun: number;
  /** Whether it has ended, or is being committed: then it is not aborted any more. */
  readonly closed: boolean;
  /** Tells where it was begun. */
  begunAt(): string;
  /** It is to end, because the engine is about to be closed: who works in it is told. */
  interrupt(reason: Error): void;
  /** The engine is being closed. */
  cutOff(): void;
  /** It has been open for too long. */
  giveUp(openMs: number): void;
}

export const DEFAULT_REPORT_AFTER_MS = 60_000;
export const DEFAULT_ABORT_AFTER_MS = 3_600_000;
/** So often within the shorter of both times they are looked at, but not more often than that. */
const LOOKS = 4;
const SHORTEST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 15_000;

const OPEN_CHANNEL = channel('pagewright:transaction:open');

export class OpenTransactions {
  readonly #open = new Set<Watched>();
  readonly #reported = new WeakSet<Watched>();
  readonly #reportAfterMs: number;
  readonly #abortAfterMs: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly path: string,
    { reportAfterMs, abortAfterMs }: OpenTransactionOptions,
  ) {
    this.#reportAfterMs = timeOf(reportAfterMs ?? DEFAULT_REPORT_AFTER_MS);
    this.#abortAfterMs = timeOf(abortAfterMs ?? DEFAULT_ABORT_AFTER_MS);
  }

  get now(): number {
    return performance.now();
  }

  add(transaction: Watched): void {
    this.#open.add(transaction);
    const soonest = Math.min(this.#reportAfterMs, this.#abortAfterMs);
    if (this.#timer !== null || soonest === Number.POSITIVE_INFINITY) return;
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, soonest / LOOKS));
    this.#timer = setInterval(() => this.#look(), pause).unref();
  }

  delete(transaction: Watched): void {
    this.#open.delete(transaction);
  }

  /** Closing begins: who works in a transaction may want to come to an end. */
  interrupt(reason: Error): void {
    for (const transaction of [...this.#open]) transaction.interrupt(reason);
  }

  cutOff(): void {
    for (const transaction of [...this.#open]) transaction.cutOff();
    this.#stop();
  }

  #look(): void {
    if (this.#open.size === 0) this.#stop();
    const { now } = this;
    // In the order in which they were begun: behind the first that is young there are only younger ones.
    for (const transaction of [...this.#open]) {
      const openMs = now - transaction.begun;
      const isAborted = openMs >= this.#abortAfterMs && !transaction.closed;
      const isNew = openMs >= this.#reportAfterMs && !this.#reported.has(transaction);
      if (openMs < Math.min(this.#reportAfterMs, this.#abortAfterMs)) break;
      if (isAborted) transaction.giveUp(openMs);
      if (isAborted || isNew) this.#report(transaction, openMs, isAborted);
    }
  }

  #report(transaction: Watched, openMs: number, isAborted: boolean): void {
    this.#reported.add(transaction);
    const { path } = this;
    const { timestamp } = transaction;
    const begunAt = transaction.begunAt();
    const report: OpenTransactionReport = { path, openMs, timestamp, begunAt, isAborted };
    if (OPEN_CHANNEL.hasSubscribers) OPEN_CHANNEL.publish(report);
    if (this.#reportAfterMs === Number.POSITIVE_INFINITY) return;
    const outcome = isAborted ? 'was aborted, because it was' : 'is';
    const message = `A transaction of ${path} ${outcome} open for ${secondsOf(openMs)} s: old versions are kept for it. Commit or abort it. It was begun`;
    process.emitWarning(message, { type: 'PagewrightWarning', code: 'PAGEWRIGHT_OPEN_TRANSACTION', detail: begunAt });
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }
}

/** Milliseconds as seconds, for people: with a decimal while it matters. */
export function secondsOf(ms: number): string {
  return (ms / 1000).toFixed(ms < 9_950 ? 1 : 0);
}

/** What is wrong with the options, by the name of one; null if nothing is. */
export function openTransactionProblem(options: OpenTransactionOptions): { option: string; problem: string } | null {
  const known = ['reportAfterMs', 'abortAfterMs'] as const;
  for (const [option, value] of Object.entries(options)) {
    if (!(known as readonly string[]).includes(option))
      return { option, problem: `there is no such option; there are ${known.join(', ')}` };
    if (value === undefined || value === false || (typeof value === 'number' && value > 0)) continue;
    return { option, problem: 'it is false, or a number of milliseconds above 0' };
  }
  return null;
}

/** Where a transaction was begun: frames of a stack, or what tells it. */
export type Place = { readonly stack?: string } | (() => string);

/** Where the caller of a function is: with the calls that led there, which are formatted if anyone asks. */
export function placeOfCaller(below: (...given: never[]) => unknown): { readonly stack?: string } {
  const { stackTraceLimit } = Error;
  const place: { stack?: string } = {};
  Error.stackTraceLimit = FRAMES;
  Error.captureStackTrace(place, below);
  Error.stackTraceLimit = stackTraceLimit;
  return place;
}

/** What a stack says below its first line. */
export function framesOf({ stack = '' }: { readonly stack?: string }): string {
  return stack.slice(stack.indexOf('\n') + 1);
}

/** The beginning of a function, for a person to find it by. */
export function beginningOf(run: (...given: never[]) => unknown): string {
  const [first = '', ...more] = String(run).split('\n');
  return `    in the function ${run.name === '' ? '' : `${run.name}: `}${first.slice(0, MOST_SHOWN)}${more.length > 0 || first.length > MOST_SHOWN ? ' …' : ''}`;
}

const FRAMES = 6;
const MOST_SHOWN = 120;

function timeOf(milliseconds: number | false): number {
  return milliseconds === false ? Number.POSITIVE_INFINITY : milliseconds;
}
