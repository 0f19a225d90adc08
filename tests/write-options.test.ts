/** Options of changes and transactions that there are not, and values that they cannot have, are refused before anything happens. */
import type { Engine, IndexHandle, WriteOptions } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { engineOn } from './engine-on.js';

let db: Engine;
let index: IndexHandle<string, string>;

beforeEach(async () => {
  db = await engineOn(new SimulatedDevice(), '/app.pw');
  index = await db.index('things', { key: 'utf8', value: 'utf8' });
});

afterEach(() => db.close());

/** Each way to change something. */
const CHANGES: Record<string, (options: WriteOptions) => unknown> = {
  put: (options) => index.put('a', '1', options),
  putSync: (options) => index.putSync('a', '1', options),
  delete: (options) => index.delete('a', options),
  deleteSync: (options) => index.deleteSync('a', options),
  'index.batch': (options) => index.batch([{ type: 'put', key: 'a', value: '1' }], options),
  'db.batch': (options) => db.batch([{ index, type: 'put', key: 'a', value: '1' }], options),
  begin: (options) => db.begin(options),
  transaction: (options) => db.transaction((tx) => tx.put(index, 'a', '1'), options),
  transactionSync: (options) => db.transactionSync((tx) => tx.put(index, 'a', '1'), options),
};

const REFUSED: readonly (readonly [what: string, options: unknown, message: RegExp])[] = [
  ['no object', 7, /options.*object/i],
  ['null', null, /options.*object/i],
  ['an unknown option', { sync: true }, /no option 'sync'\. There are: .*durability, dependsOn/],
  ['an unknown durability', { durability: 'full' }, /durability is 'durable', 'relaxed' or 'none', not "full"/],
  ['an unknown dependence', { dependsOn: 'all' }, /'seen' or 'touched', not on "all"/],
];

describe.each(['begin', 'transaction', 'transactionSync'] as const)('%s', (name) => {
  const begin = CHANGES[name]!;

  test('refuses an unknown isolation', async () => {
    const refused = (async () => begin({ isolation: 'chaos' } as WriteOptions))();
    const message = expect.stringMatching(/isolation is 'snapshot' or 'serializable', not "chaos"/);
    await expect(refused).rejects.toMatchObject({ code: 'PW_ARGUMENT', message });
    expect(index.getSync('a')).toBeUndefined();
  });

  test('takes each that there is', async () => {
    for (const isolation of ['snapshot', 'serializable', undefined]) {
      const begun = (await begin({ isolation } as WriteOptions)) as { abort?: () => void } | undefined;
      begun?.abort?.();
    }
  });
});

test.each([
  ['commit', () => db.begin().commit(...([{ durability: 'none' }] as unknown as []))],
  ['commitSync', () => db.begin().commitSync(...(['touched'] as unknown as []))],
  ['clear', () => index.clear(...([{ durability: 'none' }] as unknown as []))],
] as const)('%s refuses options, which others have', async (name, call) => {
  const refused = (async () => call())();
  const message = expect.stringMatching(new RegExp(`^${name}\\(\\) takes no options`));
  await expect(refused).rejects.toMatchObject({ code: 'PW_ARGUMENT', message });
});

test('options of a transaction may be given by the getters of a class', async () => {
  class Asked {
    get isolation(): 'serializable' {
      return 'serializable';
    }
  }
  await index.put('a', '1');
  const begun = db.begin(new Asked());
  expect(begun.getSync(index, 'a')).toBe('1');
  await index.put('a', '2');
  begun.put(index, 'b', '1');
  await expect(begun.commit()).rejects.toMatchObject({ code: 'PW_CONFLICT' });
});

test('a single change has no isolation', async () => {
  const message = expect.stringMatching(/no option 'isolation'/);
  await expect(CHANGES.put!({ isolation: 'snapshot' } as WriteOptions)).rejects.toMatchObject({ message });
});

describe.each(Object.entries(CHANGES))('%s', (_, change) => {
  test.each(REFUSED)('refuses %s', async (_what, options, message) => {
    const refused = (async () => change(options as WriteOptions))();
    await expect(refused).rejects.toMatchObject({ code: 'PW_ARGUMENT', message: expect.stringMatching(message) });
    expect(index.getSync('a')).toBeUndefined();
  });

  test('takes each that there is', async () => {
    for (const durability of ['durable', 'relaxed', 'none', undefined] as const) {
      for (const dependsOn of ['seen', 'touched', undefined] as const) {
        const changed = (await change({ durability, dependsOn })) as { abort?: () => void } | undefined;
        changed?.abort?.();
      }
    }
  });
});
