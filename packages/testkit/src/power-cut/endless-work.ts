/** Does the work of the endless script on a store, from where it was left, and tells what is acknowledged to it. */
import type { Engine, IndexHandle } from '@pagewright/core';
import { changesOf, INDEXES, type IndexName, interludeAfter, LANES, STRETCH } from './endless-script.js';
import { lineOf } from './writer-record.js';

type Handles = { readonly [Name in IndexName]: IndexHandle<string, Uint8Array> };

export class EndlessWork {
  readonly #counts: number[];
  /** The last stretch after which this process has done the interlude. */
  #finished = 0;

  private constructor(
    readonly db: Engine,
    private handles: Handles,
    private readonly tell: (line: string) => void,
  ) {
    this.#counts = Array.from({ length: LANES }, (_, lane) => Number(textOf(handles.counts.getSync(String(lane)))));
  }

  /**
   * Makes the indexes that are missing.
   * @param tell gets a line as soon as something is acknowledged, and before an interlude; see {@link WriterRecord}
   */
  static async on(db: Engine, tell: (line: string) => void = () => undefined): Promise<EndlessWork> {
    const work = new EndlessWork(db, await openIndexes(db), tell);
    tell(lineOf.ready());
    return work;
  }

  /** Until something throws, or the process ends. */
  async forever(): Promise<never> {
    for (;;) await this.stretch();
  }

  /** Goes on to the end of a stretch. An interlude that may have been done or not is done again. */
  async stretch(): Promise<void> {
    const begun = Math.ceil(Math.max(...this.#counts) / STRETCH);
    const stretch = begun === this.#finished ? begun + 1 : begun;
    await Promise.all(this.#counts.map((_, lane) => this.#run(lane, stretch * STRETCH)));
    await this.#interlude(stretch);
    this.#finished = stretch;
  }

  async #run(lane: number, last: number): Promise<void> {
    for (let number = (this.#counts[lane] as number) + 1; number <= last; number++) {
      await this.db.transaction((tx) => {
        for (const { index, key, value } of changesOf(lane, number)) {
          if (value === null) tx.delete(this.handles[index], key);
          else tx.put(this.handles[index], key, value);
        }
      });
      this.#counts[lane] = number;
      this.tell(lineOf.acknowledged(lane, number));
    }
  }

  async #interlude(stretch: number): Promise<void> {
    const interlude = interludeAfter(stretch);
    this.tell(lineOf.begun(interlude));
    if (interlude === 'checkpoint') await this.db.checkpoint();
    else if (interlude === 'clear') await this.handles.cleared.clear();
    else {
      await this.db.dropIndex('dropped');
      this.handles = await openIndexes(this.db);
    }
    this.tell(lineOf.done(stretch));
  }
}

async function openIndexes(db: Engine): Promise<Handles> {
  const handles: Partial<Record<IndexName, IndexHandle<string, Uint8Array>>> = {};
  for (const name of INDEXES) handles[name] = await db.index(name, { key: 'utf8', value: 'buffer' });
  return handles as Handles;
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? '' : Buffer.from(value).toString();
}
