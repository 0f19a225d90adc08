/** One thread and two on one store: short durable transactions that read and write, of keys that are not the other thread's. */
import { oneAndTwo } from '../comparison/one-and-two.mjs';

const UPDATES = new URL('../comparison/updates.worker.mjs', import.meta.url);

export const workload = {
  title: 'short update transactions, one thread and two',
  needs: 'filled',
  measures: {
    one: { title: 'update transactions, 1 thread', unit: 'ns' },
    two: { title: 'update transactions, 2 threads', unit: 'ns', target: { measure: 'one', times: 1.6 } },
  },

  run: (context) => oneAndTwo(context, UPDATES),
};
