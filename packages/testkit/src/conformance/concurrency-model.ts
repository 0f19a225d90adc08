/**
 * Random interleavings of transactions, snapshots, plain writes, scans, clears and collection, against an oracle of
 * snapshot isolation. What a step does follows from the seed alone.
 */
import assert from 'node:assert/strict';
import type { Scan, Snapshot, TransactionCore } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, type ConcurrencyRig, codeOf, isTransaction, type RigTarget } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause } from './concurrency-clause.js';
import { assertNothingKept, collectAll } from './concurrency-collection.js';
import { entriesIn, IndexHistory, type KeyRange, keysIn, type Sight } from './concurrency-oracle.js';

const SEEDS = 250;
const STEPS = 100;

export const modelClauses: readonly ConcurrencyClause[] = [
  {
    id: 'any-interleaving',
    rules: ['T1', 'T2', 'T3', 'T4', 'T7'],
    says: 'gives in any interleaving what snapshot isolation says, and leaves nothing behind',
    needs: ['snapshots', 'write-conflicts', 'savepoints'],
    check(subject) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const rig = subject.rig();
        new Interleaving(rig, new Random(seed)).run(`seed ${seed}`);
      }
    },
  },
];

type Writes = Map<string, string | null>;

interface OpenTransaction {
  readonly core: TransactionCore;
  readonly snapshot: number;
  /** By index, then key. */
  writes: Writes[];
  savepoints: { readonly id: number; readonly writes: Writes[] }[];
  /** What it has read, by index. A stricter isolation may hold that against it. */
  readonly reads: Set<string>[];
}

/** A scan that is gone through while other things happen. */
interface OpenScan {
  readonly scan: Scan;
  readonly which: number;
  readonly range: KeyRange;
  readonly owner: OpenTransaction | null;
  readonly seen: Sight;
  readonly entries: string[];
  /** Keys that the owner wrote or rolled back since the scan began: it may meet them or not. */
  readonly touched: Set<string>;
}

/** Some share a page of the index, some are all that there is on theirs. */
const KEYS = ['a', 'a1', 'a2', 'b', 'b1', 'c', 'c\xff', 'd', '\x00', '\xff\xff'];
const SLOTS = 4;

class Interleaving {
  readonly #rig: ConcurrencyRig;
  readonly #random: Random;
  readonly #targets: readonly RigTarget[];
  readonly #histories = [new IndexHistory(), new IndexHistory()];
  readonly #transactions: (OpenTransaction | undefined)[] = [];
  readonly #snapshots: (Snapshot | undefined)[] = [];
  #scan: OpenScan | null = null;
  #lastValue = 0;
  /** What may happen next, each as often as it is wanted. */
  readonly #steps: readonly (() => void)[];

