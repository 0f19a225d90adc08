/**
 * A radix tree on a disk that is full again and again: room is secured before a commit is logged, for all pages that its puts may divide, so that a put is refused and never fails when
 * it is in the log already. ROOM_SEED repeats a run.
 */
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { openArtOn } from './art-on.js';

const SEED = Number(process.env.ROOM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PATH = '/full.pw';

it(`turns read-only with all that was acknowledged, and takes writes when there is room again (ROOM_SEED=${SEED})`, async () => {
  const random = new Random(SEED);
  const disk = new SimulatedDevice();
  const expected = new Map<string, number>();
  const opened = async () => {
    const db = await openArtOn(disk, PATH);
    return { db, index: await db.index<string, Uint8Array>('index', { key: 'utf8', value: 'buffer' }) };
  };
  let { db, index } = await opened();
  const expectAll = () => {
    const found = new Map([...index.rangeSync()].map(([key, value]) => [key, value.length]));
    expect(found).toEqual(new Map([...expected].sort(([one], [other]) => (one < other ? -1 : 1))));
  };
  for (let full = 0; full < 40; full++) {
    // Now the log meets the end of the disk first, now the pages.
    disk.capacity = disk.used + 4096 * random.below(120);
    for (let refusal: unknown = null; refusal === null; ) {
      const entries = Array.from({ length: 1 + random.below(48) }, () => {
        const key = random.below(2 ** 32).toString(36) + 'k'.repeat(random.below(40));
        return { key, value: new Uint8Array(random.below(900)).fill(random.below(256)) };
      });
      try {
        await db.batch(entries.map(({ key, value }) => ({ type: 'put', index, key, value })));
        for (const { key, value } of entries) expected.set(key, value.length);
      } catch (error) {
        refusal = error;
        expect(error).toMatchObject({ code: 'PW_FULL' });
      }
    }
    // What a put meets that is in the log already fails the engine.
    expect(db.state, `the ${full}. time`).toBe('read-only');
    if (full % 8 === 0) expectAll();
    disk.capacity = Number.POSITIVE_INFINITY;
    await db.close();
    ({ db, index } = await opened());
  }
  expectAll();
  expect((await db.verify()).problems).toEqual([]);
  await db.close();
});
