/** What goes wrong in engines of this kind, and must not here. One thread: what needs several is not here. */
import { EntryBatch, TAG_TOMBSTONE } from '@pagewright/core';
import { describe, expect, test } from 'vitest';
import { bytes, codeOf, Rig } from './rig.js';

describe('transactions against each other', () => {
  test('a snapshot does not change under its reader, whatever is committed meanwhile (scenario 34)', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'before');
    const snapshot = rig.mvcc.snapshot();
    const seen: (string | undefined)[] = [];
    for (const value of ['after', null, 'again', 'and again']) {
      rig.put(target, 'k', value);
      rig.put(target, 'new', value);
      seen.push(rig.get(target, 'k', snapshot), rig.get(target, 'new', snapshot));
    }
    expect(new Set(seen)).toEqual(new Set(['before', undefined]));
  });

  test('a key deleted after a snapshot began is in the scan of that snapshot (scenario 35)', () => {
    const rig = new Rig();
    const target = rig.target();
    for (const key of ['a', 'b', 'c']) rig.put(target, key, 'x');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'b', null);
    expect(rig.scan(target, snapshot)).toEqual(['a=x', 'b=x', 'c=x']);
    expect(rig.scan(target, snapshot, { reverse: true })).toEqual(['c=x', 'b=x', 'a=x']);
    expect(rig.scan(target)).toEqual(['a=x', 'c=x']);
  });

  test('a transaction whose versions were given up does not commit over a change that it never saw (scenario 36)', () => {
    const rig = new Rig({ versionMemory: 1000 });
    const target = rig.target();
    rig.put(target, 'mine', 'old');
    for (let i = 0; i < 20; i++) rig.put(target, `k${i}`, 'x');
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('mine'), bytes('mine'));
    rig.put(target, 'mine', 'theirs');
    for (let i = 0; i < 20; i++) rig.put(target, `k${i}`, 'y');
    expect(codeOf(() => transaction.commit())).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(rig.get(target, 'mine')).toBe('theirs');
  });

  test('of two transactions that insert the same key the second to commit conflicts, and is told which key (scenario 37)', () => {
    const rig = new Rig();
    const target = rig.target('users');
    const first = rig.mvcc.begin();
    const second = rig.mvcc.begin();
    first.put(target, bytes('ada'), bytes('1'));
    second.put(target, bytes('ada'), bytes('2'));
    first.commit();
    expect(() => second.commit()).toThrowError(
      expect.objectContaining({
        code: 'PW_CONFLICT',
        details: expect.objectContaining({ index: 'users', key: bytes('ada') }),
      }),
    );
    expect(rig.get(target, 'ada')).toBe('1');
    expect(rig.mvcc.stats().conflicts).toBe(1);
  });

  test('a transaction that is older than a clear conflicts with it (scenario 38)', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'x');
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('other'), bytes('y'));
    rig.clear(target);
    expect(rig.get(target, 'k', transaction)).toBe('x');
    expect(codeOf(() => transaction.commit())).toBe('PW_CONFLICT');
    expect(rig.scan(target)).toEqual([]);
  });

  test('an index that is younger than a snapshot is empty in it, and is not written from it', () => {
    const rig = new Rig();
    const transaction = rig.mvcc.begin();
    rig.put(rig.target('other'), 'k', 'x');
    const target = rig.target();
    rig.put(target, 'k', 'x');
    expect(rig.get(target, 'k', transaction)).toBeUndefined();
    expect(rig.scan(target, transaction)).toEqual([]);
    transaction.put(target, bytes('own'), bytes('y'));
    expect(rig.scan(target, transaction)).toEqual(['own=y']);
    expect(codeOf(() => transaction.commit())).toBe('PW_CONFLICT');
  });

  test('an insert into a cleared index is not taken for the absence of the key before the clear', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'before');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'k2', 'x'); // Stamps the page, so that versions are looked for.
    rig.clear(target);
    rig.put(target, 'k', 'after');
    expect(rig.get(target, 'k', snapshot)).toBe('before');
    expect(rig.scan(target, snapshot)).toEqual(['k=before']);
  });

  test('deleting a key that is not there conflicts with whoever inserted it, and with no one else', () => {
    const rig = new Rig();
    const target = rig.target();
    const late = rig.mvcc.begin();
    const deletes = rig.mvcc.begin();
    deletes.delete(target, bytes('absent'));
    deletes.commit();
    late.put(target, bytes('absent'), bytes('x'));
    late.commit();
    const tooLate = rig.mvcc.begin();
    rig.put(target, 'key', 'x');
    tooLate.delete(target, bytes('key'));
    expect(codeOf(() => tooLate.commit())).toBe('PW_CONFLICT');
  });
});

