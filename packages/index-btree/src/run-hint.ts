/**
 * Where a run of rising keys goes on: the leaf of the last one, entered without a descent (LeanStore and others keep the last leaf for appends in the same way).
 *
 * Must hold: a version of the leaf was its version when the latch was given back after a put of `key`. So for as long as nobody has taken the latch since, the leaf
 * is in the tree, and has the keys from that one up to its upper fence.
 */
import type { PageStore } from '@pagewright/core';
import { compareKeys } from './key-order.js';
import { copyFence } from './node-keys.js';
import { NO_FENCE, runOf } from './node-layout.js';

const NO_LEAF = -1;

export class RunHint {
  #leaf = NO_LEAF;
  #version = 0;
  readonly #key: Uint8Array;
  #keyLength = 0;
  readonly #fence: Uint8Array;
  #fenceLength = NO_FENCE;

  constructor(private readonly pages: PageStore) {
    const longest = pages.pageSize >>> 2;
    this.#key = new Uint8Array(longest);
    this.#fence = new Uint8Array(longest);
  }

  /** The leaf that the key belongs to, latched; -1 if it is to be looked for. */
  latch(key: Uint8Array): number {
    const leaf = this.#leaf;
    if (leaf < 0) return NO_LEAF;
    const goesOn =
      compareKeys(this.#key, this.#keyLength, key, key.length) < 0 &&
      (this.#fenceLength === NO_FENCE || compareKeys(key, key.length, this.#fence, this.#fenceLength) < 0);
    if (goesOn && this.pages.upgrade(leaf, this.#version)) return leaf;
    this.#leaf = NO_LEAF;
    return NO_LEAF;
  }

  /** The key was put into the leaf that {@link latch} gave, which has this version since. */
  goOn(key: Uint8Array, version: number): void {
    this.#version = version;
    this.#keep(key);
  }

  /** A key was inserted into a leaf whose latch is held: whether that goes on with a run, so that {@link begin} is to be called when the latch was given back. */
  isRun(leaf: number): boolean {
    const { pages } = this;
    const segment = pages.segmentOf(leaf);
    const base = pages.baseOf(leaf);
    if (runOf(segment, base) <= 0) return false;
    this.#fenceLength = copyFence(segment, base, pages.pageSize, this.#fence);
    return this.#fenceLength >= 0;
  }

  begin(leaf: number, key: Uint8Array, version: number): void {
    this.#leaf = leaf;
    this.goOn(key, version);
  }

  end(): void {
    this.#leaf = NO_LEAF;
  }

  #keep(key: Uint8Array): void {
    const { length } = key;
    for (let i = 0; i < length; i++) this.#key[i] = key[i]!;
    this.#keyLength = length;
  }
}
