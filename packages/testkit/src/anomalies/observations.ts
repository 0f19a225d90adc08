/**
 * What each transaction saw: of every read the write that it comes from, and of every write the one that it was made of. What no order of transactions could explain,
 * and what a transaction must not see whatever the order, is found here (internal, garbage, G1a, G1b).
 */
import type { Findings } from './findings.js';
import type { Steps } from './steps.js';
import {
  INITIAL_TAG,
  type List,
  nameOf,
  type RecordedOperation,
  type RecordedTransaction,
} from './transaction-history.js';
import { deedText, listText } from './wording.js';
import { NONE, type WriteIndex, type WriteOperation } from './write-index.js';

/** A read whose source nobody can tell. */
const UNTOLD = -2;

export class Observations {
  /** Of each read by a transaction that counts: who, in which operation, of which write, and whether by the bounds of a range that did not find the key. */
  readonly reader: number[] = [];
  readonly operation: number[] = [];
  readonly source: number[] = [];
  readonly byPredicate: boolean[] = [];
  /** Of each write: what it was made of. Of roots: none. */
  readonly base: Int32Array;

  constructor(
    private readonly writes: WriteIndex,
    private readonly findings: Findings,
    private readonly steps: Steps,
  ) {
    this.base = new Int32Array(writes.transaction.length).fill(NONE);
    for (let write = writes.keys.length; write < this.base.length; write++)
      this.base[write] = writes.key[write] as number;
    for (let transaction = 0; transaction < writes.transactions.length; transaction++)
      new Onlooker(this, transaction, writes, findings, steps).look();
  }

  /** The write that a list comes from; undefined if there is none. */
  sourceOf(key: number, list: List): number | undefined {
    const { writes, steps } = this;
    const position = writes.positionOf(key);
    if (position === undefined) return list === null ? UNTOLD : undefined;
    if (list === null || list.length === 0) return writes.isInitial(key) ? this.#deletionOf(position) : position;
    const last = list[list.length - 1] as number;
    const write = last === INITIAL_TAG ? position : writes.withTag(last);
    if (write === undefined || writes.key[write] !== position) return undefined;
    const written = writes.listAfter(write);
    if (written === null || written.length !== list.length) return undefined;
    for (let at = 0; at < list.length; at++) {
      steps.count++;
      if (written[at] !== list[at]) return undefined;
    }
    return write;
  }

  note(reader: number, operation: number, source: number, byPredicate: boolean): void {
    if (source === UNTOLD) return;
    this.reader.push(reader);
    this.operation.push(operation);
    this.source.push(source);
    this.byPredicate.push(byPredicate);
  }

  /** Somebody sees the write of another transaction, and counts: what is wrong with that whatever the order. */
  judge(reader: number, operation: number, source: number): void {
    const { writes, findings } = this;
    if (source === UNTOLD || writes.isVersion(source)) return;
    const writer = writes.transactions[writes.transaction[source] as number] as RecordedTransaction;
    const who = writes.transactions[reader] as RecordedTransaction;
    const key = writes.keys[writes.key[source] as number] as number;
    const aborted = !writes.counts(writes.transaction[source] as number);
    const undone = writes.isUndone(source);
    findings.add(aborted || undone ? 'G1a' : 'G1b', [writer.id, who.id], () => {
      const left = writes.left[source] as number;
      const after = aborted
        ? `${nameOf(writer.id)} was aborted`
        : undone
          ? `${nameOf(writer.id)} went back to a savepoint before that`
          : deedText(writer, writes.operation[left] as number);
      return [deedText(writer, writes.operation[source] as number), after, deedText(who, operation, key)];
    });
  }

  /** Who made a key absent that was there at the beginning. */
  #deletionOf(position: number): number | undefined {
    const { writes } = this;
    const deletions = writes.deletions.get(position) ?? [];
    const counted = deletions.filter((write) => writes.counts(writes.transaction[write] as number));
    this.steps.count += deletions.length;
    if (counted.length > 1) return UNTOLD;
    // One of several whose outcome is unknown has, and they have not deleted the same.
    const isInDoubt = deletions.some((write) => writes.isInDoubt(writes.transaction[write] as number));
    return counted[0] ?? (isInDoubt ? UNTOLD : deletions[0]);
  }
}

/** Goes through the operations of one transaction, and knows what it has written itself by then. */
class Onlooker {
  /** Own writes that stand, by key and in order. */
  readonly #own = new Map<number, number[]>();
  readonly #order: number[] = [];
  readonly #savepoints = new Map<number, number>();
  readonly #record: RecordedTransaction;

  constructor(
    private readonly observations: Observations,
    private readonly transaction: number,
    private readonly writes: WriteIndex,
    private readonly findings: Findings,
    private readonly steps: Steps,
  ) {
    this.#record = writes.transactions[transaction] as RecordedTransaction;
  }

