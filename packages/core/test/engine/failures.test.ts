/** What the engine does when a device, a page or a commit fails, and how it ends. */
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Index, IndexContext } from '../../src/index.js';
import { FanIndexType } from './fan-index.js';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

describe('when the log fails', () => {
  test('the commit is unknown, reads go on, commits are refused with the reason, and reopening finds what was acknowledged', async () => {
    const failures: Error[] = [];
    const db = await rig.open({ onFailure: (error) => failures.push(error) });
    const index = await db.index<string, number>('index');
    await index.put('a', 1);
    rig.io.fail('sync', { of: 'log' });
    rig.io.fail('write', { of: 'log' });
    expect(await codeOf(() => index.put('b', 2))).toBe('PW_COMMIT_UNKNOWN');
    expect(db.state).toBe('read-only');
    expect(db.readOnly).toBe(true);
    expect(index.getSync('a')).toBe(1);
    await expect(index.put('c', 3)).rejects.toMatchObject({ code: 'PW_READ_ONLY', cause: db.failure });
    expect(await codeOf(() => index.putSync('c', 3))).toBe('PW_READ_ONLY');
    expect(await codeOf(() => db.index('new'))).toBe('PW_READ_ONLY');
    expect(await codeOf(() => db.checkpoint())).toBe('PW_READ_ONLY');
    expect(failures).toEqual([db.failure]);
    rig.io.heal();
    await db.close().catch(() => {});
    expect(rig.logFiles().length).toBeGreaterThan(0);
    const again = await rig.open();
    const found = await again.index<string, number>('index');
    expect(found.getSync('a')).toBe(1);
    expect([undefined, 2]).toContain(found.getSync('b'));
    await found.put('d', 4);
  });
});

describe('a signal that is aborted while a commit is on its way', () => {
  test('does not hide that it failed: what was committed may be there', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    rig.io.fail('sync', { of: 'log' });
    rig.io.fail('write', { of: 'log' });
    const controller = new AbortController();
    const committing = codeOf(() =>
      db.transaction((transaction) => transaction.put(index, 'b', 2), { signal: controller.signal }),
    );
    expect(index.getSync('b')).toBe(2);
    controller.abort(new Error('not wanted any more'));
    expect(await committing).toBe('PW_COMMIT_UNKNOWN');
    rig.io.heal();
    await db.close().catch(() => {});
  });

  test.each([
    [0, 'PW_CONFLICT'],
    [5, 'not wanted any more'],
  ])('lets no other attempt be made, and does not hide what ended the last one: of %i', async (retries, told) => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const controller = new AbortController();
    let attempts = 0;
    const running = db.transaction(
      async (transaction) => {
        attempts++;
        transaction.put(index, 'a', attempts);
        await index.put('a', 100);
        const committing = transaction.commit();
        controller.abort({ code: 'not wanted any more' });
        await committing;
      },
      { signal: controller.signal, retries },
    );
    await expect(running).rejects.toMatchObject({ code: told });
    expect([attempts, index.getSync('a')]).toEqual([1, 100]);
  });
});

describe('when the disk is full', () => {
  test.each([
    ['for the log', 'log'],
    ['for pages', 'pages'],
  ] as const)('%s, the commit is refused whole, the engine turns read-only and says so', async (_what, of) => {
    const db = await rig.open();
    const index = await db.index<string, string>('index');
    await index.put('a', '1');
    rig.io.fail('allocate', { of, code: 'PW_FULL' });
    rig.io.fail('write', { of: 'pages', code: 'PW_FULL' });
    let refused = 'none';
    for (let i = 0; i < 3000 && refused === 'none'; i++) {
      refused = await codeOf(() => index.put(String.fromCharCode(33 + (i % 90)) + i, 'x'.repeat(1000)));
      if (refused === 'none') expect(index.hasSync(String.fromCharCode(33 + (i % 90)) + i)).toBe(true);
    }
    expect(refused).toBe('PW_FULL');
    expect(db.state).toBe('read-only');
    expect(db.failure).toMatchObject({ code: 'PW_FULL' });
    expect(index.getSync('a')).toBe('1');
    expect(await codeOf(() => index.put('b', '2'))).toBe('PW_READ_ONLY');
    const kept = await index.count();
    rig.io.heal();
    await db.close().catch(() => {});
    const again = await rig.open();
    const found = await again.index<string, string>('index');
    expect(await found.count()).toBe(kept);
    await found.put('b', '2');
  });

  test('for a checkpoint, the log is kept and nothing is lost', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('a', 1);
    rig.io.fail('write', { of: 'pages', code: 'PW_FULL' });
    expect(await codeOf(() => db.checkpoint())).toBe('PW_FULL');
    expect(db.state).toBe('read-only');
    expect(index.getSync('a')).toBe(1);
    rig.io.heal();
    await db.close().catch(() => {});
    const again = await rig.open();
    expect((await again.index<string, number>('index')).getSync('a')).toBe(1);
  });
});

