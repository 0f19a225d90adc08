/**
 * Concurrency control with what it needs around it: a log in memory, a page store that has room or not, indexes in sorted
 * arrays. It watches what every plugin owes its host: room is secured and the commit logged before anything changes,
 * timestamps are dense, operations sorted and each key once (C6, T6, T7).
 */
import {
  type CommitRecord,
  type Concurrency,
  type ConcurrencyHost,
  EntryReference,
  type Log,
  type LogOperation,
  OPERATION_CLEAR_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_PUT,
  PageFault,
  type PageStore,
  type PageStoreStats,
  PagewrightError,
  type Scan,
  type ScanBounds,
  type Snapshot,
  TAG_TOMBSTONE,
  TAG_VALUE,
  type Target,
  type TransactionCore,
} from '@pagewright/core';
import { SortedIndex } from './sorted-index.js';

/** The largest record that the log of a rig takes, in bytes. */
export const RIG_MAX_RECORD_SIZE = 1 << 20;

/** An index of a rig. */
export class RigTarget implements Target {
  dropped = false;
  predecessor: RigTarget | null = null;
  tombstonesNoted = 0;

  constructor(
    readonly number: number,
    readonly name: string,
    public index: SortedIndex,
    public incarnation: number,
  ) {}

  noteTombstones(): void {
    this.tombstonesNoted++;
  }
}

export class ConcurrencyRig {
  /** What was appended to the log. */
  readonly records: CommitRecord[] = [];
  /** Positions behind the records. */
  readonly positions: number[] = [];
  /** What was owed to the host and not done. */
  readonly violations: string[] = [];
  /** What the host was told to fail with (T6). */
  failure: unknown = null;
  writable = true;
  /** Set to refuse a commit before anything is appended. */
  refuse: 'log' | 'space' | null = null;
  /** Whether a page is missing when it is accessed while `faulting` is on. */
  faults: (() => boolean) | null = null;
  readonly pages: { faulting: boolean };
  private readonly targets: RigTarget[] = [];
  /** Commits up to this one were made and logged by another process. */
  private arrived = 0;
  /** What was done for the commit that comes. */
  private reserved = 0;
  private spaceSecured = false;
  private allowed = false;
  private told = 0;

  constructor(
    readonly concurrency: Concurrency,
    readonly startAt = 0,
  ) {
    const stats: Partial<PageStoreStats> = { fileBytes: 1 << 20, freeFileBytes: 0 };
    const pages: Partial<PageStore> & { faulting: boolean } = {
      faulting: false,
      pageSize: 16384,
      secureSpace: () => {
        if (this.refuse === 'space') throw new PagewrightError('PW_FULL', 'no space');
        this.spaceSecured = true;
      },
      stats: () => stats as PageStoreStats,
    };
    this.pages = pages;
    const log: Partial<Log> = {
      maxRecordSize: RIG_MAX_RECORD_SIZE,
      sizeOf: sizeOfRecord,
      reserveSync: (bytes: number) => {
        if (bytes > RIG_MAX_RECORD_SIZE) throw new PagewrightError('PW_TXN_TOO_LARGE', `${bytes} bytes`);
        if (this.refuse === 'log') throw new PagewrightError('PW_FULL', 'no space');
        this.reserved = bytes;
      },
      append: (record: CommitRecord) => this.append(record),
    };
    const host: ConcurrencyHost = {
      pages: pages as PageStore,
      log: log as Log,
      assertWritable: () => {
        if (!this.writable) throw new PagewrightError('PW_READ_ONLY', 'read-only');
        this.allowed = true;
      },
      fail: (error) => {
        this.failure = error;
        return new PagewrightError('PW_ENGINE_FAILED', 'failed', { cause: error });
      },
      committed: (bytes) => this.committed(bytes),
      catchUp: () => {},
      target: (number) => this.targets.find((target) => target.number === number && !target.dropped) ?? null,
    };
    concurrency.start(host, startAt);
  }

  /** The timestamp of the last record. */
  get logged(): number {
    return Math.max(this.startAt + this.records.length, this.arrived);
  }

  newIndex(): SortedIndex {
    return new SortedIndex({
      mustFault: () => this.pages.faulting && this.faults?.() === true,
      onChange: (index, change, tag, timestamp) => {
        if (timestamp > this.logged) this.violations.push(`Commit ${timestamp} changed an index before it was logged.`);
        if (change !== 'upsert' || tag !== TAG_TOMBSTONE) return;
        const target = this.targets.find((each) => each.index === index);
        if (target?.tombstonesNoted === 0)
          this.violations.push(`A tombstone in '${target.name}' was not noted before.`);
      },
    });
  }

  target(name = 'index'): RigTarget {
    const target = new RigTarget(this.targets.length + 1, name, this.newIndex(), this.concurrency.visible);
    this.targets.push(target);
    return target;
  }

  /** The index holds these entries now, as another process has committed them; as a reader finds them that has gone on to them. */
  arrive(target: RigTarget, timestamp: number, entries: readonly (readonly [key: string, value: string])[]): void {
    this.arrived = timestamp;
    for (const [key, value] of entries) target.index.upsert(bytes(key), TAG_VALUE, bytes(value), timestamp);
    this.concurrency.advance(timestamp);
  }

  clear(target: RigTarget): void {
    const operation = { kind: OPERATION_CLEAR_INDEX, index: target.number, key: new Uint8Array(0) };
    this.concurrency.commitOperation(operation, (timestamp) => {
      const before = new RigTarget(target.number, target.name, target.index, target.incarnation);
      before.predecessor = target.predecessor;
      target.predecessor = before;
      target.index = this.newIndex();
      target.incarnation = timestamp;
    });
  }

