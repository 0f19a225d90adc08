/**
 * A queue beside a snapshot that stays open, and without one: each short transaction takes the first entry away and puts one behind the last. What was taken away is kept for the
 * snapshot, and is in the way of whoever looks for the first entry, unless the engine sees to it. The turns with and without alternate.
 */
import { NotThere } from '../comparison/not-there.mjs';
import { middleOf } from '../comparison/statistics.mjs';
import { Stopwatch } from '../comparison/stopwatch.mjs';
import { isValueOf, valuesOf } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

const TURNS = 3;
const QUEUED = 1000;
const MOST_MS = 3000;
const TRANSACTIONS_A_TURN = 64;
/** The snapshot is asked for what was first when it began. */
const KEYS_AT_ONCE = 1024;

export const workload = {
  title: 'a queue beside a long snapshot',
  needs: 'own',
  measures: {
    plain: { title: 'queue, no snapshot open', unit: 'ns' },
    beside: { title: 'queue beside an open snapshot', unit: 'ns', target: { measure: 'plain', times: 0.9 } },
  },

  async run({ engine, directory, data, operations }) {
    const store = await engine.open(directory, data, 'relaxed');
    if (store.snapshot === undefined || store.moveOn === undefined) throw new NotThere('its adapter has no queue');
    const queue = new Queue(store, data);
    await queue.fill();
    const runs = [[], []];
    for (let turn = -2; turn < 2 * TURNS; turn++) {
      const isBeside = turn % 2 !== 0;
      const { watch, moved } = await queue.turn(isBeside, Math.ceil(operations / TURNS));
      if (turn >= 0) runs[isBeside ? 1 : 0].push(watch.each(moved));
    }
    await store.close();
    return { plain: middleOf(runs[0]), beside: middleOf(runs[1]) };
  },
};

class Queue {
  #store;
  #data;
  #first = 0;

  constructor(store, data) {
    this.#store = store;
    this.#data = data;
  }

  async fill() {
    const numbers = Uint32Array.from({ length: QUEUED }, (_, number) => number);
    await this.#store.put([{ keys: this.#data.keysOf(numbers), values: valuesOf(numbers) }]);
  }

  async turn(isBeside, most) {
    const snapshot = isBeside ? this.#store.snapshot() : null;
    const first = this.#first;
    globalThis.gc?.();
    const watch = new Stopwatch();
    let moved = 0;
    while (moved < most && watch.wallMs < MOST_MS) {
      const numbers = Uint32Array.from({ length: KEYS_AT_ONCE }, (_, at) => this.#first + QUEUED + at);
      const keys = this.#data.keysOf(numbers);
      const values = valuesOf(numbers);
      watch.start();
      for (let at = 0; at < KEYS_AT_ONCE; at++) {
        const value = this.#store.moveOn(keys[at], values[at]);
        if (!isValueOf(value, this.#first)) throw new WrongAnswer(`The entry numbered ${this.#first} is not the first`);
        this.#first++;
        if (at % TRANSACTIONS_A_TURN === 0) await new Promise(setImmediate);
      }
      watch.stop();
      moved += KEYS_AT_ONCE;
    }
    if (snapshot !== null) {
      const [key] = this.#data.keysOf([first]);
      if (!isValueOf(snapshot.get(key), first))
        throw new WrongAnswer(`The snapshot has lost ${key}, which was first when it began`);
      snapshot.release();
    }
    return { watch, moved };
  }
}