/** Makes the newer of the two superblocks rot. Their format is the page store's; here only the epoch matters. */
function damageNewerSuperblock(file: string): void {
  const bytes = fs.readFileSync(file);
  const newer = bytes.readDoubleLE(40) > bytes.readDoubleLE(4096 + 40) ? 0 : 4096;
  bytes[newer + 100] = bytes[newer + 100]! ^ 0xff;
  fs.writeFileSync(file, bytes);
}

describe('when the newer superblock rots', () => {
  test('right after opening, what was acknowledged since is found by way of the older one (22)', async () => {
    const first = await rig.open();
    await (await first.index<string, number>('index')).put('a', 1);
    await first.close();
    const db = await rig.open();
    await (await db.index<string, number>('index')).put('b', 2);
    const file = rig.crash('copy.pw');
    damageNewerSuperblock(`${rig.directory}/${file}`);
    const recovered = await rig.open({ file });
    expect(await all((await recovered.index('index')).keys())).toEqual(['a', 'b']);
  });

  test('right after a recovery, nothing of the log that was replayed is needed any more (22)', async () => {
    const db = await rig.open();
    await (await db.index<string, number>('index')).put('a', 1);
    const file = rig.crash('crashed.pw');
    const recovered = await rig.open({ file });
    await (await recovered.index<string, number>('index')).put('b', 2);
    const copy = rig.crash('copy.pw', file);
    damageNewerSuperblock(`${rig.directory}/${copy}`);
    const again = await rig.open({ file: copy });
    expect(await all((await again.index('index')).keys())).toEqual(['a', 'b']);
  });

  test('after checkpoints, the log goes back as far as the older one needs (22)', async () => {
    const db = await rig.open({ checkpoint: { logBytes: 128 << 10 } });
    const index = await db.index<string, string>('index');
    for (let i = 0; i < 1500; i++) await index.put(`k${i % 7}`, `${i}`.padEnd(1000));
    await db.checkpoint();
    await index.put('last', '');
    const file = rig.crash('copy.pw');
    damageNewerSuperblock(`${rig.directory}/${file}`);
    const recovered = await rig.open({ file });
    expect(await all((await recovered.index('index')).range())).toEqual(await all(index.range()));
  });

  test('of a store that was closed, the older one has everything too', async () => {
    const db = await rig.open();
    await (await db.index<string, number>('index')).put('a', 1);
    await db.close();
    damageNewerSuperblock(rig.file);
    const again = await rig.open();
    expect(await all((await again.index('index')).keys())).toEqual(['a']);
  });
});

test('timestamps go on after a crash far above all that may have been given out and lost', async () => {
  const db = await rig.open();
  await (await db.index<string, number>('index')).put('a', 1);
  const file = rig.crash('copy.pw');
  const visible = db.stats().concurrency.visible;
  await db.close();
  expect((await rig.open()).stats().concurrency.visible).toBe(visible);
  expect((await rig.open({ file })).stats().concurrency.visible).toBeGreaterThan(visible + 2 ** 31);
});

/** An index that fails in the middle of an upsert, on request. */
class BreakingType extends FanIndexType {
  broken = false;

  override create(context: IndexContext, timestamp: number): Index {
    return this.breaking(super.create(context, timestamp));
  }

  override open(context: IndexContext): Index {
    return this.breaking(super.open(context));
  }

  private breaking(index: Index): Index {
    const upsert = index.upsert.bind(index);
    index.upsert = (...args) => {
      if (this.broken) throw new Error('the page is gone');
      upsert(...args);
    };
    return index;
  }
}

