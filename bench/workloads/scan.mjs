/** All keys and values, in order. One scan has brought all of it into memory, and was checked byte for byte. */
import { checkScan } from '../comparison/answers.mjs';
import { expectedGlance, glance } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

export const workload = {
  title: 'scan of keys and values',
  needs: 'filled',
  measures: { scan: { title: 'scan, an entry', unit: 'ns', target: { peer: 'lmdb', times: 5 } } },

  async run({ store, data, stopwatch }) {
    await checkScan(store, data);
    let expected = 0;
    for (let number = 0; number < data.count; number++) expected = (expected + expectedGlance(number)) | 0;
    let sum = 0;
    let count = 0;
    const visit = (key, value) => {
      if (key !== undefined) count++;
      sum = (sum + glance(value)) | 0;
    };
    globalThis.gc?.();
    stopwatch.start();
    await store.scan(visit);
    stopwatch.stop();
    if (count !== data.count || sum !== expected)
      throw new WrongAnswer(`The timed scan gave ${count} entries, or others than were stored`);
    return { scan: stopwatch.each(data.count) };
  },
};
