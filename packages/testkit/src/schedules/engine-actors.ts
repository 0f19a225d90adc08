/**
 * The operations of an engine round, and what each of them may answer. Several kinds of keys have rules of their own:
 * *registers* are written alone and have a history each; *accounts* keep their sum; *counters* lose no increment; *pairs*
 * change together; *stable* keys never change; the index `side` is cleared, dropped and made again.
 */
import {
  type Concurrency,
  type Engine,
  type EngineSnapshot,
  type IndexHandle,
  isPagewrightError,
  type PageStore,
  type Transaction,
} from '@pagewright/core';
import type { ControlledLoop } from './controlled-loop.js';
import {
  ACCOUNTS,
  BALANCE,
  COUNTERS,
  type EngineOperation,
  INTRUDERS_KEYS,
  type IntruderOperation,
  PAIRS,
  REGISTERS,
  SIDE_KEYS,
  STABLE,
  WITNESSES,
} from './engine-operations.js';
import { RegisterHistory, type RegisterWrite } from './register-history.js';

/** What a value says: which write it is, and a number for those that count. */
export interface Content {
  readonly id: number;
  readonly count: number;
  readonly padding: string;
}

export type Handle = IndexHandle<string, Content>;

/** An engine, and the parts of it that no public method leads to. */
export interface OpenEngine {
  readonly engine: Engine;
  readonly concurrency: Concurrency;
  readonly pages: PageStore;
}

export const MAIN = 'main';
export const SIDE = 'side';

export const register = (number: number): string => `r${digits(number % REGISTERS)}`;
export const stable = (number: number): string => `s${digits(number % STABLE)}`;
export const intrudersKey = (number: number): string => `i${digits(number % INTRUDERS_KEYS)}`;
/** Deleted beside a snapshot before the engine was opened: their tombstones are swept. */
export const witness = (number: number): string => `w${digits(number % WITNESSES)}`;
const account = (number: number): string => `a${digits(number % ACCOUNTS)}`;
const counter = (number: number): string => `c${digits(number % COUNTERS)}`;
const pair = (number: number, end: 0 | 1): string => `p${digits(number % PAIRS)}${end === 0 ? '/left' : '/right'}`;
const side = (number: number): string => `t${digits(number % SIDE_KEYS)}`;

/** Runs out of patience with conflicts only when everything conflicts with everything. */
const RETRIES = 60;

interface HeldSnapshot {
  readonly snapshot: EngineSnapshot;
  readonly openedFrom: number;
  readonly openedTo: number;
  /** What it has shown so far. */
  readonly shown: Map<string, string>;
}

export class EngineActors {
  readonly history = new RegisterHistory();
  /** Increments that were acknowledged, and those of which nobody knows. */
  readonly increments = new Map<string, { certain: number; uncertain: number }>();
  /** The engine is being closed, or has lost power: operations may fail in ways that say so. */
  end: 'closing' | 'lost' | null = null;
  readonly #held: HeldSnapshot[] = [];
  #side: Handle;
  #remaking: Promise<void> | null = null;

  constructor(
    private readonly open: OpenEngine,
    private readonly main: Handle,
    side: Handle,
    private readonly loop: ControlledLoop,
  ) {
    this.#side = side;
  }

  // ── Operations of actors ────────────────────────────────────────────────────────────────────────────────────

  async perform(operation: EngineOperation): Promise<void> {
    try {
      await this.#perform(operation);
    } catch (error) {
      if (!this.#isExpected(error)) throw error;
    }
  }

  #perform(operation: EngineOperation): Promise<void> {
    const { kind, key, size, sync } = operation;
    switch (kind) {
      case 'get':
        return this.#get(key, sync);
      case 'get-many':
        return this.#getMany(key);
      case 'put':
        return this.#write(register(key), size, sync);
      case 'delete':
        return this.#write(register(key), null, sync);
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
        return this.open.engine.checkpoint().then(() => undefined);
      case 'side':
        return this.#sideOperation(key, size, sync);
      case 'clear':
        return this.#clear(() => this.#side.clear());
      case 'recreate':
        return this.#recreate();
    }
  }

