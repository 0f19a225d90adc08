/** Clauses on entries that were deleted, and are there for older snapshots: scans past long runs of them, and what becomes of them. */
import assert from 'node:assert/strict';
import type { Snapshot, TransactionCore } from '@pagewright/core';
import { bytes, type ConcurrencyRig, codeOf, EVERYTHING, type RigTarget } from '../rig/concurrency-rig.js';
import type { ConcurrencyClause } from './concurrency-clause.js';
import { assertNothingKept, collectAll } from './concurrency-collection.js';

/** Each is a page of the index, of so many entries. */
const PAGES = ['b', 'c', 'd', 'e', 'f', 'g'];
const ENTRIES = 40;

export const deletedClauses: readonly ConcurrencyClause[] = [
  {
    id: 'scan-past-deleted',
    rules: ['T2', 'T3'],
    says: 'gives what each snapshot sees in scans past deleted entries, either way and from any of them, beside own writes, and where some of their pages have changed since',
    needs: ['snapshots', 'write-conflicts'],
    check(subject) {
      for (const counts of [true, false]) {
        const { rig, target, oldest } = withDeleted(subject.rig(), counts);
        const between = rig.concurrency.snapshot();
        const core = rig.concurrency.begin();
        const [first, second, last] = [entry('c', 7), entry('c', 20), entry('f', 39)];
        for (const key of [first, last]) rig.put(target, key, 'again');
        const newest = rig.concurrency.snapshot();
        rig.put(target, first, null);
        core.put(target, bytes(second), bytes('own'));
        const own = `${second}=own`;
        const all = PAGES.flatMap((page) => Array.from({ length: ENTRIES }, (_, at) => `${entry(page, at)}=old`));
        const states: readonly [string, Snapshot | TransactionCore | null, readonly string[]][] = [
          ['the oldest snapshot', oldest, ['a=old', ...all, 'h=old']],
          ['a snapshot of when all was deleted', between, ['a=old', 'h=old']],
          ['the transaction', core, ['a=old', own, 'h=old']],
          ['the newest snapshot', newest, ['a=old', `${first}=again`, `${last}=again`, 'h=old']],
          ['the newest state', null, ['a=old', `${last}=again`, 'h=old']],
        ];
        for (const [what, from, seen] of states) {
          for (const reverse of [false, true]) {
            const inOrder = (entries: readonly string[]): readonly string[] =>
              reverse ? entries.toReversed() : entries;
            assert.deepEqual(rig.scan(target, from, { reverse }), inOrder(seen), `All that ${what} sees.`);
            const bounds = { lower: bytes(entry('b', 5)), upper: bytes(entry('f', 39)), reverse };
            const within = seen.filter((text) => text >= entry('b', 5) && text < `${entry('f', 39)}>`);
            assert.deepEqual(rig.scan(target, from, bounds), inOrder(within), `What ${what} sees of a part.`);
            const exclusive = { ...bounds, lowerExclusive: true, upperExclusive: true };
            const inside = within.filter((text) => ![entry('b', 5), entry('f', 39)].includes(text.split('=')[0]!));
            assert.deepEqual(rig.scan(target, from, exclusive), inOrder(inside), `${what}, without the bounds.`);
            assert.deepEqual(rig.scan(target, from, { ...bounds, limit: 1 }), inOrder(within), `${what}, one by one.`);
          }
        }
        core.abort();
        for (const snapshot of [oldest, between, newest]) snapshot.release();
      }
    },
  },
  {
    id: 'scan-gets-by-deleted',
    rules: ['T3'],
    says: 'is not handed out what was deleted, page after page, by an index that can count, if one entry is looked for, and no fault has it pass anything else',
    needs: ['snapshots'],
    check(subject) {
      const { rig, target, oldest } = withDeleted(subject.rig(), true);
      const bounds = { ...EVERYTHING, lower: bytes('b'), limit: 1 };
      for (const faults of [false, true]) {
        let calls = 0;
        rig.faults = faults ? () => calls++ % 2 === 0 : null;
        const before = target.index.handedOut;
        assert.deepEqual(rig.scan(target, null, bounds), ['h=old']);
        const passed = target.index.handedOut - before;
        assert.ok(passed < ENTRIES, `${passed} entries were handed out to find one.`);
      }
      rig.faults = null;
      oldest.release();
    },
  },
  {
    id: 'collection-is-called-for',
    rules: ['T3', 'T4'],
    says: 'tells the host of each deletion that leaves something to be collected, and goes on with those that can go behind any number that cannot, without being called for again',
    needs: ['snapshots'],
    check(subject) {
      const rig = subject.rig();
      const target = rig.target();
      const many = 3000;
      const key = (at: number): string => String(at).padStart(5, '0');
      for (let i = 0; i < many; i++) rig.put(target, key(i), 'old');
      assert.equal(rig.kept, 0, 'The host was called for nothing.');
      const snapshot = rig.concurrency.snapshot();
      for (let i = 0; i < many; i++) rig.put(target, key(i), null);
      assert.equal(rig.kept, many, 'The host was not told that something was deleted beside a snapshot.');
      for (let i = many; i < 2 * many; i++) {
        rig.put(target, key(i), 'brief');
        rig.put(target, key(i), null);
      }
      collectAll(rig);
      assert.equal(rig.concurrency.stats().tombstones, many, 'What the snapshot sees is kept, and nothing else.');
      snapshot.release();
      collectAll(rig);
      assertNothingKept(rig, target, []);
    },
  },
  {
    id: 'left-by-an-earlier-deletion',
    rules: ['T3'],
    says: 'does not take what another thread has left of a key for all there is to collect of it, if it was put and deleted again since',
    needs: ['threads', 'snapshots', 'write-conflicts'],
    check(subject) {
      for (const deleter of ['one that stays', 'one that leaves as well']) {
        const rig = subject.rig();
        const target = rig.target();
        rig.put(target, 'k', 'first');
        const [one, other] = [rig.attach(subject.another()), rig.attach(subject.another())];
        const older = rig.concurrency.snapshot();
        one.put(target, 'k', null);
        rig.put(target, 'k', 'second');
        const newer = rig.concurrency.snapshot();
        if (deleter === 'one that stays') rig.put(target, 'k', null);
        else other.put(target, 'k', null);
        one.concurrency.detach();
        other.concurrency.detach();
        collectAll(rig);
        older.release();
        collectAll(rig);
        assert.equal(rig.get(target, 'k', newer), 'second');
        newer.release();
        collectAll(rig);
        assertNothingKept(rig, target, []);
      }
    },
  },
  {
    id: 'depends-on-deleted',
    rules: ['T1'],
    says: 'depends on the commits that deleted what a scan went past, also if no more is asked for',
    needs: ['snapshots', 'write-conflicts'],
    check(subject) {
      const { rig, target, oldest } = withDeleted(subject.rig(), true);
      const deleted = rig.concurrency.visible;
      rig.put(rig.target('other'), 'x', 'new');
      const core = rig.concurrency.begin();
      assert.deepEqual(rig.scan(target, core, { lower: bytes('b'), limit: 1 }), ['h=old']);
      core.put(target, bytes('h'), bytes('new'));
      const { dependsOn } = core.commit('touched');
      assert.ok(dependsOn >= deleted, `It depends on ${dependsOn}, and has seen that ${deleted} deleted something.`);
      oldest.release();
    },
  },
  {
    id: 'range-past-deleted',
    rules: ['T5'],
    says: 'refuses a serializable transaction if something was put where it has found only what was deleted (scenario 37)',
    needs: ['snapshots', 'serializable', 'write-conflicts'],
    check(subject) {
      for (const reverse of [false, true]) {
        for (const key of [...PAGES.map((page) => entry(page, 17)), 'a1', 'h1']) {
          const { rig, target, oldest } = withDeleted(subject.rig(), true);
          const core = rig.concurrency.begin('serializable');
          const bounds = { ...EVERYTHING, lower: bytes('b'), upper: bytes('h'), reverse, upperExclusive: reverse };
          const scan = core.scan(target, { ...bounds, limit: 1 });
          while (scan.next() && scan.count === 0) {}
          assert.equal(scan.count, reverse ? 0 : 1);
          rig.put(target, key, 'new');
          core.put(target, bytes('own'), bytes('x'));
          const isPhantom = key >= 'b' && key < 'h';
          assert.equal(
            codeOf(() => core.commit()),
            isPhantom ? 'PW_CONFLICT' : 'none',
            `${key} was put.`,
          );
          oldest.release();
        }
      }
    },
  },
];

function entry(page: string, at: number): string {
  return page + String(at).padStart(2, '0');
}

/** Pages of deleted entries, which a snapshot sees, between two entries that are there. */
function withDeleted(
  rig: ConcurrencyRig,
  counts: boolean,
): { readonly rig: ConcurrencyRig; readonly target: RigTarget; readonly oldest: Snapshot } {
  const target = rig.target();
  target.index.counts = counts;
  for (const key of ['a', 'h']) rig.put(target, key, 'old');
  for (const page of PAGES) for (let at = 0; at < ENTRIES; at++) rig.put(target, entry(page, at), 'old');
  const oldest = rig.concurrency.snapshot();
  // Last of all on a page in the middle, which nothing but its own stamp tells of.
  for (const page of PAGES.toSorted((a, b) => Number(a === 'd') - Number(b === 'd'))) {
    for (let at = 0; at < ENTRIES; at++) rig.put(target, entry(page, at), null);
  }
  return { rig, target, oldest };
}
