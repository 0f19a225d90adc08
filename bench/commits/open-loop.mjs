/**
 * Commits that come when they come, however long those before them take: at random, so many a second on average (Poisson), the same for the same seed. The latency
 * of a commit is from when it was due until it is durable: if the program was late to begin it, that counts.
 */
import { Random } from '../comparison/random.mjs';
import { Alarm } from './alarm.mjs';
import { keyOf, valueFor } from './entries.mjs';
import { Latencies } from './latencies.mjs';

/** So many are begun in one turn of the event loop, whoever else is late: else a program that cannot keep up would never hear what came of the others. */
const MOST_A_TURN = 64;
/** So many under way are more than ever come back in time: no more are begun. */
const MOST_UNDER_WAY = 100_000;
/** What is not durable so long after the last arrival counts with what it took until then. */
const GRACE_MS = 1000;
/** With less than this share of what came done in time, the store has not kept up. */
const KEPT_UP = 0.95;
/** The program sleeps at least so long when nothing is due: what is due meanwhile begins together. */
const SHORTEST_SLEEP_MS = 0.1;

/**
 * Counted are commits that are due between `from` and `until`. `late`: how long after it was due each was begun. `isOverloaded`: less came back than was given.
 *
 * @returns {Promise<{ latencies: Float64Array, late: Float64Array, arrivals: number, perSecond: number, isOverloaded: boolean }>}
 */
export async function openLoop(store, acknowledged, { perSecond, seed, from, until }) {
  const random = new Random(seed);
  const gap = () => (-Math.log(1 - random.unit()) * 1000) / perSecond;
  const first = acknowledged.begun;
  const dues = [];
  const latencies = new Latencies();
  const late = new Latencies();
  let underWay = 0;
  let doneInTime = 0;
  let failure = null;

  const begin = async (due) => {
    const number = acknowledged.begin();
    dues.push(due);
    underWay++;
    if (due >= from) late.add(performance.now() - due);
    try {
      await store.commit(keyOf(number), valueFor(number), number);
    } catch (error) {
      failure ??= error;
      return;
    }
    const after = performance.now();
    acknowledged.done(number);
    underWay--;
    if (after >= from && after < until) doneInTime++;
    if (due >= from) latencies.add(after - due);
  };

  const alarm = await Alarm.start();
  let end = until;
  let due = performance.now() + gap();
  while (due < until && end === until) {
    const now = performance.now();
    if (now > until + GRACE_MS) break;
    for (let left = MOST_A_TURN; left > 0 && due <= now && due < until; left--, due += gap()) begin(due);
    if (failure !== null) throw failure;
    if (underWay >= MOST_UNDER_WAY) end = Math.min(until, now);
    await (due <= now ? turn() : alarm.until(Math.max(due, now + SHORTEST_SLEEP_MS)));
  }
  while (underWay > 0 && performance.now() < until + GRACE_MS && failure === null)
    await alarm.until(performance.now() + 1);
  await alarm.end();
  if (failure !== null) throw failure;

  const now = performance.now();
  let arrivals = 0;
  for (const [at, since] of dues.entries()) {
    if (since < from) continue;
    arrivals++;
    if (!acknowledged.has(first + at)) latencies.add(now - since);
  }
  // Those that were due and not even begun.
  for (; due < end; due += gap()) {
    if (due < from) continue;
    arrivals++;
    latencies.add(now - due);
  }
  return {
    latencies: latencies.values(),
    late: late.values(),
    arrivals,
    perSecond: (1000 * doneInTime) / Math.max(1, end - from),
    isOverloaded: end < until || doneInTime < KEPT_UP * arrivals,
  };
}

function turn() {
  return new Promise(setImmediate);
}
