/** Clauses on transactions against each other: the first to commit wins, and no one else is stopped. */
import assert from 'node:assert/strict';
import { isPagewrightError, type TransactionCore } from '@pagewright/core';
import { bytes, text } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

export const conflictClauses: readonly ConcurrencyClause[] = [
  {
    id: 'first-committer-wins',
    says: 'lets the first win of two transactions that change, insert or delete a key (PW_CONFLICT, scenario 37)',
    needs: ['write-conflicts'],
    check(subject) {
      const changes: [string, (transaction: TransactionCore, target: ReturnType<typeof filled>['target']) => void][] = [
        ['a', (transaction, target) => transaction.put(target, bytes('a'), bytes('changed'))],
        ['new', (transaction, target) => transaction.put(target, bytes('new'), bytes('inserted'))],
        ['b', (transaction, target) => transaction.delete(target, bytes('b'))],
      ];
      for (const [key, first] of changes) {
        for (const [otherKey, second] of changes) {
          const { rig, target } = filled(subject.rig());
          const [winner, loser] = [rig.concurrency.begin(), rig.concurrency.begin()];
          first(winner, target);
          second(loser, target);
          loser.put(target, bytes('beside'), bytes('x'));
          winner.commit();
          const state = rig.scan(target);
          const records = rig.records.length;
          const conflicts = key === otherKey;
          assertCode(() => loser.commit(), conflicts ? 'PW_CONFLICT' : 'none', `${key} against ${otherKey}`);
          assert.equal(loser.closed, true);
          if (!conflicts) continue;
          assertReads(rig, target, null, state, 'The state after the conflict');
          assert.equal(rig.records.length, records, 'A transaction that lost was logged.');
          assert.equal(rig.concurrency.stats().activeSnapshots, 0);
          assert.equal(rig.concurrency.stats().conflicts, 1);
        }
      }
    },
  },
  {
    id: 'conflict-names-the-key',
    says: 'names index and key in the error of a conflict',
    needs: ['write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig(), 'users');
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('c'), bytes('mine'));
      rig.put(target, 'c', 'theirs');
      assert.throws(
        () => transaction.commit(),
        (error: unknown) => {
          assert.ok(isPagewrightError(error, 'PW_CONFLICT'));
          assert.equal(error.details.index, 'users');
          assert.ok(
            error.details.key instanceof Uint8Array && text(error.details.key) === 'c',
            'The key is not named.',
          );
          return true;
        },
      );
      assert.equal(rig.get(target, 'c'), 'theirs');
    },
  },
  {
    id: 'conflict-is-remembered',
    rules: ['T4'],
    says: 'finds a conflict however long ago, how often and with what result the key was changed, and whatever was collected',
    needs: ['write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const transactions = ['a', 'b', 'new', 'queued7'].map((key) => {
        const transaction = rig.concurrency.begin();
        transaction.put(target, bytes(key), bytes('late'));
        return transaction;
      });
      rig.put(target, 'a', 'changed');
      rig.put(target, 'a', 'old'); // Back to what it was, and changed all the same.
      rig.put(target, 'b', null);
      rig.put(target, 'new', 'x');
      rig.put(target, 'new', null);
      for (let i = 0; i < 200; i++) {
        rig.put(target, `queued${i}`, 'x');
        rig.put(target, `queued${i}`, null);
      }
      for (let i = 0; i < 50; i++) {
        const brief = rig.concurrency.snapshot();
        rig.put(target, `k${i % 7}`, `${i}`);
        brief.release();
        rig.concurrency.collect(5);
      }
      const state = rig.scan(target);
      for (const transaction of transactions) {
        assertCode(() => transaction.commit(), 'PW_CONFLICT', 'A change that came first');
      }
      assertReads(rig, target, null, state, 'The newest state');
    },
  },
  {
    id: 'no-false-conflict',
    says: 'stops no transaction whose keys no one else has changed',
    needs: ['write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const other = rig.target('other');
      const before = rig.concurrency.begin();
      before.put(target, bytes('a'), bytes('mine'));
      rig.put(target, 'b', 'theirs');
      rig.put(other, 'a', 'theirs');
      before.put(target, bytes('b1'), bytes('mine'));
      before.commit();
      const after = rig.concurrency.begin();
      after.put(target, bytes('b'), bytes('mine'));
      after.delete(other, bytes('a'));
      rig.concurrency.begin().abort();
      after.commit();
      assertReads(rig, target, null, ['a=mine', 'b=mine', 'b1=mine', 'c=old', 'd=old'], 'The newest state');
      assert.equal(rig.concurrency.stats().conflicts, 0);
    },
  },
  {
    id: 'clear-conflicts',
    rules: ['T7'],
    says: 'stops a transaction that writes an index which was cleared or created after its beginning (scenario 38)',
    needs: ['write-conflicts', 'snapshots'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const [old, reader] = [rig.concurrency.begin(), rig.concurrency.begin()];
      old.put(target, bytes('untouched'), bytes('x'));
      rig.clear(target);
      const younger = rig.target('younger');
      assert.equal(rig.get(target, 'a', old), 'old');
      assertCode(() => old.commit(), 'PW_CONFLICT', 'A write into an index that was cleared');
      reader.put(younger, bytes('own'), bytes('x'));
      assertReads(rig, younger, reader, ['own=x'], 'An index that is younger than the transaction');
      assertCode(() => reader.commit(), 'PW_CONFLICT', 'A write into an index that is younger');
      assertReads(rig, target, null, [], 'The newest state');
      assertReads(rig, younger, null, [], 'The younger index');
      const after = rig.concurrency.begin();
      after.put(target, bytes('k'), bytes('x'));
      after.commit();
    },
  },
  {
    id: 'dropped-meanwhile',
    rules: ['T7'],
    says: 'refuses the commit of a transaction that wrote an index which was dropped meanwhile (PW_INDEX_DROPPED)',
    needs: ['write-conflicts'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const other = rig.target('other');
      const transaction = rig.concurrency.begin();
      transaction.put(other, bytes('k'), bytes('x'));
      transaction.put(target, bytes('k'), bytes('x'));
      rig.drop(target);
      const records = rig.records.length;
      assertCode(() => transaction.commit(), 'PW_INDEX_DROPPED', 'The commit');
      assert.equal(rig.records.length, records);
      assertReads(rig, other, null, [], 'The other index');
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
    },
  },
];
