/**
 * Random interleavings of several transactions, snapshots, plain writes, scans, clears and collection, against a model
 * that keeps every version for ever.
 */

import type { Scan, Snapshot, TransactionCore } from '@pagewright/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytes, codeOf, Rig, type TestTarget } from './rig.js';

/** What one index held after each commit. */
class History {
  private readonly versions = new Map<string, { timestamp: number; value: string | null }[]>();
  incarnation = 0;

  at(key: string, timestamp: number): string | undefined {
    const versions = this.versions.get(key)?.filter((version) => version.timestamp <= timestamp);
    return versions?.at(-1)?.value ?? undefined;
  }

  write(key: string, timestamp: number, value: string | null): void {
    // Deleting what is not there changes nothing, so it does not stand in anyone's way.
    if (value === null && this.at(key, timestamp) === undefined) return;
    const versions = this.versions.get(key) ?? [];
    versions.push({ timestamp, value });
    this.versions.set(key, versions);
  }

  clear(timestamp: number): void {
    for (const key of this.versions.keys()) this.write(key, timestamp, null);
    this.incarnation = timestamp;
  }

  changedAfter(key: string, timestamp: number): boolean {
    if (this.incarnation > timestamp) return true;
    return this.versions.get(key)?.some((version) => version.timestamp > timestamp) ?? false;
  }

  keys(): string[] {
    return [...this.versions.keys()];
  }
}

/** A scan that is gone through while other things happen. */
interface OpenScan {
  readonly scan: Scan;
  readonly which: number;
  readonly bounds: Bounds;
  readonly owner: OpenTransaction | null;
  readonly seen: (key: string) => string | undefined;
  readonly entries: string[];
  /** Keys that the owner wrote or rolled back since the scan began: it may meet them or not. */
  readonly touched: Set<string>;
}

interface OpenTransaction {
  readonly core: TransactionCore;
  readonly snapshot: number;
  /** By index, then key. The last one is current; the others are what savepoints return to. */
  writes: Map<string, string | null>[];
  savepoints: { id: number; writes: Map<string, string | null>[] }[];
}

const KEYS = ['a', 'a1', 'a2', 'b', 'b1', 'c', 'c\xff', 'd', '\x00', '\xff\xff'];
const key = fc.constantFrom(...KEYS);
const slot = fc.nat(3);
const which = fc.nat(1);
const bound = fc.option(key, { nil: null });
const bounds = fc.record({
  lower: bound,
  upper: bound,
  lowerExclusive: fc.boolean(),
  upperExclusive: fc.boolean(),
  reverse: fc.boolean(),
});

type Bounds = typeof bounds extends fc.Arbitrary<infer B> ? B : never;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('begin' as const), slot }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('write' as const), slot, which, key, deletes: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), slot, which, key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('scan' as const), slot, which, bounds }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('savepoint' as const), slot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rollback' as const), slot, to: fc.nat(3) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('plain' as const),
      writes: fc.array(fc.record({ which, key, deletes: fc.boolean() }), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('snapshot' as const), slot }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('readSnapshot' as const), slot, which, bounds }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), slot }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('openScan' as const), slot, which, bounds, own: fc.boolean() }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('stepScan' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('collect' as const), budget: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('readNewest' as const), which, bounds }) },
);

/** The entries that a scan must give. */
function expected(keys: readonly string[], seen: (key: string) => string | undefined, bounds: Bounds): string[] {
  const inside = keys.filter((key) => {
    if (bounds.lower !== null && (bounds.lowerExclusive ? key <= bounds.lower : key < bounds.lower)) return false;
    return !(bounds.upper !== null && (bounds.upperExclusive ? key >= bounds.upper : key > bounds.upper));
  });
  inside.sort();
  if (bounds.reverse) inside.reverse();
  return inside.filter((key) => seen(key) !== undefined).map((key) => `${key}=${seen(key)}`);
}

function inBytes(bounds: Bounds) {
  return {
    ...bounds,
    lower: bounds.lower === null ? null : bytes(bounds.lower),
    upper: bounds.upper === null ? null : bytes(bounds.upper),
  };
}

