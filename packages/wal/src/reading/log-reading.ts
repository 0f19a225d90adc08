/**
 * A reader of the log: the commits that the log of this process has, as they become durable, and before them, or when it has fallen behind what is kept for
 * it, those that are archived. It changes between the two as often as it must, and knows in both which commit is the next.
 */
import {
  type ArchiveSource,
  type IoBackend,
  isPagewrightError,
  type LogReadRequest,
  PagewrightError,
  type ReplayedRecord,
} from '@pagewright/core';
import { replayArchive } from '../archive/archive-replay.js';
import { DamageFound } from '../recovery/log-damage.js';
import { type LiveLog, LiveRecords, NOT_HERE } from './live-records.js';
import type { Reader, Readers } from './readers.js';

export interface ReadableLog extends LiveLog {
  readonly io: IoBackend;
  /** Where segments are archived that were the log's; null if nothing can be read there. */
  readonly archive: string | null;
  /** Makes durable all that was appended when it is called. */
  secure(): Promise<void>;
  /** What there is to say of the archive of logs before this one: something else whenever more is archived. Null if no more of them is to come. */
  archiving(): string | null;
  /** The last commit that was appended. */
  last(): number;
  /** Resolves when it has a segment. */
  readonly begun: Promise<void>;
  /** Errors: why nothing becomes durable any more. */
  assertGoesOn(): void;
}

/** `last` is the last commit that was appended when it was called. Errors: those of `Log.read`. */
export async function* readLog(
  log: ReadableLog,
  readers: Readers,
  request: LogReadRequest,
  last: number,
): AsyncGenerator<ReplayedRecord, void, void> {
  await log.begun;
  const reader = readers.enter();
  try {
    yield* new LogReading(log, readers, reader, request).records(last);
  } finally {
    readers.leave(reader);
  }
}

class LogReading {
  readonly #log: ReadableLog;
  readonly #readers: Readers;
  readonly #reader: Reader;
  readonly #archive: string | ArchiveSource | null;
  readonly #signal: AbortSignal | undefined;
  readonly #follow: boolean;
  /** The last commit that it has. */
  #last: number;
  /** It ends with this one. */
  #target = Number.POSITIVE_INFINITY;

  constructor(log: ReadableLog, readers: Readers, reader: Reader, request: LogReadRequest) {
    this.#log = log;
    this.#readers = readers;
    this.#reader = reader;
    this.#archive = request.archive ?? log.archive;
    this.#signal = request.signal;
    this.#follow = request.follow;
    this.#last = request.after;
  }

