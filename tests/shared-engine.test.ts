/**
 * One store, two engines: the one that opened it and one that attached, both in this thread, so that what each knows of the other is
 * seen step by step. Real threads are in `engine-threads.test.ts`.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineHandle } from '@pagewright/core';
import { attach, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

let directory: string;
let path: string;
const engines: Engine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-shared-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  for (const engine of engines.splice(0).reverse()) await engine.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function opened(options: Parameters<typeof open>[1] = {}): Promise<Engine> {
  const engine = await open(path, { memory: '8MiB', pageSize: '4KiB', ...options });
  engines.push(engine);
  return engine;
}

async function joined(engine: Engine, options: Parameters<typeof attach>[1] = {}): Promise<Engine> {
  const other = await attach(structuredClone(engine.share()), options);
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

describe('entries', () => {
  it('what one has committed the other reads at once, and both after reopening', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    const inB = await b.index('users');
    await inA.put('ada', 1);
    inB.putSync('bob', 2);
    expect([inB.getSync('ada'), inA.getSync('bob')]).toEqual([1, 2]);
    inA.deleteSync('bob');
    expect(inB.hasSync('bob')).toBe(false);
    expect([...inB.rangeSync()]).toEqual([['ada', 1]]);
    await b.close();
    await a.close();
    const again = await opened();
    expect([...(await again.index('users')).rangeSync()]).toEqual([['ada', 1]]);
  });

  it('a snapshot of one does not see what the other commits, deletes or inserts afterwards', async () => {
    const [a, b] = await both();
    const inA = await a.index('numbers', { key: 'u32', value: 'u32' });
    const inB = await b.index('numbers', { key: 'u32', value: 'u32' });
    for (let i = 0; i < 100; i++) inA.putSync(i, i);
    const snapshot = b.snapshot();
    for (let i = 0; i < 100; i += 2) inA.putSync(i, 1000 + i);
    for (let i = 1; i < 100; i += 2) inA.deleteSync(i);
    inA.putSync(500, 500);
    expect([...inB.rangeSync({ snapshot })].map(([, value]) => value)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
    expect(inB.getSync(7, { snapshot })).toBe(7);
    expect(await inB.count()).toBe(51);
    snapshot.release();
  });

  it('the first to commit a key wins, whichever engine it is in', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    const inB = await b.index('users');
    await inA.put('ada', 0);
    const first = a.begin();
    const second = b.begin();
    first.put(inA, 'ada', Number(first.getSync(inA, 'ada')) + 1);
    second.put(inB, 'ada', Number(second.getSync(inB, 'ada')) + 1);
    await second.commit();
    expect(await rejected(first.commit())).toBe('PW_CONFLICT');
    expect(inA.getSync('ada')).toBe(1);
  });

  it('counters that both increase in transactions lose nothing', async () => {
    const [a, b] = await both();
    const handles = [await a.index('counters'), await b.index('counters')] as const;
    await handles[0].put('n', 0);
    const increase = async (engine: Engine, handle: (typeof handles)[number]): Promise<void> => {
      for (let i = 0; i < 100; i++) {
        await engine.transaction(async (tx) => tx.put(handle, 'n', Number(await tx.get(handle, 'n')) + 1), {
          retries: 1000,
        });
      }
    };
    await Promise.all([increase(a, handles[0]), increase(b, handles[1])]);
    expect(handles[1].getSync('n')).toBe(200);
  });
});

describe('indexes', () => {
  it('one that one creates the other has, and it is created once', async () => {
    const [a, b] = await both();
    const [inA, inB] = await Promise.all([a.index('made'), b.index('made')]);
    inA.putSync('k', 1);
    expect(inB.getSync('k')).toBe(1);
    expect(b.indexes().map(({ name }) => name)).toEqual(['made']);
    const types = { key: 'u64', value: 'buffer' } as const;
    await b.index('numbers', types);
    expect(a.indexes().map(({ name, key }) => [name, key])).toEqual([
      ['made', 'utf8'],
      ['numbers', 'u64'],
    ]);
    expect(await rejected(a.index('numbers', { key: 'utf8' }))).toBe('PW_INDEX_MISMATCH');
  });

  it('hundreds that both create by turns all have numbers and trees of their own', async () => {
    const [a, b] = await both();
    for (let i = 0; i < 150; i++) await (await (i % 2 === 0 ? a : b).index(`index ${i}`)).put('name', i);
    for (const engine of [a, b]) {
      expect(engine.indexes().length).toBe(150);
      for (let i = 0; i < 150; i++) expect((await engine.index(`index ${i}`)).getSync('name')).toBe(i);
    }
    const report = await b.verify();
    expect([report.ok, report.problems]).toEqual([true, []]);
  });

  it('one that one drops is gone for the other, whose handle says so, and its name can be used again', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    await inA.put('ada', 1);
    const inB = await b.index('users');
    await b.dropIndex('users');
    expect(thrown(() => inA.getSync('ada'))).toBe('PW_INDEX_DROPPED');
    expect(thrown(() => inA.putSync('ada', 2))).toBe('PW_INDEX_DROPPED');
    expect(thrown(() => inB.getSync('ada'))).toBe('PW_INDEX_DROPPED');
    const again = await a.index('users');
    expect(again.getSync('ada')).toBe(undefined);
    again.putSync('eve', 3);
    expect((await b.index('users')).getSync('eve')).toBe(3);
  });

  it('one that one clears is empty for the other, and older snapshots of both still see it', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    const inB = await b.index('users');
    for (let i = 0; i < 500; i++) inA.putSync(`key ${i}`, i);
    const [ofA, ofB] = [a.snapshot(), b.snapshot()];
    await inB.clear();
    inA.putSync('after', 1);
    expect([...inA.rangeSync()]).toEqual([['after', 1]]);
    for (const [handle, snapshot] of [
      [inA, ofA],
      [inB, ofB],
    ] as const) {
      expect(handle.getSync('key 17', { snapshot })).toBe(17);
      expect([...handle.rangeSync({ snapshot })].length).toBe(500);
    }
    ofA.release();
    ofB.release();
    // What is given up goes when nobody needs it, in either engine; then the whole store is accounted for.
    await vi.waitFor(async () => expect((await a.verify()).problems).toEqual([]));
    expect([...inB.rangeSync()]).toEqual([['after', 1]]);
  });

  it('a range without a snapshot goes on in the new tree when the other engine clears the index', async () => {
    const [a, b] = await both();
    const inA = await a.index('numbers', { key: 'u32', value: 'u32' });
    const inB = await b.index('numbers', { key: 'u32', value: 'u32' });
    for (let i = 0; i < 5000; i++) inA.putSync(i, i);
    const range = inA.rangeSync();
    expect(range.next().value).toEqual([0, 0]);
    await inB.clear();
    inB.putSync(4999, 1);
    const rest = [...range];
    expect(rest[rest.length - 1]).toEqual([4999, 1]);
    expect(rest.length).toBeLessThan(5000);
  });
});

describe('bulk loads', () => {
  /** Entries that come one by one, as the test gives them. */
  function fed(): { readonly input: AsyncIterable<[string, number]>; give(entry: [string, number] | null): void } {
    const waiting: ((entry: [string, number] | null) => void)[] = [];
    const given: ([string, number] | null)[] = [];
    const next = (): Promise<[string, number] | null> =>
      new Promise((resolve) => (given.length > 0 ? resolve(given.shift() ?? null) : waiting.push(resolve)));
    async function* input(): AsyncGenerator<[string, number]> {
      for (let entry = await next(); entry !== null; entry = await next()) yield entry;
    }
    return {
      input: input(),
      give: (entry) => (waiting.length > 0 ? waiting.shift()?.(entry) : void given.push(entry)),
    };
  }

  it('of one make changes of the other wait, in their order, and none is lost', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    await inA.put('before', 1);
    const { input, give } = fed();
    const loading = inB.bulkLoad(input);
    give(['loaded 1', 1]);
    await vi.waitFor(() => expect(thrown(() => inA.putSync('now', 1))).toBe('PW_INDEX_LOADING'));
    expect([inA.getSync('before'), inA.getSync('loaded 1')]).toEqual([1, undefined]);
    const order: string[] = [];
    const put = inA.put('after', 2).then(() => order.push('put'));
    const transaction = a.transaction((tx) => tx.put(inA, 'in a transaction', 3)).then(() => order.push('transaction'));
    const second = inA.bulkLoad([]).then(
      () => order.push('second load'),
      (error) => order.push(String(codeOf(error))),
    );
    await (await a.index('other')).put('goes', 'on');
    give(['loaded 2', 2]);
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    give(null);
    await loading;
    await Promise.all([put, transaction]);
    await second;
    expect([...order].sort()).toEqual(['put', 'second load', 'transaction']);
    expect([...inB.rangeSync()]).toEqual([...inA.rangeSync()]);
    expect((await b.verify()).problems).toEqual([]);
  });

  it('that fail in one leave the index as it was for both, and free', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    await inA.put('before', 1);
    expect(
      await rejected(
        inB.bulkLoad([
          ['b', 1],
          ['a', 2],
        ]),
      ),
    ).toBe('PW_UNSORTED');
    inA.putSync('now', 2);
    expect([...inB.rangeSync()]).toEqual([
      ['before', 1],
      ['now', 2],
    ]);
    await inB.bulkLoad([['x', 1]]);
    expect([...inA.rangeSync()]).toEqual([['x', 1]]);
    const snapshot = a.snapshot();
    await inB.bulkLoad([['y', 1]]);
    expect([inA.getSync('x', { snapshot }), inA.getSync('x')]).toEqual([1, undefined]);
    snapshot.release();
    await b.close();
    await a.close();
    const again = await opened();
    expect([...(await again.index('data')).rangeSync()]).toEqual([['y', 1]]);
    expect((await again.verify()).problems).toEqual([]);
  });

  it('a transaction that meets a load in its commit is done again', async () => {
    const [a, b] = await both();
    const inA = await a.index('data');
    const inB = await b.index('data');
    const { input, give } = fed();
    let loading: Promise<unknown> = Promise.resolve();
    let attempts = 0;
    const done = a.transaction(async (tx) => {
      attempts++;
      if (attempts === 1) {
        loading = inB.bulkLoad(input);
        await vi.waitFor(() => expect(thrown(() => inA.putSync('now', 1))).toBe('PW_INDEX_LOADING'));
        setTimeout(() => give(null), 20);
      }
      tx.put(inA, 'key', attempts);
    });
    await done;
    await loading;
    expect([attempts > 1, inB.getSync('key')]).toEqual([true, attempts]);
  });
});

