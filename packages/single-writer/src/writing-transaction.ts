/**
 * A transaction of which one at a time writes. It reads at its snapshot, waits for nobody while it does nothing else, and has the turn from its first write
 * until it ends.
 *
 * Must hold: who has the turn sees the newest state, and nobody changes it meanwhile. So if anything was committed since the snapshot, a transaction that has
 * read nothing gets a new one, and one that has read something may not write: what it writes would rest on what is not so any more. A bulk load alone goes live without
 * the turn: a commit is refused if that was of an index that the transaction has read.
 */
import {
  type CommitTicket,
  type Dependence,
  type EntryReference,
  type Isolation,
  PagewrightError,
  type Scan,
  type ScanBounds,
  type Snapshot,
  type Target,
  type TransactionCore,
  type WriteList,
} from '@pagewright/core';
import type { WriterLine } from './writer-line.js';

/** What all transactions of a thread share. */
export interface TransactionSurroundings {
  readonly line: WriterLine;
  /** V. */
  readonly visible: number;
  /** One whose commit is refused if an index that it has read has another tree: a bulk load needs no turn. */
  begin(isolation: Isolation | undefined): TransactionCore;
  /** Told of each transaction that came too late to write. */
  conflicted(): void;
}

export class WritingTransaction implements TransactionCore {
  #inner: TransactionCore;
  #hasRead = false;
  #isWriter: boolean;
  /** Savepoints from before the first write, in order, and what they are in the transaction that stands for this one now. */
  readonly #early = new Map<number, number>();

  /** `isWriter`: it has the turn, or is about to be given it. */
  constructor(
    private readonly shared: TransactionSurroundings,
    private readonly isolation: Isolation | undefined,
    isWriter: boolean,
  ) {
    this.#inner = shared.begin(isolation);
    this.#isWriter = isWriter;
  }

  get snapshot(): Snapshot {
    return this.#inner.snapshot;
  }

  get closed(): boolean {
    return this.#inner.closed;
  }

  get hasWrites(): boolean {
    return this.#inner.hasWrites;
  }

  lookup(target: Target, key: Uint8Array, into: EntryReference): boolean {
    this.#hasRead = true;
    return this.#inner.lookup(target, key, into);
  }

  scan(target: Target, bounds: ScanBounds): Scan {
    this.#hasRead = true;
    return this.#inner.scan(target, bounds);
  }

  put(target: Target, key: Uint8Array, value: Uint8Array): void {
    if (!this.#isWriter) this.#beginWriting(target, key);
    this.#inner.put(target, key, value);
  }

  delete(target: Target, key: Uint8Array): void {
    if (!this.#isWriter) this.#beginWriting(target, key);
    this.#inner.delete(target, key);
  }

  savepoint(): number {
    const savepoint = this.#inner.savepoint();
    if (!this.#isWriter) this.#early.set(savepoint, savepoint);
    return savepoint;
  }

  rollbackTo(savepoint: number): void {
    this.#inner.rollbackTo(this.#early.get(savepoint) ?? savepoint);
    for (const later of this.#early.keys()) if (later > savepoint) this.#early.delete(later);
  }

  writes(): WriteList {
    return this.#inner.writes();
  }

  commit(dependence?: Dependence): CommitTicket {
    try {
      return this.#inner.commit(dependence);
    } finally {
      this.shared.line.end(this);
    }
  }

  abort(): void {
    try {
      this.#inner.abort();
    } finally {
      this.shared.line.end(this);
    }
  }

  /** Errors: `PW_WRITER_BUSY`, `PW_CONFLICT`; it may go on reading. */
  #beginWriting(target: Target, key: Uint8Array): void {
    if (this.closed) return;
    const { line } = this.shared;
    line.takeNow(this);
    try {
      const { timestamp } = this.snapshot;
      if (this.shared.visible > timestamp) {
        if (this.#hasRead) this.#refuse(target, key);
        this.#renew();
      }
    } catch (error) {
      line.end(this);
      throw error;
    }
    this.#isWriter = true;
  }

  #renew(): void {
    const inner = this.shared.begin(this.isolation);
    for (const savepoint of this.#early.keys()) this.#early.set(savepoint, inner.savepoint());
    this.#inner.abort();
    this.#inner = inner;
  }

  #refuse(target: Target, key: Uint8Array): never {
    const { timestamp } = this.snapshot;
    const committed = this.shared.visible;
    this.shared.conflicted();
    throw new PagewrightError(
      'PW_CONFLICT',
      `This transaction has read what was there at commit ${timestamp}, and commit ${committed} has come since: it cannot write any more. Run it again; db.transaction() waits for its turn first.`,
      { details: { index: target.name, key: new Uint8Array(key), snapshot: timestamp, committed } },
    );
  }
}
