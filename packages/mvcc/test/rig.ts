/** Concurrency control with what it needs around it: a log in memory, a page store that counts, indexes in arrays. */
import {
  type CommitRecord,
  type ConcurrencyHost,
  EntryReference,
  type Log,
  OPERATION_CLEAR_INDEX,
  OPERATION_DROP_INDEX,
  type PageStore,
  PagewrightError,
  type ScanBounds,
  type Snapshot,
  type Target,
  type TransactionCore,
} from '@pagewright/core';
import { Mvcc, type MvccOptions } from '../src/index.js';
import { SortedIndex } from './sorted-index.js';

export class TestTarget implements Target {
  dropped = false;
  predecessor: TestTarget | null = null;
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

export class Rig {
  readonly mvcc: Mvcc;
  readonly records: CommitRecord[] = [];
  failure: unknown = null;
  writable = true;
  /** Set to throw from the log or the page store before anything is appended. */
  refuse: 'log' | 'space' | null = null;
  /** Whether pages are missing, one time in three, while `faulting` is on. */
  faults = false;
  private random = 1;
  private readonly pages: { faulting: boolean; pageSize: number };
  private lastNumber = 0;

  constructor(options: MvccOptions = {}, startAt = 0) {
    this.mvcc = new Mvcc(options);
    this.pages = {
      faulting: false,
      pageSize: 16384,
      secureSpace: () => {
        if (this.refuse === 'space') throw new PagewrightError('PW_FULL', 'no space');
      },
      stats: () => ({ fileBytes: 1 << 20, freeFileBytes: 0 }),
    } as { faulting: boolean; pageSize: number };
    const log = {
      maxRecordSize: 1 << 20,
      sizeOf: () => 100,
      reserveSync: () => {
        if (this.refuse === 'log') throw new PagewrightError('PW_FULL', 'no space');
      },
      append: (record: CommitRecord) => {
        this.records.push({ ...record, operations: record.operations.map((operation) => ({ ...operation })) });
        return this.records.length;
      },
    };
    const host: ConcurrencyHost = {
      pages: this.pages as PageStore,
      log: log as unknown as Log,
      assertWritable: () => {
        if (!this.writable) throw new PagewrightError('PW_READ_ONLY', 'read-only');
      },
      fail: (error) => {
        this.failure = error;
        return new PagewrightError('PW_ENGINE_FAILED', 'failed', { cause: error });
      },
      committed: () => {},
    };
    this.mvcc.start(host, startAt);
  }

  newIndex(): SortedIndex {
    return new SortedIndex(() => {
      if (!this.faults || !this.pages.faulting) return false;
      this.random = (this.random * 48271) % 2147483647;
      return this.random % 3 === 0;
    });
  }

  target(name = 'index'): TestTarget {
    return new TestTarget(++this.lastNumber, name, this.newIndex(), this.mvcc.visible);
  }

  clear(target: TestTarget): void {
    this.mvcc.commitOperation(
      { kind: OPERATION_CLEAR_INDEX, index: target.number, key: new Uint8Array(0) },
      (timestamp) => {
        const before = new TestTarget(target.number, target.name, target.index, target.incarnation);
        before.predecessor = target.predecessor;
        target.predecessor = before;
        target.index = this.newIndex();
        target.incarnation = timestamp;
      },
    );
  }

  drop(target: TestTarget): void {
    this.mvcc.commitOperation({ kind: OPERATION_DROP_INDEX, index: target.number, key: new Uint8Array(0) }, () => {
      target.dropped = true;
    });
  }

  put(target: Target, key: string, value: string | null): void {
    this.mvcc.commit([{ target, key: bytes(key), value: value === null ? null : bytes(value) }]);
  }

  get(target: Target, key: string, from: Snapshot | TransactionCore | null = null): string | undefined {
    const into = new EntryReference();
    const found = this.reading(() =>
      from !== null && 'lookup' in from
        ? from.lookup(target, bytes(key), into)
        : this.mvcc.lookup(target, bytes(key), into, from),
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

  openScan(target: Target, from: Snapshot | TransactionCore | null, bounds: Partial<ScanBounds> = {}) {
    const whole = { ...EVERYTHING, ...bounds };
    return from !== null && 'scan' in from ? from.scan(target, whole) : this.mvcc.scan(target, whole, from);
  }

  /** One batch of a scan. */
  step(scan: ReturnType<Rig['openScan']>, into: string[]): boolean {
    const more = this.reading(() => scan.next());
    for (let i = 0; i < scan.count; i++) into.push(`${text(scan.keys[i]!)}=${text(scan.values[i]!)}`);
    return more;
  }

  /** Reads as an asynchronous method does: a page that is missing is loaded, and the read starts again. */
  private reading<Result>(read: () => Result): Result {
    for (;;) {
      this.pages.faulting = this.faults;
      try {
        return read();
      } catch (error) {
        if (!(error instanceof Object && 'isPageFault' in error)) throw error;
      } finally {
        this.pages.faulting = false;
      }
    }
  }
}

export const EVERYTHING: ScanBounds = {
  lower: null,
  lowerExclusive: false,
  upper: null,
  upperExclusive: false,
  reverse: false,
  wantsValues: true,
};

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
