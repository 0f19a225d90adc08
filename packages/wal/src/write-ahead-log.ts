/**
 * The log of one store: what the engine calls. It is opened, replayed, begun anew, appended to, and closed, in this order;
 * the parts below do the work.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import {
  type ArchiveFunction,
  type ArchiveReplay,
  type ArchiveReplayRequest,
  COMMIT_POLICIES,
  type CommitPolicy,
  type CommitPolicyType,
  type CommitRecord,
  type CommitWish,
  type IoBackend,
  inject,
  injectAll,
  injectable,
  invariant,
  isPagewrightError,
  type Log,
  type LogAttachRequest,
  type LogMark,
  type LogOpenRequest,
  type LogOperations,
  type LogPosition,
  type LogReadRequest,
  type LogReplay,
  type LogStats,
  PagewrightError,
  type ReplayedRecord,
  SharedLatch,
  type TimestampRange,
} from '@pagewright/core';
import { archiveInto, makeArchive } from './archive/archive-directory.js';
import { replayArchive } from './archive/archive-replay.js';
import { ArchiveTimeout } from './archive/archive-timeout.js';
import { Archiver } from './archive/archiver.js';
import { findLeftovers } from './archive/leftovers.js';
import { encodeKept } from './format/kept-timestamps.js';
import { commitRecordSize } from './format/record.js';
import { KEPT_LIST, segmentName, segmentsAmong } from './format/segment-name.js';
import { type CheckedOptions, checkOptions, WAL_OPTIONS, type WalOptions } from './options.js';
import { attached } from './policies/attached.js';
import { autonomousPolicy } from './policies/autonomous.js';
import { groupPolicy } from './policies/group.js';
import { pipelinedPolicy } from './policies/pipelined.js';
import { RelaxedCommits } from './policies/relaxed.js';
import { syncPolicy } from './policies/sync.js';
import { type ReadableLog, readLog } from './reading/log-reading.js';
import { Readers } from './reading/readers.js';
import { planReplay } from './recovery/plan.js';
import type { Replay } from './recovery/replay.js';
import type { LogLocation } from './recovery/segment-opening.js';
import { Claims } from './sharing/claims.js';
import { checkHandle, createMemory, handleOf, type LogMemory, type LogShape } from './sharing/log-memory.js';
import { LogSlots } from './sharing/log-slots.js';
import { LogState } from './sharing/log-state.js';
import { SharedFailure } from './sharing/shared-failure.js';
import { BackPressure } from './stream/back-pressure.js';
import { Batches } from './stream/batches.js';
import { closedError } from './stream/log-errors.js';
import { OpenSegments } from './stream/open-segments.js';
import { RecordStream } from './stream/record-stream.js';
import { SegmentFiles } from './stream/segment-files.js';
import { SegmentSequence } from './stream/segment-sequence.js';
import { Unflushed } from './stream/unflushed.js';

/** The policies that come with this package. */
export const BUILT_IN_POLICIES: readonly CommitPolicyType[] = [
  pipelinedPolicy,
  autonomousPolicy,
  groupPolicy,
  syncPolicy,
];

const NOTHING_TO_WAIT_FOR = Promise.resolve();

const SYSTEM_CLOCK = (): number => Date.now();

/** A log that was begun, as this thread has it: views on what all threads share, and files of its own. */
interface Writer {
  readonly shape: LogShape;
  readonly memory: LogMemory;
  readonly state: LogState;
  readonly slots: LogSlots;
  readonly latch: SharedLatch;
  readonly open: OpenSegments;
  readonly files: SegmentFiles;
  readonly segments: SegmentSequence;
  readonly stream: RecordStream;
  readonly policy: CommitPolicy;
  readonly relaxed: RelaxedCommits;
  readonly pressure: BackPressure;
  /** Null if the log is not archived, or this thread has not opened it. */
  readonly archiver: Archiver | null;
  /** Null if there is no archiver, or segments are archived when they are full. */
  readonly archiveTimeout: ArchiveTimeout | null;
  readonly readers: Readers;
  /** Whether this thread opened the log. */
  readonly isOwner: boolean;
}

