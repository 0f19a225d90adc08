/** Values of keys chosen at random, one after the other. All keys are as likely, and all is in memory: a scan has brought it there. */
import { timeGets } from '../comparison/gets.mjs';

export const workload = {
  title: 'random get, copying the value',
  needs: 'filled',
  measures: { get: { title: 'random get', unit: 'ns', target: { peer: 'lmdb', times: 4 } } },

  async run(context) {
    await context.store.scan(() => {});
    return { get: timeGets(context, 0, context.data.count) };
  },
};
