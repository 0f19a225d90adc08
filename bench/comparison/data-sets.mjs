/**
 * What is stored: keys that are numbered in their order, from 0 on, and can be made from their numbers whenever they are needed. So no list of all of
 * them is held, and any engine's answer can be checked.
 */
import { Random } from './random.mjs';
import { VALUE_BYTES } from './values.mjs';

/**
 * @typedef {object} DataSet
 * @property {'utf8' | 'u64'} kind What a key is to a program: a string, or a whole number.
 * @property {number} count
 * @property {number} keyBytes Bytes of a key, on average.
 * @property {number} valueBytes
 * @property {(numbers: ArrayLike<number>) => (string | number)[]} keysOf
 * @property {(key: string | number) => string | number} after A key that is not there, right behind one that is.
 * @property {() => string | number} missing A key that is not there, and would be the last.
 */

export const DATA_SETS = {
  decimal: { title: 'strings of 16 decimal digits, one after the other', make: decimals },
  u64: { title: 'whole numbers below 2⁵³, at random', make: u64s },
  path: { title: 'paths of files', make: paths },
};

/** `basePaths`: paths of files, sorted, of which the data set of paths is made. */
export function dataSet(name, count, basePaths) {
  return DATA_SETS[name].make(count, basePaths);
}

/** Whether a key that an engine gave back is this one: a whole number may be a bigint, or eight bytes, the highest first. */
export function isSameKey(given, key) {
  if (typeof given === typeof key) return given === key;
  if (typeof given === 'bigint') return given === BigInt(key);
  return given instanceof Uint8Array && given.length === 8 && Buffer.from(given).readBigUInt64BE() === BigInt(key);
}

function decimals(count) {
  return {
    kind: 'utf8',
    count,
    keyBytes: 16,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, (number) => flat(String(number).padStart(16, '0'))),
    after: (key) => flat(`${key}+`),
    missing: () => '9999999999999999',
  };
}

function u64s(count) {
  const random = new Random(count);
  const all = Float64Array.from({ length: count }, () => random.below(2 ** 21) * 2 ** 32 + random.u32()).sort();
  // Two alike are as good as never met; the later one becomes the next number.
  for (let at = 1; at < count; at++) if (all[at] <= all[at - 1]) all[at] = all[at - 1] + 1;
  return {
    kind: 'u64',
    count,
    keyBytes: 8,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, (number) => all[number]),
    // Of a million among 2⁵³ hardly two are neighbours; if they are, the scan that checks all says so.
    after: (key) => key + 1,
    missing: () => 2 ** 53 - 1,
  };
}

/** The same paths on one machine after the other. */
function paths(count, base) {
  if (base.length === 0) throw new Error('There are no paths to make keys of');
  const keyOf = (number) => {
    const machine = String(Math.floor(number / base.length)).padStart(6, '0');
    return flat(`/machines/${machine}${base[number % base.length]}`);
  };
  const sample = base.slice(0, Math.min(count, base.length));
  return {
    kind: 'utf8',
    count,
    keyBytes: '/machines/000000'.length + sample.reduce((sum, path) => sum + path.length, 0) / sample.length,
    valueBytes: VALUE_BYTES,
    keysOf: (numbers) => Array.from(numbers, keyOf),
    // Before anything that has more of the path: no path has a character before the space, or ends with one.
    after: (key) => flat(`${key} `),
    missing: () => '/nowhere',
  };
}

/** One run of bytes: a string that was put together of parts is a tree of them until someone reads it, who would then be measured for it. */
function flat(string) {
  return Buffer.from(string, 'latin1').latin1Slice();
}
