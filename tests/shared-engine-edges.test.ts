/**
 * One store, several engines in this thread, at the edges: who joins in the midst of something, who ends in the midst of something, and who
 * has not heard yet. A thread that has ended is one whose slot is free; one that has not heard is one that is kept from looking around.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import {
  driveSchedule,
  type Engine,
  type EngineHandle,
  type EngineSnapshot,
  PagewrightError,
  POINT,
  type Threads,
} from '@pagewright/core';
import { attach, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Housekeeping } from '../packages/core/src/engine/housekeeping.js';

let directory: string;
let path: string;
const engines: Engine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-edges-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  for (const engine of engines.splice(0).reverse()) await engine.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function opened(at = path): Promise<Engine> {
  const engine = await open(at, { memory: '8MiB', pageSize: '4KiB' });
  engines.push(engine);
  return engine;
}

async function joined(engine: Engine): Promise<Engine> {
  const other = await attach(structuredClone(engine.share()));
  engines.push(other);
  return other;
}

async function both(): Promise<readonly [Engine, Engine]> {
  const a = await opened();
  return [a, await joined(a)];
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const rejected = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'nothing', codeOf);
const thrown = (call: () => unknown): unknown => {
  try {
    return ['nothing', call()];
  } catch (error) {
    return codeOf(error);
  }
};

/** What of an engine these tests reach behind its face. */
interface Core {
  checkpointAtOnce(): Promise<unknown>;
  readonly pages: { readonly threads: Threads };
  readonly shared: { catchUp(): void };
  readonly sharing: { readonly calls: { close(): Promise<void> } };
  readonly catalog: { readonly dropped: ReadonlySet<unknown>; readonly loads: ReadonlyMap<number, unknown> };
  readonly state: { lookAround: () => void; fail(error: Error): Error; turnReadOnly(error: Error): void };
}
const coreOf = (engine: Engine): Core => (engine as unknown as { core: Core }).core;
const entryOf = (index: object): { readonly predecessor: unknown } =>
  (index as { entry: { readonly predecessor: unknown } }).entry;

/** The engine hears of nothing until what this returns is called. */
function deafen(engine: Engine): () => void {
  const { state } = coreOf(engine);
  state.lookAround = () => {};
  return () => Reflect.deleteProperty(state, 'lookAround');
}

/** To the others it looks as if the thread of this engine had ended, between two calls, and another one of the system had its number. */
function end(engine: Engine): void {
  engines.splice(engines.indexOf(engine), 1);
  const { threads } = coreOf(engine).pages;
  Atomics.add(threads.words, threads.at('latches') - 1, 1);
}

/** The input of a load, of which the rest comes when it is told to. `begun` resolves when the load has taken the first entry. */
function fed(): { readonly input: AsyncIterable<[string, number]>; readonly begun: Promise<void>; end(): void } {
  let begin = (): void => {};
  let end = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  async function* input(): AsyncGenerator<[string, number]> {
    yield ['loaded 1', 1];
    begin();
    await ended;
    yield ['loaded 2', 2];
  }
  return { input: input(), begun, end };
}

/** A load that has come to its checkpoints and stays there. Resolves when the first of them is through. */
async function stuckWhenBuilt(engine: Engine, entries: Iterable<[string, number]>): Promise<void> {
  const core = coreOf(engine);
  const index = await engine.index('data');
  const checkpoint = core.checkpointAtOnce.bind(core);
  await new Promise<void>((resolve, reject) => {
    core.checkpointAtOnce = async () => {
      await checkpoint();
      resolve();
      await new Promise(() => {});
    };
    index.bulkLoad(entries).catch(reject);
  });
}

/** The store as a crash at this moment leaves it. */
async function afterCrash(): Promise<Engine> {
  const copy = join(directory, 'crashed.pw');
  fs.copyFileSync(path, copy);
  fs.cpSync(`${path}-wal`, `${copy}-wal`, { recursive: true });
  return opened(copy);
}

