/** One thread and two on one store: 95 % reads and 5 % writes, of keys that are as common as Zipf has it. */
import { oneAndTwo } from '../comparison/one-and-two.mjs';

export const workload = {
  title: '95 % reads and 5 % writes, Zipfian, one thread and two',
  needs: 'filled',
  measures: {
    one: { title: 'mixed, 1 thread', unit: 'ns' },
    two: { title: 'mixed, 2 threads', unit: 'ns', target: { measure: 'one', times: 1.8 } },
  },

  run: (context) => oneAndTwo(context),
};
