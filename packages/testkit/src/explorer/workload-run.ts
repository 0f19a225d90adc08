/**
 * Runs a workload on an engine, and keeps its history: what was asked for when, and what was answered.
 *
 * Backups that it makes are kept account of in the same way: which of the states between call and answer they may have.
 *
 * Asynchronous commits take effect in the order in which they were asked for, synchronous ones at once; so there are two
 * histories, over indexes of their own.
 */
import { type Engine, isPagewrightError, type Transaction } from '@pagewright/core';
import { type Change, History, type HistoryMark } from './history.js';
import { type Handle, nameOfIndex, nameOfKey, WrongRead, wrongLabel } from './reading.js';
import type { BackupMark, RunMark } from './run-mark.js';
import { labelOf, makeValue } from './value-labels.js';
import { WatchedSnapshot } from './watched-snapshot.js';
import { type Form, type Step, SYNC_INDEX, type Workload } from './workload.js';

/** Opens a store with the parts that are tested, on the device of the run. */
export type OpenStore = () => Promise<Engine>;

type Write = Extract<Step, { do: 'write' }>;
type Load = Extract<Step, { do: 'load' }>;

/** After these a commit may be there or not. After every other error it has not taken effect, and never will. */
const LEAVES_OPEN = new Set(['PW_COMMIT_UNKNOWN', 'PW_ENGINE_FAILED']);

