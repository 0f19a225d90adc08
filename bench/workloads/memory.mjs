/** What an index takes of memory, all of it in the pool: pages, with values of 100 bytes. */
import { NotThere } from '../comparison/not-there.mjs';

export const workload = {
  title: 'memory of all pages',
  needs: 'filled',
  measures: { memory: { title: 'memory of all pages', unit: 'bytes' } },

  async run({ store }) {
    if (store.memory === undefined) throw new NotThere('it does not say');
    await store.scan(() => {});
    return { memory: { bytes: store.memory() } };
  },
};
