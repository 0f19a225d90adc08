/** The operations of the actors of an engine round, each with what it may answer. Most are asynchronous, and overlap. */
import type { Concurrency, Engine, PageStore, Transaction } from '@pagewright/core';
import { CheckedSnapshot } from './checked-snapshot.js';
import type { ControlledLoop } from './controlled-loop.js';
import {
  account,
  type Content,
  checkStable,
  contentOf,
  counter,
  type Handle,
  pair,
  register,
  SIDE,
  side,
  stable,
} from './engine-keys.js';
import { ACCOUNTS, type EngineOperation, REGISTERS, SIDE_KEYS } from './engine-operations.js';
import type { EngineOutcomes } from './engine-outcomes.js';

/** An engine, and the parts of it that no public method leads to. */
export interface OpenEngine {
  readonly engine: Engine;
  readonly concurrency: Concurrency;
  readonly pages: PageStore;
}

/** Runs out of patience with conflicts only when everything conflicts with everything. */
const RETRIES = 60;

export class EngineActors {
  #side: Handle;
  #remaking: Promise<void> | null = null;

  constructor(
    private readonly engine: Engine,
    private readonly main: Handle,
    side: Handle,
    private readonly loop: ControlledLoop,
    private readonly outcomes: EngineOutcomes,
  ) {
    this.#side = side;
  }

  async perform(operation: EngineOperation): Promise<void> {
    try {
      await this.#perform(operation);
    } catch (error) {
      if (!this.outcomes.isExpected(error)) throw error;
    }
  }

