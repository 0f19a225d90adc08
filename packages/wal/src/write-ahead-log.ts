/**
 * The log of one store: what the engine calls. It is opened, replayed, begun anew, appended to, and closed, in this order;
 * the parts below do the work.
 */
import { randomInt } from 'node:crypto';
import {
  COMMIT_POLICIES,
  type CommitPolicy,
  type CommitPolicyType,
  type CommitRecord,
  inject,
  injectAll,
  injectable,
  invariant,
  isPagewrightError,
  type Log,
  type LogMark,
  type LogOpenRequest,
  type LogOperation,
  type LogPosition,
  type LogReplay,
  type LogStats,
  PagewrightError,
} from '@pagewright/core';
import { commitRecordSize } from './format/record.js';
import { segmentsAmong } from './format/segment-name.js';
import { type CheckedOptions, checkOptions, WAL_OPTIONS, type WalOptions } from './options.js';
import { pipelinedPolicy } from './policies/pipelined.js';
import { syncPolicy } from './policies/sync.js';
import { planReplay } from './recovery/plan.js';
import type { Replay } from './recovery/replay.js';
import { BackPressure } from './stream/back-pressure.js';
import { RecordStream } from './stream/record-stream.js';
import { SegmentFiles } from './stream/segment-files.js';
import { SegmentSequence } from './stream/segment-sequence.js';

/** The policies that come with this package. */
export const BUILT_IN_POLICIES: readonly CommitPolicyType[] = [pipelinedPolicy, syncPolicy];

/** A log that was begun: all that a new incarnation needs. */
interface Writer {
  readonly incarnation: number;
  readonly files: SegmentFiles;
  readonly segments: SegmentSequence;
  readonly stream: RecordStream;
  readonly policy: CommitPolicy;
  readonly pressure: BackPressure;
  /** Resolves when the first segment is durable. */
  readonly ready: Promise<void>;
}

/**
 * The log of a store, as one stream in segment files. Records are appended in memory; the commit policy decides when they
 * are written and synced, and who is told.
 */
@injectable()
export class WriteAheadLog implements Log {
  readonly #options: CheckedOptions;
  readonly #policyType: CommitPolicyType;
  #request: LogOpenRequest | null = null;
  #replay: Replay | null = null;
  #seen = new Set<number>();
  #writer: Writer | null = null;
  /** Of the last record, or the last that recovery kept: none is used again (L3). */
  #lastTimestamp = 0;
  #closing: Promise<void> | null = null;

  /**
   * `policies` are those that `options.commit` may name.
   * Errors: `PW_OPTION_INVALID`; `PW_PLUGIN_DUPLICATE` if two of the policies have that name.
   */
  constructor(
    @inject(WAL_OPTIONS) options: WalOptions = {},
    @injectAll(COMMIT_POLICIES) policies: readonly CommitPolicyType[] = BUILT_IN_POLICIES,
  ) {
    this.#options = checkOptions(options);
    this.#policyType = findPolicy(this.#options.commit, policies);
  }

  get maxRecordSize(): number {
    return this.#options.maxRecordSize;
  }