describe('the store as a whole', () => {
  it('checkpoint, verify, backup and compact are done by the thread that opened it', async () => {
    const [a, b] = await both();
    const inB = await b.index('users');
    for (let i = 0; i < 2000; i++) inB.putSync(`key ${i}`, 'x'.repeat(100));
    const { epoch } = await b.checkpoint();
    expect(epoch).toBe((await b.checkpoint()).epoch - 1);
    const told: unknown[] = [];
    const report = await b.verify({ onProgress: (progress) => told.push(progress) });
    expect([report.ok, told.length > 0]).toEqual([true, true]);
    const copy = join(directory, 'copy.pw');
    expect((await b.backup(copy)).path).toBe(copy);
    const restored = await open(copy);
    expect((await restored.index('users')).getSync('key 1999')).toBe('x'.repeat(100));
    await restored.close();
    await inB.clear();
    expect((await b.compact()).bytesAfter).toBeLessThanOrEqual(fs.statSync(path).size);
    expect(a.state).toBe('open');
  });

  it('errors, reasons of signals and what onProgress throws come back as they were', async () => {
    const [, b] = await both();
    expect(await rejected(b.backup(path))).toBe('PW_EXISTS');
    expect(await rejected(b.backup(join(directory, 'no', 'such.pw')))).toBe('PW_NOT_FOUND');
    expect(await rejected(b.verify({ other: 1 } as never))).toBe('PW_ARGUMENT');
    expect(await rejected(b.compact(7 as never))).toBe('PW_ARGUMENT');
    expect(await rejected(b.verify({ onProgress: 'told' } as never))).toBe('PW_ARGUMENT');
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(b.verify({ signal: aborted })).rejects.toThrow('enough');
    const handle = await b.index('users');
    for (let i = 0; i < 3000; i++) handle.putSync(`key ${i}`, 'x'.repeat(100));
    const thrower = (): never => {
      throw new Error('from onProgress');
    };
    await expect(b.backup(join(directory, 'copy.pw'), { onProgress: thrower, bytesPerSecond: 1000 })).rejects.toThrow(
      'from onProgress',
    );
    expect(fs.readdirSync(directory).filter((name) => name.startsWith('copy'))).toEqual([]);
  });

  it('a checkpoint begins when both together have logged enough', async () => {
    const a = await opened({ checkpoint: { logBytes: 200_000, intervalMs: 2 ** 30 } });
    const b = await joined(a);
    const inB = await b.index('users');
    const before = a.stats().pages.checkpoints;
    for (let i = 0; i < 1000; i++) await inB.put(`key ${i}`, 'x'.repeat(400));
    await vi.waitFor(() => expect(a.stats().pages.checkpoints).toBeGreaterThan(before));
  });

  it('stats of both are those of the store', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    inA.putSync('ada', 1);
    const snapshot = b.snapshot();
    expect(a.stats().concurrency.activeSnapshots).toBe(1);
    expect(a.stats().concurrency.visible).toBe(b.stats().concurrency.visible);
    expect(b.stats().indexes).toBe(1);
    snapshot.release();
    expect(a.stats().concurrency.activeSnapshots).toBe(0);
  });
});

