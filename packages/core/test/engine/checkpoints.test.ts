/** When checkpoints begin, and in which order a checkpoint does what: with parts that only note what is asked of them. */
import { expect, test, vi } from 'vitest';
import { type CheckpointOptions, Checkpoints } from '../../src/engine/checkpoints.js';
import { EngineState } from '../../src/engine/state.js';
import {
  type CheckpointSteps,
  type Concurrency,
  type Log,
  type LogMark,
  type PageStore,
  Threads,
} from '../../src/index.js';

function setUp(options: CheckpointOptions = {}, state = new EngineState()) {
  const calls: string[] = [];
  const closing = new AbortController();
  const counted = { pageReads: 0, pageWrites: 0 };
  const running: { steps: CheckpointSteps; finish: () => void; fail: (error: Error) => void }[] = [];
  const older: LogMark = { incarnation: 1, segment: 1, offset: 10 };
  const pages = {
    checkpoint: (steps: CheckpointSteps) =>
      new Promise((resolve, reject) => {
        const mark = steps.gate();
        calls.push(`gate ${mark.timestamp} ${mark.log.segment}`);
        const finish = () => {
          steps.secureLog(mark).then(() => {
            calls.push('superblock');
            resolve({ mark, olderMark: { timestamp: 0, log: older } });
          }, reject);
        };
        running.push({ steps, finish, fail: reject });
      }),
    stats: () => ({ fileBytes: 0, freeFileBytes: 0, ...counted }),
    threads: Threads.alone(),
  } as unknown as PageStore;
  const log = {
    mark: () => ({ incarnation: 1, segment: 5, offset: 0 }),
    secure: async (mark: LogMark) => void calls.push(`secure ${mark.segment}`),
    recycle: async (mark: LogMark) => void calls.push(`recycle ${mark.segment}`),
  } as unknown as Log;
  const { signal } = closing;
  const concurrency = { visible: 7, assertSound: () => {} } as Concurrency;
  const checkpoints = new Checkpoints(pages, log, concurrency, state, options, signal);
  return { checkpoints, calls, running, state, closing, counted };
}

test('the log is durable up to the mark before the superblock, and only then recycled, from the older slot on (C3, C4)', async () => {
  const { checkpoints, calls, running } = setUp();
  const done = checkpoints.run();
  running[0]!.finish();
  await done;
  checkpoints.stopTimer();
  expect(calls).toEqual(['gate 7 5', 'secure 5', 'superblock', 'recycle 1']);
});

test('at the end both superblocks name no log, and nothing is asked of it', async () => {
  const { checkpoints, calls, running } = setUp();
  const done = checkpoints.finish();
  for (let i = 0; i < 2; i++) {
    while (running.length <= i) await new Promise(setImmediate);
    running[i]!.finish();
  }
  await done;
  expect(calls.filter((call) => call.startsWith('gate') || call.startsWith('secure'))).toEqual([
    'gate 7 0',
    'gate 7 0',
  ]);
});

test.each([
  [100_000],
  ['100KB'],
])('one begins when there is enough log (%s), and commits wait when it does not keep up', async (logBytes) => {
  const { checkpoints, running } = setUp({ logBytes });
  checkpoints.committed(99_999, 1);
  expect(running.length).toBe(0);
  checkpoints.committed(1, 1);
  expect(running.length).toBe(1);
  checkpoints.committed(399_999, 1);
  expect([running.length, checkpoints.behind]).toEqual([1, false]);
  checkpoints.committed(1, 1);
  expect(checkpoints.behind).toBe(true);
  let caughtUp = false;
  const waiting = checkpoints.catchUp().then(() => {
    caughtUp = true;
  });
  await new Promise(setImmediate);
  expect(caughtUp).toBe(false);
  running[0]!.finish();
  await waiting;
  expect(checkpoints.behind).toBe(false);
  checkpoints.stopTimer();
});

test('one that is late brings out pieces, until commits wait for it: then it leaves them to its sync', async () => {
  const { checkpoints, running } = setUp({ logBytes: 100_000 });
  checkpoints.committed(100_000, 1);
  const { steps } = running[0]!;
  let pieces = 0;
  const advance = () => steps.advanced!({ written: 0.5, inPieces: true }, async () => void pieces++);
  checkpoints.committed(399_999, 1);
  await advance();
  expect([checkpoints.behind, pieces]).toEqual([false, 1]);
  checkpoints.committed(1, 1);
  await advance();
  expect([checkpoints.behind, pieces]).toEqual([true, 1]);
  running[0]!.finish();
  await checkpoints.catchUp();
  checkpoints.stopTimer();
});

test('one begins earlier where changes had to read pages, which a replay will read again, and no others', async () => {
  const { checkpoints, running, counted } = setUp({ logBytes: 64 * 1024 });
  const finished = async () => {
    running.at(-1)!.finish();
    await checkpoints.catchUp();
  };
  counted.pageReads = 1000;
  await Promise.all([checkpoints.run(), finished()]);
  // What was read before the gate does not count.
  checkpoints.committed(62 * 1024, 40);
  expect(running.length).toBe(1);
  // Nor does what was read beyond what was changed.
  await Promise.all([checkpoints.run(), finished()]);
  counted.pageReads += 1000;
  checkpoints.committed(1024, 1);
  checkpoints.committed(1024, 50);
  expect(running.length).toBe(2);
  checkpoints.committed(1024, 3);
  expect(running.length).toBe(3);
  await finished();
  checkpoints.committed(31 * 1024, 100);
  expect(running.length).toBe(3);
  counted.pageReads += 32;
  checkpoints.committed(1024, 50);
  expect(running.length).toBe(4);
  await finished();
  checkpoints.stopTimer();
});