describe('own writes', () => {
  const setup = () => {
    const rig = new Rig();
    const target = rig.target();
    for (const key of ['a', 'c', 'e', 'g']) rig.put(target, key, 'old');
    const transaction = rig.mvcc.begin();
    for (const key of ['b', 'c', 'h']) transaction.put(target, bytes(key), bytes('own'));
    transaction.delete(target, bytes('e'));
    return { rig, target, transaction };
  };

  test('stand in ranges of the transaction, forwards and backwards', () => {
    const { rig, target, transaction } = setup();
    const all = ['a=old', 'b=own', 'c=own', 'g=old', 'h=own'];
    expect(rig.scan(target, transaction)).toEqual(all);
    expect(rig.scan(target, transaction, { reverse: true })).toEqual([...all].reverse());
    expect(rig.scan(target, transaction, { lower: bytes('b'), upper: bytes('g'), upperExclusive: true })).toEqual([
      'b=own',
      'c=own',
    ]);
  });

  test('are not seen by anyone else before the commit, and by all after it', () => {
    const { rig, target, transaction } = setup();
    expect(rig.scan(target)).toEqual(['a=old', 'c=old', 'e=old', 'g=old']);
    transaction.commit();
    expect(rig.scan(target)).toEqual(['a=old', 'b=own', 'c=own', 'g=old', 'h=own']);
  });

  test('that are made behind the position of a scan do not come up in it', () => {
    const rig = new Rig();
    const target = rig.target();
    for (const key of ['a', 'b', 'c']) rig.put(target, key, 'old');
    const transaction = rig.mvcc.begin();
    const scan = rig.openScan(target, transaction);
    const seen: string[] = [];
    rig.step(scan, seen);
    expect(seen).toEqual(['a=old']);
    transaction.put(target, bytes('a0'), bytes('ahead'));
    transaction.put(target, bytes('A'), bytes('behind'));
    while (rig.step(scan, seen)) {}
    expect(seen).toEqual(['a=old', 'a0=ahead', 'b=old', 'c=old']);
  });

  test('put and deleted again in one transaction leave nothing', () => {
    const rig = new Rig();
    const target = rig.target();
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('k'), bytes('x'));
    transaction.delete(target, bytes('k'));
    expect(rig.get(target, 'k', transaction)).toBeUndefined();
    expect(transaction.writeCount).toBe(1);
    transaction.commit();
    expect(target.index.entries).toEqual([]);
  });

  test('given out are copies: changing one changes neither the transaction nor what others see', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'old');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'k', 'new');
    const scan = rig.openScan(target, snapshot);
    scan.next();
    scan.values[0]!.fill(0);
    expect(rig.get(target, 'k', snapshot)).toBe('old');
  });

  test('go back to a savepoint, and a savepoint after it is none any more', () => {
    const { rig, target, transaction } = setup();
    const before = rig.scan(target, transaction);
    const first = transaction.savepoint();
    transaction.put(target, bytes('b'), bytes('changed'));
    const second = transaction.savepoint();
    transaction.delete(target, bytes('h'));
    transaction.put(target, bytes('z'), bytes('more'));
    transaction.rollbackTo(first);
    expect(rig.scan(target, transaction)).toEqual(before);
    expect(codeOf(() => transaction.rollbackTo(second))).toBe('PW_ARGUMENT');
    transaction.rollbackTo(first);
    expect(transaction.writeCount).toBe(4);
  });

  test('above the limit are refused, and what was written before stays', () => {
    const rig = new Rig({ maxTransactionBytes: 100 });
    const target = rig.target();
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('k'), new Uint8Array(90));
    expect(codeOf(() => transaction.put(target, bytes('l'), new Uint8Array(50)))).toBe('PW_TXN_TOO_LARGE');
    transaction.put(target, bytes('k'), new Uint8Array(99));
    transaction.commit();
    expect(target.index.entries.length).toBe(1);
  });
});

