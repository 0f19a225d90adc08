/**
 * What every commit policy keeps, whatever its trade between latency and the number of flushes: nothing is acknowledged
 * before it is durable (L1, T1), everything is acknowledged in the end, one flush is asked for at a time, waiting in place
 * needs no event loop (IO3), and a failure is final (IO1). The stream under the policy is the suite's own: flushes
 * complete and fail when a clause says so.
 */
import assert from 'node:assert/strict';
import type { CommitPolicyType, LogPosition } from '@pagewright/core';
import { Random } from '../random.js';
import { assertUnknown, CommitSession, nextTurn, POLICY_OPTIONS } from '../rig/commit-session.js';
import { type Clause, type Manifest, runSuite, type Suite, type TestRunner } from './suite.js';

/**
 * What a policy may promise beyond the contract.
 * - `shares`: commits that are ready together share a flush, and what is durable already gets none.
 * - `timerless`: a commit is acknowledged by flushes alone, without waiting for a timer.
 * - `overlaps`: several writes of stretches are under way at a time, and a commit waits for its own and for what it depends on.
 */
export type CommitPolicyCapability = 'shares' | 'timerless' | 'overlaps';

export interface CommitPolicyConformanceOptions {
  readonly type: CommitPolicyType;
  /** Default: all. */
  readonly manifest?: Manifest<CommitPolicyCapability>;
}

/** Registers the suite for one commit policy with a test runner. */
export function commitPolicyConformance(runner: TestRunner, { type, manifest }: CommitPolicyConformanceOptions): void {
  runSuite(
    commitPolicySuite,
    runner,
    { create: () => type },
    manifest ?? { shares: true, timerless: true, overlaps: true },
  );
}

type PolicyClause = Clause<CommitPolicyType, CommitPolicyCapability>;

const acknowledging: PolicyClause[] = [
  {
    id: 'durable-first',
    rules: ['L1'],
    says: 'acknowledges a commit when it is durable, and not before',
    async check(type) {
      const session = new CommitSession(type);
      session.commit();
      await session.flushing();
      await session.settle();
      assert.deepEqual(session.acknowledged, [], 'A commit was acknowledged while its flush was in flight.');
      await session.finish();
      assert.deepEqual(session.acknowledged, [10]);
    },
  },
  {
    id: 'own-flush',
    rules: ['L1'],
    says: 'does not acknowledge by a flush that began before the commit was appended',
    async check(type) {
      const session = new CommitSession(type);
      session.commit();
      await session.flushing();
      session.commit();
      session.stream.complete();
      await session.settle();
      assert.deepEqual(session.acknowledged, [10]);
      await session.finish();
      assert.deepEqual(session.acknowledged, [10, 20]);
    },
  },
  {
    id: 'nothing-follows',
    says: 'acknowledges commits that came during a flush, also when nothing more follows',
    async check(type) {
      const session = new CommitSession(type);
      session.commit();
      await session.flushing();
      await session.settle();
      for (let i = 0; i < 5; i++) session.commit();
      session.stream.complete();
      await session.finish();
      assert.equal(session.acknowledged.length, 6);
    },
  },
  {
    id: 'one-flush-at-a-time',
    says: 'waits for a flush before it asks for the next',
    async check(type) {
      const session = new CommitSession(type);
      for (let i = 0; i < 10; i++) {
        session.commit();
        await nextTurn();
      }
      await session.settle();
      await session.finish();
    },
  },
  {
    id: 'in-order',
    says: 'acknowledges in the order in which commits came',
    async check(type) {
      const session = new CommitSession(type);
      const positions = Array.from({ length: 20 }, () => session.commit());
      await session.finish();
      for (let i = 0; i < 20; i++) positions.push(session.commit());
      await session.finish();
      assert.deepEqual(session.acknowledged, positions);
    },
  },
  {
    id: 'late-commit',
    says: 'acknowledges a commit whose record is not the last that was appended, or is durable already',
    async check(type) {
      const session = new CommitSession(type);
      const first = session.stream.append();
      const second = session.stream.append();
      session.commit(second);
      await session.finish();
      session.commit(first);
      session.commit(second);
      await session.finish();
      assert.equal(session.acknowledged.length, 3);
    },
  },
  {
    id: 'no-idle-work',
    says: 'asks for nothing before the first commit, and for nothing more when all are acknowledged',
    async check(type) {
      const session = new CommitSession(type);
      await session.settle();
      assert.equal(session.stream.flushes, 0, 'A flush was asked for though nothing was committed.');
      for (let i = 0; i < 3; i++) session.commit();
      await session.finish();
      await session.settle();
      const { flushes } = session.stream;
      while (session.stream.isFlushing) session.stream.complete();
      await session.settle();
      assert.equal(session.stream.flushes, flushes, 'Flushes go on though no commit waits.');
    },
  },
  {
    id: 'no-timer',
    says: 'acknowledges without waiting for a timer',
    needs: ['timerless'],
    async check(type) {
      await nextTurn(); // Whoever watches over this clause has set his timer by then.
      await withoutTimers(async () => {
        const session = new CommitSession(type);
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 3; i++) session.commit();
          for (let turn = 0; session.waiting > 0; turn++) {
            assert.ok(turn < 100, `${session.waiting} commits wait for a timer: no flush is in flight.`);
            if (session.stream.isFlushing) session.stream.complete();
            await nextTurn();
          }
        }
      });
    },
  },
  {
    id: 'any-order-of-events',
    rules: ['L1', 'IO3'],
    says: 'acknowledges everything, in order and when durable, whatever comes together',
    async check(type) {
      for (let seed = 1; seed <= 60; seed++) {
        try {
          await randomEvents(type, new Random(seed));
        } catch (error) {
          throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        }
      }
    },
  },
];

