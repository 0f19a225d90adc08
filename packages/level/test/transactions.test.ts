/** Transactions behind abstract-level's interface. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LevelTransaction, PagewrightLevel } from '../src/index.js';
import { codesOf, Rig } from './rig.js';

let rig: Rig;
let db: PagewrightLevel;
beforeEach(async () => {
  rig = new Rig();
  db = await rig.open();
});
afterEach(() => rig.end());

describe('a transaction', () => {
  test('reads its own writes, and all of them are there together when it resolves', async () => {
    await db.batch([
      { type: 'put', key: 'a', value: '1' },
      { type: 'put', key: 'b', value: '2' },
    ]);
    const result = await db.transaction(async (tx) => {
      tx.put('c', `${await tx.get('a')}${tx.getSync('b')}`);
      tx.del('a');
      expect(await tx.getMany(['a', 'b', 'c'])).toEqual([undefined, '2', '12']);
      expect([await tx.has('a'), await tx.has('c')]).toEqual([false, true]);
      expect(await db.getMany(['a', 'c'])).toEqual(['1', undefined]);
      return 'done';
    });
    expect(result).toBe('done');
    expect(await db.iterator().all()).toEqual([
      ['b', '2'],
      ['c', '12'],
    ]);
  });

  test('reads no value where only keys are asked for', async () => {
    const LARGE = 64 * 1024;
    const keys = Array.from({ length: 40 }, (_, at) => `key ${String(at).padStart(2, '0')}`);
    await db.batch(keys.map((key) => ({ type: 'put', key, value: 'v'.repeat(LARGE) })));
    await db.close();
    db = await rig.open();
    const pageReads = (): number => db.engine.stats().pages.pageReads;
    await db.transaction(async (tx) => {
      const before = pageReads();
      for (const key of keys) expect(await tx.has(key)).toBe(true);
      expect(await tx.has('none')).toBe(false);
      expect(await tx.keys().all()).toEqual(keys);
      expect(await tx.iterator({ values: false, limit: 2 }).all()).toEqual(
        keys.slice(0, 2).map((key) => [key, undefined]),
      );
      expect(pageReads() - before).toBeLessThan(keys.length / 2);
      const values = await tx.getMany([...keys.slice(0, 5), 'none']);
      expect(values.map((value) => value?.length)).toEqual([LARGE, LARGE, LARGE, LARGE, LARGE, undefined]);
      expect(pageReads() - before).toBeGreaterThanOrEqual(5);
      expect((await tx.values({ limit: 2 }).all()).map((value) => value.length)).toEqual([LARGE, LARGE]);
    });
  });

  test('reads many keys of any encoding at once, short ones and empty ones, of a sublevel as well', async () => {
    const names = db.sublevel<string, number>('names', { valueEncoding: 'json' });
    await db.batch([
      { type: 'put', key: '', value: 'empty' },
      { type: 'put', key: 'b', value: 'short' },
      { type: 'put', key: 'c'.repeat(100), value: 'long' },
    ]);
    await names.put('ä', 7);
    await db.transaction(async (tx) => {
      tx.put('d', 'own');
      tx.del('b');
      expect(await tx.getMany(['', 'b', 'c'.repeat(100), 'd', 'd'])).toEqual([
        'empty',
        undefined,
        'long',
        'own',
        'own',
      ]);
      expect(await tx.getMany([Buffer.from(''), Buffer.from('d')], { keyEncoding: 'buffer' })).toEqual([
        'empty',
        'own',
      ]);
      expect(await tx.getMany<string, number>(['ä', 'a'], { sublevel: names })).toEqual([7, undefined]);
      expect(await tx.getMany([])).toEqual([]);
      expect(await codesOf(() => tx.getMany(['d', null as never]))).toEqual(['LEVEL_INVALID_KEY']);
    });
  });

  test('writes nothing if its function throws, or aborts it', async () => {
    const error = new Error('no');
    await expect(
      db.transaction((tx) => {
        tx.put('a', '1');
        throw error;
      }),
    ).rejects.toBe(error);
    const result = await db.transaction((tx) => {
      tx.put('a', '1');
      tx.abort();
      return 'aborted';
    });
    expect(result).toBe('aborted');
    expect(await db.keys().all()).toEqual([]);
  });

  test('is run again when another was first, so that no increment is lost', async () => {
    await db.put('n', '0');
    let runs = 0;
    const increment = () =>
      db.transaction(
        async (tx) => {
          runs++;
          const n = Number(await tx.get('n'));
          await new Promise(setImmediate);
          tx.put('n', String(n + 1));
        },
        { retries: 1000, durability: 'none' },
      );
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(await db.get('n')).toBe('20');
    expect(runs).toBeGreaterThan(20);
  });

  test('that meets a conflict too often is LEVEL_TRANSACTION_CONFLICT, with the engine’s error as its cause', async () => {
    const attempts: number[] = [];
    const run = db.transaction(
      async (tx, attempt) => {
        attempts.push(attempt);
        tx.put('a', 'late');
        await db.put('a', 'first');
      },
      { retries: 2 },
    );
    await expect(run).rejects.toMatchObject({
      code: 'LEVEL_TRANSACTION_CONFLICT',
      cause: { code: 'PW_CONFLICT', details: { index: 'level' } },
    });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await db.get('a')).toBe('first');
  });

  test('that is serializable meets a conflict where another one changes what it has read, a key that was not there or a range', async () => {
    await db.batch([
      { type: 'put', key: 'ada', value: 'on call' },
      { type: 'put', key: 'bob', value: 'on call' },
    ]);
    const leave = (name: string): Promise<boolean> =>
      db.transaction(
        async (tx) => {
          const others = (await tx.iterator().all()).filter(([key, value]) => key !== name && value === 'on call');
          await new Promise(setImmediate);
          if (others.length === 0 || (await tx.get('locked')) !== undefined) return false;
          tx.put(name, 'gone');
          return true;
        },
        { isolation: 'serializable' },
      );
    const left = await Promise.all([leave('ada'), leave('bob')]);
    expect(left.filter(Boolean).length).toBe(1);
  });

  test('that is aborted from outside writes nothing, and rejects with the reason', async () => {
    const controller = new AbortController();
    const run = db.transaction(
      (tx) => {
        tx.put('a', '1');
        controller.abort(new Error('enough'));
        expect(tx.signal.reason).toMatchObject({ message: 'enough' });
      },
      { signal: controller.signal },
    );
    await expect(run).rejects.toThrow('enough');
    expect(await db.get('a')).toBeUndefined();
  });

  test.each([
    false,
    true,
  ])('writes what was put, whatever becomes of the buffer (told to listeners: %s)', async (isTold) => {
    const buffers = await rig.open<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' }, `${isTold}.pw`);
    if (isTold) buffers.on('write', () => {});
    await buffers.transaction((tx) => {
      const [key, value] = [Buffer.from('a'), Buffer.from('value')];
      tx.put(key, value);
      key.fill('b');
      value.fill('-');
    });
    expect(await buffers.iterator().all()).toEqual([[Buffer.from('a'), Buffer.from('value')]]);
  });

  test('reads at one moment', async () => {
    await db.put('a', '1');
    await db.transaction(async (tx) => {
      await db.put('a', '2');
      expect([await tx.get('a'), tx.getSync('a'), (await tx.values().all())[0]]).toEqual(['1', '1', '1']);
    });
  });

  test('cannot be used once its function has returned', async () => {
    let left: LevelTransaction | undefined;
    const iterators: { next(): Promise<unknown> }[] = [];
    await db.transaction((tx) => {
      left = tx;
      tx.put('a', '1');
      iterators.push(tx.iterator());
    });
    const tx = left as LevelTransaction;
    const calls = [
      () => tx.get('a'),
      () => tx.getSync('a'),
      () => tx.put('a', '2'),
      () => tx.del('a'),
      () => tx.keys(),
    ];
    for (const call of calls) expect(await codesOf(call)).toEqual(['LEVEL_TRANSACTION_NOT_OPEN', 'PW_TXN_CLOSED']);
    expect(await codesOf(() => iterators[0]?.next())).toEqual(['LEVEL_ITERATOR_NOT_OPEN']);
    expect(await db.get('a')).toBe('1');
  });

  test('closes the iterators that it finds open, and keeps none that was closed', async () => {
    await db.put('a', '1');
    const closed: ReturnType<typeof vi.fn>[] = [];
    let open: { next(): Promise<unknown> } | undefined;
    await db.transaction(async (tx) => {
      for (const iterator of [tx.iterator(), tx.keys(), tx.values()]) {
        await iterator.all();
        const close = vi.fn();
        iterator.close = close;
        closed.push(close);
      }
      open = tx.keys();
    });
    for (const close of closed) expect(close).not.toHaveBeenCalled();
    expect(await codesOf(() => open?.next())).toEqual(['LEVEL_ITERATOR_NOT_OPEN']);
  });

  test('is deferred while the database is being opened, and refused when it is closed', async () => {
    await db.close();
    expect(await codesOf(() => db.transaction(() => {}))).toEqual(['LEVEL_DATABASE_NOT_OPEN']);
    const opening = db.open();
    const put = db.transaction((tx) => tx.put('a', '1'));
    await opening;
    await put;
    expect(await db.get('a')).toBe('1');
  });

  test('that is under way when the database is closed is not committed', async () => {
    let goOn = (): void => {};
    const run = db.transaction(async (tx) => {
      tx.put('a', '1');
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      return tx.get('a');
    });
    const codes = codesOf(() => run);
    await new Promise(setImmediate);
    await db.close();
    goOn();
    expect(await codes).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'PW_CLOSED']);
    await db.open();
    expect(await db.keys().all()).toEqual([]);
  });

  test('takes null for no options, as the database does', async () => {
    const none = null as never;
    await db.transaction(async (tx) => {
      tx.put('a', '1', none);
      tx.put('b', '2', none);
      tx.del('b', none);
      expect([await tx.get('a', none), tx.getSync('a', none)]).toEqual(['1', '1']);
      expect([await tx.getMany(['a'], none), await tx.has('a', none)]).toEqual([['1'], true]);
      expect(await tx.iterator(none).all()).toEqual([['a', '1']]);
      expect([await tx.keys(none).all(), await tx.values(none).all()]).toEqual([['a'], ['1']]);
    });
    expect(await db.iterator().all()).toEqual([['a', '1']]);
  });

  test('refuses what it does not take', async () => {
    const refused = [
      () => db.transaction('no' as never),
      () => db.transaction(() => {}, null as never),
      () => db.transaction(() => {}, { retries: -1 }),
      () => db.transaction(() => {}, { times: 3 } as never),
      () => db.transaction(() => {}, { sync: true, durability: 'none' }),
      () => db.transaction((tx) => tx.iterator({ snapshot: db.snapshot() } as never)),
      () => db.transaction((tx) => tx.iterator({ highWaterMarkBytes: -1 })),
    ];
    for (const call of refused) expect((await codesOf(call))[0]).toBe('LEVEL_INVALID_OPTION');
    expect(await codesOf(() => db.transaction((tx) => tx.put(null as never, '')))).toEqual(['LEVEL_INVALID_KEY']);
    expect(await codesOf(() => db.transaction((tx) => tx.put('a', undefined as never)))).toEqual([
      'LEVEL_INVALID_VALUE',
    ]);
    expect(await codesOf(() => db.transaction((tx) => tx.put('k'.repeat(10_000), '')))).toEqual([
      'LEVEL_INVALID_KEY',
      'PW_KEY_TOO_LARGE',
    ]);
  });
});

describe('encodings and sublevels in a transaction', () => {
  test('encodings are those of the database, or of the call', async () => {
    const json = await rig.open<string, { n: number }>({ valueEncoding: 'json' }, 'json.pw');
    await json.put('a', { n: 1 });
    await json.transaction(async (tx) => {
      tx.put('b', { n: ((await tx.get('a'))?.n ?? 0) + 1 });
      tx.put(Buffer.from('c'), 'text', { keyEncoding: 'buffer', valueEncoding: 'utf8' });
      expect(await tx.get('c', { valueEncoding: 'view' })).toEqual(new Uint8Array(Buffer.from('text')));
      expect(await tx.get<string, Buffer>('b', { valueEncoding: 'buffer' })).toEqual(Buffer.from('{"n":2}'));
      expect(await codesOf(() => tx.get('c'))).toEqual(['LEVEL_DECODE_ERROR', undefined]);
      expect(await tx.values({ lt: 'c' }).all()).toEqual([{ n: 1 }, { n: 2 }]);
    });
    expect(await json.iterator({ valueEncoding: 'utf8' }).all()).toEqual([
      ['a', '{"n":1}'],
      ['b', '{"n":2}'],
      ['c', 'text'],
    ]);
  });

  test('keys of sublevels have their prefixes, their encodings are the default, and all is atomic across them', async () => {
    const users = db.sublevel<string, { name: string }>('users', { valueEncoding: 'json' });
    const names = db.sublevel('index').sublevel('names');
    await users.put('1', { name: 'Ada' });
    await db.transaction(async (tx) => {
      const ada = await tx.get<string, { name: string }>('1', { sublevel: users });
      tx.put('2', { name: `${ada?.name} Byron` }, { sublevel: users });
      tx.put('Ada Byron', '2', { sublevel: names });
      tx.del('1', { sublevel: users });
      expect(await tx.has('1', { sublevel: users })).toBe(false);
      expect(await tx.has('Ada Byron', { sublevel: names })).toBe(true);
    });
    expect(await users.iterator().all()).toEqual([['2', { name: 'Ada Byron' }]]);
    expect(await names.get('Ada Byron')).toBe('2');
    const failed = db.transaction((tx) => {
      tx.put('3', { name: 'Eve' }, { sublevel: users });
      tx.put('Eve', '3', { sublevel: names });
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await db.keys().all()).toEqual(['!index!!names!Ada Byron', '!users!2']);
  });

  test('iterators keep to a sublevel, see own writes, take ranges, and seek', async () => {
    const sub = db.sublevel('sub');
    await db.batch([
      { type: 'put', key: 'a', value: '' },
      { type: 'put', key: '~', value: '' },
    ]);
    await sub.batch(['a', 'b', 'c', 'd'].map((key) => ({ type: 'put', key, value: key.toUpperCase() })));
    await db.transaction(async (tx) => {
      tx.put('bb', 'BB', { sublevel: sub });
      tx.del('c', { sublevel: sub });
      expect(await tx.iterator({ sublevel: sub }).all()).toEqual([
        ['a', 'A'],
        ['b', 'B'],
        ['bb', 'BB'],
        ['d', 'D'],
      ]);
      expect(await tx.keys({ sublevel: sub, reverse: true, limit: 3 }).all()).toEqual(['d', 'bb', 'b']);
      expect(await tx.values({ sublevel: sub, gt: 'a', lte: 'bb' }).all()).toEqual(['B', 'BB']);
      expect(
        await tx.keys({ sublevel: sub, keyEncoding: 'buffer', gte: Buffer.from('b'), lt: Buffer.from('c') }).all(),
      ).toEqual([Buffer.from('b'), Buffer.from('bb')]);
      const iterator = tx.iterator({ sublevel: sub, values: false });
      iterator.seek('bb');
      expect(await iterator.next()).toEqual(['bb', undefined]);
      iterator.seek('b');
      const seen: unknown[] = [];
      for await (const [key] of iterator) seen.push(key);
      expect(seen).toEqual(['b', 'bb', 'd']);
      expect(await tx.keys().all()).toEqual(['!sub!a', '!sub!b', '!sub!bb', '!sub!d', 'a', '~']);
    });
  });

  test('a sublevel of another database is refused', async () => {
    const other = await rig.open({}, 'other.pw');
    const call = () => db.transaction((tx) => tx.put('a', '', { sublevel: other.sublevel('sub') }));
    expect(await codesOf(call)).toEqual(['LEVEL_INVALID_OPTION']);
  });
});

describe('hooks and events', () => {
  test('hooks see the writes of a transaction, and what they add is part of it', async () => {
    const index = db.sublevel('index');
    db.hooks.prewrite.add((op, batch) => {
      if (op.type === 'put') batch.add({ type: 'put', key: op.value, value: op.key, sublevel: index });
    });
    await db.transaction((tx) => tx.put('ada', 'red'));
    expect(await db.iterator().all()).toEqual([
      ['!index!red', 'ada'],
      ['ada', 'red'],
    ]);
  });

  test('what hooks change is written in place of what was put, as with a batch', async () => {
    db.hooks.prewrite.add((op) => {
      if (op.key === 'a') op.key = 'b';
      if (op.type === 'put') op.value = `${op.value}!`;
    });
    await db.put('c', '1');
    await db.transaction(async (tx) => {
      tx.put('a', '1');
      tx.put('d', '2');
      tx.del('c');
      expect(await tx.getMany(['a', 'b', 'c'])).toEqual(['1', undefined, undefined]);
    });
    expect(await db.iterator().all()).toEqual([
      ['b', '1!'],
      ['d', '2!'],
    ]);
  });

  test('that come while the function runs see all that it writes, what it wrote before them too', async () => {
    const names = db.sublevel<string, Buffer>('names', { valueEncoding: 'buffer' });
    const [name, told] = [Buffer.from('Ada'), vi.fn()];
    await db.transaction(async (tx) => {
      tx.put('a', '1');
      tx.put('n', name, { sublevel: names });
      name.fill(0);
      tx.del('b');
      await tx.get('a');
      db.hooks.prewrite.add((op, batch) => {
        if (op.type === 'put' && op.key === 'a') batch.add({ type: 'put', key: 'index', value: op.value });
      });
      db.on('write', told);
      tx.put('c', '3');
    });
    expect(await db.iterator().all()).toEqual([
      ['!names!n', 'Ada'],
      ['a', '1'],
      ['c', '3'],
      ['index', '1'],
    ]);
    expect(told).toHaveBeenCalledTimes(1);
    const types = (told.mock.calls[0]![0] as { type: string; key: unknown }[]).map(({ type, key }) => [
      type,
      String(key),
    ]);
    expect(types.slice(0, 4)).toEqual([
      ['put', 'a'],
      ['put', '!names!n'],
      ['del', 'b'],
      ['put', 'c'],
    ]);
  });

  test('that are gone when it commits are told nothing', async () => {
    const told = vi.fn();
    db.on('write', told);
    db.hooks.prewrite.add(told);
    await db.transaction((tx) => {
      tx.put('a', '1');
      db.off('write', told);
      db.hooks.prewrite.delete(told);
    });
    expect(told).not.toHaveBeenCalled();
    expect(await db.get('a')).toBe('1');
  });

  test('listeners are told once, of what was committed', async () => {
    const told: unknown[] = [];
    db.on('write', (operations) =>
      told.push(operations.map(({ type, key }: { type: string; key: string }) => [type, key])),
    );
    await db.put('n', '0');
    told.length = 0;
    let attempts = 0;
    await db.transaction(async (tx) => {
      attempts++;
      tx.put('n', '1');
      tx.del('m');
      if (attempts === 1) {
        await db.put('n', '2');
        expect(told).toEqual([[['put', 'n']]]);
      }
    });
    expect(attempts).toBe(2);
    expect(told).toEqual([
      [['put', 'n']],
      [
        ['put', 'n'],
        ['del', 'm'],
      ],
    ]);
    await codesOf(() =>
      db.transaction((tx) => {
        tx.put('n', '3');
        throw new Error('no');
      }),
    );
    expect(told.length).toBe(2);
    expect(await db.get('n')).toBe('1');
  });
});
