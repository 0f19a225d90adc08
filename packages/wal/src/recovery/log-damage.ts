/** Damage, as the parts of recovery tell each other of it, and what a caller gets: `PW_CORRUPT_LOG`, with file, segment and offset. */
import { type LogDamage, PagewrightError } from '@pagewright/core';

/** Thrown inside of recovery. What leaves it is {@link corruptLog}. */
export class DamageFound extends Error {
  constructor(readonly damage: LogDamage) {
    super(damage.what);
  }

  /** Whether the log can be used up to it. What another store wrote would be removed with the rest of the old log. */
  get canBeLeftBehind(): boolean {
    return this.damage.kind !== 'foreign-segment';
  }
}

/** The error for damage that nobody wants to leave behind. */
export function corruptLog(found: DamageFound): PagewrightError {
  const { what, kind, path, segment, offset } = found.damage;
  const remedy = found.canBeLeftBehind
    ? "bring back the log's directory as it was, restore a backup, or do without the commits from there on (recover: 'stop-before-damage')"
    : "bring back the log's directory as it was, and keep what belongs to the other store";
  return new PagewrightError(
    'PW_CORRUPT_LOG',
    `${what} (${path}). Commits that were acknowledged are missing, so the store is not opened; ${remedy}.`,
    { details: { path, segment, offset, damage: kind } },
  );
}

/** What the work gives; damage that it meets becomes the error of callers. */
export async function orCorruptLog<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof DamageFound ? corruptLog(error) : error;
  }
}
