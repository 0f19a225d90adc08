/**
 * Entries in a given order, a few thousand at a time. Each batch is made when it is asked for, while the stopwatch stands still, so that
 * any number of entries can be written and only the engine is measured.
 */
import { valuesOf } from './values.mjs';

const ENTRIES_A_BATCH = 16_384;

/** @typedef {{ readonly keys: (string | number)[], readonly values: Buffer[] }} Batch */

/** Batches of the entries of those numbers. The stopwatch runs when it is called, and when it ends. */
export function* batchesOf(data, numbers, stopwatch) {
  for (let from = 0; from < numbers.length; from += ENTRIES_A_BATCH) {
    stopwatch.stop();
    const some = numbers.subarray(from, from + ENTRIES_A_BATCH);
    const batch = { keys: data.keysOf(some), values: valuesOf(some) };
    tenure();
    stopwatch.start();
    yield batch;
  }
}

/** Moves what was made out of the way of the collections to come, which would be the engine's time. */
function tenure() {
  for (let times = 0; times < 2; times++) globalThis.gc?.({ type: 'minor' });
}
