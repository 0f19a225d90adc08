/**
 * The log of an open store, for those who carry its changes elsewhere: transactions as they were committed, with all their operations, from any one on that
 * is still there.
 */
import type { ArchiveSource } from '../contracts/archive.js';
import {
  type LogOperations,
  OPERATION_CLEAR_INDEX,
  OPERATION_CREATE_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_LOAD_INDEX,
  OPERATION_PUT,
  type ReplayedRecord,
} from '../contracts/log.js';
import { PagewrightError } from '../errors.js';
import { onAbort } from '../on-abort.js';
import { DecodedOperations } from '../operations/decoded-operations.js';
import { checkArchive } from './archive-option.js';
import type { EngineCore } from './engine-core.js';
import { decodeDescription } from './index-description.js';
import { argument } from './range.js';

export interface LogReadOptions {
  /** Whether it waits for later transactions when it has given the last one. Default: true. */
  readonly follow?: boolean | undefined;
  /**
   * Where segments are read that the log does not have any more: a directory, or an object that lists and reads. Default: the directory into which the log is
   * archived, if it is one.
   */
  readonly archive?: string | ArchiveSource | undefined;
  /** Ends it: the iteration throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** An index, as a transaction in the log knows it. */
export interface LoggedIndex {
  /** No two indexes of a store ever have the same, whatever their names. */
  readonly number: number;
  /** Null, as the rest is, for one that was dropped before, and whose creation was not read. */
  readonly name: string | null;
  readonly type: string | null;
  /** Names of its encodings. */
  readonly key: string | null;
  readonly value: string | null;
}

export type LoggedOperationType =
  | 'put'
  | 'delete'
  | 'create-index'
  | 'drop-index'
  /** All entries go. */
  | 'clear-index'
  /** All entries are others, from a bulk load; they are not in the log. */
  | 'load-index';

/** An operation of a transaction. */
export interface LoggedOperation {
  readonly type: LoggedOperationType;
  readonly index: LoggedIndex;
  /** Of an entry, as the index has it; else empty. `IndexHandle.changesIn` decodes it. */
  readonly key: Uint8Array;
  /** Of a `put`; else empty. */
  readonly value: Uint8Array;
}

/**
 * The operations of a transaction, in the order in which they were done, as often as they are gone through. Each is made when it is come by: a transaction may have millions, which as
 * an array (`[...operations]`) take many times their bytes.
 */
export interface LoggedOperations extends Iterable<LoggedOperation> {
  /** How many there are. */
  readonly length: number;
}

/** A transaction, as it was committed. A change without one is a transaction of its own. */
export interface LoggedTransaction {
  /** Grows from one to the next, with gaps where timestamps were given up. To go on behind it: `log.read(timestamp)`. */
  readonly timestamp: number;
  /** When it was committed, by the clock of the machine. Never less than that of the one before. */
  readonly time: Date;
  /** In the order in which they were done. What it did to an index in a later operation counts. */
  readonly operations: LoggedOperations;
}

const OPTIONS = ['follow', 'archive', 'signal'];

const TYPES: Readonly<Record<number, LoggedOperationType>> = {
  [OPERATION_PUT]: 'put',
  [OPERATION_DELETE]: 'delete',
  [OPERATION_CREATE_INDEX]: 'create-index',
  [OPERATION_DROP_INDEX]: 'drop-index',
  [OPERATION_CLEAR_INDEX]: 'clear-index',
  [OPERATION_LOAD_INDEX]: 'load-index',
};

export class EngineLog {
  /** @internal */
  constructor(private readonly core: EngineCore) {}

  /**
   * Transactions above the one with this timestamp, each once and in order, as soon as they are durable; `0` for all that there ever were. It goes on exactly behind the last that
   * one has got, also when the store was opened again in between: keep its `timestamp` together with what was made of it. A store that has no
   * log before `from` is `PW_LOG_GONE`: the log begins anew when a store is opened, and what checkpoints cover is given up, unless the store has an `archive`.
   * To begin with what is there: `backup()`, whose report has the timestamp, or `snapshot()`, and then `read(snapshot.timestamp)`.
   *
   * While it is iterated over, the log is kept for it, up to its `readerLimit`; what lies further back is read from the archive, or is `PW_LOG_GONE`. `for await` with `break` ends that. It does
   * not keep the process alive, nor the store open: when that is closed it ends if it has given all, and throws `PW_CLOSED` if not. Give it a last round with
   * `follow: false` before you close, if there is no archive.
   *
   * Errors of the call: `PW_ARGUMENT`, `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_UNSUPPORTED` in another thread than that which opened the store, of a store that is open read-only, and of a log that cannot be
   * read. Of the iteration: `PW_LOG_GONE`, `PW_ARGUMENT` if `from` is above all that was committed, `PW_CORRUPT_LOG`, `PW_IO`, `PW_COMMIT_UNKNOWN` after what is durable of a log that has failed, `PW_CLOSED`,
   * the reason of the signal, `PW_THREAD_LOST`.
   */
  read(from: number, options: LogReadOptions = {}): LoggedTransactions {
    const { core } = this;
    core.state.assertUsable();
    checkRead(from, options);
    const { log, state } = core;
    if (log.read === undefined) throw unsupported('The log of this engine cannot be read while it is written.');
    if (state.openedReadOnly) throw unsupported('A store that is open read-only is read without its log.');
    if (!state.isOwner) throw unsupported('The log is read in the thread that opened the store, and not in this one.');
    const ending = new AbortController();
    const { follow = true, archive, signal } = options;
    const records = log.read({ after: from, follow, archive, signal: ending.signal });
    return new LoggedTransactions(records, ending, signal, this.indexes());
  }