describe('who has not heard of it yet', () => {
  it('sees with an older snapshot what was in an index, which it opens when that was cleared already', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    await inA.put('key', 1);
    const snapshot = b.snapshot();
    await inA.clear();
    await inA.put('key', 2);
    const inB = await b.index('data');
    expect(inB.getSync('key', { snapshot })).toBe(1);
    expect([...inB.rangeSync({ snapshot })]).toEqual([['key', 1]]);
    expect(inB.countSync({ snapshot })).toBe(1);
    expect(inB.getSync('key')).toBe(2);
    snapshot.release();
  });

  it('sees with each snapshot the tree of that time, however often the index was cleared or loaded in between', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    await inA.put('key', 1);
    const hear = deafen(b);
    const snapshots = [b.snapshot()];
    await inA.clear();
    await inA.put('key', 2);
    snapshots.push(b.snapshot());
    // A load that fails leaves a tree, too, which the index has never had.
    expect(
      await rejected(
        inA.bulkLoad([
          ['key', 9],
          ['a', 9],
        ]),
      ),
    ).toBe('PW_UNSORTED');
    await inA.bulkLoad([['key', 3]]);
    snapshots.push(b.snapshot());
    await inA.clear();
    await inA.put('key', 4);
    hear();
    expect(snapshots.map((snapshot) => inB.getSync('key', { snapshot }))).toEqual([1, 2, 3]);
    expect(snapshots.map((snapshot) => inB.countSync({ snapshot }))).toEqual([1, 1, 1]);
    expect(inB.getSync('key')).toBe(4);
    for (const snapshot of snapshots) snapshot.release();
  });

  it('keeps nothing of trees that nobody can see any more', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    for (let times = 0; times < 5; times++) {
      await inA.clear();
      await inA.put('key', times);
      expect(inB.getSync('key')).toBe(times);
    }
    await vi.waitFor(() => expect(entryOf(inB).predecessor).toBe(null));
    expect(inB.getSync('key')).toBe(4);
  });

  it('sees with its snapshots what they saw while trees between them go, and nothing is kept of those', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    const snapshots: [EngineSnapshot, number][] = [];
    for (let times = 0; times < 24; times++) {
      const [by, other] = times % 2 === 0 ? [inA, inB] : [inB, inA];
      await by.clear();
      await by.put('key', times);
      if (times % 10 === 1) snapshots.push([(times % 4 === 1 ? b : a).snapshot(), times]);
      expect(other.getSync('key')).toBe(times);
    }
    const depth = (index: { readonly predecessor?: unknown } | null): number =>
      index === null ? -1 : 1 + depth(index.predecessor as typeof index);
    await vi.waitFor(() => expect(coreOf(a).catalog.dropped.size).toBe(3));
    await vi.waitFor(() => expect([depth(entryOf(inA)), depth(entryOf(inB))]).toEqual([3, 3]));
    // Snapshots of an engine are read in that engine; the index of both shows what the other one's see as well.
    for (const [snapshot, times] of snapshots) {
      const inIts = (snapshot.owner as unknown) === coreOf(a) ? inA : inB;
      expect(inIts.getSync('key', { snapshot })).toBe(times);
      expect([...inIts.rangeSync({ snapshot })]).toEqual([['key', times]]);
    }
    for (const [snapshot] of snapshots) snapshot.release();
    await vi.waitFor(() => expect(coreOf(a).catalog.dropped.size).toBe(0));
  });

  it.each([
    ['created', 'new'],
    ['cleared', 'data'],
  ])('removes what was deleted in an index that was %s by a thread that is gone', async (_, name) => {
    const [a, b] = await both();
    await (await a.index('data')).put('old', 1);
    const hear = deafen(a);
    const inB = await b.index(name);
    if (name === 'data') await inB.clear();
    for (const key of ['x', 'y', 'z']) inB.putSync(key, 1);
    b.snapshot();
    for (const key of ['x', 'y']) inB.deleteSync(key);
    await b.close();
    await a.close();
    hear();
    const again = await opened();
    // On one page it counts what lies there, deleted or not, exactly.
    expect((await again.index(name)).estimateCountSync()).toBe(1);
  });
});

