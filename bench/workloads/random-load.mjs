/**
 * Puts of all keys in a random order into an empty store, until the last of them is durable, and the size of what is on the device when the
 * store is closed. One transaction has at most a million puts, which are one batch.
 */
import { checkScan, checkValues } from '../comparison/answers.mjs';
import { batchesOf, ENTRIES_A_BATCH } from '../comparison/batches.mjs';
import { bytesIn } from '../comparison/file-bytes.mjs';
import { shuffled } from '../comparison/random.mjs';

export const workload = {
  title: 'random puts in one transaction',
  needs: 'empty',
  measures: {
    put: { title: 'random put', unit: 'ns', target: { peer: 'lmdb', times: 2.5 } },
    size: { title: 'file size after random load', unit: 'bytes', target: { peer: 'lmdb', times: 1 / 0.9 } },
  },

  async run({ store, data, seed, stopwatch, directory }) {
    const order = shuffled(data.count, seed);
    stopwatch.start();
    for (let from = 0; from < order.length; from += ENTRIES_A_BATCH) {
      await store.put(batchesOf(data, order.subarray(from, from + ENTRIES_A_BATCH), stopwatch));
    }
    stopwatch.stop();
    await store.settle?.();
    await checkScan(store, data);
    checkValues(store, data, seed);
    await store.close();
    return { put: stopwatch.each(data.count), size: { bytes: bytesIn(directory) } };
  },
};
