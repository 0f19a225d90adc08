/** The anomalies that were found in a history. */
import { ANOMALY_NAMES, type AnomalyKind } from './anomaly-kinds.js';
import { nameOf, type TransactionId } from './transaction-history.js';

export interface Anomaly {
  readonly kind: AnomalyKind;
  /** Whether it takes into account that a transaction had ended before another one began. */
  readonly realTime: boolean;
  /** Who takes part: of a cycle, in its order. `T?.1` in the text stands for one of several who may have deleted the same key: its id is that of no recorded transaction. */
  readonly transactions: readonly TransactionId[];
  /** What happened, in lines that a person can follow. */
  readonly text: string;
}

/** Longer cycles are told in part. */
const MOST_NAMES = 12;
const MOST_LINES = 40;

export class Findings {
  readonly kept: Anomaly[] = [];
  /** How many there are of a kind, those included that are not kept. */
  readonly counts = new Map<AnomalyKind, number>();

  constructor(private readonly mostOfAKind: number) {}

  /** `lines` say what happened; they are made only if the anomaly is kept. */
  add(kind: AnomalyKind, transactions: readonly TransactionId[], lines: () => string[], realTime = false): void {
    const count = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, count);
    if (count > this.mostOfAKind) return;
    const who = firstOf(transactions.map(nameOf), MOST_NAMES).join(', ');
    const head = `${kind} (${ANOMALY_NAMES[kind]}${realTime ? ', by real time' : ''}) of ${who}:`;
    this.kept.push({
      kind,
      realTime,
      transactions,
      text: [head, ...firstOf(lines(), MOST_LINES).map((line) => `  ${line}`)].join('\n'),
    });
  }
}

function firstOf(texts: readonly string[], most: number): readonly string[] {
  return texts.length <= most ? texts : [...texts.slice(0, most), `and ${texts.length - most} more`];
}
