/** What snapshot isolation says, worked out from a history that keeps every version for ever. */

/** One version of a key. */
interface KeptVersion {
  readonly timestamp: number;
  readonly value: string | null;
}

/** Bounds of a range, keys as text. */
export interface KeyRange {
  readonly lower: string | null;
  readonly lowerExclusive: boolean;
  readonly upper: string | null;
  readonly upperExclusive: boolean;
  readonly reverse: boolean;
}

/** Looks up a key as somebody sees it. */
export type Sight = (key: string) => string | undefined;

/** What one index held after each commit. */
export class IndexHistory {
  /** The commit that cleared it last. */
  incarnation = 0;
  readonly #versions = new Map<string, KeptVersion[]>();
  /** The last commit that wrote a key, though it may have changed nothing: the deletion of a key that is not there. */
  readonly #writes = new Map<string, number>();

  at(key: string, timestamp: number): string | undefined {
    return this.#versions.get(key)?.findLast((version) => version.timestamp <= timestamp)?.value ?? undefined;
  }

  write(key: string, timestamp: number, value: string | null): void {
    this.#writes.set(key, timestamp);
    if (value === null && this.at(key, timestamp) === undefined) return;
    const versions = this.#versions.get(key) ?? [];
    versions.push({ timestamp, value });
    this.#versions.set(key, versions);
  }

  clear(timestamp: number): void {
    for (const key of this.#versions.keys()) this.write(key, timestamp, null);
    this.incarnation = timestamp;
  }

  /** Whether the key holds something else since then, or did meanwhile. */
  changedAfter(key: string, timestamp: number): boolean {
    if (this.incarnation > timestamp) return true;
    return this.#versions.get(key)?.some((version) => version.timestamp > timestamp) ?? false;
  }

  /** Whether anyone wrote the key since then, even without effect. */
  writtenAfter(key: string, timestamp: number): boolean {
    return this.incarnation > timestamp || (this.#writes.get(key) ?? 0) > timestamp;
  }
}

/** The entries that a range must give, as `key=value`. */
export function entriesIn(keys: readonly string[], seen: Sight, range: KeyRange): string[] {
  return keysIn(keys, range).flatMap((key) => {
    const value = seen(key);
    return value === undefined ? [] : [`${key}=${value}`];
  });
}

/** The keys that lie in a range, in its order. */
export function keysIn(keys: readonly string[], range: KeyRange): string[] {
  const { lower, lowerExclusive, upper, upperExclusive, reverse } = range;
  const inside = keys.filter((key) => {
    if (lower !== null && (lowerExclusive ? key <= lower : key < lower)) return false;
    return upper === null || (upperExclusive ? key < upper : key <= upper);
  });
  inside.sort();
  return reverse ? inside.reverse() : inside;
}
