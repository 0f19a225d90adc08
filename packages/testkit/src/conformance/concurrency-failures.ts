/** Clauses on errors: before the append nothing has changed; from the append to the publication the engine fails (T6). */
import assert from 'node:assert/strict';
import { EntryReference, PageFault, PagewrightError } from '@pagewright/core';
import { bytes, type ConcurrencyRig, codeOf, EVERYTHING, type RigTarget, text } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

const OLD = ['a=old', 'b=old', 'c=old', 'd=old'];

export const failureClauses: readonly ConcurrencyClause[] = [
  {
    id: 'refused-before-append',
    rules: ['C6'],
    says: 'changes nothing when log, page store or host refuse a commit, and the next one goes through',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const reader = rig.concurrency.snapshot();
      const before = stateOf(rig, target);
      for (const refusal of ['log', 'space', 'host'] as const) {
        rig.refuse = refusal === 'host' ? null : refusal;
        rig.writable = refusal !== 'host';
        const code = refusal === 'host' ? 'PW_READ_ONLY' : 'PW_FULL';
        for (const [what, work] of commitsOf(rig, target)) {
          assertCode(work, code, `${what}, refused by the ${refusal}`);
          assert.deepEqual(stateOf(rig, target), before, `${what}, refused by the ${refusal}, has changed something.`);
        }
      }
      rig.refuse = null;
      rig.writable = true;
      assertReads(rig, target, reader, OLD, 'A snapshot');
      rig.put(target, 'a', 'new');
      assertReads(rig, target, null, ['a=new', 'b=old', 'c=old', 'd=old'], 'The newest state');
      assert.equal(rig.failure, null);
    },
  },
  {
    id: 'refused-transaction',
    says: 'closes a transaction whose commit was refused, and lets its snapshot go',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      rig.refuse = 'log';
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('a'), bytes('new'));
      assertCode(() => transaction.commit(), 'PW_FULL', 'The commit');
      rig.refuse = null;
      assert.equal(transaction.closed, true);
      assertCode(() => transaction.commit(), 'PW_TXN_CLOSED', 'Another commit');
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
      assertReads(rig, target, null, OLD, 'The newest state');
    },
  },
  {
    id: 'unreadable-page',
    rules: ['T6'],
    says: 'refuses a commit that cannot read what it replaces, or needs not read it, or fails the engine; never less',
    check(subject) {
      for (const value of ['new', null]) {
        const { rig, target } = filled(subject.rig());
        const reader = rig.concurrency.snapshot();
        const records = rig.records.length;
        target.index.unreadable = new PagewrightError('PW_IO', 'the page could not be read');
        const code = codeOf(() => rig.put(target, 'a', value));
        target.index.unreadable = null;
        if (code === 'none') continue;
        if (rig.records.length > records) {
          assert.ok(rig.failure !== null, 'A commit failed after it was logged, and the host was not told.');
          continue;
        }
        assert.equal(rig.failure, null, 'A commit was refused before it was logged, and failed the host.');
        assertReads(rig, target, null, OLD, 'The newest state');
        assertReads(rig, target, reader, OLD, 'A snapshot');
        rig.put(target, 'a', 'again');
      }
    },
  },
  {
    id: 'fails-after-append',
    rules: ['T6'],
    says: 'fails the engine by an error after the append, and nothing more is logged or published (scenario 41)',
    check(subject) {
      const cause = new Error('the catalog could not be written');
      const fail: [string, (rig: ConcurrencyRig, target: RigTarget) => void][] = [
        [
          'a put',
          (rig, target) => {
            target.index.failNextUpsert = true;
            rig.put(target, 'a', 'new');
          },
        ],
        [
          'a transaction',
          (rig, target) => {
            const transaction = rig.concurrency.begin();
            transaction.put(target, bytes('a'), bytes('new'));
            target.index.failNextUpsert = true;
            transaction.commit();
          },
        ],
        [
          'a catalog operation',
          (rig) => {
            rig.concurrency.commitOperation({ kind: 3, index: 9, key: bytes('x') }, () => {
              throw cause;
            });
          },
        ],
      ];
      for (const [what, work] of fail) {
        const { rig, target } = filled(subject.rig());
        const { visible } = rig.concurrency;
        assertCode(() => work(rig, target), 'PW_ENGINE_FAILED', `${what} that failed after it was logged`);
        assert.ok(rig.failure instanceof Error, 'The host was not told.');
        assert.equal(rig.concurrency.visible, visible, `${what} was published though it failed.`);
        const records = rig.records.length;
        for (const [next, again] of commitsOf(rig, target)) {
          assert.notEqual(codeOf(again), 'none', `${next} went through after the engine had failed.`);
        }
        assert.equal(rig.records.length, records, 'Something was logged after the engine had failed.');
      }
    },
  },
  {
    id: 'fault-in-lookup',
    rules: ['X2'],
    says: 'lets PageFault pass through look-ups, wherever it comes, and nothing has changed',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      rig.put(target, 'a', 'new');
      rig.put(target, 'b', null);
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('own'), bytes('x'));
      const reads: [string, () => string | undefined, string | undefined][] = [
        ['newest', () => rig.get(target, 'a'), 'new'],
        ['newest, deleted', () => rig.get(target, 'b'), undefined],
        ['snapshot', () => rig.get(target, 'a', snapshot), 'old'],
        ['snapshot, deleted since', () => rig.get(target, 'b', snapshot), 'old'],
        ['transaction', () => rig.get(target, 'a', transaction), 'new'],
        ['own', () => rig.get(target, 'own', transaction), 'x'],
      ];
      for (const [what, read, wanted] of reads) {
        for (const at of [1, 2]) {
          rig.faults = faultAt(at);
          assert.equal(read(), wanted, `${what}, with a fault at access ${at}.`);
        }
      }
      rig.faults = null;
      assertRaised(rig, () => rig.concurrency.lookup(target, bytes('a'), new EntryReference(), snapshot));
    },
  },
  {
    id: 'fault-in-scan',
    rules: ['X2'],
    says: 'lets PageFault pass through scans, wherever it comes, with the position unchanged',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      rig.put(target, 'a', null);
      rig.put(target, 'c', 'new');
      rig.put(target, 'e', 'new');
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('b1'), bytes('own'));
      transaction.delete(target, bytes('d'));
      const scans = [
        { from: null, wanted: ['b=old', 'c=new', 'd=old', 'e=new'] },
        { from: snapshot, wanted: OLD },
        { from: transaction, wanted: ['b=old', 'b1=own', 'c=new', 'e=new'] },
      ];
      for (const { from, wanted } of scans) {
        for (const reverse of [false, true]) {
          const order = reverse ? [...wanted].reverse() : wanted;
          for (let at = 1; at <= 8; at++) {
            rig.faults = faultAt(at);
            assert.deepEqual(rig.scan(target, from, { reverse }), order, `With a fault at access ${at}.`);
          }
        }
      }
      rig.faults = null;
      const scan = rig.concurrency.scan(target, EVERYTHING, snapshot);
      assertRaised(rig, () => scan.next());
      const seen: string[] = [];
      while (rig.step(scan, seen)) {}
      assert.deepEqual(seen, OLD);
    },
  },
];