test('any interleaving of transactions gives what snapshot isolation says, and leaves nothing behind', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), fc.boolean(), (steps, faults) => {
      const rig = new Rig();
      rig.faults = faults;
      const targets: TestTarget[] = [rig.target('first'), rig.target('second')];
      const histories = [new History(), new History()];
      const transactions: (OpenTransaction | undefined)[] = [];
      const snapshots: (Snapshot | undefined)[] = [];
      let value = 0;
      const scans: OpenScan[] = [];

      /** Open scans of the transaction may meet what it has written, or not. */
      const touch = (transaction: OpenTransaction) => {
        for (const scan of scans) {
          if (scan.owner !== transaction) continue;
          for (const key of transaction.writes[scan.which]!.keys()) scan.touched.add(key);
        }
      };
      const ownValue = (transaction: OpenTransaction, which: number, key: string) => {
        const own = transaction.writes[which]!.get(key);
        return own === undefined ? histories[which]!.at(key, transaction.snapshot) : (own ?? undefined);
      };

      for (const step of steps) {
        const transaction = 'slot' in step ? transactions[step.slot] : undefined;
        switch (step.kind) {
          case 'begin':
            transaction?.core.abort();
            transactions[step.slot] = {
              core: rig.mvcc.begin(),
              snapshot: rig.mvcc.visible,
              writes: [new Map(), new Map()],
              savepoints: [],
            };
            break;
          case 'write': {
            if (transaction === undefined) break;
            const written = step.deletes ? null : `v${++value}`;
            if (written === null) transaction.core.delete(targets[step.which]!, bytes(step.key));
            else transaction.core.put(targets[step.which]!, bytes(step.key), bytes(written));
            transaction.writes[step.which]!.set(step.key, written);
            touch(transaction);
            break;
          }
          case 'read':
            if (transaction === undefined) break;
            expect(rig.get(targets[step.which]!, step.key, transaction.core)).toBe(
              ownValue(transaction, step.which, step.key),
            );
            break;
          case 'scan':
            if (transaction === undefined) break;
            expect(rig.scan(targets[step.which]!, transaction.core, inBytes(step.bounds))).toEqual(
              expected(KEYS, (key) => ownValue(transaction, step.which, key), step.bounds),
            );
            break;
          case 'commit': {
            if (transaction === undefined) break;
            transactions[step.slot] = undefined;
            const conflicts = histories.some((history, which) =>
              [...transaction.writes[which]!.keys()].some((key) => history.changedAfter(key, transaction.snapshot)),
            );
            expect(codeOf(() => transaction.core.commit())).toBe(conflicts ? 'PW_CONFLICT' : 'none');
            if (conflicts) break;
            histories.forEach((history, which) => {
              for (const [key, written] of transaction.writes[which]!) history.write(key, rig.mvcc.visible, written);
            });
            break;
          }
          case 'abort':
            transaction?.core.abort();
            transactions[step.slot] = undefined;
            break;
          case 'savepoint':
            transaction?.savepoints.push({
              id: transaction.core.savepoint(),
              writes: transaction.writes.map((writes) => new Map(writes)),
            });
            break;
          case 'rollback': {
            if (transaction === undefined) break;
            const savepoint = transaction.savepoints[step.to];
            if (savepoint === undefined) break;
            transaction.core.rollbackTo(savepoint.id);
            transaction.savepoints.length = step.to + 1;
            touch(transaction);
            transaction.writes = savepoint.writes.map((writes) => new Map(writes));
            touch(transaction);
            break;
          }
          case 'openScan': {
            const snapshot = snapshots[step.slot];
            const { which, bounds } = step;
            if (step.own && transaction !== undefined) {
              scans[0] = {
                scan: rig.openScan(targets[which]!, transaction.core, inBytes(bounds)),
                which,
                bounds,
                owner: transaction,
                seen: (key) => ownValue(transaction, which, key),
                entries: [],
                touched: new Set(),
              };
            } else if (snapshot !== undefined) {
              scans[0] = {
                scan: rig.openScan(targets[which]!, snapshot, inBytes(bounds)),
                which,
                bounds,
                owner: null,
                seen: (key) => histories[which]!.at(key, snapshot.timestamp),
                entries: [],
                touched: new Set(),
              };
            }
            break;
          }
          case 'stepScan': {
            const open = scans[0];
            if (open === undefined) break;
            const { entries, seen, touched } = open;
            const before = entries.length;
            let more = false;
            const code = codeOf(() => {
              more = rig.step(open.scan, entries);
            });
            if (code !== 'none') {
              expect(['PW_TXN_CLOSED', 'PW_CLOSED']).toContain(code);
              scans.length = 0;
              break;
            }
            // What is given out is what is there when it is given out.
            for (const entry of entries.slice(before)) {
              const key = entry.slice(0, entry.indexOf('='));
              expect(entry).toBe(`${key}=${seen(key)}`);
            }
            if (more) break;
            const keys = entries.map((entry) => entry.slice(0, entry.indexOf('=')));
            expect(keys).toEqual(expected(keys, () => '', open.bounds).map((entry) => entry.slice(0, -1)));
            expect(new Set(keys).size).toBe(keys.length);
            const untouched = KEYS.filter((key) => !touched.has(key));
            expect(entries.filter((_, i) => !touched.has(keys[i]!))).toEqual(expected(untouched, seen, open.bounds));
            scans.length = 0;
            break;
          }
          case 'plain': {
            const writes = step.writes.map((write) => ({ ...write, value: write.deletes ? null : `v${++value}` }));
            rig.mvcc.commit(
              writes.map((write) => ({
                target: targets[write.which]!,
                key: bytes(write.key),
                value: write.value === null ? null : bytes(write.value),
              })),
            );
            const last = new Map(writes.map((write) => [`${write.which}${write.key}`, write]));
            for (const write of last.values()) histories[write.which]!.write(write.key, rig.mvcc.visible, write.value);
            break;
          }
          case 'snapshot':
            snapshots[step.slot]?.release();
            snapshots[step.slot] = rig.mvcc.snapshot();
            break;
          case 'readSnapshot': {
            const snapshot = snapshots[step.slot];
            if (snapshot === undefined) break;
            const seen = (key: string) => histories[step.which]!.at(key, snapshot.timestamp);
            expect(rig.scan(targets[step.which]!, snapshot, inBytes(step.bounds))).toEqual(
              expected(KEYS, seen, step.bounds),
            );
            for (const key of KEYS) expect(rig.get(targets[step.which]!, key, snapshot)).toBe(seen(key));
            break;
          }
          case 'release':
            snapshots[step.slot]?.release();
            snapshots[step.slot] = undefined;
            break;
          case 'clear':
            rig.clear(targets[step.which]!);
            histories[step.which]!.clear(rig.mvcc.visible);
            break;
          case 'collect':
            rig.mvcc.collect(step.budget);
            break;
          case 'readNewest': {
            const seen = (key: string) => histories[step.which]!.at(key, rig.mvcc.visible);
            expect(rig.scan(targets[step.which]!, null, inBytes(step.bounds))).toEqual(
              expected(KEYS, seen, step.bounds),
            );
            break;
          }
        }
        rig.records.forEach((record, i) => {
          if (i > 0) expect(record.timestamp).toBe(rig.records[i - 1]!.timestamp + 1);
        });
      }

      for (const transaction of transactions) transaction?.core.abort();
      for (const snapshot of snapshots) snapshot?.release();
      while (rig.mvcc.collect(2)) {}
      expect(rig.mvcc.stats()).toMatchObject({ activeSnapshots: 0, versions: 0, versionBytes: 0, tombstones: 0 });
      targets.forEach((target, which) => {
        const left = target.index.entries.map((entry) => entry.text);
        expect(left).toEqual(KEYS.filter((key) => histories[which]!.at(key, rig.mvcc.visible) !== undefined).sort());
      });
    }),
    { numRuns: 1500 },
  );
});

