/** What is committed: entries that are numbered from 0 on, each with a key of its own at a random place and a value of 100 bytes that says which it is. */
import { mixed } from '../comparison/random.mjs';
import { VALUE_BYTES, valuesOf } from '../comparison/values.mjs';

export const KEY_BYTES = 4;

const [SAMPLE] = valuesOf([1]);
const expected = Buffer.from(SAMPLE);

/** No two numbers below 2^32 have the same one. */
export function keyOf(number) {
  return mixed(number);
}

export function valueFor(number) {
  const value = Buffer.allocUnsafe(VALUE_BYTES);
  SAMPLE.copy(value);
  value.writeUInt32LE(number);
  return value;
}

/** The number of the entry that has this value; -1 if none has. */
export function numberIn(value) {
  if (value?.length !== VALUE_BYTES) return -1;
  const number = value[0] + value[1] * 2 ** 8 + value[2] * 2 ** 16 + value[3] * 2 ** 24;
  expected.writeUInt32LE(number);
  return expected.equals(value) ? number : -1;
}