  constructor(rig: ConcurrencyRig, random: Random) {
    this.#rig = rig;
    this.#random = random;
    this.#targets = [rig.target('first'), rig.target('second')];
    if (random.chance(0.5)) rig.faults = () => random.chance(1 / 3);
    const weights: [number, () => void][] = [
      [4, () => this.#begin()],
      [8, () => this.#write()],
      [6, () => this.#read()],
      [4, () => this.#readRange()],
      [4, () => this.#commit()],
      [1, () => this.#abort()],
      [3, () => this.#savepoint()],
      [3, () => this.#rollback()],
      [6, () => this.#commitPlain()],
      [3, () => this.#openSnapshot()],
      [4, () => this.#readSnapshot()],
      [2, () => this.#release()],
      [3, () => this.#openScan()],
      [10, () => this.#stepScan()],
      [1, () => this.#clear()],
      [2, () => void rig.concurrency.collect(random.between(1, 4))],
      [3, () => this.#readNewest()],
    ];
    this.#steps = weights.flatMap(([weight, step]) => Array.from({ length: weight }, () => step));
  }

  run(name: string): void {
    let step = 0;
    try {
      for (; step < STEPS; step++) {
        this.#random.pick(this.#steps)();
        this.#assertStats();
      }
      this.#end();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${name}, step ${step}: ${message}`, { cause: error });
    }
  }

  #begin(): void {
    const slot = this.#random.below(SLOTS);
    this.#transactions[slot]?.core.abort();
    const { concurrency } = this.#rig;
    const snapshot = concurrency.visible;
    const core = concurrency.begin();
    assert.equal(core.snapshot.timestamp, snapshot);
    const none = () => [new Set<string>(), new Set<string>()];
    this.#transactions[slot] = { core, snapshot, writes: [new Map(), new Map()], savepoints: [], reads: none() };
  }

  #write(): void {
    const transaction = this.#pickTransaction();
    if (transaction === undefined) return;
    const which = this.#random.below(2);
    const key = this.#random.pick(KEYS);
    const value = this.#newValue();
    if (value === null) transaction.core.delete(this.#targets[which]!, bytes(key));
    else transaction.core.put(this.#targets[which]!, bytes(key), bytes(value));
    transaction.writes[which]!.set(key, value);
    this.#touch(transaction);
  }

  #read(): void {
    const transaction = this.#pickTransaction();
    if (transaction === undefined) return;
    const which = this.#random.below(2);
    const key = this.#random.pick(KEYS);
    transaction.reads[which]!.add(key);
    const found = this.#rig.get(this.#targets[which]!, key, transaction.core);
    assert.equal(
      found,
      this.#seenBy(transaction, which)(key),
      `A transaction at ${transaction.snapshot} reads ${key}.`,
    );
  }

  #readRange(): void {
    const transaction = this.#pickTransaction();
    if (transaction === undefined) return;
    const which = this.#random.below(2);
    for (const key of KEYS) transaction.reads[which]!.add(key);
    this.#assertRange(
      which,
      transaction.core,
      this.#seenBy(transaction, which),
      `a transaction at ${transaction.snapshot}`,
    );
  }

  #commit(): void {
    const slot = this.#random.below(SLOTS);
    const transaction = this.#transactions[slot];
    if (transaction === undefined) return;
    this.#transactions[slot] = undefined;
    const { core, snapshot, writes, reads } = transaction;
    const any = (keys: (which: number) => Iterable<string>, changed: (history: IndexHistory, key: string) => boolean) =>
      this.#histories.some((history, which) => [...keys(which)].some((key) => changed(history, key)));
    const written = (which: number) => writes[which]!.keys();
    const must = any(written, (history, key) => history.changedAfter(key, snapshot));
    const may =
      any(written, (history, key) => history.writtenAfter(key, snapshot)) ||
      any(
        (which) => reads[which]!,
        (history, key) => history.writtenAfter(key, snapshot),
      );
    const code = codeOf(() => core.commit());
    if (must || (may && code !== 'none')) assert.equal(code, 'PW_CONFLICT', 'The commit of a transaction.');
    else assert.equal(code, 'none', 'The commit of a transaction that conflicts with no one.');
    if (code !== 'none') return;
    for (const [which, history] of this.#histories.entries()) {
      for (const [key, value] of writes[which]!) history.write(key, this.#rig.concurrency.visible, value);
    }
  }

  #abort(): void {
    const slot = this.#random.below(SLOTS);
    this.#transactions[slot]?.core.abort();
    this.#transactions[slot] = undefined;
  }

  #savepoint(): void {
    const transaction = this.#pickTransaction();
    if (transaction === undefined) return;
    const writes = transaction.writes.map((each) => new Map(each));
    transaction.savepoints.push({ id: transaction.core.savepoint(), writes });
  }

  #rollback(): void {
    const transaction = this.#pickTransaction();
    if (transaction === undefined || transaction.savepoints.length === 0) return;
    const to = this.#random.below(transaction.savepoints.length);
    const savepoint = transaction.savepoints[to]!;
    transaction.core.rollbackTo(savepoint.id);
    transaction.savepoints.length = to + 1;
    this.#touch(transaction);
    transaction.writes = savepoint.writes.map((each) => new Map(each));
    this.#touch(transaction);
  }

  #commitPlain(): void {
    const writes = Array.from({ length: this.#random.between(1, 4) }, () => ({
      which: this.#random.below(2),
      key: this.#random.pick(KEYS),
      value: this.#newValue(),
    }));
    this.#rig.concurrency.commit(
      writes.map(({ which, key, value }) => ({
        target: this.#targets[which]!,
        key: bytes(key),
        value: value === null ? null : bytes(value),
      })),
    );
    const last = new Map(writes.map((write) => [`${write.which}${write.key}`, write]));
    for (const { which, key, value } of last.values()) {
      this.#histories[which]!.write(key, this.#rig.concurrency.visible, value);
    }
  }

  #openSnapshot(): void {
    const slot = this.#random.below(SLOTS);
    this.#snapshots[slot]?.release();
    this.#snapshots[slot] = this.#rig.concurrency.snapshot();
  }

  #readSnapshot(): void {
    const snapshot = this.#snapshots[this.#random.below(SLOTS)];
    if (snapshot === undefined) return;
    const which = this.#random.below(2);
    const seen: Sight = (key) => this.#histories[which]!.at(key, snapshot.timestamp);
    this.#assertRange(which, snapshot, seen, `a snapshot at ${snapshot.timestamp}`);
    for (const key of KEYS) {
      const found = this.#rig.get(this.#targets[which]!, key, snapshot);
      assert.equal(found, seen(key), `A snapshot at ${snapshot.timestamp} reads ${key}.`);
    }
  }

  #release(): void {
    const slot = this.#random.below(SLOTS);
    this.#snapshots[slot]?.release();
    this.#snapshots[slot] = undefined;
  }

  #openScan(): void {
    const which = this.#random.below(2);
    const range = this.#range();
    const transaction = this.#random.chance(0.5) ? this.#pickTransaction() : undefined;
    const snapshot = this.#snapshots[this.#random.below(SLOTS)];
    const from = transaction?.core ?? snapshot;
    if (from === undefined) return;
    if (transaction !== undefined) for (const key of KEYS) transaction.reads[which]!.add(key);
    const timestamp = snapshot?.timestamp ?? 0;
    this.#scan = {
      scan: this.#rig.openScan(this.#targets[which]!, from, inBytes(range)),
      which,
      range,
      owner: transaction ?? null,
      seen:
        transaction === undefined
          ? (key) => this.#histories[which]!.at(key, timestamp)
          : (key) => this.#seenBy(transaction, which)(key),
      entries: [],
      touched: new Set(),
    };
  }

  #stepScan(): void {
    const open = this.#scan;
    if (open === null) return;
    const { entries, seen, touched, range } = open;
    const before = entries.length;
    let more = false;
    const code = codeOf(() => {
      more = this.#rig.step(open.scan, entries);
    });
    if (code !== 'none') {
      assert.ok(code === 'PW_TXN_CLOSED' || code === 'PW_CLOSED', `A scan failed with ${code}.`);
      this.#scan = null;
      return;
    }
    // What is given out is what is there when it is given out.
    for (const entry of entries.slice(before)) assert.equal(entry, `${keyOf(entry)}=${seen(keyOf(entry))}`);
    if (more) return;
    const keys = entries.map(keyOf);
    assert.deepEqual(
      keys,
      keysIn([...new Set(keys)], range),
      'A scan gave keys out of order, twice or beyond its bounds.',
    );
    const untouched = entries.filter((entry) => !touched.has(keyOf(entry)));
    const wanted = entriesIn(
      KEYS.filter((key) => !touched.has(key)),
      seen,
      range,
    );
    assert.deepEqual(untouched, wanted, 'A scan that others came between.');
    this.#scan = null;
  }

  #clear(): void {
    const which = this.#random.below(2);
    this.#rig.clear(this.#targets[which]!);
    this.#histories[which]!.clear(this.#rig.concurrency.visible);
  }

