/**
 * Seeded randomness: all that the test kit chooses comes from here, so that the same seed gives the same run, to the byte.
 * The generator is mulberry32: 32 bits of state, one multiplication or two a number, good enough to choose faults by.
 */
import { checkSeed } from './option-check.js';

export class Random {
  #state: number;

  /** `seed`: a whole number; its lowest 32 bits count. Errors: `RangeError`. */
  constructor(readonly seed: number) {
    checkSeed(seed);
    this.#state = seed >>> 0;
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number {
    return Math.floor(this.fraction() * end);
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True with this probability, from 0 to 1. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** One of these; there must be one. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** Fills the bytes. */
  fill(bytes: Uint8Array): Uint8Array {
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.fraction() * 256;
    return bytes;
  }

  /** Puts the items in another order, in place. */
  shuffle<Item>(items: Item[]): Item[] {
    for (let left = items.length; left > 1; left--) {
      const at = this.below(left);
      const item = items[left - 1] as Item;
      items[left - 1] = items[at] as Item;
      items[at] = item;
    }
    return items;
  }

  /** A generator of its own, whose numbers depend on this one's state and the name alone: what it is used for does not disturb others. */
  fork(name: string): Random {
    let seed = this.below(4_294_967_296);
    for (const character of name) seed = Math.imul(seed ^ (character.codePointAt(0) ?? 0), 0x01000193);
    return new Random(seed);
  }
}
