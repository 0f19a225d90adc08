import type { CommitRecord } from '@pagewright/core';
import { isPagewrightError, NO_LOG } from '@pagewright/core';
import { dropAll, keepAll, keepSome, SimulatedDevice, type Survival } from '@pagewright/testkit';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { expectSame, newSuperblock, recordOf, SMALL, type Superblock, TestStore } from './store.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Step =
  | { readonly do: 'append' | 'commit' | 'commitSync'; readonly size: number }
  | { readonly do: 'wait' | 'idle' | 'checkpoint' }
  | {
      readonly do: 'end';
      readonly how: 'crash' | 'kill' | 'close' | 'discard';
      readonly seed: number;
      readonly after: number;
    };

/** Runs steps against the log, and remembers what it promised. */
class History {
  readonly superblock: Superblock = newSuperblock();
  disk = new SimulatedDevice();
  store!: TestStore;
  /** What was appended with each timestamp, newest generation. */
  written: CommitRecord[] = [];
  /** The highest timestamp whose commit was acknowledged. */
  acknowledged = 0;
  generation = 0;
  #commits: Promise<void>[] = [];

  constructor(
    readonly policy = 'pipelined',
    readonly segmentSize = SMALL.segmentSize,
  ) {}

  async open(): Promise<void> {
    this.generation++;
    this.store = await TestStore.open(this.disk, this.superblock, {
      generation: this.generation,
      options: { ...SMALL, segmentSize: this.segmentSize, commit: this.policy },
    });
    this.check();
  }

  /** All that was acknowledged is there, whole and in order, and nothing that was not written. */
  check(): void {
    const base = this.written.length === 0 ? 0 : this.store.timestamp - this.store.recovered.length;
    expect(this.store.timestamp).toBeGreaterThanOrEqual(this.acknowledged);
    this.store.recovered.forEach((record, i) => {
      expectSame(record, this.written[base + i]);
    });
    this.written.length = this.store.timestamp;
    this.acknowledged = this.store.timestamp;
  }

  append(size: number): { timestamp: number; position: number } {
    const position = this.store.append(size);
    const { timestamp } = this.store;
    this.written[timestamp - 1] = recordOf(timestamp, this.generation, size);
    return { timestamp, position };
  }

  commit(size: number): void {
    const { timestamp, position } = this.append(size);
    const acknowledge = () => {
      this.acknowledged = Math.max(this.acknowledged, timestamp);
    };
    this.#commits.push(this.store.log.commit(position).then(acknowledge, onPowerGone));
  }

  async run(step: Step): Promise<void> {
    if (step.do === 'append') this.append(step.size);
    else if (step.do === 'commit') this.commit(step.size);
    else if (step.do === 'commitSync') {
      const { timestamp, position } = this.append(step.size);
      this.store.log.commitSync(position);
      this.acknowledged = Math.max(this.acknowledged, timestamp);
    } else if (step.do === 'wait') await this.wait();
    else if (step.do === 'idle') await vi.advanceTimersByTimeAsync(1000);
    else if (step.do === 'checkpoint') await this.store.checkpoint();
  }

  async wait(): Promise<void> {
    await Promise.all(this.#commits.splice(0));
  }

  /** Ends the process in one of several ways; the disk that the next one finds. */
  async end(how: 'crash' | 'kill' | 'close' | 'discard', survives: Survival): Promise<void> {
    if (how === 'crash') this.disk = this.disk.afterCrash(survives);
    else if (how === 'kill') this.disk = this.disk.afterKill();
    else {
      await this.wait();
      await this.store.log.secure(NO_LOG);
      this.assertPower();
      if (how === 'discard') this.superblock.mark = { timestamp: this.store.timestamp, log: NO_LOG };
      await this.store.log.close({ discard: how === 'discard' });
      this.assertPower();
      this.acknowledged = this.store.timestamp;
      if (how === 'discard') expect(this.disk.files()).toEqual([]);
      this.disk = this.disk.afterCrash(survives);
    }
    this.#commits = [];
  }

  private assertPower(): void {
    if (this.disk.isDead) throw new Error('the power is gone');
  }
}

function onPowerGone(error: unknown): void {
  if (!isPagewrightError(error, 'PW_COMMIT_UNKNOWN')) throw error;
}

/** Whether an error is what an operation meets when the power goes. */
function isPowerLoss(error: unknown): boolean {
  return error instanceof Error && (isPagewrightError(error) || error.message === 'the power is gone');
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 300, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 140_000 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('append' as const), size }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('commit' as const), size }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('commitSync' as const), size }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('wait' as const, 'wait' as const, 'idle' as const, 'checkpoint' as const),
    }),
  },
);
const policy = fc.constantFrom('pipelined', 'pipelined', 'sync');
/** In larger ones the files grow. */
const segmentSize = fc.constantFrom(64 * 1024, 64 * 1024, 4 * 1024 * 1024);
const life = fc.record({
  steps: fc.array(step, { maxLength: 25 }),
  how: fc.constantFrom(
    'crash' as const,
    'crash' as const,
    'crash' as const,
    'kill' as const,
    'close' as const,
    'discard' as const,
  ),
  seed: fc.nat(),
  share: fc.constantFrom(0, 0.5, 0.9, 1),
  /** After how many more operations the power goes in the life; beyond what it does, at its end. */
  crashAfter: fc.oneof(fc.constant(10_000), fc.integer({ min: 0, max: 120 })),
});