  async *records(last: number): AsyncGenerator<ReplayedRecord, void, void> {
    this.#signal?.throwIfAborted();
    if (this.#last > last) throw beyondEnd(this.#last, last);
    if (!this.#follow) {
      this.#target = last;
      // If that fails, what is durable comes first.
      if (this.#last < last) await this.#log.secure().catch(() => undefined);
    }
    while (!this.#isDone) {
      if (this.#readers.isOver && this.#last >= this.#log.last()) return;
      const isHere = this.#isOfThisLog && (yield* this.#live());
      if (!isHere) yield* this.#archived();
    }
  }

  /** Whether the log of this process goes on from what the reader has, as far as it is still there. */
  get #isOfThisLog(): boolean {
    const { base, first } = this.#log;
    if (this.#last > base && this.#last < first - 1) throw givenUp(this.#last, base);
    return this.#last === base || this.#last >= first - 1;
  }

  get #isDone(): boolean {
    return this.#last >= this.#target;
  }

  /** What is there of the log, up to the end. False if what comes next is not there. */
  async *#live(): AsyncGenerator<ReplayedRecord, boolean, void> {
    let records: LiveRecords | null = null;
    try {
      this.#assertOpen();
      records = await LiveRecords.from(this.#log, this.#readers, this.#reader, this.#last);
      while (!this.#isDone) {
        const changed = this.#readers.changed();
        const record = await records.next();
        this.#signal?.throwIfAborted();
        if (record !== null) {
          this.#last = record.timestamp;
          yield record;
          continue;
        }
        this.#log.assertGoesOn();
        // Timestamps may have been left out above the last commit: all that was appended is durable, and was given.
        if (this.#readers.isOver || !this.#follow) this.#target = this.#last;
        else await this.#until(changed);
      }
      return true;
    } catch (error) {
      if (error === NOT_HERE) return false;
      const isDamage = error instanceof DamageFound;
      if (isDamage || isPagewrightError(error, 'PW_CORRUPT_LOG')) this.#assertOpen(); // files that are missing were removed then
      throw isDamage ? damaged(error, this.#last) : error;
    } finally {
      await records?.close();
      this.#readers.keep(this.#reader, Number.POSITIVE_INFINITY);
    }
  }

  /** What the archive has, as far as it goes by now. Waits for more if there is nothing and more is to come. */
  async *#archived(): AsyncGenerator<ReplayedRecord, void, void> {
    const { location, io, base, first } = this.#log;
    const before = this.#last;
    this.#assertOpen();
    if (this.#archive === null) throw gone(before, null);
    const archiving = this.#log.archiving();
    let cause: unknown = null;
    try {
      const { storeId } = location;
      const replay = await replayArchive({ io, archive: this.#archive, storeId, timestamp: before, until: null });
      const counts = (timestamp: number): boolean => timestamp <= base || timestamp >= first - 1;
      let isOwn = true;
      for await (const record of replay.records()) {
        this.#signal?.throwIfAborted();
        // It may have been archived before this opening gave it up, or this store was restored to what was before it.
        isOwn = counts(record.timestamp);
        if (!isOwn) break;
        this.#last = record.timestamp;
        yield record;
        if (this.#isDone) return;
      }
      // Timestamps may go on further above the last commit.
      const reached = replay.lastTimestamp();
      if (isOwn && counts(reached)) this.#last = Math.max(this.#last, reached);
    } catch (error) {
      if (!isPagewrightError(error, 'PW_ARCHIVE_GAP')) throw error;
      cause = error;
    }
    if (this.#last > before) return;
    if (archiving === null || before >= first - 1) throw gone(before, cause);
    for (let changed = this.#readers.changed(); this.#log.archiving() === archiving; ) {
      await this.#until(changed);
      this.#assertOpen();
      changed = this.#readers.changed();
    }
  }

  /** Waits for it, unless the signal comes first. */
  async #until(changed: Promise<void>): Promise<void> {
    const signal = this.#signal;
    if (signal === undefined) return changed;
    signal.throwIfAborted();
    let end: () => void = () => undefined;
    try {
      await new Promise<void>((resolve) => {
        end = resolve;
        signal.addEventListener('abort', end, { once: true });
        void changed.then(resolve);
      });
    } finally {
      signal.removeEventListener('abort', end);
    }
    signal.throwIfAborted();
  }

  /** Files of a log that was closed may be gone. */
  #assertOpen(): void {
    if (this.#readers.isOver) throw closedBefore(this.#last);
  }
}

function gone(after: number, cause: unknown): PagewrightError {
  return new PagewrightError(
    'PW_LOG_GONE',
    `What was committed after commit ${after} is not in the log any more, because the store does not need it, and ${cause === null ? 'no archive is known that has it' : 'the archive does not have it either'}. Begin anew with a backup or a snapshot; a larger readerLimit keeps more for readers that are there, and an archive keeps all.`,
    { ...(cause !== null && { cause }), details: { after } },
  );
}

function givenUp(after: number, base: number): PagewrightError {
  return new PagewrightError(
    'PW_LOG_GONE',
    `Commit ${after} is none of this store: what counted ended with commit ${base} when it was opened, and all behind that was given up. Begin anew with a backup or a snapshot.`,
    { details: { after, base } },
  );
}

function beyondEnd(after: number, last: number): PagewrightError {
  return new PagewrightError(
    'PW_ARGUMENT',
    `The log cannot be read from commit ${after} on: the last one of this store is ${last}.`,
    { details: { after, last } },
  );
}

function closedBefore(after: number): PagewrightError {
  return new PagewrightError(
    'PW_CLOSED',
    `The log was closed before commits after ${after} were read. Open the store again, and go on from there; without an archive they are gone.`,
    { details: { after } },
  );
}

function damaged(found: DamageFound, after: number): PagewrightError {
  const { what, kind, path, segment, offset } = found.damage;
  return new PagewrightError(
    'PW_CORRUPT_LOG',
    `${what} (${path}). Commits after ${after} cannot be read from the log. The store itself is not concerned as long as it is open: make a checkpoint, or a backup, before it is closed.`,
    { details: { path, segment, offset, damage: kind, after } },
  );
}