test('an error between the log and the publication fails the engine for good; reopening finds the commit whole (41)', async () => {
  const type = new BreakingType();
  const db = await rig.open({ types: [type] });
  const index = await db.index<string, number>('index');
  await index.put('a', 1);
  const snapshot = db.snapshot();
  type.broken = true;
  const batch = index.batch([
    { type: 'put', key: 'b', value: 2 },
    { type: 'put', key: 'c', value: 3 },
  ]);
  await expect(batch).rejects.toMatchObject({ code: 'PW_ENGINE_FAILED', cause: { message: 'the page is gone' } });
  type.broken = false;
  expect(db.state).toBe('failed');
  for (const call of [
    () => index.getSync('a'),
    () => index.get('a'),
    () => index.put('d', 4),
    () => index.range(),
    () => db.begin(),
    () => db.snapshot(),
    () => db.index('index'),
    () => db.indexes(),
    () => db.stats(),
    () => db.checkpoint(),
  ]) {
    expect(await codeOf(call)).toBe('PW_ENGINE_FAILED');
  }
  snapshot.release();
  await db.close();
  const again = await rig.open();
  // What was appended may have reached the file or not; never half of it.
  const found = await all((await again.index<string, number>('index')).keys());
  expect([['a'], ['a', 'b', 'c']]).toContainEqual(found);
});

test('a damaged page is reported to who reads it, and all else goes on', async () => {
  const db = await rig.open();
  const good = await db.index<string, string>('good');
  const bad = await db.index<string, string>('bad');
  await good.put('k', 'fine');
  await bad.put('k', 'DAMAGE ME'.repeat(20));
  await db.close();
  const bytes = fs.readFileSync(rig.file);
  for (let at = bytes.indexOf('DAMAGE ME'); at >= 0; at = bytes.indexOf('DAMAGE ME', at)) bytes[at] = 0;
  fs.writeFileSync(rig.file, bytes);
  const again = await rig.open();
  const damaged = await again.index<string, string>('bad');
  expect(await codeOf(() => damaged.get('k'))).toBe('PW_CORRUPT_PAGE');
  expect(await codeOf(() => damaged.getSync('k'))).toBe('PW_CORRUPT_PAGE');
  expect(await codeOf(() => all(damaged.range()))).toBe('PW_CORRUPT_PAGE');
  expect(await codeOf(() => damaged.put('k', 'x'))).toBe('PW_CORRUPT_PAGE');
  const fine = await again.index<string, string>('good');
  expect(await fine.get('k')).toBe('fine');
  await fine.put('l', 'as well');
  expect(again.state).toBe('open');
});

describe('closing', () => {
  test('waits for what is under way, and all calls share one promise', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const puts = Array.from({ length: 50 }, (_, i) => index.put(`k${i}`, i));
    const first = db.close();
    expect(db.close()).toBe(first);
    expect(db.state).toBe('closing');
    await Promise.all(puts);
    await first;
    expect(db.state).toBe('closed');
    const again = await rig.open();
    expect(await (await again.index('index')).count()).toBe(50);
  });

  test('aborts open transactions, and everything says that the engine is closed', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    const transaction = db.begin();
    transaction.put(index, 'k', 2);
    const snapshot = db.snapshot();
    const range = index.range();
    await range.next();
    const generator = index.rangeSync();
    await db[Symbol.asyncDispose]();
    expect(transaction.closed).toBe(true);
    for (const call of [
      () => index.get('k'),
      () => index.getSync('k'),
      () => index.getMany(['k']),
      () => index.has('k'),
      () => index.hasSync('k'),
      () => index.put('k', 1),
      () => index.putSync('k', 1),
      () => index.delete('k'),
      () => index.deleteSync('k'),
      () => index.batch([{ type: 'put', key: 'k', value: 1 }]),
      () => index.range(),
      () => index.rangeSync(),
      () => index.keys(),
      () => index.values(),
      () => index.count(),
      () => index.clear(),
      () => index.get('k', { snapshot }),
      () => generator.next(),
      () => transaction.getSync(index, 'k'),
      () => transaction.get(index, 'k'),
      () => transaction.put(index, 'k', 3),
      () => transaction.commit(),
      () => transaction.commitSync(),
      () => transaction.savepoint(),
      () => db.index('index'),
      () => db.dropIndex('index'),
      () => db.indexes(),
      () => db.transaction(() => 1),
      () => db.transactionSync(() => 1),
      () => db.begin(),
      () => db.snapshot(),
      () => db.batch([]),
      () => db.checkpoint(),
      () => db.stats(),
    ]) {
      expect([call.toString(), await codeOf(call)]).toEqual([call.toString(), 'PW_CLOSED']);
    }
    transaction.abort();
    snapshot.release();
    await db.close();
    const again = await rig.open();
    expect((await again.index<string, number>('index')).getSync('k')).toBe(1);
  });

  test('lets go of the lock, also when opening had failed half-way', async () => {
    const db = await rig.open();
    await (await db.index<string, number>('index')).put('k', 1);
    expect(await codeOf(() => rig.open())).toBe('PW_LOCKED');
    await db.close();
    rig.io.fail('sync', { of: 'pages', after: 1 });
    expect(await codeOf(() => rig.open())).not.toBe('none');
    rig.io.heal();
    const again = await rig.open();
    expect((await again.index<string, number>('index')).getSync('k')).toBe(1);
  });
});