  /** Those that there are now. */
  private indexes(): Map<number, LoggedIndex> {
    const known = new Map<number, LoggedIndex>();
    for (const { number, description } of this.core.catalog.byNumber.values()) {
      known.set(number, { number, ...shown(description) });
    }
    return known;
  }
}

/** Transactions from the log, one by one. */
export class LoggedTransactions implements AsyncIterableIterator<LoggedTransaction, undefined> {
  private readonly forget: () => void;

  /** @internal */
  constructor(
    private readonly records: AsyncGenerator<ReplayedRecord, void, void>,
    private readonly ending: AbortController,
    signal: AbortSignal | undefined,
    private readonly known: Map<number, LoggedIndex>,
  ) {
    const end = (): void => ending.abort(signal?.reason);
    if (signal?.aborted === true) end();
    this.forget = signal === undefined || signal.aborted ? () => {} : onAbort(signal, end);
  }

  async next(): Promise<IteratorResult<LoggedTransaction, undefined>> {
    try {
      const { done, value } = await this.records.next();
      if (!done) return { done: false, value: this.transactionOf(value) };
      this.forget();
      return END;
    } catch (error) {
      await this.leave();
      if (error === ENDED) return END;
      throw error;
    }
  }

  /** Also one that waits in `next()` ends. */
  async return(): Promise<IteratorResult<LoggedTransaction, undefined>> {
    await this.leave();
    return END;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Whatever it keeps of the log is not needed any more. */
  private async leave(): Promise<void> {
    this.ending.abort(ENDED);
    this.forget();
    await this.records.return();
  }

  private transactionOf({ timestamp, time, operations }: ReplayedRecord): LoggedTransaction {
    this.learn(operations);
    return { timestamp, time: new Date(time), operations: new OperationsOfRecord(operations, this.known) };
  }

  /** Takes note of indexes that are created, whether or not anyone goes through the operations. `PW_CORRUPT_LOG` for kinds that there are not. */
  private learn(operations: LogOperations): void {
    if (operations instanceof DecodedOperations && operations.areOfEntries) return;
    for (const { kind, index: number, key } of operations) {
      if (TYPES[kind] === undefined)
        throw new PagewrightError('PW_CORRUPT_LOG', `The log has an operation of kind ${kind}.`);
      if (kind === OPERATION_CREATE_INDEX) this.known.set(number, { number, ...shown(decodeDescription(key)) });
    }
  }
}

class OperationsOfRecord implements LoggedOperations {
  readonly #operations: LogOperations;
  /** Only grows, and no number is used again: an index is in it as it was when the transaction was committed. */
  readonly #known: ReadonlyMap<number, LoggedIndex>;

  constructor(operations: LogOperations, known: ReadonlyMap<number, LoggedIndex>) {
    this.#operations = operations;
    this.#known = known;
  }

  get length(): number {
    return this.#operations.length;
  }

  *[Symbol.iterator](): Generator<LoggedOperation, void, void> {
    for (const { kind, index: number, key, value } of this.#operations) {
      const type = TYPES[kind] as LoggedOperationType;
      const index = this.#known.get(number) ?? { number, ...UNKNOWN };
      const isEntry = type === 'put' || type === 'delete';
      yield { type, index, key: isEntry ? key : NOTHING, value: isEntry ? value : NOTHING };
    }
  }
}

/** Why a reading ends that is wanted no more. */
const ENDED = Symbol('ended');
const END: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
const NOTHING = new Uint8Array(0);
const UNKNOWN = { name: null, type: null, key: null, value: null };

function shown({ name, type, keyEncoding: key, valueEncoding: value }: ReturnType<typeof decodeDescription>) {
  return { name, type, key, value };
}

function checkRead(from: number, options: LogReadOptions): void {
  if (!Number.isSafeInteger(from) || from < 0) {
    throw argument('The log is read from a timestamp on: that of the last transaction that you have, or 0.', { from });
  }
  if (typeof options !== 'object' || options === null)
    throw argument('The options of log.read() are an object.', { options });
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name))
      throw argument(`log.read() has no option '${name}'. There are: ${OPTIONS.join(', ')}.`, { option: name });
  }
  const { follow, archive, signal } = options;
  if (follow !== undefined && typeof follow !== 'boolean')
    throw argument('The option follow is true or false.', { follow });
  if (archive !== undefined) checkArchive(archive);
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw argument('The option signal is an AbortSignal.', { signal });
}

function unsupported(message: string): PagewrightError {
  return new PagewrightError('PW_UNSUPPORTED', message);
}