test('changes of a few bytes count as what they take to be made again, in one commit and in many', async () => {
  const { checkpoints, running, counted } = setUp({ logBytes: 192_000 });
  checkpoints.committed(16 * 999, 999);
  expect(running.length).toBe(0);
  checkpoints.committed(16, 1);
  expect(running.length).toBe(1);
  for (let i = 1; i < 4000; i++) checkpoints.committed(16, 1);
  expect(checkpoints.behind).toBe(false);
  checkpoints.committed(16, 1);
  expect(checkpoints.behind).toBe(true);
  running[0]!.finish();
  await checkpoints.catchUp();
  // So do pages that have to be read.
  checkpoints.committed(192_000, 400);
  expect(running.length).toBe(2);
  checkpoints.committed(600_000, 400);
  expect(checkpoints.behind).toBe(false);
  counted.pageReads += 400;
  expect(checkpoints.behind).toBe(true);
  running[1]!.finish();
  await checkpoints.catchUp();
  checkpoints.stopTimer();
});

test('what another thread commits in place waits as long as the checkpoint gets on, and for one that does not once', async () => {
  const { state, checkpoints: owners, running } = setUp();
  const { checkpoints, counted } = setUp({}, new EngineState({ memory: state.memory }));
  const waits = vi.spyOn(Atomics, 'wait');
  const waited = (): number => waits.mock.calls.splice(0).length;
  try {
    owners.catchUpSync();
    checkpoints.catchUpSync();
    expect(waited()).toBe(0);
    const begun = owners.run();
    let steps = 3;
    waits.mockImplementation(() => {
      counted.pageWrites++;
      if (--steps > 0) return 'timed-out';
      state.memory.checkpointEnds();
      return 'ok';
    });
    owners.catchUpSync();
    expect(waited()).toBe(0);
    checkpoints.catchUpSync();
    expect(waited()).toBe(3);
    running[0]!.finish();
    await begun;
    const stuck = owners.run();
    waits.mockImplementation(() => 'timed-out');
    checkpoints.catchUpSync();
    expect(waited()).toBe(2);
    checkpoints.catchUpSync();
    expect(waited()).toBe(0);
    running[1]!.finish();
    await stuck;
    const next = owners.run();
    checkpoints.catchUpSync();
    expect(waited()).toBe(2);
    running[2]!.finish();
    await next;
  } finally {
    waits.mockRestore();
    owners.stopTimer();
  }
});

test('one that fails turns the engine read-only, and none begins afterwards', async () => {
  const { checkpoints, running, state } = setUp({ logBytes: 100 });
  const done = checkpoints.run();
  running[0]!.fail(new Error('no space'));
  await expect(done).rejects.toThrow('no space');
  expect(state.name).toBe('read-only');
  checkpoints.committed(1000, 1);
  expect(running.length).toBe(1);
  await expect(checkpoints.run()).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
  checkpoints.stopTimer();
});

test('one that is under way when the engine fails does not count', async () => {
  const { checkpoints, calls, running, state } = setUp();
  const done = checkpoints.run();
  state.fail(new Error('half a commit'));
  running[0]!.finish();
  await expect(done).rejects.toThrow('half a commit');
  expect(calls).not.toContain('superblock');
  checkpoints.stopTimer();
});

test.each([
  [{}, 1],
  [{ dutyCycle: 0.5 }, 1],
  [{ dutyCycle: 1 }, 0],
])('with the options %o one beside readers brings what it has written to the device %i times after a batch', async (options, times) => {
  const { checkpoints, running, closing, counted } = setUp(options);
  const done = checkpoints.run();
  let syncs = 0;
  const sync = async () => void syncs++;
  const { steps, finish } = running[0]!;
  await steps.advanced?.({ written: 0.2 }, sync);
  expect(syncs).toBe(0);
  counted.pageReads++;
  await steps.advanced?.({ written: 0.4 }, sync);
  expect(syncs).toBe(times);
  closing.abort();
  counted.pageReads++;
  await steps.advanced?.({ written: 0.6 }, sync);
  expect(syncs).toBe(times);
  finish();
  await done;
  checkpoints.stopTimer();
});

test('one makes no way for others while somebody waits for it', async () => {
  const { checkpoints, running, counted } = setUp();
  const done = checkpoints.run();
  let syncs = 0;
  const { steps, finish } = running[0]!;
  const batch = async (): Promise<boolean> => {
    const before = syncs;
    counted.pageReads++;
    await steps.advanced?.({ written: 0.5 }, async () => void syncs++);
    return syncs > before;
  };
  expect(await batch()).toBe(true);
  const calm = checkpoints.hurry();
  expect(await batch()).toBe(false);
  calm();
  calm();
  expect(await batch()).toBe(true);
  const atOnce = checkpoints.runAtOnce();
  expect(await batch()).toBe(false);
  running[1]!.finish();
  await atOnce;
  expect(await batch()).toBe(true);
  const ending = new AbortController();
  const interrupted = checkpoints.run(ending.signal);
  expect(await batch()).toBe(true);
  ending.abort();
  expect(await batch()).toBe(false);
  running[2]!.finish();
  await interrupted;
  expect(await batch()).toBe(true);
  finish();
  await done;
  checkpoints.stopTimer();
});
