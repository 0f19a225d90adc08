/** A view of the whole store as it was at one moment, for reads outside transactions. */
import type { Snapshot } from '../contracts/concurrency.js';
import { PagewrightError } from '../errors.js';
import { now, type Place } from './left-open.js';

export interface SnapshotOptions {
  /** Whether it is reported when it is held for long (`transactions.reportSnapshotAfterMs`). False for one that is meant to be held, or is released at once. Default: true. */
  readonly report?: boolean | undefined;
}

/**
 * Made by `engine.snapshot()`, given as `snapshot` to reads. Release it when it is not needed any more: for as long as it
 * is held, everything that is overwritten or deleted is kept for it. It may be revoked when that is too much: reads then
 * throw `PW_SNAPSHOT_TOO_OLD`. One that is held for ten minutes is reported.
 */
export class EngineSnapshot {
  /** @internal */
  readonly begun = now();

  /** @internal */
  constructor(
    /** @internal */
    readonly owner: { untilDurable(): Promise<void> },
    /** @internal */
    readonly core: Snapshot,
    private readonly released: (snapshot: EngineSnapshot) => void,
    /** Where a program made it; null for one that is not reported. @internal */
    readonly place: Place | null,
  ) {}

  /** The timestamp of the last commit that it shows. */
  get timestamp(): number {
    return this.core.timestamp;
  }

  /** Resolves when no loss of power can take back what it shows, and has it written if nobody else does. Errors: as of a commit. */
  durable(): Promise<void> {
    return this.owner.untilDurable();
  }

  /** Idempotent. Reads with it are `PW_CLOSED` afterwards. */
  release(): void {
    this.core.release();
    this.released(this);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Errors: `PW_ARGUMENT` for options that there are not. */
export function isReported(options: SnapshotOptions | undefined): boolean {
  if (options === undefined) return true;
  const isKnown =
    typeof options === 'object' && options !== null && Object.keys(options).every((name) => name === 'report');
  if (!isKnown || (options.report !== undefined && typeof options.report !== 'boolean'))
    throw new PagewrightError('PW_ARGUMENT', 'snapshot takes { report }, which is true or false.');
  return options.report !== false;
}