describe('old versions', () => {
  test('are not kept while no snapshot is open', () => {
    const rig = new Rig();
    const target = rig.target();
    for (let i = 0; i < 10; i++) rig.put(target, 'k', `${i}`);
    rig.put(target, 'k', null);
    expect(rig.mvcc.stats()).toMatchObject({ versions: 0, tombstones: 0 });
    expect(target.index.entries).toEqual([]);
    expect(target.tombstonesNoted).toBe(0);
  });

  test('of a key that changes all the time are no more than the snapshots that need them', () => {
    const rig = new Rig();
    const target = rig.target();
    const old = rig.mvcc.snapshot();
    for (let i = 0; i < 1000; i++) {
      const brief = rig.mvcc.snapshot();
      rig.put(target, 'k', `${i}`);
      brief.release();
    }
    expect(rig.mvcc.stats().versions).toBeLessThanOrEqual(4);
    expect(rig.get(target, 'k', old)).toBeUndefined();
  });

  test('go when the oldest snapshot ends, though younger ones stay', () => {
    const rig = new Rig();
    const target = rig.target();
    const oldest = rig.mvcc.snapshot();
    for (let i = 0; i < 100; i++) rig.put(target, `k${i}`, 'x');
    const younger = rig.mvcc.snapshot();
    rig.put(target, 'k0', 'y');
    expect(rig.mvcc.stats().versions).toBe(101);
    oldest.release();
    expect(rig.mvcc.stats().versions).toBe(1);
    expect(rig.get(target, 'k0', younger)).toBe('x');
  });

  test('beyond the memory for them cost the oldest snapshot its answer, and no one else', () => {
    const rig = new Rig({ versionMemory: 5000 });
    const target = rig.target();
    for (let i = 0; i < 40; i++) rig.put(target, `k${i}`, 'old');
    const oldest = rig.mvcc.snapshot();
    for (let i = 0; i < 10; i++) rig.put(target, `k${i}`, 'new');
    const younger = rig.mvcc.snapshot();
    for (let i = 10; i < 30; i++) rig.put(target, `k${i}`, 'new');
    expect(codeOf(() => rig.get(target, 'k0', oldest))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(codeOf(() => rig.scan(target, oldest))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(rig.get(target, 'k0', younger)).toBe('new');
    expect(rig.get(target, 'k15', younger)).toBe('old');
    oldest.release();
    expect(rig.mvcc.stats().activeSnapshots).toBe(1);
  });

  test('of one commit that do not fit revoke all snapshots, and the commit goes through', () => {
    const rig = new Rig({ versionMemory: 3000 });
    const target = rig.target();
    const writes = Array.from({ length: 100 }, (_, i) => ({ target, key: bytes(`k${i}`), value: bytes('x') }));
    rig.mvcc.commit(writes);
    const snapshot = rig.mvcc.snapshot();
    rig.mvcc.commit(writes.map((write) => ({ ...write, value: null })));
    expect(rig.scan(target)).toEqual([]);
    expect(codeOf(() => rig.get(target, 'k1', snapshot))).toBe('PW_SNAPSHOT_TOO_OLD');
    while (rig.mvcc.collect(7)) {}
    expect(target.index.entries).toEqual([]);
    expect(rig.mvcc.stats()).toMatchObject({ versions: 0, versionBytes: 0, tombstones: 0 });
  });
});

describe('tombstones', () => {
  test('are noted before the first is written, stay while an older snapshot stands, and go afterwards', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'x');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'k', null);
    expect(target.tombstonesNoted).toBe(1);
    rig.mvcc.collect(10);
    expect(target.index.entries.map((entry) => entry.tag)).toEqual([TAG_TOMBSTONE]);
    snapshot.release();
    expect(rig.mvcc.collect(10)).toBe(false);
    expect(target.index.entries).toEqual([]);
  });

  test('are not collected after the key was inserted again', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'x');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'k', null);
    rig.put(target, 'k', 'y');
    snapshot.release();
    rig.put(target, 'k2', null);
    while (rig.mvcc.collect(10)) {}
    expect(rig.scan(target)).toEqual(['k=y']);
  });

  test('of a tree that was cleared are not looked for in the next one', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'k', 'x');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'k', null);
    rig.clear(target);
    rig.put(target, 'k', 'new');
    snapshot.release();
    while (rig.mvcc.collect(10)) {}
    expect(rig.scan(target)).toEqual(['k=new']);
    expect(rig.mvcc.stats().tombstones).toBe(0);
  });

  test('that an earlier process left are swept; those of this one are not', () => {
    const rig = new Rig({}, 100);
    const target = rig.target();
    for (const key of ['a', 'b', 'c', 'd']) target.index.upsert(bytes(key), TAG_TOMBSTONE, bytes(''), 90);
    rig.put(target, 'b', 'x');
    const snapshot = rig.mvcc.snapshot();
    rig.put(target, 'b', null);
    const cursor = target.index.cursor();
    cursor.seek(null, {});
    let calls = 0;
    while (!rig.mvcc.sweep(target, cursor, 2)) calls++;
    expect(calls).toBeGreaterThan(1);
    expect(target.index.entries.map((entry) => entry.text)).toEqual(['b']);
    expect(rig.scan(target, snapshot)).toEqual(['b=x']);
  });
});