/**
 * The log of a store, as one stream in segment files. Records are appended in memory; the commit policy decides when they
 * are written and synced, and who is told.
 */
@injectable()
export class WriteAheadLog implements Log {
  #options: CheckedOptions;
  readonly #policies: readonly CommitPolicyType[];
  readonly #clock: () => number;
  readonly #archive: string | ArchiveFunction | null;
  #policyType: CommitPolicyType;
  #request: LogOpenRequest | null = null;
  #replay: Replay | null = null;
  #seen = new Set<number>();
  #writer: Writer | null = null;
  /** Resolves when the first segment is durable. */
  #ready: Promise<void> = Promise.resolve();
  /** Segments before it are needed by no replay. */
  #recycled = 0;
  /** Resolves when nothing is given up any more of what readers had kept. */
  #releasing: Promise<void> = Promise.resolve();
  /** The last commit that counts of the log that this one goes on from. */
  #base = 0;
  #listens = false;
  #closing: Promise<void> | null = null;

  /**
   * `policies` are those that `options.commit` may name; `clock` tells the time, in milliseconds since 1970.
   * Errors: `PW_OPTION_INVALID`; `PW_PLUGIN_DUPLICATE` if two of the policies have that name.
   */
  constructor(
    @inject(WAL_OPTIONS) options: WalOptions = {},
    @injectAll(COMMIT_POLICIES) policies: readonly CommitPolicyType[] = BUILT_IN_POLICIES,
    clock: () => number = SYSTEM_CLOCK,
  ) {
    this.#options = checkOptions(options);
    this.#clock = clock;
    this.#archive = options.archive ?? null;
    this.#policies = policies;
    this.#policyType = findPolicy(this.#options.commit, policies);
  }

  get maxRecordSize(): number {
    return this.#options.maxRecordSize;
  }

