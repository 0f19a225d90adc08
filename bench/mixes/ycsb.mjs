/**
 * The mixes of the Yahoo! Cloud Serving Benchmark (Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010), on entries of the data set; an
 * update writes all of an entry. Each runs in two ways: by 64 clients whose writes are durable when they are told so, and by one client whose
 * writes survive the process, but not the machine, and are over when the call returns.
 */
import { isSameKey } from '../comparison/data-sets.mjs';
import { NotThere } from '../comparison/not-there.mjs';
import { Stopwatch } from '../comparison/stopwatch.mjs';
import { isValueAt } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';
import { Clients } from './clients.mjs';
import { operationsOf } from './operations.mjs';
import { Versions } from './versions.mjs';

const CLIENTS = { durable: 64, relaxed: 1 };
const MOST_MS = 4000;
const WARM_UP_SHARE = 0.2;
const MOST_WARM_UP_MS = 1000;
const KEYS_AT_ONCE = 4096;

/** `shares`: as {@link operationsOf} takes them. */
export function ycsb(title, shares) {
  return {
    title,
    needs: 'copy',
    measures: {
      durable: { title: `${title}, durable, ${CLIENTS.durable} clients`, unit: 'ns' },
      relaxed: { title: `${title}, relaxed, one by one`, unit: 'ns' },
    },

    async run({ engine, directory, data, seed, operations: most }) {
      const versions = new Versions(data.count);
      const inserted = new Set();
      const measured = {};
      for (const [durability, clients] of Object.entries(CLIENTS)) {
        const store = await engine.open(directory, data, durability);
        if (store.write === undefined) throw new NotThere('its adapter has no single writes');
        await store.scan(() => {});
        const operations = operationsOf(shares, most, data, seed + clients, inserted);
        const running = new Clients(store, operations, versions);
        await running.run(clients, most * WARM_UP_SHARE, MOST_WARM_UP_MS);
        globalThis.gc?.();
        const watch = new Stopwatch();
        watch.start();
        const done = await running.run(clients, most, MOST_MS);
        watch.stop();
        measured[durability] = watch.each(done);
        await checkAll(store, data, versions, inserted);
        await store.close();
      }
      return measured;
    },
  };
}

/** That every write is there, the last one of each entry, byte for byte, and nothing else. */
async function checkAll(store, data, versions, inserted) {
  let number = -1;
  let keys = [];
  let isBehind = false;
  await store.scan((key, value) => {
    // Behind an entry comes what was inserted there, or the next one.
    isBehind = !isBehind && inserted.has(number);
    if (!isBehind) number++;
    const at = number % KEYS_AT_ONCE;
    if (at === 0 && !isBehind) {
      const length = Math.min(KEYS_AT_ONCE, data.count - number);
      keys = data.keysOf(Array.from({ length }, (_, i) => number + i));
    }
    const expected = isBehind ? data.after(keys[at]) : keys[at];
    if (!isSameKey(key, expected)) throw new WrongAnswer(`A scan gives ${key} where ${expected} should come`);
    if (!isValueAt(value, number, isBehind ? 0 : versions.last(number)))
      throw new WrongAnswer(`${key} has not the value that was written last`);
  });
  const isOver = number === data.count - 1 && isBehind === inserted.has(number);
  if (!isOver) throw new WrongAnswer(`A scan ends behind the entry numbered ${number} of ${data.count}`);
}
