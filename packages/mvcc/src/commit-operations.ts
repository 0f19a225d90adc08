/**
 * What a commit changes: sorted by number of index and by key, each key once. There are two forms, for the same way through a commit: objects, of
 * plain writes, which are few, and the encoded changes of a transaction.
 */
import {
  copyOf,
  ENTRY_OVERHEAD,
  type EncodedOperations,
  type Index,
  invariant,
  type LogOperation,
  type LogOperations,
  OPERATION_DELETE,
  OPERATION_PUT,
  OperationPlace,
  type Target,
  type Write,
  type WriteList,
} from '@pagewright/core';
import { compareKeys } from './key-text.js';
import { LentBytes } from './lent-bytes.js';

const NOTHING: Uint8Array = new Uint8Array(0);
/** Of an index that says nothing else: a leaf and a new one beside it. */
const PAGES_A_PUT = 2;

/** An operation on an index, with the index. */
export interface TargetedOperation extends LogOperation {
  readonly target: Target;
}

export interface CommitOperations {
  readonly length: number;
  /** Bytes of keys and values together. */
  readonly bytes: number;
  /** The most that an index says of one write: see `Index.pagesAPut`. */
  readonly pagesAPut: number;
  /** The same of many: see `Index.pagesOfManyPuts`. */
  readonly pagesOfManyPuts: number;
  /** The most that an index says of one entry: see `Index.entryOverhead`. */
  readonly entryOverhead: number;
  /** As a log takes them. */
  readonly logged: LogOperations;
  /** The indexes that are changed. */
  readonly targets: Iterable<Target>;
  /** The operation of that number, until it is asked for another one: key and value are lent as well. */
  at(number: number): TargetedOperation;
}

/** A write as an operation. */
class PlainOperation implements TargetedOperation {
  kind = 0;
  index = 0;
  key = NOTHING;
  value = NOTHING;
  target!: Target;

  set(write: Write): this {
    this.kind = write.value === null ? OPERATION_DELETE : OPERATION_PUT;
    this.index = write.target.number;
    this.key = write.key;
    this.value = write.value ?? NOTHING;
    this.target = write.target;
    return this;
  }
}

/** Writes that belong to no transaction. */
export class PlainOperations implements CommitOperations {
  readonly logged: PlainOperation[] = [];
  readonly targets: Iterable<Target> = { [Symbol.iterator]: () => this.#targets() };
  readonly #single = new PlainOperation();

  get length(): number {
    return this.logged.length;
  }

  get bytes(): number {
    let bytes = 0;
    for (let i = 0; i < this.logged.length; i++) bytes += this.logged[i]!.key.length + this.logged[i]!.value.length;
    return bytes;
  }

  get pagesAPut(): number {
    let most = PAGES_A_PUT;
    for (let i = 0; i < this.logged.length; i++) most = Math.max(most, this.logged[i]!.target.index.pagesAPut ?? 0);
    return most;
  }

  get pagesOfManyPuts(): number {
    let most = PAGES_A_PUT;
    for (let i = 0; i < this.logged.length; i++) most = Math.max(most, pagesOfMany(this.logged[i]!.target.index));
    return most;
  }

  get entryOverhead(): number {
    let most = 0;
    for (let i = 0; i < this.logged.length; i++) most = Math.max(most, overheadOf(this.logged[i]!.target.index));
    return most;
  }

  at(number: number): TargetedOperation {
    return this.logged[number]!;
  }

  setOne(write: Write): this {
    this.logged[0] = this.#single.set(write);
    return this;
  }

  /** Of several writes of a key only the last counts. */
  setAll(writes: readonly Write[]): this {
    const operations = this.logged;
    operations.length = 0;
    let isInOrder = true;
    for (let i = 0; i < writes.length; i++) {
      const operation = new PlainOperation().set(writes[i]!);
      if (i > 0 && isInOrder) isInOrder = compareOperations(operations[i - 1]!, operation) < 0;
      operations.push(operation);
    }
    if (isInOrder) return this;
    operations.sort(compareOperations); // Stable: of equal keys the last write stays last.
    let kept = 0;
    for (let i = 0; i < operations.length; i++) {
      const next = operations[i + 1];
      if (next === undefined || compareOperations(operations[i]!, next) !== 0) operations[kept++] = operations[i]!;
    }
    operations.length = kept;
    return this;
  }

  *#targets(): Generator<Target> {
    for (const { target } of this.logged) yield target;
  }
}

/** What a transaction has changed. */
export class EncodedChanges implements CommitOperations, WriteList {
  readonly #operation: EncodedOperation;

  constructor(
    readonly logged: EncodedOperations,
    readonly targets: readonly Target[],
    readonly bytes: number,
  ) {
    this.#operation = new EncodedOperation(logged, targets);
  }

  get length(): number {
    return this.logged.length;
  }

  get pagesAPut(): number {
    return this.targets.reduce((most, { index }) => Math.max(most, index.pagesAPut ?? 0), PAGES_A_PUT);
  }

  get pagesOfManyPuts(): number {
    return this.targets.reduce((most, { index }) => Math.max(most, pagesOfMany(index)), PAGES_A_PUT);
  }

  get entryOverhead(): number {
    return this.targets.reduce((most, { index }) => Math.max(most, overheadOf(index)), 0);
  }

  at(number: number): TargetedOperation {
    return this.#operation.moveTo(number);
  }

  *[Symbol.iterator](): Generator<Write> {
    for (let i = 0; i < this.length; i++) {
      const { target, kind, key, value } = this.at(i);
      yield { target, key: copyOf(key), value: kind === OPERATION_DELETE ? null : copyOf(value) };
    }
  }
}

/** Commits are gone through one at a time. */
const KEYS = new LentBytes();
const VALUES = new LentBytes();

/** One operation after the other, as what it was moved to. Key and value are lent until the next one. */
class EncodedOperation implements TargetedOperation {
  target: Target;
  readonly #place = new OperationPlace();
  #key: Uint8Array | null = null;
  #value: Uint8Array | null = null;

  constructor(
    private readonly operations: EncodedOperations,
    private readonly targets: readonly Target[],
  ) {
    this.target = targets[0]!;
  }

  get kind(): number {
    return this.#place.kind;
  }

  get index(): number {
    return this.#place.index;
  }

  get key(): Uint8Array {
    const { bytes, view } = this.operations;
    this.#key ??= KEYS.of(bytes, view, this.#place.key, this.#place.value);
    return this.#key;
  }

  get value(): Uint8Array {
    const { bytes, view } = this.operations;
    this.#value ??= VALUES.of(bytes, view, this.#place.value, this.#place.end);
    return this.#value;
  }

  moveTo(number: number): this {
    const place = this.#place;
    this.operations.locate(number, place);
    this.#key = null;
    this.#value = null;
    if (place.index !== this.target.number) {
      const target = this.targets.find((other) => other.number === place.index);
      invariant(target !== undefined, 'A transaction has changed an index that it does not know');
      this.target = target;
    }
    return this;
  }
}

function overheadOf({ entryOverhead = ENTRY_OVERHEAD }: Index): number {
  return entryOverhead;
}

function pagesOfMany({ pagesAPut = PAGES_A_PUT, pagesOfManyPuts = pagesAPut }: Index): number {
  return pagesOfManyPuts;
}

function compareOperations(a: PlainOperation, b: PlainOperation): number {
  return a.index - b.index || compareKeys(a.key, b.key);
}
