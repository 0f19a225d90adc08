/** Clauses about those who write one at a time: who has the turn, who gets it next, and what becomes of it when its thread ends. */
import assert from 'node:assert/strict';
import { type Concurrency, driveSchedule, POINT, type TransactionCore, type WriterTurns } from '@pagewright/core';
import { Random } from '../random.js';
import { bytes, type ConcurrencyRig, type RigTarget, type RigThread } from '../rig/concurrency-rig.js';
import { assertCode, type ConcurrencyClause } from './concurrency-clause.js';
import { OLD, shared } from './concurrency-shared.js';
import { filled } from './concurrency-snapshots.js';

export const writerClauses: readonly ConcurrencyClause[] = [
  {
    id: 'one-writer',
    says: 'lets nobody commit between the first write of a transaction and its end (PW_WRITER_BUSY), and everybody read',
    needs: ['turns', 'snapshots'],
    async check(subject) {
      for (const commits of [true, false]) {
        for (const isDeclared of [true, false]) {
          const { rig, target } = filled(subject.rig());
          const { concurrency } = rig;
          const writer = isDeclared ? turnsOf(concurrency).beginNow() : concurrency.begin();
          if (!isDeclared) writer.put(target, bytes('a'), bytes('new'));
          const before = rig.scan(target);
          const records = rig.records.length;
          const other = concurrency.begin();
          assertCode(() => other.put(target, bytes('z'), bytes('x')), 'PW_WRITER_BUSY', 'A second writer');
          assertCode(() => other.delete(target, bytes('b')), 'PW_WRITER_BUSY', 'A second writer');
          assertCode(() => rig.put(target, 'z', 'x'), 'PW_WRITER_BUSY', 'A plain put');
          assertCode(() => rig.clear(target), 'PW_WRITER_BUSY', 'A clear');
          assertCode(() => turnsOf(concurrency).beginNow(), 'PW_WRITER_BUSY', 'A second writer, declared');
          assert.equal(
            turnsOf(concurrency).atOnce(() => ({})),
            null,
            'A step ran beside a writer.',
          );
          assert.equal(rig.records.length, records, 'Somebody committed beside a writer.');
          assert.deepEqual(rig.scan(target, other), before, 'What is not written by now is read.');
          if (isDeclared) writer.put(target, bytes('a'), bytes('new'));
          if (commits) writer.commit();
          else writer.abort();
          assert.equal(rig.get(target, 'a'), commits ? 'new' : before[0]!.slice(2));
          rig.put(target, 'z', 'x');
          const next = turnsOf(concurrency).beginNow();
          assert.equal(rig.get(target, 'z', next), 'x', 'Who has the turn sees the newest state.');
          next.abort();
          rig.put(target, 'z', 'y');
          assert.equal(rig.get(target, 'z', other) ?? 'none', 'none', 'A reader keeps its snapshot.');
          other.abort();
        }
      }
    },
  },
  {
    id: 'writer-of-the-newest',
    says: 'gives the newest state to a transaction that has read nothing before its first write, and lets no other write upon what is past (PW_CONFLICT)',
    needs: ['turns', 'snapshots'],
    check(subject) {
      for (const reads of ['nothing', 'a key', 'a range'] as const) {
        const { rig, target } = filled(subject.rig());
        const { concurrency } = rig;
        const transaction = concurrency.begin();
        if (reads === 'a key') rig.get(target, 'd', transaction);
        if (reads === 'a range') rig.scan(target, transaction);
        rig.put(target, 'c', 'since');
        const { conflicts } = concurrency.stats();
        const put = (): void => transaction.put(target, bytes('a'), bytes('new'));
        assertCode(put, reads === 'nothing' ? 'none' : 'PW_CONFLICT', `A write after ${reads} was read`);
        assert.equal(concurrency.stats().conflicts - conflicts, reads === 'nothing' ? 0 : 1);
        assert.equal(rig.get(target, 'c', transaction) === 'since', reads === 'nothing', 'What it reads then.');
        if (reads === 'nothing') assertCode(() => rig.put(target, 'b', 'x'), 'PW_WRITER_BUSY', 'A put beside it');
        else rig.put(target, 'b', 'x');
        transaction.commit();
        rig.put(target, 'b', 'y');
        assert.equal(rig.get(target, 'a') === 'new', reads === 'nothing');
        assert.equal(concurrency.stats().activeSnapshots, 0);
      }
    },
  },
  {
    id: 'turns-in-order',
    says: 'gives the turn to those who wait in the order in which they asked, transactions and plain changes alike, each once, and none of them conflicts',
    needs: ['turns'],
    async check(subject) {
      for (let seed = 1; seed <= 10; seed++) {
        const { rig, target } = filled(subject.rig());
        const random = new Random(seed);
        const order: number[] = [];
        const holder = turnsOf(rig.concurrency).beginNow();
        const all = Array.from({ length: 12 }, (_, number) =>
          increment(rig.concurrency, target, random, () => order.push(number), rig),
        );
        // Looked at when the first of them has failed: the others fail with it.
        for (const each of all) each.catch(() => undefined);
        await Promise.resolve();
        assert.deepEqual(order, [], `Seed ${seed}: somebody wrote beside a writer.`);
        holder.abort();
        await Promise.all(all);
        assert.deepEqual(
          order,
          all.map((_, number) => number),
          `Seed ${seed}: the order of turns.`,
        );
        assert.equal(rig.get(target, 'counter'), '12', `Seed ${seed}: a change was lost.`);
      }
    },
  },
  {
    id: 'leaves-the-line',
    says: 'passes over who has left the line, and does not wait for its step',
    needs: ['turns'],
    async check(subject) {
      const { rig, target } = filled(subject.rig());
      const turns = turnsOf(rig.concurrency);
      const unready = turns.line();
      let begun: TransactionCore | null = null;
      turns.begin().then(
        (transaction) => {
          begun = transaction;
        },
        () => undefined,
      );
      await Promise.resolve();
      rig.put(target, 'a', 'at once');
      assert.equal(
        turns.atOnce(() => ({})),
        null,
        'A step went before those who wait.',
      );
      unready.leave();
      for (let times = 0; times < 100 && begun === null; times++) await new Promise((resolve) => setImmediate(resolve));
      assert.ok(begun !== null, 'It waits for who has left.');
      assert.equal(rig.get(target, 'a', begun), 'at once');
      (begun as TransactionCore).commit();
      await assert.rejects(
        turns.line().run(() => {
          throw new Error('its own');
        }),
        /its own/,
      );
      rig.put(target, 'a', 'after');
    },
  },
  {
    id: 'loaded-after-it-was-read',
    rules: ['T5', 'T7'],
    says: 'refuses the commit of a transaction that writes if an index that it has read was loaded meanwhile, which needs no turn (PW_CONFLICT), and of no other one',
    needs: ['turns'],
    check(subject) {
      const reads: readonly [string, boolean, (rig: ConcurrencyRig, loaded: RigTarget, of: TransactionCore) => void][] =
        [
          ['A look-up', true, (rig, loaded, of) => void rig.get(loaded, 'a', of)],
          ['A look-up in vain', true, (rig, loaded, of) => void rig.get(loaded, 'none', of)],
          ['A range', true, (rig, loaded, of) => void rig.scan(loaded, of)],
          ['Nothing', false, () => undefined],
        ];
      for (const [what, isRefused, read] of reads) {
        const { rig, target } = filled(subject.rig());
        const loaded = rig.target('loaded');
        rig.put(loaded, 'a', 'old');
        const writer = turnsOf(rig.concurrency).beginNow();
        read(rig, loaded, writer);
        rig.load(loaded);
        const between = rig.concurrency.snapshot();
        assert.equal(rig.get(loaded, 'a', between), undefined);
        writer.put(target, bytes('a'), bytes('by what was read'));
        if (isRefused) assertCode(() => writer.commit(), 'PW_CONFLICT', `A commit after the load: ${what} was read.`);
        else writer.commit();
        assert.equal(rig.get(target, 'a'), isRefused ? 'old' : 'by what was read');
        rig.put(target, 'a', 'the turn has gone on');
        const reader = rig.concurrency.begin();
        read(rig, loaded, reader);
        rig.load(loaded);
        reader.commit();
      }
    },
  },
  {
    id: 'loaded-in-the-midst',
    rules: ['T5', 'T7'],
    says: 'lets no load of another thread go live from the check of a transaction that has read the index until that is committed',
    needs: ['turns', 'threads'],
    check(subject) {
      for (const at of [POINT.commitBegun, POINT.commitPrepared, POINT.commitAppended]) {
        const { rig, target, threads } = shared(subject, 2);
        const [first, second] = threads as [RigThread, RigThread];
        const loaded = rig.target('loaded');
        const writer = turnsOf(first.concurrency).beginNow();
        assert.equal(first.get(loaded, 'a', writer), undefined);
        writer.put(target, bytes('a'), bytes('by what was read'));
        // The writer goes no further meanwhile: whoever waits for it does so in vain.
        second.onLook(() => {
          throw new Error('It waits for the other thread.');
        });
        const { incarnation } = loaded;
        let isDone = false;
        const before = driveSchedule((point) => {
          if (point !== at || isDone) return;
          isDone = true;
          assert.throws(() => rig.load(loaded, second.concurrency), 'A load went live in the midst of a commit.');
        });
        try {
          writer.commit();
        } finally {
          driveSchedule(before);
        }
        assert.ok(isDone, 'A commit says where it is.');
        assert.equal(loaded.incarnation, incarnation);
        assert.equal(rig.get(target, 'a'), 'by what was read');
      }
    },
  },
  {
    id: 'wait-that-is-ended',
    says: 'begins no transaction whose signal is aborted while it waits: it rejects with the reason at once, and the next one comes in its place',
    needs: ['turns'],
    async check(subject) {
      const { rig, target } = filled(subject.rig());
      const turns = turnsOf(rig.concurrency);
      const holder = turns.beginNow();
      const controller = new AbortController();
      const begins = turns.begin(undefined, controller.signal).then(
        () => 'begun',
        (error) => error,
      );
      const puts = turns.line().run(() => rig.put(target, 'a', 'next'));
      puts.catch(() => undefined);
      controller.abort('enough');
      assert.equal(await begins, 'enough');
      const late = turns.begin(undefined, controller.signal);
      assert.equal(await late.catch((error) => error), 'enough', 'One whose signal was aborted before.');
      holder.abort();
      await puts;
      assert.equal(rig.get(target, 'a'), 'next');
      rig.put(target, 'a', 'after');
    },
  },
  {
    id: 'closes-the-line',
    says: 'begins no transaction after close() (PW_CLOSED), and brings plain changes before it to their end',
    needs: ['turns'],
    async check(subject) {
      const { rig, target } = filled(subject.rig());
      const turns = turnsOf(rig.concurrency);
      const holder = turns.beginNow();
      const begins = turns.begin().catch((error) => error.code);
      const puts = turns.line().run(() => rig.put(target, 'a', 'last'));
      puts.catch(() => undefined);
      turns.close();
      assert.equal(await begins, 'PW_CLOSED');
      assert.equal(await turns.begin().catch((error) => error.code), 'PW_CLOSED');
      holder.abort();
      await puts;
      assert.equal(rig.get(target, 'a'), 'last');
    },
  },
  {
    id: 'one-writer-of-all-threads',
    says: 'lets nobody commit in any thread while a transaction of one writes, and gives the turn to threads in the order in which they asked',
    needs: ['turns', 'threads', 'snapshots'],
    async check(subject) {
      const { target, threads } = shared(subject, 4);
      const [first, second] = threads as [RigThread, RigThread];
      const writer = first.concurrency.begin();
      writer.put(target, bytes('a'), bytes('new'));
      for (const thread of threads) {
        assertCode(() => thread.put(target, 'b', 'x'), 'PW_WRITER_BUSY', 'A put');
        assertCode(() => thread.clear(target), 'PW_WRITER_BUSY', 'A clear');
        assertCode(() => turnsOf(thread.concurrency).beginNow(), 'PW_WRITER_BUSY', 'A second writer');
        assert.deepEqual(thread.scan(target), OLD);
      }
      const reader = second.concurrency.begin();
      assert.equal(second.get(target, 'a', reader), 'old');
      const order: number[] = [];
      const all = [2, 3, 1, 0, 2, 1].map(async (number) => {
        const transaction = await turnsOf(threads[number]!.concurrency).begin();
        order.push(number);
        const value = Number(threads[number]!.get(target, 'counter', transaction) ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        transaction.put(target, bytes('counter'), bytes(`${value + 1}`));
        transaction.commit();
      });
      for (const each of all) each.catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(order, []);
      writer.commit();
      await Promise.all(all);
      // Each asks again after those who have asked meanwhile; the first thread stood in its own line.
      assert.deepEqual(order.slice(0, 4).sort(), [0, 1, 2, 3], 'A thread had two turns before another had one.');
      assert.deepEqual(
        order.filter((number) => number !== 0),
        [2, 3, 1, 2, 1],
        'The order of turns.',
      );
      assert.equal(first.get(target, 'counter'), '6');
      assertCode(() => reader.put(target, bytes('a'), bytes('x')), 'PW_CONFLICT', 'A reader that is late');
      reader.abort();
      for (const thread of threads) thread.put(target, 'b', 'y');
    },
  },
  {
    id: 'turn-of-an-ended-thread',
    rules: ['M6'],
    says: 'lets the turn lapse of a thread that has ended between two commits, with all that it has not committed, and that of one that detaches',
    needs: ['turns', 'threads'],
    async check(subject) {
      for (const detaches of [true, false]) {
        for (const waits of [true, false]) {
          const { rig, target, threads } = shared(subject, 3);
          const [first, second, third] = threads as [RigThread, RigThread, RigThread];
          second.concurrency.begin().put(target, bytes('a'), bytes('lost'));
          // One that has asked, and will not come.
          const never = turnsOf(third.concurrency).begin();
          never.catch(() => {});
          const waiting = waits ? turnsOf(first.concurrency).begin() : null;
          waiting?.catch(() => undefined);
          for (const thread of [third, second]) {
            if (detaches) thread.concurrency.detach();
            else thread.end();
          }
          if (waiting === null) first.put(target, 'a', 'goes on');
          else {
            const writer = await waiting;
            writer.put(target, bytes('a'), bytes('goes on'));
            writer.commit();
          }
          assert.equal(first.get(target, 'a'), 'goes on');
          assert.equal(rig.records.length, 5);
        }
      }
    },
  },
];

export function turnsOf({ turns }: Concurrency): WriterTurns {
  assert.ok(turns !== undefined, 'It has turns.');
  return turns;
}

/** Adds 1 to what is there, in one way or another, when it is its turn. */
async function increment(
  concurrency: Concurrency,
  target: RigTarget,
  random: Random,
  begun: () => void,
  rig: { get(target: RigTarget, key: string, from: TransactionCore | null): string | undefined },
): Promise<void> {
  const key = bytes('counter');
  const turns = turnsOf(concurrency);
  const pauses = random.below(4);
  const next = (from: TransactionCore | null): Uint8Array =>
    bytes(`${Number(rig.get(target, 'counter', from) ?? 0) + 1}`);
  if (random.chance(0.4)) {
    const place = turns.line();
    for (let times = 0; times < pauses; times++) await Promise.resolve();
    await place.run(() => {
      begun();
      concurrency.commit([{ target, key, value: next(null) }]);
    });
    place.leave();
    return;
  }
  const transaction = await turns.begin();
  begun();
  const value = next(transaction);
  for (let times = 0; times < pauses; times++) await new Promise((resolve) => setImmediate(resolve));
  transaction.put(target, key, value);
  transaction.commit();
}
