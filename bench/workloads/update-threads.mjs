/**
 * One thread and two on one store: short transactions that read and write, of keys that are not the other thread's. Durable ones, many at a time, and relaxed ones, one
 * by one, which wait for no device.
 */
import { oneAndTwo } from '../comparison/one-and-two.mjs';

const UPDATES = new URL('../comparison/updates.worker.mjs', import.meta.url);

export const workload = {
  title: 'short update transactions, one thread and two',
  needs: 'filled',
  measures: {
    one: { title: 'durable updates, 1 thread', unit: 'ns' },
    two: { title: 'durable updates, 2 threads', unit: 'ns', target: { measure: 'one', times: 1.6 } },
    relaxedOne: { title: 'relaxed updates, 1 thread', unit: 'ns' },
    relaxedTwo: { title: 'relaxed updates, 2 threads', unit: 'ns', target: { measure: 'relaxedOne', times: 1.6 } },
  },

  async run(context) {
    const durable = await oneAndTwo(context, UPDATES);
    if (!context.engine.canRelaxInThreads) return durable;
    const task = { ...context.task, isRelaxed: true };
    const { one: relaxedOne, two: relaxedTwo } = await oneAndTwo({ ...context, task }, UPDATES);
    return { ...durable, relaxedOne, relaxedTwo };
  },
};