  #readNewest(): void {
    const which = this.#random.below(2);
    this.#assertRange(which, null, this.#newest(which), 'everyone');
  }

  #assertRange(which: number, from: Snapshot | TransactionCore | null, seen: Sight, who: string): void {
    const range = this.#range();
    const found = this.#rig.scan(this.#targets[which]!, from, inBytes(range));
    assert.deepEqual(found, entriesIn(KEYS, seen, range), `A range of ${who}.`);
    if (isTransaction(from)) return;
    this.#targets[which]!.index.counts = this.#random.chance(0.7);
    const count = this.#rig.count(this.#targets[which]!, from, inBytes(range));
    assert.equal(count, found.length, `The number of entries in a range of ${who}.`);
  }

  #assertStats(): void {
    const { concurrency } = this.#rig;
    const open = [
      ...this.#snapshots.flatMap((snapshot) => snapshot?.timestamp ?? []),
      ...this.#transactions.flatMap((transaction) => transaction?.snapshot ?? []),
    ];
    assert.equal(concurrency.stats().activeSnapshots, open.length, 'Another number of snapshots is open.');
    assert.equal(concurrency.oldestNeeded, Math.min(concurrency.visible, ...open), 'Another snapshot is the oldest.');
    assert.equal(concurrency.visible, this.#rig.logged, 'V is not the last commit.');
  }

  /** Everyone leaves: only the newest entries are left, and the log says the same. */
  #end(): void {
    for (const transaction of this.#transactions) transaction?.core.abort();
    for (const snapshot of this.#snapshots) snapshot?.release();
    collectAll(this.#rig);
    for (const [which, target] of this.#targets.entries()) {
      const wanted = entriesIn(KEYS, this.#newest(which), { ...WHOLE, reverse: false });
      assertNothingKept(this.#rig, target, wanted.map(keyOf));
      assert.deepEqual(this.#rig.replayed(target), wanted, 'The log says something else than the index.');
    }
  }

  #pickTransaction(): OpenTransaction | undefined {
    const open = this.#transactions.filter((transaction) => transaction !== undefined);
    return open.length === 0 ? undefined : this.#random.pick(open);
  }

  #newValue(): string | null {
    return this.#random.chance(0.4) ? null : `v${++this.#lastValue}`;
  }

  #range(): KeyRange {
    const bound = () => (this.#random.chance(0.5) ? null : this.#random.pick(KEYS));
    const coin = () => this.#random.chance(0.5);
    return { lower: bound(), upper: bound(), lowerExclusive: coin(), upperExclusive: coin(), reverse: coin() };
  }

  #newest(which: number): Sight {
    return (key) => this.#histories[which]!.at(key, this.#rig.concurrency.visible);
  }

  #seenBy(transaction: OpenTransaction, which: number): Sight {
    return (key) => {
      const own = transaction.writes[which]!.get(key);
      return own === undefined ? this.#histories[which]!.at(key, transaction.snapshot) : (own ?? undefined);
    };
  }

  /** An open scan of the transaction may meet what it has written, or not. */
  #touch(transaction: OpenTransaction): void {
    if (this.#scan?.owner !== transaction) return;
    for (const key of transaction.writes[this.#scan.which]!.keys()) this.#scan.touched.add(key);
  }
}

const WHOLE = { lower: null, upper: null, lowerExclusive: false, upperExclusive: false };

function inBytes(range: KeyRange) {
  const { lower, upper } = range;
  return { ...range, lower: lower === null ? null : bytes(lower), upper: upper === null ? null : bytes(upper) };
}

function keyOf(entry: string): string {
  return entry.slice(0, entry.indexOf('='));
}