/** A fault at the n-th access, once. */
function faultAt(at: number): () => boolean {
  let accesses = 0;
  return () => ++accesses === at;
}

/** The call throws the `PageFault` that the index throws, and not something of its own. */
function assertRaised(rig: ConcurrencyRig, call: () => unknown): void {
  rig.faults = () => true;
  rig.pages.faulting = true;
  try {
    assert.throws(call, (error: unknown) => error instanceof PageFault, 'PageFault did not pass through.');
  } finally {
    rig.pages.faulting = false;
    rig.faults = null;
  }
}

function commitsOf(rig: ConcurrencyRig, target: RigTarget): [string, () => void][] {
  const batch = [
    { target, key: bytes('a'), value: null },
    { target, key: bytes('x'), value: bytes('new') },
  ];
  return [
    ['a put', () => rig.put(target, 'a', 'new')],
    ['a delete', () => rig.put(target, 'a', null)],
    ['a batch', () => void rig.concurrency.commit(batch)],
    [
      'a transaction',
      () => {
        const transaction = rig.concurrency.begin();
        for (const { key } of batch) transaction.put(target, key, bytes('new'));
        transaction.commit();
      },
    ],
    ['a clear', () => rig.clear(target)],
  ];
}

/** All that a commit could have changed. */
function stateOf(rig: ConcurrencyRig, target: RigTarget): unknown {
  const { index, incarnation, tombstonesNoted } = target;
  return {
    entries: index.entries.map(({ text: key, tag, value }) => `${key}/${tag}=${text(value)}`),
    incarnation,
    tombstonesNoted,
    records: rig.records.length,
    stats: rig.concurrency.stats(),
    oldestNeeded: rig.concurrency.oldestNeeded,
  };
}
