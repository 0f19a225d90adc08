/** A batch over several indexes takes for each operation keys and values of its own index: types that are wrong do not compile (`npm run types` looks), and what compiles works. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineBatchOperation } from '@pagewright/core';
import { open } from 'pagewright';
import { afterEach, beforeEach, expect, it } from 'vitest';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-types-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function indexes() {
  const db = await open(join(directory, 'app.pw'));
  const counts = await db.index<string, number>('counts');
  const blobs = await db.index<number, Uint8Array>('blobs', { key: 'u32', value: 'buffer' });
  const things = await db.index('things');
  return { db, counts, blobs, things };
}

it('takes operations of several types, written out, made by a function, or gathered', async () => {
  const { db, counts, blobs, things } = await indexes();
  try {
    await db.batch([
      { type: 'put', index: counts, key: 'a', value: 1 },
      { type: 'put', index: blobs, key: 1, value: Uint8Array.of(1) },
      { type: 'put', index: things, key: 'k', value: { any: [1] } },
      { type: 'delete', index: things, key: 'none' },
    ]);
    await db.batch([2, 3].map((key) => ({ type: 'put', index: blobs, key, value: Uint8Array.of(key) })));
    const gathered: (EngineBatchOperation<string, number> | EngineBatchOperation<number, Uint8Array>)[] = [];
    gathered.push({ type: 'put', index: counts, key: 'b', value: 2 }, { type: 'delete', index: blobs, key: 2 });
    await db.batch(gathered);
    const loose: EngineBatchOperation[] = [];
    await db.batch(loose);
    await db.batch([]);
    expect([...counts.rangeSync()]).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect([...blobs.rangeSync()]).toEqual([
      [1, Uint8Array.of(1)],
      [3, Uint8Array.of(3)],
    ]);
    expect([...things.rangeSync()]).toEqual([['k', { any: [1] }]]);
  } finally {
    await db.close();
  }
});

it('refuses what is of another type, as the compiler does', async () => {
  const { db, counts, blobs } = await indexes();
  const first = { type: 'delete', index: blobs, key: 1 } as const;
  try {
    // @ts-expect-error a key of another type
    await refused(db.batch([{ type: 'put', index: counts, key: 1, value: 1 }]), 'PW_ENCODING');
    // @ts-expect-error a value of another type
    await refused(db.batch([first, { type: 'put', index: blobs, key: 2, value: 'b' }]), 'PW_ENCODING');
    // @ts-expect-error a key of the other index
    await refused(db.batch([first, { type: 'delete', index: counts, key: 1 }]), 'PW_ENCODING');
    // @ts-expect-error no value
    await refused(db.batch([{ type: 'put', index: blobs, key: 1 }]), 'PW_ENCODING');
    // @ts-expect-error no index
    await refused(db.batch([{ type: 'put', key: 'a', value: 1 }]), 'PW_ARGUMENT');
  } finally {
    await db.close();
  }
});

function refused(batch: Promise<void>, code: string): Promise<void> {
  return expect(batch).rejects.toMatchObject({ code });
}
