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
  type LogOperations,
  OPERATION_CLEAR_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_LOAD_INDEX,
  OPERATION_PUT,
  PageFault,
  type PageStore,
  type PageStoreStats,
  PagewrightError,
  type ReplayedRecord,
  type Scan,
  type ScanBounds,
  type Snapshot,
  TAG_TOMBSTONE,
  TAG_VALUE,
  type Target,
  Threads,
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
  readonly records: ReplayedRecord[] = [];
  /** Positions behind the records. */
  readonly positions: number[] = [];
  /** What was owed to the host and not done. */
  readonly violations: string[] = [];
  /** What the host was told to fail with (T6). */
  failure: unknown = null;
  writable = true;
  /** How often the hosts were told that something may be collected. */
  kept = 0;
  /** Set to refuse a commit before anything is appended. */
  refuse: 'log' | 'space' | null = null;
  /** Whether a page is missing when it is accessed while `faulting` is on. */
  faults: (() => boolean) | null = null;
  readonly pages: { faulting: boolean };
  /** The thread in which it was started. */
  readonly asThread: RigThread;
  private readonly targets: RigTarget[] = [];
  private scans = 0;
  /** Commits up to this one were made and logged by another process. */
  private arrived = 0;
  private readonly threadMemory = new SharedArrayBuffer(Threads.bytes());
  private isShared = false;

  constructor(
    readonly concurrency: Concurrency,
    readonly startAt = 0,
  ) {
    const thread = new RigHost(this, new Threads(this.threadMemory));
    this.pages = thread.pages;
    this.asThread = new RigThread(this, concurrency, thread);
    concurrency.start(thread.host, startAt);
  }

  /** Attaches another thread's concurrency control: the same log and indexes, in a thread of its own as far as it can tell. */
  attach(concurrency: Concurrency): RigThread {
    this.isShared = true;
    const thread = new RigHost(this, new Threads(this.threadMemory));
    // As it would arrive where it was posted to.
    concurrency.attach(thread.host, structuredClone(this.concurrency.share()));
    return new RigThread(this, concurrency, thread);
  }

  /** For the host of a thread: whether others may be at work, so that commits are in the gate. */
  get wantsGate(): boolean {
    return this.isShared;
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

  clear(target: RigTarget, by = this.concurrency): void {
    this.#beginAnew(OPERATION_CLEAR_INDEX, target, by);
  }

  /** The index gets another tree, as a bulk load gives it one: here an empty one. */
  load(target: RigTarget, by = this.concurrency): void {
    this.#beginAnew(OPERATION_LOAD_INDEX, target, by);
  }

  #beginAnew(kind: number, target: RigTarget, by: Concurrency): void {
    const operation = { kind, index: target.number, key: new Uint8Array(0) };
    by.commitOperation(operation, (timestamp) => {
      const before = new RigTarget(target.number, target.name, target.index, target.incarnation);
      before.predecessor = target.predecessor;
      target.predecessor = before;
      target.index = this.newIndex();
      target.incarnation = timestamp;
    });
  }

  drop(target: RigTarget, by = this.concurrency): void {
    const operation = { kind: OPERATION_DROP_INDEX, index: target.number, key: new Uint8Array(0) };
    by.commitOperation(operation, () => {
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
    // Every other one may be packed.
    const whole = { ...EVERYTHING, mayPack: (this.scans++ & 1) === 0, ...bounds };
    return isTransaction(from) ? from.scan(target, whole) : this.concurrency.scan(target, whole, from);
  }

  /** One batch of a scan. */
  step(scan: Scan, into: string[]): boolean {
    const more = this.reading(() => scan.next());
    const packed = scan.packed ?? null;
    for (let i = 0; i < scan.count; i++) {
      const key = packed === null ? scan.keys[i]! : packed.keys.viewAt(i);
      const value = packed === null ? scan.values[i]! : packed.valueAt(i);
      into.push(`${text(key)}=${text(value)}`);
    }
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

  /** The index of that number, unless it was dropped. */
  targetOf(number: number): RigTarget | null {
    return this.targets.find((target) => target.number === number && !target.dropped) ?? null;
  }

  /** A thread has logged a commit. Returns the position behind it. */
  take(record: CommitRecord): number {
    const { timestamp } = record;
    const operations = [...record.operations].map(copyOf);
    if (timestamp !== this.logged + 1) this.violations.push(`Commit ${timestamp} was logged after ${this.logged}.`);
    for (let i = 1; i < operations.length; i++) {
      if (compareOperations(operations[i - 1]!, operations[i]!) >= 0) {
        this.violations.push(`The operations of commit ${timestamp} are not sorted, each key once.`);
      }
    }
    this.records.push({ ...record, time: 0, operations });
    this.positions.push((this.positions.at(-1) ?? 0) + sizeOfRecord(operations));
    return this.positions.at(-1)!;
  }
}

/** What surrounds one thread, and watches what it owes. */
class RigHost {
  readonly host: ConcurrencyHost;
  readonly pages: { faulting: boolean };
  /** What this thread was told to fail with. */
  failure: unknown = null;
  /** What was done for the commit that comes. */
  private reserved = 0;
  private spaceSecured = false;
  /** Pages that room was secured for, and not given back. */
  private claimed = 0;
  private allowed = false;
  private gate = 0;
  /** Sizes of commits that the host was not told of yet. */
  private readonly untold: { readonly size: number; readonly changes: number }[] = [];

  constructor(
    private readonly rig: ConcurrencyRig,
    readonly threads: Threads,
  ) {
    const stats: Partial<PageStoreStats> = { fileBytes: 1 << 20, freeFileBytes: 0 };
    const pages: Partial<PageStore> & { faulting: boolean } = {
      faulting: false,
      pageSize: 16384,
      threads,
      secureSpace: (claimed) => {
        if (rig.refuse === 'space') throw new PagewrightError('PW_FULL', 'no space');
        this.spaceSecured = true;
        this.claimed += claimed;
      },
      giveSpace: (given) => {
        this.claimed -= given;
        if (this.claimed < 0) rig.violations.push('A thread has given back more room than it had secured.');
      },
      stats: () => stats as PageStoreStats,
      enterGate: () => {
        this.gate++;
      },
      leaveGate: () => {
        if (--this.gate < 0) rig.violations.push('A thread has left the gate more often than it has entered it.');
      },
    };
    this.pages = pages;
    const log: Partial<Log> = {
      maxRecordSize: RIG_MAX_RECORD_SIZE,
      sizeOf: sizeOfRecord,
      reserveSync: (bytes: number) => {
        if (bytes > RIG_MAX_RECORD_SIZE) throw new PagewrightError('PW_TXN_TOO_LARGE', `${bytes} bytes`);
        if (rig.refuse === 'log') throw new PagewrightError('PW_FULL', 'no space');
        this.reserved = bytes;
      },
      append: (record: CommitRecord) => this.append(record),
    };
    this.host = {
      pages: pages as PageStore,
      log: log as Log,
      assertWritable: () => {
        if (!rig.writable) throw new PagewrightError('PW_READ_ONLY', 'read-only');
        this.allowed = true;
      },
      fail: (error) => {
        this.failure = error;
        rig.failure ??= error;
        return new PagewrightError('PW_ENGINE_FAILED', 'failed', { cause: error });
      },
      committed: (bytes, changes) => this.committed(bytes, changes),
      kept: () => {
        rig.kept++;
      },
      catchUp: () => {},
      target: (number) => rig.targetOf(number),
    };
  }

  private append(record: CommitRecord): number {
    const { violations } = this.rig;
    const { timestamp, operations } = record;
    const size = sizeOfRecord(operations);
    if (this.reserved < size) violations.push(`Commit ${timestamp} was logged without room in the log.`);
    if (!this.spaceSecured) violations.push(`Commit ${timestamp} was logged before room for its pages was secured.`);
    if (!this.allowed) violations.push(`Commit ${timestamp} was logged without asking whether commits are accepted.`);
    if (this.rig.wantsGate && this.gate === 0) violations.push(`Commit ${timestamp} was logged outside of the gate.`);
    this.reserved = 0;
    this.spaceSecured = false;
    this.allowed = false;
    const changes = [...operations].filter(({ kind }) => kind === OPERATION_PUT || kind === OPERATION_DELETE);
    this.untold.push({ size, changes: changes.length });
    return this.rig.take(record);
  }

  private committed(size: number, changes: number): void {
    const { violations } = this.rig;
    const wanted = this.untold.shift();
    if (wanted === undefined) violations.push('The host was told of a commit that was not logged.');
    else if (size !== wanted.size) violations.push(`The host was told of ${size} bytes.`);
    else if (changes !== wanted.changes) violations.push(`The host was told of ${changes} changes.`);
    if (this.gate > 0) violations.push('A commit has returned in the gate.');
    if (this.claimed > 0) violations.push('A commit has kept room that it does not need any more.');
  }
}

/** Another thread of a rig. */
export class RigThread {
  constructor(
    private readonly rig: ConcurrencyRig,
    readonly concurrency: Concurrency,
    private readonly own: RigHost,
  ) {}

  /** What this thread was told to fail with (T6). */
  get failure(): unknown {
    return this.own.failure;
  }

  /** It is gone from now on, without having said so. */
  end(): void {
    this.own.threads.leave();
  }

  /** Called when it has waited for another thread for so long that it looks whether that is there; what it throws ends the wait. */
  onLook(look: () => void): void {
    this.own.threads.sweep = look;
  }

  put(target: Target, key: string, value: string | null): void {
    this.concurrency.commit([{ target, key: bytes(key), value: value === null ? null : bytes(value) }]);
  }

  get(target: Target, key: string, from: Snapshot | TransactionCore | null = null): string | undefined {
    const into = new EntryReference();
    const found = isTransaction(from)
      ? from.lookup(target, bytes(key), into)
      : this.concurrency.lookup(target, bytes(key), into, from);
    return found ? text(into.value) : undefined;
  }

  /** All entries as `key=value`. */
  scan(target: Target, from: Snapshot | TransactionCore | null = null, bounds: Partial<ScanBounds> = {}): string[] {
    const whole = { ...EVERYTHING, mayPack: true, ...bounds };
    const scan = isTransaction(from) ? from.scan(target, whole) : this.concurrency.scan(target, whole, from);
    const entries: string[] = [];
    while (this.rig.step(scan, entries)) {}
    return entries;
  }

  clear(target: RigTarget): void {
    this.rig.clear(target, this.concurrency);
  }

  drop(target: RigTarget): void {
    this.rig.drop(target, this.concurrency);
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

function sizeOfRecord(operations: LogOperations): number {
  let size = 56;
  for (const { key, value } of operations) size += 16 + key.length + value.length;
  return size;
}

function copyOf({ kind, index, key, value }: LogOperation): LogOperation {
  return { kind, index, key: new Uint8Array(key), value: new Uint8Array(value) };
}

function compareOperations(a: LogOperation, b: LogOperation): number {
  return a.index - b.index || Buffer.compare(a.key, b.key);
}
