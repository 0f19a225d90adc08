/** What clients do, made before the clock runs. */
import { Random } from '../comparison/random.mjs';
import { Zipf } from '../comparison/zipf.mjs';

export const READ = 0;
export const UPDATE = 1;
export const INSERT = 2;
export const SCAN = 3;
export const MODIFY = 4;

const KINDS = ['read', 'update', 'insert', 'scan', 'modify'];
const LONGEST_SCAN = 100;

/**
 * Kinds as common as `shares` says; keys as common as Zipf has it; inserts behind any entry, as likely, that none was put behind yet.
 *
 * @param {{ read?: number, update?: number, insert?: number, scan?: number, modify?: number }} shares They add up to 1.
 * @param {Set<number>} inserted Numbers of the entries that one was put behind. Grows when it is.
 */
export function operationsOf(shares, count, data, seed, inserted) {
  const zipf = new Zipf(data.count, seed);
  const random = new Random(seed + 1);
  const kinds = new Uint8Array(count);
  const lengths = new Uint8Array(count);
  const numbers = new Uint32Array(count);
  const behind = new Set(inserted);
  for (let at = 0; at < count; at++) {
    kinds[at] = kindAt(shares, random.unit());
    lengths[at] = 1 + random.below(LONGEST_SCAN);
    numbers[at] = zipf.next();
    if (kinds[at] !== INSERT) continue;
    do numbers[at] = random.below(data.count);
    while (behind.has(numbers[at]));
    behind.add(numbers[at]);
  }
  const keys = data.keysOf(numbers);
  for (let at = 0; at < count; at++) if (kinds[at] === INSERT) keys[at] = data.after(keys[at]);
  return { kinds, lengths, numbers, keys, inserted };
}

function kindAt(shares, unit) {
  let below = 0;
  let last = 0;
  for (const [kind, name] of KINDS.entries()) {
    if (shares[name] === undefined) continue;
    below += shares[name];
    last = kind;
    if (unit < below) return kind;
  }
  // Shares of floating point may add up to a little less than one.
  return last;
}
