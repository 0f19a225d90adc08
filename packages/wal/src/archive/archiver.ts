/**
 * Archives the segments of a log, in the thread that opened it, one after another, in the order of the log: what earlier incarnations have left,
 * then each segment of this one as soon as it is durable as a whole. What fails is tried again, after pauses that grow; the log keeps its segments meanwhile.
 *
 * Must hold: a segment counts as archived when the archive has said so, and not before.
 */
import { type ArchiveFunction, type ArchiveStats, PagewrightError } from '@pagewright/core';
import type { SegmentHeader } from '../format/segment-header.js';
import { segmentName } from '../format/segment-name.js';
import { corruptLog, DamageFound } from '../recovery/log-damage.js';
import type { LogLocation } from '../recovery/segment-opening.js';
import { tellArchived, tellArchiveFailed } from './diagnostics.js';
import type { Leftover } from './leftovers.js';
import { SegmentCopy } from './segment-copy.js';

/** The first pause after a failure, and the longest: each is twice the one before. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 60_000;

export interface ArchiverContext {
  readonly archive: ArchiveFunction;
  readonly location: LogLocation;
  /** The header of a segment of this incarnation. */
  headerOf(segment: number): SegmentHeader;
  /** Segments of this incarnation before it are durable as a whole. */
  durableSegment(): number;
  /** Segments of this incarnation before {@link Archiver.floor} are archived: they may be given up. */
  onArchived(): Promise<void>;
  /** A segment of an earlier incarnation is archived, and no file of it is needed any more. */
  removeLeftover(name: string): Promise<void>;
  /** The archive has refused a segment. */
  onFailed(): void;
}

/** What is to be archived next. */
interface Waiting {
  readonly name: string;
  copy(): Promise<SegmentCopy>;
  /** It is archived. */
  done(): Promise<void>;
}

export class Archiver {
  readonly #context: ArchiverContext;
  #leftovers: Leftover[] = [];
  #floor = 1;
  #archived = 0;
  #failures = 0;
  #lastError: Error | null = null;
  #running: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(context: ArchiverContext) {
    this.#context = context;
  }

  /** The lowest segment of this incarnation that is not archived. */
  get floor(): number {
    return this.#floor;
  }

  get stats(): ArchiveStats {
    return { archivedSegments: this.#archived, waitingSegments: this.#waiting, lastError: this.#lastError };
  }

  /** What waits of earlier incarnations, as something to compare; null if nothing does, or if the archive has refused it. */
  get leftovers(): string | null {
    const { length } = this.#leftovers;
    return length === 0 || this.#lastError !== null ? null : String(length);
  }

  /** These come first. Called once. */
  begin(leftovers: readonly Leftover[]): void {
    this.#leftovers = [...leftovers];
    this.look();
  }

  /** There may be something to archive. Never throws; what comes of it is in `stats`. */
  look(): void {
    if (this.#isOver || this.#running !== null || this.#timer !== null || this.#next(this.#durable) === null) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      this.look(); // there may be more since it looked last
    });
  }

  /** Archives all that is left, of this incarnation up to the segment, which is its last. `PW_ARCHIVE_FAILED` at the first that fails. */
  async finish(last: number): Promise<void> {
    await this.stop();
    for (let next = this.#next(last + 1); next !== null; next = this.#next(last + 1)) {
      try {
        await this.#archive(next);
      } catch (error) {
        throw this.#failed(this.#leftovers.length + last + 1 - this.#floor, error);
      }
    }
  }

  /** Begins nothing any more, and waits for what is under way. */
  async stop(): Promise<void> {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
  }

  get #durable(): number {
    try {
      return this.#context.durableSegment();
    } catch {
      return this.#floor; // a thread was lost, or the log is over: recovery will find what is left
    }
  }

  get #waiting(): number {
    return this.#leftovers.length + Math.max(0, this.#durable - this.#floor);
  }

  /** Of this incarnation, segments before `durable` can be archived. */
  #next(durable: number): Waiting | null {
    const { location } = this.#context;
    const [leftover] = this.#leftovers;
    if (leftover !== undefined) {
      const { name, header, end, list } = leftover;
      return {
        name,
        copy: () => copyOf(location, header, end),
        done: async () => {
          this.#leftovers.shift();
          await this.#context.removeLeftover(name);
          if (list !== null) await this.#context.removeLeftover(list);
        },
      };
    }
    const segment = this.#floor;
    if (segment >= durable) return null;
    const header = this.#context.headerOf(segment);
    return {
      name: segmentName(header.incarnation, segment),
      copy: () => copyOf(location, header, null),
      done: async () => {
        this.#floor = segment + 1;
        await this.#context.onArchived();
      },
    };
  }

  async #run(): Promise<void> {
    for (let next = this.#next(this.#durable); next !== null && !this.#isOver; next = this.#next(this.#durable)) {
      try {
        await this.#archive(next);
      } catch {
        if (!this.#isOver) this.#tryAgainLater();
        return;
      }
    }
  }

  async #archive({ name, copy, done }: Waiting): Promise<void> {
    const { archive, location } = this.#context;
    try {
      await promised(name, archive(await copy()));
      this.#archived++;
      await done();
    } catch (error) {
      this.#lastError = error instanceof Error ? error : new Error(String(error));
      tellArchiveFailed(location.directory, name, this.#waiting, error);
      this.#context.onFailed();
      throw error;
    }
    this.#failures = 0;
    this.#lastError = null;
    tellArchived(location.directory, name, this.#waiting);
  }

  #tryAgainLater(): void {
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures++, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.look();
    }, pause).unref();
  }

  #failed(waiting: number, cause: unknown): PagewrightError {
    const { directory } = this.#context.location;
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new PagewrightError(
      'PW_ARCHIVE_FAILED',
      `${waiting === 1 ? 'A segment' : `${waiting} segments`} of the log could not be archived (${reason}). All commits are in the page file; the log is kept in ${directory} for the archive. Remove the cause, and open the store again with the same option archive.`,
      { cause, details: { path: directory, waiting } },
    );
  }
}

/** Who returns nothing has not said that the segment is safe. Errors: `PW_ARCHIVE_FAILED`. */
function promised(name: string, archived: unknown): PromiseLike<unknown> {
  const { then } = (archived ?? {}) as { then?: unknown };
  if (typeof then === 'function') return archived as PromiseLike<unknown>;
  const message = `The option archive is a function that returned no promise for ${name}, so nothing says when that is safe. Return one that resolves then, as an async function does.`;
  throw new PagewrightError('PW_ARCHIVE_FAILED', message, { details: { segment: name } });
}

/** Errors: `PW_CORRUPT_LOG` if the segment does not say how it ends. */
async function copyOf(location: LogLocation, header: SegmentHeader, end: Leftover['end']): Promise<SegmentCopy> {
  if (end instanceof DamageFound) throw corruptLog(end);
  const copy = await SegmentCopy.of(location, header, end);
  if (copy !== null) return copy;
  const { incarnation, segment } = header;
  const path = `${location.directory}/${segmentName(incarnation, segment)}`;
  const what = 'A segment of the log has no end';
  throw corruptLog(new DamageFound({ kind: 'damaged-record', what, path, segment, offset: 0 }));
}
