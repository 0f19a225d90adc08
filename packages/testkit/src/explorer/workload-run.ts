/**
 * Runs a workload on an engine, and keeps its history: what was asked for when, and what was answered.
 *
 * Backups that it makes are kept account of in the same way: which of the states between call and answer they may have.
 *
 * Asynchronous commits take effect in the order in which they were asked for, synchronous ones at once; so there are two
 * histories, over indexes of their own.
 */
import {
  type Engine,
  type EngineSnapshot,
  type IndexHandle,
  isPagewrightError,
  type Transaction,
} from '@pagewright/core';
import { type Change, type Content, History, type HistoryMark } from './history.js';
import { labelOf, makeValue } from './value-labels.js';
import { type Form, type Step, SYNC_INDEX, type Workload } from './workload.js';

/** Opens a store with the parts that are tested, on the device of the run. */
export type OpenStore = () => Promise<Engine>;

/** How far both histories had come at an instant. */
export interface RunMark {
  readonly ordered: HistoryMark;
  readonly inPlace: HistoryMark;
  /** Backups that had been asked for. */
  readonly backups: readonly BackupMark[];
}

/** How far a backup had come at an instant. */
export interface BackupMark {
  /** Where it is, when it is whole. */
  readonly path: string;
  /** What was acknowledged before it was asked for is in it, and nothing that was asked for after this instant, or its answer. */
  readonly ordered: HistoryMark;
  readonly inPlace: HistoryMark;
  readonly outcome: 'open' | 'made' | 'failed';
}

type Handle = IndexHandle<string, Uint8Array>;
type Write = Extract<Step, { do: 'write' }>;
type Load = Extract<Step, { do: 'load' }>;

/** After these a commit may be there or not. After every other error it has not taken effect, and never will. */
const LEAVES_OPEN = new Set(['PW_COMMIT_UNKNOWN', 'PW_ENGINE_FAILED']);

/** With these a disk that fails ends a backup, or a compaction. */
const DISK_ERRORS: ReadonlySet<string> = new Set(['PW_IO', 'PW_FULL']);
/** Where backups go, before their numbers. */
const BACKUP_PATH = '/store/backup-';

/** A read gave what no history of the store allows. */
export class WrongRead extends Error {}

export class WorkloadRun {
  readonly ordered = new History();
  readonly inPlace = new History();
  /** Commits that were asked for, and calls that were answered. */
  commits = 0;
  /** By compactions. */
  bytesGivenBack = 0;
  #engine: Engine | null = null;
  readonly #handles = new Map<number, Handle>();
  readonly #waiting: Promise<void>[] = [];
  readonly #snapshots: EngineSnapshot[] = [];
  readonly #backups: BackupMark[] = [];
  /** Asynchronous commits, by their numbers in the history, that had not taken effect when the call returned. */
  readonly #onTheirWay = new Set<number>();
  #writes = 0;
  #step = -1;

  constructor(readonly open: OpenStore) {}

  get engine(): Engine | null {
    return this.#engine;
  }

  mark(): RunMark {
    const ordered = this.ordered.mark();
    const inPlace = this.inPlace.mark();
    return { ordered, inPlace, backups: this.#backups.map((backup) => this.#upToNow(backup)) };
  }

  /** Runs all steps, then closes the store. Rejects with what a step throws. */
  async run({ steps }: Workload): Promise<void> {
    await this.start();
    for (const step of steps) await this.step(step);
    await this.end();
  }

  async start(): Promise<void> {
    this.#engine = await this.open();
  }

  async end(): Promise<void> {
    await this.#settle();
    for (const snapshot of this.#snapshots.splice(0)) snapshot.release();
    this.#handles.clear();
    await this.#engine?.close();
    this.#engine = null;
  }

  /** Waits for what was asked for, whatever comes of it, and closes the store as far as that is possible. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#waiting.splice(0));
    for (const snapshot of this.#snapshots.splice(0)) snapshot.release();
    await this.#engine?.close().catch(() => undefined);
    this.#engine = null;
  }

  async step(step: Step): Promise<void> {
    const engine = this.#engine as Engine;
    this.#step++;
    switch (step.do) {
      case 'write':
        await this.#write(step);
        break;
      case 'clear':
      case 'drop':
        await this.#changeIndex(step.do, step.index);
        break;
      case 'load':
        await this.#load(step);
        break;
      case 'checkpoint': {
        const checkpoint = engine.checkpoint().then(() => undefined);
        if (step.waits) await checkpoint;
        else this.#hold(checkpoint);
        break;
      }
      case 'backup': {
        const backup = this.#backup(engine);
        if (step.waits) await backup;
        else this.#hold(backup);
        break;
      }
      case 'compact': {
        const compaction = this.#compact(engine);
        if (step.waits) await compaction;
        else this.#hold(compaction);
        break;
      }
      case 'read':
        for (const [number, handle] of this.#handles) {
          for (const key of step.keys) await this.#read(number, handle, key);
        }
        break;
      case 'settle':
        await this.#settle();
        break;
      case 'snapshot':
        this.#snapshots.push(engine.snapshot());
        break;
      case 'release':
        this.#snapshots.shift()?.release();
        break;
      case 'reopen':
        await this.end();
        await this.start();
        break;
      case 'idle':
        await this.#settle();
        await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    }
  }

  /** A disk that fails a backup has done nothing to the store: the workload goes on, and meets it if that is not so. */
  async #backup(engine: Engine): Promise<void> {
    const number = this.#backups.length;
    const path = `${BACKUP_PATH}${number}.pw`;
    const { ordered, inPlace } = this.mark();
    this.#backups.push({ path, ordered, inPlace, outcome: 'open' });
    const settle = (outcome: BackupMark['outcome']): void => {
      this.#backups[number] = { ...this.#upToNow(this.#backups[number] as BackupMark), outcome };
    };
    try {
      await engine.backup(path);
      settle('made');
    } catch (error) {
      settle('failed');
      if (!isPagewrightError(error) || !DISK_ERRORS.has(error.code) || engine.state !== 'open') throw error;
    }
  }

  /** The same of a compaction, which ends before its time on a disk that fails. */
  async #compact(engine: Engine): Promise<void> {
    try {
      const { bytesBefore, bytesAfter } = await engine.compact();
      this.bytesGivenBack += Math.max(0, bytesBefore - bytesAfter);
    } catch (error) {
      if (!isPagewrightError(error) || !DISK_ERRORS.has(error.code) || engine.state !== 'open') throw error;
    }
  }

