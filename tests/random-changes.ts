/** Calls of all kinds on some indexes, awaited or not, beside loads of both threads; and what there must be in the end. */
import type { Engine } from '@pagewright/core';
import type { Random } from '@pagewright/testkit';
import { expect } from 'vitest';
import { type Entry, type Index, type Loader, MANY, turn } from './loader.js';

const STEPS = 250;

export class RandomChanges {
  private readonly model = new Map<Index, Map<string, unknown>>();
  private readonly pending: Promise<unknown>[] = [];
  /** What the other thread loads: whether it is to be well. */
  private readonly loads = new Map<string, boolean>();
  private step = 0;

  constructor(
    private readonly loader: Loader,
    private readonly db: Engine,
    private readonly indexes: readonly Index[],
    private readonly random: Random,
  ) {
    for (const index of indexes) this.model.set(index, new Map(index.rangeSync()));
  }

  async run(which: string): Promise<void> {
    for (this.step = 0; this.step < STEPS; this.step++) await this.next();
    await this.settle();
    for (const index of this.indexes) {
      const expected = [...this.model.get(index)!].sort(([one], [other]) => (one < other ? -1 : 1));
      expect([...index.rangeSync()], `${which}, index ${index.name}`).toEqual(expected);
    }
    expect((await this.db.verify()).problems, which).toEqual([]);
  }

  private async next(): Promise<void> {
    const { random, indexes } = this;
    const index = random.pick(indexes);
    const kind = random.below(20);
    if (kind < 6) this.pending.push(this.put(index));
    else if (kind < 8) this.pending.push(this.remove(index));
    else if (kind < 11) this.pending.push(this.batch());
    else if (kind < 12) this.pending.push(this.clear(index));
    else if (kind < 14) this.pending.push(this.load(index));
    else if (kind < 16) this.lookAround(index);
    else if (kind < 18) await turn();
    else await this.toOther(index.name);
  }

  private key(): string {
    return `key ${this.random.below(40)}`;
  }

  private value(): string {
    return `${this.step}`.padEnd(this.random.pick([10, 400, 3000]), '.');
  }

  private put(index: Index): Promise<void> {
    const [key, value] = [this.key(), this.value()];
    this.model.get(index)!.set(key, value);
    return index.put(key, value, this.random.chance(0.3) ? { durability: 'none' } : {});
  }

  private remove(index: Index): Promise<void> {
    const key = this.key();
    this.model.get(index)!.delete(key);
    return index.delete(key);
  }

  private batch(): Promise<void> {
    const indexes = this.random.shuffle([...this.indexes]).slice(this.random.below(2));
    // Some are so large that they wait for their turn, whatever else there is.
    const count = this.random.chance(0.2) ? MANY : 1;
    const operations = indexes.flatMap((index) =>
      Array.from({ length: count }, () => {
        const [key, value] = [this.key(), count > 1 ? `${this.step}` : this.value()];
        this.model.get(index)!.set(key, value);
        return { index, type: 'put' as const, key, value };
      }),
    );
    return this.db.batch(operations);
  }

  private clear(index: Index): Promise<void> {
    this.model.get(index)!.clear();
    return index.clear();
  }

  private load(index: Index): Promise<unknown> {
    const [entries, random] = [this.entries(), this.random.fork('load')];
    async function* input(): AsyncGenerator<Entry> {
      for (const entry of entries) {
        if (random.chance(0.3)) await turn();
        yield entry;
      }
      if (fails) throw FAILURE;
    }
    const fails = this.random.chance(0.3);
    if (!fails) this.model.set(index, new Map(entries));
    return index.bulkLoad(input()).catch((error) => {
      if (error !== FAILURE) throw error;
    });
  }

  private entries(): Entry[] {
    const keys = new Set(Array.from({ length: this.random.below(6) }, () => this.key()));
    return [...keys].sort().map((key) => [key, this.value()] as const);
  }

  /** Hears of what the other thread has done, without a turn of the event loop. */
  private lookAround(index: Index): void {
    for (let times = this.random.below(2000); times >= 0; times--) index.getSync('key 1');
  }

  /** Has the other thread begin a load, or end it. */
  private async toOther(name: string): Promise<void> {
    const { loader, loads, random } = this;
    const isWell = loads.get(name);
    if (isWell !== undefined) {
      loads.delete(name);
      await loader.until((told) => told.name === name && told.is === 'begun');
      loader.tell(isWell ? 'end' : 'fail', name);
      this.pending.push(loader.over(name));
      return;
    }
    const willBeWell = random.chance(0.4);
    const entries = this.entries();
    // It takes effect at a time that is known if nothing else goes on when it begins; one that fails may begin at any time.
    if (willBeWell) await this.settle();
    loads.set(name, willBeWell);
    loader.tell('load', name, { entries });
    if (!willBeWell) return;
    const begun = await loader.until((told) => told.name === name && told.is === 'begun');
    loader.again(begun);
    this.model.set(this.indexes.find((index) => index.name === name)!, new Map(entries));
  }

  private async settle(): Promise<void> {
    for (const name of this.loads.keys()) await this.toOther(name);
    await Promise.all(this.pending.splice(0));
  }
}

const FAILURE = new Error('as the test wants');
