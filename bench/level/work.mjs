/**
 * What is done with a database of abstract-level, by its interface alone, so that it is the same for all. Keys are 16 decimal digits, values strings of 100 characters, as
 * most programs have them. Every answer is looked at.
 */
import { Random, shuffled } from '../comparison/random.mjs';
import { Stopwatch } from '../comparison/stopwatch.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';

const IN_FLIGHT = 64;
const OPERATIONS_A_BATCH = 1000;
/** Durable writes one after the other take as long as the device does. */
const FEWER = 20;

export const MEASURES = {
  getSync: { title: 'getSync', unit: 'ns' },
  get: { title: 'get, awaited', unit: 'ns' },
  getMany: { title: 'getMany of 100, a value', unit: 'ns' },
  iterator: { title: 'iterator, nextv(1000), an entry', unit: 'ns' },
  putRelaxed: { title: 'put, sync: false, awaited', unit: 'ns' },
  putRelaxedMany: { title: `put, sync: false, ${IN_FLIGHT} in flight`, unit: 'ns' },
  putDurable: { title: 'put, sync: true, awaited', unit: 'ns' },
  putDurableMany: { title: `put, sync: true, ${IN_FLIGHT} in flight`, unit: 'ns' },
  batch: { title: `batch of ${OPERATIONS_A_BATCH}, sync: true, an operation`, unit: 'ns' },
};

export async function measureLevel(db, { keys: count, operations, seed }) {
  const keyOf = (number) => String(number).padStart(16, '0');
  const textOf = (number, version) => `${version}:${number}:`.padEnd(100, '.');
  const versions = new Uint32Array(count);
  const random = new Random(seed);
  const timed = async (many, work) => {
    globalThis.gc?.();
    const watch = new Stopwatch();
    watch.start();
    await work();
    watch.stop();
    return watch.each(many);
  };
  const check = (value, number) => {
    if (value !== textOf(number, versions[number])) throw new WrongAnswer(`${keyOf(number)} has ${value}`);
  };
  const measured = {};

  const order = shuffled(count, seed);
  measured.batch = await timed(count, async () => {
    for (let from = 0; from < count; from += OPERATIONS_A_BATCH) {
      const some = order.subarray(from, from + OPERATIONS_A_BATCH);
      const operations = Array.from(some, (number) => ({ type: 'put', key: keyOf(number), value: textOf(number, 0) }));
      await db.batch(operations, { sync: true });
    }
  });
  const numbers = Uint32Array.from({ length: operations }, () => random.below(count));
  const keys = Array.from(numbers, keyOf);
  measured.getSync = await timed(operations, () => {
    for (let at = 0; at < operations; at++) check(db.getSync(keys[at]), numbers[at]);
  });
  measured.get = await timed(operations, async () => {
    for (let at = 0; at < operations; at++) check(await db.get(keys[at]), numbers[at]);
  });
  measured.getMany = await timed(operations, async () => {
    for (let from = 0; from < operations; from += 100) {
      const values = await db.getMany(keys.slice(from, from + 100));
      for (let at = 0; at < values.length; at++) check(values[at], numbers[from + at]);
    }
  });
  measured.iterator = await timed(count, async () => {
    const iterator = db.iterator();
    let number = 0;
    for (let some = await iterator.nextv(1000); some.length > 0; some = await iterator.nextv(1000)) {
      for (const [key, value] of some) {
        if (key !== keyOf(number)) throw new WrongAnswer(`An iterator gives ${key} where ${keyOf(number)} should come`);
        check(value, number++);
      }
    }
    await iterator.close();
    if (number !== count) throw new WrongAnswer(`An iterator gives ${number} of ${count} entries`);
  });

  const put = async (many, inFlight, sync) => {
    let next = 0;
    const options = { sync };
    const one = async () => {
      while (next < many) {
        const number = numbers[next++];
        await db.put(keyOf(number), textOf(number, ++versions[number]), options);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
  };
  const few = Math.ceil(operations / FEWER);
  measured.putRelaxed = await timed(operations, () => put(operations, 1, false));
  measured.putRelaxedMany = await timed(operations, () => put(operations, IN_FLIGHT, false));
  measured.putDurable = await timed(few, () => put(few, 1, true));
  measured.putDurableMany = await timed(operations, () => put(operations, IN_FLIGHT, true));
  for (let number = 0; number < count; number++) check(db.getSync(keyOf(number)), number);
  return measured;
}
