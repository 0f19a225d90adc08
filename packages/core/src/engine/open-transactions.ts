/**
 * The transactions that are open in this thread. One that stays open keeps old versions, and what was deleted, from being given up: after a time it is reported, with where it was begun, and
 * after a longer one it is aborted.
 */
import { channel } from 'node:diagnostics_channel';
import { LeftOpen, type Opened, secondsOf } from './left-open.js';

export interface OpenTransactionOptions {
  /**
   * A transaction that is open for so many milliseconds is reported once: as a warning of the process (`PAGEWRIGHT_OPEN_TRANSACTION`), and on the channel `pagewright:transaction:open`. False: none is. Default: 60,000.
   */
  readonly reportAfterMs?: number | false | undefined;
  /** A transaction that is open for so many milliseconds is aborted: `PW_TXN_CLOSED` from then on. False: none is. Default: 3,600,000, which is an hour. */
  readonly abortAfterMs?: number | false | undefined;
  /**
   * A snapshot that is held for so many milliseconds is reported once: as a warning of the process (`PAGEWRIGHT_OPEN_SNAPSHOT`), and on the channel `pagewright:snapshot:open`. It is revoked when what is kept for it is too much,
   * and not for its age. False: none is reported. Default: 600,000, which are ten minutes.
   */
  readonly reportSnapshotAfterMs?: number | false | undefined;
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
export interface Watched extends Opened {
  readonly timestamp: number;
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

const OPEN_CHANNEL = channel('pagewright:transaction:open');

export class OpenTransactions {
  readonly #open: LeftOpen<Watched>;

  constructor(
    private readonly path: string,
    { reportAfterMs, abortAfterMs }: OpenTransactionOptions,
  ) {
    const patience = {
      reportAfterMs: timeOf(reportAfterMs ?? DEFAULT_REPORT_AFTER_MS),
      endAfterMs: timeOf(abortAfterMs ?? DEFAULT_ABORT_AFTER_MS),
    };
    this.#open = new LeftOpen(patience, (transaction, openMs, isFirst, isOver) => {
      const isAborted = isOver && !transaction.closed;
      if (isAborted) transaction.giveUp(openMs);
      if (isAborted || isFirst) this.#report(transaction, openMs, isAborted);
    });
  }

  add(transaction: Watched): void {
    this.#open.add(transaction);
  }

  delete(transaction: Watched): void {
    this.#open.delete(transaction);
  }

  /** Closing begins: who works in a transaction may want to come to an end. */
  interrupt(reason: Error): void {
    for (const transaction of this.#open.list()) transaction.interrupt(reason);
  }

  cutOff(): void {
    for (const transaction of this.#open.list()) transaction.cutOff();
    this.#open.stop();
  }

  #report(transaction: Watched, openMs: number, isAborted: boolean): void {
    const { path } = this;
    const { timestamp } = transaction;
    const begunAt = transaction.begunAt();
    const report: OpenTransactionReport = { path, openMs, timestamp, begunAt, isAborted };
    if (OPEN_CHANNEL.hasSubscribers) OPEN_CHANNEL.publish(report);
    if (this.#open.patience.reportAfterMs === Number.POSITIVE_INFINITY) return;
    const outcome = isAborted ? 'was aborted, because it was' : 'is';
    const message = `A transaction of ${path} ${outcome} open for ${secondsOf(openMs)} s: old versions are kept for it. Commit or abort it. It was begun`;
    process.emitWarning(message, { type: 'PagewrightWarning', code: 'PAGEWRIGHT_OPEN_TRANSACTION', detail: begunAt });
  }
}

/** What is wrong with the options, by the name of one; null if nothing is. */
export function openTransactionProblem(options: OpenTransactionOptions): { option: string; problem: string } | null {
  const known = ['reportAfterMs', 'abortAfterMs', 'reportSnapshotAfterMs'] as const;
  for (const [option, value] of Object.entries(options)) {
    if (!(known as readonly string[]).includes(option))
      return { option, problem: `there is no such option; there are ${known.join(', ')}` };
    if (value === undefined || value === false || (typeof value === 'number' && value > 0)) continue;
    return { option, problem: 'it is false, or a number of milliseconds above 0' };
  }
  return null;
}

export function timeOf(milliseconds: number | false): number {
  return milliseconds === false ? Number.POSITIVE_INFINITY : milliseconds;
}
