/** What a person reads who has made a mistake: which thing was wrong, what it was, and what would be right. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bufferPool } from '@pagewright/bufferpool';
import { type Engine, PagewrightError } from '@pagewright/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type OpenStoreOptions, open } from '../src/index.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-messages-'));
  path = join(directory, 'app.pw');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function errorOf(action: () => unknown): Promise<PagewrightError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(PagewrightError);
    return error as PagewrightError;
  }
  throw new Error('Nothing was thrown');
}

async function problemWith(options: OpenStoreOptions): Promise<string> {
  const { problems } = await errorOf(() => open(path, options));
  expect(problems).toHaveLength(1);
  return problems[0]!.message;
}

describe('of a part of an engine', () => {
  it('that was not called: to call it', async () => {
    expect(await problemWith({ pages: bufferPool as never })).toContain('Call it: @pagewright/bufferpool');
  });

  it('whose name lacks the scope: the whole name, and not to install something else', async () => {
    expect(await problemWith({ pages: 'bufferpool' })).toContain('Perhaps @pagewright/bufferpool is meant.');
    const index = await problemWith({ indexes: ['btree'] });
    expect(index).toContain('Perhaps @pagewright/index-btree is meant.');
    expect(index).not.toContain('npm install');
  });

  it('with too little memory: the option, the least that does, and one full stop', async () => {
    expect(await problemWith({ memory: '100KiB' })).toBe(
      '@pagewright/bufferpool does not accept this: memory is 102400 bytes; a pool needs 64 pages, at least 262144 bytes, or 1048576 with the pages of 16384 bytes that a new store gets. Its README lists the options that it takes.',
    );
    expect(await problemWith({ memory: '100KiB', pageSize: '64KiB' })).toContain(
      'a pool needs 64 pages, at least 4194304 bytes. Its README',
    );
  });

  it('with more memory than a pool can have: which option that is, and the most', async () => {
    const error = await errorOf(() => open(path, { memory: '4000GiB' }));
    expect(error).toMatchObject({ code: 'PW_OPTION_INVALID', details: { option: 'memory' } });
    expect(error.message).toContain(`a pool has at most ${2 ** 27 * 16_384}`);
  });
});

describe('of a call', () => {
  let db: Engine;

  beforeEach(async () => {
    db = await open(path, { memory: '4MiB' });
  });

  afterEach(() => db.close());

  it('with what an encoding does not take: the index, and whether it was a key, a value or a bound', async () => {
    const index = await db.index<unknown, unknown>('users', { key: 'u32', value: 'u32' });
    const calls: [string, () => unknown][] = [
      ['key', () => index.put('a', 1)],
      ['key', () => index.get('a')],
      ['key', () => index.batch([{ type: 'put', key: 'a', value: 1 }])],
      ['key', () => db.transaction((tx) => tx.put(index, 'a', 1))],
      ['key', () => index.bulkLoad([['a', 1]])],
      ['value', () => index.put(1, 'a')],
      ['value', () => index.bulkLoad([[1, 'a']])],
      ['bound', () => index.count({ gte: 'a' })],
      ['bound', () => index.rangeSync({ lt: 'a' }).next()],
    ];
    for (const [what, call] of calls) {
      const error = await errorOf(call);
      expect(error).toMatchObject({ code: 'PW_ENCODING', details: { index: 'users', what, encoding: 'u32' } });
      expect(error.message).toMatch(
        new RegExp(`^Index 'users' cannot take this ${what}\\. Cannot encode as u32: the string "a"`),
      );
    }
  });

  it('with an operation of another index: which index that is', async () => {
    const users = await db.index('users');
    const others = await db.index('others');
    const operation = { type: 'put', key: 'a', value: 1 } as const;
    const error = await errorOf(() => users.batch([{ ...operation, index: others } as never]));
    expect(error).toMatchObject({ code: 'PW_ARGUMENT', details: { index: 'users' } });
    expect(error.message).toContain("names the index 'others'");
    const byName = await errorOf(() => users.batch([{ ...operation, index: 'others' } as never]));
    expect(byName.message).toContain('names the string "others"');
    expect([...users.rangeSync()]).toEqual([]);
    await users.batch([{ ...operation, index: users } as never]);
    expect([...users.rangeSync()]).toEqual([['a', 1]]);
  });

  it('with what is no transaction of the log: what it takes', async () => {
    const users = await db.index('users');
    for (const wrong of [undefined, null, {}, 5]) {
      const error = await errorOf(() => [...users.changesIn(wrong as never)]);
      expect(error).toMatchObject({ code: 'PW_ARGUMENT' });
      expect(error.message).toContain('as log.read() gives it');
    }
  });

  it('with a name that is no text: what it is', async () => {
    for (const [name, shown] of [
      [undefined, 'undefined'],
      [null, 'null'],
      [5, 'the number 5'],
    ] as const) {
      const { message } = await errorOf(() => db.index(name as never));
      expect(message).toMatch(new RegExp(`^${shown} cannot be the name of an index`));
    }
  });

  it('with a number in quotes: that it is a string', async () => {
    const retries = await errorOf(() => db.transaction(() => {}, { retries: '3' as never }));
    expect(retries.message).toBe('The option retries is a whole number from 0 on, not the string "3".');
    const rate = await errorOf(() => db.backup(join(directory, 'no.pw'), { bytesPerSecond: 'fast' }));
    expect(rate.message).toContain('not the string "fast"');
    const index = await db.index('users');
    const { message } = await errorOf(() => [...index.rangeSync({ limit: '5' as never })]);
    expect(message).toBe('The option limit is a whole number from 0 on, not the string "5".');
  });

  it('with a name of thousands of characters: its beginning, and how long it is', async () => {
    const error = await errorOf(() => db.index('x'.repeat(5000)));
    expect(error).toMatchObject({ code: 'PW_INDEX_NAME', details: { bytes: 5000, limit: 128 } });
    expect(error.message).toContain('and this one has 5000');
    expect(error.message.length).toBeLessThan(200);
    expect(JSON.stringify(error.details).length).toBeLessThan(200);
  });
});
