/**
 * What a workload has asked of a store, in order, and what it was promised. After a crash the store must hold all that was acknowledged, nothing by half, nothing that was
 * refused, and with each entry all that it had seen (T1): a prefix, as a rule. A transaction that began while others were on their way has not seen these, and may
 * be there without them.
 */

/** A key with its new value, or null if it is deleted. Values are told apart by their label. */
export interface Change {
  readonly index: string;
  readonly key: string;
  readonly label: string | null;
}

/** What takes effect whole, or not at all. `step` is the number of the workload's step that asked for it, from 0. */
export type Entry = { readonly step: number } & (
  | { readonly kind: 'commit'; readonly changes: readonly Change[] }
  | { readonly kind: 'create' | 'clear' | 'drop'; readonly index: string }
  /** All that is in the index is replaced. */
  | { readonly kind: 'load'; readonly index: string; readonly changes: readonly Change[] }
);

/**
 * `open`: not answered yet, or answered in a way that leaves open what became of it (`PW_COMMIT_UNKNOWN`). `refused`: it
 * must never be seen.
 */
export type Outcome = 'open' | 'acknowledged' | 'refused';

/** Index → key → label of the value. */
export type Content = Map<string, Map<string, string>>;

/** How far the history had come at an instant. */
export interface HistoryMark {
  /** Entries that had been asked for. */
  readonly asked: number;
  /** Entries below this number must be there: all of them were acknowledged, or seen by one that was. */
  readonly promised: number;
  /** Those from there on that must be there as well: they were acknowledged. */
  readonly acknowledged: readonly number[];
}

/** The history of one sequence of entries, which take effect in the order in which they were asked for. */
export class History {
  readonly #entries: Entry[] = [];
  readonly #outcomes: Outcome[] = [];
  /** For each entry: those below this number it has seen. */
  readonly #seen: number[] = [];
  #promised = 0;
  #acknowledged: number[] = [];

  get length(): number {
    return this.#entries.length;
  }

  /** Takes note of an entry that is about to be asked for, and has seen those below a number, all if none is given; its own number. */
  ask(entry: Entry, seen = this.length): number {
    this.#outcomes.push('open');
    this.#seen.push(seen);
    return this.#entries.push(entry) - 1;
  }

