/**
 * Looks through a history for anomalies, in time that grows as the history does. What is wrong with a single read is found first. Then dependencies are put into graphs
 * one kind after another, the worst first; a strongly connected component is a cycle of some kind, and the shortest that is found in it is told. An edge
 * within a component of a worse graph is no news.
 *
 * Snapshot isolation has a graph of its own, in which every transaction is two nodes, its beginning and its end: ww and wr lead from the end of one to the
 * beginning of another, rw from the beginning of one to the end of another. It has a cycle just if there is one in which no two rw follow each other; and its
 * order, where it has none, is one in which the transactions could have begun and ended (Cerone and Gotsman, Analysing Snapshot Isolation, PODC 2016).
 */
import { checkLimit, checkNames, checkOneOf } from '../option-check.js';
import { type AnomalyKind, allowedBy, type IsolationLevel } from './anomaly-kinds.js';
import { CycleSearch, SILENT } from './cycle-search.js';
import { Dependencies, PREDICATE_RW, RW, WR, WW } from './dependencies.js';
import { Digraph } from './digraph.js';
import { type Anomaly, Findings } from './findings.js';
import { Observations } from './observations.js';
import { Steps } from './steps.js';
import { addTime, BY_TIME, type TimedEvent, timesOf } from './timeline.js';
import { nameOf, type RecordedTransaction, type TransactionHistory } from './transaction-history.js';
import { WriteIndex } from './write-index.js';

export interface CheckOptions {
  /**
   * Takes times into account. `snapshot`: what was committed before a transaction began it sees, and of what was committed only afterwards nothing (strong snapshot isolation:
   * Daudjee and Salem, VLDB 2006). `serializable`: transactions are in an order in which none comes after one that began when it had ended (strict serializability).
   * Default: no. All transactions need times.
   */
  readonly realTime?: 'snapshot' | 'serializable';
  /** Of each kind so many anomalies are told, at least one; all are counted. Default: 10. */
  readonly mostOfAKind?: number;
}

export interface AnomalyReport {
  readonly anomalies: readonly Anomaly[];
  /** How many of each kind were found. Of cycles, one for each strongly connected component. */
  readonly counts: ReadonlyMap<AnomalyKind, number>;
  /** Transactions that count as committed, and dependencies between them. */
  readonly transactions: number;
  readonly dependencies: number;
  /** What checking took: things that were looked at. */
  readonly steps: number;
}

/** Errors: `HistoryError` for a history that no recorder makes; `RangeError` and `TypeError` for options that there are not. */
export function findAnomalies(history: TransactionHistory, options: CheckOptions = {}): AnomalyReport {
  checkNames('findAnomalies', options, ['realTime', 'mostOfAKind']);
  const { realTime, mostOfAKind = 10 } = options;
  if (realTime !== undefined) checkOneOf('realTime', realTime, ['snapshot', 'serializable']);
  // What is counted and not told is not there for `forbiddenBy`.
  checkLimit('mostOfAKind', mostOfAKind, 1);
  const steps = new Steps();
  const findings = new Findings(mostOfAKind);
  const writes = new WriteIndex(history, steps);
  const observations = new Observations(writes, findings, steps);
  const dependencies = new Dependencies(writes, observations, findings, steps);
  new CycleCheck(writes, dependencies, findings, steps).check(realTime);
  return {
    anomalies: findings.kept,
    counts: findings.counts,
    transactions: history.transactions.reduce((sum, _, at) => sum + (writes.counts(at) ? 1 : 0), 0),
    dependencies: dependencies.kind.length,
    steps: steps.count,
  };
}

/** What a level does not allow of what was found. */
export function forbiddenBy(level: IsolationLevel, { anomalies }: AnomalyReport): Anomaly[] {
  const allowed = allowedBy(level);
  return anomalies.filter(({ kind }) => !allowed.has(kind));
}

