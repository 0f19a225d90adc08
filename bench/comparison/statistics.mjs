/** What many measurements of one thing say: the one in the middle, and how far they spread. */

/** The middle one; of an even number, the mean of the two in the middle. The list need not be sorted. */
export function median(list) {
  const sorted = list.toSorted((one, other) => one - other);
  const above = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[above] : (sorted[above - 1] + sorted[above]) / 2;
}

/** Median, least and most. */
export function summary(list) {
  return { median: median(list), least: Math.min(...list), most: Math.max(...list) };
}

/**
 * How many times faster one was than the other: the median of their rounds, each held against the same round, because what the
 * machine did then is in both. Both lists are costs, round by round; NaN if they have no round in common.
 */
export function timesFaster(costs, costsOfPeer) {
  const ratios = costs.flatMap((cost, round) => {
    const ofPeer = costsOfPeer[round];
    return cost === undefined || ofPeer === undefined ? [] : [ofPeer / cost];
  });
  return ratios.length === 0 ? Number.NaN : median(ratios);
}

/** Of several runs the middle of each time, by the clock and of the processor. */
export function middleOf(runs) {
  return { wallNs: median(runs.map(({ wallNs }) => wallNs)), cpuNs: median(runs.map(({ cpuNs }) => cpuNs)) };
}