/** With these a disk that fails ends a backup, or a compaction. */
const DISK_ERRORS: ReadonlySet<string> = new Set(['PW_IO', 'PW_FULL']);
/** Where backups go, before their numbers. */
const BACKUP_PATH = '/store/backup-';

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
  readonly #snapshots: WatchedSnapshot[] = [];
  readonly #backups: BackupMark[] = [];
  /** Asynchronous commits, by their numbers in the history, that had not taken effect when the call returned. */
  readonly #onTheirWay = new Set<number>();
  /** Keys of the last write to each index: a read that comes too early or too late is seen there first. */
  readonly #newest = new Map<number, readonly number[]>();
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
    while (this.#snapshots.length > 0) await this.#release();
    this.#handles.clear();
    await this.#engine?.close();
    this.#engine = null;
  }

  /** Waits for what was asked for, whatever comes of it, and closes the store as far as that is possible. */
  async abandon(): Promise<void> {
    await this.answered();
    this.#waiting.length = 0;
    for (const snapshot of this.#snapshots.splice(0)) snapshot.release();
    await this.#engine?.close().catch(() => undefined);
    this.#engine = null;
  }

  /** Waits for what was asked for, whatever comes of it: by then it is known what was refused. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#waiting);
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
          const newest = this.#newest.get(number) ?? [];
          for (const key of [...step.keys, ...newest]) await this.#read(number, handle, key);
        }
        break;
      case 'settle':
        await this.#settle();
        break;
      case 'snapshot':
        this.#snapshots.push(new WatchedSnapshot(engine.snapshot(), new Map(this.#handles), this));
        break;
      case 'release':
        await this.#release();
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
    this.#newest.set(step.index, step.keys.slice(0, NEWEST));
    const changes = new Map<string, ValuedChange>();
    for (const [at, key] of step.keys.entries()) {
      const isDeleted = step.deletes > 0 && at % step.deletes === step.deletes - 1;
      const name = nameOfKey(key);
      // Each key has a value of its own, so that another key's is known.
      const value = isDeleted ? null : makeValue(++this.#writes, step.size);
      changes.set(name, { index: handle.name, key: name, label: value && labelOf(value), value });
    }
    const history = this.historyOf(step.index);
    // What a transaction sees is settled when it begins; what a plain change goes by, when it takes effect.
    const seen = step.form === 'transaction' ? history.firstOpen((number) => this.#onTheirWay.has(number)) : undefined;
    const entry = history.ask(
      { step: this.#step, kind: 'commit', changes: [...changes.values()].map(withoutValue) },
      seen,
    );
    this.commits++;
    let answer: Promise<void>;
    const before = this.#lastCommit();
    try {
      answer = this.#commit(step.form, handle, [...changes.values()]);
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

  #commit(form: Form, handle: Handle, changes: readonly ValuedChange[]): Promise<void> {
    const engine = this.#engine as Engine;
    const [first] = changes as [ValuedChange];
    const write = (tx: Transaction): void => {
      for (const { key, value } of changes) {
        if (value === null) tx.delete(handle, key);
        else tx.put(handle, key, value);
      }
    };
    switch (form) {
      case 'put':
        return first.value === null ? handle.delete(first.key) : handle.put(first.key, first.value);
      case 'batch':
        return handle.batch(
          changes.map(({ key, value }) => (value === null ? { type: 'delete', key } : { type: 'put', key, value })),
        );
      case 'transaction': {
        const tx = engine.begin();
        write(tx);
        return tx.commit();
      }
      case 'put-sync':
        if (first.value === null) handle.deleteSync(first.key);
        else handle.putSync(first.key, first.value);
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
    const history = this.historyOf(number);
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
    let entry = -1;
    const run = this;
    const changes: Change[] = [];
    function* items(): Generator<[string, Uint8Array]> {
      for (let at = 0; at < count; at++) {
        if (at === fails) throw new InputFailure();
        const key = nameOfLoaded(at);
        const value = makeValue(++run.#writes, step.large > 0 && at % LARGE_ONES === 3 ? step.large : step.size);
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
      await handle.bulkLoad(turns === 0 ? items() : slowly(), { fill: this.#step % 2 === 0 ? 1 : 0.7 });
      this.ordered.settle(entry, 'acknowledged');
    } catch (error) {
      if (error instanceof InputFailure) return;
      if (entry >= 0 && isPagewrightError(error) && !LEAVES_OPEN.has(error.code)) this.ordered.settle(entry, 'refused');
      throw error;
    }
  }

  /** A key that is read must have what was acknowledged before, or what is under way: now, and as each snapshot was taken. */
  async #read(number: number, handle: Handle, key: number): Promise<void> {
    const name = nameOfKey(key);
    const history = this.historyOf(number);
    const from = history.mark();
    const value = await handle.get(name);
    await this.#judge(number, handle, name, value, { ...from, asked: history.length });
    await this.#judge(number, handle, name, handle.getSync(name), history.mark());
    for (const snapshot of this.#snapshots) {
      if (snapshot.shows(number, handle)) await snapshot.read(number, handle, name);
    }
  }

  async #judge(
    number: number,
    { name }: Handle,
    key: string,
    value: Uint8Array | undefined,
    mark: HistoryMark,
  ): Promise<void> {
    const label = value === undefined ? null : labelOf(value);
    await this.mustHold(() => {
      const allowed = this.historyOf(number).labelsAt(name, key, mark);
      return allowed.has(label) ? null : wrongLabel(name, key, label, allowed);
    });
  }

  /** Throws what is wrong, if it still is when all is answered: what is under way may have been refused, and not have said so yet. */
  async mustHold(whatIsWrong: () => string | null): Promise<void> {
    if (whatIsWrong() === null) return;
    await this.answered();
    const wrong = whatIsWrong();
    if (wrong !== null) throw new WrongRead(wrong);
  }

  historyOf(index: number): History {
    return index === SYNC_INDEX ? this.inPlace : this.ordered;
  }

  /** The oldest snapshot must show all that it showed when it was taken, before it is let go. */
  async #release(): Promise<void> {
    const [oldest] = this.#snapshots;
    await oldest?.readAll(this.#handles);
    this.#snapshots.shift()?.release();
  }

  #hold(work: Promise<void>): void {
    work.catch(() => undefined); // `#settle` meets the error
    this.#waiting.push(work);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting.splice(0));
  }
}

type ValuedChange = Change & { readonly value: Uint8Array | null };

/** What is kept of it: values are many bytes, and a label tells them. */
function withoutValue({ index, key, label }: ValuedChange): Change {
  return { index, key, label };
}

/** The input of a bulk load ends with this where it is to fail. */
class InputFailure extends Error {}

const NEWEST = 3;
const LARGE_ONES = 23;
/** Entries of an input between two writes to another index. */
const BESIDE = 61;

function writeBeside(index: number, at: number): Write {
  return { do: 'write', form: 'put', index, keys: [at % 50], size: 40, deletes: 0, waits: false };
}

/** Longer than a log waits before it counts as idle. Nothing depends on it: without it one kind of write is seen less often. */
const IDLE_MS = 40;

/** Some of these are keys of other writes as well; all of them rise. */
function nameOfLoaded(at: number): string {
  return nameOfKey(at * 2);
}
