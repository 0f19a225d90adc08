/**
 * One thread of `update-threads`: short transactions, each of which reads a key and writes it again. Keys are chosen at random among those of this
 * thread, every other one, so that threads share pages, but no key. Either 64 are under way, and each is durable when it is over; or one is, over when the call
 * returns, and relaxed.
 */
import { workerData } from 'node:worker_threads';
import { Random } from './random.mjs';
import { takeTurns } from './thread-turns.mjs';
import { isValueOf, valuesOf } from './values.mjs';
import { WrongAnswer } from './wrong-answer.mjs';

const UNDER_WAY = 64;
const THREADS = 2;

await takeTurns(prepare, work);

function prepare({ data, operations, thread, seed }) {
  const random = new Random(seed);
  const mine = Math.floor(data.count / THREADS);
  const numbers = Uint32Array.from({ length: operations }, () => random.below(mine) * THREADS + thread);
  return { numbers, keys: data.keysOf(numbers), values: valuesOf(numbers) };
}

async function work(store, { numbers, keys, values }) {
  let next = 0;
  const update = async (modify) => {
    while (next < keys.length) {
      const at = next++;
      const over = modify(keys[at], (value) => {
        // What was stored is written again, so that every answer is known.
        if (!isValueOf(value, numbers[at])) throw new WrongAnswer(`${keys[at]} has not the value that was stored`);
        return values[at];
      });
      if (over !== undefined) await over;
      else if (next % UNDER_WAY === 0) await new Promise(setImmediate);
    }
  };
  const clients = workerData.isRelaxed ? [store.modifyInPlace] : Array.from({ length: UNDER_WAY }, () => store.modify);
  const begun = performance.now();
  await Promise.all(clients.map(update));
  return { operationsPerNs: keys.length / ((performance.now() - begun) * 1e6), operations: keys.length };
}
