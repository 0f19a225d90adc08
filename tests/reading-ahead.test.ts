/** Reads and commits of many entries that are not in memory: few reads of the file, and the same answers. */
import { type Engine, type IndexHandle, isPagewrightError } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { WatchedFiles } from '../packages/testkit/src/conformance/watched-files.js';
import { engineOn } from './engine-on.js';

const PATH = '/store/ahead.pw';
const ENTRIES = 4000;
const engines: Engine<'btree'>[] = [];
let filled: SimulatedDevice;

function key(n: number): string {
  return `key/${String(n).padStart(6, '0')}`;
}

interface Cold {
  readonly engine: Engine<'btree'>;
  readonly index: IndexHandle<string, string>;
  readonly files: WatchedFiles;
}

/** An engine that has just been opened. */
async function cold(memory = 4 * 2 ** 20): Promise<Cold> {
  const files = new WatchedFiles(filled.copy());
  const engine = await engineOn(files, PATH, { pageSize: 4096, memory });
  engines.push(engine);
  const index = await engine.index<string, string>('main');
  await index.get(key(0));
  files.forget();
  return { engine, index, files };
}

beforeAll(async () => {
  filled = new SimulatedDevice();
  const engine = await engineOn(filled, PATH, { pageSize: 4096, memory: 4 * 2 ** 20, segmentSize: '1MiB' });
  const index = await engine.index<string, string>('main');
  await index.batch(
    Array.from({ length: ENTRIES }, (_, n) => ({ type: 'put' as const, key: key(n), value: `${n}`.padEnd(90) })),
  );
  await engine.close();
});

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

const SPREAD = Array.from({ length: 90 }, (_, n) => 40 + n * 43);

it('getMany reads the leaves of many keys together, in any order of the keys', async () => {
  for (const numbers of [SPREAD, [...SPREAD].reverse(), [...SPREAD, ...SPREAD]]) {
    const { index, files } = await cold();
    const values = await index.getMany(numbers.map(key));
    expect(values.map((value) => Number(value))).toEqual(numbers);
    expect(files.readCalls).toBeLessThan(10);
    expect(files.readsInPlace).toBe(0);
  }
});

it('a batch and a transaction read the leaves that they change together, without blocking', async () => {
  for (const inTransaction of [false, true]) {
    const { engine, index, files } = await cold();
    if (inTransaction) {
      await engine.transaction(async (tx) => {
        for (const n of SPREAD) tx.put(index, key(n), 'changed');
      });
    } else await index.batch(SPREAD.map((n) => ({ type: 'put', key: key(n), value: 'changed' })));
    expect(files.readCalls).toBeLessThan(10);
    expect(files.readsInPlace).toBe(0);
    for (const n of SPREAD) expect(index.getSync(key(n))).toBe('changed');
  }
});

it('a range reads ahead, in place or not, and gives what it gives without', async () => {
  for (const reverse of [false, true]) {
    for (const memory of [4 * 2 ** 20, 256 * 1024]) {
      const expected = Array.from({ length: ENTRIES }, (_, n) => key(reverse ? ENTRIES - 1 - n : n));
      const inPlace = await cold(memory);
      expect([...inPlace.index.rangeSync({ reverse })].map(([name]) => name)).toEqual(expected);
      expect(inPlace.files.readCalls).toBeLessThan(40);
      const waiting = await cold(memory);
      const names: string[] = [];
      for await (const [name] of waiting.index.range({ reverse })) names.push(name);
      expect(names).toEqual(expected);
      expect(waiting.files.readCalls).toBeLessThan(60);
      expect(waiting.files.readsInPlace).toBe(0);
    }
  }
});

it('a range with a limit or an end reads what it needs, and hardly more', async () => {
  const inMemory = async (read: (index: IndexHandle<string, string>) => unknown): Promise<number> => {
    const { engine, index } = await cold();
    const before = engine.stats().pages.pageReads;
    await read(index);
    return engine.stats().pages.pageReads - before;
  };
  const alone = await inMemory((index) => index.getSync(key(2000)));
  const ten = await inMemory((index) => [...index.rangeSync({ gte: key(2000), limit: 10 })]);
  expect(ten).toBeLessThanOrEqual(alone + 2);
  const needed = await inMemory((index) => {
    for (let n = 2000; n < 2700; n++) index.getSync(key(n));
  });
  expect(await inMemory((index) => [...index.rangeSync({ gte: key(2000), lt: key(2700) })])).toBeLessThanOrEqual(
    needed + 1,
  );
  expect(await inMemory((index) => [...index.rangeSync({ gte: key(2000), limit: 700 })])).toBeLessThanOrEqual(
    needed + 3,
  );
});

it('pages that cannot be read refuse the batch that needs them, and change nothing', async () => {
  const { index, files } = await cold();
  files.refusesReadsOf = 1;
  const error = await index
    .batch(SPREAD.map((n) => ({ type: 'put', key: key(n), value: 'lost' })))
    .catch((e: unknown) => e);
  expect(isPagewrightError(error, 'PW_IO')).toBe(true);
  files.refusesReadsOf = 2;
  expect((await index.getMany(SPREAD.map(key))).map(Number)).toEqual(SPREAD);
});
