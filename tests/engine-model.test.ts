/**
 * The whole engine against a sorted map, through random reopening and crashes. After a crash every acknowledged change is
 * there, those in flight are there whole or not at all and in order, and nothing else has changed.
 */
import type { Engine, IndexHandle } from '@pagewright/core';
import { dropAll, keepSome, SimulatedDevice } from '@pagewright/testkit';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const PATH = '/store/model.pw';
const MOST_KEYS = 300;

type Step =
  | { readonly kind: 'put' | 'put-sync'; readonly key: number; readonly size: number }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'transaction'; readonly keys: readonly number[]; readonly size: number }
  | { readonly kind: 'abort'; readonly keys: readonly number[] }
  | { readonly kind: 'burst'; readonly keys: readonly number[]; readonly size: number }
  | { readonly kind: 'load'; readonly keys: readonly number[]; readonly size: number; readonly falls: boolean }
  | { readonly kind: 'clear' | 'recreate' | 'checkpoint' | 'reopen' }
  | { readonly kind: 'crash'; readonly seed: number; readonly share: number };

const key = fc.integer({ min: 0, max: MOST_KEYS });
// Most values are small; some need pages of their own.
const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 900, max: 9000 }) },
);
const keys = fc.array(key, { minLength: 1, maxLength: 40, size: 'max' });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'put-sync' as const), key, size }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('transaction' as const), keys, size }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), keys }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('burst' as const), keys, size }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('load' as const), keys, size, falls: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('checkpoint' as const, 'reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('clear' as const, 'recreate' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('crash' as const),
      seed: fc.nat(),
      share: fc.constantFrom(0, 0.3, 0.7, 1),
    }),
  },
);

const nameOf = (number: number): string =>
  `key/${String(number).padStart(4, '0')}${number % 7 === 0 ? '/with a longer tail of its own' : ''}`;

type Content = Map<string, string>;

/** Drives the engine and the map alike, and keeps the states that a crash may lead to. */
class Subject {
  disk = new SimulatedDevice();
  engine!: Engine<'btree'>;
  index!: IndexHandle<string, Uint8Array>;
  /** What is acknowledged, and after it each state that changes in flight lead to, in order. */
  states: Content[] = [new Map()];
  #version = 0;

  constructor(
    readonly choice: {
      pageSize: number;
      commit: 'sync' | 'group' | 'pipelined' | 'autonomous';
      concurrency: 'mvcc' | 'single-writer';
    },
  ) {}

  get now(): Content {
    return this.states[this.states.length - 1] as Content;
  }

  async open(): Promise<void> {
    const create = !this.disk.files().includes(PATH);
    this.engine = await engineOn(this.disk, PATH, {
      ...this.choice,
      ...(create ? {} : { pageSize: this.choice.pageSize }),
      memory: 64 * this.choice.pageSize,
    });
    this.index = await this.engine.index<string, Uint8Array>('things', { key: 'utf8', value: 'buffer' });
  }

