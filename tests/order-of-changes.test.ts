/**
 * Changes of one thread take effect in the order of their calls while another thread loads what they change: whatever each of them waits for, and whenever that load begins, ends or fails.
 * ORDER_SEED chooses other runs, ORDER_RUNS how many.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { driveSchedule, type Engine, POINT } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { attach, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Entry, type Index, Loader, many, turn } from './loader.js';
import { RandomChanges } from './random-changes.js';

const SEED = Number(process.env.ORDER_SEED ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env.ORDER_RUNS ?? 4);
const ENDING = fileURLToPath(new URL('./programs/engine-loader.mjs', import.meta.url));
/** Only there a thread that has ended is told from one that lives. */
const linux = process.platform === 'linux';

let path: string;
let directory: string;
const workers: Worker[] = [];
const engines: Engine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-order-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  driveSchedule(null);
  for (const engine of engines.splice(0)) await engine.close();
  for (const worker of workers.splice(0)) await worker.terminate();
  fs.rmSync(directory, { recursive: true, force: true });
});

const content = (index: Index): Record<string, unknown> => Object.fromEntries(index.rangeSync());
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error) => error.code ?? error,
  );

describe.each(['@pagewright/mvcc', '@pagewright/single-writer'])('with %s', (concurrency) => {
  const options = { concurrency, memory: '2MiB', pageSize: '4KiB' };

  async function begun(): Promise<{ loader: Loader; db: Engine; a: Index; b: Index; c: Index }> {
    const loader = new Loader(path, options);
    workers.push(loader.worker);
    const { handle } = await loader.until((told) => told.handle !== undefined);
    const db = await attach(handle!, { concurrency });
    engines.push(db);
    const [a, b, c] = [await db.index('a'), await db.index('b'), await db.index('c')];
    return { loader, db, a, b, c };
  }

  it('a load replaces what was asked for before it, also when all of it waits for a load of another thread', async () => {
    const { loader, a, b } = await begun();
    await loader.load('a', [['of the other', 1]]);
    const all = [
      a.put('k', 'put'),
      a.bulkLoad([['k', 'loaded']]),
      a.put('m', 'put behind the load'),
      a.clear(),
      a.bulkLoad([
        ['k', 'loaded again'],
        ['l', 1],
      ]),
      a.delete('l'),
    ];
    await b.put('goes', 'on');
    await turn();
    loader.tell('end', 'a');
    await Promise.all(all);
    expect((await loader.over('a')).how).toBe('well');
    expect(content(a)).toEqual({ k: 'loaded again' });
  });

  it('what waits for a load of another thread is not overtaken by who finds out first that it is over', async () => {
    const { loader, db, a, b } = await begun();
    for (const round of [1, 2, 3]) {
      await loader.load('a', [['round', round]]);
      const first = a.put('k', `first ${round}`);
      const both = db.batch([
        { index: a, type: 'put', key: 'both', value: round },
        { index: b, type: 'put', key: 'k', value: `first ${round}` },
      ]);
      await turn();
      loader.tell('end', 'a');
      // The event loop does not turn: those who wait have not heard of it, and this thread knows.
      while (a.getSync('round') !== round);
      const second = [a.put('k', `second ${round}`), b.put('k', `second ${round}`)];
      await Promise.all([first, both, ...second]);
      expect([content(a), content(b)]).toEqual([
        { round, both: round, k: `second ${round}` },
        { k: `second ${round}` },
      ]);
      await loader.over('a');
    }
  });

  it('a batch that waits for one of its indexes is waited for by changes of the others, and by those of theirs', async () => {
    const { loader, db, a, b, c } = await begun();
    await loader.load('a');
    const put = (index: Index, value: string) => ({ index, type: 'put' as const, key: 'k', value });
    const done: string[] = [];
    const note = (what: string) => () => void done.push(what);
    const all = [
      db.batch([put(a, 'first'), put(b, 'first')]).then(note('first')),
      db.batch([put(b, 'second'), put(c, 'second')]).then(note('second')),
      c.put('k', 'third').then(note('third')),
      b.bulkLoad([['k', 'fourth']]).then(note('fourth')),
    ];
    const other = await db.index('other');
    await other.put('goes', 'on');
    c.putSync('in place', 'goes before');
    expect([done, content(b), content(c)]).toEqual([[], {}, { 'in place': 'goes before' }]);
    loader.tell('fail', 'a');
    await Promise.all(all);
    expect([content(a), content(b), content(c)]).toEqual([
      { k: 'first' },
      { k: 'fourth' },
      { k: 'third', 'in place': 'goes before' },
    ]);
  });

  it('a change that meets a load in its commit comes back to its place, and nobody who was behind it goes before it', async () => {
    const { loader, db, a, b } = await begun();
    const reached = { reserved: 0, inTurn: 0 };
    driveSchedule((point) => {
      // The load begins when the first change has prepared all, and is given up when it is the turn of the second.
      if (point === POINT.writeReserved && ++reached.reserved === 1) loader.tellAndWait('load', 'a');
      if (point === POINT.writeInTurn && ++reached.inTurn === 2) loader.tellAndWait('fail', 'a');
    });
    const first = db.batch([...many(a), { index: b, type: 'put', key: 'k', value: 'first' }]);
    const second = b.put('k', 'second');
    const load = a.bulkLoad([['k', 'loaded']]);
    await Promise.all([first, second, load]);
    driveSchedule(null);
    expect([reached.reserved > 2, content(a), content(b)]).toEqual([true, { k: 'loaded' }, { k: 'second' }]);
  });

  it('a load does not begin before what was asked for earlier is over, also if that goes on and comes back', async () => {
    const { loader, db, a, b } = await begun();
    await loader.load('a');
    let hasBegun = false;
    function* input(): Generator<Entry> {
      hasBegun = true;
      yield ['k', 'loaded'];
    }
    const batch = db.batch([...many(a), { index: b, type: 'put', key: 'k', value: 'batch' }]);
    const load = b.bulkLoad(input());
    await turn();
    let reserved = 0;
    driveSchedule((point) => {
      if (point === POINT.writeReserved && ++reserved === 1) loader.tellAndWait('load', 'a');
    });
    loader.tell('fail', 'a');
    await loader.over('a');
    await loader.until((told) => told.is === 'begun');
    for (let turns = 0; turns < 20; turns++) await turn();
    expect([reserved, hasBegun]).toEqual([1, false]);
    loader.tell('fail', 'a');
    await Promise.all([batch, load]);
    expect([reserved > 1, content(b)]).toEqual([true, { k: 'loaded' }]);
  });

  it('two threads that each load one index and change that of the other come to their end', async () => {
    const { loader, db, a, b } = await begun();
    await loader.load('a', [['loaded by', 'the other']]);
    let end = (): void => {};
    const isHeld = new Promise<void>((resolve) => {
      end = resolve;
    });
    let begin = (): void => {};
    const hasBegun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    async function* input(): AsyncGenerator<Entry> {
      begin();
      await isHeld;
      yield ['loaded by', 'this one'];
    }
    const loading = b.bulkLoad(input());
    await hasBegun;
    const batch = [
      { name: 'a', key: 'k', value: 'the other' },
      { name: 'b', key: 'k', value: 'the other' },
    ];
    loader.tell('change', undefined, { operations: batch });
    loader.tell('load', 'b', { entries: [['loaded by', 'the other']] });
    const all = [
      db.batch([a, b].map((index) => ({ index, type: 'put' as const, key: 'k', value: 'this one' }))),
      a.bulkLoad([['loaded by', 'this one']]),
      b.put('last', 1),
    ];
    await turn();
    loader.tell('end', 'a');
    end();
    await loading;
    await loader.until((told) => told.is === 'changed');
    await loader.until((told) => told.name === 'b' && told.is === 'begun');
    loader.tell('end', 'b');
    await Promise.all([...all, loader.over('a'), loader.over('b')]);
    expect(content(a)).toMatchObject({ 'loaded by': 'this one' });
    expect(content(b)).toMatchObject({ 'loaded by': 'the other' });
    expect((await db.verify()).problems).toEqual([]);
  });

  it('a load that is aborted while it waits is waited for no more, and what is behind it takes effect upon what was before', async () => {
    const { loader, a } = await begun();
    await loader.load('a');
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const put = a.put('k', 1);
    const load = a.bulkLoad([['loaded', 1]], { signal: controller.signal }).catch((error) => error);
    const behind = a.put('l', 2);
    await turn();
    controller.abort(reason);
    expect(await load).toBe(reason);
    loader.tell('fail', 'a');
    await Promise.all([put, behind]);
    expect(content(a)).toEqual({ k: 1, l: 2 });
  });

  it('closing ends all that waits for a load of another thread, and for what waits for that', async () => {
    const { loader, db, a, b } = await begun();
    await loader.load('a');
    const both = db.batch([a, b].map((index) => ({ index, type: 'put' as const, key: 'k', value: 1 })));
    const all = [both, a.clear(), a.bulkLoad([['k', 2]]), a.put('k', 3), b.put('k', 4), b.bulkLoad([])].map(codeOf);
    await turn();
    engines.splice(engines.indexOf(db), 1);
    await db.close();
    // What waited for nothing but those changes takes effect when they are over.
    expect(await Promise.all(all)).toEqual([...Array(4).fill('PW_CLOSED'), 'none', 'PW_CLOSED']);
    loader.tell('end', 'a');
    expect((await loader.over('a')).how).toBe('well');
    await loader.close();
  });

  it.runIf(linux)('a thread that ends while it loads leaves those who wait in their order', async () => {
    const db = await open(path, options);
    engines.push(db);
    const index = await db.index('loaded', { key: 'u32', value: 'buffer' });
    await index.put(1, new Uint8Array(1));
    const workerData = { handle: db.share(), entries: 50, endless: true, concurrency };
    const worker = new Worker(ENDING, { workerData, execArgv: [] });
    workers.push(worker);
    await once(worker, 'message');
    const value = new Uint8Array(2);
    const all = [
      index.put(2, value),
      index.clear(),
      index.put(3, value),
      index.bulkLoad([[4, value]]),
      index.put(5, value),
    ];
    await worker.terminate();
    await Promise.all(all);
    expect([...index.rangeSync()].map(([key]) => key)).toEqual([4, 5]);
    expect((await db.verify()).problems).toEqual([]);
  });

  it(`is that of the calls in ${RUNS} random runs (seed ${SEED})`, async () => {
    for (let run = 0; run < RUNS; run++) {
      const { loader, db, a, b, c } = await begun();
      await new RandomChanges(loader, db, [a, b, c], new Random(SEED).fork(`${concurrency} ${run}`)).run(
        `seed ${SEED}, run ${run}`,
      );
      engines.splice(engines.indexOf(db), 1);
      await db.close();
      await loader.close();
    }
  }, 300_000);
});
