/**
 * What was before what by the clock. Events that lie between two instants come to a graph by a chain of nodes, one for each end of an event in order of time: an event
 * leads to its own node, and is led to by the last one before it. So one event can be reached from another by the chain just if that was over before it was asked for.
 */

import { SILENT } from './cycle-search.js';
import type { Digraph } from './digraph.js';
import { HistoryError, type Interval, nameOf, type RecordedTransaction } from './transaction-history.js';

/** Label of the edge from the chain to an event. */
export const BY_TIME = -2;

export interface TimedEvent {
  readonly node: number;
  readonly asked: number;
  readonly over: number;
}

/** When the transaction began and ended. */
export function timesOf({ id, began, ended }: RecordedTransaction): { began: TimedInterval; ended: TimedInterval } {
  const [start, end] = [began, ended].map((interval) => interval && timed(interval));
  if (start === undefined || end === undefined)
    throw new HistoryError(`${nameOf(id)} has no times: a history without them cannot be checked by real time.`);
  if (!(start.asked < start.over && start.over < end.asked && end.asked < end.over))
    throw new HistoryError(`${nameOf(id)} has times out of order.`);
  return { began: start, ended: end };
}

interface TimedInterval {
  readonly asked: number;
  readonly over: number;
}

function timed([asked, over]: Interval): TimedInterval {
  return { asked, over: over ?? Number.POSITIVE_INFINITY };
}

export function addTime(graph: Digraph, events: readonly TimedEvent[]): void {
  const ending = events.filter(({ over }) => over !== Number.POSITIVE_INFINITY).sort((a, b) => a.over - b.over);
  const asking = [...events].sort((a, b) => a.asked - b.asked);
  let last = -1;
  let ended = 0;
  for (const { node, asked } of asking) {
    for (; ended < ending.length && (ending[ended] as TimedEvent).over < asked; ended++) {
      const link = graph.addNode();
      if (last >= 0) graph.addEdge(last, link, SILENT);
      graph.addEdge((ending[ended] as TimedEvent).node, link, SILENT);
      last = link;
    }
    if (last >= 0) graph.addEdge(last, node, BY_TIME);
  }
}
