/** Bounds and options of reads as programs give them: what is a key, what is none, and what is a slip. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-ranges-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('null is a bound like any other key where the encoding knows it', async () => {
  const db = await open(join(directory, 'a.pw'));
  const index = await db.index('ordered', { key: 'ordered', value: 'json' });
  const keys = [null, false, true, 1, 'a', [null], [null, 1]] as const;
  for (const key of keys) await index.put(key, 1);
  const found = (options: object): unknown[] => [...index.rangeSync(options)].map(([key]) => key);
  const sorted = found({});
  expect(sorted[0]).toBe(null);
  expect(found({ gt: null })).toEqual(sorted.slice(1));
  expect(found({ gte: null })).toEqual(sorted);
  expect(found({ lt: null })).toEqual([]);
  expect(found({ lte: null })).toEqual([null]);
  const text = await db.index('text', { key: 'utf8', value: 'json' });
  expect(() => [...text.rangeSync({ gt: null as never })]).toThrow(expect.objectContaining({ code: 'PW_ENCODING' }));
  await db.close();
});

it('every key is above the empty bound', async () => {
  const db = await open(join(directory, 'b.pw'));
  const index = await db.index<string, number>('text', { key: 'utf8', value: 'json' });
  for (const key of ['a', 'b', 'c']) await index.put(key, 1);
  const found = (options: object): string[] => [...index.rangeSync(options)].map(([key]) => key);
  for (const bound of ['gt', 'gte']) {
    expect(found({ [bound]: '' })).toEqual(['a', 'b', 'c']);
    expect(found({ [bound]: '', reverse: true })).toEqual(['c', 'b', 'a']);
  }
  for (const bound of ['lt', 'lte']) {
    expect(found({ [bound]: '' })).toEqual([]);
    expect(await index.count({ [bound]: '' })).toBe(0);
  }
  await expect(index.put('', 1)).rejects.toMatchObject({ code: 'PW_KEY_EMPTY' });
  await db.close();
});

it('a slip in the options of a read or of open is refused, not ignored', async () => {
  const path = join(directory, 'c.pw');
  await expect(open(path, { memry: '4MiB' } as never)).rejects.toMatchObject({
    code: 'PW_OPTION_INVALID',
    message: expect.stringContaining('memory'),
  });
  await expect(open(path, [] as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  const db = await open(path);
  const index = await db.index<string, number>('a');
  const snapshot = db.snapshot();
  await index.put('k', 1);
  expect(index.getSync('k', { snapshot })).toBeUndefined();
  expect(() => index.getSync('k', snapshot as never)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
  await expect(index.get('k', { snapsht: snapshot } as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  for (const name of [5n, {}, null, undefined]) {
    await expect(db.index(name as never)).rejects.toMatchObject({ code: 'PW_INDEX_NAME' });
  }
  snapshot.release();
  await db.close();
});

it('a range gives all entries in order, whatever their sizes and alphabets, and what becomes of them changes none that follow', async () => {
  const db = await open(join(directory, 'e.pw'));
  const index = await db.index<string, Uint8Array>('mixed', { key: 'utf8', value: 'buffer' });
  const entries = Array.from({ length: 1200 }, (_, at): [string, Uint8Array] => {
    const key = `${at % 50 === 0 ? 'é' : 'k'}/${'long'.repeat(at % 7 === 0 ? at % 90 : 0)}${String((at * 7919) % 1200).padStart(6, '0')}`;
    return [key, new Uint8Array(at % 400 === 0 ? 9000 : (at * 31) % 300).fill(at)];
  });
  await index.batch(entries.map(([key, value]) => ({ type: 'put', key, value })));
  const sorted = entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const reverse of [false, true]) {
    for (const limit of [1200, 5000, 1, 17, 600]) {
      const wanted = (reverse ? [...sorted].reverse() : sorted).slice(0, limit);
      const found: [string, Uint8Array][] = [];
      for (const [key, value] of index.rangeSync({ reverse, limit })) {
        found.push([key, value.slice()]);
        value.fill(0xff);
      }
      expect(found).toEqual(wanted);
    }
  }
  const found: unknown[] = [];
  for await (const entry of index.range()) found.push(entry);
  expect(found).toEqual(sorted);
  const keys: string[] = [];
  for await (const key of index.keys({ gte: 'k', limit: 400 })) keys.push(key);
  expect(keys).toEqual(sorted.flatMap(([key]) => (key >= 'k' && key < 'é' ? [key] : [])).slice(0, 400));
  const bytes = await db.index<Uint8Array, string>('bytes', { key: 'buffer', value: 'utf8' });
  await bytes.batch(sorted.map(([key]) => ({ type: 'put', key: Buffer.from(key), value: key })));
  const seen: string[] = [];
  for (const [key, value] of bytes.rangeSync()) {
    seen.push(value);
    expect(Buffer.from(key).toString()).toBe(value);
    key.fill(0);
  }
  expect(seen).toEqual(sorted.map(([key]) => key));
  await db.close();
});

it('a range ends for good when it is told to, and with the first error', async () => {
  const db = await open(join(directory, 'f.pw'));
  const index = await db.index<string, number>('a', { key: 'utf8', value: 'json' });
  await index.batch(Array.from({ length: 500 }, (_, at) => ({ type: 'put', key: `k${1000 + at}`, value: at })));
  const END = { done: true, value: undefined };

  const returned = index.rangeSync();
  expect(returned[Symbol.iterator]()).toBe(returned);
  expect(returned.next()).toEqual({ done: false, value: ['k1000', 0] });
  expect(returned.return()).toEqual(END);
  expect(returned.next()).toEqual(END);

  const left = index.rangeSync();
  for (const [key] of left) if (key === 'k1200') break;
  expect(left.next()).toEqual(END);

  const thrown = index.rangeSync();
  thrown.next();
  expect(() => thrown.throw(new Error('enough'))).toThrow('enough');
  expect(thrown.next()).toEqual(END);

  const through = index.rangeSync({ limit: 400 });
  expect([...through]).toHaveLength(400);
  expect(through.next()).toEqual(END);
  expect([...index.rangeSync({ limit: 0 })]).toEqual([]);

  let bad = 'k1300';
  const text = await db.index('text', {
    key: {
      name: 'text',
      encode: (value: string) => Buffer.from(value),
      decode(bytes: Uint8Array) {
        if (Buffer.from(bytes).toString() === bad) throw new Error('unreadable');
        return Buffer.from(bytes).toString();
      },
    },
    value: 'buffer',
  });
  await text.batch(
    Array.from({ length: 500 }, (_, at) => ({ type: 'put', key: `k${1000 + at}`, value: Buffer.of(at) })),
  );
  const failing = text.rangeSync();
  const met: string[] = [];
  expect(() => {
    for (const [key] of failing) met.push(key);
  }).toThrow(expect.objectContaining({ code: 'PW_ENCODING' }));
  expect(met).toHaveLength(300);
  expect(failing.next()).toEqual(END);

  const closed = index.rangeSync();
  closed.next();
  bad = '';
  await db.close();
  expect(() => [...closed]).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
  expect(closed.next()).toEqual(END);
});

it('an encoding of a program may go on with the very range that it decodes for', async () => {
  const db = await open(join(directory, 'g.pw'));
  let inner: (() => void) | null = null;
  const index = await db.index('nested', {
    key: {
      encode: (value: string) => Buffer.from(value),
      decode(bytes: Uint8Array): string {
        const goOn = inner;
        inner = null;
        goOn?.();
        return Buffer.from(bytes).toString();
      },
    },
    value: 'u32',
  });
  await index.batch(Array.from({ length: 2000 }, (_, at) => ({ type: 'put', key: `k${10_000 + at}`, value: at })));
  const range = index.rangeSync();
  const met: number[] = [];
  let step = 0;
  for (const [key, value] of range) {
    expect(key).toBe(`k${10_000 + value}`);
    met.push(value);
    if (++step % 300 === 0) {
      inner = () => {
        for (let times = 0; times < 200; times++) {
          const next = range.next();
          if (next.done === false) met.push(next.value[1]);
        }
      };
    }
  }
  expect(met.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, at) => at));
  await db.close();
});

it('a store that was not closed, opened read-only, says that there is more in its log', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, '/store/d.pw');
  const index = await db.index<string, number>('a');
  await index.put('k', 1);
  const killed = disk.copy();
  await db.close();
  const reader = await engineOn(killed, '/store/d.pw', { opening: { readOnly: true } });
  expect(reader.recovered).toMatchObject({ records: 0, ignoredLog: true });
  expect(reader.indexes()).toEqual([]);
  await reader.close();
  const writer = await engineOn(killed, '/store/d.pw');
  expect(writer.recovered).toMatchObject({ records: 2, ignoredLog: false });
  await writer.close();
  const again = await engineOn(killed, '/store/d.pw', { opening: { readOnly: true } });
  expect(again.recovered.ignoredLog).toBe(false);
  expect((await again.index<string, number>('a')).getSync('k')).toBe(1);
  await again.close();
});
