/**
 * What the rounds say, as data: for each measure and engine the median, the spread, and how it stands to a peer and to the machine; by the
 * clock (or in bytes), and by the processor's time. Everything measured is a cost: less is better.
 */
import { summary, timesFaster } from './statistics.mjs';

const LIMIT = 'machine';
const COSTS = {
  clock: (measured) => measured?.wallNs ?? measured?.bytes,
  cpu: (measured) => measured?.cpuNs,
};

/** @returns One row for each data set, workload and measure; of each engine its figures, or why there are none. */
export function rowsOf(results, workloads, peer) {
  const rows = [];
  for (const data of new Set(results.map((result) => result.data))) {
    for (const { name, workload } of workloads) {
      const ofWorkload = results.filter((result) => result.data === data && result.workload === name);
      if (ofWorkload.length === 0) continue;
      for (const [measure, { title, unit, target }] of Object.entries(workload.measures)) {
        const engines = ofWorkload.map((result) => figures(result, measure, ofWorkload, peer));
        rows.push({
          data,
          workload: name,
          measure,
          title,
          unit,
          engines,
          target: targetOf(target, measure, ofWorkload),
        });
      }
    }
  }
  return rows;
}

function figures(result, measure, ofWorkload, peer) {
  const { engine, notThere, failed } = result;
  if (failed !== undefined) return { engine, failed };
  const found = { engine };
  for (const cost of Object.keys(COSTS)) {
    const costs = costsOf(ofWorkload, engine, measure, cost);
    const taken = costs.filter((one) => one !== undefined);
    if (taken.length === 0) continue;
    found[cost] = {
      ...summary(taken),
      timesPeer: timesFaster(costs, costsOf(ofWorkload, peer, measure, cost)),
      timesLimit: 1 / timesFaster(costs, costsOf(ofWorkload, LIMIT, measure, cost)),
    };
  }
  return found.clock === undefined ? { engine, notThere } : found;
}

/**
 * What Pagewright should be, and what it is, by the clock and by the processor's time: so many times faster than a peer, or than it is itself in
 * another measure of the workload.
 */
function targetOf(target, measure, ofWorkload) {
  if (target === undefined) return undefined;
  const { peer = 'pagewright', measure: other = measure } = target;
  const reached = (cost) =>
    timesFaster(costsOf(ofWorkload, 'pagewright', measure, cost), costsOf(ofWorkload, peer, other, cost));
  return { ...target, clock: reached('clock'), cpu: reached('cpu') };
}

/** Round by round; undefined where there is none. */
function costsOf(ofWorkload, engine, measure, cost) {
  const rounds = ofWorkload.find((result) => result.engine === engine)?.rounds ?? [];
  return Array.from(rounds, (round) => COSTS[cost](round?.[measure]));
}
