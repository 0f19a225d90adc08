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

/** The error for damage that nobody wants to leave behind. In an archive it keeps no store closed. */
export function corruptLog(found: DamageFound, { isArchive = false } = {}): PagewrightError {
  const { what, kind, path, segment, offset } = found.damage;
  const details = { path, segment, offset, damage: kind };
  if (isArchive) {
    const advice =
      'Bring back the archived segment as it was, restore up to a commit before it, or use a later backup.';
    return new PagewrightError('PW_CORRUPT_LOG', `${what} (${path}). ${advice}`, { details });
  }
  const remedy = found.canBeLeftBehind
    ? "bring back the log's directory as it was, restore a backup, or do without the commits from there on (recover: 'stop-before-damage')"
    : "bring back the log's directory as it was, and keep what belongs to the other store";
  return new PagewrightError(
    'PW_CORRUPT_LOG',
    `${what} (${path}). Commits that were acknowledged are missing, so the store is not opened; ${remedy}.`,
    { details },
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
