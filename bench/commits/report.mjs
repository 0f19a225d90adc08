/**
 * What the rounds say, as data: for each setting of each part and each contestant the medians and the spread, and how it stands to a peer and to the machine: × 4 is four times faster. The limit
 * of the machine is whichever way of flushing was the better one in that setting.
 */
import { median, summary, timesFaster } from '../comparison/statistics.mjs';

/** What a round is judged by: less is better. */
const COSTS = { one: ({ p50 }) => p50, 'in-flight': ({ perSecond }) => 1 / perSecond };
const FIGURES = ['perSecond', 'p50', 'p99', 'p999', 'most', 'arrivals', 'lateP50', 'lateP99'];

/** @returns One row for each result: its figures, or why there are none. */
export function rowsOf(results, contestants, peer) {
  const limits = contestants.filter(({ isLimit }) => isLimit).map(({ name }) => name);
  return results.map((result) => {
    const { part, setting, engine, rounds, notThere, failed } = result;
    const about = { part, ...setting, engine };
    if (failed !== undefined) return { ...about, failed };
    const taken = rounds.filter((round) => round !== undefined);
    if (taken.length === 0) return { ...about, notThere };
    if (part === 'flushes') return { ...about, ...taken[0] };
    const row = { ...about };
    for (const figure of FIGURES) {
      if (taken[0][figure] !== undefined) row[figure] = summary(taken.map((round) => round[figure]));
    }
    if (part === 'open-loop') {
      const overloaded = taken.filter(({ isOverloaded }) => isOverloaded);
      return { ...row, isOverloaded: overloaded.length > taken.length / 2 };
    }
    const others = results.filter((other) => other.part === part && other.setting === setting);
    const costs = costsOf(result);
    const costsOfPeer = costsOf(others.find((other) => other.engine === peer));
    const limit = best(others.filter((other) => limits.includes(other.engine)));
    return {
      ...row,
      timesPeer: timesFaster(costs, costsOfPeer),
      limit: limit?.engine,
      timesLimit: timesFaster(costs, costsOf(limit)),
    };
  });
}

/** The most commits a second that a policy has made in one thread; undefined if there is none. */
export function bestThroughput(results, contestants) {
  const own = contestants.filter(({ isOwn }) => isOwn).map(({ name }) => name);
  const rates = results
    .filter(({ part, setting, engine }) => part === 'in-flight' && setting.threads === 1 && own.includes(engine))
    .map(({ rounds }) => rounds.flatMap((round) => round?.perSecond ?? []))
    .filter(({ length }) => length > 0);
  return rates.length === 0 ? undefined : Math.max(...rates.map((ofRounds) => median(ofRounds)));
}

/** Of those that were measured, the one whose median cost is least. */
function best(results) {
  const costs = (result) => costsOf(result).filter((cost) => cost !== undefined);
  return results
    .filter((result) => costs(result).length > 0)
    .sort((one, other) => median(costs(one)) - median(costs(other)))[0];
}

/** Round by round; undefined where there is none. */
function costsOf(result) {
  return Array.from(result?.rounds ?? [], (round) => round && COSTS[result.part](round));
}