  #perform({ kind, key, size, sync }: EngineOperation): Promise<void> {
    switch (kind) {
      case 'get':
        return this.#get(this.main, register(key), sync);
      case 'get-many':
        return this.#getMany(key);
      case 'put':
        return this.#put(register(key), size, sync);
      case 'delete':
        return this.#delete(register(key), sync);
      case 'batch':
        return this.#batch(key, size);
      case 'pair':
        return this.#pair(key, size, sync);
      case 'transfer':
        return this.#transfer(key, sync);
      case 'increment':
        return this.#increment(key, sync);
      case 'by-hand':
        return this.#byHand(key, size);
      case 'range':
        return this.#range(key, sync);
      case 'snapshot':
        return this.#snapshot(size);
      case 'checkpoint':
        return this.engine.checkpoint().then(() => undefined);
      case 'side':
        return this.#sideOperation(key, size, sync);
      case 'clear':
        return this.#clear(() => this.#side.clear());
      case 'recreate':
        return this.#recreate();
    }
  }

  // ── Single entries ──────────────────────────────────────────────────────────────────────────────────────────

  async #get(index: Handle, key: string, sync: boolean): Promise<void> {
    const { history } = this.outcomes;
    const start = history.now();
    const content = sync ? index.getSync(key) : await index.get(key);
    history.read(key, content?.id ?? null, start);
  }

  async #getMany(number: number): Promise<void> {
    const { history } = this.outcomes;
    const keys = Array.from({ length: 20 }, (_, at) =>
      at % 2 === 0 ? register(number + at) : stable(number + at * 17),
    );
    const start = history.now();
    const contents = await this.main.getMany(keys);
    const end = history.now();
    for (const [at, key] of keys.entries()) {
      if (at % 2 === 0) history.read(key, contents[at]?.id ?? null, start, end);
      else if (contents[at] === undefined) throw new Error(`${key} is missing, and never changed`);
    }
  }

  async #put(key: string, size: number, sync: boolean): Promise<void> {
    const write = this.outcomes.begin(key, false);
    const content = contentOf(write[1], size);
    await this.outcomes.writing([write], () => (sync ? this.main.putSync(key, content) : this.main.put(key, content)));
  }

  async #delete(key: string, sync: boolean): Promise<void> {
    const write = this.outcomes.begin(key, true);
    await this.outcomes.writing([write], () => (sync ? this.main.deleteSync(key) : this.main.delete(key)));
  }

  async #batch(number: number, size: number): Promise<void> {
    const keys = new Set([register(number), register(number + 3), register(number + 7)]);
    const writes = [...keys].map((key, at) => this.outcomes.begin(key, at === 1));
    await this.outcomes.writing(writes, () =>
      this.main.batch(
        writes.map(([key, write]) =>
          write.absent ? { type: 'delete', key } : { type: 'put', key, value: contentOf(write, size) },
        ),
      ),
    );
  }

  // ── Transactions ────────────────────────────────────────────────────────────────────────────────────────────

  async #pair(number: number, size: number, sync: boolean): Promise<void> {
    const writes = this.outcomes.beginTogether([pair(number, 0), pair(number, 1)], false);
    const put = (tx: Transaction): void => {
      for (const [key, write] of writes) tx.put(this.main, key, contentOf(write, size));
    };
    await this.outcomes.writing(writes, () =>
      sync ? this.engine.transactionSync(put) : this.engine.transaction(put, { retries: RETRIES }),
    );
  }

  async #transfer(number: number, sync: boolean): Promise<void> {
    const from = account(number);
    const to = account(number + 1 + (number % (ACCOUNTS - 1)));
    if (sync) {
      transferNow(this.engine, this.main, number);
      return;
    }
    await this.engine.transaction(
      async (tx) => {
        const source = await tx.get(this.main, from);
        await this.loop.turn();
        move(tx, this.main, [from, source], [to, await tx.get(this.main, to)]);
      },
      { retries: RETRIES },
    );
  }

  async #increment(number: number, sync: boolean): Promise<void> {
    if (sync) {
      incrementNow(this.engine, this.main, number, this.outcomes);
      return;
    }
    const key = counter(number);
    const increment = this.outcomes.beginIncrement(key);
    try {
      await this.engine.transaction(
        async (tx) => {
          const content = await tx.get(this.main, key);
          await this.loop.turn();
          tx.put(this.main, key, incremented(content));
        },
        { retries: RETRIES },
      );
      increment.acknowledged();
    } catch (error) {
      increment.failed(error);
      throw error;
    }
  }

  /** Begins a transaction, takes its time, rolls part of it back, and commits it or not. */
  async #byHand(number: number, size: number): Promise<void> {
    const tx = this.engine.begin();
    try {
      const shown = await this.#readAll(tx);
      await this.loop.turn();
      if ((await this.#readAll(tx)) !== shown) throw new Error(`A transaction of ${tx.timestamp} sees what came later`);
      if (number % 4 === 0) return;
      const writes = [register(number), register(number + 5)].map((key) => this.outcomes.begin(key, false));
      await this.outcomes.writing(writes, async () => {
        for (const [key, write] of writes) tx.put(this.main, key, contentOf(write, size));
        const savepoint = tx.savepoint();
        tx.put(this.main, register(number + 9), contentOf({ id: -1 }, 0));
        tx.rollbackTo(savepoint);
        await this.loop.turn();
        await tx.commit();
      });
    } finally {
      tx.abort();
    }
  }

  async #readAll(tx: Transaction): Promise<string> {
    const entries: [string, number][] = [];
    for await (const [key, { id }] of tx.range(this.main, { gte: 'p', lt: 's' })) entries.push([key, id]);
    return JSON.stringify(entries);
  }

  // ── Many entries ────────────────────────────────────────────────────────────────────────────────────────────

  async #range(number: number, sync: boolean): Promise<void> {
    const { history } = this.outcomes;
    const options = { gte: 'r', lt: 't', reverse: number % 2 === 0 };
    const start = history.now();
    const found: [string, Content][] = [];
    if (sync) found.push(...this.main.rangeSync(options));
    else for await (const entry of this.main.range(options)) found.push(entry);
    const end = history.now();
    const keys = found.map(([key]) => key);
    const sorted = [...new Set(keys)].sort();
    if (options.reverse) sorted.reverse();
    if (keys.join() !== sorted.join()) throw new Error('A range is out of order, or gives a key twice');
    checkStable(keys);
    const byKey = new Map(found);
    for (let at = 0; at < REGISTERS; at++) history.read(register(at), byKey.get(register(at))?.id ?? null, start, end);
  }

  async #snapshot(turns: number): Promise<void> {
    const snapshot = new CheckedSnapshot(this.engine, this.main, this.outcomes.history);
    try {
      snapshot.show();
      for (let turn = turns % 13; turn >= 0; turn--) await this.loop.turn();
      await snapshot.showLater();
    } finally {
      snapshot.release();
    }
  }

  // ── The index that comes and goes ───────────────────────────────────────────────────────────────────────────

  async #sideOperation(number: number, size: number, sync: boolean): Promise<void> {
    const index = this.#side;
    const key = side(number);
    if (number % 3 === 0) return this.#get(index, key, sync);
    const write = this.outcomes.begin(key, number % 3 === 1);
    const content = contentOf(write[1], size);
    await this.outcomes.writing([write], () => (write[1].absent ? index.delete(key) : index.put(key, content)));
  }

  /** Everything in the index is gone: a deletion of each key. */
  async #clear(clear: () => Promise<void>): Promise<void> {
    const keys = Array.from({ length: SIDE_KEYS }, (_, at) => side(at));
    await this.outcomes.writing(this.outcomes.beginTogether(keys, true), clear);
  }

  #recreate(): Promise<void> {
    this.#remaking ??= this.#clear(async () => {
      await this.engine.dropIndex(SIDE);
      this.#side = await this.engine.index<string, Content>(SIDE);
    }).finally(() => {
      this.#remaking = null;
    });
    return this.#remaking;
  }
}

/** Moves one from an account to another, in one step. */
export function transferNow(engine: Engine, main: Handle, number: number): void {
  const from = account(number);
  const to = account(number + 1 + (number % (ACCOUNTS - 1)));
  engine.transactionSync((tx) => move(tx, main, [from, tx.getSync(main, from)], [to, tx.getSync(main, to)]));
}

/** Counts on, in one step. */
export function incrementNow(engine: Engine, main: Handle, number: number, outcomes: EngineOutcomes): void {
  const key = counter(number);
  const increment = outcomes.beginIncrement(key);
  try {
    engine.transactionSync((tx) => tx.put(main, key, incremented(tx.getSync(main, key))));
    increment.acknowledged();
  } catch (error) {
    increment.failed(error);
    throw error;
  }
}

type Found = readonly [string, Content | undefined];

function move(tx: Transaction, main: Handle, [from, source]: Found, [to, target]: Found): void {
  if (source === undefined || target === undefined) throw new Error(`${from} or ${to} is missing`);
  tx.put(main, from, { ...source, count: source.count - 1 });
  tx.put(main, to, { ...target, count: target.count + 1 });
}

function incremented(content: Content | undefined): Content {
  return { id: 0, count: (content?.count ?? 0) + 1, padding: '' };
}