test('a revoked snapshot never answers wrongly: it answers as it should, or says that it is too old', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.record({ slot }), fc.record({ key, deletes: fc.boolean() })), {
        maxLength: 150,
        size: 'max',
      }),
      fc.integer({ min: 200, max: 2000 }),
      (steps, versionMemory) => {
        const rig = new Rig({ versionMemory });
        const target = rig.target();
        const history = new History();
        const snapshots: Snapshot[] = [];
        let value = 0;
        for (const step of steps) {
          if ('slot' in step) {
            snapshots[step.slot]?.release();
            snapshots[step.slot] = rig.mvcc.snapshot();
          } else {
            const written = step.deletes ? null : `v${++value}`;
            rig.put(target, step.key, written);
            history.write(step.key, rig.mvcc.visible, written);
          }
          expect(rig.mvcc.stats().versionBytes).toBeLessThanOrEqual(versionMemory);
          for (const snapshot of snapshots) {
            if (snapshot === undefined) continue;
            for (const key of KEYS) {
              let answer: string | undefined;
              const code = codeOf(() => {
                answer = rig.get(target, key, snapshot);
              });
              const right = code === 'none' && answer === history.at(key, snapshot.timestamp);
              if (!right) expect(code).toBe('PW_SNAPSHOT_TOO_OLD');
            }
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
