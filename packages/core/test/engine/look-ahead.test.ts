/** Many keys that are read one after the other while the pages of the next are on their way. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { IoFile } from '../../src/index.js';
import { Rig } from './rig.js';

const COUNT = 1500;
const KEYS = Array.from({ length: COUNT }, (_, at) => `key ${String((at * 7919) % COUNT).padStart(5, '0')}`);
const textOf = (key: string): string => key + 'x'.repeat(700);

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

/** Batches of reads wait until they are let through, the first first. */
class HeldBatches {
  readonly #waiting: (() => Promise<void>)[] = [];
  isHolding = false;

  hold(file: IoFile): IoFile {
    const submit = file.submit.bind(file);
    file.submit = (operations, options) => {
      if (!this.isHolding || operations[0]?.kind !== 'read') return submit(operations, options);
      return new Promise((resolve, reject) => {
        this.#waiting.push(() => submit(operations, options).then(resolve, reject));
      });
    };
    return file;
  }

  get count(): number {
    return this.#waiting.length;
  }

  letThrough(): Promise<void> {
    return this.#waiting.shift()!();
  }
}

test('while keys are read whose pages have come, the next batches are under way already', async () => {
  const batches = new HeldBatches();
  const open = rig.io.open.bind(rig.io);
  rig.io.open = async (path, flags) => batches.hold(await open(path, flags));
  const pool = { memory: 4 << 20, pageSize: 4096 };
  const before = await rig.open({ pool });
  const filled = await before.index<string, string>('index', { type: 'btree' });
  for (const key of KEYS) await filled.put(key, textOf(key));
  await before.close();
  const db = await rig.open({ pool });
  const index = await db.index<string, string>('index', { type: 'btree' });
  // Inner pages come first, as they are met; then there are leaves alone to wait for.
  await index.get(KEYS[0]!);
  batches.isHolding = true;
  let isOver = false;
  const reading = index.getMany(KEYS).finally(() => {
    isOver = true;
  });
  const underWay: number[] = [];
  while (!isOver) {
    await new Promise(setImmediate);
    if (batches.count === 0) continue;
    underWay.push(batches.count);
    await batches.letThrough();
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
  }
  expect(await reading).toEqual(KEYS.map(textOf));
  // The first ones are of inner pages, and in the end there is nothing more to ask for.
  const middle = underWay.slice(Math.floor(underWay.length / 4), Math.floor((3 * underWay.length) / 4));
  expect(middle.length).toBeGreaterThan(3);
  expect(Math.min(...middle)).toBeGreaterThanOrEqual(2);
});
