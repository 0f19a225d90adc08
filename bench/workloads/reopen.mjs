/** From opening a store that was closed to its first answer. The file is in the system's cache; the engine is loaded, and has nothing in memory. */
import { isValueOf } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

export const workload = {
  title: 'opening a store, to the first answer',
  needs: 'closed',
  measures: { open: { title: 'open, first answer', unit: 'ns' } },

  async run({ engine, directory, data, stopwatch }) {
    const number = Math.floor(data.count / 2);
    const [key] = data.keysOf([number]);
    stopwatch.start();
    const store = await engine.open(directory, data);
    const value = store.get(key);
    stopwatch.stop();
    if (!isValueOf(value, number)) throw new WrongAnswer('The first value is not what was stored');
    await store.close();
    return { open: stopwatch.each(1) };
  },
};
