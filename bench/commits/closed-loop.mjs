/**
 * So many committers, each of which commits again as soon as its last commit is durable. Counted are commits that end between `from` and `until`, on this thread's
 * `performance.now()`; the time before is for compiling and for files to grow.
 */
import { keyOf, valueFor } from './entries.mjs';
import { Latencies } from './latencies.mjs';

/** After so many, a program that commits in place lets its event loop turn: logs prepare their next segment there. */
const COMMITS_A_TURN = 64;

/** Each commit is awaited before its committer begins the next. Resolves when the last one is durable. */
export async function closedLoop(store, acknowledged, { inFlight, from, until }) {
  const latencies = new Latencies();
  const one = async () => {
    for (let before = performance.now(); before < until; ) {
      const number = acknowledged.begin();
      await store.commit(keyOf(number), valueFor(number), number);
      acknowledged.done(number);
      const after = performance.now();
      if (after >= from && after < until) latencies.add(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return latencies.values();
}

/** One committer whose commits are durable when the call returns. */
export async function closedLoopInPlace(store, acknowledged, { from, until }) {
  const latencies = new Latencies();
  while (performance.now() < until) {
    for (let left = COMMITS_A_TURN; left > 0; left--) {
      const before = performance.now();
      if (before >= until) break;
      const number = acknowledged.begin();
      store.commitSync(keyOf(number), valueFor(number), number);
      acknowledged.done(number);
      const after = performance.now();
      if (after >= from && after < until) latencies.add(after - before);
    }
    await new Promise(setImmediate);
  }
  return latencies.values();
}
