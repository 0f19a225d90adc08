/**
 * Values of keys chosen at random among 2,000 neighbours, whose pages the processor's caches hold. Beside `random-get` it tells what is work
 * and what is waiting for memory.
 */
import { timeGets } from '../comparison/gets.mjs';

const HOT_KEYS = 2000;

export const workload = {
  title: 'get among 2,000 neighbours, copying the value',
  needs: 'filled',
  measures: { get: { title: 'hot get', unit: 'ns' } },

  async run(context) {
    const { count } = context.data;
    // From somewhere in the middle, so that they have neighbours like any other.
    return { get: timeGets(context, Math.floor(count / 3), Math.min(HOT_KEYS, Math.ceil((count * 2) / 3))) };
  },
};