  drop(target: RigTarget): void {
    const operation = { kind: OPERATION_DROP_INDEX, index: target.number, key: new Uint8Array(0) };
    this.concurrency.commitOperation(operation, () => {
      target.dropped = true;
    });
  }

  put(target: Target, key: string, value: string | null): void {
    this.concurrency.commit([{ target, key: bytes(key), value: value === null ? null : bytes(value) }]);
  }

  get(target: Target, key: string, from: Snapshot | TransactionCore | null = null): string | undefined {
    const into = new EntryReference();
    const found = this.reading(() =>
      isTransaction(from)
        ? from.lookup(target, bytes(key), into)
        : this.concurrency.lookup(target, bytes(key), into, from),
    );
    return found ? text(into.value) : undefined;
  }

  /** All entries in the bounds as `key=value`. */
  scan(target: Target, from: Snapshot | TransactionCore | null = null, bounds: Partial<ScanBounds> = {}): string[] {
    const scan = this.openScan(target, from, bounds);
    const entries: string[] = [];
    while (this.step(scan, entries)) {}
    return entries;
  }

  /** How many entries there are in the bounds. */
  count(target: Target, from: Snapshot | null = null, bounds: Partial<ScanBounds> = {}): number {
    const counter = this.concurrency.count(target, { ...EVERYTHING, wantsValues: false, ...bounds }, from);
    while (this.reading(() => counter.next())) {}
    return counter.count;
  }

  openScan(target: Target, from: Snapshot | TransactionCore | null, bounds: Partial<ScanBounds> = {}): Scan {
    const whole = { ...EVERYTHING, ...bounds };
    return isTransaction(from) ? from.scan(target, whole) : this.concurrency.scan(target, whole, from);
  }

  /** One batch of a scan. */
  step(scan: Scan, into: string[]): boolean {
    const more = this.reading(() => scan.next());
    for (let i = 0; i < scan.count; i++) into.push(`${text(scan.keys[i]!)}=${text(scan.values[i]!)}`);
    return more;
  }

  /** Reads as an asynchronous method does: a page that is missing is loaded, and the read starts again. */
  reading<Result>(read: () => Result): Result {
    for (;;) {
      this.pages.faulting = this.faults !== null;
      try {
        return read();
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
      } finally {
        this.pages.faulting = false;
      }
    }
  }

  /** What the log says that an index holds, as `key=value` in order of key. */
  replayed({ number }: Target): string[] {
    const entries = new Map<string, string>();
    for (const { operations } of this.records) {
      for (const { kind, index, key, value } of operations) {
        if (index !== number) continue;
        if (kind === OPERATION_PUT) entries.set(text(key), text(value));
        else if (kind === OPERATION_DELETE) entries.delete(text(key));
        else if (kind === OPERATION_CLEAR_INDEX) entries.clear();
      }
    }
    return [...entries.keys()].sort().map((key) => `${key}=${entries.get(key)}`);
  }

  private append(record: CommitRecord): number {
    const { timestamp, operations } = record;
    const size = sizeOfRecord(operations);
    if (timestamp !== this.logged + 1) this.violations.push(`Commit ${timestamp} was logged after ${this.logged}.`);
    if (this.reserved < size) this.violations.push(`Commit ${timestamp} was logged without room in the log.`);
    if (!this.spaceSecured)
      this.violations.push(`Commit ${timestamp} was logged before room for its pages was secured.`);
    if (!this.allowed)
      this.violations.push(`Commit ${timestamp} was logged without asking whether commits are accepted.`);
    for (let i = 1; i < operations.length; i++) {
      if (compareOperations(operations[i - 1]!, operations[i]!) >= 0) {
        this.violations.push(`The operations of commit ${timestamp} are not sorted, each key once.`);
      }
    }
    this.reserved = 0;
    this.spaceSecured = false;
    this.allowed = false;
    this.records.push({ ...record, operations: operations.map((operation) => ({ ...operation })) });
    this.positions.push((this.positions.at(-1) ?? 0) + size);
    return this.positions.at(-1)!;
  }

  private committed(size: number): void {
    const record = this.records[this.told++];
    if (record === undefined) this.violations.push('The host was told of a commit that was not logged.');
    else if (size !== sizeOfRecord(record.operations)) this.violations.push(`The host was told of ${size} bytes.`);
  }
}

/** Bounds of a scan over everything, forwards. */
export const EVERYTHING: ScanBounds = {
  lower: null,
  lowerExclusive: false,
  upper: null,
  upperExclusive: false,
  reverse: false,
  wantsValues: true,
};

/** One byte for each character. */
export function bytes(string: string): Uint8Array {
  return Uint8Array.from(Buffer.from(string, 'latin1'));
}

export function text(array: Uint8Array): string {
  return Buffer.from(array).toString('latin1');
}

/** The code of the error that the call throws; 'none' if it throws none. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof PagewrightError) return error.code;
    throw error;
  }
  return 'none';
}

export function isTransaction(from: Snapshot | TransactionCore | null): from is TransactionCore {
  return from !== null && 'lookup' in from;
}

function sizeOfRecord(operations: readonly LogOperation[]): number {
  return operations.reduce((sum, { key, value }) => sum + 16 + key.length + value.length, 48);
}

function compareOperations(a: LogOperation, b: LogOperation): number {
  return a.index - b.index || Buffer.compare(a.key, b.key);
}
