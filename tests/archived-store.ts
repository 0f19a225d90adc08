/**
 * A store that is archived, and what was in it after every commit: written to at random, crashed, closed and opened again, so that what is
 * restored can be held against it, commit by commit.
 */
import type { Engine, IndexHandle } from '@pagewright/core';
import { dropAll, Random, type SimulatedDevice } from '@pagewright/testkit';
import { type EngineChoice, engineOn } from './engine-on.js';

export const STORE = '/store/archived.pw';
export const ARCHIVE = '/archive/segments';
export const BACKUP = '/store/backup.pw';
export const RESTORED = '/store/restored.pw';

export const SMALL: EngineChoice = { pageSize: 4096, memory: 2 ** 18, archive: ARCHIVE };

/** Names and entries, in one text. */
export type Content = string;

const KEYS = 60;
const NAMES = ['a', 'b', 'c'];

export class ArchivedStore {
  /** What was in the store after each commit, by its timestamp, in order. */
  readonly states = new Map<number, Content>();
  db!: Engine;
  /** Called after each commit of `write`. */
  afterCommit: (() => Promise<void>) | null = null;
  readonly #random: Random;
  #model = new Map<string, Map<string, string>>();

  constructor(
    public disk: SimulatedDevice,
    seed: number,
    private readonly choice: EngineChoice = SMALL,
  ) {
    this.#random = new Random(seed);
  }

  get last(): number {
    return Math.max(...this.states.keys());
  }

  async open(): Promise<void> {
    this.db = await engineOn(this.disk, STORE, this.choice);
  }

  async close(): Promise<void> {
    await this.db.close();
  }

  /** The power goes, and comes back; what was not synced is lost. */
  async crash(): Promise<void> {
    const disk = this.disk.afterCrash(dropAll);
    await this.db.close().catch(() => undefined);
    this.disk = disk;
  }

  async backup(path = BACKUP): Promise<number> {
    const { timestamp } = await this.db.backup(path);
    return timestamp;
  }

  /** So many commits, one after another, of all kinds. */
  async write(commits: number, size = 3000): Promise<void> {
    for (let i = 0; i < commits; i++) {
      await this.#change(size);
      await this.afterCommit?.();
    }
  }

  async put(key: string, value: string, name = 'a'): Promise<void> {
    const index = await this.#index(name);
    await index.put(key, value);
    this.#model.get(name)?.set(key, value);
    this.#note();
  }

  async #change(size: number): Promise<void> {
    const random = this.#random;
    const name = random.pick(NAMES);
    const index = await this.#index(name);
    const entries = this.#model.get(name) as Map<string, string>;
    const key = (): string => `key ${random.below(KEYS)}`;
    if (random.chance(0.02)) {
      await index.clear();
      entries.clear();
    } else if (random.chance(0.01)) {
      await this.db.dropIndex(name);
      this.#model.delete(name);
    } else if (random.chance(0.15)) {
      const deleted = key();
      await index.delete(deleted);
      entries.delete(deleted);
    } else if (random.chance(0.2)) {
      const puts = Array.from({ length: random.between(2, 6) }, () => [key(), this.#value(size / 4)] as const);
      await this.db.transaction((tx) => {
        for (const [at, value] of puts) tx.put(index, at, value);
      });
      for (const [at, value] of puts) entries.set(at, value);
    } else {
      const at = key();
      const value = this.#value(size);
      await index.put(at, value);
      entries.set(at, value);
    }
    this.#note();
  }

  async #index(name: string): Promise<IndexHandle<string, string>> {
    const index = await this.db.index<string, string>(name);
    if (!this.#model.has(name)) {
      this.#model.set(name, new Map());
      this.#note();
    }
    return index;
  }

  #value(size: number): string {
    const random = this.#random;
    return `${random.below(2 ** 31)} `.repeat(1 + random.below(Math.max(1, Math.floor(size / 11))));
  }

  #note(): void {
    const names = [...this.#model.keys()].sort();
    const entries = names.map((name) => [name, [...(this.#model.get(name) ?? [])].sort(byKey)]);
    this.states.set(this.db.lastCommit, JSON.stringify(entries));
  }
}

/** All that is in a store. */
export async function contentOf(db: Engine): Promise<Content> {
  const content: unknown[] = [];
  for (const { name } of db.indexes()) {
    const entries = [...(await db.index<string, string>(name)).rangeSync()];
    content.push([name, entries.sort(byKey)]);
  }
  return JSON.stringify(content);
}

function byKey([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
