/** Timed reads of keys chosen at random among neighbours: of all keys, or of few. */
import { checkValues } from './answers.mjs';
import { Random } from './random.mjs';
import { expectedGlance, glance } from './values.mjs';
import { WrongAnswer } from './wrong-answer.mjs';

const WARM_UP_SHARE = 0.2;

/** Reads the values of `operations` keys out of `span` from the key numbered `first` on. Errors: {@link WrongAnswer}. */
export function timeGets({ store, data, seed, operations, stopwatch }, first, span) {
  checkValues(store, data, seed);
  const random = new Random(seed);
  const numbers = Uint32Array.from({ length: operations }, () => first + random.below(span));
  const keys = data.keysOf(numbers);
  const expected = numbers.reduce((sum, number) => (sum + expectedGlance(number)) | 0, 0);
  getAll(store, keys.slice(0, Math.ceil(operations * WARM_UP_SHARE)));
  globalThis.gc?.();
  stopwatch.start();
  const sum = getAll(store, keys);
  stopwatch.stop();
  if (sum !== expected) throw new WrongAnswer('What the timed reads gave is not what was stored');
  return stopwatch.each(operations);
}

export function getAll(store, keys) {
  let sum = 0;
  for (let at = 0; at < keys.length; at++) sum = (sum + glance(store.get(keys[at]))) | 0;
  return sum;
}
