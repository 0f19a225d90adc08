/** What this package chooses where the contract leaves room; the contract itself is tested by its conformance suite. */
import { TAG_TOMBSTONE } from '@pagewright/core';
import { describe, expect, test } from 'vitest';
import { bytes, codeOf, Rig } from './rig.js';

describe('transactions', () => {
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
    const rig = new Rig({ versionMemory: 3200 });
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
});
