/** What ends a bulk load before its time, whatever the input is like: nobody waits for what may never come, and errors say what was given. */
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine, IndexHandle } from '../../src/index.js';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
let db: Engine<'fan' | 'other' | 'btree'>;
let index: IndexHandle<string, number>;
beforeEach(async () => {
  rig = new Rig();
  db = await rig.open();
  index = await db.index<string, number>('loaded', { type: 'btree' });
  await index.put('old', 1);
});
afterEach(() => rig.end());

/** An input that gives an entry, and the rest when it is opened. */
function held(): { readonly input: AsyncGenerator<[string, number]>; readonly open: () => void } {
  let open = (): void => {};
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  async function* input(): AsyncGenerator<[string, number]> {
    yield ['a', 1];
    await isOpen;
    yield ['b', 2];
  }
  return { input: input(), open };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

describe('a load that waits for another one of its index', () => {
  test('ends when it is aborted, and gives back what it waited for', async () => {
    const { input, open } = held();
    const first = index.bulkLoad(input);
    const controller = new AbortController();
    const reason = new Error('enough');
    let outcome: unknown = 'waits';
    const second = index
      .bulkLoad([['c', 3]], { signal: controller.signal })
      .catch((error: unknown) => (outcome = error));
    const put = index.put('d', 4);
    await turns();
    expect(outcome).toBe('waits');
    controller.abort(reason);
    await turns();
    expect(outcome).toBe(reason);
    open();
    await Promise.all([first, second, put]);
    const loaded = [
      ['a', 1],
      ['b', 2],
      ['d', 4],
    ];
    expect(await all(index.range())).toEqual(loaded);
    await index.bulkLoad([['e', 5]]);
    expect(await all(index.range())).toEqual([['e', 5]]);
    expect((await db.verify()).problems).toEqual([]);
  });

  test('does not begin if it was aborted before, and reads nothing of its input', async () => {
    const { input, open } = held();
    const first = index.bulkLoad(input);
    const unread = {
      [Symbol.iterator]: () => {
        throw new Error('It was begun.');
      },
    };
    const reason = new Error('enough');
    await expect(index.bulkLoad(unread, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    open();
    await first;
  });
});

describe('a load that has failed', () => {
  test.each([
    ['never comes to an end', () => new Promise<never>(() => {})],
    ['rejects', () => Promise.reject(new Error('of return'))],
    [
      'throws',
      () => {
        throw new Error('of return');
      },
    ],
  ])('does not hold its index for as long as its input ends, where that %s', async (_, end) => {
    let at = 0;
    let ended = 0;
    const next = () => Promise.resolve({ done: false, value: [at++ === 0 ? 'b' : 'a', 1] as const });
    const input = {
      [Symbol.asyncIterator]: () => ({
        next,
        return: () => {
          ended++;
          return end();
        },
      }),
    };
    expect(await codeOf(() => index.bulkLoad(input as never))).toBe('PW_UNSORTED');
    expect(ended).toBe(1);
    await index.put('new', 2);
    expect(await all(index.range())).toEqual([
      ['new', 2],
      ['old', 1],
    ]);
  });

  test('names both keys as they were given, whatever the input writes to their memory afterwards', async () => {
    const buffers = await db.index('buffers', { key: 'buffer', value: 'buffer' });
    function* numbers(): Generator<[Buffer, Buffer]> {
      const key = Buffer.alloc(4);
      try {
        for (const number of [1, 2, 5, 3]) {
          key.writeUInt32BE(number);
          yield [key, key];
        }
      } finally {
        key.fill(9);
      }
    }
    await expect(buffers.bulkLoad(numbers())).rejects.toMatchObject({
      code: 'PW_UNSORTED',
      message: expect.stringContaining('the key 0x00000003 comes after the key 0x00000005'),
      details: { key: Uint8Array.of(0, 0, 0, 3), previous: Uint8Array.of(0, 0, 0, 5), position: 3 },
    });
    const tuples = await db.index<[string, number], number>('tuples', { key: 'ordered' });
    function* pairs(): Generator<[[string, number], number]> {
      const key: [string, number] = ['a', 0];
      for (const number of [1, 5, 3]) {
        key[1] = number;
        yield [key, number];
      }
    }
    await expect(tuples.bulkLoad(pairs())).rejects.toMatchObject({
      details: { key: ['a', 3], previous: ['a', 5], position: 2 },
    });
  });
});

test.each([
  ['that begins with nothing', { [Symbol.iterator]: () => null }],
  ['without next', { [Symbol.iterator]: () => ({}) }],
  ['that is a promise of one', { [Symbol.iterator]: async () => [][Symbol.iterator]() }],
  ['whose next gives nothing', { [Symbol.iterator]: () => ({ next: () => undefined }) }],
  ['whose next gives a number', { [Symbol.asyncIterator]: () => ({ next: async () => 5 }) }],
])('an iterator %s is PW_ARGUMENT, and the index is as it was', async (_, input) => {
  expect(await codeOf(() => index.bulkLoad(input as never))).toBe('PW_ARGUMENT');
  expect(await all(index.range())).toEqual([['old', 1]]);
  await index.put('new', 2);
});

test('many loads, transactions and readers of the log at once listen to a signal once, and in the end not at all', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warned);
  try {
    const { signal } = new AbortController();
    const names = Array.from({ length: 14 }, (_, at) => `index ${at}`);
    const indexes = await Promise.all(names.map((name) => db.index<string, number>(name, { type: 'btree' })));
    const begin = (options: { signal?: AbortSignal }) =>
      indexes.map((each) => {
        const { input, open } = held();
        return { loading: each.bulkLoad(input, options), open };
      });
    const loads = [...begin({ signal }), ...begin({})];
    const transactions = indexes.map((_, at) =>
      db.transaction(
        async (tx) => {
          await turns();
          tx.put(index, `transaction ${at}`, at);
        },
        { signal },
      ),
    );
    await turns();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    for (const { open } of loads) open();
    await Promise.all([...loads.map(({ loading }) => loading), ...transactions]);
    await turns();
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(await index.count()).toBe(15);
  } finally {
    process.off('warning', warned);
  }
});
