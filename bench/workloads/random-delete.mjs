/**
 * Deletes of half of all keys in a random order, until the last of them is durable, from a store with all of them; a scan afterwards gives the other half. One transaction has at
 * most a million deletes.
 */
import { ENTRIES_A_BATCH } from '../comparison/batches.mjs';
import { NotThere } from '../comparison/not-there.mjs';
import { shuffled } from '../comparison/random.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

export const workload = {
  title: 'random deletes in one transaction',
  needs: 'copy',
  measures: { delete: { title: 'random delete', unit: 'ns' } },

  async run({ engine, store: given, data, seed, stopwatch, directory }) {
    const store = given ?? (await engine.open(directory, data));
    if (store.remove === undefined) throw new NotThere('it cannot delete');
    const order = shuffled(data.count, seed).subarray(0, data.count >>> 1);
    const isGone = new Uint8Array(data.count);
    for (const number of order) isGone[number] = 1;
    for (let from = 0; from < order.length; from += ENTRIES_A_BATCH) {
      const keys = data.keysOf(order.subarray(from, from + ENTRIES_A_BATCH));
      globalThis.gc?.();
      stopwatch.start();
      await store.remove([{ keys }]);
      stopwatch.stop();
    }
    let left = 0;
    await store.scan(() => left++);
    if (left !== data.count - order.length)
      throw new WrongAnswer(`A scan gives ${left} entries after ${order.length} of ${data.count} were deleted`);
    const probes = order.subarray(0, 1000);
    for (const key of data.keysOf(probes))
      if ((store.get(key) ?? undefined) !== undefined) throw new WrongAnswer(`${key} was deleted, and is there`);
    if (given === null) await store.close();
    return { delete: stopwatch.each(order.length) };
  },
};
