/**
 * What an archive has above a backup, commit by commit, up to where it is wanted: the legs of the chain one after the other, each read by the same
 * replay as recovery uses, which holds every segment against what it should be and every commit against the one before.
 */
import {
  type ArchiveReplay,
  type ArchiveReplayRequest,
  type GivenUp,
  PagewrightError,
  type ReplayedRecord,
} from '@pagewright/core';
import { archiveGap } from '../recovery/archive-gap.js';
import { Replay } from '../recovery/replay.js';
import type { LogLocation } from '../recovery/segment-opening.js';
import { type ArchiveFiles, openArchive } from './archive-files.js';
import { type ArchiveChain, findChain } from './chain.js';

/** Errors: `PW_ARCHIVE_GAP`, `PW_RESTORE_POINT`, `PW_CORRUPT_LOG`, those of the archive. */
export async function replayArchive(request: ArchiveReplayRequest): Promise<ArchiveReplay> {
  const { storeId, timestamp, until } = request;
  if (typeof until === 'number' && until < timestamp) throw beforeBackup(until, timestamp);
  const files = await openArchive(request.io, request.archive);
  if (!files.isThere) throw archiveGap(`There is no archive at ${files.path}`, timestamp, { path: files.path });
  const location: LogLocation = { io: files, directory: files.path, storeId, readOnly: true, isArchive: true };
  const chain = await findChain(location, files.names, timestamp);
  if (typeof until === 'number' && !chain.isDamaged && chain.beyond === null && until > chain.end) {
    throw beyondEnd(until, chain.end, null);
  }
  return new ChainReplay(location, files, chain, timestamp, until);
}

class ChainReplay implements ArchiveReplay {
  /** How many bytes there are is not known before they are read. */
  readonly bytes = 0;
  readonly totalSegments: number;
  #lastTime: number | null = null;
  readonly #replay: Replay;

  constructor(
    private readonly location: LogLocation,
    private readonly files: ArchiveFiles,
    private readonly chain: ArchiveChain,
    /** The last commit that was read, or B. */
    private last: number,
    private readonly until: number | Date | null,
  ) {
    files.countAnew();
    this.totalSegments = chain.segments;
    const { legs } = chain;
    this.#replay = new Replay({
      files: { location, names: files.names },
      timestamp: last,
      legs,
      bytes: 0,
      stopsBeforeDamage: false,
    });
  }

  get segments(): number {
    return Math.min(this.files.opened, this.totalSegments);
  }

  get lastTime(): number | null {
    return this.#lastTime;
  }

  readonly passedBytes = (): number => 0;
  readonly tornBytes = (): number => 0;
  readonly givenUp = (): GivenUp | null => null;
  /** Above the last commit, if timestamps went on further above and none was taken. */
  readonly lastTimestamp = (): number => this.#replay.lastTimestamp();

  async *records(): AsyncGenerator<ReplayedRecord, void, void> {
    const { chain, until } = this;
    if (until === this.last) return;
    for await (const record of this.#replay.records()) {
      if (this.#isBeyond(record.timestamp)) {
        if (this.#lastTime === null) this.#assertAfterBackup(this.#replay.timeBefore ?? chain.backupTime);
        return;
      }
      if (record.timestamp > chain.forkedAt) throw forked(this.location.directory, chain.forkedAt);
      this.last = record.timestamp;
      this.#lastTime = this.#now;
      yield record;
      if (record.timestamp === until) return;
    }
    this.#assertReached();
  }

  /** The latest that any record has told, and not only of commits. */
  get #now(): number {
    return Math.max(this.chain.backupTime ?? 0, this.#replay.time);
  }

  #isBeyond(timestamp: number): boolean {
    const { until } = this;
    if (until === null) return false;
    return typeof until === 'number' ? timestamp > until : this.#now > until.getTime();
  }

  /** The first commit above the backup is not wanted: then the backup itself must be. */
  #assertAfterBackup(backupTime: number | null): void {
    const { until, last } = this;
    if (!(until instanceof Date) || (backupTime !== null && backupTime <= until.getTime())) return;
    const when =
      backupTime === null
        ? 'and the archive does not say when that was made'
        : `of ${new Date(backupTime).toISOString()}`;
    throw new PagewrightError(
      'PW_RESTORE_POINT',
      `${until.toISOString()} may be before the backup, which has all up to commit ${last}, ${when}. Use an earlier backup, or give an \`until\` of ${last} to have this one as it is.`,
      { details: { until: until.toISOString(), backup: last } },
    );
  }

  /** All of the chain was read. */
  #assertReached(): void {
    const { until, last, chain } = this;
    if (
      typeof until === 'number'
        ? until <= Math.max(last, this.lastTimestamp())
        : until !== null && until.getTime() <= this.#now
    )
      return;
    if (chain.forkedAt <= last) throw forked(this.files.path, last);
    if (chain.beyond !== null) {
      const { path } = this.files;
      const what = `The archive (${path}) goes on behind commit ${chain.beyond}, and nothing in it leads there from commit ${last}`;
      throw archiveGap(what, last, { path, beyond: chain.beyond });
    }
    if (until !== null) throw beyondEnd(until, last, this.#now);
  }
}

function beforeBackup(until: number, timestamp: number): PagewrightError {
  return new PagewrightError(
    'PW_RESTORE_POINT',
    `Commit ${until} is before the backup, which has all up to commit ${timestamp}. Use an earlier backup.`,
    { details: { until, backup: timestamp } },
  );
}

/** In milliseconds since 1970: the year 2017. */
const LIKELY_TIME = 1.5e12;

function beyondEnd(until: number | Date, last: number, time: number | null): PagewrightError {
  const wanted = typeof until === 'number' ? `Commit ${until}` : until.toISOString();
  const when = time === null || time === 0 ? '' : `, and nothing later than ${new Date(time).toISOString()}`;
  // The likeliest mistake: a number of milliseconds, which Date.now() gives.
  const isTime = typeof until === 'number' && until >= LIKELY_TIME;
  const meant = isTime ? ` A point in time is a Date: new Date(${until}).` : '';
  return new PagewrightError(
    'PW_RESTORE_POINT',
    `${wanted} is beyond the end of the archive: its last commit is ${last}${when}. Leave out \`until\` to have all that there is, or archive what is missing.${meant}`,
    { details: { until: typeof until === 'number' ? until : until.toISOString(), last } },
  );
}

/** Two logs go on from the same commit: two stores came from one, and both were archived here. */
function forked(path: string, timestamp: number): PagewrightError {
  return archiveGap(
    `In the archive (${path}) two logs go on from commit ${timestamp}: another copy of the store was archived to it`,
    timestamp,
    { path },
  );
}
