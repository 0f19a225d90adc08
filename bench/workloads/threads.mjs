/**
 * One thread and two on one store: 95 % reads and 5 % writes, of keys that are as common as Zipf has it. The turns of one and of two
 * alternate within the process.
 */
import { checkScan } from '../comparison/answers.mjs';
import { NotThere } from '../comparison/not-there.mjs';
import { median } from '../comparison/statistics.mjs';
import { Threads } from '../comparison/threads.mjs';

const TURNS = 3;

export const workload = {
  title: '95 % reads and 5 % writes, Zipfian, one thread and two',
  needs: 'filled',
  measures: {
    one: { title: 'mixed, 1 thread', unit: 'ns' },
    two: { title: 'mixed, 2 threads', unit: 'ns', target: { measure: 'one', times: 1.8 } },
  },

  async run({ engine, store, data, task, seed }) {
    const handle = store.share?.();
    if (handle === undefined || engine.attach === undefined) {
      throw new NotThere('other threads cannot join it, or its adapter does not');
    }
    // As far as memory goes, all is there before the clock runs.
    await store.scan(() => {});
    const threads = await Threads.start(2, task, handle);
    const one = [];
    const two = [];
    await threads.run(2, seed);
    for (let turn = 1; turn <= TURNS; turn++) {
      one.push(await threads.run(1, seed + turn));
      two.push(await threads.run(2, seed + turn));
    }
    await threads.end();
    await checkScan(store, data);
    const middle = (runs) => ({
      wallNs: median(runs.map(({ wallNs }) => wallNs)),
      cpuNs: median(runs.map(({ cpuNs }) => cpuNs)),
    });
    return { one: middle(one), two: middle(two) };
  },
};