  /** Whatever is asked for while it is open may be in it. */
  #upToNow(backup: BackupMark): BackupMark {
    if (backup.outcome !== 'open') return backup;
    const upTo = (from: HistoryMark, history: History): HistoryMark => ({ ...from, asked: history.length });
    return { ...backup, ordered: upTo(backup.ordered, this.ordered), inPlace: upTo(backup.inPlace, this.inPlace) };
  }

  async #write(step: Write): Promise<void> {
    const handle = await this.#handle(step.index);
    const settled = this.#ask(step, handle);
    if (step.index === SYNC_INDEX || step.waits) await settled;
    else this.#hold(settled);
  }

  /** Asks for the commit at once. */
  #ask(step: Write, handle: Handle): Promise<void> {
    const number = ++this.#writes;
    const value = makeValue(number, step.size);
    const label = labelOf(value);
    const changes = new Map<string, Change>();
    for (const [at, key] of step.keys.entries()) {
      const isDeleted = step.deletes > 0 && at % step.deletes === step.deletes - 1;
      const name = nameOfKey(key);
      changes.set(name, { index: handle.name, key: name, label: isDeleted ? null : label });
    }
    const history = step.index === SYNC_INDEX ? this.inPlace : this.ordered;
    // What a transaction sees is settled when it begins; what a plain change goes by, when it takes effect.
    const seen = step.form === 'transaction' ? history.firstOpen((number) => this.#onTheirWay.has(number)) : undefined;
    const entry = history.ask({ step: this.#step, kind: 'commit', changes: [...changes.values()] }, seen);
    this.commits++;
    let answer: Promise<void>;
    const before = this.#lastCommit();
    try {
      answer = this.#commit(step.form, handle, [...changes.values()], value);
    } catch (error) {
      answer = Promise.reject(error);
    }
    if (history === this.ordered && this.#lastCommit() === before) this.#onTheirWay.add(entry);
    return answer.then(
      () => history.settle(entry, 'acknowledged'),
      (error) => {
        if (isPagewrightError(error) && !LEAVES_OPEN.has(error.code)) history.settle(entry, 'refused');
        if (!isPagewrightError(error, 'PW_CONFLICT')) throw error;
      },
    );
  }

  /** The newest commit that can be seen; null of an engine that has failed. */
  #lastCommit(): number | null {
    const engine = this.#engine as Engine;
    return engine.state === 'failed' ? null : engine.lastCommit;
  }

  #commit(form: Form, handle: Handle, changes: readonly Change[], value: Uint8Array): Promise<void> {
    const engine = this.#engine as Engine;
    const [first] = changes as [Change];
    const write = (tx: Transaction): void => {
      for (const { key, label } of changes) {
        if (label === null) tx.delete(handle, key);
        else tx.put(handle, key, value);
      }
    };
    switch (form) {
      case 'put':
        return first.label === null ? handle.delete(first.key) : handle.put(first.key, value);
      case 'batch':
        return handle.batch(
          changes.map(({ key, label }) => (label === null ? { type: 'delete', key } : { type: 'put', key, value })),
        );
      case 'transaction': {
        const tx = engine.begin();
        write(tx);
        return tx.commit();
      }
      case 'put-sync':
        if (first.label === null) handle.deleteSync(first.key);
        else handle.putSync(first.key, value);
        return Promise.resolve();
      case 'transaction-sync':
        engine.transactionSync(write);
        return Promise.resolve();
    }
  }

  /** The handle of an index, which is created if it is not there. */
  async #handle(number: number): Promise<Handle> {
    const known = this.#handles.get(number);
    if (known !== undefined) return known;
    const engine = this.#engine as Engine;
    const name = nameOfIndex(number);
    const history = number === SYNC_INDEX ? this.inPlace : this.ordered;
    const isNew = engine.indexes().every((index) => index.name !== name);
    if (isNew) await this.#settle();
    const entry = isNew ? history.ask({ step: this.#step, kind: 'create', index: name }) : -1;
    const handle = await engine.index<string, Uint8Array>(name, { key: 'utf8', value: 'buffer' });
    if (isNew) history.settle(entry, 'acknowledged');
    this.#handles.set(number, handle);
    return handle;
  }

  async #changeIndex(kind: 'clear' | 'drop', number: number): Promise<void> {
    const handle = await this.#handle(number);
    await this.#settle();
    const entry = this.ordered.ask({ step: this.#step, kind, index: handle.name });
    if (kind === 'drop') {
      this.#handles.delete(number);
      await (this.#engine as Engine).dropIndex(handle.name);
    } else {
      await handle.clear();
    }
    this.ordered.settle(entry, 'acknowledged');
  }

  /** An input that fails leaves the index as it was: then nothing is noted. */
  async #load(step: Load): Promise<void> {
    const { index, count, fails, beside, turns } = step;
    const handle = await this.#handle(index);
    const other = beside < 0 ? null : await this.#handle(beside);
    await this.#settle();
    const number = ++this.#writes;
    let entry = -1;
    const run = this;
    const changes: Change[] = [];
    function* items(): Generator<[string, Uint8Array]> {
      for (let at = 0; at < count; at++) {
        if (at === fails) throw new InputFailure();
        const key = nameOfLoaded(at);
        const value = makeValue(number, step.large > 0 && at % LARGE_ONES === 3 ? step.large : step.size);
        changes.push({ index: handle.name, key, label: labelOf(value) });
        yield [key, value];
        if (other !== null && at % BESIDE === 7) run.#hold(run.#ask(writeBeside(beside, at), other));
      }
      if (fails === count) throw new InputFailure();
      // Its commit comes after all that was asked for until now.
      entry = run.ordered.ask({ step: run.#step, kind: 'load', index: handle.name, changes });
    }
    async function* slowly(): AsyncGenerator<[string, Uint8Array]> {
      for (const item of items()) {
        yield item;
        if (changes.length % turns === 0) await new Promise(setImmediate);
      }
    }
    try {
      await handle.bulkLoad(turns === 0 ? items() : slowly(), { fill: number % 2 === 0 ? 1 : 0.7 });
      this.ordered.settle(entry, 'acknowledged');
    } catch (error) {
      if (error instanceof InputFailure) return;
      if (entry >= 0 && isPagewrightError(error) && !LEAVES_OPEN.has(error.code)) this.ordered.settle(entry, 'refused');
      throw error;
    }
  }

  /** A value that is read must be one that was written under this key, in this index. */
  async #read(number: number, handle: Handle, key: number): Promise<void> {
    const value = number % 2 === 0 ? await handle.get(nameOfKey(key)) : handle.getSync(nameOfKey(key));
    if (value !== undefined && labelOf(value).includes('wrong')) {
      throw new WrongRead(`${nameOfKey(key)} in ${handle.name} is ${labelOf(value)}`);
    }
  }

  #hold(work: Promise<void>): void {
    work.catch(() => undefined); // `#settle` meets the error
    this.#waiting.push(work);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }
}

/** The input of a bulk load ends with this where it is to fail. */
class InputFailure extends Error {}

const LARGE_ONES = 23;
/** Entries of an input between two writes to another index. */
const BESIDE = 61;

function writeBeside(index: number, at: number): Write {
  return { do: 'write', form: 'put', index, keys: [at % 50], size: 40, deletes: 0, waits: false };
}

/** Longer than a log waits before it counts as idle. Nothing depends on it: without it one kind of write is seen less often. */
const IDLE_MS = 40;

export function nameOfIndex(number: number): string {
  return number === SYNC_INDEX ? 'in-place' : `index ${number}`;
}

/** Some of these are keys of other writes as well; all of them rise. */
function nameOfLoaded(at: number): string {
  return nameOfKey(at * 2);
}

export function nameOfKey(key: number): string {
  return `key/${String(key).padStart(4, '0')}${key % 7 === 0 ? '/with a longer tail of its own' : ''}`;
}

/** All that the store holds, by history. */
export async function readContent(engine: Engine): Promise<{ ordered: Content; inPlace: Content }> {
  const ordered: Content = new Map();
  const inPlace: Content = new Map();
  for (const { name } of engine.indexes()) {
    const index = await engine.index<string, Uint8Array>(name, { key: 'utf8', value: 'buffer' });
    const entries = new Map<string, string>();
    let previous = '';
    for (const [key, value] of index.rangeSync()) {
      if (previous >= key && entries.size > 0) throw new WrongRead(`${key} comes after ${previous} in ${name}`);
      entries.set(key, labelOf(value));
      previous = key;
    }
    (name === nameOfIndex(SYNC_INDEX) ? inPlace : ordered).set(name, entries);
  }
  return { ordered, inPlace };
}
