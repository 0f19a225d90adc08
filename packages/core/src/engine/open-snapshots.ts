/**
 * The snapshots that are held in this thread. One that stays keeps old versions, and what was deleted, from being given up, and a reader at its checkpoint: after a time it is reported, with where it was
 * made. Its end is whose it is; it is revoked when what is kept for it is too much.
 */
import { channel } from 'node:diagnostics_channel';
import { LeftOpen, type Place, secondsOf, textOf } from './left-open.js';
import { type OpenTransactionOptions, timeOf } from './open-transactions.js';
import type { EngineSnapshot } from './snapshot.js';

/** What is told of a snapshot that is held for long. */
export interface OpenSnapshotReport {
  /** Of the store. */
  readonly path: string;
  readonly openMs: number;
  /** That of the last commit which it shows: nothing that was replaced since is given up. */
  readonly timestamp: number;
  /** The calls that led to `snapshot()`. */
  readonly madeAt: string;
}

export const DEFAULT_REPORT_SNAPSHOT_AFTER_MS = 600_000;

const OPEN_CHANNEL = channel('pagewright:snapshot:open');

/** A snapshot that is to be reported. */
type Held = EngineSnapshot & { readonly place: Place };

export class OpenSnapshots {
  readonly #all = new Set<EngineSnapshot>();
  readonly #held: LeftOpen<Held>;

  constructor(
    private readonly path: string,
    private readonly isReader: boolean,
    { reportSnapshotAfterMs = DEFAULT_REPORT_SNAPSHOT_AFTER_MS }: OpenTransactionOptions,
  ) {
    const patience = { reportAfterMs: timeOf(reportSnapshotAfterMs), endAfterMs: Number.POSITIVE_INFINITY };
    this.#held = new LeftOpen(patience, (snapshot, openMs, isFirst) => {
      if (isFirst && stands(snapshot)) this.#report(snapshot, openMs);
    });
  }

  add(snapshot: EngineSnapshot): void {
    this.#all.add(snapshot);
    if (isHeld(snapshot)) this.#held.add(snapshot);
  }

  /** Whether it was there. */
  delete(snapshot: EngineSnapshot): boolean {
    if (isHeld(snapshot)) this.#held.delete(snapshot);
    return this.#all.delete(snapshot);
  }

  /** The engine is being closed. */
  releaseAll(): void {
    for (const snapshot of [...this.#all]) snapshot.release();
    this.#held.stop();
  }

  #report({ timestamp, place }: Held, openMs: number): void {
    const { path } = this;
    const madeAt = textOf(place);
    const report: OpenSnapshotReport = { path, openMs, timestamp, madeAt };
    if (OPEN_CHANNEL.hasSubscribers) OPEN_CHANNEL.publish(report);
    const kept = this.isReader ? 'this reader stays where it is, and the writer keeps that' : 'old versions are kept';
    const message = `A snapshot of ${path} is held for ${secondsOf(openMs)} s: ${kept} for it. Release it, or close the iterator that has it. It was made`;
    process.emitWarning(message, { type: 'PagewrightWarning', code: 'PAGEWRIGHT_OPEN_SNAPSHOT', detail: madeAt });
  }
}

function isHeld(snapshot: EngineSnapshot): snapshot is Held {
  return snapshot.place !== null;
}

/** Nothing is kept any more for one that was revoked. */
function stands({ core }: EngineSnapshot): boolean {
  try {
    core.assertStands();
    return true;
  } catch {
    return false;
  }
}
