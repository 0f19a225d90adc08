/** Clauses on serializable transactions (T5): they have the effect of one after the other, in order of their timestamps, whatever they have read. */
import assert from 'node:assert/strict';
import { driveSchedule, POINT, type ScanBounds, type TransactionCore } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, codeOf, type RigTarget, type RigThread } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause, ConcurrencySubject } from './concurrency-clause.js';
import { collectIn, OLD, shared } from './concurrency-shared.js';
import { filled } from './concurrency-snapshots.js';

const SEEDS = 60;
const STEPS = 150;
const MOST_OPEN = 5;
/** Some share a page of the index, some are all that there is on theirs. */
const KEYS = ['a', 'a1', 'a2', 'b', 'b1', 'c', 'c1', 'd', 'e'];

/** What is read of `a=old` to `d=old`, and changes that are held against that, and others that are not. */
const READS: readonly {
  readonly what: string;
  readonly read: (thread: RigThread, target: RigTarget, core: TransactionCore) => unknown;
  readonly refused: readonly string[];
  readonly passed: readonly string[];
}[] = [
  {
    what: 'A key',
    read: (thread, target, core) => thread.get(target, 'b', core),
    refused: ['b', '-b'],
    passed: ['b1', 'a'],
  },
  {
    what: 'A key that is not there',
    read: (thread, target, core) => thread.get(target, 'b1', core),
    refused: ['b1'],
    passed: ['b', 'b2', '-b1'],
  },
  {
    what: 'A range',
    read: ranged({ lower: bytes('b'), upper: bytes('c') }),
    refused: ['b', 'b1', 'c', '-b', '-c'],
    passed: ['a', 'c1', 'd', '-d'],
  },
  {
    what: 'A range backwards, its bounds excluded',
    read: ranged({ lower: bytes('b'), lowerExclusive: true, upper: bytes('d'), upperExclusive: true, reverse: true }),
    refused: ['b1', 'c', 'c9', '-c'],
    passed: ['b', 'd', '-b', 'e'],
  },
  {
    what: 'An empty range',
    read: ranged({ lower: bytes('b1'), upper: bytes('b9') }),
    refused: ['b1', 'b5', 'b9'],
    passed: ['b', 'c', '-c'],
  },
  { what: 'All there is', read: ranged({}), refused: ['A', 'a', 'z', '-d'], passed: [] },
  { what: 'The first entry', read: begun({}), refused: ['A', 'a', '-a'], passed: ['c', 'z', '-d'] },
  { what: 'The last entry', read: begun({ reverse: true }), refused: ['d', 'z', '-d'], passed: ['a', 'b', '-a'] },
];

function ranged(bounds: Partial<ScanBounds>) {
  return (thread: RigThread, target: RigTarget, core: TransactionCore): unknown => thread.scan(target, core, bounds);
}

/** Looks at one entry. */
function begun(bounds: Partial<ScanBounds>) {
  return (_: RigThread, target: RigTarget, core: TransactionCore): unknown => {
    const open = { lower: null, upper: null, lowerExclusive: false, upperExclusive: false, reverse: false };
    return core.scan(target, { ...open, wantsValues: true, ...bounds, limit: 1 }).next();
  };
}

function change(thread: RigThread, target: RigTarget, key: string): void {
  if (key.startsWith('-')) thread.put(target, key.slice(1), null);
  else thread.put(target, key, 'new');
}

