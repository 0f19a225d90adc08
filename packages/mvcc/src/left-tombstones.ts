/**
 * Tombstones of threads that have no use of the store any more: the next thread that collects takes them over. They are kept among the blocks of
 * old versions, as far as there is room without revoking anything; what finds none is swept when the store is opened again.
 */
import type { Target } from '@pagewright/core';
import type { Latch } from './sharing.js';
import type { Tombstone } from './tombstones.js';
import { VersionBlocks } from './version-blocks.js';
import {
  LEFT_INCARNATION_F64,
  LEFT_INDEX,
  LEFT_KEY,
  LEFT_KEY_LENGTH,
  LEFT_NEXT,
  LEFT_TIMESTAMP_F64,
} from './version-layout.js';
import type { VersionStore } from './version-store.js';

const FIRST = 0;
/** Versions come first: so many times what is left must be free. */
const FREE_SHARE = 4;

/** What is known of one. */
export interface LeftTombstone {
  readonly index: Target['number'];
  readonly incarnation: number;
  readonly key: Uint8Array;
  readonly timestamp: number;
}

export class LeftTombstones {
  readonly #words: Int32Array;

  static bytes(): number {
    return 64;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly blocks: VersionBlocks,
    private readonly versions: VersionStore,
    private readonly latch: Latch,
  ) {
    this.#words = new Int32Array(memory);
  }

  /** False if there is no room for it. */
  leave({ target, incarnation, key, timestamp }: Tombstone): boolean {
    const count = VersionBlocks.count(LEFT_KEY, key.length);
    this.latch.take();
    try {
      if (!this.blocks.hasRoom(FREE_SHARE * count)) return false;
      const left = this.blocks.allocate(count);
      const { words, numbers } = this.blocks;
      const at = this.blocks.wordOf(left);
      words[at + LEFT_NEXT] = this.#words[FIRST]!;
      numbers[(at >>> 1) + LEFT_TIMESTAMP_F64] = timestamp;
      numbers[(at >>> 1) + LEFT_INCARNATION_F64] = incarnation;
      words[at + LEFT_INDEX] = target.number;
      words[at + LEFT_KEY_LENGTH] = key.length;
      this.blocks.fill(left, LEFT_KEY, key);
      this.#words[FIRST] = left;
      this.versions.holdOthers(1);
      return true;
    } finally {
      this.latch.give();
    }
  }

  /** Takes one over, the youngest first; null if there is none. */
  take(): LeftTombstone | null {
    if (Atomics.load(this.#words, FIRST) === 0) return null;
    this.latch.take();
    try {
      const left = this.#words[FIRST]!;
      if (left === 0) return null;
      const { words, numbers } = this.blocks;
      const at = this.blocks.wordOf(left);
      const key = new Uint8Array(words[at + LEFT_KEY_LENGTH]!);
      this.blocks.copy(left, LEFT_KEY, key);
      this.#words[FIRST] = words[at + LEFT_NEXT]!;
      const taken = {
        index: words[at + LEFT_INDEX]! >>> 0,
        incarnation: numbers[(at >>> 1) + LEFT_INCARNATION_F64]!,
        timestamp: numbers[(at >>> 1) + LEFT_TIMESTAMP_F64]!,
        key,
      };
      this.blocks.free(left, VersionBlocks.count(LEFT_KEY, key.length));
      this.versions.holdOthers(-1);
      return taken;
    } finally {
      this.latch.give();
    }
  }
}