const inPlace: PolicyClause[] = [
  {
    id: 'sync-durable',
    rules: ['L1'],
    says: 'returns from commitSync when the commit is durable',
    check(type) {
      const session = new CommitSession(type);
      for (let i = 0; i < 5; i++) session.commitSync();
      const early = session.stream.append();
      session.commitSync();
      session.commitSync(early);
    },
  },
  {
    id: 'sync-during-flush',
    rules: ['IO3'],
    says: 'returns from commitSync durable while a flush is in flight that the event loop would have to finish',
    async check(type) {
      const session = new CommitSession(type);
      const covered = session.commit();
      await session.flushing();
      session.commitSync(covered);
      session.commit();
      session.commitSync();
      await session.finish();
    },
  },
  {
    id: 'sync-beside-waiting',
    rules: ['IO3'],
    says: 'acknowledges in the end what waited when commitSync made it durable',
    async check(type) {
      const session = new CommitSession(type);
      const positions = [session.commit(), session.commit()];
      session.commitSync();
      await session.finish();
      positions.push(session.commit());
      await session.flushing();
      positions.push(session.commit());
      await session.settle();
      session.commitSync();
      await session.finish();
      assert.deepEqual(session.acknowledged, positions);
      assert.deepEqual(session.rejected, []);
    },
  },
];

