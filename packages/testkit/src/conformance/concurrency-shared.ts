/** What the clauses about several threads have in common: a rig that several share, and what all of them must read. */
import assert from 'node:assert/strict';
import type { Snapshot } from '@pagewright/core';
import type { ConcurrencyRig, RigTarget, RigThread } from '../rig/concurrency-rig.js';
import type { ConcurrencySubject } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

/** What the index has at first. */
export const OLD = ['a=old', 'b=old', 'c=old', 'd=old'];

export interface Sharing {
  readonly rig: ConcurrencyRig;
  readonly target: RigTarget;
  /** The first one was started, the others are attached. */
  readonly threads: readonly RigThread[];
}

/** A rig of several threads, with an index of four entries. */
export function shared(subject: ConcurrencySubject, count: number, startAt = 0, versionMemory?: number): Sharing {
  const limits = versionMemory === undefined ? {} : { versionMemory };
  const { rig, target } = filled(subject.rig(limits, startAt));
  const others = Array.from({ length: count - 1 }, () => rig.attach(subject.another(limits)));
  return { rig, target, threads: [rig.asThread, ...others] };
}

/** Until no thread has anything left, whoever has left it. */
export function collectIn(threads: readonly RigThread[]): void {
  for (const { concurrency } of threads) {
    for (let rounds = 0; concurrency.collect(7); rounds++) assert.ok(rounds < 1000, 'collect() comes to no end.');
  }
}

export function assertReads(
  thread: RigThread,
  target: RigTarget,
  from: Snapshot | null,
  wanted: readonly string[],
  what: string,
): void {
  assert.deepEqual(thread.scan(target, from), wanted, `${what}, forwards.`);
  assert.deepEqual(thread.scan(target, from, { reverse: true }), [...wanted].reverse(), `${what}, backwards.`);
  for (const key of ['a', 'a1', 'b', 'b1', 'c', 'd', 'e']) {
    const entry = wanted.find((each) => each.startsWith(`${key}=`));
    assert.equal(thread.get(target, key, from), entry?.slice(key.length + 1), `${what}, key ${key}.`);
  }
}