  settle(number: number, outcome: Outcome): void {
    this.#outcomes[number] = outcome;
    if (outcome !== 'acknowledged') return;
    this.#promised = Math.max(this.#promised, this.#seen[number]!);
    const rest = [...this.#acknowledged, number].sort((a, b) => a - b).filter((other) => other >= this.#promised);
    while (rest[0] === this.#promised) this.#promised += rest.splice(0, 1).length;
    this.#acknowledged = rest;
  }

  /** The lowest number of an entry that is not answered yet, of those that a filter lets through; how many there are, if there is none. */
  firstOpen(isAsked: (number: number) => boolean = () => true): number {
    const number = this.#outcomes.findIndex((outcome, at) => outcome === 'open' && isAsked(at));
    return number < 0 ? this.length : number;
  }

  mark(): HistoryMark {
    return { asked: this.#entries.length, promised: this.#promised, acknowledged: this.#acknowledged };
  }

  /** What the store holds if all entries up to this one have taken effect. */
  contentAt(entries: number): Content {
    const content: Content = new Map();
    for (let number = 0; number < entries; number++) this.#apply(content, number);
    return content;
  }

  /**
   * What is wrong with what was found, if what must be there and what may be are as at the mark; null if nothing is. Of some
   * indexes only, if they are given.
   */
  mismatch(found: Content, mark: HistoryMark, only?: ReadonlySet<string>): string | null {
    const { asked, promised, acknowledged } = mark;
    const contentWith = (present: readonly number[]): Content => {
      const content = this.contentAt(promised);
      for (const number of present) this.#apply(content, number);
      return only === undefined ? content : new Map([...content].filter(([index]) => only.has(index)));
    };
    for (const present of this.#survivors(mark, promised, [], Number.POSITIVE_INFINITY)) {
      if (differenceBetween(contentWith(present), found) === null) return null;
    }
    const content = contentWith(acknowledged);
    const [last, next] = [this.#entries[acknowledged.at(-1) ?? promised - 1], asked - promised - acknowledged.length];
    const promise =
      last === undefined ? 'Nothing was acknowledged' : `Step ${last.step} was acknowledged (${last.kind})`;
    return `${promise}, and the store is neither as it was then nor as any of the ${next} entries asked for beside it would have made it: ${differenceBetween(content, found)}`;
  }

  /**
   * The labels that a key may have in a store that is in use, if what must be there and what may be are as at the mark; null: it may be absent. Here
   * entries take effect in the order in which they were asked for, so that what must be there hides all before it.
   */
  labelsAt(index: string, key: string, { asked, promised, acknowledged }: HistoryMark): Set<string | null> {
    const labels = new Set<string | null>([null]);
    for (let number = 0; number < asked; number++) {
      const label = this.#effectOf(number, index, key);
      if (label === undefined) continue;
      if (number < promised || acknowledged.includes(number)) labels.clear();
      labels.add(label);
    }
    return labels;
  }

  /** Which entries from `number` on may be there, beside those that are chosen already: `missing` is the first one that is not. */
  *#survivors(
    mark: HistoryMark,
    number: number,
    present: readonly number[],
    missing: number,
  ): Generator<readonly number[]> {
    if (number === mark.asked) {
      yield present;
      return;
    }
    const isRefused = this.#outcomes[number] === 'refused';
    if (!isRefused && this.#seen[number]! <= missing)
      yield* this.#survivors(mark, number + 1, [...present, number], missing);
    if (isRefused) yield* this.#survivors(mark, number + 1, present, missing);
    else if (!mark.acknowledged.includes(number))
      yield* this.#survivors(mark, number + 1, present, Math.min(missing, number));
  }

  /** What a key has by an entry: null if nothing; undefined if the entry leaves it as it was. */
  #effectOf(number: number, index: string, key: string): string | null | undefined {
    if (this.#outcomes[number] === 'refused') return undefined;
    const entry = this.#entries[number] as Entry;
    if (entry.kind === 'commit')
      return entry.changes.find((change) => change.index === index && change.key === key)?.label;
    if (entry.index !== index) return undefined;
    return entry.kind === 'load' ? (entry.changes.find((change) => change.key === key)?.label ?? null) : null;
  }

  #apply(content: Content, number: number): void {
    if (this.#outcomes[number] === 'refused') return;
    const entry = this.#entries[number] as Entry;
    switch (entry.kind) {
      case 'create':
      case 'clear':
        content.set(entry.index, new Map());
        break;
      case 'drop':
        content.delete(entry.index);
        break;
      case 'load':
        content.set(entry.index, new Map(entry.changes.map(({ key, label }) => [key, label as string])));
        break;
      case 'commit':
        for (const { index, key, label } of entry.changes) {
          if (label === null) content.get(index)?.delete(key);
          else content.get(index)?.set(key, label);
        }
    }
  }
}

/** The first difference in words; null if there is none. */
export function differenceBetween(wanted: Content, found: Content): string | null {
  for (const [index, entries] of wanted) {
    const there = found.get(index);
    if (there === undefined) return `${index} is missing`;
    for (const [key, label] of entries) {
      const value = there.get(key);
      if (value !== label) return `${key} in ${index} should be ${label}, and is ${value ?? 'missing'}`;
    }
    if (there.size === entries.size) continue;
    for (const key of there.keys()) if (!entries.has(key)) return `${key} in ${index} should not be there`;
  }
  for (const index of found.keys()) if (!wanted.has(index)) return `${index} should not be there`;
  return null;
}
