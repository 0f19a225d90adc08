/** Whether an engine gives back what was stored in it: outside of what is timed, and byte for byte. */
import { isSameKey } from './data-sets.mjs';
import { Random } from './random.mjs';
import { isValueOf } from './values.mjs';
import { WrongAnswer } from './wrong-answer.mjs';

const VALUES_CHECKED = 10_000;
const KEYS_AT_ONCE = 16_384;

/** Values of keys chosen at random, and that what is not there is not found. */
export function checkValues(store, data, seed) {
  const random = new Random(seed + 1);
  const numbers = Array.from({ length: Math.min(VALUES_CHECKED, data.count) }, () => random.below(data.count));
  const keys = data.keysOf(numbers);
  for (let at = 0; at < keys.length; at++) {
    if (!isValueOf(store.get(keys[at]), numbers[at]))
      throw new WrongAnswer(`${keys[at]} has not the value that was stored`);
  }
  const missing = data.missing();
  // Null, as some say it, is as good.
  if ((store.get(missing) ?? undefined) !== undefined)
    throw new WrongAnswer(`${missing} was never stored, and has a value`);
}

/** That a scan gives all entries, in the order of their keys, and no others. */
export async function checkScan(store, data) {
  let number = 0;
  let keys = [];
  await store.scan((key, value) => {
    if (number >= data.count)
      throw new WrongAnswer(`A scan gives more than the ${data.count} entries that were stored`);
    const at = number % KEYS_AT_ONCE;
    if (at === 0) {
      const length = Math.min(KEYS_AT_ONCE, data.count - number);
      keys = data.keysOf(Array.from({ length }, (_, i) => number + i));
    }
    if (!isSameKey(key, keys[at])) throw new WrongAnswer(`A scan gives ${key} where ${keys[at]} should come`);
    if (!isValueOf(value, number)) throw new WrongAnswer(`A scan gives another value for ${key} than was stored`);
    number++;
  });
  if (number !== data.count) throw new WrongAnswer(`A scan gives ${number} of ${data.count} entries`);
}
