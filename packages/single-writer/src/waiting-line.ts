/** A line: first come, first served. What is done most takes the same time however long it is; who leaves from its midst takes time in proportion. */

/** Places that are empty before the rest moves up. */
const MOST_EMPTY = 64;

export class WaitingLine<Waiting> {
  #places: (Waiting | undefined)[] = [];
  /** Where the first one is. */
  #first = 0;

  get length(): number {
    return this.#places.length - this.#first;
  }

  /** Undefined if nobody waits. */
  get first(): Waiting | undefined {
    return this.#places[this.#first];
  }

  join(waiting: Waiting): void {
    this.#places.push(waiting);
  }

  /** The first one goes. */
  serve(): void {
    this.#places[this.#first++] = undefined;
    if (this.#first < MOST_EMPTY || this.#first < this.length) return;
    this.#places = this.#places.slice(this.#first);
    this.#first = 0;
  }

  /** Those of whom that is true leave; returns them in order. */
  leave(isLeaving: (waiting: Waiting) => boolean): Waiting[] {
    const leaving: Waiting[] = [];
    const staying: Waiting[] = [];
    for (let at = this.#first; at < this.#places.length; at++) {
      const waiting = this.#places[at]!;
      (isLeaving(waiting) ? leaving : staying).push(waiting);
    }
    this.#places = staying;
    this.#first = 0;
    return leaving;
  }
}