  look(): void {
    for (const [at, operation] of this.#record.operations.entries()) {
      this.steps.count++;
      switch (operation.type) {
        case 'read':
          this.#read(at, operation.key, operation.list, false);
          break;
        case 'range':
          this.#range(at, operation);
          break;
        case 'append':
        case 'delete':
          this.#write(at, operation);
          break;
        case 'savepoint':
          this.#savepoints.set(operation.name, this.#order.length);
          break;
        case 'rollback':
          this.#undo(this.#savepoints.get(operation.to) as number);
          break;
      }
    }
  }

  #read(at: number, key: number, list: List, byPredicate: boolean): void {
    if (this.#isOwn(at, key, list)) return;
    const source = this.#source(at, key, list);
    if (source === undefined || !this.writes.counts(this.transaction)) return;
    this.observations.judge(this.transaction, at, source);
    this.observations.note(this.transaction, at, source, byPredicate);
  }

  /** What was found is read; of what was not, that it is absent. */
  #range(at: number, operation: Extract<RecordedOperation, { type: 'range' }>): void {
    const { from, to, entries } = operation;
    const isReverse = entries.length > 1 && (entries[0]?.[0] as number) > (entries[1]?.[0] as number);
    const ordered = isReverse ? [...entries].reverse() : entries;
    const isSound = ordered.every(
      ([key], place) => key >= from && key <= to && (place === 0 || key > (ordered[place - 1]?.[0] as number)),
    );
    this.steps.count += entries.length;
    if (!isSound) {
      const found = entries.map(([key]) => key).join(' ');
      this.#wrong('garbage', `${deedText(this.#record, at)}: out of order, or of bounds: ${found}`);
      return;
    }
    let place = 0;
    const { keys } = this.writes;
    for (let position = this.writes.firstKeyFrom(from); position < keys.length; position++) {
      const key = keys[position] as number;
      if (key > to) break;
      this.steps.count++;
      for (; place < ordered.length && (ordered[place]?.[0] as number) < key; place++) this.#entry(at, ordered[place]);
      if (ordered[place]?.[0] === key) this.#entry(at, ordered[place++]);
      else this.#read(at, key, null, true);
    }
    for (; place < ordered.length; place++) this.#entry(at, ordered[place]);
  }

  #entry(at: number, entry: readonly [number, readonly number[]] | undefined): void {
    const [key, list] = entry as readonly [number, readonly number[]];
    this.#read(at, key, list, false);
  }

  #write(at: number, operation: WriteOperation): void {
    const { key } = operation;
    const isAppend = operation.type === 'append';
    const tag = isAppend ? operation.list.at(-1) : operation.tag;
    const replaced = isAppend ? operation.list.slice(0, -1) : operation.list;
    const write = this.writes.withTag(tag as number) as number;
    const own = this.#own.get(this.writes.positionOf(key) as number) ?? [];
    if (own.length > 0) {
      this.#isOwn(at, key, replaced);
      this.observations.base[write] = own[own.length - 1] as number;
    } else {
      const source = this.#source(at, key, replaced);
      if (source !== undefined && source !== UNTOLD) {
        if (this.writes.counts(this.transaction)) this.observations.judge(this.transaction, at, source);
        this.observations.base[write] = source;
      }
    }
    own.push(write);
    this.#own.set(this.writes.positionOf(key) as number, own);
    this.#order.push(write);
  }

  #undo(kept: number): void {
    while (this.#order.length > kept) {
      this.steps.count++;
      this.#own.get(this.writes.key[this.#order.pop() as number] as number)?.pop();
    }
  }

  /** Whether the transaction has written the key itself; then that is what it must see. */
  #isOwn(at: number, key: number, list: List): boolean {
    const own = this.#own.get(this.writes.positionOf(key) ?? NONE)?.at(-1);
    if (own === undefined) return false;
    const written = this.writes.listAfter(own);
    this.steps.count += written?.length ?? 1;
    if (!isSame(written, list)) {
      const deed = deedText(this.#record, this.writes.operation[own] as number);
      this.#wrong('internal', `${deed}, and then`, deedText(this.#record, at, key));
    }
    return true;
  }

  /** The write of another transaction that a list comes from. */
  #source(at: number, key: number, list: List): number | undefined {
    const source = this.observations.sourceOf(key, list);
    if (source === undefined) {
      const why = list === null ? 'nobody has deleted it' : `nobody has written ${listText(list)}`;
      this.#wrong('garbage', `${deedText(this.#record, at, key)}: ${why}`);
      return undefined;
    }
    if (source !== UNTOLD && this.writes.transaction[source] === this.transaction) {
      const deed = deedText(this.#record, this.writes.operation[source] as number);
      this.#wrong('internal', `${deed}, which does not stand at`, deedText(this.#record, at, key));
      return undefined;
    }
    return source;
  }

  #wrong(kind: 'internal' | 'garbage', ...lines: string[]): void {
    this.findings.add(kind, [this.#record.id], () => lines);
  }
}

function isSame(written: List, seen: List): boolean {
  const length = seen?.length ?? 0;
  if ((written?.length ?? 0) !== length) return false;
  for (let at = 0; at < length; at++) if (written?.[at] !== seen?.[at]) return false;
  return true;
}
