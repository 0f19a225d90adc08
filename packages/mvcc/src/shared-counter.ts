/** A number that all threads add to, and that decides nothing by itself. */

export class SharedCounter {
  readonly #words: Int32Array;

  static bytes(): number {
    return 64;
  }

  constructor(readonly memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  get count(): number {
    return Atomics.load(this.#words, 0) >>> 0;
  }

  add(difference: number): void {
    Atomics.add(this.#words, 0, difference);
  }
}
