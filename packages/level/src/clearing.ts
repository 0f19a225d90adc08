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

  constructor(
    private readonly engine: Engine,
    private readonly entries: IndexHandle<Uint8Array, Uint8Array>,
  ) {}

  /** Whether there may be anything to wait for: one test on the way of every change. */
  get any(): boolean {
    return this.underWay.size > 0;
  }

  /** Resolves when nothing that was called before is to change any of the keys, as Level has them; without keys, any at all. */
  async after(keys: readonly Uint8Array[] | null): Promise<void> {
    const before: Promise<void>[] = [];
    for (const { bounds, end } of this.underWay) {
      if (keys === null || keys.some((key) => isWithin(key, bounds))) before.push(end.catch(() => {}));
    }
    await Promise.all(before);
  }

  async clear(request: ClearRequest): Promise<void> {
    const own = request.snapshot === null ? this.engine.snapshot() : null;
    const end = this.deleteAll(request, request.snapshot ?? own!);
    const underWay = { bounds: request.bounds, end };
    this.underWay.add(underWay);
    try {
      await end;
    } finally {
      this.underWay.delete(underWay);
      own?.release();
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