describe('ends', () => {
  it('closing what attached leaves the store open, with its snapshots and transactions gone', async () => {
    const [a, b] = await both();
    const inA = await a.index('users');
    const inB = await b.index('users');
    const transaction = b.begin();
    transaction.put(inB, 'never', 1);
    b.snapshot();
    await b.close();
    expect([a.state, b.state]).toEqual(['open', 'closed']);
    expect(thrown(() => inB.getSync('ada'))).toBe('PW_CLOSED');
    expect(a.stats().concurrency.activeSnapshots).toBe(0);
    await inA.put('ada', 1);
    const c = await joined(a);
    expect((await c.index('users')).getSync('ada')).toBe(1);
  });

  it('closing what opened the store closes it for all: nothing is lost that was acknowledged, nothing begins', async () => {
    const [a, b] = await both();
    const inB = await b.index('users');
    const outcomes: string[] = [];
    const writing = (async () => {
      for (let i = 0; ; i++) {
        try {
          await inB.put(`key ${i}`, i);
          outcomes.push(`key ${i}`);
        } catch (error) {
          return codeOf(error);
        }
      }
    })();
    await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(20));
    await a.close();
    // What waited for its flush when the log was closed is there, and is not told so.
    expect(['PW_CLOSED', 'PW_COMMIT_UNKNOWN']).toContain(await writing);
    expect(b.state).toBe('closed');
    expect(thrown(() => inB.getSync('key 0'))).toBe('PW_CLOSED');
    expect(await rejected(b.verify())).toBe('PW_CLOSED');
    expect(thrown(() => b.share())).toBe('PW_CLOSED');
    await b.close();
    const again = await opened();
    const found = new Set([...(await again.index('users')).rangeSync()].map(([key]) => key));
    expect(outcomes.filter((key) => !found.has(key))).toEqual([]);
  });

  it('a failure in one is a failure in all', async () => {
    const failures: string[] = [];
    const a = await opened({ onFailure: (error) => failures.push(`a: ${codeOf(error)}`) });
    const b = await joined(a, { onFailure: (error) => failures.push(`b: ${codeOf(error)}`) });
    const inA = await a.index('users');
    const inB = await b.index('users');
    inA.putSync('ada', 1);
    // Whatever turns an engine read-only tells its state so.
    const { state } = (b as unknown as { core: { state: { turnReadOnly(error: Error): void } } }).core;
    state.turnReadOnly(Object.assign(new Error('no space left')));
    expect(thrown(() => inA.putSync('ada', 2))).toBe('PW_READ_ONLY');
    expect(thrown(() => inB.putSync('ada', 2))).toBe('PW_READ_ONLY');
    expect([inA.getSync('ada'), inB.getSync('ada')]).toEqual([1, 1]);
    expect([a.state, b.state]).toEqual(['read-only', 'read-only']);
    expect(a.failure?.message).toContain('no space left');
    await vi.waitFor(() => expect(failures.length).toBe(2));
  });
});

