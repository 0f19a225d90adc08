/** What this package chooses where the contract leaves room; the contract itself is tested by its conformance suite. */
import { type Snapshot, TAG_TOMBSTONE, type TransactionCore } from '@pagewright/core';
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

  test('that are serializable remember what they have read up to the limit, whichever way they read, and write nothing beyond', () => {
    const LIMIT = 4096;
    const rig = new Rig({ maxTransactionBytes: LIMIT });
    const target = rig.target();
    rig.put(target, 'key', 'x');
    const reads: readonly [string, (transaction: TransactionCore, times: number) => unknown][] = [
      ['keys', (transaction, times) => rig.get(target, `not there ${times}`, transaction)],
      ['ranges', (transaction, times) => rig.scan(target, transaction, { lower: bytes(`${times}`) })],
    ];
    for (const [what, read] of reads) {
      const transaction = rig.mvcc.begin('serializable');
      transaction.put(target, bytes('written'), bytes(what));
      // What was read once is remembered once.
      for (let times = 0; times < 1000; times++) rig.get(target, 'key', transaction);
      let count = 0;
      const reading = (): void => {
        for (; count < 1000; count++) read(transaction, count);
      };
      expect(reading, what).toThrow('remembers what it has read');
      expect(codeOf(reading), what).toBe('PW_TXN_TOO_LARGE');
      expect(count, what).toBeGreaterThan(10);
      transaction.abort();
      expect(rig.get(target, 'written'), what).toBeUndefined();
      const snapshot = rig.mvcc.begin('snapshot');
      for (let times = 0; times < 1000; times++) read(snapshot, times);
      snapshot.abort();
    }
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

describe('more snapshots of different commits than there are places', () => {
  const MOST = 16384;

  test('cost the oldest its answer, which says why, and what it needed is collected', () => {
    const rig = new Rig({ versionMemory: '64MiB' });
    const target = rig.target();
    rig.put(target, 'seen by the oldest', 'old');
    const snapshots = [rig.mvcc.snapshot()];
    rig.put(target, 'seen by the oldest', null);
    while (snapshots.length < MOST) {
      rig.put(target, 'k', `${snapshots.length}`);
      snapshots.push(rig.mvcc.snapshot());
    }
    const { versions } = rig.mvcc.stats();
    const { kept } = rig;
    expect(rig.get(target, 'seen by the oldest', snapshots[0]!)).toBe('old');
    // Another one of the newest commit takes no place.
    const same = rig.mvcc.snapshot();
    snapshots[0]!.assertStands();
    rig.put(target, 'k', 'last');
    const last = rig.mvcc.snapshot();
    expect(() => snapshots[0]!.assertStands()).toThrow(`more than ${MOST} different commits`);
    expect(codeOf(() => rig.get(target, 'k', snapshots[0]!))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(rig.kept).toBeGreaterThan(kept);
    expect(rig.mvcc.stats()).toMatchObject({ activeSnapshots: MOST + 1, tombstones: 1 });
    // One version came, and the two went that the oldest alone could see.
    expect(rig.mvcc.stats().versions).toBe(versions - 1);
    while (rig.mvcc.collect(1000)) {}
    expect(rig.mvcc.stats().tombstones).toBe(0);
    expect(rig.get(target, 'k', snapshots[1]!)).toBe('1');
    expect(rig.get(target, 'k', same)).toBe(`${MOST - 1}`);
    expect(rig.get(target, 'k', last)).toBe('last');
  });

  test('are told from those that were revoked for want of memory', () => {
    const rig = new Rig({ versionMemory: 8 * 1024 });
    const target = rig.target();
    for (let at = 0; at < 100; at++) rig.put(target, `k${at}`, 'old');
    const forMemory = [rig.mvcc.snapshot()];
    const crowded: Snapshot[] = [];
    // Nothing that a snapshot sees is changed: nothing is kept for them.
    const crowd = (): void => {
      for (let at = 0; at <= MOST; at++) {
        rig.put(target, 'new', null);
        crowded.push(rig.mvcc.snapshot());
      }
    };
    const fill = (): void => {
      for (let at = 0; at < 100; at++) rig.put(target, `k${at}`, 'new');
    };
    fill();
    expect(() => forMemory[0]!.assertStands()).toThrow('versionMemory');
    crowd();
    expect(() => crowded[0]!.assertStands()).toThrow(`more than ${MOST} different commits`);
    expect(() => forMemory[0]!.assertStands()).toThrow('versionMemory');
    fill();
    expect(() => crowded[0]!.assertStands()).toThrow(`more than ${MOST} different commits`);
    expect(() => crowded[1]!.assertStands()).toThrow('versionMemory');
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
