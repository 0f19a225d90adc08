/** Reads that ask for what is durable: what they have shown is there after a loss of power, whatever the commits were content with. */
import type { Engine, IndexHandle } from '@pagewright/core';
import { dropAll, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const PATH = '/app.pw';
const UTF8 = { key: 'utf8', value: 'utf8' } as const;
const UNFLUSHED = { durability: 'none' } as const;

let device: SimulatedDevice;
let db: Engine;
let index: IndexHandle<string, string>;

beforeEach(async () => {
  device = new SimulatedDevice();
  db = await engineOn(device, PATH);
  index = await db.index('things', UTF8);
});

afterEach(() => db.close());

/** What is there of a key after a loss of power now, of which only what was synced is left. */
async function afterLoss(key: string): Promise<string | undefined> {
  const left = await engineOn(device.copy().afterCrash(dropAll), PATH);
  try {
    return await (await left.index('things', UTF8)).get(key);
  } finally {
    await left.close();
  }
}

/** Each read that can ask for it, without and with. */
const READS: Record<string, (durable?: boolean) => Promise<unknown>> = {
  get: (durable) => index.get('a', { durable }),
  has: (durable) => index.has('a', { durable }),
  getMany: (durable) => index.getMany(['a'], { durable }),
  'get as called': (durable) => index.get('a', { durable, asCalled: true }),
};

describe.each(Object.entries(READS))('%s', (_, read) => {
  it('shows what is durable if it is asked for that, and else what there is', async () => {
    await index.put('a', '1', UNFLUSHED);
    const shown = await read();
    expect(await read(false)).toEqual(shown);
    expect(await afterLoss('a')).toBeUndefined();
    expect(await read(true)).toEqual(shown);
    expect(await afterLoss('a')).toBe('1');
  });

  it('rejects if the log cannot be written', async () => {
    await index.put('a', '1', UNFLUSHED);
    device.inject({ fault: { kind: 'error', errno: 'EIO' }, kinds: ['sync'], from: 0, times: 100 });
    await expect(read(true)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    await expect(read(true)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(await read()).toBeDefined();
  });
});

it('writes nothing if all is durable', async () => {
  await index.put('a', '1');
  let writes = 0;
  device.onOperation = ({ kind }) => {
    if (kind !== 'read') writes++;
  };
  for (const read of Object.values(READS)) await read(true);
  device.onOperation = null;
  expect(writes).toBe(0);
});

it('a snapshot tells when what it shows is durable, for ranges as well', async () => {
  await index.put('a', '1', UNFLUSHED);
  const snapshot = db.snapshot();
  await index.put('a', '2', UNFLUSHED);
  expect(await afterLoss('a')).toBeUndefined();
  await snapshot.durable();
  expect([...index.rangeSync({ snapshot })]).toEqual([['a', '1']]);
  expect(['1', '2']).toContain(await afterLoss('a'));
  expect(await index.get('a', { snapshot, durable: true })).toBe('1');
  snapshot.release();
});

it('of a store that is open read-only everything is', async () => {
  await index.put('a', '1', UNFLUSHED);
  await db.checkpoint();
  const reader = await engineOn(device, PATH, { opening: { readOnly: true } });
  const things = await reader.index('things', UTF8);
  expect(await things.get('a', { durable: true })).toBe('1');
  await reader.close();
  await expect(things.get('a', { durable: true })).rejects.toMatchObject({ code: 'PW_CLOSED' });
});

it('what is no such option is refused, and calls that do not wait have none', async () => {
  await expect(index.get('a', { durable: 1 } as never)).rejects.toMatchObject({
    code: 'PW_ARGUMENT',
    details: { durable: 1 },
  });
  await expect(index.get('a', { durable: true, sync: true } as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  await expect(index.getMany(['a'], { durable: true, asCalled: true } as never)).rejects.toMatchObject({
    code: 'PW_ARGUMENT',
  });
  expect(() => index.getSync('a', { durable: true } as never)).toThrow(/no option 'durable'/);
});
