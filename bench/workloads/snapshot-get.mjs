/** What a snapshot adds to reading values of keys at random, where nothing that it sees was written since. The turns with and without alternate. */
import { checkValues } from '../comparison/answers.mjs';
import { getAll } from '../comparison/gets.mjs';
import { NotThere } from '../comparison/not-there.mjs';
import { Random } from '../comparison/random.mjs';
import { Stopwatch } from '../comparison/stopwatch.mjs';
import { expectedGlance } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

const TURNS = 10;
const HOT_KEYS = 2000;

export const workload = {
  title: 'get in a snapshot, copying the value',
  needs: 'filled',
  measures: {
    plain: { title: 'random get, no snapshot', unit: 'ns' },
    snapshot: { title: 'random get in a snapshot', unit: 'ns', target: { measure: 'plain', times: 1 / 1.15 } },
    hotPlain: { title: 'hot get, no snapshot', unit: 'ns' },
    hotSnapshot: { title: 'hot get in a snapshot', unit: 'ns', target: { measure: 'hotPlain', times: 1 / 1.15 } },
  },

  async run(context) {
    const { store, data, seed } = context;
    if (store.snapshot === undefined) throw new NotThere('its adapter has no snapshots');
    await store.scan(() => {});
    checkValues(store, data, seed);
    const [plain, snapshot] = timed(context, 0, data.count);
    const [hotPlain, hotSnapshot] = timed(
      context,
      Math.floor(data.count / 3),
      Math.min(HOT_KEYS, Math.ceil((data.count * 2) / 3)),
    );
    return { plain, snapshot, hotPlain, hotSnapshot };
  },
};

/** Without and with a snapshot, each in half of the turns. */
function timed({ store, data, seed, operations }, first, span) {
  const random = new Random(seed);
  const count = Math.ceil(operations / TURNS);
  const watches = [new Stopwatch(), new Stopwatch()];
  for (let turn = -2; turn < 2 * TURNS; turn++) {
    const numbers = Uint32Array.from({ length: count }, () => first + random.below(span));
    const keys = data.keysOf(numbers);
    const expected = numbers.reduce((sum, number) => (sum + expectedGlance(number)) | 0, 0);
    const isInSnapshot = turn % 2 !== 0;
    const from = isInSnapshot ? store.snapshot() : store;
    const watch = turn < 0 ? new Stopwatch() : watches[isInSnapshot ? 1 : 0];
    watch.start();
    const sum = getAll(from, keys);
    watch.stop();
    if (isInSnapshot) from.release();
    if (sum !== expected) throw new WrongAnswer('What the timed reads gave is not what was stored');
  }
  return watches.map((watch) => watch.each(count * TURNS));
}