  /** A value that tells which write it came from. */
  value(size: number): Uint8Array {
    const bytes = Buffer.alloc(Math.max(size, 8), this.#version & 0xff);
    bytes.writeDoubleLE(++this.#version, 0);
    return bytes;
  }

  next(change: (content: Content) => void): void {
    const content = new Map(this.now);
    change(content);
    this.states.push(content);
  }

  entriesToLoad(keys: readonly number[], size: number): [string, Uint8Array][] {
    const sorted = [...new Set(keys)].sort((a, b) => a - b);
    return sorted.map((key) => [nameOf(key), this.value(size)]);
  }

  nextLoaded(entries: readonly [string, Uint8Array][]): void {
    this.states.push(new Map(entries.map(([key, value]) => [key, textOf(value)])));
  }

  acknowledge(): void {
    this.states = [this.now];
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case 'put':
      case 'put-sync': {
        const value = this.value(step.size);
        this.next((content) => content.set(nameOf(step.key), textOf(value)));
        if (step.kind === 'put') await this.index.put(nameOf(step.key), value);
        else this.index.putSync(nameOf(step.key), value);
        this.acknowledge();
        break;
      }
      case 'delete':
        this.next((content) => content.delete(nameOf(step.key)));
        await this.index.delete(nameOf(step.key));
        this.acknowledge();
        break;
      case 'transaction':
      case 'abort': {
        const values = step.keys.map(() => this.value(step.kind === 'transaction' ? step.size : 10));
        const aborted = new Error('aborted by the test');
        const done = this.engine.transaction((tx) => {
          for (const [at, key] of step.keys.entries()) {
            if (key % 5 === 4) tx.delete(this.index, nameOf(key));
            else tx.put(this.index, nameOf(key), values[at] as Uint8Array);
          }
          if (step.kind === 'abort') throw aborted;
        });
        if (step.kind === 'abort') {
          await expect(done).rejects.toBe(aborted);
          break;
        }
        this.next((content) => {
          for (const [at, key] of step.keys.entries()) {
            if (key % 5 === 4) content.delete(nameOf(key));
            else content.set(nameOf(key), textOf(values[at] as Uint8Array));
          }
        });
        await done;
        this.acknowledge();
        break;
      }
      case 'burst': {
        const puts = step.keys.map((key) => {
          const value = this.value(step.size);
          this.next((content) => content.set(nameOf(key), textOf(value)));
          return this.index.put(nameOf(key), value);
        });
        await Promise.all(puts);
        this.acknowledge();
        break;
      }
      case 'load': {
        const entries = this.entriesToLoad(step.keys, step.size);
        if (step.falls) {
          const falling = this.index.bulkLoad([...entries, entries[0]!]);
          await expect(falling).rejects.toMatchObject({ code: 'PW_UNSORTED' });
          break;
        }
        this.nextLoaded(entries);
        await this.index.bulkLoad(entries);
        this.acknowledge();
        break;
      }
      case 'clear':
        this.next((content) => content.clear());
        await this.index.clear();
        this.acknowledge();
        break;
      case 'recreate':
        // Two changes: in between there is an index with nothing in it.
        this.next((content) => content.clear());
        await this.engine.dropIndex('things');
        this.index = await this.engine.index<string, Uint8Array>('things', { key: 'utf8', value: 'buffer' });
        this.acknowledge();
        break;
      case 'checkpoint':
        await this.engine.checkpoint();
        break;
      case 'reopen':
        await this.engine.close();
        await this.open();
        break;
      case 'crash': {
        // Some changes are under way when it comes.
        const before = this.engine;
        for (let key = 0; key < 4; key++) {
          const value = this.value(50);
          this.next((content) => content.set(nameOf(key), textOf(value)));
          void this.index.put(nameOf(key), value).catch(() => {});
        }
        const checkpoint = step.seed % 2 === 0 ? this.engine.checkpoint().catch(() => {}) : null;
        if (step.seed % 3 === 0) {
          const entries = this.entriesToLoad([1, 5, 80, 90], 100);
          this.nextLoaded(entries);
          void this.index.bulkLoad(entries).catch(() => {});
        }
        for (let turn = step.seed % 11; turn > 0; turn--) await new Promise(setImmediate);
        this.disk = this.disk.afterCrash(step.share === 0 ? dropAll : keepSome(step.seed, step.share));
        await checkpoint;
        await before.close().catch(() => {});
        await this.open();
        await this.settle();
        break;
      }
    }
    await this.check();
  }

  /** Finds out which of the possible states the crash has left. */
  async settle(): Promise<void> {
    const found = await this.read();
    const state = this.states.find((candidate) => same(candidate, found));
    if (state === undefined) {
      const acknowledged = this.states[0] as Content;
      throw new Error(
        `after a crash there is none of ${this.states.length} states: ${differences(acknowledged, found)}`,
      );
    }
    this.states = [state];
  }

  async read(): Promise<Content> {
    const content: Content = new Map();
    for await (const [key, value] of this.index.range()) content.set(key, textOf(value));
    return content;
  }

  async check(): Promise<void> {
    const expected = new Map([...this.now].sort(([a], [b]) => (a < b ? -1 : 1)));
    expect([...(await this.read())]).toEqual([...expected]);
    const reversed = [...this.index.rangeSync({ reverse: true })].map(([key]) => key);
    expect(reversed).toEqual([...expected.keys()].reverse());
    const probe = nameOf(this.#version % (MOST_KEYS + 1));
    const value = this.index.getSync(probe);
    expect(value === undefined ? undefined : textOf(value)).toBe(expected.get(probe));
    expect(await this.index.count({ gte: probe })).toBe([...expected.keys()].filter((key) => key >= probe).length);
  }
}

function textOf(value: Uint8Array): string {
  return `${value.length}:${Buffer.from(value.subarray(0, 8)).toString('hex')}:${value[value.length - 1]}`;
}

function same(a: Content, b: Content): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

function differences(expected: Content, found: Content): string {
  const lines: string[] = [];
  for (const [key, value] of expected)
    if (found.get(key) !== value) lines.push(`${key}: ${found.get(key) ?? 'missing'} instead of ${value}`);
  for (const key of found.keys()) if (!expected.has(key)) lines.push(`${key}: should not be there`);
  return lines.slice(0, 10).join('; ');
}

it('an engine agrees with a sorted map through any sequence of changes, reopening and crashes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        pageSize: fc.constantFrom(4096, 16384),
        commit: fc.constantFrom('sync' as const, 'pipelined' as const, 'autonomous' as const, 'group' as const),
        concurrency: fc.constantFrom('mvcc' as const, 'single-writer' as const),
      }),
      fc.array(step, { minLength: 5, maxLength: 120, size: 'max' }),
      async (choice, steps) => {
        const subject = new Subject(choice);
        await subject.open();
        for (const step of steps) await subject.run(step);
        await subject.engine.close();
        await subject.open();
        await subject.check();
        await subject.engine.close();
      },
    ),
    { numRuns: Number(process.env.MODEL_RUNS ?? 25), interruptAfterTimeLimit: 90_000 },
  );
}, 300_000);