  async open(request: LogOpenRequest): Promise<LogReplay> {
    invariant(this.#request === null && this.#writer === null, 'A log was opened twice');
    this.#request = request;
    if (typeof this.#archive === 'string' && !request.readOnly) await makeArchive(request.io, this.#archive);
    const names = segmentsAmong(await request.io.list(request.directory));
    this.#seen = new Set(names.map(({ incarnation }) => incarnation)).add(request.state.mark.log.incarnation).add(0);
    this.#replay = await planReplay(request, names);
    return this.#replay;
  }

  begin(timestamp = this.#replay?.lastTimestamp() ?? 0): LogMark {
    const request = this.#request;
    const found = this.#replay?.end;
    if (request?.readOnly)
      throw new PagewrightError('PW_READ_ONLY', 'A log that was opened read-only is not begun anew.');
    invariant(request !== null && found != null, 'A log was begun before its replay was read to the end');
    invariant(this.#writer === null && this.#closing === null, 'A log was begun twice, or after it was closed');
    invariant(
      timestamp >= this.#replay!.lastTimestamp(),
      'A log was begun with timestamps that had been used before (L3)',
    );
    const { directory, state } = request;
    const incarnation = this.#newIncarnation();
    const { end, kept } = found;
    this.#base = kept.at(-1)?.last ?? found.timestamp;
    const origin = { end, timestamp: found.timestamp, keptRanges: kept.length, first: timestamp + 1 };
    const shape = {
      directory,
      storeId: state.storeId,
      incarnation,
      origin,
      options: this.#options,
      isArchived: this.#archive !== null,
    };
    const writer = this.#join(shape, createMemory(shape, this.#replay!.time), request, true);
    this.#ready = this.#start(writer, request.io, kept);
    this.#ready.catch(() => undefined); // whoever waits for it meets the error
    return writer.stream.mark;
  }

  share(): unknown {
    const { shape, memory, segments, slots, stream } = this.#open();
    invariant(segments.isStarted, 'A log was shared before its first record could be appended');
    stream.share();
    this.#listen(slots, stream);
    return handleOf(shape, memory);
  }

  async attach(request: LogAttachRequest): Promise<void> {
    invariant(this.#request === null && this.#writer === null, 'A log was attached that was open already');
    const { shape, memory } = checkHandle(request.handle);
    this.#policyType = findPolicy(shape.options.commit, this.#policies);
    this.#options = shape.options;
    request.threads.assertWhole();
    if (new LogState(memory.state).isClosed) throw closedError();
    const { slots, stream } = this.#join(shape, memory, request, false);
    stream.share();
    this.#listen(slots, stream);
  }

  async discardOld(): Promise<void> {
    const { files, archiver, archiveTimeout, shape } = this.#open();
    this.#assertOwner('Old segments are removed');
    await this.#ready;
    if (archiver === null) return files.removeOthers();
    const leftovers = await findLeftovers(this.#location(shape), await files.others(), shape);
    const kept = leftovers.flatMap(({ name, list }) => (list === null ? [name] : [name, list]));
    await files.removeOthers(new Set(kept));
    archiver.begin(leftovers);
    archiveTimeout?.look();
  }

  async reserve(bytes: number): Promise<void> {
    const { pressure, segments } = this.#writable(bytes);
    await this.#ready;
    await pressure.admit(bytes);
    this.#writable(bytes);
    await segments.extend(bytes).catch((error) => {
      throw this.#roomError(bytes, error);
    });
  }

  hasRoom(bytes: number): boolean {
    const writer = this.#writer;
    if (writer === null || this.#closing !== null || bytes > this.maxRecordSize || writer.stream.failure !== null)
      return false;
    const { pressure, segments, state, latch } = writer;
    latch.take();
    try {
      return segments.isStarted && !state.isClosed && pressure.hasRoom(bytes, state.pending) && segments.hasRoom(bytes);
    } finally {
      latch.give();
    }
  }

  reserveSync(bytes: number): void {
    const { stream, segments } = this.#writable(bytes);
    invariant(segments.isStarted, 'The log was written to before the checkpoint that ends recovery');
    try {
      stream.reserveSync(bytes);
    } catch (error) {
      throw this.#roomError(bytes, error);
    }
  }

  sizeOf(operations: LogOperations): number {
    return commitRecordSize(operations);
  }

  append(record: CommitRecord): LogPosition {
    const size = commitRecordSize(record.operations);
    return this.#writable(size).stream.append(record, size);
  }

  commit(position: LogPosition, { durability = this.#options.durability, dependsOn }: CommitWish = {}): Promise<void> {
    try {
      const { policy, relaxed, stream } = this.#committing();
      if (durability === 'durable') return policy.commit(position, dependsOn);
      stream.lag();
      return durability === 'relaxed' ? relaxed.commit(position) : NOTHING_TO_WAIT_FOR;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  commitSync(position: LogPosition, { durability = this.#options.durability }: CommitWish = {}): void {
    const { policy, relaxed, stream } = this.#committing();
    if (durability === 'durable') {
      policy.commitSync(position);
      return;
    }
    stream.lag();
    if (durability === 'relaxed') relaxed.commitSync(position);
  }

  mark(): LogMark {
    return this.#open().stream.mark;
  }

  async secure(mark: LogMark): Promise<void> {
    const { stream, shape } = this.#committing();
    await this.#ready;
    // A mark of no log, or of another, says nothing about this stream: all of it, then.
    const end = mark.incarnation === shape.incarnation ? mark : stream.mark;
    while (!stream.isDurable(end)) await stream.flush();
  }

  async recycle(mark: LogMark): Promise<void> {
    const { segments, shape } = this.#open();
    this.#assertOwner('Segments are given up');
    await this.#ready;
    if (mark.incarnation !== shape.incarnation) return;
    this.#recycled = Math.max(this.#recycled, mark.segment);
    await this.#release(segments);
  }

  async seal(timestamp: number): Promise<void> {
    const { stream, archiver } = this.#committing();
    this.#assertOwner('The log is ended');
    if (archiver === null) return;
    await this.#ready;
    await stream.seal(timestamp);
  }

  async replayArchive(request: ArchiveReplayRequest): Promise<ArchiveReplay> {
    return replayArchive(request);
  }

  read(request: LogReadRequest): AsyncGenerator<ReplayedRecord, void, void> {
    const writer = this.#open();
    this.#assertOwner('The log is read');
    const { latch, state, readers } = writer;
    const last = latch.holding(() => state.lastTimestamp);
    return readLog(this.#readable(writer), readers, request, last);
  }

  stats(): LogStats {
    const policy = this.#policyType.name;
    if (this.#writer === null) {
      return {
        policy,
        appendedBytes: 0,
        records: 0,
        flushes: 0,
        segments: 0,
        pendingBytes: 0,
        writtenBytes: 0,
        readers: null,
        archive: null,
      };
    }
    const { state, segments, archiver, readers, shape } = this.#writer;
    return {
      policy,
      appendedBytes: state.appended,
      records: state.records,
      flushes: state.flushes,
      segments: segments.count,
      pendingBytes: state.pending,
      writtenBytes: state.handed,
      readers: readers.stats(state.segment, (segment) => state.sizeOf(segment) || shape.options.segmentSize),
      archive: archiver?.stats ?? null,
    };
  }

  close({ discard }: { readonly discard: boolean }): Promise<void> {
    this.#closing ??= this.#close(discard);
    return this.#closing;
  }

  #join(shape: LogShape, memory: LogMemory, request: LogOpenRequest | LogAttachRequest, isOwner: boolean): Writer {
    const { io, threads } = request;
    const { segmentSize, bufferLimit } = shape.options;
    const state = new LogState(memory.state);
    const slots = new LogSlots(memory.slots, threads);
    const latch = new SharedLatch(memory.latch, threads, 'logLatch');
    const unflushed = new Unflushed(memory.unflushed, bufferLimit);
    const open = new OpenSegments(io, shape.directory, shape.incarnation);
    const files: SegmentFiles = new SegmentFiles({ io, shape, open, fail: (error) => stream.fail(error) });
    const segments = new SegmentSequence({ state, slots, latch, threads, files, open, segmentSize });
    const batches = new Batches(state, slots, unflushed, files, threads);
    const claims = new Claims(memory.claims);
    const shared = new SharedFailure(memory.failure);
    const { incarnation } = shape;
    const stream: RecordStream = new RecordStream(
      {
        incarnation,
        isOwner,
        isArchived: shape.isArchived,
        limit: bufferLimit,
        clock: this.#clock,
        state,
        slots,
        claims,
        latch,
        shared,
        unflushed,
        batches,
        segments,
        open,
      },
      {
        onDurable: () => {
          pressure.release();
          archiver?.look();
          archiveTimeout?.look();
        },
        onFailure: (error) => {
          pressure.fail(failedError(error));
          readers.wake();
          void archiveTimeout?.stop();
          request.onFailure(error);
        },
      },
    );
    const pressure: BackPressure = new BackPressure(stream, bufferLimit);
    const archiver: Archiver | null = isOwner ? this.#archiver(shape, io, files, () => segments, latch, state) : null;
    const archiveTimeout = archiver === null ? null : this.#archiveTimeout(shape, archiver, stream, state);
    const readers = new Readers({
      limit: shape.options.readerLimit,
      sizeOf: (segment) => latch.holding(() => state.sizeOf(segment)) || segmentSize,
      progressed: () => state.progressSince(state.progress),
      onLess: () => this.#releaseLater(),
    });
    latch.holding(() => slots.enter());
    const policy = attached(this.#policyType, stream, shape.options);
    const relaxed = new RelaxedCommits(stream);
    const parts = { open, files, segments, stream, policy, relaxed, pressure, archiver, archiveTimeout, readers };
    this.#writer = { shape, memory, state, slots, latch, isOwner, ...parts };
    return this.#writer;
  }

  #archiver(
    shape: LogShape,
    io: IoBackend,
    files: SegmentFiles,
    segments: () => SegmentSequence,
    latch: SharedLatch,
    state: LogState,
  ): Archiver | null {
    const archive = this.#archive;
    if (archive === null) return null;
    return new Archiver({
      archive: typeof archive === 'string' ? (segment) => archiveInto(io, archive, segment) : archive,
      location: this.#location(shape),
      headerOf: (segment) => ({ ...shape, segment, fileSize: 0 }),
      durableSegment: () => latch.holding(() => state.durableSegment),
      onArchived: async () => {
        this.#writer?.readers.wake();
        await this.#release(segments());
      },
      removeLeftover: async (name) => {
        this.#writer?.readers.wake();
        await files.removeOther(name);
      },
      onFailed: () => this.#writer?.readers.wake(),
    });
  }

  #archiveTimeout(
    { options: { archiveTimeoutMs: timeoutMs } }: LogShape,
    archiver: Archiver,
    stream: RecordStream,
    state: LogState,
  ): ArchiveTimeout | null {
    if (timeoutMs === 0) return null;
    return new ArchiveTimeout({
      timeoutMs,
      segmentToEnd: () => stream.segmentToEnd,
      progressed: () => state.progressSince(state.progress),
      isArchiving: () => archiver.stats.lastError === null,
      end: (segment) => stream.endSegment(segment),
    });
  }

  #location({ directory, storeId }: LogShape): LogLocation {
    const { io } = this.#request as LogOpenRequest;
    return { io, directory, storeId, readOnly: true };
  }

  /** Gives segments up that no replay needs, as far as they are archived, and read by those who read the log. */
  async #release(segments: SegmentSequence): Promise<void> {
    await segments.release(() => {
      const archived = this.#writer?.archiver?.floor ?? Number.POSITIVE_INFINITY;
      const needed = this.#closing === null ? Math.min(this.#recycled, archived) : 0;
      return this.#writer?.readers.giveUp(needed) ?? needed;
    });
  }

  /** Nobody waits for it but closing. A file that cannot be removed goes with the rest of the log. */
  #releaseLater(): void {
    const writer = this.#writer;
    if (writer === null || !writer.isOwner || this.#closing !== null || this.#recycled === 0) return;
    const release = this.#release(writer.segments).catch(() => undefined);
    this.#releasing = Promise.all([this.#releasing, release]).then(() => undefined);
  }

  #readable({ shape, state, latch, stream, archiver }: Writer): ReadableLog {
    const { io } = this.#request as LogOpenRequest;
    const { incarnation, origin } = shape;
    return {
      io,
      location: this.#location(shape),
      incarnation,
      base: this.#base,
      first: origin.first,
      archive: typeof this.#archive === 'string' ? this.#archive : null,
      oldest: () => latch.holding(() => state.oldest),
      durable: () => latch.holding(() => state.durablePlace),
      secure: async () => {
        const { appended } = stream;
        while (stream.durable < appended) await stream.flush();
      },
      last: () => latch.holding(() => state.lastTimestamp),
      archiving: () => archiver?.leftovers ?? null,
      begun: this.#ready,
      assertGoesOn: () => {
        if (stream.failure !== null) throw stream.failure;
      },
    };
  }

  /** Makes the first segment; before it what tells which commits behind a hole it goes on from (L4), whose name the first segment makes durable. */
  async #start({ shape, segments, stream }: Writer, io: IoBackend, kept: readonly TimestampRange[]): Promise<void> {
    if (kept.length > 0) {
      const { directory, storeId, incarnation } = shape;
      try {
        const file = await io.open(join(directory, segmentName(incarnation, KEPT_LIST)), { create: true });
        try {
          await file.write(encodeKept({ storeId, incarnation, ranges: kept }), 0);
          await file.sync();
        } finally {
          await file.close();
        }
      } catch (error) {
        throw stream.fail(error);
      }
    }
    await segments.start();
  }

  /** Hears when other threads have given files up, or the log has failed. */
  #listen(slots: LogSlots, stream: RecordStream): void {
    if (this.#listens) return;
    this.#listens = true;
    void slots.onCall(() => {
      if (this.#closing !== null) return false;
      stream.look();
      this.#writer?.archiver?.look();
      this.#writer?.archiveTimeout?.look();
      return true;
    });
  }

  /** Not of any log that may still lie in the directory. */
  #newIncarnation(): number {
    let incarnation = 0;
    while (this.#seen.has(incarnation)) incarnation = randomInt(1, 2 ** 32);
    return incarnation;
  }

  async #close(discard: boolean): Promise<void> {
    const writer = this.#writer;
    if (writer === null) return;
    const { files, segments, stream, pressure, slots, latch, state, open, archiver, readers, isOwner } = writer;
    pressure.fail(closedError());
    const timeoutStopped = writer.archiveTimeout?.stop();
    const started = await this.#ready.then(
      () => true,
      () => false,
    );
    try {
      if (isOwner) endForAll(latch, state);
      if (started && discard && archiver !== null && stream.failure === null) await stream.seal(state.lastTimestamp);
      if (started) await stream.close(!(isOwner && discard));
    } finally {
      readers.end();
      state.tellProgress(); // who waits for more waits no longer
      await this.#releasing;
      await timeoutStopped;
      await archiver?.stop();
      await segments.settled();
      await open.close();
      slots.leave();
      if (isOwner) slots.callOthers();
    }
    // After a failure the log is all that tells which commits there are.
    if (!isOwner || !discard || stream.failure !== null) return;
    if (started) await archiver?.finish(state.segment);
    await files.removeAll();
  }

  #assertOwner(what: string): void {
    if (this.#open().isOwner) return;
    throw new PagewrightError('PW_UNSUPPORTED', `${what} in the thread that opened the log, and not in this one.`);
  }

  #open(): Writer {
    if (this.#closing !== null) throw closedError();
    invariant(this.#writer !== null, 'A log was used before it was begun');
    return this.#writer;
  }

  /** For what waits for commits that were appended: a failure leaves open what became of them. */
  #committing(): Writer {
    const writer = this.#open();
    const { failure } = writer.stream;
    if (failure !== null) throw failure;
    return writer;
  }

  /** For what goes before an append: after a failure nothing begins. */
  #writable(bytes: number): Writer {
    const writer = this.#open();
    const { failure } = writer.stream;
    if (failure !== null) throw failedError(failure);
    if (writer.state.isClosed) throw closedError();
    if (bytes > this.maxRecordSize) {
      throw new PagewrightError(
        'PW_TXN_TOO_LARGE',
        `The transaction needs a log record of ${bytes} bytes, and the log takes ${this.maxRecordSize} at most. Split it, or open the store with a larger maxRecordSize.`,
        { details: { bytes, maxRecordSize: this.maxRecordSize } },
      );
    }
    return writer;
  }

  #roomError(bytes: number, error: unknown): unknown {
    if (!isPagewrightError(error, 'PW_FULL')) return error;
    return new PagewrightError(
      'PW_FULL',
      `The disk has no room for ${bytes} more bytes of log. Nothing was written; free some space, and commit again.`,
      { cause: error, details: { ...error.details, bytes } },
    );
  }
}

/** From now on nothing is appended in any thread: what is appended already is all there is to flush. */
function endForAll(latch: SharedLatch, state: LogState): void {
  try {
    latch.holding(() => state.close());
  } catch {
    state.close(); // a thread was lost, so nothing can be appended anyway
  }
}

function failedError(cause: PagewrightError): PagewrightError {
  const message =
    'The log has failed, so nothing is written any more. This commit has not begun; open the store again.';
  return new PagewrightError('PW_READ_ONLY', message, { cause, details: cause.details });
}

function findPolicy(name: string, policies: readonly CommitPolicyType[]): CommitPolicyType {
  const [found, other] = policies.filter((policy) => policy.name === name);
  if (other !== undefined) {
    throw new PagewrightError(
      'PW_PLUGIN_DUPLICATE',
      `Two commit policies have the name "${name}". Leave one of them out.`,
      {
        details: { name },
      },
    );
  }
  if (found !== undefined) return found;
  const known = policies.map((policy) => policy.name).join(', ');
  throw new PagewrightError('PW_OPTION_INVALID', `There is no commit policy "${name}"; there are: ${known}.`, {
    details: { option: 'commit', value: name },
  });
}