const failing: PolicyClause[] = [
  {
    id: 'failure-rejects',
    rules: ['IO1'],
    says: 'rejects with PW_COMMIT_UNKNOWN all that wait when a flush fails',
    async check(type) {
      const session = new CommitSession(type);
      const positions = [session.commit(), session.commit()];
      await session.flushing();
      positions.push(session.commit());
      await session.settle();
      positions.push(session.commit());
      session.stream.fail();
      await session.assertAllRejected(positions);
      assert.deepEqual(session.acknowledged, []);
    },
  },
  {
    id: 'failure-is-final',
    rules: ['IO1'],
    says: 'rejects every later commit as well, in the background and in place',
    async check(type) {
      const session = new CommitSession(type);
      session.commit();
      await session.finish();
      const positions = [session.commit()];
      await session.flushing();
      session.stream.fail();
      await session.settle();
      positions.push(session.commit(), session.commit());
      await session.assertAllRejected(positions);
      assertThrowsUnknown(() => session.commitSync());
      assertThrowsUnknown(() => session.commitSync(positions[0]!));
      positions.push(session.commit());
      await session.assertAllRejected(positions);
      assert.deepEqual(session.acknowledged, [10]);
    },
  },
  {
    id: 'failure-in-place',
    rules: ['IO1', 'IO3'],
    says: 'throws PW_COMMIT_UNKNOWN when the flush of commitSync fails, and rejects what waits',
    async check(type) {
      const session = new CommitSession(type);
      const positions = [session.commit()];
      await session.flushing();
      positions.push(session.commit());
      await session.settle();
      session.stream.failsInPlace = true;
      assertThrowsUnknown(() => session.commitSync());
      while (session.stream.isFlushing) session.stream.complete();
      await session.assertAllRejected(positions);
      assert.deepEqual(session.acknowledged, []);
    },
  },
];

const sharing: PolicyClause[] = [
  {
    id: 'shared-flush',
    says: 'makes one flush for commits that come together, and one for those that come meanwhile',
    needs: ['shares'],
    async check(type) {
      const session = new CommitSession(type);
      for (let i = 0; i < 64; i++) session.commit();
      await session.flushing();
      await session.settle();
      for (let i = 0; i < 64; i++) session.commit();
      await session.finish();
      assert.ok(session.stream.flushes <= 2, `128 commits took ${session.stream.flushes} flushes.`);
    },
  },
  {
    id: 'durable-needs-no-flush',
    says: 'asks for no flush for what is durable already',
    needs: ['shares'],
    async check(type) {
      const session = new CommitSession(type);
      const position = session.stream.append();
      session.commitSync();
      const { flushes } = session.stream;
      session.commit(position);
      await session.settle();
      assert.deepEqual(session.acknowledged, [position]);
      session.commitSync(position);
      assert.equal(session.stream.flushes, flushes);
    },
  },
];

const overlapping: PolicyClause[] = [
  {
    id: 'writes-overlap',
    says: 'begins to write a batch while another write is under way, so many at a time, and lets less than a batch wait',
    needs: ['overlaps'],
    async check(type) {
      const session = new CommitSession(type);
      const { batchBytes, depth } = POLICY_OPTIONS;
      session.commit();
      await session.flushing();
      session.commit();
      await session.settle();
      assert.equal(
        session.stream.inFlight,
        1,
        'A write was begun for less than a batch, beside one that is under way.',
      );
      for (let i = 0; i < 2 * depth; i++) {
        session.commit(session.stream.append(batchBytes));
        await session.settle();
      }
      assert.equal(session.stream.inFlight, depth, 'So many writes are under way.');
      await session.finish();
      assert.equal(session.stream.mostWrites, depth, 'So many writes were under way at a time.');
      assert.equal(session.acknowledged.length, 2 + 2 * depth);
    },
  },
  {
    id: 'depends-first',
    rules: ['T1'],
    says: 'acknowledges a commit when its own write is over and what it depends on is durable, whatever lies between',
    needs: ['overlaps'],
    async check(type) {
      const session = new CommitSession(type);
      const { batchBytes } = POLICY_OPTIONS;
      const wide = async (dependsOn?: number): Promise<LogPosition> => {
        const position = session.commit(session.stream.append(batchBytes), dependsOn);
        await session.settle();
        return position;
      };
      const first = await wide();
      const free = await wide(0);
      const bound = await wide(1);
      session.stream.complete(2);
      await session.settle();
      assert.deepEqual(session.acknowledged, [], 'A commit was acknowledged before what it depends on.');
      session.stream.complete(1);
      await session.settle();
      assert.deepEqual(session.acknowledged, [free], 'A commit whose write is over, and which depends on nothing.');
      session.stream.complete(0);
      await session.settle();
      assert.deepEqual(new Set(session.acknowledged), new Set([first, free, bound]));
    },
  },
  {
    id: 'taken-by-others',
    rules: ['L1', 'T1'],
    says: 'waits for the write of another thread that has taken the record, whatever the commit depends on',
    needs: ['overlaps'],
    async check(type) {
      const session = new CommitSession(type);
      const position = session.stream.append();
      const end = session.stream.takeAway();
      session.commit(position, 0);
      await session.settle();
      assert.deepEqual(session.acknowledged, [], 'A commit was acknowledged that another thread is writing.');
      end();
      await session.finish();
      assert.deepEqual(session.acknowledged, [position]);
    },
  },
  {
    id: 'any-order-of-writes',
    rules: ['L1', 'T1', 'IO1'],
    says: 'acknowledges everything, each by rule T1, whatever the order in which writes end, here and elsewhere',
    needs: ['overlaps'],
    async check(type) {
      for (let seed = 1; seed <= 60; seed++) {
        try {
          await randomWrites(type, new Random(seed));
        } catch (error) {
          throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
        }
      }
    },
  },
];

