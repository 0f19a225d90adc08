/**
 * Random transactions over an engine, recorded: they read keys and ranges, write, delete, make savepoints and go back to them, abort, and commit. What several threads
 * do is one history if they are given the same plan and memory, each a number of its own.
 *
 * Some keys are written more than others, so that transactions meet. A list that has grown long is let go, and its place taken by a new key, so that a history
 * stays as large as its transactions are many; ranges go over what is there and what is yet to come. Every fourth key is there from the beginning, and is
 * deleted some day; all others come by being written, and stay.
 */
import { type Engine, type IndexHandle, isPagewrightError, type Transaction } from '@pagewright/core';
import { checkCount } from '../option-check.js';
import { Random } from '../random.js';
import { SharedClock, TransactionRecorder } from './recorder.js';
import { INITIAL_TAG, type RecordedTransaction, transactionId } from './transaction-history.js';

export interface LoadPlan {
  readonly seed: number;
  /** Keys of each index that are written at a time. */
  readonly keys: number;
  /** How often a key may be let go for another one. Times `keys` it is at most 999,992: keys of the two indexes are told apart by their numbers. */
  readonly generations: number;
  /** A list that is as long as this is let go. */
  readonly longest: number;
  /** Passed on to `engine.begin`, or `engine.transaction`, as it is. */
  readonly begin?: Parameters<Engine['begin']>[0];
  /** The type of the second index, which the engine has. Default: as of the first, which is the engine's own. */
  readonly secondType?: string;
  /** Those that are not synchronous are run by `engine.transaction`, as often as it takes. */
  readonly inFunctions?: boolean;
  /** What the threads know of one another: {@link sharedMemoryOf}. */
  readonly memory: LoadMemory;
}

export interface LoadMemory {
  readonly clock: SharedArrayBuffer;
  /** Of each key that is written at a time, how often it was let go. */
  readonly generations: SharedArrayBuffer;
}

export interface LoadShare {
  /** From 1 on: 0 is who fills the indexes, and reads all in the end. */
  readonly thread: number;
  readonly transactions: number;
  /** Transactions that are open at a time. Without: one, by the synchronous methods. */
  readonly open?: number;
  /** Told of each transaction when it has ended, and before that when it is about to commit something. */
  onRecord(record: RecordedTransaction): void;
  /** Called now and then within a transaction: what else is read there. */
  readonly besides?: (transaction: Transaction, random: Random) => void;
}

type Lists = IndexHandle<number, readonly number[]>;

const INDEXES = 2;
/** Keys of the second index are recorded as so much more. */
const APART = 1_000_000;
const MOST_OPERATIONS = 7;
const MOST_RANGE = 8;
/** Every so many synchronous transactions the loop of events has its turn. */
const BETWEEN_TURNS = 16;

export function sharedMemoryOf(keys: number): LoadMemory {
  return {
    clock: new SharedClock().memory,
    generations: new SharedArrayBuffer(4 * INDEXES * keys),
  };
}

/** The keys that {@link fillLists} puts there. Errors: `RangeError` for a plan with which nothing would be told. */
export function initialKeys(plan: LoadPlan): number[] {
  checkPlan(plan);
  const { keys, generations } = plan;
  const all = Array.from({ length: keys * generations }, (_, key) => key).filter(isMortal);
  return Array.from({ length: INDEXES }, (_, index) => all.map((key) => index * APART + key)).flat();
}

/** Makes the indexes, and puts there what is there before all transactions. */
export async function fillLists(engine: Engine, plan: LoadPlan): Promise<void> {
  const lists = await openLists(engine, plan);
  for (const [number, index] of lists.entries()) {
    const keys = initialKeys(plan).filter((key) => Math.floor(key / APART) === number);
    await index.batch(keys.map((key) => ({ type: 'put', key: key % APART, value: [INITIAL_TAG] })));
  }
}

