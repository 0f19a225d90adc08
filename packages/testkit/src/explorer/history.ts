/**
 * What a workload has asked of a store, in order, and what it was promised. After a crash the store must hold the state
 * after some prefix of it: at least all that was acknowledged, nothing by half, nothing that was refused.
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
  /** Entries up to this number must be there: the last of them was acknowledged. */
  readonly promised: number;
}

/** The history of one sequence of entries, which take effect in the order in which they were asked for. */
export class History {
  readonly #entries: Entry[] = [];
  readonly #outcomes: Outcome[] = [];
  #promised = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** Takes note of an entry that is about to be asked for; its number. */
  ask(entry: Entry): number {
    this.#outcomes.push('open');
    return this.#entries.push(entry) - 1;
  }

  settle(number: number, outcome: Outcome): void {
    this.#outcomes[number] = outcome;
    if (outcome === 'acknowledged') this.#promised = Math.max(this.#promised, number + 1);
  }

  mark(): HistoryMark {
    return { asked: this.#entries.length, promised: this.#promised };
  }

  /** What the store holds if all entries up to this one have taken effect. */
  contentAt(entries: number): Content {
    const content: Content = new Map();
    for (let number = 0; number < entries; number++) this.#apply(content, number);
    return content;
  }

  /**
   * How many entries have taken effect in what was found, which is at least `promised` and at most `asked` of the mark; or
   * what is wrong with it.
   */
  match(found: Content, { asked, promised }: HistoryMark): number | string {
    const content = this.contentAt(promised);
    const difference = differenceBetween(content, found);
    for (let number = promised; difference !== null && number < asked; number++) {
      this.#apply(content, number);
      if (differenceBetween(content, found) === null) return number + 1;
    }
    if (difference === null) return promised;
    const [last, next] = [this.#entries[promised - 1], asked - promised];
    const promise =
      last === undefined ? 'Nothing was acknowledged' : `Step ${last.step} was acknowledged (${last.kind})`;
    return `${promise}, and the store is neither as it was then nor as any of the ${next} entries asked for after it would have made it: ${difference}`;
  }

  /** After a crash: what was found is what there is, and what was not found never was. */
  settleAt(entries: number): void {
    for (let number = 0; number < this.#entries.length; number++) {
      if (this.#outcomes[number] === 'open') this.#outcomes[number] = number < entries ? 'acknowledged' : 'refused';
    }
    this.#promised = this.#entries.length;
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