  async open(request: LogOpenRequest): Promise<LogReplay> {
    invariant(this.#request === null, 'A log was opened twice');
    this.#request = request;
    const names = segmentsAmong(await request.io.list(request.directory));
    this.#seen = new Set(names.map(({ incarnation }) => incarnation)).add(request.state.mark.log.incarnation).add(0);
    this.#replay = await planReplay(request, names);
    return this.#replay;
  }

  begin(): LogMark {
    const request = this.#request;
    const origin = this.#replay?.end;
    if (request?.readOnly)
      throw new PagewrightError('PW_READ_ONLY', 'A log that was opened read-only is not begun anew.');
    invariant(request !== null && origin != null, 'A log was begun before its replay was read to the end');
    invariant(this.#writer === null && this.#closing === null, 'A log was begun twice, or after it was closed');
    this.#lastTimestamp = origin.timestamp;
    this.#writer = this.#start(request, origin);
    return this.#writer.stream.mark;
  }

  async discardOld(): Promise<void> {
    const { ready, files } = this.#open();
    await ready;
    await files.removeOthers();
  }

  async reserve(bytes: number): Promise<void> {
    const { ready, pressure, segments } = this.#writable(bytes);
    await ready;
    await pressure.admit(bytes);
    this.#writable(bytes);
    await segments.extend(bytes).catch((error) => {
      throw this.#roomError(bytes, error);
    });
  }

  reserveSync(bytes: number): void {
    const { stream, segments } = this.#writable(bytes);
    invariant(segments.isStarted, 'The log was written to before the checkpoint that ends recovery');
    if (stream.pending > 0 && stream.pending + bytes > this.#options.bufferLimit) stream.flushSync();
    try {
      segments.extendSync(bytes);
    } catch (error) {
      throw this.#roomError(bytes, error);
    }
  }

  sizeOf(operations: readonly LogOperation[]): number {
    return commitRecordSize(operations);
  }

  append(record: CommitRecord): LogPosition {
    const size = commitRecordSize(record.operations);
    const { stream } = this.#writable(size);
    const dense =
      stream.records > 0 ? record.timestamp === this.#lastTimestamp + 1 : record.timestamp > this.#lastTimestamp;
    invariant(dense, `Commit ${record.timestamp} was appended to the log after commit ${this.#lastTimestamp}`);
    const position = stream.append(record, size);
    this.#lastTimestamp = record.timestamp;
    return position;
  }

  commit(position: LogPosition): Promise<void> {
    try {
      return this.#committing().policy.commit(position);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  commitSync(position: LogPosition): void {
    this.#committing().policy.commitSync(position);
  }

  mark(): LogMark {
    return this.#open().stream.mark;
  }

  async secure(mark: LogMark): Promise<void> {
    const { ready, stream, segments, incarnation } = this.#committing();
    await ready;
    // A mark of no log, or of another, says nothing about this stream: all of it, then.
    const position = mark.incarnation === incarnation ? segments.positionOf(mark) : stream.appended;
    while (stream.durable < position) await stream.flush();
  }

  async recycle(mark: LogMark): Promise<void> {
    const { ready, stream, segments, incarnation } = this.#open();
    await ready;
    if (mark.incarnation === incarnation) await segments.release(mark, stream.durable);
  }

  stats(): LogStats {
    const writer = this.#writer;
    return {
      policy: this.#policyType.name,
      appendedBytes: writer?.stream.appended ?? 0,
      records: writer?.stream.records ?? 0,
      flushes: writer?.stream.flushes ?? 0,
      segments: writer?.segments.count ?? 0,
      pendingBytes: writer?.stream.pending ?? 0,
    };
  }

  close({ discard }: { readonly discard: boolean }): Promise<void> {
    this.#closing ??= this.#close(discard);
    return this.#closing;
  }

  #start(request: LogOpenRequest, origin: NonNullable<Replay['end']>): Writer {
    const { io, directory, state } = request;
    const { segmentSize, bufferLimit } = this.#options;
    const incarnation = this.#newIncarnation();
    const files: SegmentFiles = new SegmentFiles({
      io,
      directory,
      storeId: state.storeId,
      incarnation,
      origin,
      segmentSize,
      fail: (error) => stream.fail(error),
    });
    const segments: SegmentSequence = new SegmentSequence(files, segmentSize);
    const stream: RecordStream = new RecordStream(incarnation, segments, {
      onDurable: () => pressure.release(),
      onFailure: (error) => {
        pressure.fail(failedError(error));
        request.onFailure(error);
      },
    });
    const pressure: BackPressure = new BackPressure(stream, bufferLimit);
    const ready = segments.start();
    ready.catch(() => undefined); // whoever waits for it meets the error
    return { incarnation, files, segments, stream, policy: this.#policyType.attach(stream), pressure, ready };
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
    const { files, segments, stream, pressure, ready } = writer;
    pressure.fail(closedError());
    const started = await ready.then(
      () => true,
      () => false,
    );
    try {
      if (started) await stream.close(!discard);
    } finally {
      await segments.close();
    }
    // After a failure the log is all that tells which commits there are.
    if (discard && stream.failure === null) await files.removeAll();
  }

  #open(): Writer {
    if (this.#closing !== null) throw closedError();
    invariant(this.#writer !== null, 'A log was used before it was begun');
    return this.#writer;
  }

  /** For what waits for commits that were appended: a failure leaves open what became of them. */
  #committing(): Writer {
    const writer = this.#open();
    if (writer.stream.failure !== null) throw writer.stream.failure;
    return writer;
  }

  /** For what goes before an append: after a failure nothing begins. */
  #writable(bytes: number): Writer {
    const writer = this.#open();
    if (writer.stream.failure !== null) throw failedError(writer.stream.failure);
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

function failedError(cause: PagewrightError): PagewrightError {
  const message =
    'The log has failed, so nothing is written any more. This commit has not begun; open the store again.';
  return new PagewrightError('PW_READ_ONLY', message, { cause, details: cause.details });
}

function closedError(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The log was closed. Open the store again.');
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
