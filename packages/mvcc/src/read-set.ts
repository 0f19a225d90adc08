/**
 * What a serializable transaction has read: keys, whether they were there or not, and ranges, as far as they were gone through. It may commit at a timestamp if nothing of that was
 * changed by a commit between its snapshot and that timestamp (T5): then it has read what it would have read there, where it takes effect. So transactions that do that have the
 * effect of one after the other, in order of their timestamps (backward validation: Kung, Robinson, "On Optimistic Methods for Concurrency Control", TODS 1981).
 *
 * What was changed is told by the versions that are kept for the snapshot of the transaction, which has to stand: of a key the last commit that replaced what it held (T4). Of a range all keys
 * are in the index that anyone has changed since, deleted ones as tombstones (T3), on pages with a stamp above the snapshot. Nothing is changed of an index that has no versions.
 */
import { EntryBatch, PagewrightError, type ScanBounds, type Target } from '@pagewright/core';
import { conflict } from './conflict.js';
import { keyText } from './key-text.js';
import { cursorAt, isBeyondEnd } from './scan-bounds.js';
import type { ActiveSnapshot } from './snapshots.js';
import type { VersionStore } from './version-store.js';

/** What a key takes besides its bytes, about. */
const KEY_OVERHEAD = 64;
const RANGE_BYTES = 256;

/** Limits of all transactions, and what tells about changes. */
export interface ReadSurroundings {
  readonly versions: VersionStore;
  /** Keys and bounds that one may remember. */
  readonly maxBytes: number;
  /** Told of each conflict. */
  conflicted(): void;
}

/** A range that is gone through. */
export class RangeRead {
  /** The last key that it has come to; null: none yet. */
  #reached: Uint8Array | null = null;
  #isWhole = false;

  constructor(private readonly bounds: ScanBounds) {}

  /** It was gone through up to this key, or to its end. */
  reach(key: Uint8Array | null, isWhole: boolean): void {
    this.#reached = key;
    this.#isWhole = isWhole;
  }

  /** What was read; null if nothing was. */
  get read(): ScanBounds | null {
    const { bounds } = this;
    if (this.#isWhole) return { ...bounds, wantsValues: false, mayPack: false };
    if (this.#reached === null) return null;
    const end = bounds.reverse
      ? { lower: this.#reached, lowerExclusive: false }
      : { upper: this.#reached, upperExclusive: false };
    return { ...bounds, ...end, wantsValues: false, mayPack: false };
  }
}

/** Of one index. */
interface TargetReads {
  readonly keys: Set<string>;
  readonly ranges: RangeRead[];
}

export class ReadSet {
  readonly #reads = new Map<Target, TargetReads>();
  readonly #batch = new EntryBatch();
  #bytes = 0;
  /** It was validated when V was this. */
  validatedUpTo = -1;

  constructor(
    private readonly snapshot: ActiveSnapshot,
    private readonly shared: ReadSurroundings,
  ) {
    this.#batch.wantsValues = false;
  }

  /** The indexes that were read. */
  get targets(): Iterable<Target> {
    return this.#reads.keys();
  }

  /** Errors: `PW_TXN_TOO_LARGE`. */
  noteKey(target: Target, key: Uint8Array): void {
    const { keys } = this.#of(target);
    const text = keyText(key);
    if (keys.has(text)) return;
    this.#count(key.length + KEY_OVERHEAD);
    keys.add(text);
  }

  /** A range that is about to be read. Errors: `PW_TXN_TOO_LARGE`. */
  noteRange(target: Target, bounds: ScanBounds): RangeRead {
    this.#count(RANGE_BYTES + (bounds.lower?.length ?? 0) + (bounds.upper?.length ?? 0));
    const range = new RangeRead(bounds);
    this.#of(target).ranges.push(range);
    return range;
  }

  /** Errors if a commit above the snapshot that is visible now has changed what was read: `PW_CONFLICT`, `PW_SNAPSHOT_TOO_OLD`, those of reading pages. */
  validate(): void {
    const { snapshot } = this;
    snapshot.assertStands();
    for (const [target, { keys, ranges }] of this.#reads) {
      const { incarnation } = target;
      if (target.dropped || incarnation > snapshot.timestamp) throw this.#conflict(target, null, incarnation);
      if (!this.shared.versions.holds(target.number)) continue;
      for (const text of keys) this.#validateKey(target, Buffer.from(text, 'latin1'));
      for (const { read } of ranges) if (read !== null) this.#validateRange(target, read);
    }
    // T4: that nothing was found means something only if nothing was given up meanwhile.
    snapshot.assertStands();
  }

  #validateKey(target: Target, key: Uint8Array): void {
    const by = this.shared.versions.lastReplacement(target, key);
    if (by > this.snapshot.timestamp) throw this.#conflict(target, key, by);
  }

  #validateRange(target: Target, bounds: ScanBounds): void {
    const batch = this.#batch;
    const cursor = cursorAt(target.index, bounds);
    while (cursor.next(batch)) {
      for (let at = 0; at < batch.count; at++) {
        const key = batch.keys[at]!;
        if (isBeyondEnd(key, bounds)) return;
        if (batch.timestamp > this.snapshot.timestamp) this.#validateKey(target, key);
      }
    }
  }

  #of(target: Target): TargetReads {
    let reads = this.#reads.get(target);
    if (reads === undefined) {
      reads = { keys: new Set(), ranges: [] };
      this.#reads.set(target, reads);
    }
    return reads;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.shared.maxBytes) return;
    throw new PagewrightError(
      'PW_TXN_TOO_LARGE',
      `A serializable transaction remembers what it has read, and that is more than ${this.shared.maxBytes} bytes by now. Read ranges instead of single keys, read less, or raise maxTransactionBytes.`,
      { details: { bytes: this.#bytes, limit: this.shared.maxBytes } },
    );
  }

  #conflict(target: Target, key: Uint8Array | null, committed: number): PagewrightError {
    this.shared.conflicted();
    return conflict(target, key, { snapshot: this.snapshot.timestamp, committed, has: 'read' });
  }
}
