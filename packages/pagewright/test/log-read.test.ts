import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attach, type LoggedTransaction, type OpenStoreOptions, open, restore } from '../src/index.js';

let directory: string;
const at = (name: string): string => join(directory, name);
const openHere = (options: OpenStoreOptions = {}) => open(at('app.pw'), { memory: '8MiB', ...options });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-log-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface User {
  readonly name: string;
}

const shownOf = ({ operations }: LoggedTransaction): string[] =>
  Array.from(operations, ({ type, index }) => `${type} ${index.name}`);

describe('the log of a store', () => {
  it('gives transactions with all that they have changed, as the handles of indexes have it', async () => {
    await using db = await openHere();
    const users = await db.index<string, User>('users');
    const ages = await db.index('ages', { key: 'u64', value: 'buffer' });
    const begun = new Date();
    await db.transaction(async (transaction) => {
      transaction.put(users, 'ada', { name: 'Ada' });
      transaction.put(ages, 7n, Buffer.from([36]));
      transaction.delete(users, 'bob');
    });
    await users.clear();
    await db.dropIndex('ages');
    const found: LoggedTransaction[] = [];
    for await (const transaction of db.log.read(0, { follow: false })) found.push(transaction);
    expect(found.map(shownOf)).toEqual([
      ['create-index users'],
      ['create-index ages'],
      expect.arrayContaining(['put users', 'put ages', 'delete users']),
      ['clear-index users'],
      ['drop-index ages'],
    ]);
    expect(found.map(({ timestamp }) => timestamp)).toEqual([1, 2, 3, 4, 5]);
    expect(db.lastCommit).toBe(5);
    const [creation, , changes, clearing, dropping] = found as [
      LoggedTransaction,
      LoggedTransaction,
      LoggedTransaction,
      LoggedTransaction,
      LoggedTransaction,
    ];
    expect([...creation.operations][0]?.index).toMatchObject({
      name: 'users',
      type: 'btree',
      key: 'utf8',
      value: 'json',
    });
    expect([...users.changesIn(creation)]).toEqual([{ type: 'create-index' }]);
    expect([...users.changesIn(changes)]).toEqual([
      { type: 'put', key: 'ada', value: { name: 'Ada' } },
      { type: 'delete', key: 'bob' },
    ]);
    expect([...ages.changesIn(changes)]).toEqual([{ type: 'put', key: 7n, value: expect.any(Uint8Array) }]);
    expect([...users.changesIn(clearing)]).toEqual([{ type: 'clear-index' }]);
    expect([...ages.changesIn(dropping)]).toEqual([{ type: 'drop-index' }]);
    expect(changes.time.getTime()).toBeGreaterThanOrEqual(begun.getTime());
    expect(changes.time.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it('shows a handle that its index was made anew: what another one had which was dropped is gone', async () => {
    await using db = await openHere();
    await (await db.index<string, number>('users', { value: 'json' })).put('ada', 1);
    await db.dropIndex('users');
    const users = await db.index<string, number>('users', { value: 'json' });
    await users.put('bob', 2);
    const copy = new Map([['ada', 1]]);
    for await (const transaction of db.log.read(2, { follow: false })) {
      for (const change of users.changesIn(transaction)) {
        if (change.type === 'put') copy.set(change.key, change.value);
        else if (change.type === 'create-index') copy.clear();
      }
    }
    expect([...copy]).toEqual([['bob', 2]]);
  });

  it('of a store that was restored is none for a consumer that has what was undone, however often it was opened since', async () => {
    const archive = at('archive');
    const [own, path] = [at('own'), at('restored.pw')];
    let good = 0;
    {
      await using db = await openHere({ archive });
      await db.backup(at('backup.pw'));
      const users = await db.index<string, number>('users', { value: 'json' });
      await users.put('ada', 1);
      good = db.lastCommit;
      await users.put('ada', 2);
      await users.put('ada', 3);
    }
    await restore({ backup: at('backup.pw'), archive, path, until: good });
    for (let opening = 1; opening <= 3; opening++) {
      await using db = await open(path, { memory: '8MiB', archive: own });
      const users = await db.index<string, number>('users');
      await users.put('bob', opening);
      const has = async (from: number): Promise<number[]> => {
        const given: number[] = [];
        for await (const transaction of db.log.read(from, { follow: false })) {
          for (const change of users.changesIn(transaction)) if (change.type === 'put') given.push(change.value);
        }
        return given;
      };
      const all = Array.from({ length: opening }, (_, at) => at + 1);
      expect(await has(good)).toEqual(all);
      for (const undone of [good + 1, good + 2]) {
        await expect(has(undone), `opening ${opening}`).rejects.toMatchObject({ code: 'PW_LOG_GONE' });
      }
    }
  });

  it('keeps a copy up to date, from a snapshot on, while transactions go on', async () => {
    await using db = await openHere({ checkpoint: { logBytes: 64 * 1024 } });
    const users = await db.index<string, number>('users', { value: 'json' });
    for (let i = 0; i < 50; i++) await users.put(`key ${i}`, i);
    const copy = new Map<string, number>();
    using snapshot = db.snapshot();
    for await (const [key, value] of users.range({ snapshot })) copy.set(key, value);
    const writing = (async () => {
      for (let i = 0; i < 2000; i++) {
        if (i % 7 === 0) await users.delete(`key ${i % 60}`);
        else await users.put(`key ${i % 60}`, i);
      }
      return db.lastCommit;
    })();
    let last = snapshot.timestamp;
    let target = Number.POSITIVE_INFINITY;
    void writing.then((timestamp) => {
      target = timestamp;
    });
    for await (const transaction of db.log.read(last)) {
      expect(transaction.timestamp).toBe(last + 1);
      last = transaction.timestamp;
      for (const change of users.changesIn(transaction)) {
        if (change.type === 'put') copy.set(change.key, change.value);
        else if (change.type === 'delete') copy.delete(change.key);
      }
      if (last === target || last === 2051) break;
    }
    expect(last).toBe(await writing);
    const wanted = new Map<string, number>();
    for await (const [key, value] of users.range()) wanted.set(key, value);
    expect(new Map([...copy].sort(([a], [b]) => (a < b ? -1 : 1)))).toEqual(wanted);
  });

  it('goes on in the archive where it was, when the store was closed in between', async () => {
    const options: OpenStoreOptions = { archive: at('archive') };
    let position = 0;
    const names: (string | null)[] = [];
    for (let life = 0; life < 3; life++) {
      await using db = await openHere(options);
      const users = await db.index<string, number>('users');
      await users.put(`life ${life}`, life);
      // One that has had some, and one that has had none.
      for await (const { timestamp, operations } of db.log.read(position, { follow: false })) {
        names.push(...Array.from(operations, ({ index }) => index.name));
        position = timestamp;
      }
      const all: number[] = [];
      for await (const { timestamp } of db.log.read(0, { follow: false })) all.push(timestamp);
      expect(all).toEqual(Array.from({ length: 3 * life + 2 }, (_, i) => i + 1));
      await users.put(`life ${life}, unread`, life);
      await users.delete(`life ${life}, unread`);
      position = db.lastCommit;
    }
    expect(names).toEqual(['users', 'users', 'users', 'users']);
  });

  it('is told what is gone, when there is no archive', async () => {
    const db = await openHere();
    const users = await db.index('users');
    await users.put('ada', 1);
    const { lastCommit } = db;
    await db.close();
    await using again = await openHere();
    await expect(again.log.read(lastCommit - 1).next()).rejects.toMatchObject({ code: 'PW_LOG_GONE' });
    expect(await again.log.read(lastCommit, { follow: false }).next()).toEqual({ done: true, value: undefined });
    await expect(again.log.read(lastCommit + 1).next()).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  });

  it('does not know the name of an index that was dropped before, nor what was loaded in bulk', async () => {
    await using db = await openHere();
    const users = await db.index<string, number>('users');
    const { lastCommit } = db;
    await users.put('ada', 1);
    await users.bulkLoad([['bob', 2]]);
    await db.dropIndex('users');
    const again = await db.index<string, number>('users');
    const found: LoggedTransaction[] = [];
    for await (const transaction of db.log.read(lastCommit, { follow: false })) found.push(transaction);
    const [first] = found[0]?.operations ?? [];
    const { number } = first?.index ?? { number: 0 };
    const unknown = { number, name: null, type: null, key: null, value: null };
    expect(first).toMatchObject({ type: 'put', index: unknown });
    expect(found.map(shownOf)).toEqual([
      ['put null'],
      ['load-index null'],
      ['drop-index null'],
      ['create-index users'],
    ]);
    expect([...users.changesIn(found[0]!)]).toEqual([{ type: 'put', key: 'ada', value: 1 }]);
    expect([...users.changesIn(found[1]!)]).toEqual([{ type: 'load-index' }]);
    expect(found.flatMap((each) => [...again.changesIn(each)])).toEqual([{ type: 'create-index' }]);
  });

  it('is left at any time, also by who waits for the next transaction', async () => {
    const db = await openHere();
    const users = await db.index<string, number>('users');
    const waiting = db.log.read(db.lastCommit);
    const next = waiting.next();
    await setImmediate();
    expect(await waiting.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    const ending = new AbortController();
    const aborted = db.log.read(0, { signal: ending.signal });
    expect((await aborted.next()).value?.timestamp).toBe(1);
    const pending = aborted.next();
    ending.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    await expect(db.log.read(0, { signal: ending.signal }).next()).rejects.toThrow('enough');
    const atEnd = db.log.read(db.lastCommit);
    const end = atEnd.next();
    await users.put('ada', 1);
    expect((await end).value?.timestamp).toBe(db.lastCommit);
    const over = atEnd.next();
    await db.close();
    expect((await over).done).toBe(true);
    expect(() => db.log.read(0)).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
  });

  it('takes a timestamp and options that there are', async () => {
    await using db = await openHere();
    const { log } = db;
    for (const from of [-1, 1.5, Number.NaN, '3', undefined, 3n])
      expect(() => log.read(from as number)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    const wrong = [{ folow: true }, { follow: 1 }, { archive: '' }, { archive: {} }, { signal: {} }, null];
    for (const options of [...wrong, { archive: null }, { archive: { list: 1, read: 1 } }])
      expect(() => log.read(0, options as never)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
  });

  it.each([
    ['null', null],
    ['a name', '0000000a-00000001.log'],
    ['numbers', [1, 2]],
  ])('tells an archive that lists %s in place of names', async (_, listed) => {
    await using db = await openHere();
    await (await db.index('users')).put('ada', 1);
    await db.checkpoint();
    await db.close();
    await using again = await openHere();
    const archive = { list: () => listed as never, read: () => Promise.reject(new Error('nothing')) };
    await expect(again.log.read(0, { archive }).next()).rejects.toMatchObject({
      code: 'PW_ARGUMENT',
      message: expect.stringContaining('list() of the archive'),
    });
  });

  it('is read in the thread that has it open for writing', async () => {
    await using db = await openHere();
    await db.index('users');
    await db.checkpoint();
    const other = await attach(db.share());
    expect(() => other.log.read(0)).toThrow(expect.objectContaining({ code: 'PW_UNSUPPORTED' }));
    await other.close();
    await using reader = await openHere({ readOnly: true });
    expect(() => reader.log.read(0)).toThrow(expect.objectContaining({ code: 'PW_UNSUPPORTED' }));
  });
});
