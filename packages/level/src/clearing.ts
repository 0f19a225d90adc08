/**
 * Clearing in the order of calls. What is there when it is called goes, a range little by little and everything in one step. Changes of its keys that are called
 * later wait until it is over, so that they come after it as if it had been done at once.
 *
 * Transactions begin when what was called before them is over, and commit between clearings, never while one deletes what it has found. Where one writes at a
 * time, a transaction waits for nothing once it has its turn: a clearing that is called meanwhile comes after it, and begins only then.
 */
import type { EngineSnapshot, IndexHandle, KeyRange, WriteOptions } from 'pagewright';
import { areOpen, type Bounds, isWithin, openWithin } from './bounds.js';

/** Keys that are deleted by one commit. */
const KEYS_A_COMMIT = 1024;

export interface ClearRequest {
  readonly bounds: Bounds;
  readonly reverse: boolean;
  /** Below 0: none. */
  readonly limit: number;
  /** What is deleted is what it shows; null: what is there now. */
  readonly snapshot: EngineSnapshot | null;
  readonly write: WriteOptions | undefined;
}

/** What others wait for, whatever comes of it. */
interface Waited {
  readonly end: Promise<unknown>;
}

interface UnderWay extends Waited {
  readonly request: ClearRequest;
}

/** Changes of these keys, as Level has them, that wait for what is under way. */
interface WaitingChange extends Waited {
  readonly keys: readonly Uint8Array[];
}

export class Clearing {
  private readonly underWay = new Set<UnderWay>();
  /** Those that may have found what they delete: a commit comes after them from then on. */
  private readonly begun = new WeakSet<ClearRequest>();
  private readonly waiting = new Set<WaitingChange>();
  /** Transactions that wait to begin. */
  private readonly beginning = new Set<Waited>();
  /** Commits of transactions while something is under way. */
  private readonly committing = new Set<Waited>();

  constructor(private readonly entries: IndexHandle<Uint8Array, Uint8Array>) {}

  /** Whether there may be anything to wait for: one test on the way of every change. */
  get any(): boolean {
    return this.underWay.size > 0 || this.waiting.size > 0 || this.beginning.size > 0 || this.committing.size > 0;
  }

  /** Whether a transaction that began now would come between. */
  get isUnderWay(): boolean {
    return this.underWay.size > 0;
  }

  /** Makes a change of these keys, as Level has them, when no clearing that was called before it is to come to one of them. */
  async change(keys: readonly Uint8Array[], make: () => Promise<void>): Promise<void> {
    const texts = new Set(keys.map((key) => Buffer.from(key).toString('latin1')));
    const before: Waited[] = [
      ...[...this.underWay].filter(({ request }) => keys.some((key) => isWithin(key, request.bounds))),
      ...[...this.waiting].filter((other) => other.keys.some((key) => texts.has(Buffer.from(key).toString('latin1')))),
    ];
    if (before.length === 0) return make();
    await during(this.waiting, { keys, end: endOf(before).then(make) });
  }

  /** Begins a transaction when what was called before it is over. Clearing that is called later waits until it has begun: where one writes at a time, it has its place in line then. */
  async transaction<Result>(begin: () => Promise<Result>): Promise<Result> {
    const before: Waited[] = [...this.underWay, ...this.waiting];
    if (before.length === 0) return begin();
    const begun = endOf(before).then(() => ({ running: begin() }));
    await during(this.beginning, { end: begun });
    return (await begun).running;
  }

  /** Makes the commit of a transaction when no clearing has begun: in this step, if none has. What has not begun waits for it. */
  async commit(make: () => Promise<void>): Promise<void> {
    if (this.underWay.size === 0) return make();
    const before = [...this.underWay].filter(({ request }) => this.begun.has(request));
    await during(this.committing, { end: before.length === 0 ? make() : endOf(before).then(make) });
  }

  async clear(request: ClearRequest): Promise<void> {
    if (isOfAll(request) && !this.any) return this.entries.clear();
    // What others delete meanwhile is nothing to this one, unless it counts, or is to be one step.
    const clears = [...this.underWay].filter(
      (other) => isLimited(request) || isLimited(other.request) || isOfAll(request),
    );
    const before: Waited[] = [...this.waiting, ...this.beginning, ...this.committing, ...clears];
    await during(this.underWay, { request, end: this.run(request, before) });
  }

  private async run(request: ClearRequest, before: readonly Waited[]): Promise<void> {
    if (before.length > 0) await endOf(before);
    // Changes that were called before it and have not taken effect are to be seen; where one writes at a time, it has its place in line.
    await this.entries.batch([]);
    this.begun.add(request);
    if (this.committing.size > 0) await endOf([...this.committing]);
    await (isOfAll(request) ? this.entries.clear() : this.deleteAll(request));
  }

  /**
   * Without a snapshot of the program's it reads what is newest, and deletes what it reads: a snapshot of its own would keep in memory all that it deletes. What this database
   * changes in the range waits meanwhile; what others add behind its last entry is not looked for, so that it ends whatever they do.
   */
  private async deleteAll({ bounds, reverse, limit, snapshot, write }: ClearRequest): Promise<void> {
    const last = snapshot === null ? await this.lastOf(bounds, reverse) : null;
    if (last === undefined) return;
    const options = { reverse, ...(limit < 0 ? {} : { limit }), ...(snapshot === null ? {} : { snapshot }) };
    const stream = openWithin(bounds, (range) =>
      this.entries.keys({ ...(last === null ? range : upTo(last, range, reverse)), ...options }),
    );
    let keys: Uint8Array[] = [];
    for (;;) {
      const next = await stream.nextMany(KEYS_A_COMMIT);
      if (keys.length + next.length > KEYS_A_COMMIT) {
        // The last commit, when it is durable, makes durable those before it.
        await this.delete(keys, { durability: 'none' });
        keys = [];
      }
      keys = keys.length === 0 ? next : keys.concat(next);
      if (next.length === 0) break;
    }
    await this.delete(keys, write);
  }

  /** The last key that there is now, in the direction of the clearing. */
  private async lastOf(bounds: Bounds, reverse: boolean): Promise<Uint8Array | undefined> {
    const [last] = await openWithin(bounds, (range) =>
      this.entries.keys({ ...range, reverse: !reverse, limit: 1 }),
    ).nextMany(1);
    return last;
  }

  private async delete(keys: readonly Uint8Array[], write: WriteOptions | undefined): Promise<void> {
    await this.entries.batch(
      keys.map((key) => ({ type: 'delete', key })),
      write,
    );
  }
}

function isLimited({ limit }: ClearRequest): boolean {
  return limit >= 0;
}

/** Whether it is of everything, which is one operation of the engine. */
function isOfAll({ bounds, limit, snapshot }: ClearRequest): boolean {
  return snapshot === null && limit < 0 && areOpen(bounds);
}

function upTo(last: Uint8Array, range: KeyRange<Uint8Array>, reverse: boolean): KeyRange<Uint8Array> {
  return reverse ? { gte: last, lt: range.lt, lte: range.lte } : { gt: range.gt, gte: range.gte, lte: last };
}

/** When all of them are over, however they end. */
async function endOf(before: readonly Waited[]): Promise<void> {
  await Promise.allSettled(before.map(({ end }) => end));
}

/** Until its end it is one of them. */
async function during<Item extends Waited>(items: Set<Item>, item: Item): Promise<void> {
  items.add(item);
  try {
    await item.end;
  } finally {
    items.delete(item);
  }
}
