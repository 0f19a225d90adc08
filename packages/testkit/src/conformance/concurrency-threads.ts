/**
 * Clauses about an engine that several threads share (T1 to T4, T6). Here they are several objects in one thread, attached to what the first one
 * keeps: what is not shared shows already when they take turns.
 */
import assert from 'node:assert/strict';
import { TAG_TOMBSTONE } from '@pagewright/core';
import { bytes, codeOf, type RigThread } from '../rig/concurrency-rig.js';
import { assertCode, type ConcurrencyClause } from './concurrency-clause.js';
import { assertReads, collectIn, OLD, shared } from './concurrency-shared.js';

export const threadClauses: readonly ConcurrencyClause[] = [
  {
    id: 'threads-see-commits',
    rules: ['T1', 'T2'],
    says: 'shows a commit to all threads when it returns in one, and all of them count the same',
    needs: ['threads'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 3, 41);
      for (let i = 0; i < 12; i++) {
        threads[i % 3]!.put(target, 'k', `${i}`);
        for (const thread of threads) {
          assert.equal(thread.concurrency.visible, rig.logged, 'V is not the last commit in another thread.');
          assert.equal(thread.get(target, 'k'), `${i}`);
          const snapshot = thread.concurrency.snapshot();
          assert.equal(snapshot.timestamp, rig.logged, 'A snapshot is not of the newest commit of another thread.');
          assert.equal(thread.get(target, 'k', snapshot), `${i}`);
          snapshot.release();
          assert.deepEqual(thread.concurrency.stats(), rig.concurrency.stats());
        }
      }
      assert.equal(rig.concurrency.stats().commits, 16);
      assertCode(() => subject.another().attach({} as never, { no: 'handle' }), 'PW_ARGUMENT', 'What is no handle');
    },
  },
  {
    id: 'large-timestamps',
    rules: ['T1'],
    says: 'has the same V in all threads where timestamps outgrow 32 bits, as they do after crashes',
    needs: ['threads'],
    check(subject) {
      for (const start of [2 ** 31 - 6, 2 ** 32 - 6, 3 * 2 ** 32 - 2]) {
        const { rig, target, threads } = shared(subject, 2, start);
        const snapshot = threads[1]!.concurrency.snapshot();
        for (let i = 0; i < 12; i++) {
          threads[i % 2]!.put(target, 'a', `${i}`);
          for (const thread of threads) assert.equal(thread.concurrency.visible, start + 5 + i);
        }
        assert.equal(threads[0]!.get(target, 'a', snapshot), 'old');
        assert.equal(rig.records.at(-1)?.timestamp, start + 16);
      }
    },
  },
  {
    id: 'threads-keep-versions',
    rules: ['T2', 'T3', 'T4'],
    says: 'keeps what a snapshot of another thread needs, and lets it go when that ends',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const snapshot = second.concurrency.snapshot();
      assert.equal(first.concurrency.oldestNeeded, snapshot.timestamp);
      for (let round = 0; round < 3; round++) {
        first.put(target, 'a', `new${round}`);
        first.put(target, 'b', null);
        second.put(target, 'c', null);
        first.put(target, 'e', 'new');
        for (const thread of threads) while (thread.concurrency.collect(10)) {}
        for (const thread of threads) assertReads(thread, target, snapshot, OLD, `The snapshot after round ${round}`);
        first.put(target, 'c', 'again');
        second.put(target, 'e', null);
      }
      const before = rig.concurrency.stats();
      assert.ok(before.versions > 0 && before.activeSnapshots === 1 && before.oldestSnapshot === snapshot.timestamp);
      snapshot.release();
      for (const thread of threads) while (thread.concurrency.collect(10)) {}
      const { versions, versionBytes, tombstones, activeSnapshots } = first.concurrency.stats();
      assert.deepEqual(
        [versions, versionBytes, tombstones, activeSnapshots],
        [0, 0, 0, 0],
        'Something was kept for no one.',
      );
      assert.deepEqual(
        target.index.entries.map(({ text }) => text),
        ['a', 'c', 'd'],
      );
    },
  },
  {
    id: 'threads-conflict',
    rules: ['T2'],
    says: 'lets the first of two threads commit that change a key, and both if they change different ones',
    needs: ['threads', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      for (const [one, other] of [threads, [...threads].reverse()] as [RigThread, RigThread][]) {
        const loser = other.concurrency.begin();
        const winner = one.concurrency.begin();
        const bystander = other.concurrency.begin();
        loser.put(target, bytes('a'), bytes('loser'));
        winner.put(target, bytes('a'), bytes('winner'));
        bystander.put(target, bytes('b'), bytes('bystander'));
        winner.commit();
        assertCode(() => loser.commit(), 'PW_CONFLICT', 'The second to commit');
        bystander.commit();
        const plain = other.concurrency.begin();
        plain.put(target, bytes('c'), bytes('loser'));
        one.put(target, 'c', 'plain');
        assertCode(() => plain.commit(), 'PW_CONFLICT', 'A transaction after a plain put in another thread');
        for (const thread of threads)
          assertReads(thread, target, null, ['a=winner', 'b=bystander', 'c=plain', 'd=old'], 'The newest state');
      }
    },
  },
  {
    id: 'threads-cleared-index',
    rules: ['T7'],
    says: 'shows a snapshot what an index was before another thread has cleared it, and refuses writes of one that it has dropped',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      const { target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const before = second.concurrency.snapshot();
      const late = second.concurrency.begin();
      late.put(target, bytes('a'), bytes('late'));
      first.put(target, 'a', 'changed');
      first.clear(target);
      const between = second.concurrency.snapshot();
      first.put(target, 'a', 'after');
      second.put(target, 'a', 'later');
      for (const thread of threads) {
        assertReads(thread, target, before, OLD, 'A snapshot from before the clear');
        assertReads(thread, target, between, [], 'A snapshot from after the clear');
        assertReads(thread, target, null, ['a=later'], 'The newest state');
      }
      assertCode(() => late.commit(), 'PW_CONFLICT', 'A transaction from before the clear');
      second.drop(target);
      assertCode(() => first.put(target, 'a', 'x'), 'PW_INDEX_DROPPED', 'A put');
    },
  },
  {
    id: 'threads-revoke',
    rules: ['T4'],
    says: 'revokes the oldest snapshot of whichever thread when memory for versions runs short, and never answers it wrongly',
    needs: ['threads', 'snapshots', 'revocation', 'write-conflicts'],
    check(subject) {
      const { target, threads, rig } = shared(subject, 2, 0, 4000);
      const [first, second] = threads as [RigThread, RigThread];
      for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'old');
      const oldest = second.concurrency.snapshot();
      const transaction = second.concurrency.begin();
      transaction.put(target, bytes('k0'), bytes('mine'));
      for (let i = 0; i < 60; i++) first.put(target, `k${i}`, 'x'.repeat(150));
      assertCode(() => oldest.assertStands(), 'PW_SNAPSHOT_TOO_OLD', 'The oldest snapshot');
      assertCode(() => second.get(target, 'k0', oldest), 'PW_SNAPSHOT_TOO_OLD', 'A look-up');
      assertCode(() => second.scan(target, oldest), 'PW_SNAPSHOT_TOO_OLD', 'A scan');
      const code = codeOf(() => transaction.commit());
      assert.ok(code === 'PW_SNAPSHOT_TOO_OLD' || code === 'PW_CONFLICT', `The commit came out as ${code}.`);
      oldest.release();
      assert.equal(rig.concurrency.stats().activeSnapshots, 0);
    },
  },
  {
    id: 'tombstones-of-all',
    rules: ['T3'],
    says: 'collects a tombstone only when snapshots of all threads have passed it, and never what another thread has put since',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const oldest = second.concurrency.snapshot();
      for (const key of ['a', 'b', 'c']) first.put(target, key, null);
      second.put(target, 'a', 'again');
      second.put(target, 'b', 'again');
      const younger = first.concurrency.snapshot();
      second.put(target, 'b', null);
      oldest.release();
      collectIn(threads);
      assertReads(first, target, younger, ['a=again', 'b=again', 'd=old'], 'A snapshot between two deletions');
      assertReads(first, target, null, ['a=again', 'd=old'], 'The newest state');
      assert.ok(target.index.entries.some(({ text, tag }) => text === 'b' && tag === TAG_TOMBSTONE));
      younger.release();
      collectIn(threads);
      assert.deepEqual(
        target.index.entries.map(({ text }) => text),
        ['a', 'd'],
      );
      assert.equal(rig.concurrency.stats().tombstones, 0);
    },
  },
  {
    id: 'detach',
    rules: ['T3', 'T4'],
    says: 'releases the snapshots of a thread that detaches, leaves its tombstones to the others, and answers it no more',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const other = first.concurrency.snapshot();
      second.concurrency.snapshot();
      second.concurrency.begin();
      second.put(target, 'b', null);
      second.put(target, 'c', 'new');
      second.concurrency.detach();
      second.concurrency.detach();
      assertCode(() => second.concurrency.snapshot(), 'PW_CLOSED', 'A snapshot');
      assertCode(() => second.put(target, 'a', 'x'), 'PW_CLOSED', 'A put');
      assert.equal(rig.concurrency.stats().activeSnapshots, 1);
      assertReads(first, target, other, OLD, 'A snapshot of the thread that has stayed');
      other.release();
      collectIn([first]);
      assertReads(first, target, null, ['a=old', 'c=new', 'd=old'], 'The newest state');
      const { activeSnapshots, versions, tombstones } = rig.concurrency.stats();
      assert.deepEqual(
        [activeSnapshots, versions, tombstones],
        [0, 0, 0],
        'Something was kept for a thread that is gone.',
      );
      assert.equal(target.index.entries.length, 3, 'The tombstone of the thread that is gone is still there.');
    },
  },
  {
    id: 'ended-thread',
    rules: ['T4', 'M6'],
    says: 'lets the snapshots of a thread lapse that has ended without a word, and those of the others stand',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 3);
      const [first, second, third] = threads as [RigThread, RigThread, RigThread];
      second.concurrency.snapshot();
      first.put(target, 'a', 'x');
      const standing = third.concurrency.snapshot();
      first.put(target, 'a', 'y');
      second.end();
      collectIn([first, third]);
      assert.equal(rig.concurrency.stats().activeSnapshots, 1);
      assert.equal(first.concurrency.oldestNeeded, standing.timestamp);
      assert.equal(third.get(target, 'a', standing), 'x');
      assert.equal(rig.concurrency.stats().versions, 1);
      first.put(target, 'b', 'goes on');
      assert.equal(third.get(target, 'b'), 'goes on');
    },
  },
  {
    id: 'ended-thread-behind-others',
    rules: ['T4', 'M6'],
    says: 'lets the snapshots of a thread lapse that has ended also if older ones of another thread stand, and does not keep for them what nobody else sees',
    needs: ['threads', 'snapshots'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 3);
      const [first, second, third] = threads as [RigThread, RigThread, RigThread];
      const oldest = first.concurrency.snapshot();
      first.put(target, 'e', 'brief');
      second.concurrency.snapshot();
      second.concurrency.begin();
      first.put(target, 'e', null);
      const newest = third.concurrency.snapshot();
      first.put(target, 'a', 'x');
      collectIn([first, third]);
      assert.equal(rig.concurrency.stats().activeSnapshots, 4);
      assert.equal(rig.concurrency.stats().tombstones, 1, 'What a snapshot sees has gone.');
      second.end();
      collectIn([first, third]);
      assert.equal(rig.concurrency.stats().activeSnapshots, 2, 'Snapshots of a thread that has ended stand.');
      assert.ok(!first.concurrency.isSeen(oldest.timestamp + 1, newest.timestamp));
      assert.equal(rig.concurrency.stats().tombstones, 0, 'A tombstone is kept for a thread that has ended.');
      assert.equal(first.get(target, 'a', oldest), third.get(target, 'a', newest));
      assert.equal(first.get(target, 'e', oldest), undefined);
    },
  },
  {
    id: 'failure-reaches-all',
    rules: ['T6'],
    says: 'fails the engine in all threads by an error after the append in one, and nothing more is logged',
    needs: ['threads'],
    check(subject) {
      const { rig, target, threads } = shared(subject, 2);
      const [first, second] = threads as [RigThread, RigThread];
      const { visible } = first.concurrency;
      for (const { concurrency } of threads) concurrency.assertSound();
      target.index.failNextUpsert = true;
      assertCode(() => second.put(target, 'a', 'new'), 'PW_ENGINE_FAILED', 'A put that failed after it was logged');
      const { length } = rig.records;
      for (const thread of threads) {
        assertCode(() => thread.concurrency.assertSound(), 'PW_ENGINE_FAILED', 'What a checkpoint asks');
        assertCode(() => thread.put(target, 'b', 'x'), 'PW_ENGINE_FAILED', 'A put');
        assertCode(() => thread.clear(target), 'PW_ENGINE_FAILED', 'A clear');
        assert.ok(thread.failure instanceof Error, 'The host of a thread was not told.');
        assert.equal(thread.concurrency.visible, visible, 'What failed was published.');
      }
      assert.equal(rig.records.length, length, 'Something was logged after the engine had failed.');
    },
  },
];
