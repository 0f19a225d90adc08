/**
 * Values that say which key they belong to: any of them can be made again from the number of its key, and compared byte for byte.
 * Nothing in them can be compressed.
 */
import { mixed } from './random.mjs';

export const VALUE_BYTES = 100;
const WORDS = VALUE_BYTES / 4;

/** The value of the key of that number, in memory that is given: 32-bit words, lowest byte first. */
function fill(words, at, number) {
  let word = mixed(number);
  for (let i = 0; i < WORDS; i++) {
    words[at + i] = word;
    word = (Math.imul(word, 0x9e3779b1) + 0x7f4a7c15) | 0;
  }
}

/** The values of many keys, as a program has them: one Buffer for each. */
export function valuesOf(numbers) {
  const words = new Uint32Array(numbers.length * WORDS);
  const values = new Array(numbers.length);
  for (let at = 0; at < numbers.length; at++) {
    fill(words, at * WORDS, numbers[at]);
    values[at] = Buffer.from(words.buffer, at * VALUE_BYTES, VALUE_BYTES);
  }
  return values;
}

/** The value of a key that was written again: version 0 is what {@link valuesOf} gives. First and last word tell the version. */
export function valueAt(number, version) {
  const words = new Uint32Array(WORDS);
  fill(words, 0, number);
  words[0] += version;
  words[WORDS - 1] ^= version;
  return Buffer.from(words.buffer);
}

/** The version that the first word of a value of that key tells. What is no such value tells one that was never written, as likely as not. */
export function versionOf(value, number) {
  if (value?.length !== VALUE_BYTES) return -1;
  const word = value[0] | (value[1] << 8) | (value[2] << 16) | (value[3] << 24);
  return (word - mixed(number)) >>> 0;
}

/** Whether it is {@link valueAt}, all bytes of it. */
export function isValueAt(value, number, version) {
  return value?.length === VALUE_BYTES && valueAt(number, version).equals(value);
}

/** A few bytes of both ends, so that a timed loop reads what it was given and hardly takes longer for it. */
export function glance(value) {
  return (value[0] | (value[1] << 8) | (value[2] << 16) | (value[3] << 24)) ^ (value.length + value[VALUE_BYTES - 1]);
}

const expected = new Uint32Array(WORDS);
const expectedBytes = Buffer.from(expected.buffer);

/** What {@link glance} must say of the value of that key. */
export function expectedGlance(number) {
  fill(expected, 0, number);
  return glance(expectedBytes);
}

/** Whether it is the value of that key, all bytes of it. */
export function isValueOf(value, number) {
  fill(expected, 0, number);
  return value?.length === VALUE_BYTES && expectedBytes.equals(value);
}
