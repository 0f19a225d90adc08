/**
 * What a thread does with a bank that several threads share, and what must be so whenever it looks (T1 to T4):
 * - accounts keep their sum in every snapshot, read by key and by range, and a snapshot shows the same as long as it stands;
 * - two ghosts are there together or not at all;
 * - a counter has as many increments as were committed;
 * - what a thread has put is there for all, in reads and in snapshots, when its commit has returned.
 */
import assert from 'node:assert/strict';
import {
  type CommitTicket,
  type Concurrency,
  EntryReference,
  isPagewrightError,
  type ScanBounds,
  type Snapshot,
  type Target,
  type TransactionCore,
} from '@pagewright/core';
import type { Random } from '@pagewright/testkit';

export const ACCOUNTS = 60;
export const OPENING_BALANCE = 100;
/** Snapshots that a thread keeps open. */
const MOST_OPEN = 4;

/** What threads know of one another, beside the store: for each the last number that it has put, and its increments that went through. */
export class Known {
  readonly #words: Int32Array;

  static bytes(threads: number): number {
    return threads * 8;
  }

  constructor(readonly memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  put(thread: number, number: number): void {
    Atomics.store(this.#words, 2 * thread, number);
  }

  lastPut(thread: number): number {
    return Atomics.load(this.#words, 2 * thread);
  }

  incremented(thread: number): void {
    Atomics.add(this.#words, 2 * thread + 1, 1);
  }

  get increments(): number {
    let sum = 0;
    for (let at = 1; at < this.#words.length; at += 2) sum += Atomics.load(this.#words, at);
    return sum;
  }

  get threads(): number {
    return this.#words.length / 2;
  }
}

interface OpenSnapshot {
  readonly snapshot: Snapshot;
  /** What it showed at first. */
  readonly content: string;
}

export class Bank {
  conflicts = 0;
  tooOld = 0;
  readonly #open: OpenSnapshot[] = [];
  readonly #into = new EntryReference();
  #number = 0;

  constructor(
    private readonly mvcc: Concurrency,
    private readonly target: Target,
    private readonly known: Known,
    private readonly thread: number,
    private readonly random: Random,
  ) {}

  /** Before any other thread comes. */
  fill(): void {
    const { target } = this;
    const writes = Array.from({ length: ACCOUNTS }, (_, i) => ({
      target,
      key: accountKey(i),
      value: bytesOf(`${OPENING_BALANCE}`),
    }));
    this.mvcc.commit([...writes, { target, key: bytesOf('counter'), value: bytesOf('0') }]);
  }

  /** One thing or another. */
  act(): void {
    const kind = this.random.below(16);
    if (kind < 5) this.#trying(() => this.#transfer());
    else if (kind < 7) this.#trying(() => this.#increment());
    else if (kind < 9) this.#trying(() => this.#haunt());
    else if (kind < 11) this.#putOwn();
    else if (kind < 13) this.#readOthers();
    else if (kind === 13) this.#openSnapshot();
    else if (kind === 14) this.#lookAgain();
    else this.mvcc.collect(1 + this.random.below(50));
  }

  /** Releases what is open, looking at it once more. */
  end(): void {
    while (this.#open.length > 0) this.#close(0);
  }

  /** What is there when all have come to their end. A thread that was ended may have committed an increment that nobody knows of. */
  checkEnd(wasOneEnded: boolean): void {
    const snapshot = this.mvcc.snapshot();
    this.#contentAt(snapshot);
    const unknown = Number(this.#get('counter', snapshot)) - this.known.increments;
    assert.ok(unknown === 0 || (wasOneEnded && unknown === 1), `${-unknown} increments were lost.`);
    snapshot.release();
    while (this.mvcc.collect(100)) {}
    const { activeSnapshots, versions, versionBytes } = this.mvcc.stats();
    assert.deepEqual([activeSnapshots, versions, versionBytes], [0, 0, 0], 'Something is kept for no one.');
  }

  /** What may happen to any transaction beside others. */
  #trying(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (isPagewrightError(error, 'PW_CONFLICT')) this.conflicts++;
      else if (isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD')) this.tooOld++;
      else throw error;
    }
  }

  #transfer(): void {
    const transaction = this.mvcc.begin();
    const from = this.random.below(ACCOUNTS);
    const to = (from + 1 + this.random.below(ACCOUNTS - 1)) % ACCOUNTS;
    const amount = this.random.below(20);
    this.#set(transaction, accountKey(from), this.#balance(from, transaction) - amount);
    this.#set(transaction, accountKey(to), this.#balance(to, transaction) + amount);
    this.#commit(transaction);
  }

  #increment(): void {
    const transaction = this.mvcc.begin();
    this.#set(transaction, bytesOf('counter'), Number(this.#get('counter', transaction)) + 1);
    this.#commit(transaction);
    this.known.incremented(this.thread);
  }

  #haunt(): void {
    const transaction = this.mvcc.begin();
    const isThere = this.#get('ghost0', transaction) !== undefined;
    for (const name of ['ghost0', 'ghost1']) {
      if (isThere) transaction.delete(this.target, bytesOf(name));
      // Of many sizes, from one block to many pages.
      else transaction.put(this.target, bytesOf(name), bytesOf('boo'.repeat(this.random.below(3) * 700)));
    }
    this.#commit(transaction);
  }

  #putOwn(): void {
    const number = ++this.#number;
    this.#returned(this.mvcc.commit([{ target: this.target, key: ownKey(this.thread), value: bytesOf(`${number}`) }]));
    this.known.put(this.thread, number);
  }

  #commit(transaction: TransactionCore): void {
    this.#returned(transaction.commit());
  }

  #returned({ timestamp }: CommitTicket): void {
    assert.ok(this.mvcc.visible >= timestamp, `Commit ${timestamp} has returned, and V is ${this.mvcc.visible}.`);
  }