export const serializableClauses: readonly ConcurrencyClause[] = [
  {
    id: 'write-skew',
    rules: ['T5'],
    says: 'lets of two serializable transactions that each read what the other writes only one commit (write skew, scenario 37), and of two others both',
    needs: ['serializable', 'write-conflicts'],
    check(subject) {
      for (const [isolation, code] of [
        ['serializable', 'PW_CONFLICT'],
        ['snapshot', 'none'],
      ] as const) {
        const { rig, target } = filled(subject.rig());
        const both = [rig.concurrency.begin(isolation), rig.concurrency.begin(isolation)] as const;
        for (const core of both) for (const key of ['a', 'b']) rig.get(target, key, core);
        both[0].put(target, bytes('a'), bytes('1'));
        both[1].put(target, bytes('b'), bytes('2'));
        both[0].commit();
        assert.equal(
          codeOf(() => both[1].commit()),
          code,
          `The second of two with isolation ${isolation}.`,
        );
        assert.equal(rig.get(target, 'b'), code === 'none' ? '2' : 'old');
      }
    },
  },
  {
    id: 'reads-are-kept',
    rules: ['T5'],
    says: 'refuses a serializable transaction that writes if anything that it has read was changed, keys that were not there and ranges as far as they were gone through, phantoms included (scenario 37), and no other one',
    needs: ['serializable', 'write-conflicts'],
    check(subject) {
      for (const { what, read, refused, passed } of READS) {
        for (const key of [...refused, ...passed]) {
          const { rig, target } = filled(subject.rig());
          const core = rig.concurrency.begin('serializable');
          read(rig.asThread, target, core);
          change(rig.asThread, target, key);
          core.put(target, bytes('own'), bytes('x'));
          const code = codeOf(() => core.commit());
          assert.equal(code, refused.includes(key) ? 'PW_CONFLICT' : 'none', `${what} was read, and ${key} changed.`);
        }
      }
    },
  },
  {
    id: 'own-reads',
    rules: ['T5'],
    says: 'holds nothing against a serializable transaction that it has only written, or that was changed before it began',
    needs: ['serializable', 'write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const older = rig.concurrency.snapshot();
      rig.put(target, 'b', 'new');
      const core = rig.concurrency.begin('serializable');
      core.put(target, bytes('a'), bytes('mine'));
      assert.deepEqual([rig.get(target, 'a', core), rig.get(target, 'b', core)], ['mine', 'new']);
      assert.equal(rig.scan(target, core).length, OLD.length);
      core.commit();
      older.release();
      assert.equal(rig.get(target, 'a'), 'mine');
    },
  },
  {
    id: 'readers-are-never-refused',
    rules: ['T5'],
    says: 'never refuses a serializable transaction that writes nothing',
    needs: ['serializable', 'write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const core = rig.concurrency.begin('serializable');
      rig.scan(target, core);
      for (const key of ['a', 'b1', '-c']) change(rig.asThread, target, key);
      assert.deepEqual(rig.scan(target, core), OLD);
      assert.equal(core.commit().position, -1);
    },
  },
  {
    id: 'cleared-after-it-was-read',
    rules: ['T5', 'T7'],
    says: 'refuses a serializable transaction if an index that it has read, in vain as well, was cleared meanwhile',
    needs: ['serializable', 'write-conflicts'],
    check(subject) {
      for (const isShared of [false, true]) {
        const { rig, target, threads } = shared(subject, isShared ? 2 : 1);
        const other = rig.target('other');
        const thread = threads.at(-1)!;
        const core = thread.concurrency.begin('serializable');
        assert.equal(thread.get(target, 'nothing', core), undefined);
        core.put(other, bytes('a'), bytes('x'));
        rig.clear(target);
        assert.equal(
          codeOf(() => core.commit()),
          'PW_CONFLICT',
        );
      }
    },
  },
  {
    id: 'changed-in-the-midst',
    rules: ['T5'],
    says: 'refuses a serializable transaction also if another thread changes what it has read when it was looked at for the last time but one (scenario 37)',
    needs: ['serializable', 'write-conflicts', 'threads'],
    check(subject) {
      for (const at of [POINT.transactionChecked, POINT.commitBegun, POINT.commitPrepared]) {
        for (const { what, read, refused, passed } of READS) {
          for (const key of [...refused, ...passed]) {
            const { target, threads } = shared(subject, 2);
            const [first, second] = threads as [RigThread, RigThread];
            const core = first.concurrency.begin('serializable');
            read(first, target, core);
            core.put(target, bytes('own'), bytes('x'));
            let isDone = false;
            const before = driveSchedule((point) => {
              if (point !== at || isDone) return;
              isDone = true;
              change(second, target, key);
            });
            let code: string;
            try {
              code = codeOf(() => core.commit());
            } finally {
              driveSchedule(before);
            }
            assert.ok(isDone, 'A commit says where it is.');
            assert.equal(code, refused.includes(key) ? 'PW_CONFLICT' : 'none', `${what} was read, and ${key} changed.`);
          }
        }
      }
    },
  },
  {
    id: 'logged-and-not-in-place',
    rules: ['T5'],
    says: 'logs no serializable transaction while what it has read is changed by a commit of another thread that is logged, and not in place yet (scenario 37)',
    needs: ['serializable', 'write-conflicts', 'threads'],
    check(subject) {
      for (const { what, read, refused } of READS) {
        for (const key of refused) {
          const { rig, target, threads } = shared(subject, 2);
          const [first, second] = threads as [RigThread, RigThread];
          const core = first.concurrency.begin('serializable');
          read(first, target, core);
          core.put(target, bytes('own'), bytes('x'));
          // The other thread goes no further meanwhile: whoever waits for it does so in vain.
          first.onLook(() => {
            throw new Error('It waits for the other thread.');
          });
          let logged = -1;
          const before = driveSchedule((point) => {
            if (point !== POINT.commitAppended || logged >= 0) return;
            const { length } = rig.records;
            logged = 0;
            assert.throws(() => core.commit(), `${what} was read, and ${key} is being changed: it has committed.`);
            logged = rig.records.length - length;
          });
          try {
            change(second, target, key);
          } finally {
            driveSchedule(before);
          }
          assert.equal(logged, 0, `${what} was read, and ${key} is being changed: it was logged.`);
        }
      }
    },
  },
  {
    id: 'one-after-the-other',
    rules: ['T5'],
    says: 'lets serializable transactions of several threads read what they would have read at their timestamps, and refuses none without a reason',
    needs: ['serializable', 'write-conflicts', 'threads'],
    check(subject) {
      for (let seed = 1; seed <= SEEDS; seed++) {
        try {
          takeTurns(subject, new Random(seed));
        } catch (error) {
          throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    },
  },
];

type State = ReadonlyMap<string, string>;

interface Open {
  readonly core: TransactionCore;
  readonly thread: RigThread;
  /** So many commits there were when it began. */
  readonly began: number;
  readonly writes: Map<string, string | null>;
  /** What it has read, as something to be read again from the state that was there at its timestamp. */
  readonly reads: {
    readonly found: unknown;
    readonly again: (state: State) => unknown;
    readonly has: (key: string) => boolean;
  }[];
}

function takeTurns(subject: ConcurrencySubject, random: Random): void {
  const { rig, target, threads } = shared(subject, 3);
  const model = new Map(OLD.map((entry) => entry.split('=') as [string, string]));
  /** Keys in the order in which they were changed. */
  const changed: string[] = [];
  const open: Open[] = [];
  const put = (key: string, value: string | null): void => {
    if (value !== null || model.has(key)) changed.push(key);
    if (value === null) model.delete(key);
    else model.set(key, value);
  };
  const steps = {
    begin: () => {
      if (open.length === MOST_OPEN) return;
      const thread = random.pick(threads);
      const core = thread.concurrency.begin('serializable');
      open.push({ core, thread, began: changed.length, writes: new Map(), reads: [] });
    },
    get: () => {
      const one = open[random.below(MOST_OPEN)];
      if (one === undefined) return;
      const key = random.pick(KEYS);
      const own = new Map(one.writes);
      const found = one.thread.get(target, key, one.core);
      const again = (state: State): unknown => seen(state, own).get(key);
      one.reads.push({ found, again, has: (other) => other === key && !own.has(key) });
    },
    scan: () => {
      const one = open[random.below(MOST_OPEN)];
      if (one === undefined) return;
      const [lower, upper] = [random.pick(KEYS), random.pick(KEYS)].sort() as [string, string];
      const reverse = random.chance(0.5);
      const own = new Map(one.writes);
      const found = one.thread.scan(target, one.core, { lower: bytes(lower), upper: bytes(upper), reverse });
      const again = (state: State): unknown => {
        const entries = [...seen(state, own)].filter(([key]) => key >= lower && key <= upper).sort();
        const texts = entries.map(([key, value]) => `${key}=${value}`);
        return reverse ? texts.reverse() : texts;
      };
      one.reads.push({ found, again, has: (key) => key >= lower && key <= upper });
    },
    write: () => {
      const one = open[random.below(MOST_OPEN)];
      if (one === undefined) return;
      const key = random.pick(KEYS);
      const value = random.chance(0.4) ? null : `v${random.below(1000)}`;
      if (value === null) one.core.delete(target, bytes(key));
      else one.core.put(target, bytes(key), bytes(value));
      one.writes.set(key, value);
    },
    commit: () => {
      if (open.length === 0) return;
      const [{ core, began, writes, reads }] = open.splice(random.below(open.length), 1) as [Open];
      const since = changed.slice(began);
      const isRefused = writes.size > 0 && since.some((key) => writes.has(key) || reads.some((read) => read.has(key)));
      assert.equal(
        codeOf(() => core.commit()),
        isRefused ? 'PW_CONFLICT' : 'none',
        `A transaction that writes ${[...writes.keys()].join(', ')}, beside changes of ${since.join(', ')}.`,
      );
      if (isRefused) return;
      if (writes.size > 0) for (const { found, again } of reads) assert.deepEqual(found, again(model), 'Read again.');
      for (const [key, value] of writes) put(key, value);
    },
    plain: () => {
      const key = random.pick(KEYS);
      const value = random.chance(0.4) ? null : `p${random.below(1000)}`;
      random.pick(threads).put(target, key, value);
      put(key, value);
    },
    collect: () => random.pick(threads).concurrency.collect(1 + random.below(5)),
  };
  const { begin, get, scan, write, commit, plain, collect } = steps;
  const kinds = [begin, begin, get, get, scan, write, write, commit, commit, plain, collect];
  for (let step = 0; step < STEPS; step++) random.pick(kinds)();
  for (const { core } of open) core.abort();
  collectIn(threads);
  const { activeSnapshots, versions, tombstones } = rig.concurrency.stats();
  assert.deepEqual([activeSnapshots, versions, tombstones], [0, 0, 0], 'Something was kept for no one.');
}

/** A state with the changes of a transaction. */
function seen(state: State, own: ReadonlyMap<string, string | null>): Map<string, string> {
  const both = new Map(state);
  for (const [key, value] of own) {
    if (value === null) both.delete(key);
    else both.set(key, value);
  }
  return both;
}
