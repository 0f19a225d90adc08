/**
 * Clearing a range: what is there when it is called goes, little by little. Changes that are called later come after it, as if it had been done at once: those of
 * keys in the range wait until it is over.
 */
import type { Engine, EngineSnapshot, IndexHandle, WriteOptions } from 'pagewright';
import { type Bounds, isWithin, openWithin } from './bounds.js';

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

interface UnderWay {
  readonly bounds: Bounds;
  readonly end: Promise<void>;
}

export class Clearing {
  private readonly underWay = new Set<UnderWay>();
  /** Changes that wait for what is under way. */
  private readonly waiting = new Set<{ readonly keys: readonly Uint8Array[]; readonly end: Promise<void> }>();

  constructor(
    private readonly engine: Engine,
    private readonly entries: IndexHandle<Uint8Array, Uint8Array>,
  ) {}

  /** Whether there may be anything to wait for: one test on the way of every change. */
  get any(): boolean {
    return this.underWay.size > 0 || this.waiting.size > 0;
  }

  /** Makes a change of these keys, as Level has them, when no clearing that was called before it is to come to one of them. */
  async change(keys: readonly Uint8Array[], make: () => Promise<void>): Promise<void> {
    const texts = new Set(keys.map((key) => Buffer.from(key).toString('latin1')));
    const before: { readonly end: Promise<void> }[] = [
      ...[...this.underWay].filter(({ bounds }) => keys.some((key) => isWithin(key, bounds))),
      ...[...this.waiting].filter((other) => other.keys.some((key) => texts.has(Buffer.from(key).toString('latin1')))),
    ];
    if (before.length === 0) return make();
    const change = { keys, end: Promise.allSettled(before.map(({ end }) => end)).then(make) };
    this.waiting.add(change);
    try {
      await change.end;
    } finally {
      this.waiting.delete(change);
    }
  }

  /** When all that is under way is over. */
  async end(): Promise<void> {
    await Promise.allSettled([...this.underWay, ...this.waiting].map(({ end }) => end));
  }

  async clear(request: ClearRequest): Promise<void> {
    const before = [...this.waiting, ...(request.limit < 0 ? [] : this.underWay)].map((each) => each.end);
    const end = before.length === 0 ? this.begin(request) : this.beginLater(request, before);
    const underWay = { bounds: request.bounds, end };
    this.underWay.add(underWay);
    try {
      await end;
    } finally {
      this.underWay.delete(underWay);
    }
  }

  /** After the changes that were called before it. */
  private async beginLater(request: ClearRequest, before: readonly Promise<void>[]): Promise<void> {
    await Promise.allSettled(before);
    await this.begin(request);
  }

  private async begin(request: ClearRequest): Promise<void> {
    if (request.snapshot !== null) return this.deleteAll(request, request.snapshot);
    // Changes that were called before it and have not taken effect are to be seen.
    await this.entries.batch([]);
    const snapshot = this.engine.snapshot();
    try {
      await this.deleteAll(request, snapshot);
    } finally {
      snapshot.release();
    }
  }

  private async deleteAll(request: ClearRequest, snapshot: EngineSnapshot): Promise<void> {
    const { bounds, reverse, limit, write } = request;
    const stream = openWithin(bounds, (range) =>
      this.entries.keys({ ...range, reverse, snapshot, ...(limit < 0 ? {} : { limit }) }),
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

  private async delete(keys: readonly Uint8Array[], write: WriteOptions | undefined): Promise<void> {
    await this.entries.batch(
      keys.map((key) => ({ type: 'delete', key })),
      write,
    );
  }
}