class CycleCheck {
  constructor(
    private readonly writes: WriteIndex,
    private readonly dependencies: Dependencies,
    private readonly findings: Findings,
    private readonly steps: Steps,
  ) {}

  check(realTime: CheckOptions['realTime']): void {
    const { kind, from, to } = this.dependencies;
    const written = this.#graph((edge) => kind[edge] === WW, false);
    this.#tell(
      written,
      () => true,
      () => 'G0',
    );

    const flow = this.#graph((edge) => kind[edge] === WW || kind[edge] === WR, false);
    const isFlow = (edge: number): boolean => flow.search.isTogether(from[edge] as number, to[edge] as number);
    const isWritten = (edge: number): boolean => written.search.isTogether(from[edge] as number, to[edge] as number);
    this.#tell(
      flow,
      (edge) => kind[edge] === WR && !isWritten(edge),
      () => 'G1c',
    );

    const snapshots = this.#snapshots(false);
    const isSkew = (edge: number): boolean => snapshots.search.isTogether(...this.#eventsOf(edge));
    const isAnti = (edge: number): boolean => kind[edge] === RW || kind[edge] === PREDICATE_RW;
    this.#tell(
      snapshots,
      (edge) => isAnti(edge) && !isFlow(edge),
      (cycle) => this.#kindOf(cycle),
      isAnti,
    );

    const items = this.#graph((edge) => kind[edge] !== PREDICATE_RW, false);
    const isNews = (edge: number): boolean => !isFlow(edge) && !isSkew(edge);
    this.#tell(
      items,
      (edge) => kind[edge] === RW && isNews(edge),
      () => 'G2-item',
    );

    const all = this.#graph(() => true, false);
    const byItem = new Set<number>();
    const pairOf = (edge: number): number =>
      (from[edge] as number) * this.writes.transactions.length + (to[edge] as number);
    for (let edge = 0; edge < kind.length; edge++) if (kind[edge] === RW) byItem.add(pairOf(edge));
    this.#tell(
      all,
      (edge) => kind[edge] === PREDICATE_RW && isNews(edge) && !byItem.has(pairOf(edge)),
      () => 'G2',
    );
    if (realTime === 'snapshot') {
      this.#tell(
        this.#snapshots(true),
        (edge) => !isSkew(edge),
        (cycle) => this.#kindOf(cycle),
        isAnti,
      );
    } else if (realTime === 'serializable') {
      const isCyclic = (edge: number): boolean => all.search.isTogether(from[edge] as number, to[edge] as number);
      this.#tell(
        this.#graph(() => true, true),
        (edge) => !isCyclic(edge),
        (cycle) => this.#kindOf(cycle),
        isAnti,
      );
    }
  }

  /** Tells of each component that has wanted dependencies on a cycle. */
  #tell(
    { graph, search }: Searched,
    isWanted: (dependency: number) => boolean,
    kindOf: (cycle: readonly number[]) => AnomalyKind,
    isAnti?: (dependency: number) => boolean,
  ): void {
    const labelOf = (edge: number): number => graph.label[edge] as number;
    for (const edges of search.byComponent((edge) => labelOf(edge) >= 0 && isWanted(labelOf(edge)))) {
      // One anti-dependency is worse than several.
      const single = isAnti && search.shortest(edges, (edge) => !isAnti(labelOf(edge)));
      const cycle = single ?? search.shortest(edges);
      if (cycle === null) throw new Error('An edge within a component is on no cycle.');
      this.#add(kindOf(cycle.map(labelOf)), cycle.map(labelOf));
    }
  }

  /** By what a cycle is made of; time is neither one thing nor the other. */
  #kindOf(cycle: readonly number[]): AnomalyKind {
    const kinds = cycle.map((edge) => this.dependencies.kind[edge]);
    const isAnti = kinds.map((kind) => kind === RW || kind === PREDICATE_RW);
    const anti = isAnti.filter(Boolean).length;
    if (anti === 0) return kinds.includes(WR) ? 'G1c' : 'G0';
    if (anti === 1) return 'G-single';
    if (!isAnti.some((is, at) => is && isAnti[(at + 1) % isAnti.length])) return 'G-nonadjacent';
    return kinds.includes(PREDICATE_RW) ? 'G2' : 'G2-item';
  }

  #add(kind: AnomalyKind, cycle: readonly number[]): void {
    const { dependencies, writes } = this;
    const recordOf = (position: number): RecordedTransaction => writes.transactions[position] as RecordedTransaction;
    // Who an edge of time leads from and to is told by those beside it.
    const starts = cycle.map((edge, at) => {
      const before = cycle[(at + cycle.length - 1) % cycle.length] as number;
      return recordOf((edge === BY_TIME ? dependencies.to[before] : dependencies.from[edge]) as number);
    });
    const lines = (): string[] =>
      cycle.map((edge, at) => {
        if (edge !== BY_TIME) return dependencies.text(edge);
        const [first, second] = [starts[at], starts[(at + 1) % cycle.length]] as [
          RecordedTransaction,
          RecordedTransaction,
        ];
        return `${timeText(first)}, and ${timeText(second)}: real time`;
      });
    this.findings.add(
      kind,
      starts.map(({ id }) => id),
      lines,
      cycle.includes(BY_TIME),
    );
  }

  /** Every transaction a node. */
  #graph(isIn: (dependency: number) => boolean, isTimed: boolean): Searched {
    const { dependencies, writes, steps } = this;
    const graph = new Digraph(writes.transactions.length, steps);
    for (let edge = 0; edge < dependencies.kind.length; edge++)
      if (isIn(edge)) graph.addEdge(dependencies.from[edge] as number, dependencies.to[edge] as number, edge);
    if (isTimed) {
      addTime(
        graph,
        this.#timed().map((transaction) => {
          const { began, ended } = timesOf(writes.transactions[transaction] as RecordedTransaction);
          return { node: transaction, asked: began.asked, over: ended.over };
        }),
      );
    }
    return { graph, search: new CycleSearch(graph, steps) };
  }

  /** Every transaction two nodes. */
  #snapshots(isTimed: boolean): Searched {
    const { dependencies, writes, steps } = this;
    const graph = new Digraph(2 * writes.transactions.length, steps);
    for (let edge = 0; edge < dependencies.kind.length; edge++) graph.addEdge(...this.#eventsOf(edge), edge);
    for (const transaction of this.#counted()) graph.addEdge(2 * transaction, 2 * transaction + 1, SILENT);
    if (isTimed) {
      const events: TimedEvent[] = [];
      for (const transaction of this.#timed()) {
        const { began, ended } = timesOf(writes.transactions[transaction] as RecordedTransaction);
        events.push({ node: 2 * transaction, ...began }, { node: 2 * transaction + 1, ...ended });
      }
      addTime(graph, events);
    }
    return { graph, search: new CycleSearch(graph, steps) };
  }

  /** What comes before what, for a dependency: beginnings are even, ends odd. */
  #eventsOf(dependency: number): [before: number, after: number] {
    const { from, to, kind } = this.dependencies;
    const [first, second] = [2 * (from[dependency] as number), 2 * (to[dependency] as number)];
    return kind[dependency] === WW || kind[dependency] === WR ? [first + 1, second] : [first, second + 1];
  }

  #counted(): number[] {
    return this.writes.transactions.map((_, position) => position).filter((position) => this.writes.counts(position));
  }

  /** Who is one of several has no times. */
  #timed(): number[] {
    return this.#counted().filter((position) => position < this.writes.recorded);
  }
}

interface Searched {
  readonly graph: Digraph;
  readonly search: CycleSearch;
}

function timeText(transaction: RecordedTransaction): string {
  const { began, ended } = timesOf(transaction);
  return `${nameOf(transaction.id)} began between ${began.asked} and ${began.over}, and ended between ${ended.asked} and ${ended.over}`;
}
