/**
 * One thread of `threads`: reads and writes of keys that are chosen as Zipf has it. What is written is what is there already, so that every answer is
 * known. Nobody waits for one write: some hundreds may be on their way to the device, and all are durable at the end.
 */
import { Random } from './random.mjs';
import { takeTurns } from './thread-turns.mjs';
import { expectedGlance, glance, valuesOf } from './values.mjs';
import { WrongAnswer } from './wrong-answer.mjs';
import { Zipf } from './zipf.mjs';

const WRITE_SHARE = 0.05;
const MOST_WRITES_UNDER_WAY = 512;
const OPERATIONS_A_TURN = 256;

await takeTurns(prepare, work);

/** Keys; the value where it is a write, else null; and what the reads must give. */
function prepare({ data, operations, seed }) {
  const zipf = new Zipf(data.count, seed);
  const random = new Random(seed + 1);
  const numbers = Uint32Array.from({ length: operations }, () => zipf.next());
  const values = Array.from(numbers, (number) => (random.unit() < WRITE_SHARE ? valuesOf([number])[0] : null));
  const expected = numbers.reduce(
    (sum, number, at) => (values[at] === null ? (sum + expectedGlance(number)) | 0 : sum),
    0,
  );
  return { keys: data.keysOf(numbers), values, expected };
}

async function work(store, { keys, values, expected }) {
  let sum = 0;
  let writes = [];
  const begun = performance.now();
  for (let from = 0; from < keys.length; from += OPERATIONS_A_TURN) {
    const end = Math.min(from + OPERATIONS_A_TURN, keys.length);
    for (let at = from; at < end; at++) {
      const value = values[at];
      if (value === null) sum = (sum + glance(store.get(keys[at]))) | 0;
      else writes.push(store.write(keys[at], value));
    }
    if (writes.length < MOST_WRITES_UNDER_WAY) await new Promise(setImmediate);
    else {
      await Promise.all(writes);
      writes = [];
    }
  }
  await Promise.all(writes);
  const operationsPerNs = keys.length / ((performance.now() - begun) * 1e6);
  if (sum !== expected) throw new WrongAnswer('What the timed reads gave is not what was stored');
  return { operationsPerNs, operations: keys.length };
}
