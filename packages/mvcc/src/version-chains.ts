/**
 * The keys that have old versions: a hash table over number and incarnation of an index and the bytes of a key, in shared memory, that leads to a chain
 * of versions, oldest first. Under the version latch. A chain without versions is removed at once.
 */
import { hashOf } from './key-hash.js';
import { BLOCK_BYTES, VersionBlocks } from './version-blocks.js';
import {
  CHAIN_COUNT,
  CHAIN_FIRST,
  CHAIN_HASH,
  CHAIN_INCARNATION_F64,
  CHAIN_INDEX,
  CHAIN_KEY,
  CHAIN_KEY_LENGTH,
  CHAIN_LAST,
  CHAIN_NEXT,
} from './version-layout.js';

/** Blocks for each bucket. Most keys have two. */
const BLOCKS_A_BUCKET = 4;
const FEWEST_BUCKETS = 16;

/** An index in one incarnation. */
export interface Tree {
  readonly number: number;
  readonly incarnation: number;
}

export class VersionChains {
  readonly #buckets: Int32Array;

  static bytes(blocks: SharedArrayBuffer): number {
    return bucketsFor(blocks) * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly blocks: VersionBlocks,
  ) {
    this.#buckets = new Int32Array(memory);
  }

  /** Blocks that the chain of a key takes. */
  static blocksFor(key: Uint8Array): number {
    return VersionBlocks.count(CHAIN_KEY, key.length);
  }

  /** The chain of a key; 0 if it has none. */
  find({ number, incarnation }: Tree, key: Uint8Array): number {
    return this.#find(hashOf(number, key), number, incarnation, key);
  }

  /** The chain of a key, a new one if need be: then it must get a version. There is room. */
  findOrAdd({ number, incarnation }: Tree, key: Uint8Array): number {
    const hash = hashOf(number, key);
    const known = this.#find(hash, number, incarnation, key);
    if (known !== 0) return known;
    const { words, numbers } = this.blocks;
    const chain = this.blocks.allocate(VersionChains.blocksFor(key));
    const at = this.blocks.wordOf(chain);
    const bucket = this.#bucketOf(hash);
    words[at + CHAIN_HASH] = hash;
    words[at + CHAIN_NEXT] = this.#buckets[bucket]!;
    words[at + CHAIN_INDEX] = number;
    numbers[(at >>> 1) + CHAIN_INCARNATION_F64] = incarnation;
    words[at + CHAIN_FIRST] = 0;
    words[at + CHAIN_LAST] = 0;
    words[at + CHAIN_COUNT] = 0;
    words[at + CHAIN_KEY_LENGTH] = key.length;
    this.blocks.fill(chain, CHAIN_KEY, key);
    this.#buckets[bucket] = chain;
    return chain;
  }

  /** It has no versions any more. */
  remove(chain: number): void {
    const { words } = this.blocks;
    const at = this.blocks.wordOf(chain);
    const bucket = this.#bucketOf(words[at + CHAIN_HASH]!);
    let before = this.#buckets[bucket]!;
    if (before === chain) this.#buckets[bucket] = words[at + CHAIN_NEXT]!;
    else {
      while (words[this.blocks.wordOf(before) + CHAIN_NEXT] !== chain) {
        before = words[this.blocks.wordOf(before) + CHAIN_NEXT]!;
      }
      words[this.blocks.wordOf(before) + CHAIN_NEXT] = words[at + CHAIN_NEXT]!;
    }
    this.blocks.free(chain, VersionBlocks.count(CHAIN_KEY, words[at + CHAIN_KEY_LENGTH]!));
  }

  /** All of them are gone. */
  clear(): void {
    this.#buckets.fill(0);
  }

  #find(hash: number, index: number, incarnation: number, key: Uint8Array): number {
    const { words, numbers } = this.blocks;
    let chain = this.#buckets[this.#bucketOf(hash)]!;
    for (; chain !== 0; chain = words[this.blocks.wordOf(chain) + CHAIN_NEXT]!) {
      const at = this.blocks.wordOf(chain);
      if (words[at + CHAIN_HASH] !== hash || words[at + CHAIN_KEY_LENGTH] !== key.length) continue;
      if (words[at + CHAIN_INDEX] !== (index | 0)) continue;
      if (numbers[(at >>> 1) + CHAIN_INCARNATION_F64] !== incarnation) continue;
      if (this.blocks.equals(chain, CHAIN_KEY, key)) break;
    }
    return chain;
  }

  #bucketOf(hash: number): number {
    return hash & (this.#buckets.length - 1);
  }
}

function bucketsFor(blocks: SharedArrayBuffer): number {
  const wanted = blocks.byteLength / BLOCK_BYTES / BLOCKS_A_BUCKET;
  return Math.max(FEWEST_BUCKETS, 2 ** Math.ceil(Math.log2(Math.max(1, wanted))));
}