/** Reads all that is there, in one transaction of thread 0. */
export async function readLists(engine: Engine, plan: LoadPlan, number = 1): Promise<RecordedTransaction> {
  const { begin, memory } = plan;
  const lists = await openLists(engine, plan);
  const recorder = new TransactionRecorder(transactionId(0, number), new SharedClock(memory.clock));
  const transaction = engine.begin(begin);
  recorder.began();
  for (const [at, index] of lists.entries()) {
    const entries: [number, readonly number[]][] = [];
    for await (const [key, list] of transaction.range(index)) entries.push([at * APART + key, list]);
    recorder.range(at * APART, (at + 1) * APART - 1, entries);
  }
  recorder.ending();
  await transaction.commit();
  return recorder.ended('committed');
}

/**
 * Does a thread's share of the transactions. Errors: `RangeError` for a plan or share with which nothing would be done, or told; what an engine may throw that fails, or is closed; all transactions are recorded by then, those whose commit nobody
 * knows of as such.
 */
export async function runTransactions(engine: Engine, plan: LoadPlan, share: LoadShare): Promise<void> {
  checkPlan(plan);
  checkCount('thread', share.thread, 1);
  checkCount('transactions', share.transactions, 1);
  if (share.open !== undefined) checkCount('open', share.open, 1);
  await new TransactionLoad(engine, await openLists(engine, plan), plan, share).run();
}

function checkPlan({ keys, generations, longest }: LoadPlan): void {
  checkCount('keys', keys, 1);
  checkCount('generations', generations, 1);
  checkCount('longest', longest, 1);
  // A range goes on behind the last of them.
  const most = APART - MOST_RANGE;
  if (keys * generations > most)
    throw new RangeError(`keys times generations is ${keys * generations}; it must be at most ${most}.`);
}

/** Errors of a commit after which it is known that nothing of it was written, and the transaction can be done again. */
const ABORTED = ['PW_CONFLICT', 'PW_SNAPSHOT_TOO_OLD', 'PW_WRITER_BUSY'] as const;
/** Errors of a commit that is there as a whole, or not at all. */
const UNKNOWN = ['PW_COMMIT_UNKNOWN', 'PW_ENGINE_FAILED', 'PW_THREAD_LOST'] as const;

/** A transaction is aborted for no reason. */
const GIVEN_UP = new Error('The transaction is given up');

class TransactionLoad {
  readonly #random: Random;
  readonly #clock: SharedClock;
  readonly #generations: Int32Array;
  #begun = 0;
  #recorded = 0;
  #failure: unknown = null;

  constructor(
    private readonly engine: Engine,
    private readonly lists: readonly Lists[],
    private readonly plan: LoadPlan,
    private readonly share: LoadShare,
  ) {
    this.#random = new Random(plan.seed).fork(`thread ${share.thread}`);
    this.#clock = new SharedClock(plan.memory.clock);
    this.#generations = new Int32Array(plan.memory.generations);
  }

  async run(): Promise<void> {
    const { open } = this.share;
    await Promise.all(Array.from({ length: open ?? 1 }, () => this.#goOn(open === undefined)));
    if (this.#failure !== null) throw this.#failure;
  }

  async #goOn(isSync: boolean): Promise<void> {
    while (this.#begun < this.share.transactions && this.#failure === null) {
      const number = ++this.#begun;
      try {
        if (this.plan.inFunctions === true && !isSync) await this.#runFunction();
        else await this.#runBegun(isSync);
      } catch (error) {
        this.#failure ??= error;
      }
      if (isSync && number % BETWEEN_TURNS === 0) await turn();
    }
  }

  async #runBegun(isSync: boolean): Promise<void> {
    const recorder = this.#newRecorder();
    const transaction = this.engine.begin(this.plan.begin);
    recorder.began();
    await new RandomTransaction(transaction, recorder, isSync, this).run();
  }

  /** Each time that the function runs is a transaction of its own to whoever looks at the history. */
  async #runFunction(): Promise<void> {
    let recorder = this.#newRecorder();
    let last: RandomTransaction | null = null;
    const run = async (transaction: Transaction): Promise<void> => {
      last?.end('aborted');
      recorder.began();
      last = new RandomTransaction(transaction, recorder, false, this);
      await last.act();
      // The next one is asked for as soon as this one cannot commit.
      recorder = this.#newRecorder();
      last.ending();
    };
    const ended = (outcome: 'committed' | 'unknown' | 'aborted'): void => last?.end(outcome);
    try {
      await this.engine.transaction(run, this.plan.begin);
      ended('committed');
    } catch (error) {
      ended(isOneOf(error, UNKNOWN) ? 'unknown' : 'aborted');
      if (error !== GIVEN_UP && !isOneOf(error, ABORTED)) throw error;
    }
  }

