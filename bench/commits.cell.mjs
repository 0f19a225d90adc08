/**
 * One store under one load, in a process of its own. Sends its parent one message: what was measured, or that it is not there, or what failed. Then it kills itself, so that the process
 * that checks the store afterwards finds what is in its files, and not what closing would have put there.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Acknowledged, readAcknowledged, writeAcknowledged } from './commits/acknowledged.mjs';
import { checkEntries } from './commits/check.mjs';
import { closedLoop, closedLoopInPlace } from './commits/closed-loop.mjs';
import { keyOf, valueFor } from './commits/entries.mjs';
import { mark } from './commits/flushes.mjs';
import { percentiles } from './commits/latencies.mjs';
import { openLoop } from './commits/open-loop.mjs';
import { Committers } from './commits/threads.mjs';
import { loadEngine } from './comparison/choices.mjs';
import { NotThere } from './comparison/not-there.mjs';

/** What goes before what is measured, as a share of it, and at least: until then code is compiled, and files grow. */
const WARM_UP_SHARE = 0.5;
const LEAST_WARM_UP_MS = 500;
const WARM_UP_IN_FLIGHT = 64;
const WARM_UP_COMMITS = 20;
/** Of the time under open loop, how much goes by before commits count: at first there is no queue. */
const SETTLING_SHARE = 0.1;

process.on('message', async (task) => {
  let answer;
  try {
    answer = await (task.isCheck ? check(task) : measure(task));
  } catch (error) {
    answer = error instanceof NotThere ? { notThere: error.message } : { failed: error.stack };
  }
  process.send(answer, () => process.kill(process.pid, 'SIGKILL'));
});

// Whoever asked is gone.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const LOADS = {
  /** Committers who wait for each commit, in this thread or in several. */
  async awaited(context) {
    const { store, task } = context;
    if (store.commit === undefined) throw new NotThere(store.whyNotAwaited);
    if (task.threads > 1) return inThreads(context);
    const span = spanOf(task.seconds);
    const { inFlight } = task;
    return rated([await closedLoop(store, context.acknowledged, { inFlight, ...onThisClock(span) })], span);
  },

  async sync({ store, task, acknowledged }) {
    if (store.commitSync === undefined) throw new NotThere(store.whyNotSync);
    const span = spanOf(task.seconds);
    return rated([await closedLoopInPlace(store, acknowledged, onThisClock(span))], span);
  },

  async open({ store, task, acknowledged }) {
    if (store.commit === undefined) throw new NotThere(store.whyNotAwaited);
    const { perSecond, seed, seconds } = task;
    // By a closed loop: what an open one brings while code is compiled would be a queue to begin with.
    const warm = performance.now() + warmUpMs(seconds);
    await closedLoop(store, acknowledged, { inFlight: WARM_UP_IN_FLIGHT, from: warm, until: warm });
    const from = performance.now() + 1000 * SETTLING_SHARE * seconds;
    const span = { from, until: from + 1000 * seconds };
    const { latencies, late, ...counted } = await openLoop(store, acknowledged, { perSecond, seed, ...span });
    if (latencies.length === 0) throw new NotThere('nothing came in so short a time');
    const { p50, p99 } = percentiles([late]);
    return { ...counted, ...percentiles([latencies]), lateP50: p50, lateP99: p99 };
  },

  /** For whoever counts system calls: so many commits with a mark between any two. */
  async flushes({ store, task, acknowledged, directory }) {
    const isSync = task.form === 'sync';
    if (isSync && store.commitSync === undefined) throw new NotThere(store.whyNotSync);
    if (!isSync && store.commit === undefined) throw new NotThere(store.whyNotAwaited);
    const commit = async () => {
      const number = acknowledged.begin();
      if (isSync) store.commitSync(keyOf(number), valueFor(number), number);
      else await store.commit(keyOf(number), valueFor(number), number);
      acknowledged.done(number);
    };
    for (let left = WARM_UP_COMMITS; left > 0; left--) await commit();
    mark(directory);
    for (let left = task.commits; left > 0; left--) {
      await commit();
      mark(directory);
    }
    return { commits: task.commits };
  },
};

async function measure(task) {
  const engine = await loadEngine(task.module);
  const { directory } = task;
  const place = join(directory, 'store');
  mkdirSync(place, { recursive: true });
  const store = await engine.open(place, task);
  const acknowledged = new Acknowledged(0, 1);
  const context = { store, task, acknowledged, directory, flags: [] };
  const measured = await LOADS[task.load](context);
  writeAcknowledged(directory, context.flags.length > 0 ? context.flags : [acknowledged.flags()]);
  return { version: engine.version(), settings: store.settings, measured };
}

async function check(task) {
  const engine = await loadEngine(task.module);
  const store = await engine.open(join(task.directory, 'store'), task);
  const checked = await checkEntries(store, readAcknowledged(task.directory), engine.keeps?.(task));
  await store.close();
  return { checked };
}

function warmUpMs(seconds) {
  return Math.max(LEAST_WARM_UP_MS, 1000 * WARM_UP_SHARE * seconds);
}

/** What is measured, in milliseconds since 1970, which all threads know. */
function spanOf(seconds) {
  const from = performance.timeOrigin + performance.now() + warmUpMs(seconds);
  return { from, until: from + 1000 * seconds };
}

/** The same as this thread's `performance.now()` has it. */
function onThisClock({ from, until }) {
  return { from: from - performance.timeOrigin, until: until - performance.timeOrigin };
}

async function inThreads(context) {
  const { store, task } = context;
  const handle = store.share?.();
  if (handle === undefined) throw new NotThere('other threads cannot join it');
  const committers = await Committers.start(task.threads, task.module, handle);
  const span = spanOf(task.seconds);
  const each = await committers.run(task.inFlight, span);
  context.flags = each.map(({ flags }) => flags);
  return rated(
    each.map(({ latencies }) => latencies),
    span,
  );
}

function rated(lists, { from, until }) {
  const count = lists.reduce((sum, { length }) => sum + length, 0);
  if (count === 0) throw new NotThere('no commit was over in so short a time');
  return { perSecond: (1000 * count) / (until - from), ...percentiles(lists) };
}