/** The suite itself, for those who test suites. */
export const commitPolicySuite: Suite<CommitPolicyType, CommitPolicyCapability> = {
  name: 'commit policy',
  clauses: [...acknowledging, ...inPlace, ...failing, ...sharing, ...overlapping],
};

/** Commits in the background and in place, flushes that complete late or at once, and pauses, as the seed has it. */
async function randomEvents(type: CommitPolicyType, random: Random): Promise<void> {
  const session = new CommitSession(type);
  const positions: LogPosition[] = [];
  for (let step = 0; step < 40; step++) {
    const choice = random.below(10);
    if (choice < 4) positions.push(session.commit());
    else if (choice < 5) session.commitSync();
    else if (choice < 6) session.stream.append();
    else if (choice < 8 && session.stream.isFlushing) session.stream.complete();
    else if (choice < 9) await nextTurn();
    else await Promise.resolve();
    session.assertSound();
  }
  await session.finish();
  assert.deepEqual(session.acknowledged, positions, 'Not every commit was acknowledged once, in order.');
}

/** Commits that depend on more or less, and writes that end in any order, of this thread and of others. */
async function randomWrites(type: CommitPolicyType, random: Random): Promise<void> {
  const session = new CommitSession(type);
  const { stream } = session;
  const elsewhere: (() => void)[] = [];
  let commits = 0;
  for (let step = 0; step < 60; step++) {
    const choice = random.below(10);
    const bytes = random.chance(0.5) ? POLICY_OPTIONS.batchBytes : 10;
    if (choice < 4) {
      commits++;
      session.commit(stream.append(bytes), random.chance(0.2) ? undefined : random.below(commits));
    } else if (choice < 5) {
      commits++;
      const position = stream.append(bytes);
      elsewhere.push(stream.takeAway());
      session.commit(position, random.below(commits));
    } else if (choice < 8 && stream.inFlight > 0) stream.complete(random.below(stream.inFlight));
    else if (choice < 9 && elsewhere.length > 0) elsewhere.splice(random.below(elsewhere.length), 1)[0]?.();
    else await nextTurn();
    session.assertSafe();
  }
  for (const end of elsewhere) end();
  await session.drain();
  assert.equal(session.acknowledged.length, commits, 'Not every commit was acknowledged once.');
}

/** Runs work during which timers are set, and never fire. */
async function withoutTimers(work: () => Promise<void>): Promise<void> {
  const { setTimeout, setInterval } = globalThis;
  const never = () => setTimeout(() => undefined, 0).unref();
  Object.assign(globalThis, { setTimeout: never, setInterval: never });
  try {
    await work();
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval });
  }
}

function assertThrowsUnknown(work: () => void): void {
  try {
    work();
  } catch (error) {
    assertUnknown(error);
    return;
  }
  assert.fail('commitSync returned after the log had failed.');
}
