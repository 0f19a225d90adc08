/** All entries whose keys begin as a random key does, without its last three characters: few, or those of a directory. */
import { NotThere } from '../comparison/not-there.mjs';
import { Random } from '../comparison/random.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

const SHORTER = 3;
const MOST_SCANS = 100_000;

export const workload = {
  title: 'scan of keys with a prefix',
  needs: 'filled',
  measures: { scan: { title: 'prefix scan', unit: 'ns' } },

  async run({ store, data, seed, operations, stopwatch }) {
    if (store.scanPrefix === undefined || data.kind !== 'utf8') throw new NotThere('it has no prefixes');
    await store.scan(() => {});
    const random = new Random(seed);
    const count = Math.min(operations, MOST_SCANS);
    const keys = data.keysOf(Uint32Array.from({ length: count }, () => random.below(data.count)));
    const prefixes = keys.map((key) => key.slice(0, -SHORTER));
    const scanAll = (from, to) => {
      for (let at = from; at < to; at++) {
        let isMet = false;
        store.scanPrefix(prefixes[at], (key) => {
          if (key === keys[at]) isMet = true;
        });
        if (!isMet) throw new WrongAnswer(`A scan of what begins with ${prefixes[at]} has not ${keys[at]}`);
      }
    };
    scanAll(0, Math.ceil(count / 5));
    globalThis.gc?.();
    stopwatch.start();
    scanAll(0, count);
    stopwatch.stop();
    return { scan: stopwatch.each(count) };
  },
};