  #newRecorder(): TransactionRecorder {
    return new TransactionRecorder(transactionId(this.share.thread, ++this.#recorded), this.#clock);
  }

  get surroundings() {
    return { random: this.#random, lists: this.lists, share: this.share };
  }

  /** A key, more often one of the first. The one of now, or seldom one that was, or is to be. */
  pickKey(): { readonly place: number; readonly index: number; readonly key: number } {
    const random = this.#random;
    const { keys, generations } = this.plan;
    const index = random.below(INDEXES);
    const slot = Math.min(random.below(keys), random.below(keys));
    const place = index * keys + slot;
    const now = Atomics.load(this.#generations, place);
    const chosen = random.fraction();
    const generation = chosen < 0.05 ? random.below(now + 1) : chosen < 0.12 ? Math.min(now + 1, generations - 1) : now;
    return { place, index, key: generation * keys + slot };
  }

  /** The list has become so long, or is no more: another key takes its place. */
  grown(place: number, key: number, length: number): void {
    const { keys, generations, longest } = this.plan;
    const generation = Math.floor(key / keys);
    if (length < longest || generation + 1 >= generations) return;
    Atomics.compareExchange(this.#generations, place, generation, generation + 1);
  }
}

/** One of them. */
class RandomTransaction {
  readonly #savepoints: number[] = [];
  readonly #transaction: Transaction;
  readonly #recorder: TransactionRecorder;

  constructor(
    transaction: Transaction,
    recorder: TransactionRecorder,
    private readonly isSync: boolean,
    private readonly load: TransactionLoad,
  ) {
    this.#transaction = transaction;
    this.#recorder = recorder;
  }

  async run(): Promise<void> {
    try {
      await this.act();
    } catch (error) {
      this.end('aborted');
      if (error === GIVEN_UP || isOneOf(error, ABORTED)) return;
      throw error;
    }
    this.ending();
    try {
      if (this.isSync) this.#transaction.commitSync();
      else await this.#transaction.commit();
      this.end('committed');
    } catch (error) {
      this.end(isOneOf(error, UNKNOWN) ? 'unknown' : 'aborted');
      if (!isOneOf(error, ABORTED)) throw error;
    }
  }

  /** Does what it does before it commits. Errors: {@link GIVEN_UP}. */
  async act(): Promise<void> {
    const { random } = this.load.surroundings;
    for (let left = random.between(1, MOST_OPERATIONS); left > 0; left--) await this.#act();
    if (random.chance(0.04)) throw GIVEN_UP;
  }

  /** It is about to be committed. */
  ending(): void {
    const inDoubt = this.#recorder.ending();
    if (this.#recorder.hasWrites) this.load.surroundings.share.onRecord(inDoubt);
  }

  end(outcome: 'committed' | 'aborted' | 'unknown'): void {
    // Without effect where it has ended.
    this.#transaction.abort();
    this.load.surroundings.share.onRecord(this.#recorder.ended(outcome));
  }

  async #act(): Promise<void> {
    const { random, share } = this.load.surroundings;
    const chosen = random.fraction();
    if (chosen < 0.35) await this.#read();
    else if (chosen < 0.5) await this.#range();
    else if (chosen < 0.86) await this.#write();
    else if (chosen < 0.9) this.#savepoint();
    else if (chosen < 0.94) this.#rollback();
    else if (!this.isSync) await turn();
    share.besides?.(this.#transaction, random);
  }

  async #read(): Promise<void> {
    const { index, key } = this.load.pickKey();
    await this.#listOf(index, key);
  }

  async #listOf(index: number, key: number): Promise<readonly number[] | null> {
    const lists = this.load.surroundings.lists[index] as Lists;
    const found = this.isSync ? this.#transaction.getSync(lists, key) : await this.#transaction.get(lists, key);
    const list = found ?? null;
    this.#recorder.read(index * APART + key, list);
    return list;
  }

  async #range(): Promise<void> {
    const { random, lists } = this.load.surroundings;
    const { index, key } = this.load.pickKey();
    const bounds = { gte: key, lte: key + random.below(MOST_RANGE) };
    const reverse = random.chance(0.3);
    const limit = random.chance(0.3) ? random.between(1, 3) : undefined;
    const options = { ...bounds, reverse, ...(limit === undefined ? {} : { limit }) };
    const found = lists[index] as Lists;
    const entries: [number, readonly number[]][] = [];
    const take = ([one, list]: [number, readonly number[]]): void => void entries.push([index * APART + one, list]);
    if (this.isSync) for (const entry of this.#transaction.rangeSync(found, options)) take(entry);
    else for await (const entry of this.#transaction.range(found, options)) take(entry);
    // It says nothing of what lies behind the last of a limited one.
    let [from, to] = [index * APART + bounds.gte, index * APART + bounds.lte];
    if (entries.length === limit) {
      const last = (entries.at(-1) as [number, unknown])[0];
      if (reverse) from = last;
      else to = last;
    }
    this.#recorder.range(from, to, entries);
  }

  async #write(): Promise<void> {
    const { random, lists } = this.load.surroundings;
    const { place, index, key } = this.load.pickKey();
    const list = await this.#listOf(index, key);
    // What is gone stays so.
    if (list === null && isMortal(key)) {
      this.load.grown(place, key, Number.POSITIVE_INFINITY);
      return;
    }
    if (list !== null && isMortal(key) && random.chance(0.2)) {
      this.#transaction.delete(lists[index] as Lists, key);
      this.#recorder.delete(index * APART + key, list);
      return;
    }
    const longer = this.#recorder.append(index * APART + key, list);
    this.#transaction.put(lists[index] as Lists, key, longer);
    this.load.grown(place, key, longer.length);
  }

  #savepoint(): void {
    const name = this.#transaction.savepoint();
    this.#recorder.savepoint(name);
    this.#savepoints.push(name);
  }

  #rollback(): void {
    const { random } = this.load.surroundings;
    if (this.#savepoints.length === 0) return;
    const at = random.below(this.#savepoints.length);
    const name = this.#savepoints[at] as number;
    this.#transaction.rollbackTo(name);
    this.#recorder.rollback(name);
    this.#savepoints.length = at + 1;
  }
}

async function openLists(engine: Engine, { secondType }: LoadPlan): Promise<Lists[]> {
  const lists: Lists[] = [];
  for (let number = 0; number < INDEXES; number++) {
    const type = number === 1 && secondType !== undefined ? { type: secondType } : {};
    const options = { key: 'u32', value: 'json', ...type } as const;
    lists.push(await engine.index<number, readonly number[]>(`lists ${number}`, options as object));
  }
  return lists;
}

/** Whether a key is there from the beginning, and is deleted some day. */
function isMortal(key: number): boolean {
  return key % 4 === 3;
}

function isOneOf(error: unknown, codes: readonly Parameters<typeof isPagewrightError>[1][]): boolean {
  return codes.some((code) => isPagewrightError(error, code));
}

/** All that waits has its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