describe('a commit', () => {
  test('that is refused before it is logged changes nothing, and the next one goes through', () => {
    const rig = new Rig();
    const target = rig.target();
    for (const refuse of ['log', 'space'] as const) {
      rig.refuse = refuse;
      expect(codeOf(() => rig.put(target, 'k', 'x'))).toBe('PW_FULL');
    }
    rig.refuse = null;
    rig.writable = false;
    expect(codeOf(() => rig.put(target, 'k', 'x'))).toBe('PW_READ_ONLY');
    expect(rig.records).toEqual([]);
    expect(rig.get(target, 'k')).toBeUndefined();
    rig.writable = true;
    rig.put(target, 'k', 'x');
    expect(rig.records.map((record) => record.timestamp)).toEqual([1]);
  });

  test('that fails after it was logged fails the engine, and no later one reuses its timestamp (scenario 41)', () => {
    const rig = new Rig();
    const target = rig.target();
    target.index.failNextUpsert = true;
    expect(codeOf(() => rig.put(target, 'k', 'x'))).toBe('PW_ENGINE_FAILED');
    expect(rig.failure).toBeInstanceOf(Error);
    expect(codeOf(() => rig.put(target, 'k', 'x'))).toBe('PW_ENGINE_FAILED');
    expect(rig.records.length).toBe(1);
  });

  test('of a transaction that wrote nothing logs nothing', () => {
    const rig = new Rig();
    const transaction = rig.mvcc.begin();
    expect(transaction.commit().position).toBe(-1);
    expect(rig.mvcc.commit([]).position).toBe(-1);
    expect(rig.records).toEqual([]);
    expect(codeOf(() => transaction.commit())).toBe('PW_TXN_CLOSED');
    transaction.abort();
  });

  test('of several plain writes is sorted, and of a key written twice the last counts', () => {
    const rig = new Rig();
    const first = rig.target('first');
    const second = rig.target('second');
    rig.mvcc.commit([
      { target: second, key: bytes('b'), value: bytes('1') },
      { target: first, key: bytes('z'), value: bytes('2') },
      { target: second, key: bytes('b'), value: null },
      { target: second, key: bytes('a'), value: bytes('3') },
    ]);
    expect(rig.scan(first)).toEqual(['z=2']);
    expect(rig.scan(second)).toEqual(['a=3']);
    expect(rig.records[0]!.operations.map((operation) => operation.index)).toEqual([1, 2, 2]);
  });

  test('to an index that was dropped meanwhile is refused', () => {
    const rig = new Rig();
    const target = rig.target();
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('k'), bytes('x'));
    const scan = rig.openScan(target, null);
    rig.drop(target);
    expect(codeOf(() => transaction.commit())).toBe('PW_INDEX_DROPPED');
    expect(codeOf(() => rig.put(target, 'k', 'x'))).toBe('PW_INDEX_DROPPED');
    expect(codeOf(() => scan.next())).toBe('PW_INDEX_DROPPED');
    expect(rig.mvcc.stats().activeSnapshots).toBe(0);
  });

  test('depends on what its snapshot saw', () => {
    const rig = new Rig();
    const target = rig.target();
    rig.put(target, 'a', 'x');
    const transaction = rig.mvcc.begin();
    transaction.put(target, bytes('b'), bytes('x'));
    rig.put(target, 'c', 'x');
    transaction.commit();
    expect(rig.records.map((record) => record.dependsOn)).toEqual([0, 1, 1]);
  });
});

test('a scan without values reads none', () => {
  const rig = new Rig();
  const target = rig.target();
  rig.put(target, 'a', 'x');
  const scan = rig.openScan(target, null, { wantsValues: false });
  scan.next();
  expect(scan.count).toBe(1);
  expect(scan.values).toEqual([]);
  expect(new EntryBatch().wantsValues).toBe(true);
});