describe('opened read-only', () => {
  test('a store shows its newest checkpoint, and nothing is written', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    await db.close();
    const before = fs.readFileSync(rig.file);
    const reader = await rig.open({ readOnly: true });
    const found = await reader.index<string, number>('index');
    expect([reader.state, found.getSync('k'), await all(found.keys())]).toEqual(['read-only', 1, ['k']]);
    expect(await codeOf(() => found.put('k', 2))).toBe('PW_READ_ONLY');
    expect(await codeOf(() => found.clear())).toBe('PW_READ_ONLY');
    expect(await codeOf(() => reader.dropIndex('index'))).toBe('PW_READ_ONLY');
    expect(await codeOf(() => reader.index('new'))).toBe('PW_INDEX_UNKNOWN');
    expect(await codeOf(() => reader.checkpoint())).toBe('PW_READ_ONLY');
    expect(reader.stats().log).toBeNull();
    const transaction = reader.begin();
    expect(transaction.getSync(found, 'k')).toBe(1);
    expect(await codeOf(() => transaction.put(found, 'k', 2))).toBe('PW_READ_ONLY');
    await transaction.commit();
    await reader.close();
    expect(fs.readFileSync(rig.file).equals(before)).toBe(true);
  });

  test('a store that is not there is not made', async () => {
    expect(await codeOf(() => rig.open({ readOnly: true }))).toBe('PW_NOT_FOUND');
    expect(await codeOf(() => rig.open({ create: false }))).toBe('PW_NOT_FOUND');
    expect(fs.existsSync(rig.file)).toBe(false);
  });
});

test.each([
  [{ create: 1 }],
  [{ memory: '1GiB' }],
  [{ readOnly: true, create: true }],
  [{ onFailure: 'log' }],
  [{ checkpoint: 7 }],
  [{ checkpoint: { every: 7 } }],
  [{ checkpoint: { logBytes: 0 } }],
  [{ checkpoint: { logBytes: '0 MiB' } }],
  [{ checkpoint: { logBytes: 'much' } }],
  [{ checkpoint: { logBytes: null } }],
  [{ checkpoint: { intervalMs: 2 ** 31 } }],
  [{ checkpoint: { dutyCycle: 0 } }],
  [{ checkpoint: { dutyCycle: 1.5 } }],
  [{ checkpoint: { dutyCycle: '50%' } }],
])('opening with the options %o is refused before any file is touched', async (options) => {
  expect(await codeOf(() => rig.open(options as never))).toBe('PW_OPTION_INVALID');
  expect(fs.existsSync(rig.file)).toBe(false);
});

describe('checkpoints', () => {
  test('come by themselves as the log grows, and let go of it', async () => {
    const db = await rig.open({ checkpoint: { logBytes: 256 << 10 } });
    const index = await db.index<string, string>('index');
    const value = 'x'.repeat(3000);
    const opening = db.stats().pages.checkpoints;
    for (let i = 0; i < 2000; i++) await index.put(`k${i % 5}`, value);
    expect(db.stats().pages.checkpoints).toBeGreaterThan(opening + 2);
    expect(rig.logFiles().length).toBeLessThan(6);
    const recovered = await rig.open({ file: rig.crash('copy.pw') });
    expect(recovered.recovered.records).toBeLessThan(1000);
    expect(await (await recovered.index('index')).count()).toBe(5);
  });

  test('of an engine that has failed are not written', async () => {
    const type = new BreakingType();
    const db = await rig.open({ types: [type] });
    const index = await db.index<string, number>('index');
    await index.put('a', 1);
    const checkpoint = db.checkpoint();
    type.broken = true;
    await codeOf(() => index.putSync('b', 2));
    expect(['none', 'PW_ENGINE_FAILED', 'PW_INTERNAL']).toContain(
      await codeOf(() => checkpoint).catch(() => 'PW_INTERNAL'),
    );
    expect(await codeOf(() => db.checkpoint())).toBe('PW_ENGINE_FAILED');
  });
});