describe('what cannot be shared or joined', () => {
  it('says so, and leaves nothing open', async () => {
    const a = await opened();
    for (const handle of [undefined, null, 7, {}, { what: 'an engine, 0' }]) {
      expect(await rejected(attach(handle as unknown as EngineHandle))).toBe('PW_ARGUMENT');
    }
    expect(await rejected(attach(a.share(), { memory: '1MiB' } as never))).toBe('PW_OPTION_INVALID');
    expect(await rejected(attach(a.share(), { onFailure: 7 } as never))).toBe('PW_OPTION_INVALID');
    expect(await rejected(attach(a.share(), 7 as never))).toBe('PW_ARGUMENT');
    const handle = a.share();
    await a.close();
    expect(await rejected(attach(handle))).toBe('PW_CLOSED');
    const reader = await opened({ readOnly: true });
    expect(thrown(() => reader.share())).toBe('PW_UNSUPPORTED');
  });

  it('an engine that attached can be shared on', async () => {
    const [a, b] = await both();
    const c = await joined(b);
    const inC = await c.index('users');
    inC.putSync('ada', 1);
    expect((await a.index('users')).getSync('ada')).toBe(1);
  });
});

describe('a checkpoint that does not keep up', () => {
  it('is waited for by changes in place of who attached, as long as it gets on, and by those of its own thread never', async () => {
    const a = await opened({ checkpoint: { logBytes: 4096 } });
    const b = await joined(a);
    const inA = await a.index<string, string>('notes');
    const inB = await b.index<string, string>('notes');
    // None goes on while the event loop does not.
    for (let i = 0; i < 300; i++) inA.putSync(`note ${i}`, 'x'.repeat(200));
    const waits = vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
    try {
      inA.putSync('one more', 'a');
      expect(waits).toHaveBeenCalledTimes(0);
      inB.putSync('one more', 'b');
      expect(waits).toHaveBeenCalledTimes(2);
      inB.putSync('and one', 'b');
      expect(waits).toHaveBeenCalledTimes(2);
    } finally {
      waits.mockRestore();
    }
    await inB.put('the last', 'b');
    expect([inA.getSync('one more'), inA.getSync('and one'), inA.getSync('the last')]).toEqual(['b', 'b', 'b']);
  });
});