  #readOthers(): void {
    for (let thread = 0; thread < this.known.threads; thread++) {
      const last = this.known.lastPut(thread);
      if (last === 0) continue;
      const name = `own${thread}`;
      assert.ok(Number(this.#get(name, null)) >= last, `Thread ${thread} has put ${last}, and it is not there.`);
      const snapshot = this.mvcc.snapshot();
      this.#trying(() => {
        const seen = Number(this.#get(name, snapshot));
        assert.ok(seen >= last, `Thread ${thread} has put ${last}, and a later snapshot sees ${seen}.`);
      });
      snapshot.release();
    }
  }

  #openSnapshot(): void {
    if (this.#open.length >= MOST_OPEN) this.#close(this.random.below(this.#open.length));
    const snapshot = this.mvcc.snapshot();
    let content = '';
    this.#trying(() => {
      content = this.#contentAt(snapshot);
    });
    if (content === '') snapshot.release();
    else this.#open.push({ snapshot, content });
  }

  #lookAgain(): void {
    if (this.#open.length === 0) return;
    const { snapshot, content } = this.random.pick(this.#open);
    this.#trying(() => assert.equal(this.#contentAt(snapshot), content, 'A snapshot has changed under its reader.'));
  }

  #close(at: number): void {
    const [{ snapshot, content }] = this.#open.splice(at, 1) as [OpenSnapshot];
    this.#trying(() => assert.equal(this.#contentAt(snapshot), content, 'A snapshot has changed under its reader.'));
    snapshot.release();
  }

  /** All accounts and ghosts of a snapshot, by range one way and by key. */
  #contentAt(snapshot: Snapshot): string {
    const entries: string[] = [];
    const reverse = this.random.chance(0.5);
    const scan = this.mvcc.scan(this.target, { ...EVERYTHING, reverse }, snapshot);
    while (scan.next()) {
      for (let i = 0; i < scan.count; i++) entries.push(`${textOf(scan.keys[i]!)}=${textOf(scan.values[i]!)}`);
    }
    if (reverse) entries.reverse();
    let sum = 0;
    let ghosts = 0;
    for (const entry of entries) {
      const [name, value] = entry.split('=') as [string, string];
      if (name.startsWith('account')) sum += Number(value);
      if (name.startsWith('ghost')) ghosts++;
    }
    assert.equal(sum, ACCOUNTS * OPENING_BALANCE, `A range of snapshot ${snapshot.timestamp} has another sum.`);
    assert.ok(ghosts !== 1, `A range of snapshot ${snapshot.timestamp} has half of a commit.`);
    for (let at = 0, total = 0; at < ACCOUNTS; at++) {
      total += this.#balance(at, snapshot);
      if (at === ACCOUNTS - 1) assert.equal(total, sum, `Look-ups at snapshot ${snapshot.timestamp} have another sum.`);
    }
    return entries.filter((entry) => !entry.startsWith('own')).join();
  }

  #balance(account: number, from: Snapshot | TransactionCore): number {
    const found = this.#get(accountName(account), from);
    assert.ok(found !== undefined, `Account ${account} is missing.`);
    return Number(found);
  }

  #get(name: string, from: Snapshot | TransactionCore | null): string | undefined {
    const key = bytesOf(name);
    const isTransaction = from !== null && 'lookup' in from;
    const found = isTransaction
      ? from.lookup(this.target, key, this.#into)
      : this.mvcc.lookup(this.target, key, this.#into, from);
    return found ? textOf(this.#into.value) : undefined;
  }

  #set(transaction: TransactionCore, key: Uint8Array, value: number): void {
    transaction.put(this.target, key, bytesOf(`${value}`));
  }
}

const EVERYTHING: ScanBounds = {
  lower: null,
  lowerExclusive: false,
  upper: null,
  upperExclusive: false,
  reverse: false,
  wantsValues: true,
};

function accountName(account: number): string {
  return `account${String(account).padStart(4, '0')}`;
}

function accountKey(account: number): Uint8Array {
  return bytesOf(accountName(account));
}

function ownKey(thread: number): Uint8Array {
  return bytesOf(`own${thread}`);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
