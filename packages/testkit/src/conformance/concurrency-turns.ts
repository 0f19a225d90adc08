/** What several threads do by turns, held against what snapshot isolation says (T1 to T4). */
import assert from 'node:assert/strict';
import type { Snapshot, TransactionCore } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, codeOf } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause, ConcurrencySubject } from './concurrency-clause.js';
import { assertReads, collectIn, OLD, shared } from './concurrency-shared.js';

export const turnClauses: readonly ConcurrencyClause[] = [
  {
    id: 'threads-in-any-turns',
    rules: ['T1', 'T2', 'T3', 'T4'],
    says: 'gives in any turns of several threads what snapshot isolation says, and leaves nothing behind',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      for (let seed = 1; seed <= 20; seed++) {
        try {
          takeTurns(subject, new Random(seed));
        } catch (error) {
          throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    },
  },
];

/** What several threads do by turns, held against the states that there were. */
function takeTurns(subject: ConcurrencySubject, random: Random): void {
  const { rig, target, threads } = shared(subject, 3);
  const keys = ['a', 'a1', 'b', 'b1', 'c', 'd'];
  const model = new Map(OLD.map((entry) => entry.split('=') as [string, string]));
  const state = (): string[] => [...model.keys()].sort().map((key) => `${key}=${model.get(key)}`);
  const put = (key: string, value: string | null): void =>
    void (value === null ? model.delete(key) : model.set(key, value));
  const open: { snapshot: Snapshot; state: string[] }[] = [];
  const begun: {
    transaction: TransactionCore;
    from: number;
    writes: Map<string, string | null>;
  }[] = [];
  const changed = new Map<string, number>();
  for (let step = 0; step < 120; step++) {
    const thread = random.pick(threads);
    const key = random.pick(keys);
    const value = random.chance(0.4) ? null : `v${step}`;
    const kind = random.below(10);
    if (kind < 3) {
      thread.put(target, key, value);
      // To delete what is not there changes nothing.
      if (value !== null || model.has(key)) changed.set(key, rig.logged);
      put(key, value);
    } else if (kind === 3) open.push({ snapshot: thread.concurrency.snapshot(), state: state() });
    else if (kind === 4) open.splice(random.below(Math.max(1, open.length)), 1)[0]?.snapshot.release();
    else if (kind === 5) thread.concurrency.collect(1 + random.below(5));
    else if (kind === 6) begun.push({ transaction: thread.concurrency.begin(), from: rig.logged, writes: new Map() });
    else if (begun.length > 0 && kind === 7) {
      const { transaction, writes } = random.pick(begun);
      writes.set(key, value);
      if (value === null) transaction.delete(target, bytes(key));
      else transaction.put(target, bytes(key), bytes(value));
    } else if (begun.length > 0 && kind === 8) {
      const [{ transaction, writes, from }] = begun.splice(random.below(begun.length), 1) as [(typeof begun)[0]];
      const conflicts = [...writes.keys()].some((written) => (changed.get(written) ?? 0) > from);
      assert.equal(
        codeOf(() => transaction.commit()),
        conflicts ? 'PW_CONFLICT' : 'none',
        `Step ${step}, a transaction.`,
      );
      if (conflicts) continue;
      for (const [written, to] of writes) {
        if (to !== null || model.has(written)) changed.set(written, rig.logged);
        put(written, to);
      }
    } else {
      assertReads(thread, target, null, state(), `Step ${step}, the newest state`);
      for (const each of open) assertReads(thread, target, each.snapshot, each.state, `Step ${step}, a snapshot`);
    }
  }
  for (const { transaction } of begun) transaction.abort();
  for (const { snapshot } of open) snapshot.release();
  collectIn(threads);
  const { activeSnapshots, versions, tombstones } = rig.concurrency.stats();
  assert.deepEqual([activeSnapshots, versions, tombstones], [0, 0, 0], 'Something was kept for no one.');
  assert.equal(target.index.entries.length, model.size, 'Tombstones are left.');
}
