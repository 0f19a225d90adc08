/** A snapshot of an engine round: whatever it shows is whole, and the same each time (T2). */
import type { Engine, EngineSnapshot } from '@pagewright/core';
import { type Content, checkStable, checkWhole, type Handle } from './engine-keys.js';
import type { RegisterHistory } from './register-history.js';

export class CheckedSnapshot {
  readonly snapshot: EngineSnapshot;
  readonly #from: number;
  readonly #to: number;
  #shown: string | null = null;

  constructor(
    engine: Engine,
    private readonly main: Handle,
    private readonly history: RegisterHistory,
  ) {
    this.#from = history.now();
    this.snapshot = engine.snapshot();
    this.#to = history.now();
  }

  /** Reads all that it shows, now, and checks it. */
  show(): void {
    this.check([...this.main.rangeSync({ snapshot: this.snapshot })]);
  }

  /** The same without blocking. */
  async showLater(): Promise<void> {
    const found: [string, Content][] = [];
    for await (const entry of this.main.range({ snapshot: this.snapshot })) found.push(entry);
    this.check(found);
  }

  release(): void {
    this.snapshot.release();
  }

  private check(found: readonly [string, Content][]): void {
    const at = `The snapshot of ${this.snapshot.timestamp}`;
    const shown = JSON.stringify(found.map(([key, { id, count }]) => [key, id, count]));
    const before = this.#shown;
    if (before !== null && before !== shown)
      throw new Error(`${at} changes under its reader: ${difference(before, shown)}`);
    const contents = new Map(found);
    if (before === null) {
      // What it shows was there when it was opened.
      for (const key of this.history.keys()) {
        if (!key.startsWith('t')) this.history.read(key, contents.get(key)?.id ?? null, this.#from, this.#to);
      }
    }
    this.#shown = shown;
    checkWhole(contents, at);
    checkStable([...contents.keys()]);
  }
}

function difference(before: string, after: string): string {
  let at = 0;
  while (before[at] === after[at]) at++;
  return `${before.slice(Math.max(0, at - 30), at + 30)} became ${after.slice(Math.max(0, at - 30), at + 30)}`;
}
