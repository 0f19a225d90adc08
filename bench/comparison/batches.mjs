/**
 * Entries in a given order, up to a million at a time. Each batch is made when it is asked for, while the stopwatch stands still, so that
 * any number of entries can be written and only the engine is measured. Batches are few, because what an engine does in
 * threads of its own goes on meanwhile.
 */
import { valuesOf } from './values.mjs';

export const ENTRIES_A_BATCH = 1_000_000;

/** @typedef {{ readonly keys: (string | number)[], readonly values: Buffer[] }} Batch */

/** Batches of the entries of those numbers. The stopwatch runs when it is called, and when it ends. */
export function* batchesOf(data, numbers, stopwatch) {
  for (let from = 0; from < numbers.length; from += ENTRIES_A_BATCH) {
    stopwatch.stop();
    const some = numbers.subarray(from, from + ENTRIES_A_BATCH);
    const batch = { keys: data.keysOf(some), values: valuesOf(some) };
    // What was made on the way is not for the engine to collect.
    globalThis.gc?.();
    stopwatch.start();
    yield batch;
  }
}
