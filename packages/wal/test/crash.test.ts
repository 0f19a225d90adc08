/** Crashes of this log in particular: while the idle stream writes its mark, in segments that grow, under each policy. */
import { dropAll, keepAll, keepSome, type Survival } from '@pagewright/testkit';
import { isPowerLoss, LogHistory } from '@pagewright/testkit/rig';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { SMALL } from './store.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

type Step =
  | { readonly do: 'append' | 'commit' | 'commitSync'; readonly size: number }
  | { readonly do: 'wait' | 'idle' | 'checkpoint' };

function newHistory(commit = 'pipelined', segmentSize = SMALL.segmentSize): LogHistory {
  return new LogHistory(() => new WriteAheadLog({ ...SMALL, segmentSize, commit }));
}

async function run(history: LogHistory, step: Step): Promise<void> {
  if (step.do === 'append') history.append(step.size);
  else if (step.do === 'commit') history.commit(step.size);
  else if (step.do === 'commitSync') history.commitSync(step.size);
  else if (step.do === 'wait') await history.wait();
  else if (step.do === 'idle') await idle();
  else await history.store.checkpoint();
}

/** So long that the stream writes down what is durable. */
async function idle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(1000);
}

async function end(
  history: LogHistory,
  how: 'crash' | 'kill' | 'close' | 'discard',
  survives: Survival,
): Promise<void> {
  if (how === 'crash') history.crash(survives);
  else if (how === 'kill') history.kill();
  else await history.close(how === 'discard', survives);
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
/** Time stands still here, which `group` waits for. */
const policy = fc.constantFrom('pipelined', 'autonomous', 'sync');
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
          const history = newHistory(commit, size);
          for (const { steps, how, seed, share, crashAfter } of lives) {
            history.disk.crashAt = history.disk.operations + crashAfter;
            let ended = how;
            try {
              await history.open();
              for (const each of steps) await run(history, each);
              if (how === 'close' || how === 'discard') await end(history, how, keepSome(seed, share));
            } catch (error) {
              if (!history.disk.isDead || !isPowerLoss(error)) throw error;
              ended = 'crash';
            }
            if (ended === 'crash' || ended === 'kill') {
              await end(history, history.disk.isDead ? 'crash' : ended, keepSome(seed, share));
            }
          }
          history.disk.crashAt = Number.POSITIVE_INFINITY;
          await history.open();
          await end(history, 'close', dropAll);
          await history.open();
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([
    ['short segments', 64 * 1024],
    ['segments that grow', 4 * 1024 * 1024],
  ])('survives a crash at every single I/O operation, whatever the disk keeps, in %s', async (_, segmentBytes) => {
    const workload = async (history: LogHistory) => {
      await history.open();
      history.commit(10);
      history.commit(400);
      await history.wait();
      await idle();
      history.commitSync(30_000);
      history.commitSync(20);
      history.commit(20_000);
      await history.wait();
      history.commit(700);
      history.commit(100_000);
      history.commitSync(30);
      await history.store.checkpoint();
      history.commit(50_000);
      await history.wait();
      history.commit(40);
      await history.wait();
      await idle();
    };
    const whole = newHistory('pipelined', segmentBytes);
    await workload(whole);
    const operations = whole.disk.operations;
    expect(operations).toBeGreaterThan(25);
    for (let at = 1; at <= operations + 1; at++) {
      const survivals = [dropAll, keepAll, ...[1, 2, 3, 4].map((seed) => keepSome(seed * 1000 + at))];
      for (const [which, survives] of survivals.entries()) {
        const history = newHistory('pipelined', segmentBytes);
        history.disk.crashAt = at;
        await workload(history).catch((error) => {
          if (!isPowerLoss(error)) throw error;
        });
        history.crash(survives);
        await expect(history.open(), `crash at operation ${at}, survival ${which}`).resolves.toBeUndefined();
        // and recovery itself may be cut off, at each of its operations, and be started over
        if (which === 2 && at % 5 === 0) await crashRecovery(history);
      }
    }
  });
});

async function crashRecovery(found: LogHistory): Promise<void> {
  found.commit(60);
  await found.wait();
  found.crash(keepSome(7));
  for (let at = 1; ; at++) {
    const history = found.fork();
    history.disk.crashAt = at;
    const cutOff = await history.open().then(
      () => false,
      (error) => {
        if (!history.disk.isDead || !isPowerLoss(error)) throw error;
        return true;
      },
    );
    if (!cutOff) return;
    history.crash(keepSome(at));
    await history.open();
  }
}
