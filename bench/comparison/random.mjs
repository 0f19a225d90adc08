/** Numbers that look random and are the same for the same seed. */

/** Whole numbers from 0 to 2^32 - 1, one after the other (xorshift). */
export class Random {
  #state;

  constructor(seed) {
    this.#state = mixed(seed) | 1;
  }

  u32() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** From 0 to `count - 1`. */
  below(count) {
    return Math.floor((this.u32() / 2 ** 32) * count);
  }

  /** From 0 to 1, without 1. */
  unit() {
    return this.u32() / 2 ** 32;
  }
}

/** A number from 0 to 2^32 - 1 that nothing of the given one can be seen in (the last steps of MurmurHash3). */
export function mixed(number) {
  let h = number | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The numbers from 0 to `count - 1` in a random order. */
export function shuffled(count, seed) {
  const random = new Random(seed);
  const numbers = Uint32Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const number = numbers[at];
    numbers[at] = numbers[other];
    numbers[other] = number;
  }
  return numbers;
}