  async #get(number: number, sync: boolean): Promise<void> {
    const key = register(number);
    const start = this.history.now();
    const content = sync ? this.main.getSync(key) : await this.main.get(key);
    this.history.read(key, content?.id ?? null, start);
  }

  async #getMany(number: number): Promise<void> {
    const keys = Array.from({ length: 20 }, (_, at) =>
      at % 2 === 0 ? register(number + at) : stable(number + at * 17),
    );
    const start = this.history.now();
    const contents = await this.main.getMany(keys);
    const end = this.history.now();
    for (const [at, key] of keys.entries()) {
      if (at % 2 === 0) this.history.read(key, contents[at]?.id ?? null, start, end);
      else if (contents[at] === undefined) throw new Error(`${key} is missing, and never changed`);
    }
  }

  async #write(key: string, size: number | null, sync: boolean): Promise<void> {
    const write = this.history.beginWrite(key, this.history.nextId(), size === null);
    await this.#writing([[key, write]], () => {
      if (size === null) return sync ? this.main.deleteSync(key) : this.main.delete(key);
      const content = contentOf(write, 0, size);
      return sync ? this.main.putSync(key, content) : this.main.put(key, content);
    });
  }

  async #batch(number: number, size: number): Promise<void> {
    const keys = new Set([register(number), register(number + 3), register(number + 7)]);
    const writes = [...keys].map(
      (key, at) => [key, this.history.beginWrite(key, this.history.nextId(), at === 1)] as const,
    );
    await this.#writing(writes, () =>
      this.main.batch(
        writes.map(([key, write]) =>
          write.absent ? { type: 'delete', key } : { type: 'put', key, value: contentOf(write, 0, size) },
        ),
      ),
    );
  }

  async #pair(number: number, size: number, sync: boolean): Promise<void> {
    const id = this.history.nextId();
    const writes = ([0, 1] as const).map((end) => {
      const key = pair(number, end);
      return [key, this.history.beginWrite(key, id, false)] as const;
    });
    await this.#writing(writes, () => {
      const put = (tx: Transaction): void => {
        for (const [key, write] of writes) tx.put(this.main, key, contentOf(write, 0, size));
      };
      if (sync) return this.open.engine.transactionSync(put);
      return this.open.engine.transaction(put, { retries: RETRIES });
    });
  }

  async #transfer(number: number, sync: boolean): Promise<void> {
    const from = account(number);
    const to = account(number + 1 + (number % (ACCOUNTS - 1)));
    const move = (tx: Transaction, source: Content | undefined, target: Content | undefined): void => {
      if (source === undefined || target === undefined) throw new Error(`${from} or ${to} is missing`);
      tx.put(this.main, from, { ...source, count: source.count - 1 });
      tx.put(this.main, to, { ...target, count: target.count + 1 });
    };
    if (sync) {
      this.open.engine.transactionSync((tx) => move(tx, tx.getSync(this.main, from), tx.getSync(this.main, to)));
      return;
    }
    await this.open.engine.transaction(
      async (tx) => {
        const source = await tx.get(this.main, from);
        await this.loop.turn();
        move(tx, source, await tx.get(this.main, to));
      },
      { retries: RETRIES },
    );
  }

  async #increment(number: number, sync: boolean): Promise<void> {
    const key = counter(number);
    const tally = this.increments.get(key) ?? { certain: 0, uncertain: 0 };
    this.increments.set(key, tally);
    const add = (tx: Transaction, content: Content | undefined): void =>
      tx.put(this.main, key, { id: 0, count: (content?.count ?? 0) + 1, padding: '' });
    tally.uncertain++;
    try {
      if (sync) this.open.engine.transactionSync((tx) => add(tx, tx.getSync(this.main, key)));
      else {
        await this.open.engine.transaction(
          async (tx) => {
            const content = await tx.get(this.main, key);
            await this.loop.turn();
            add(tx, content);
          },
          { retries: RETRIES },
        );
      }
      tally.certain++;
      tally.uncertain--;
    } catch (error) {
      if (isVoid(error)) tally.uncertain--;
      throw error;
    }
  }

  /** Begins a transaction, takes its time, rolls part of it back, and commits it or not. */
  async #byHand(number: number, size: number): Promise<void> {
    const tx = this.open.engine.begin();
    try {
      const keys = [...new Set([register(number), register(number + 5)])];
      const shown = await this.#readAll(tx);
      await this.loop.turn();
      if ((await this.#readAll(tx)) !== shown) throw new Error(`A transaction of ${tx.timestamp} sees what came later`);
      if (number % 4 === 0) return;
      const writes = keys.map((key) => [key, this.history.beginWrite(key, this.history.nextId(), false)] as const);
      await this.#writing(writes, async () => {
        for (const [key, write] of writes) tx.put(this.main, key, contentOf(write, 0, size));
        const savepoint = tx.savepoint();
        tx.put(this.main, register(number + 9), contentOf({ id: -1 }, 0, 0));
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

  async #range(number: number, sync: boolean): Promise<void> {
    const options = { gte: 'r', lt: 't', reverse: number % 2 === 0 };
    const start = this.history.now();
    const found: [string, Content][] = [];
    if (sync) found.push(...this.main.rangeSync(options));
    else for await (const entry of this.main.range(options)) found.push(entry);
    const end = this.history.now();
    const keys = found.map(([key]) => key);
    const sorted = [...keys].sort();
    if (options.reverse) sorted.reverse();
    if (keys.some((key, at) => key !== sorted[at] || key === sorted[at + 1]))
      throw new Error(`A range is out of order`);
    this.#checkStable(keys);
    const byKey = new Map(found);
    for (let at = 0; at < REGISTERS; at++)
      this.history.read(register(at), byKey.get(register(at))?.id ?? null, start, end);
  }

  async #snapshot(turns: number): Promise<void> {
    const held = this.#openSnapshot();
    try {
      this.#showNow(held);
      for (let turn = turns % 13; turn >= 0; turn--) await this.loop.turn();
      const found: [string, Content][] = [];
      for await (const entry of this.main.range({ snapshot: held.snapshot })) found.push(entry);
      this.#checkShown(held, found);
    } finally {
      held.snapshot.release();
    }
  }

  async #sideOperation(number: number, size: number, sync: boolean): Promise<void> {
    const index = this.#side;
    const key = side(number);
    if (number % 3 === 0) {
      const start = this.history.now();
      const content = sync ? index.getSync(key) : await index.get(key);
      this.history.read(key, content?.id ?? null, start);
      return;
    }
    const write = this.history.beginWrite(key, this.history.nextId(), number % 3 === 1);
    const content = contentOf(write, 0, size);
    await this.#writing([[key, write]], () => (write.absent ? index.delete(key) : index.put(key, content)));
  }

  /** Everything in the index is gone: a deletion of each key. */
  async #clear(clear: () => Promise<void>): Promise<void> {
    const id = this.history.nextId();
    const writes = Array.from({ length: SIDE_KEYS }, (_, at) => {
      const key = side(at);
      return [key, this.history.beginWrite(key, id, true)] as const;
    });
    await this.#writing(writes, clear);
  }

  #recreate(): Promise<void> {
    this.#remaking ??= this.#clear(async () => {
      await this.open.engine.dropIndex(SIDE);
      this.#side = await this.open.engine.index<string, Content>(SIDE);
    }).finally(() => {
      this.#remaking = null;
    });
    return this.#remaking;
  }

  // ── Operations of intruders ─────────────────────────────────────────────────────────────────────────────────

  /** What changes nothing that a commit is about, and may go on in its midst. */
  intrudeQuietly({ kind, key }: IntruderOperation): void {
    this.#expecting(() => {
      const held = this.#held[key % Math.max(1, this.#held.length)];
      if (kind === 'release' && held !== undefined && key % 2 === 0) this.#letGo(held);
      else if (kind === 'collect') this.open.concurrency.collect(1 + (key % 40));
      else if (held !== undefined && kind !== 'get') this.#showNow(held);
      else if (kind === 'scan')
        this.#checkStable([...this.main.rangeSync({ gte: 's', lt: 't' })].map(([name]) => name));
      else this.#getNow(key);
    });
  }

  /** Any synchronous operation. `keepsClear`: only to keys that nobody else writes. */
  intrude(operation: IntruderOperation, keepsClear: boolean): void {
    const { kind, key, size } = operation;
    const engine = this.open.engine;
    this.#expecting(() => {
      if (kind === 'snapshot' && this.#held.length < 6) this.#held.push(this.#openSnapshot());
      else if (kind === 'put' || kind === 'delete') {
        const name = keepsClear || key % 2 === 0 ? intrudersKey(key) : register(key);
        const write = this.history.beginWrite(name, this.history.nextId(), kind === 'delete');
        this.#writingNow([[name, write]], () =>
          write.absent ? this.main.deleteSync(name) : this.main.putSync(name, contentOf(write, 0, size)),
        );
      } else if (keepsClear) this.intrudeQuietly(operation);
      else if (kind === 'transfer') void this.#transfer(key, true).catch((error) => this.#reject(error));
      else if (kind === 'increment') void this.#increment(key, true).catch((error) => this.#reject(error));
      else if (kind === 'pair') {
        const id = this.history.nextId();
        const writes = ([0, 1] as const).map(
          (end) => [pair(key, end), this.history.beginWrite(pair(key, end), id, false)] as const,
        );
        this.#writingNow(writes, () =>
          engine.transactionSync((tx) => {
            for (const [name, write] of writes) tx.put(this.main, name, contentOf(write, 0, size));
          }),
        );
      } else this.intrudeQuietly(operation);
    });
  }

  /** What an intruder began and what came of it later. */
  rejected: unknown = null;

  #reject(error: unknown): void {
    if (!this.#isExpected(error)) this.rejected ??= error;
  }

  releaseAll(): void {
    for (const held of [...this.#held]) this.#letGo(held);
  }

  #letGo(held: HeldSnapshot): void {
    this.#held.splice(this.#held.indexOf(held), 1);
    held.snapshot.release();
  }

  #getNow(number: number): void {
    const key = number % 3 === 0 ? intrudersKey(number) : register(number);
    const start = this.history.now();
    this.history.read(key, this.main.getSync(key)?.id ?? null, start);
  }

  // ── Snapshots ───────────────────────────────────────────────────────────────────────────────────────────────

  #openSnapshot(): HeldSnapshot {
    const openedFrom = this.history.now();
    const snapshot = this.open.engine.snapshot();
    return { snapshot, openedFrom, openedTo: this.history.now(), shown: new Map() };
  }

  #showNow(held: HeldSnapshot): void {
    this.#checkShown(held, [...this.main.rangeSync({ snapshot: held.snapshot })]);
  }

  /** T2: what a snapshot shows is whole, and always the same. */
  #checkShown(held: HeldSnapshot, found: readonly [string, Content][]): void {
    const at = `The snapshot of ${held.snapshot.timestamp}`;
    const shown = JSON.stringify(found.map(([key, { id, count }]) => [key, id, count]));
    const before = held.shown.get(MAIN) ?? shown;
    if (before !== shown) throw new Error(`${at} changes under its reader: ${difference(before, shown)}`);
    const contents = new Map(found);
    if (!held.shown.has(MAIN)) {
      for (const key of [...this.history.keys()]) {
        if (!key.startsWith('t')) this.history.read(key, contents.get(key)?.id ?? null, held.openedFrom, held.openedTo);
      }
    }
    held.shown.set(MAIN, shown);
    checkWhole(contents, at);
    this.#checkStable([...contents.keys()].filter((key) => key.startsWith('s')));
  }

  #checkStable(keys: readonly string[]): void {
    const there = new Set(keys);
    for (let number = 0; number < STABLE; number++)
      if (!there.has(stable(number))) throw new Error(`${stable(number)} is missing from a range, and never changed`);
  }

  // ── Outcomes ────────────────────────────────────────────────────────────────────────────────────────────────

  async #writing(writes: readonly (readonly [string, RegisterWrite])[], write: () => unknown): Promise<void> {
    try {
      await write();
      this.#acknowledged(writes);
    } catch (error) {
      if (isVoid(error)) for (const [key, of] of writes) this.history.void(key, of);
      throw error;
    }
  }

  #writingNow(writes: readonly (readonly [string, RegisterWrite])[], write: () => unknown): void {
    try {
      write();
      this.#acknowledged(writes);
    } catch (error) {
      if (isVoid(error)) for (const [key, of] of writes) this.history.void(key, of);
      throw error;
    }
  }

  #acknowledged(writes: readonly (readonly [string, RegisterWrite])[]): void {
    const end = this.history.now();
    for (const [, write] of writes) write.end = end;
  }

  /** An operation of others: whether the store faults is a matter of the thread that it is asked by. */
  #expecting(operation: () => void): void {
    const { pages } = this.open;
    const { faulting } = pages;
    pages.faulting = false;
    try {
      operation();
    } catch (error) {
      if (!this.#isExpected(error)) throw error;
    } finally {
      pages.faulting = faulting;
    }
  }

  #isExpected(error: unknown): boolean {
    if (!isPagewrightError(error)) return false;
    if (['PW_CONFLICT', 'PW_SNAPSHOT_TOO_OLD', 'PW_INDEX_DROPPED', 'PW_INDEX_UNKNOWN'].includes(error.code))
      return true;
    if (this.end === 'closing') return error.code === 'PW_CLOSED' || error.code === 'PW_TXN_CLOSED';
    return this.end === 'lost' && error.code !== 'PW_INTERNAL' && !error.code.startsWith('PW_CORRUPT');
  }
}

