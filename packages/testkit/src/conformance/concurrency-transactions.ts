/** Clauses on one transaction: it reads its own writes, in ranges too, shows them to no one before it commits, and ends once. */
import assert from 'node:assert/strict';
import { EntryReference, type TransactionCore } from '@pagewright/core';
import { bytes, type ConcurrencyRig, RIG_MAX_RECORD_SIZE, type RigTarget, text } from '../rig/concurrency-rig.js';
import { assertCode, assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

const OWN = ['a=old', 'a1=own', 'c=own', 'd=old', 'z=own'];

export const transactionClauses: readonly ConcurrencyClause[] = [
  {
    id: 'own-lookups',
    says: 'looks up what the transaction itself has written: new, changed, deleted',
    check(subject) {
      const { rig, target, transaction } = writing(subject.rig());
      const found = (key: string) => rig.get(target, key, transaction);
      assert.deepEqual(['a', 'a1', 'b', 'c', 'z', 'q'].map(found), ['old', 'own', undefined, 'own', 'own', undefined]);
      transaction.put(target, bytes('b'), bytes('again'));
      transaction.delete(target, bytes('z'));
      assert.deepEqual(['b', 'z'].map(found), ['again', undefined]);
    },
  },
  {
    id: 'own-ranges',
    says: 'has own writes in ranges, forwards and backwards, within their bounds',
    check(subject) {
      const { rig, target, transaction } = writing(subject.rig());
      assertReads(rig, target, transaction, OWN, 'The transaction');
      for (const reverse of [false, true]) {
        const order = (entries: string[]) => (reverse ? entries.reverse() : entries);
        const range = (lower: string | null, upper: string | null, exclusive: boolean) =>
          rig.scan(target, transaction, {
            reverse,
            lower: lower === null ? null : bytes(lower),
            upper: upper === null ? null : bytes(upper),
            lowerExclusive: exclusive,
            upperExclusive: exclusive,
          });
        assert.deepEqual(range('a1', 'c', false), order(['a1=own', 'c=own']), 'Bounds on own keys.');
        assert.deepEqual(range('a1', 'z', true), order(['c=own', 'd=old']), 'Bounds beside own keys.');
        assert.deepEqual(range('x', null, false), order(['z=own']), 'An own key behind the last of the index.');
        assert.deepEqual(range(null, 'a', true), [], 'Nothing.');
        assert.deepEqual(range('b', 'b', false), [], 'A key that was deleted.');
      }
    },
  },
  {
    id: 'own-in-empty-index',
    says: 'has own writes in ranges over an index that is empty',
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const transaction = rig.concurrency.begin();
      for (const key of ['b', 'a', 'c']) transaction.put(target, bytes(key), bytes('own'));
      transaction.delete(target, bytes('never'));
      assertReads(rig, target, transaction, ['a=own', 'b=own', 'c=own'], 'The transaction');
    },
  },
  {
    id: 'own-during-scan',
    says: 'goes on with a scan when the transaction writes meanwhile: ahead it meets the write, behind it does not',
    check(subject) {
      for (const reverse of [false, true]) {
        const { rig, target } = filled(subject.rig());
        const transaction = rig.concurrency.begin();
        const scan = rig.openScan(target, transaction, { reverse });
        const seen: string[] = [];
        while (seen.length === 0) rig.step(scan, seen);
        const passed = seen.length;
        const last = seen[passed - 1]!.charCodeAt(0);
        const [ahead, behind] = reverse ? [last - 1, last + 1] : [last + 1, last - 1];
        transaction.put(target, bytes(String.fromCharCode(ahead)), bytes('ahead'));
        transaction.put(target, bytes(String.fromCharCode(behind)), bytes('behind'));
        while (rig.step(scan, seen)) {}
        const keys = seen.map((entry) => entry.charCodeAt(0));
        assert.deepEqual(
          keys,
          [...new Set(keys)].sort((a, b) => (reverse ? b - a : a - b)),
          'A key came twice, or out of order.',
        );
        assert.ok(!seen.slice(passed).some((entry) => entry.endsWith('=behind')), 'A write behind the scan came up.');
      }
    },
  },
  {
    id: 'own-copies',
    says: 'gives out copies of own writes',
    check(subject) {
      const { rig, target, transaction } = writing(subject.rig());
      const into = new EntryReference();
      assert.ok(transaction.lookup(target, bytes('a1'), into));
      into.value.fill(0);
      const scan = rig.openScan(target, transaction);
      while (scan.next()) for (let i = 0; i < scan.count; i++) scan.values[i]!.fill(0);
      assertReads(rig, target, transaction, OWN, 'The transaction');
    },
  },
  {
    id: 'copies-what-it-is-given',
    says: 'copies keys and values, so that whoever has put them may change them',
    check(subject) {
      const rig = subject.rig();
      const target = rig.target('only');
      const transaction = rig.concurrency.begin();
      const [key, value] = [bytes('k'), bytes('value')];
      transaction.put(target, key, value);
      key.fill(0x78);
      value.fill(0x79);
      transaction.put(target, key, value);
      key.fill(0);
      value.fill(0);
      const wanted = ['k=value', 'x=yyyyy'];
      assertReads(rig, target, transaction, wanted, 'The transaction');
      transaction.commit();
      assertReads(rig, target, null, wanted, 'The newest state');
    },
  },
  {
    id: 'unseen-until-commit',
    says: 'shows its writes to no one before it commits, and all of them to everyone afterwards',
    check(subject) {
      const { rig, target, transaction } = writing(subject.rig());
      const old = ['a=old', 'b=old', 'c=old', 'd=old'];
      assertReads(rig, target, null, old, 'The newest state before the commit');
      const ticket = transaction.commit();
      assert.equal(ticket.timestamp, rig.concurrency.visible);
      assert.equal(ticket.position, rig.positions.at(-1));
      assertReads(rig, target, null, OWN, 'The newest state after the commit');
      assert.deepEqual(rig.replayed(target), OWN, 'The log says something else.');
    },
  },
  {
    id: 'abort',
    says: 'leaves nothing behind when it is aborted, which may be done twice and at any time',
    check(subject) {
      const { rig, target, transaction } = writing(subject.rig());
      const records = rig.records.length;
      transaction.abort();
      transaction.abort();
      assert.equal(transaction.closed, true);
      assertReads(rig, target, null, ['a=old', 'b=old', 'c=old', 'd=old'], 'The newest state');
      assert.equal(rig.records.length, records);
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
      const committed = rig.concurrency.begin();
      committed.commit();
      committed.abort();
    },
  },
  {
    id: 'ends-once',
    says: 'takes nothing more when it has ended (PW_TXN_CLOSED)',
    check(subject) {
      for (const end of ['commit', 'abort'] as const) {
        const { rig, target, transaction } = writing(subject.rig());
        transaction[end]();
        const records = rig.records.length;
        const calls: [string, () => unknown][] = [
          ['lookup', () => transaction.lookup(target, bytes('a'), new EntryReference())],
          ['scan', () => rig.openScan(target, transaction).next()],
          ['put', () => transaction.put(target, bytes('a'), bytes('late'))],
          ['delete', () => transaction.delete(target, bytes('a'))],
          ['commit', () => transaction.commit()],
        ];
        for (const [name, call] of calls) assertCode(call, 'PW_TXN_CLOSED', `${name}() after ${end}()`);
        assert.equal(rig.records.length, records, 'Something was logged after the end.');
      }
    },
  },
  {
    id: 'nothing-written',
    says: 'commits without a record when nothing was written, and there is nothing to wait for (position -1)',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const records = rig.records.length;
      const transaction = rig.concurrency.begin();
      assert.equal(rig.get(target, 'a', transaction), 'old');
      assert.equal(transaction.commit().position, -1);
      assert.equal(rig.concurrency.commit([]).position, -1);
      assert.equal(rig.records.length, records);
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
    },
  },
  {
    id: 'lists-its-writes',
    says: 'lists the last write of each key',
    check(subject) {
      const { target, transaction } = writing(subject.rig());
      const other = [...transaction.writes()].map(
        ({ key, value }) => `${text(key)}=${value === null ? '' : text(value)}`,
      );
      assert.deepEqual(other.sort(), ['a1=own', 'b=', 'c=own', 'z=own']);
      transaction.put(target, bytes('z'), bytes('again'));
      assert.equal([...transaction.writes()].length, 4);
    },
  },
  {
    id: 'put-and-deleted',
    says: 'leaves no entry of a key that one transaction put and deleted again',
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('k'), bytes('x'));
      transaction.delete(target, bytes('k'));
      assert.equal(rig.get(target, 'k', transaction), undefined);
      transaction.commit();
      assertReads(rig, target, null, [], 'The newest state');
    },
  },
  {
    id: 'too-large',
    says: 'refuses what does not fit into one record (PW_TXN_TOO_LARGE), and nothing of it is logged',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const records = rig.records.length;
      const transaction = rig.concurrency.begin();
      const large = new Uint8Array(RIG_MAX_RECORD_SIZE / 2);
      const refused = () => {
        for (const key of ['x', 'y', 'z']) transaction.put(target, bytes(key), large);
        transaction.commit();
      };
      assertCode(refused, 'PW_TXN_TOO_LARGE', 'A transaction larger than a record');
      transaction.abort();
      const writes = ['x', 'y', 'z'].map((key) => ({ target, key: bytes(key), value: large }));
      assertCode(() => rig.concurrency.commit(writes), 'PW_TXN_TOO_LARGE', 'A batch larger than a record');
      assert.equal(rig.records.length, records);
      assertReads(rig, target, null, ['a=old', 'b=old', 'c=old', 'd=old'], 'The newest state');
      rig.put(target, 'e', 'fits');
    },
  },
  {
    id: 'savepoints',
    says: 'goes back to a savepoint with all that it has written since, any number of times',
    needs: ['savepoints'],
    check(subject) {
      const fresh = subject.rig();
      const another = fresh.concurrency.begin();
      const foreign = another.savepoint();
      another.abort();
      const { rig, target, transaction } = writing(fresh);
      const first = transaction.savepoint();
      assertCode(() => transaction.rollbackTo(foreign), 'PW_ARGUMENT', 'A savepoint of another transaction');
      transaction.put(target, bytes('a1'), bytes('changed'));
      transaction.put(target, bytes('b'), bytes('back'));
      const between = rig.scan(target, transaction);
      const second = transaction.savepoint();
      transaction.delete(target, bytes('a'));
      transaction.put(target, bytes('more'), bytes('x'));
      transaction.put(target, bytes('more'), bytes('y'));
      transaction.rollbackTo(second);
      assertReads(rig, target, transaction, between, 'Back at the second savepoint');
      transaction.delete(target, bytes('c'));
      transaction.rollbackTo(first);
      assertReads(rig, target, transaction, OWN, 'Back at the first savepoint');
      assert.equal([...transaction.writes()].length, 4);
      assertCode(() => transaction.rollbackTo(second), 'PW_ARGUMENT', 'A savepoint that was rolled back');
      transaction.put(target, bytes('d'), bytes('late'));
      transaction.rollbackTo(first);
      transaction.commit();
      assertReads(rig, target, null, OWN, 'What was committed');
      assert.deepEqual(rig.replayed(target), OWN, 'The log says something else.');
      assertCode(() => transaction.savepoint(), 'PW_TXN_CLOSED', 'savepoint() after commit()');
    },
  },
  {
    id: 'savepoints-before-writing',
    says: 'goes back to savepoints from before its first write, though another has committed meanwhile',
    needs: ['savepoints'],
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const transaction = rig.concurrency.begin();
      const first = transaction.savepoint();
      const second = transaction.savepoint();
      rig.put(target, 'other', 'new');
      transaction.put(target, bytes('a'), bytes('own'));
      transaction.rollbackTo(second);
      assert.equal(rig.get(target, 'a', transaction), 'old', 'Back at the second savepoint.');
      transaction.delete(target, bytes('b'));
      const third = transaction.savepoint();
      transaction.put(target, bytes('d'), bytes('own'));
      transaction.rollbackTo(third);
      assert.equal(rig.get(target, 'b', transaction), undefined, 'What was written before a savepoint is undone.');
      transaction.rollbackTo(first);
      assert.equal(rig.get(target, 'b', transaction), 'old', 'Back at the first savepoint.');
      assert.equal([...transaction.writes()].length, 0, 'Writes are left that were undone.');
      assertCode(() => transaction.rollbackTo(second), 'PW_ARGUMENT', 'A savepoint that was rolled back');
      transaction.put(target, bytes('c'), bytes('own'));
      transaction.commit();
      const wanted = ['a=old', 'b=old', 'c=own', 'd=old', 'other=new'];
      assertReads(rig, target, null, wanted, 'What was committed');
      assert.deepEqual(rig.replayed(target), wanted, 'The log says something else.');
    },
  },
  {
    id: 'several-indexes',
    says: 'writes several indexes in one commit, and keeps them apart',
    check(subject) {
      const rig = subject.rig();
      const [first, second] = [rig.target('first'), rig.target('second')];
      rig.put(first, 'k', 'one');
      const transaction = rig.concurrency.begin();
      transaction.put(second, bytes('k'), bytes('two'));
      assert.equal(rig.get(first, 'k', transaction), 'one');
      assert.equal(rig.get(second, 'k', transaction), 'two');
      transaction.delete(first, bytes('k'));
      transaction.commit();
      assertReads(rig, first, null, [], 'The first index');
      assertReads(rig, second, null, ['k=two'], 'The second index');
    },
  },
];

/** A transaction over four entries that has changed `c`, deleted `b`, and put `a1` and `z`. */
function writing(rig: ConcurrencyRig): { rig: ConcurrencyRig; target: RigTarget; transaction: TransactionCore } {
  const { target } = filled(rig);
  const transaction = rig.concurrency.begin();
  for (const key of ['z', 'c', 'a1']) transaction.put(target, bytes(key), bytes('own'));
  transaction.delete(target, bytes('b'));
  return { rig, target, transaction };
}
