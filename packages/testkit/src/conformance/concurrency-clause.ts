/** What the clauses of the concurrency suite have in common. */
import assert from 'node:assert/strict';
import type { Concurrency, Snapshot, Target, TransactionCore } from '@pagewright/core';
import { ConcurrencyRig, codeOf } from '../rig/concurrency-rig.js';
import type { Clause } from './suite.js';

/**
 * What concurrency control may promise.
 * - `snapshots`: readers see the state at their beginning while commits go on (T2, T3, T4).
 * - `write-conflicts`: several transactions that write are open at a time, beside plain commits, and the first to
 *   commit wins. Without it a plugin has one writer at a time, and is never asked for more: no plain commit comes between
 *   the first write of a transaction and its end, and no commit of another thread in the midst of one.
 * - `turns`: one writes at a time, and those who write take turns (`WriterTurns`). Instead of `write-conflicts`. Those who must have the turn at once are to wait
 *   for no other thread, or for an instant.
 * - `savepoints`: a transaction rolls back to an earlier point of its own.
 * - `revocation`: memory for old versions is bounded by `versionMemory`, and the oldest snapshots pay for it (T4).
 * - `threads`: other threads of the process commit and read beside the one that has started it.
 * - `serializable`: transactions that ask for it have the effect of one after the other (T5).
 */
export type ConcurrencyCapability =
  | 'snapshots'
  | 'write-conflicts'
  | 'savepoints'
  | 'revocation'
  | 'threads'
  | 'serializable'
  | 'turns';

/** Limits that a clause asks for. What is not given is the plugin's default. */
export interface ConcurrencyLimits {
  /** What old versions may take, in bytes, for a plugin that promises `revocation`. */
  readonly versionMemory?: number;
}

/** Makes the concurrency control that is tested. */
export type NewConcurrency = (limits: ConcurrencyLimits) => Concurrency;

/** What a clause tests: as many instances as it wants, each in a rig that watches it. */
export class ConcurrencySubject {
  readonly #create: NewConcurrency;
  readonly #rigs: ConcurrencyRig[] = [];

  constructor(create: NewConcurrency) {
    this.#create = create;
  }

  rig(limits: ConcurrencyLimits = {}, startAt = 0): ConcurrencyRig {
    const rig = new ConcurrencyRig(this.#create(limits), startAt);
    this.#rigs.push(rig);
    return rig;
  }

  /** One that was not started: for another thread of a rig. */
  another(limits: ConcurrencyLimits = {}): Concurrency {
    return this.#create(limits);
  }

  /** Throws if any instance did not do what it owes its host. */
  assertSound(): void {
    for (const { violations } of this.#rigs) assert.deepEqual(violations, [], 'The host was not given its due.');
  }
}

export type ConcurrencyClause = Clause<ConcurrencySubject, ConcurrencyCapability>;

export function assertCode(call: () => unknown, code: string, what: string): void {
  assert.equal(codeOf(call), code, `${what}: wrong outcome.`);
}

/** All that is read of an index, in both directions and by key, is what it should be: entries as `key=value`, in order. */
export function assertReads(
  rig: ConcurrencyRig,
  target: Target,
  from: Snapshot | TransactionCore | null,
  wanted: readonly string[],
  what: string,
): void {
  assert.deepEqual(rig.scan(target, from), wanted, `${what}, forwards.`);
  assert.deepEqual(rig.scan(target, from, { reverse: true }), [...wanted].reverse(), `${what}, backwards.`);
  for (const entry of wanted) {
    const key = entry.slice(0, entry.indexOf('='));
    assert.equal(rig.get(target, key, from), entry.slice(key.length + 1), `${what}, key ${key}.`);
  }
}
