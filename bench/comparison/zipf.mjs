/**
 * Numbers of which a few come often and most seldom: the n-th commonest in proportion to n to the power of -0.99, as in YCSB. Which number is how common
 * has nothing to do with its neighbours (Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994).
 */
import { mixed, Random } from './random.mjs';

const EXPONENT = 0.99;

export class Zipf {
  #random;
  #count;
  #total;
  #alpha = 1 / (1 - EXPONENT);
  #eta;

  constructor(count, seed) {
    this.#random = new Random(seed);
    this.#count = count;
    this.#total = sumOfShares(count);
    this.#eta = (1 - (2 / count) ** (1 - EXPONENT)) / (1 - sumOfShares(2) / this.#total);
  }

  /** From 0 to `count - 1`. */
  next() {
    return mixed(this.#rank()) % this.#count;
  }

  /** How common the next number is: 0 for the commonest. */
  #rank() {
    const unit = this.#random.unit();
    const share = unit * this.#total;
    if (share < 1) return 0;
    if (share < 1 + 0.5 ** EXPONENT) return 1;
    return Math.floor(this.#count * (this.#eta * unit - this.#eta + 1) ** this.#alpha);
  }
}

function sumOfShares(count) {
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sum += 1 / rank ** EXPONENT;
  return sum;
}
