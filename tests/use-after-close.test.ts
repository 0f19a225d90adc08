import { join } from 'node:path';
import { attach, open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import {
  DATA,
  directory,
  expectKept,
  fill,
  inDirectories,
  makeStore,
  path,
  picture,
  refusal,
  SMALL,
} from './refused-store.js';

inDirectories();

describe('use after close', () => {
  it('of the last commit tells which that was, in the thread that opened the store and in one that had joined it', async () => {
    const db = await open(path, SMALL);
    const joined = await attach(db.share());
    const index = await db.index('data');
    await index.put('a', 1);
    const early = joined.lastCommit;
    await joined.close();
    const last = index.put('b', 2);
    const closing = db.close();
    expect(db.lastCommit).toBe(early + 1);
    await Promise.all([last, closing]);
    expect([joined.lastCommit, db.lastCommit]).toEqual([early, early + 1]);
  });

  it('of the engine, an index, a transaction, a snapshot or a range is refused, whatever is called', async () => {
    const db = await open(path, SMALL);
    await fill(db);
    const index = await db.index<string, unknown>('data');
    const tx = db.begin();
    tx.put(index, 'never committed', 1);
    const savepoint = tx.savepoint();
    const snapshot = db.snapshot();
    const stream = index.range();
    const now = index.rangeSync();
    const inTransaction = tx.range(index);
    const first = [(await stream.next()).value, now.next().value, (await inTransaction.next()).value];
    expect(first).toEqual([DATA[0], DATA[0], DATA[0]]);
    const closing = db.close();
    expect(db.state).toBe('closing');
    const calls: readonly (() => unknown)[] = [
      () => db.index('data'),
      () => db.index('another'),
      () => db.dropIndex('data'),
      () => db.indexes(),
      () => db.transaction(() => {}),
      () => db.transactionSync(() => {}),
      () => db.begin(),
      () => db.snapshot(),
      () => db.batch([{ type: 'put', index: index as never, key: 'a', value: 1 }]),
      () => db.checkpoint(),
      () => db.stats(),
      () => index.get('key/0000'),
      () => index.getSync('key/0000'),
      () => index.get('key/0000', { snapshot }),
      () => index.getMany(['key/0000']),
      () => index.has('key/0000'),
      () => index.hasSync('key/0000'),
      () => index.put('a', 1),
      () => index.putSync('a', 1),
      () => index.delete('key/0000'),
      () => index.deleteSync('key/0000'),
      () => index.batch([{ type: 'delete', key: 'key/0000' }]),
      () => index.range().next(),
      () => index.rangeSync().next(),
      () => index.keys().next(),
      () => index.values().next(),
      () => index.count(),
      () => index.clear(),
      () => tx.get(index, 'key/0000'),
      () => tx.getSync(index, 'key/0000'),
      () => tx.range(index).next(),
      () => tx.rangeSync(index).next(),
      () => tx.getMany(index, ['key/0000']),
      () => tx.has(index, 'key/0000'),
      () => tx.hasSync(index, 'key/0000'),
      () => tx.keys(index).next(),
      () => tx.values(index).next(),
      () => tx.count(index),
      () => tx.countSync(index),
      () => tx.put(index, 'a', 1),
      () => tx.delete(index, 'key/0000'),
      () => tx.savepoint(),
      () => tx.rollbackTo(savepoint),
      () => tx.commit(),
      () => tx.commitSync(),
    ];
    for (const call of calls) await refusal(call, 'PW_CLOSED', /Open the store again/);
    await closing;
    expect(db.state).toBe('closed');
    for (const call of calls) await refusal(call, 'PW_CLOSED', /Open the store again/);
    // A range hands out what it has read already, and never ends as if that were all.
    for (const range of [stream, inTransaction]) {
      await refusal(
        async () => {
          for await (const _ of range);
        },
        'PW_CLOSED',
        /Open the store again/,
      );
    }
    await refusal(
      () => {
        for (const _ of now);
      },
      'PW_CLOSED',
      /Open the store again/,
    );
    // What only ends things may be called at any time.
    tx.abort();
    snapshot.release();
    await db.close();
    await db[Symbol.asyncDispose]();
    await expectKept();
  });

  it('of a transaction that has ended, a snapshot that was released, an index that was dropped, another engine’s', async () => {
    await makeStore();
    const db = await open(path, SMALL);
    const other = await open(join(directory, 'other.pw'), SMALL);
    const index = await db.index<string, unknown>('data');
    const strange = await other.index<string, unknown>('data');
    for (const end of ['commit', 'abort'] as const) {
      const tx = db.begin();
      await tx[end]();
      for (const call of [
        () => tx.put(index, 'a', 1),
        () => tx.getSync(index, 'a'),
        () => tx.commit(),
        () => tx.commitSync(),
        () => tx.range(index),
        () => tx.getMany(index, ['a']),
        () => tx.has(index, 'a'),
        () => tx.keys(index),
        () => tx.count(index),
      ]) {
        await refusal(call, 'PW_TXN_CLOSED', /Begin a new one/);
      }
    }
    const snapshot = db.snapshot();
    snapshot.release();
    await refusal(() => index.getSync('key/0000', { snapshot }), 'PW_CLOSED', /snapshot/);
    await refusal(() => index.get('key/0000', { snapshot }), 'PW_CLOSED', /snapshot/);
    await refusal(() => [...index.rangeSync({ snapshot })], 'PW_CLOSED', /snapshot/);
    const dropped = await db.index('dropped');
    await dropped.put('a', 1);
    await db.dropIndex('dropped');
    for (const call of [
      () => dropped.get('a'),
      () => dropped.put('a', 1),
      () => dropped.putSync('a', 1),
      () => dropped.rangeSync().next(),
      () => dropped.clear(),
    ]) {
      await refusal(call, 'PW_INDEX_DROPPED', /index\(\)/);
    }
    await refusal(() => db.dropIndex('dropped'), 'PW_INDEX_UNKNOWN', /There is no index 'dropped'/);
    await refusal(() => db.index('data', { key: 'u32' }), 'PW_INDEX_MISMATCH', /Leave out what is to be as it is/);
    await refusal(() => db.index('', {}), 'PW_INDEX_NAME', /1 to 128 bytes/);
    await refusal(() => db.index('new', { type: 'art' as 'btree' }), 'PW_INDEX_UNKNOWN', /there are: btree/);
    const tx = db.begin();
    await refusal(() => tx.put(strange, 'a', 1), 'PW_ARGUMENT', /another engine/);
    await refusal(() => index.get('a', { snapshot: other.snapshot() }), 'PW_ARGUMENT', /same engine/);
    tx.abort();
    await other.close();
    await db.close();
    await expectKept();
  });

  it('of a store that was opened to be read alone', async () => {
    await makeStore();
    const before = picture();
    const db = await open(path, { memory: '4MiB', readOnly: true });
    const index = await db.index<string, unknown>('data');
    for (const call of [
      () => index.put('a', 1),
      () => index.putSync('a', 1),
      () => index.clear(),
      () => db.dropIndex('data'),
      () => db.checkpoint(),
      () => db.begin().put(index, 'a', 1),
    ]) {
      await refusal(call, 'PW_READ_ONLY', /Open it without/);
    }
    await refusal(() => db.index('new'), 'PW_INDEX_UNKNOWN', /There is no index 'new'/);
    expect([...index.rangeSync()]).toEqual(DATA);
    await db.close();
    expect(picture()).toEqual(before);
    await expectKept();
  });
});