describe('who joins', () => {
  it('in the midst of a load waits for it as all others do', async () => {
    const a = await opened();
    const inA = await a.index('data');
    const { input, begun, end } = fed();
    const loading = inA.bulkLoad(input);
    await begun;
    const b = await joined(a);
    const inB = await b.index('data');
    expect(thrown(() => inB.putSync('now', 1))).toBe('PW_INDEX_LOADING');
    const put = inB.put('later', 3);
    end();
    await loading;
    await put;
    expect([...inA.rangeSync()]).toEqual([
      ['later', 3],
      ['loaded 1', 1],
      ['loaded 2', 2],
    ]);
  });

  it('a store that has failed is told so', async () => {
    const [a, b] = await both();
    const handle = a.share();
    coreOf(b).state.fail(new Error('in the midst of a commit'));
    expect(await rejected(attach(handle))).toBe('PW_ENGINE_FAILED');
  });

  it('a store that is being closed is told so, and leaves nothing', async () => {
    const a = await opened();
    const handle = a.share();
    const closing = a.close();
    expect(await rejected(attach(handle))).toBe('PW_CLOSED');
    await closing;
    expect(fs.readdirSync(directory)).toEqual(['app.pw']);
  });

  it('with what is no handle any more is told so', async () => {
    const a = await opened();
    const handle = a.share();
    const { pages, log } = handle as unknown as Record<string, Record<string, unknown>>;
    const without = (from: object, part: string): object => ({ ...from, [part]: undefined });
    const garbled: unknown[] = [
      JSON.parse(JSON.stringify(handle)),
      ...Object.keys(handle).map((part) => without(handle, part)),
      ...Object.keys(pages!).map((part) => ({ ...handle, pages: without(pages!, part) })),
      ...Object.keys(log!).map((part) => ({ ...handle, log: without(log!, part) })),
    ];
    for (const what of garbled) expect(await rejected(attach(what as EngineHandle))).toBe('PW_ARGUMENT');
    expect(coreOf(a).pages.threads.count).toBe(1);
    await (await joined(a)).index('data');
  });
});

describe('a bulk load', () => {
  it('of much may be made by who joined', async () => {
    const [a, b] = await both();
    const inB = await b.index('large', { key: 'u32', value: 'buffer' });
    const value = Buffer.alloc(256 * 1024, 1);
    const before = a.stats().pages.checkpoints;
    // More than goes between two checkpoints, which it has the thread write that opened the store.
    const report = await inB.bulkLoad(Array.from({ length: 200 }, (_, key) => [key, value] as const));
    expect([report.entries, a.state, inB.countSync()]).toEqual([200, 'open', 200]);
    expect(a.stats().pages.checkpoints).toBeGreaterThan(before + 2);
  });

  it('whose thread ends when the tree is built leaves an index that can be loaded, and a store that can be joined, and opened after a crash', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    await inA.put('before', 1);
    await stuckWhenBuilt(b, [['of b', 1]]);
    end(b);
    const c = await joined(a);
    await stuckWhenBuilt(c, [['of c', 1]]);
    const crashed = await afterCrash();
    expect([...(await crashed.index('data')).rangeSync()]).toEqual([['before', 1]]);
    expect((await crashed.verify()).problems).toEqual([]);
    const d = await joined(a);
    end(c);
    const inD = await d.index('data');
    await inD.bulkLoad([['of d', 1]]);
    expect([...inA.rangeSync()]).toEqual([['of d', 1]]);
    // What the others had left goes, and nothing else.
    await vi.waitFor(() => expect(coreOf(a).catalog.dropped.size).toBe(0));
    expect([...inA.rangeSync()]).toEqual([['of d', 1]]);
    expect((await a.verify()).problems).toEqual([]);
  });

  it('whose thread ends while it is at it is given up by the next', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    await inA.put('before', 1);
    const { input, begun } = fed();
    (await b.index('data')).bulkLoad(input).catch(() => {});
    await begun;
    expect(thrown(() => inA.putSync('now', 1))).toBe('PW_INDEX_LOADING');
    end(b);
    inA.putSync('now', 1);
    await inA.bulkLoad([['of a', 1]]);
    await vi.waitFor(() => expect(coreOf(a).catalog.dropped.size).toBe(0));
    expect([...inA.rangeSync()]).toEqual([['of a', 1]]);
    expect((await a.verify()).problems).toEqual([]);
  });

  it('of a process that is gone is none, whoever has the number of its thread now', async () => {
    const a = await opened();
    const inA = await a.index('data');
    await inA.put('before', 1);
    const { input, begun, end } = fed();
    const loading = inA.bulkLoad(input);
    await begun;
    await a.checkpoint();
    // What was left of the tree stays where it is.
    const waking = vi.spyOn(Housekeeping.prototype, 'wake').mockImplementation(() => {});
    const again = await afterCrash();
    expect(coreOf(again).pages.threads.tag).toBe(coreOf(a).pages.threads.tag);
    const b = await joined(again);
    await b.index('another');
    (await b.index('data')).putSync('after', 2);
    expect([...coreOf(b).catalog.loads.keys()]).toEqual([]);
    expect(again.indexes().length).toBe(2);
    expect(coreOf(again).catalog.dropped.size).toBe(1);
    waking.mockRestore();
    end();
    await loading;
  });
});

