/** Clauses on commits: one record each, dense timestamps, all of a batch or nothing, catalog operations (T1). */
import assert from 'node:assert/strict';
import { OPERATION_CREATE_INDEX, OPERATION_DELETE, OPERATION_PUT } from '@pagewright/core';
import { bytes, text } from '../rig/concurrency-rig.js';
import { assertReads, type ConcurrencyClause } from './concurrency-clause.js';
import { filled } from './concurrency-snapshots.js';

export const commitClauses: readonly ConcurrencyClause[] = [
  {
    id: 'last-write-counts',
    says: 'commits a batch as one, and of several writes of a key the last counts',
    check(subject) {
      const rig = subject.rig();
      const [first, second] = [rig.target('first'), rig.target('second')];
      const write = (target: typeof first, key: string, value: string | null) => ({
        target,
        key: bytes(key),
        value: value === null ? null : bytes(value),
      });
      rig.concurrency.commit([
        write(second, 'b', '1'),
        write(first, 'z', '2'),
        write(second, 'b', null),
        write(second, 'a', '3'),
        write(first, 'z', '4'),
        write(first, 'y', null),
        write(first, 'y', '5'),
      ]);
      assert.equal(rig.records.length, 1, 'A batch is one record.');
      assertReads(rig, first, null, ['y=5', 'z=4'], 'The first index');
      assertReads(rig, second, null, ['a=3'], 'The second index');
      assert.deepEqual([rig.replayed(first), rig.replayed(second)], [['y=5', 'z=4'], ['a=3']]);
    },
  },
  {
    id: 'one-record',
    rules: ['T1'],
    says: 'appends one record for each commit: the next timestamp, operations by index and key, each key once',
    check(subject) {
      const rig = subject.rig({}, 100);
      const [first, second] = [rig.target('first'), rig.target('second')];
      const transaction = rig.concurrency.begin();
      transaction.put(second, bytes('b'), bytes('1'));
      transaction.put(first, bytes('z'), bytes('2'));
      transaction.put(second, bytes('a'), bytes('3'));
      transaction.delete(first, bytes('y'));
      transaction.put(first, bytes('z'), bytes('4'));
      const tickets = [
        transaction.commit(),
        rig.concurrency.commit([{ target: first, key: bytes('k'), value: bytes('5') }]),
        rig.concurrency.commit([{ target: first, key: bytes('k'), value: null }]),
      ];
      assert.deepEqual(
        rig.records.map(({ timestamp }) => timestamp),
        [101, 102, 103],
      );
      assert.deepEqual(
        tickets.map(({ timestamp }) => timestamp),
        [101, 102, 103],
      );
      assert.deepEqual(
        tickets.map(({ position }) => position),
        rig.positions,
      );
      const operations = rig.records.map((record) =>
        [...record.operations].map(({ kind, index, key, value }) => [kind, index, text(key), text(value)]),
      );
      assert.deepEqual(operations, [
        [
          [OPERATION_DELETE, 1, 'y', ''],
          [OPERATION_PUT, 1, 'z', '4'],
          [OPERATION_PUT, 2, 'a', '3'],
          [OPERATION_PUT, 2, 'b', '1'],
        ],
        [[OPERATION_PUT, 1, 'k', '5']],
        [[OPERATION_DELETE, 1, 'k', '']],
      ]);
    },
  },
  {
    id: 'depends-on-what-it-saw',
    rules: ['T1'],
    says: 'depends on no less than the commits that it saw, and never on itself',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const transaction = rig.concurrency.begin();
      rig.get(target, 'd', transaction);
      const seen = rig.concurrency.visible;
      transaction.put(target, bytes('e'), bytes('x'));
      const { dependsOn: told } = transaction.commit();
      assert.equal(told, rig.records.at(-1)!.dependsOn, 'The ticket depends on something else than the record.');
      rig.put(target, 'a', 'new');
      for (const { timestamp, dependsOn } of rig.records) {
        assert.ok(dependsOn >= 0 && dependsOn < timestamp, `Commit ${timestamp} depends on ${dependsOn}.`);
      }
      assert.ok(rig.records[seen]!.dependsOn >= seen, `A transaction saw commit ${seen} and does not depend on it.`);
    },
  },
  {
    id: 'commit-in-place',
    rules: ['M5'],
    says: 'commits with `faulting` on as well, reading missing pages in place, and leaves the switch as it was',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const snapshot = rig.concurrency.snapshot();
      rig.faults = () => true;
      rig.pages.faulting = true;
      rig.concurrency.commit([
        { target, key: bytes('a'), value: bytes('new') },
        { target, key: bytes('b'), value: null },
      ]);
      assert.equal(rig.pages.faulting, true, '`faulting` was on before the commit.');
      rig.pages.faulting = false;
      rig.faults = null;
      assertReads(rig, target, null, ['a=new', 'c=old', 'd=old'], 'The newest state');
      assert.equal(rig.failure, null);
      snapshot.release();
    },
  },
  {
    id: 'catalog-operation',
    rules: ['T1', 'T7'],
    says: 'logs a catalog operation, then carries it out with its timestamp, then publishes it',
    check(subject) {
      const { rig } = filled(subject.rig());
      const before = rig.concurrency.visible;
      const operation = { kind: OPERATION_CREATE_INDEX, index: 9, key: bytes('description') };
      let installed = 0;
      const ticket = rig.concurrency.commitOperation(operation, (timestamp) => {
        installed++;
        assert.equal(timestamp, before + 1);
        assert.equal(rig.logged, before + 1, 'The operation was carried out before it was logged.');
        assert.equal(rig.concurrency.visible, before, 'The operation was published before it was carried out.');
      });
      assert.equal(installed, 1);
      const { dependsOn } = rig.records.at(-1)!;
      assert.deepEqual(ticket, { timestamp: before + 1, position: rig.positions.at(-1), dependsOn });
      assert.equal(rig.concurrency.visible, before + 1);
      const [logged, ...others] = rig.records.at(-1)!.operations;
      assert.deepEqual(others, []);
      assert.deepEqual({ ...logged, value: logged?.value.length }, { ...operation, value: 0 });
    },
  },
  {
    id: 'stats',
    says: 'counts commits',
    check(subject) {
      const { rig, target } = filled(subject.rig());
      const { commits } = rig.concurrency.stats();
      rig.put(target, 'a', 'x');
      const transaction = rig.concurrency.begin();
      transaction.put(target, bytes('b'), bytes('x'));
      transaction.commit();
      rig.clear(target);
      assert.equal(rig.concurrency.stats().commits, commits + 3);
      assert.equal(rig.concurrency.stats().visible, rig.concurrency.visible);
    },
  },
];
