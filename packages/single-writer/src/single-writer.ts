/**
 * Concurrency control with one writer at a time: turns in front of any other, which keeps versions and snapshots, and makes commits. Who reads never waits; who
 * writes has no conflicts, because nobody else does meanwhile, and what it reads is as nobody else will have changed it: transactions that write are serializable.
 */
import {
  type CommitTicket,
  type Concurrency,
  type ConcurrencyHost,
  type ConcurrencyStats,
  type Cursor,
  type Dependence,
  type EntryCounter,
  type EntryReference,
  type Isolation,
  invariant,
  OPERATION_CREATE_INDEX,
  OPERATION_LOAD_INDEX,
  PagewrightError,
  type Scan,
  type ScanBounds,
  SharedLatch,
  type Snapshot,
  type Target,
  type TransactionCore,
  type Write,
  type WriterTurns,
} from '@pagewright/core';
import { checkWaits, type WaitOptions } from './options.js';
import { SharedTurn } from './shared-turn.js';
import { type LineMemory, WriterLine } from './writer-line.js';
import { type TransactionSurroundings, WritingTransaction } from './writing-transaction.js';

interface SingleWriterMemory extends LineMemory {
  /** How many transactions came too late to write. */
  readonly conflicts: SharedArrayBuffer;
}

/** What one thread posts to another. */
interface SingleWriterHandle {
  readonly singleWriter: SingleWriterMemory;
  readonly within: unknown;
}

export class SingleWriter implements Concurrency {
  readonly turns: WriterTurns;
  readonly #line: WriterLine;
  readonly #shared: TransactionSurroundings;
  #memory: SingleWriterMemory | null = null;
  #host: ConcurrencyHost | null = null;

  /** `within` has not been started. Errors: `PW_OPTION_INVALID`. */
  constructor(
    private readonly within: Concurrency,
    waits: WaitOptions = {},
  ) {
    const line = new WriterLine(checkWaits(waits));
    const shared: TransactionSurroundings = {
      line,
      get visible() {
        return within.visible;
      },
      begin: (isolation) => within.begin(isolation, true),
      conflicted: () => this.#countConflict(),
    };
    this.#line = line;
    this.#shared = shared;
    this.turns = {
      begin: (isolation, signal) => line.transaction(() => new WritingTransaction(shared, isolation, true), signal),
      beginNow: (isolation) => line.transactionNow(() => new WritingTransaction(shared, isolation, true)),
      line: () => line.place(),
      atOnce: (step) => line.atOnce(step),
      close: () => line.close(),
    };
  }

  get visible(): number {
    return this.within.visible;
  }

  get oldestNeeded(): number {
    return this.within.oldestNeeded;
  }

  isSeen(from: number, below: number): boolean {
    return this.within.isSeen(from, below);
  }

  start(host: ConcurrencyHost, timestamp: number): void {
    this.within.start(host, timestamp);
    this.#host = host;
    this.#memory = {
      turn: new SharedArrayBuffer(SharedTurn.bytes()),
      latch: new SharedArrayBuffer(SharedLatch.bytes()),
      conflicts: new SharedArrayBuffer(4),
    };
  }

  share(): SingleWriterHandle {
    const within = this.within.share();
    invariant(this.#memory !== null && this.#host !== null, 'What has not started is shared');
    this.#line.share(this.#memory, this.#host.pages.threads);
    return { singleWriter: this.#memory, within };
  }

  /** Errors: `PW_ARGUMENT`. */
  attach(host: ConcurrencyHost, handle: unknown): void {
    const { singleWriter, within } = handleOf(handle);
    this.within.attach(host, within);
    this.#host = host;
    this.#memory = singleWriter;
    this.#line.share(singleWriter, host.pages.threads);
  }

  detach(): void {
    this.#line.leave();
    this.within.detach();
  }

  advance(timestamp: number): void {
    this.within.advance(timestamp);
  }

  snapshot(): Snapshot {
    return this.within.snapshot();
  }

  begin(isolation?: Isolation): TransactionCore {
    return new WritingTransaction(this.#shared, isolation, false);
  }

  lookup(target: Target, key: Uint8Array, into: EntryReference, snapshot: Snapshot | null): boolean {
    return this.within.lookup(target, key, into, snapshot);
  }

  scan(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): Scan {
    return this.within.scan(target, bounds, snapshot);
  }

  count(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): EntryCounter {
    return this.within.count(target, bounds, snapshot);
  }

  commit(writes: readonly Write[], dependence?: Dependence): CommitTicket {
    if (writes.length === 0) return this.within.commit(writes, dependence);
    return this.#line.moment(() => this.within.commit(writes, dependence));
  }

  /** A new index has nothing that anybody writes; a load has its index to itself, and may be waited for by who has the turn. */
  commitOperation(
    operation: { kind: number; index: number; key: Uint8Array },
    install: (timestamp: number) => void,
  ): CommitTicket {
    const { kind } = operation;
    if (kind === OPERATION_CREATE_INDEX || kind === OPERATION_LOAD_INDEX) {
      return this.within.commitOperation(operation, install);
    }
    return this.#line.moment(() => this.within.commitOperation(operation, install));
  }

  assertSound(): void {
    this.within.assertSound();
  }

  alone<Result>(index: number, step: () => Result): Result {
    return this.within.alone(index, step);
  }

  collect(budget: number): boolean {
    return this.within.collect(budget);
  }

  sweep(target: Target, cursor: Cursor, budget: number): boolean {
    return this.within.sweep(target, cursor, budget);
  }

  stats(): ConcurrencyStats {
    const stats = this.within.stats();
    return { ...stats, conflicts: stats.conflicts + this.#conflicts };
  }

  #countConflict(): void {
    if (this.#memory !== null) Atomics.add(new Int32Array(this.#memory.conflicts), 0, 1);
  }

  get #conflicts(): number {
    return this.#memory === null ? 0 : Atomics.load(new Int32Array(this.#memory.conflicts), 0);
  }
}

/** What `share` returned in another thread. Errors: `PW_ARGUMENT`. */
function handleOf(handle: unknown): SingleWriterHandle {
  if (isHandle(handle)) return handle;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'That is no handle of transactions with a single writer. Pass what share() returned in the thread that has the store open, as it was posted, and give all threads the same parts.',
  );
}

function isHandle(handle: unknown): handle is SingleWriterHandle {
  if (typeof handle !== 'object' || handle === null || !('singleWriter' in handle) || !('within' in handle))
    return false;
  const { singleWriter } = handle;
  if (typeof singleWriter !== 'object' || singleWriter === null) return false;
  const parts: (keyof SingleWriterMemory)[] = ['turn', 'latch', 'conflicts'];
  return parts.every((part) => Reflect.get(singleWriter, part) instanceof SharedArrayBuffer);
}
