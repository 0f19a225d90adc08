/**
 * What a commit depends on (T1): all that was visible when it began, or no more than what may have changed the pages that it touched (remote flush avoidance, Haubenschild
 * et al., "Rethinking Logging, Checkpoints, and Recovery for High-Performance Storage Engines", SIGMOD 2020). A page is stamped with the last commit that changed it, and
 * stamps go with what moves to other pages (X1): so no commit that changed what was read there is above the stamp, also where nothing was found.
 *
 * What the program does beside the pages is not seen here: an index that it knows of has its incarnation, which is the commit that made it.
 */
import { type Dependence, EntryReference, type Target } from '@pagewright/core';
import type { CommitOperations } from './commit-operations.js';
import type { CommitCheck } from './commit-path.js';
import type { Timestamps } from './timestamps.js';
import { assertNotDropped } from './visibility.js';

/** What has been read up to now, at a snapshot. */
export class Touched {
  /** No commit above it has changed anything of that. */
  upTo = 0;

  constructor(private readonly snapshot: number) {}

  /** A page with this stamp was read. Later changes of it were not seen: the snapshot is below them. */
  note(stamp: number): void {
    if (stamp > this.upTo) this.upTo = Math.min(stamp, this.snapshot);
  }

  /** Something was looked for in that incarnation of an index, or in one that was there before. */
  noteIncarnation({ incarnation }: Target): void {
    this.note(incarnation);
  }
}

const WRITTEN = new EntryReference();
WRITTEN.wantsValue = false;

/** The highest stamp of the pages that are written to. */
export function stampOf(operations: CommitOperations): number {
  let highest = 0;
  for (let i = 0; i < operations.length; i++) {
    const { target, key } = operations.at(i);
    target.index.lookup(key, WRITTEN);
    highest = Math.max(highest, WRITTEN.timestamp, target.incarnation);
  }
  return highest;
}

/** Plain writes conflict with nobody. */
class PlainCheck implements CommitCheck {
  constructor(protected readonly timestamps: Timestamps) {}

  check(operations: CommitOperations): number {
    for (let i = 0; i < operations.length; i++) assertNotDropped(operations.at(i).target);
    return this.timestamps.visible;
  }
}

class TouchedCheck extends PlainCheck {
  override check(operations: CommitOperations): number {
    // Higher stamps are of commits that it has not seen.
    return Math.min(super.check(operations), stampOf(operations));
  }
}

export type PlainChecks = Readonly<Record<Dependence, CommitCheck>>;

export function plainChecks(timestamps: Timestamps): PlainChecks {
  return { seen: new PlainCheck(timestamps), touched: new TouchedCheck(timestamps) };
}
