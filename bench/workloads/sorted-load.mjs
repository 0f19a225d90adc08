/** All keys in their order into an empty store, the fastest way that the engine has, until the last of them is durable. */
import { checkScan, checkValues } from '../comparison/answers.mjs';
import { batchesOf } from '../comparison/batches.mjs';
import { bytesIn } from '../comparison/file-bytes.mjs';
import { NotThere } from '../comparison/not-there.mjs';

export const workload = {
  title: 'sorted bulk load',
  needs: 'empty',
  measures: {
    load: { title: 'sorted load, an entry', unit: 'ns', target: { peer: 'lmdb', times: 5 } },
    size: { title: 'file size after sorted load', unit: 'bytes' },
  },

  async run({ store, data, seed, stopwatch, directory }) {
    if (store.load === undefined) throw new NotThere('it has no bulk load');
    const order = Uint32Array.from({ length: data.count }, (_, number) => number);
    stopwatch.start();
    await store.load(batchesOf(data, order, stopwatch));
    stopwatch.stop();
    await checkScan(store, data);
    checkValues(store, data, seed);
    await store.close();
    return { load: stopwatch.each(data.count), size: { bytes: bytesIn(directory) } };
  },
};
