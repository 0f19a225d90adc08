/**
 * Bulk loads on the whole engine, on a disk that loses power, rots, or fills up: the index is as it was or as it was to be, never
 * anything else, and what was acknowledged upon it is there, also from the older of the two checkpoints.
 */
import type { Engine, EngineSnapshot } from '@pagewright/core';
import { dropAll, keepAll, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { decodeSlot, SLOT_SIZE } from '../packages/bufferpool/src/superblock.js';
import { blueprintOn, engineOn } from './engine-on.js';

const PATH = '/store/loaded.pw';
const CHOICE = { pageSize: 4096, memory: 64 * 4096, commit: 'sync' } as const;
const COUNT = 1500;
const value = new Uint8Array(90).fill(7);

function keyOf(at: number): string {
  return `key/${String(at).padStart(6, '0')}`;
}

function* items(count = COUNT): Generator<[string, Uint8Array]> {
  for (let at = 0; at < count; at++) yield [keyOf(at), at % 200 === 9 ? new Uint8Array(9000).fill(at) : value];
}

const indexOf = (db: Engine) => db.index<string, Uint8Array>('loaded', { key: 'utf8', value: 'buffer' });

/** What the index has, in a word, and that the store is whole. */
async function stateOf(db: Engine): Promise<string> {
  const index = await indexOf(db);
  const keys = [...index.rangeSync()].map(([key]) => key);
  const report = await db.verify();
  if (!report.ok) return `damaged: ${report.problems.map(({ message }) => message).join('; ')}`;
  const loaded = keys.filter((key) => key.startsWith('key/')).length;
  const rest = keys.filter((key) => !key.startsWith('key/')).join(' ');
  return `${loaded} ${rest}`.trim();
}

const OLD = '0 before old';
const LOADED = `${COUNT}`;

/** Makes the newest superblock unreadable, if there is an older one. */
function rot(device: SimulatedDevice): boolean {
  const bytes = device.contentOf(PATH);
  const slots = [0, 1].map((slot) => decodeSlot(Buffer.from(bytes.subarray(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE))));
  const epochs = slots.map((slot) => (slot.kind === 'valid' ? slot.superblock.epoch : -1));
  if (Math.min(...epochs) < 0) return false;
  device.flip(PATH, (epochs[0]! > epochs[1]! ? 0 : SLOT_SIZE) + 40, 3);
  return true;
}

/** Pages in use, when what was given up is gone. */
async function usedPages(db: Engine): Promise<number> {
  for (let turn = 0; turn < 60; turn++) await new Promise(setImmediate);
  await db.checkpoint();
  await db.checkpoint();
  const { fileBytes, freeFileBytes, retainedFileBytes } = db.stats().pages;
  return (fileBytes - freeFileBytes - retainedFileBytes) / CHOICE.pageSize;
}

async function prepared(device: SimulatedDevice): Promise<Engine> {
  const db = await engineOn(device, PATH, CHOICE);
  const index = await indexOf(db);
  await index.put('old', value);
  await index.put('before', value);
  return db;
}

describe('a crash at any operation of a bulk load, and of what is done upon it', () => {
  for (const losing of ['all', 'nothing'] as const) {
    it(`leaves what was acknowledged if ${losing} of what was not synced is lost, also if the newest superblock rots (scenario 40)`, async () => {
      const device = new SimulatedDevice();
      const db = await prepared(device);
      const points: { readonly at: string; readonly device: SimulatedDevice; readonly done: number }[] = [];
      let done = 0;
      device.onOperation = ({ number, kind, path }) => {
        points.push({ at: `before operation ${number}, ${kind} ${path}`, device: device.copy(), done });
      };
      const index = await indexOf(db);
      await index.bulkLoad(items());
      done = 1;
      await index.put('after', value);
      done = 2;
      await db.checkpoint();
      await index.put('later', value);
      done = 3;
      device.onOperation = null;
      points.push({ at: 'at the end', device: device.copy(), done });
      await db.close();
      const states = [OLD, LOADED, `${LOADED} after`, `${LOADED} after later`];
      let rotten = 0;
      const seen = new Set<string>();
      for (const point of points) {
        for (const rots of [false, true]) {
          const crashed = point.device.afterCrash(losing === 'all' ? dropAll : keepAll);
          if (rots && !rot(crashed)) continue;
          if (rots) rotten++;
          const again = await engineOn(crashed, PATH, CHOICE);
          const state = await stateOf(again);
          // What was under way may be there or not.
          expect(states.slice(point.done, point.done + 2), `${point.at}, ${rots ? '' : 'not '}rotten`).toContain(state);
          seen.add(state);
          // Nothing is left of a tree that was built and did not become live.
          if (state === OLD) expect(await usedPages(again), point.at).toBeLessThan(20);
          await (await indexOf(again)).put('taken', value);
          await again.close();
          const closed = await engineOn(crashed, PATH, CHOICE);
          expect(await stateOf(closed)).toBe(`${state} taken`);
          await closed.close();
        }
      }
      expect(rotten).toBeGreaterThan(50);
      expect([...seen].sort()).toEqual([...states].sort());
    });
  }
});

describe('a crash at any operation of a bulk load, during which changes of the index are asked for', () => {
  for (const losing of ['all', 'nothing'] as const) {
    it(`leaves each of them that was acknowledged upon what was loaded, if ${losing} of what was not synced is lost (scenario 40)`, async () => {
      const device = new SimulatedDevice();
      const db = await prepared(device);
      const other = await blueprintOn(device, CHOICE).attach(db.share());
      const index = await indexOf(db);
      const inOther = await indexOf(other);
      const acknowledged = new Set<string>();
      const asked: Promise<void>[] = [];
      const ask = (what: string, change: Promise<unknown>): void =>
        void asked.push(change.then(() => void acknowledged.add(what)));
      async function* input(): AsyncGenerator<[string, Uint8Array]> {
        let at = 0;
        for (const item of items()) {
          if (at++ === COUNT / 2) {
            ask('put', index.put('put', value));
            ask(
              'transaction',
              other.transaction((tx) => tx.put(inOther, 'transaction', value)),
            );
            // Each has come to where it waits.
            await new Promise(setImmediate);
          }
          yield item;
        }
      }
      const points: {
        readonly at: string;
        readonly device: SimulatedDevice;
        readonly acknowledged: readonly string[];
      }[] = [];
      const note = (at: string): void =>
        void points.push({ at, device: device.copy(), acknowledged: [...acknowledged] });
      device.onOperation = ({ number, kind, path }) => note(`before operation ${number}, ${kind} ${path}`);
      await index.bulkLoad(input());
      acknowledged.add('load');
      await Promise.all(asked);
      device.onOperation = null;
      note('at the end');
      expect(await stateOf(db)).toBe(`${LOADED} put transaction`);
      await other.close();
      await db.close();
      const seen = new Set<string>();
      for (const point of points) {
        for (const rots of [false, true]) {
          const crashed = point.device.afterCrash(losing === 'all' ? dropAll : keepAll);
          if (rots && !rot(crashed)) continue;
          const again = await engineOn(crashed, PATH, CHOICE);
          const state = await stateOf(again);
          await again.close();
          const what = `${point.at}, ${rots ? '' : 'not '}rotten`;
          expect(
            [OLD, ...['', ' put', ' transaction', ' put transaction'].map((rest) => LOADED + rest)],
            what,
          ).toContain(state);
          if (point.acknowledged.length > 0) expect(state, what).not.toBe(OLD);
          for (const change of point.acknowledged) if (change !== 'load') expect(state, what).toContain(change);
          seen.add(state);
        }
      }
      expect(seen.has(OLD) && seen.has(`${LOADED} put transaction`)).toBe(true);
      expect(seen.size).toBeGreaterThan(2);
    });
  }
});

/** Trees that were replaced and are still there. */
function replacedTrees(db: Engine): number {
  return (db as unknown as { core: { catalog: { dropped: ReadonlySet<unknown> } } }).core.catalog.dropped.size;
}

describe('beside snapshots that stay open', () => {
  for (const replacing of ['bulkLoad', 'clear'] as const) {
    it(`trees that none of them sees go, however often ${replacing} replaces them`, async () => {
      const device = new SimulatedDevice();
      const db = await prepared(device);
      const index = await indexOf(db);
      const snapshots: { readonly snapshot: EngineSnapshot; readonly keys: readonly string[] }[] = [];
      const replace = async (round: number): Promise<void> => {
        if (replacing === 'bulkLoad') await index.bulkLoad(items(300 + round));
        else await index.clear();
        await index.put(`round ${round}`, value);
      };
      const look = () => snapshots.push({ snapshot: db.snapshot(), keys: [...index.rangeSync()].map(([key]) => key) });
      look();
      await replace(0);
      const pages = await usedPages(db);
      for (let round = 1; round <= 12; round++) {
        await replace(round);
        if (round === 5) look();
        expect(await usedPages(db), `after round ${round}`).toBeLessThan(2.5 * pages);
        expect(replacedTrees(db), `after round ${round}`).toBeLessThanOrEqual(snapshots.length);
        for (const { snapshot, keys } of snapshots)
          expect([...index.rangeSync({ snapshot })].map(([key]) => key)).toEqual(keys);
      }
      expect(replacedTrees(db)).toBe(2);
      for (const { snapshot } of snapshots) snapshot.release();
      await usedPages(db);
      expect(replacedTrees(db)).toBe(0);
      expect((await db.verify()).ok).toBe(true);
      await db.close();
    });
  }

  it('a crash at any operation of loads that replace each other leaves one of them whole', async () => {
    const device = new SimulatedDevice();
    const db = await prepared(device);
    const index = await indexOf(db);
    const snapshot = db.snapshot();
    const points: { readonly at: string; readonly device: SimulatedDevice; readonly done: number }[] = [];
    let done = 0;
    device.onOperation = ({ number, kind, path }) => {
      points.push({ at: `before operation ${number}, ${kind} ${path}`, device: device.copy(), done });
    };
    const states = [OLD];
    for (let round = 1; round <= 4; round++) {
      states.push(`${200 + round}`);
      await index.bulkLoad(items(200 + round));
      done = round;
      // Trees of before go, and what they had may be used again.
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(replacedTrees(db)).toBe(1);
    }
    device.onOperation = null;
    expect(index.getSync('old', { snapshot })).toEqual(value);
    snapshot.release();
    await db.close();
    for (const point of points) {
      for (const losing of [dropAll, keepAll]) {
        const again = await engineOn(point.device.afterCrash(losing), PATH, CHOICE);
        expect(states.slice(point.done, point.done + 2), point.at).toContain(await stateOf(again));
        await again.close();
      }
    }
    expect(points.length).toBeGreaterThan(50);
  });
});

it('a store that is older than a bulk load, with the log from then on, is refused and not made half of', async () => {
  const device = new SimulatedDevice();
  const db = await prepared(device);
  const older = device.contentOf(PATH).slice();
  await (await indexOf(db)).bulkLoad(items());
  await (await indexOf(db)).put('after', value);
  // The page file of before, and beside it a log that has not let go of anything since: as from a backup and an archive.
  const mixed = device.copy();
  mixed.put(PATH, older);
  await expect(engineOn(mixed, PATH, CHOICE)).rejects.toMatchObject({ code: expect.stringMatching(/^PW_CORRUPT_/) });
  await db.close();
});

it('keys and values of one encoding are loaded as they are: neither is written over the other', async () => {
  const db = await engineOn(new SimulatedDevice(), PATH, CHOICE);
  const numbers = await db.index('numbers', { key: 'u64', value: 'u64' });
  await numbers.bulkLoad(Array.from({ length: 500 }, (_, at): [bigint, bigint] => [BigInt(at), BigInt(at * 7 + 1)]));
  expect([...numbers.rangeSync()]).toEqual(Array.from({ length: 500 }, (_, at) => [BigInt(at), BigInt(at * 7 + 1)]));
  const doubles = await db.index('doubles', { key: 'f64', value: 'f64' });
  await doubles.bulkLoad(Array.from({ length: 500 }, (_, at): [number, number] => [at / 3, -at]));
  expect([...doubles.rangeSync()]).toEqual(Array.from({ length: 500 }, (_, at) => [at / 3, -at]));
  for (const [name, encoding] of [
    ['texts', 'utf8'],
    ['objects', 'json'],
  ] as const) {
    const texts = await db.index(name, { key: 'utf8', value: encoding });
    const entries = Array.from({ length: 500 }, (_, at): [string, string] => [
      `${'a long key of words/'.repeat(1 + (at % 3))}${at % 2 === 0 ? 'é' : ''}${at}`,
      `${'another long text of words/'.repeat(1 + (at % 4))}${at}`,
    ]);
    entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    await texts.bulkLoad(entries);
    expect([...texts.rangeSync()]).toEqual(entries);
    for (const [key, text] of entries) expect(texts.getSync(key)).toBe(text);
  }
  await db.close();
});

it('a full disk ends a bulk load, which gives back what it took: the engine goes on, and the index is as it was', async () => {
  const device = new SimulatedDevice();
  const db = await prepared(device);
  device.capacity = device.used + 600 * 4096;
  const index = await indexOf(db);
  await expect(index.bulkLoad(items(40_000))).rejects.toMatchObject({ code: 'PW_FULL' });
  expect(db.state).toBe('open');
  expect(await stateOf(db)).toBe(OLD);
  await index.put('after', value);
  for (let turn = 0; turn < 2000; turn++) await new Promise(setImmediate);
  await db.checkpoint();
  await db.checkpoint();
  expect(db.state).toBe('open');
  await index.bulkLoad(items(600));
  expect(await stateOf(db)).toBe('600');
  await db.close();
  const again = await engineOn(device, PATH, CHOICE);
  expect(await stateOf(again)).toBe('600');
  await again.close();
});

it('a disk that gets full at any point of a bulk load leaves a store that is whole, with what was acknowledged', async () => {
  let failures = 0;
  for (let room = 0; room <= 420; room += 12) {
    const device = new SimulatedDevice();
    const db = await prepared(device);
    device.capacity = device.used + room * 4096;
    const index = await indexOf(db);
    const error = await index.bulkLoad(items()).then(
      () => null,
      (reason: { code?: string }) => reason.code,
    );
    if (error !== null) {
      failures++;
      expect(error).toBe('PW_FULL');
    }
    const expected = error === null ? LOADED : OLD;
    for (let turn = 0; turn < 60; turn++) await new Promise(setImmediate);
    expect(db.state, `with room for ${room} pages`).toBe('open');
    expect(await stateOf(db), `with room for ${room} pages`).toBe(expected);
    device.capacity = Number.POSITIVE_INFINITY;
    await db.close();
    const again = await engineOn(device.afterCrash(dropAll), PATH, CHOICE);
    expect(await stateOf(again), `with room for ${room} pages, opened again`).toBe(expected);
    await again.close();
  }
  expect(failures).toBeGreaterThan(10);
});
