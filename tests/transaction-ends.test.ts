/** db.transaction() resolves when what it was given to do is durable, and never when it is not. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Engine, Transaction } from '@pagewright/core';
import { open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let directory: string;
let db: Engine;

const path = (): string => join(directory, 'app.pw');
const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
const rejected = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'nothing', codeOf);

beforeEach(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-ends-'));
  db = await open(path(), { memory: '4MiB' });
});
afterEach(async () => {
  await db.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** What is in the store once it was opened again. */
async function after(): Promise<unknown[]> {
  await db.close();
  db = await open(path(), { memory: '4MiB' });
  const index = await db.index('data');
  return [...index.rangeSync()];
}

describe('closing in the midst of a transaction', () => {
  const bodies: readonly [string, (transaction: Transaction, close: () => Promise<void>) => Promise<unknown>][] = [
    [
      'while its function waits',
      async (_, close) => {
        close().catch(() => {});
        await new Promise(setImmediate);
      },
    ],
    ['which its function does itself', async (_, close) => close()],
  ];
  it.each(bodies)('is told, %s: nothing was committed', async (_, body) => {
    const index = await db.index('data');
    const ended = db.transaction(async (transaction) => {
      transaction.put(index, 'key', 1);
      await body(transaction, () => db.close());
      return 'done';
    });
    expect(await rejected(ended)).toBe('PW_CLOSED');
    expect(await after()).toEqual([]);
  });

  it('is told though it has written nothing', async () => {
    const index = await db.index('data');
    const ended = db.transaction(async (transaction) => {
      await transaction.get(index, 'key');
      await db.close();
    });
    expect(await rejected(ended)).toBe('PW_CLOSED');
  });
});

describe('a commit that the function begins and does not wait for', () => {
  it('is waited for', async () => {
    const index = await db.index('data');
    let isDurable = false;
    await db.transaction((transaction) => {
      transaction.put(index, 'key', 1);
      transaction.commit().then(() => {
        isDurable = true;
      });
    });
    expect([isDurable, await index.get('key')]).toEqual([true, 1]);
  });

  it('is tried again if another one was first', async () => {
    const index = await db.index<string, number>('data');
    const attempts: number[] = [];
    await db.transaction(async (transaction, attempt) => {
      attempts.push(attempt);
      transaction.put(index, 'key', attempt);
      if (attempt === 1) await index.put('key', 100);
      transaction.commit();
    });
    expect([attempts, await index.get('key')]).toEqual([[1, 2], 2]);
  });
});

it('a transaction that its function has aborted resolves, and nothing is committed', async () => {
  const index = await db.index('data');
  const result = await db.transaction((transaction) => {
    transaction.put(index, 'key', 1);
    transaction.abort();
    return 'given up';
  });
  expect([result, await after()]).toEqual(['given up', []]);
});

describe('many transactions of one key, begun in the same turn', () => {
  const ADDERS = 50;
  const add = async (
    body: (transaction: Transaction, add: () => void) => unknown,
  ): Promise<{ sum: unknown; attempts: number }> => {
    const index = await db.index<string, number>('data');
    let attempts = 0;
    const one = (transaction: Transaction): unknown => {
      attempts++;
      return body(transaction, () => transaction.put(index, 'sum', 1 + (transaction.getSync(index, 'sum') ?? 0)));
    };
    await Promise.all(Array.from({ length: ADDERS }, () => db.transaction(one, { retries: 1000 })));
    return { sum: await index.get('sum'), attempts };
  };

  it('have no conflicts if their functions wait for nothing', async () => {
    const { sum, attempts } = await add((_, addOne) => addOne());
    expect([sum, attempts]).toEqual([ADDERS, ADDERS]);
  });

  it('are waited for, whatever is thenable', async () => {
    // A function that has `then`, as some libraries give back.
    const later = (_: Transaction, addOne: () => void): unknown =>
      Object.assign(() => {}, {
        // biome-ignore lint/suspicious/noThenProperty: this is what it is about
        then(resolve: (value: undefined) => void) {
          addOne();
          resolve(undefined);
        },
      });
    expect((await add(later)).sum).toBe(ADDERS);
  });
});

it('what plain changes leave beside a snapshot is collected without a transaction that ends, and so is what a revoked one needed', async () => {
  const index = await db.index<number, string>('queue', { key: 'u32', value: 'utf8' });
  await index.put(0, 'seen');
  const snapshot = db.snapshot();
  for (let at = 1; at <= 500; at++) {
    await index.put(at, 'brief', { durability: 'none' });
    await index.delete(at, { durability: 'none' });
  }
  const { concurrency } = db.stats();
  // Whatever was to be done between turns of the event loop is done when nothing is left of it.
  for (let turns = 0; db.stats().concurrency.tombstones > 0 && turns < 1000; turns++) await new Promise(setImmediate);
  expect(db.stats().concurrency.tombstones, `of ${concurrency.tombstones}`).toBe(0);
  snapshot.release();
});