describe('who waits for the load of another', () => {
  async function waiting(): Promise<{
    readonly a: Engine;
    readonly b: Engine;
    readonly put: Promise<unknown>;
    readonly load: Promise<unknown>;
    readonly loading: Promise<unknown>;
    end(): void;
  }> {
    const [a, b] = await both();
    const inA = await a.index('data');
    const { input, begun, end } = fed();
    const loading = rejected((await b.index('data')).bulkLoad(input));
    await begun;
    return { a, b, end, loading, put: rejected(inA.put('key', 1)), load: rejected(inA.bulkLoad([['key', 2]])) };
  }

  it('is told that the store has failed, because that load may never end', async () => {
    const { b, put, load, end } = await waiting();
    coreOf(b).state.fail(new Error('in the midst of a commit'));
    expect([await put, await load]).toEqual(['PW_ENGINE_FAILED', 'PW_ENGINE_FAILED']);
    end();
  });

  it('is told that the store is read-only', async () => {
    const { b, put, load, end } = await waiting();
    coreOf(b).state.turnReadOnly(new Error('no space'));
    expect([await put, await load]).toEqual(['PW_READ_ONLY', 'PW_READ_ONLY']);
    end();
  });

  it('waits no more when it closes, and where it opened the store that load ends as well', async () => {
    const { a, put, load, loading } = await waiting();
    const closing = a.close();
    expect([await put, await load]).toEqual(['PW_CLOSED', 'PW_CLOSED']);
    await closing;
    expect(await loading).toBe('PW_CLOSED');
  });

  it('waits no more when it closes, and that load goes on', async () => {
    const { b, end, loading } = await waiting();
    const c = await joined(b);
    const put = rejected((await c.index('data')).put('key', 3));
    await c.close();
    expect(await put).toBe('PW_CLOSED');
    end();
    expect(await loading).toBe('nothing');
  });
});

it('a thread that was lost is told as such, whatever came of it and was told before', async () => {
  const [a, b] = await both();
  const inA = await a.index('data');
  const { state } = coreOf(b);
  state.turnReadOnly(new PagewrightError('PW_COMMIT_UNKNOWN', 'The log could not be written.'));
  expect(thrown(() => inA.putSync('key', 1))).toBe('PW_READ_ONLY');
  state.fail(new PagewrightError('PW_THREAD_LOST', 'It is gone.'));
  expect(thrown(() => inA.getSync('key'))).toBe('PW_THREAD_LOST');
  expect([a.state, codeOf(a.failure), codeOf(b.failure)]).toEqual(['failed', 'PW_THREAD_LOST', 'PW_THREAD_LOST']);
});

