/**
 * Short transactions that read and write a key beside a snapshot that stays open, and without one. Each turn begins on the same store; the turns with
 * and without alternate. At its end the snapshot has to see what it saw when it began.
 */
import { NotThere } from '../comparison/not-there.mjs';
import { Random } from '../comparison/random.mjs';
import { middleOf } from '../comparison/statistics.mjs';
import { Stopwatch } from '../comparison/stopwatch.mjs';
import { valueAt } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';
import { Versions } from '../mixes/versions.mjs';

const TURNS = 3;
const KEYS_OF_SNAPSHOT = 10_000;
/** After so many the event loop turns: logs and checkpoints go on there. */
const TRANSACTIONS_A_TURN = 64;

export const workload = {
  title: 'short transactions beside a long snapshot',
  needs: 'copy',
  measures: {
    plain: { title: 'short transactions, no snapshot open', unit: 'ns' },
    beside: { title: 'beside an open snapshot', unit: 'ns', target: { measure: 'plain', times: 0.9 } },
    hotPlain: { title: 'of 2,000 keys, no snapshot open', unit: 'ns' },
    hotBeside: { title: 'of 2,000 keys, beside one', unit: 'ns', target: { measure: 'hotPlain', times: 0.9 } },
  },

  async run({ engine, directory, data, seed, operations }) {
    const store = await engine.open(directory, data, 'relaxed');
    if (store.snapshot === undefined || store.modify === undefined) throw new NotThere('its adapter has no snapshots');
    await store.scan(() => {});
    const versions = new Versions(data.count);
    const random = new Random(seed);
    const measured = {};
    for (const [kind, span] of [
      ['plain', data.count],
      ['hotPlain', Math.min(2000, data.count)],
    ]) {
      const watches = [[], []];
      for (let turn = -2; turn < 2 * TURNS; turn++) {
        const isBeside = turn % 2 !== 0;
        const watch = await runTurn({ store, data, versions, random, operations, span }, isBeside);
        if (turn >= 0) watches[isBeside ? 1 : 0].push(watch.each(operations));
      }
      measured[kind] = middleOf(watches[0]);
      measured[kind === 'plain' ? 'beside' : 'hotBeside'] = middleOf(watches[1]);
    }
    await store.close();
    return measured;
  },
};

async function runTurn({ store, data, versions, random, operations, span }, isBeside) {
  const numbers = Uint32Array.from({ length: operations }, () => random.below(span));
  const keys = data.keysOf(numbers);
  const seen = numbers.slice(0, KEYS_OF_SNAPSHOT);
  const before = seen.map((number) => versions.least(number));
  const snapshot = isBeside ? store.snapshot() : null;
  globalThis.gc?.();
  const watch = new Stopwatch();
  watch.start();
  for (let at = 0; at < keys.length; at++) {
    const number = numbers[at];
    const least = versions.least(number);
    versions.begin(number);
    store.modify(keys[at], (value) => valueAt(number, 1 + versions.check(value, number, least)));
    versions.acknowledged(number, least + 1);
    if (at % TRANSACTIONS_A_TURN === 0) await new Promise(setImmediate);
  }
  watch.stop();
  if (snapshot !== null) {
    for (const [at, number] of seen.entries()) {
      const value = snapshot.get(keys[at]);
      if (!valueAt(number, before[at]).equals(value))
        throw new WrongAnswer(`The snapshot sees another value of ${keys[at]} than when it began`);
    }
    snapshot.release();
  }
  return watch;
}
