/** How long each of many commits took: every one of them is kept, because what is asked for are the few that took longest. */

export class Latencies {
  #ms = new Float64Array(2 ** 14);
  #count = 0;

  add(ms) {
    if (this.#count === this.#ms.length) {
      const grown = new Float64Array(2 * this.#count);
      grown.set(this.#ms);
      this.#ms = grown;
    }
    this.#ms[this.#count++] = ms;
  }

  values() {
    return this.#ms.slice(0, this.#count);
  }
}

/** Milliseconds that half of all took at most, 99 and 99.9 in a hundred, and the one that took longest. `lists`: of each thread. */
export function percentiles(lists) {
  const sorted = new Float64Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    sorted.set(list, at);
    at += list.length;
  }
  sorted.sort();
  const below = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: below(0.5), p99: below(0.99), p999: below(0.999), most: below(1) };
}