it('a thread that was lost is told as such by who meets it in the log', async () => {
  const [a, b] = await both();
  const inA = await a.index('data');
  const { threads } = coreOf(b).pages;
  driveSchedule((point) => {
    if (point !== POINT.flushCollected) return;
    // As if it had ended with the latch of the log, and another thread of the system had its number.
    Atomics.store(threads.words, threads.at('logLatch'), 1);
    Atomics.add(threads.words, threads.at('latches') - 1, 1);
    coreOf(a).pages.threads.sweep();
  });
  expect(await rejected(inA.put('key', 1))).toBe('PW_COMMIT_UNKNOWN');
  driveSchedule(null);
  expect([a.state, codeOf(a.failure)]).toEqual(['failed', 'PW_THREAD_LOST']);
  expect(thrown(() => inA.getSync('key'))).toBe('PW_THREAD_LOST');
});

it('a thread that was lost fails the engine of whoever meets it first, wherever that is', async () => {
  const meetings: readonly [string, (a: Engine) => Promise<unknown>][] = [
    ['a put', async (a) => rejected((await a.index('data')).put('key', 1))],
    ['a put in place', async (a) => a.index('data').then((index) => thrown(() => index.putSync('key', 1)))],
    ['a look at the state', async (a) => (a.state === 'failed' ? 'PW_THREAD_LOST' : a.state)],
  ];
  for (const [where, meet] of meetings) {
    fs.rmSync(path, { force: true });
    fs.rmSync(`${path}-wal`, { force: true, recursive: true });
    let told: unknown;
    const a = await open(path, { memory: '8MiB', pageSize: '4KiB', onFailure: (error) => (told = codeOf(error)) });
    const b = await attach(structuredClone(a.share()));
    await a.index('data');
    const { threads } = coreOf(b).pages;
    // It ends while it commits, and nobody but the pool has found out.
    Atomics.store(threads.words, threads.at('commit'), 1);
    Atomics.add(threads.words, threads.at('latches') - 1, 1);
    coreOf(a).pages.threads.sweep();
    expect(await meet(a), where).toBe('PW_THREAD_LOST');
    await null;
    expect([a.state, codeOf(a.failure), told], where).toEqual(['failed', 'PW_THREAD_LOST', 'PW_THREAD_LOST']);
    await rejected(a.close());
    await rejected(b.close());
  }
});

describe('what the thread that opened the store is asked for', () => {
  /** Begins a backup that takes for ever. Resolves when it is under way, to what tells how it ends. */
  async function slowBackup(b: Engine): Promise<{ readonly end: Promise<unknown> }> {
    const inB = await b.index('users');
    await inB.batch(Array.from({ length: 3000 }, (_, i) => ({ type: 'put', key: `key ${i}`, value: 'x'.repeat(100) })));
    let end: Promise<unknown> = Promise.resolve();
    await new Promise<void>((resolve) => {
      end = rejected(b.backup(join(directory, 'copy.pw'), { bytesPerSecond: 1, onProgress: () => resolve() }));
    });
    return { end };
  }
  const copies = (): string[] => fs.readdirSync(directory).filter((name) => name.startsWith('copy'));

  it('ends when who asked for it closes', async () => {
    const [a, b] = await both();
    const backup = await slowBackup(b);
    await b.close();
    expect(await backup.end).toBe('PW_CLOSED');
    expect([a.state, copies()]).toEqual(['open', []]);
  });

  it('ends, and is answered, when the store is closed', async () => {
    const [a, b] = await both();
    const backup = await slowBackup(b);
    await a.close();
    expect(await backup.end).toBe('PW_CLOSED');
    expect(copies()).toEqual([]);
  });

  it('is waited for no longer than the store is open, though it was never heard of', async () => {
    const [a, b] = await both();
    await coreOf(a).sharing.calls.close();
    const verified = rejected(b.verify());
    vi.spyOn(coreOf(b).shared, 'catchUp').mockImplementation(() => {
      throw new PagewrightError('PW_CLOSED', 'There are no pages any more.');
    });
    await a.close();
    expect(await verified).toBe('PW_CLOSED');
  });

  it('is waited for no longer than that thread is there', async () => {
    const [a, b] = await both();
    const backup = await slowBackup(b);
    end(a);
    expect(await backup.end).toBe('PW_THREAD_LOST');
    expect(b.state).toBe('failed');
    expect(await rejected(b.checkpoint())).toBe('PW_THREAD_LOST');
    await b.close();
    engines.splice(0);
  });
});
