/** An explicit snapshot: what the database was when it was taken, for as long as it is open. */
import { type AbstractResource, AbstractSnapshot } from 'abstract-level';
import type { EngineSnapshot } from 'pagewright';
import { PagewrightLevelError } from './errors.js';

/** The constructor, which abstract-level does not declare. */
const Snapshot = AbstractSnapshot as unknown as new (options: { readonly owner: AbstractResource }) => AbstractSnapshot;

export class PagewrightSnapshot extends Snapshot {
  constructor(
    options: { readonly owner: AbstractResource },
    readonly engineSnapshot: EngineSnapshot,
  ) {
    super(options);
  }

  async _close(): Promise<void> {
    this.engineSnapshot.release();
  }
}

/** The engine's snapshot of one that a read was given; one of another database is for the engine to refuse. Errors: `LEVEL_INVALID_OPTION`. */
export function engineSnapshotOf(snapshot: AbstractSnapshot): EngineSnapshot {
  if (snapshot instanceof PagewrightSnapshot) return snapshot.engineSnapshot;
  throw new PagewrightLevelError(
    'LEVEL_INVALID_OPTION',
    'The option snapshot takes what snapshot() of the same database returned.',
  );
}