/** Accounts keep their sum, and pairs change together. */
export function checkWhole(contents: ReadonlyMap<string, Content>, at: string): void {
  let sum = 0;
  for (let number = 0; number < ACCOUNTS; number++) sum += contents.get(account(number))?.count ?? 0;
  if (sum !== ACCOUNTS * BALANCE) throw new Error(`${at} shows accounts with ${sum} instead of ${ACCOUNTS * BALANCE}`);
  for (let number = 0; number < PAIRS; number++) {
    const left = contents.get(pair(number, 0))?.id;
    const right = contents.get(pair(number, 1))?.id;
    if (left !== right) throw new Error(`${at} shows half a transaction: ${left} on the left, ${right} on the right`);
  }
}

export function accounts(): string[] {
  return Array.from({ length: ACCOUNTS }, (_, number) => account(number));
}

/** The error says that nothing has happened. */
function isVoid(error: unknown): boolean {
  return ['PW_CONFLICT', 'PW_SNAPSHOT_TOO_OLD', 'PW_INDEX_DROPPED'].some((code) =>
    isPagewrightError(error, code as never),
  );
}

function contentOf({ id }: { readonly id: number }, count: number, size: number): Content {
  return { id, count, padding: 'x'.repeat(size) };
}

function difference(before: string, after: string): string {
  let at = 0;
  while (before[at] === after[at]) at++;
  return `${before.slice(Math.max(0, at - 30), at + 30)} became ${after.slice(Math.max(0, at - 30), at + 30)}`;
}

function digits(number: number): string {
  return String(number).padStart(4, '0');
}
