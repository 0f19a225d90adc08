/** Clauses on what a commit depends on (T1): nothing less than what it has seen, or than what it has touched if no more was asked for. */
import assert from 'node:assert/strict';
import type { CommitTicket, Dependence, TransactionCore } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, type ConcurrencyRig, codeOf, type RigTarget } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause } from './concurrency-clause.js';

const ROUNDS = 12;
const STEPS = 120;
const OPEN = 4;

/** Of every key, the commits that changed it, and of the whole index. */
class Changes {
  readonly #of = new Map<string, number[]>();
  #whole: number[] = [];

  note(key: string, timestamp: number): void {
    const changes = this.#of.get(key) ?? [];
    this.#of.set(key, [...changes, timestamp]);
  }

  noteWhole(timestamp: number): void {
    this.#whole.push(timestamp);
  }

  /** The last one up to a timestamp; 0 if there is none. */
  last(key: string, upTo: number): number {
    return Math.max(0, ...[...(this.#of.get(key) ?? []), ...this.#whole].filter((change) => change <= upTo));
  }

  /** Of the keys between two. */
  lastBetween(lower: string, upper: string, upTo: number): number {
    const keys = [...this.#of.keys()].filter((key) => key >= lower && key <= upper);
    return Math.max(this.last('', upTo), ...keys.map((key) => this.last(key, upTo)));
  }
}

/** A transaction, and the last commit that changed what it has read. */
interface Open {
  readonly core: TransactionCore;
  seen: number;
}

export const dependenceClauses: readonly ConcurrencyClause[] = [
  {
    id: 'depends-on-seen',
    rules: ['T1'],
    says: 'depends on all that was visible at the beginning, unless less is asked for',
    needs: ['snapshots', 'write-conflicts'],
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      rig.put(target, 'a', 'x');
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('b'), bytes('x'));
      rig.put(target, 'c', 'x');
      assert.equal(transaction.commit('seen').dependsOn >= 1, true, 'A transaction depends on its snapshot.');
      rig.concurrency.commit([{ target, key: bytes('d'), value: bytes('x') }], 'seen');
      assert.equal(rig.records.at(-2)!.dependsOn >= 1, true, 'So does its record.');
      assert.equal(rig.records.at(-1)!.dependsOn, 3, 'A plain commit depends on what was visible.');
    },
  },
  {
    id: 'depends-on-touched',
    rules: ['T1'],
    says: 'depends on every commit that changed what it has read, looked for in vain or writes to, also if no more is asked for, and on none that comes after its snapshot',
    needs: ['snapshots', 'write-conflicts'],
    check(subject) {
      for (let seed = 1; seed <= ROUNDS; seed++) touch(subject.rig(), new Random(seed));
    },
  },
];

function touch(rig: ConcurrencyRig, random: Random): void {
  const targets = [rig.target('one'), rig.target('two')];
  const changes = new Map(targets.map((target) => [target, new Changes()]));
  const of = (target: RigTarget): Changes => changes.get(target)!;
  const open: Open[] = [];
  const anyKey = (): string => `${random.pick(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])}${random.below(4)}`;
  const committed = (
    target: RigTarget,
    key: string,
    { timestamp, dependsOn }: CommitTicket,
    least: number,
    changes: boolean,
  ): void => {
    const what = `Commit ${timestamp}, of ${key} in '${target.name}'`;
    assert.equal(dependsOn >= least, true, `${what} depends on ${dependsOn}, and has seen ${least}.`);
    assert.equal(dependsOn < timestamp, true, `${what} depends on ${dependsOn}.`);
    assert.equal(rig.records.at(-1)!.dependsOn, dependsOn, `${what} has another one in its record.`);
    if (changes) of(target).note(key, timestamp);
  };
  const steps = {
    begin: () => {
      if (open.length < OPEN) open.push({ core: rig.concurrency.begin(), seen: 0 });
    },
    get: () => {
      if (open.length === 0) return;
      const one = random.pick(open);
      const [target, key] = [random.pick(targets), anyKey()];
      rig.get(target, key, one.core);
      one.seen = Math.max(one.seen, of(target).last(key, one.core.snapshot.timestamp));
    },
    scan: () => {
      if (open.length === 0) return;
      const one = random.pick(open);
      const [lower, upper] = [anyKey(), anyKey()].sort() as [string, string];
      const target = random.pick(targets);
      rig.scan(target, one.core, { lower: bytes(lower), upper: bytes(upper), reverse: random.chance(0.5) });
      one.seen = Math.max(one.seen, of(target).lastBetween(lower, upper, one.core.snapshot.timestamp));
    },
    commit: () => {
      if (open.length === 0) return;
      const [one] = open.splice(random.below(open.length), 1) as [Open];
      const [target, key] = [random.pick(targets), anyKey()];
      const { timestamp } = one.core.snapshot;
      const before = of(target).last(key, timestamp);
      const deletes = random.chance(0.3);
      if (deletes) one.core.delete(target, bytes(key));
      else one.core.put(target, bytes(key), bytes('x'));
      const changes = !deletes || rig.get(target, key) !== undefined;
      const dependence = random.pick<Dependence>(['touched', 'touched', 'seen']);
      let ticket: CommitTicket | undefined;
      const code = codeOf(() => {
        ticket = one.core.commit(dependence);
      });
      assert.equal(code === 'none' || code === 'PW_CONFLICT', true, `A commit failed with ${code}.`);
      if (ticket === undefined) return;
      committed(target, key, ticket, dependence === 'seen' ? timestamp : Math.max(one.seen, before), changes);
      assert.equal(ticket.dependsOn <= timestamp, true, 'A transaction depends on what its snapshot is below.');
    },
    put: () => {
      const [target, key] = [random.pick(targets), anyKey()];
      const least = of(target).last(key, rig.concurrency.visible);
      const value = random.chance(0.3) ? null : bytes('y');
      const changes = value !== null || rig.get(target, key) !== undefined;
      committed(target, key, rig.concurrency.commit([{ target, key: bytes(key), value }], 'touched'), least, changes);
    },
    clear: () => {
      const target = random.pick(targets);
      rig.clear(target);
      of(target).noteWhole(rig.concurrency.visible);
    },
  };
  const { begin, get, scan, commit, put, clear } = steps;
  for (let step = 0; step < STEPS; step++) {
    random.pick([begin, begin, get, get, scan, commit, put, put, put])();
    if (random.chance(0.02)) clear();
  }
  for (const { core } of open) core.abort();
}
