/** What this package chooses where the contract leaves room; the contract itself is tested by its conformance suite. */
import { TAG_TOMBSTONE } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
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

  test('depends, where it is set up so, on what changed the pages that it touched, and on nothing else', () => {
    const rig = new Rig({ dependsOn: 'touched' });
    const target = rig.target();
    rig.put(target, 'a', 'x');
    rig.put(target, 'b', 'x');
    rig.put(target, 'c', 'x');
    const transaction = rig.mvcc.begin();
    expect(rig.get(target, 'a2', transaction)).toBeUndefined();
    transaction.put(target, bytes('d'), bytes('x'));
    transaction.commit();
    const scans = rig.mvcc.begin();
    expect(rig.scan(target, scans, { lower: bytes('b2'), upper: bytes('b9') })).toEqual([]);
    scans.put(target, bytes('e'), bytes('x'));
    scans.commit();
    const asked = rig.mvcc.begin();
    asked.put(target, bytes('f'), bytes('x'));
    asked.commit('seen');
    // A scan that ends with the next page has looked at that one as well.
    expect(rig.records.map((record) => record.dependsOn)).toEqual([0, 0, 0, 1, 3, 5]);
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

describe('memory for old versions', () => {
  test('is used again, whatever sizes come and go, and none of it is lost', () => {
    const limit = 64 * 1024;
    const rig = new Rig({ versionMemory: limit });
    const target = rig.target();
    const random = new Random(7);
    const open = [rig.mvcc.snapshot()];
    for (let step = 0; step < 3000; step++) {
      const size = random.chance(0.02) ? random.below(2 * limit) : random.below(random.chance(0.2) ? 5000 : 200);
      rig.put(
        target,
        `k${random.below(40)}${'y'.repeat(random.below(90))}`,
        random.chance(0.2) ? null : 'x'.repeat(size),
      );
      if (random.chance(0.1)) open.push(rig.mvcc.snapshot());
      if (random.chance(0.1)) open.splice(random.below(open.length), 1)[0]?.release();
      expect(rig.mvcc.stats().versionBytes).toBeLessThanOrEqual(limit);
    }
    for (const snapshot of open) snapshot.release();
    while (rig.mvcc.collect(1000)) {}
    expect(rig.mvcc.stats()).toMatchObject({ versions: 0, versionBytes: 0, activeSnapshots: 0 });
    const all = rig.mvcc.snapshot();
    // A block for each key, and one for what it held: as many as there is room for, and no snapshot pays.
    const keys = Array.from({ length: limit / 128 }, (_, i) => bytes(`fresh${i}`));
    rig.mvcc.commit(keys.map((key) => ({ target, key, value: bytes('x') })));
    expect(rig.mvcc.stats()).toMatchObject({ versions: keys.length, versionBytes: limit });
    expect(rig.get(target, 'fresh1', all)).toBeUndefined();
    rig.put(target, 'one more', 'x');
    expect(codeOf(() => all.assertStands())).toBe('PW_SNAPSHOT_TOO_OLD');
  });

  test('keeps the whole of values of any length', () => {
    const rig = new Rig();
    const target = rig.target();
    const lengths = [0, 1, 31, 32, 33, 91, 92, 93, 151, 152, 153, 511, 512, 513, 100_000];
    const value = (length: number) => Array.from({ length }, (_, i) => String.fromCharCode(i % 251)).join('');
    for (const length of lengths) rig.put(target, `${'k'.repeat(length % 130)}${length}`, value(length));
    const snapshot = rig.mvcc.snapshot();
    for (const length of lengths) rig.put(target, `${'k'.repeat(length % 130)}${length}`, 'new');
    for (const length of lengths)
      expect(rig.get(target, `${'k'.repeat(length % 130)}${length}`, snapshot)).toBe(value(length));
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
