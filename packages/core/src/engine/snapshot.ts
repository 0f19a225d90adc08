/** A view of the whole store as it was at one moment, for reads outside transactions. */
import type { Snapshot } from '../contracts/concurrency.js';
import { now, type Place } from './left-open.js';

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
    /** Where a program made it; null for the engine's own, which are soon released. @internal */
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
