/** A snapshot that a workload holds. Whenever it is read it must show the store as it was when it was taken. */
import { type EngineSnapshot, isPagewrightError } from '@pagewright/core';
import type { Content, History, HistoryMark } from './history.js';
import { entriesOf, type Handle, labelsOf, WrongRead, wrongLabel } from './reading.js';
import { labelOf } from './value-labels.js';

/** What a snapshot is held against. */
interface Run {
  readonly ordered: History;
  readonly inPlace: History;
  historyOf(index: number): History;
  mustHold(whatIsWrong: () => string | null): Promise<void>;
}

export class WatchedSnapshot {
  /** What it has shown, by index and key. */
  readonly #shown = new Map<string, string | null>();
  readonly #marks: ReadonlyMap<History, HistoryMark>;

  /** `handles`: the indexes that it is read in, by number. Nothing was asked for since it was taken. */
  constructor(
    private readonly snapshot: EngineSnapshot,
    private readonly handles: ReadonlyMap<number, Handle>,
    private readonly run: Run,
  ) {
    this.#marks = new Map([run.ordered, run.inPlace].map((history) => [history, history.mark()]));
  }

  /** Whether this is an index of its time: one that was dropped and made again is another. */
  shows(number: number, handle: Handle): boolean {
    return this.handles.get(number) === handle;
  }

  async read(number: number, handle: Handle, key: string): Promise<void> {
    const { snapshot } = this;
    const value = await ifNotTooOld(() => handle.get(key, { snapshot }));
    if (value === TOO_OLD) return;
    const label = value === undefined ? null : labelOf(value);
    const history = this.run.historyOf(number);
    await this.run.mustHold(() => {
      const allowed = history.labelsAt(handle.name, key, this.#markOf(history));
      return allowed.has(label) ? null : `${wrongLabel(handle.name, key, label, allowed)} in a snapshot`;
    });
    const place = `${key} in ${handle.name}`;
    const before = this.#shown.get(place);
    if (before !== undefined && before !== label)
      throw new WrongRead(`${place} was ${before ?? 'absent'} in a snapshot, and is ${label ?? 'absent'} there now`);
    this.#shown.set(place, label);
  }

  /** Looks at all that it shows of indexes that are still there. */
  async readAll(handles: ReadonlyMap<number, Handle>): Promise<void> {
    for (const history of this.#marks.keys()) {
      const found: Content = new Map();
      for (const [number, handle] of handles) {
        if (!this.shows(number, handle) || this.run.historyOf(number) !== history) continue;
        const entries = await ifNotTooOld(() => entriesOf(handle, this.snapshot));
        if (entries === TOO_OLD) return;
        found.set(handle.name, labelsOf(entries));
      }
      await this.run.mustHold(() => {
        const wrong = history.mismatch(found, this.#markOf(history), new Set(found.keys()));
        return wrong === null ? null : `A snapshot does not show the store as it was when it was taken. ${wrong}`;
      });
      for (const [index, entries] of found) this.#compare(index, entries);
    }
  }

  release(): void {
    this.snapshot.release();
  }

  #markOf(history: History): HistoryMark {
    return this.#marks.get(history) as HistoryMark;
  }

  /** What a range shows must be what single reads have shown. */
  #compare(index: string, entries: ReadonlyMap<string, string>): void {
    for (const [place, before] of this.#shown) {
      const end = ` in ${index}`;
      if (!place.endsWith(end)) continue;
      const now = entries.get(place.slice(0, -end.length)) ?? null;
      if (now !== before)
        throw new WrongRead(
          `${place} was ${before ?? 'absent'} in a snapshot, and is ${now ?? 'absent'} in a range of it`,
        );
    }
  }
}

/** Old versions may have become too many for it: then it shows nothing any more, and says so. */
const TOO_OLD = Symbol('too old');

async function ifNotTooOld<Result>(read: () => Result | Promise<Result>): Promise<Result | typeof TOO_OLD> {
  try {
    return await read();
  } catch (error) {
    if (isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD')) return TOO_OLD;
    throw error;
  }
}