describe('a log that crashes', () => {
  test('gives back all that was acknowledged, in order and whole, and nothing after a gap', async () => {
    await fc.assert(
      fc.asyncProperty(
        policy,
        segmentSize,
        fc.array(life, { minLength: 1, maxLength: 4 }),
        async (commit, size, lives) => {
          const history = new History(commit, size);
          for (const { steps, how, seed, share, crashAfter } of lives) {
            history.disk.crashAt = history.disk.operations + crashAfter;
            let ended = how;
            try {
              await history.open();
              for (const each of steps) await history.run(each);
              if (how === 'close' || how === 'discard') await history.end(how, keepSome(seed, share));
            } catch (error) {
              if (!history.disk.isDead || !isPowerLoss(error)) throw error;
              ended = 'crash';
            }
            if (ended === 'crash' || ended === 'kill') {
              await history.end(history.disk.isDead ? 'crash' : ended, keepSome(seed, share));
            }
          }
          history.disk.crashAt = Number.POSITIVE_INFINITY;
          await history.open();
          await history.end('close', dropAll);
          await history.open();
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['short segments', 64 * 1024],
    ['segments that grow', 4 * 1024 * 1024],
  ])('survives a crash at every single I/O operation, whatever the disk keeps, in %s', async (_, segmentBytes) => {
    const workload = async (history: History) => {
      await history.open();
      history.commit(10);
      history.commit(400);
      await history.wait();
      await history.run({ do: 'idle' });
      await history.run({ do: 'commitSync', size: 30_000 });
      await history.run({ do: 'commitSync', size: 20 });
      history.commit(20_000);
      await history.wait();
      history.commit(700);
      history.commit(100_000);
      await history.run({ do: 'commitSync', size: 30 });
      await history.run({ do: 'checkpoint' });
      history.commit(50_000);
      await history.wait();
      history.commit(40);
      await history.wait();
      await history.run({ do: 'idle' });
    };
    const whole = new History('pipelined', segmentBytes);
    await workload(whole);
    const operations = whole.disk.operations;
    expect(operations).toBeGreaterThan(25);
    for (let at = 1; at <= operations + 1; at++) {
      const survivals = [dropAll, keepAll, ...[1, 2, 3, 4].map((seed) => keepSome(seed * 1000 + at))];
      for (const [which, survives] of survivals.entries()) {
        const history = new History('pipelined', segmentBytes);
        history.disk.crashAt = at;
        await workload(history).catch((error) => {
          if (!isPowerLoss(error)) throw error;
        });
        await history.end('crash', survives);
        await expect(history.open(), `crash at operation ${at}, survival ${which}`).resolves.toBeUndefined();
        // and recovery itself may be cut off, at each of its operations, and be started over
        if (which === 2 && at % 5 === 0) await crashRecovery(history);
      }
    }
  });
});

async function crashRecovery(found: History): Promise<void> {
  found.commit(60);
  await found.wait();
  await found.end('crash', keepSome(7));
  for (let at = 1; ; at++) {
    const disk = found.disk.copy();
    const history = new History();
    Object.assign(history, {
      disk,
      superblock: { ...found.superblock },
      written: [...found.written],
      acknowledged: found.acknowledged,
      generation: found.generation,
    });
    disk.crashAt = at;
    const cutOff = await history.open().then(
      () => false,
      (error) => {
        if (!disk.isDead || !isPowerLoss(error)) throw error;
        return true;
      },
    );
    if (!cutOff) return;
    await history.end('crash', keepSome(at));
    await history.open();
  }
}
