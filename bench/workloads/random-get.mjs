/** Values of keys chosen at random, one after the other. All keys are as likely, and all is in memory: a scan has brought it there. */
import { checkValues } from '../comparison/answers.mjs';
import { Random } from '../comparison/random.mjs';
import { expectedGlance, glance } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

const WARM_UP_SHARE = 0.2;

export const workload = {
  title: 'random get, copying the value',
  needs: 'filled',
  measures: { get: { title: 'random get', unit: 'ns', target: { peer: 'lmdb', times: 4 } } },

  async run({ store, data, seed, operations, stopwatch }) {
    await store.scan(() => {});
    checkValues(store, data, seed);
    const random = new Random(seed);
    const numbers = Uint32Array.from({ length: operations }, () => random.below(data.count));
    const keys = data.keysOf(numbers);
    const expected = numbers.reduce((sum, number) => (sum + expectedGlance(number)) | 0, 0);
    getAll(store, keys.slice(0, Math.ceil(operations * WARM_UP_SHARE)));
    globalThis.gc?.();
    stopwatch.start();
    const sum = getAll(store, keys);
    stopwatch.stop();
    if (sum !== expected) throw new WrongAnswer('What the timed reads gave is not what was stored');
    return { get: stopwatch.each(operations) };
  },
};

function getAll(store, keys) {
  let sum = 0;
  for (let at = 0; at < keys.length; at++) sum = (sum + glance(store.get(keys[at]))) | 0;
  return sum;
}
