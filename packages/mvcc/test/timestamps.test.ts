/** The order of commits alone: V is never above a timestamp that is not published, in whatever order those above it are. TIMESTAMPS_SEED chooses another run. */
import { Random } from '@pagewright/testkit';
import { describe, expect, test } from 'vitest';
import type { Sharing } from '../src/sharing.js';
import { Timestamps } from '../src/timestamps.js';

const SEED = Number(process.env.TIMESTAMPS_SEED ?? 1);
const TWO_32 = 2 ** 32;
const isOver = (): never => {
  throw new Error('It waits for what will not come.');
};

/** What two threads have over one memory, of which all up to `last` is there. `pause` is what one does while it waits. */
function both(last: number, pause: () => void = isOver): readonly [Timestamps, Timestamps] {
  const sharing = { isShared: false, pause } as unknown as Sharing;
  const memory = new SharedArrayBuffer(Timestamps.bytes());
  const [one, other] = [new Timestamps(memory, sharing), new Timestamps(memory, sharing)];
  one.begin(last);
  one.share();
  Object.assign(sharing, { isShared: true });
  return [one, other];
}

describe.each([
  9,
  0,
  127,
  TWO_32 - 3,
  TWO_32 - 2,
  TWO_32 - 1,
  TWO_32,
  2 ** 31 - 1,
  2 ** 31,
  3 * TWO_32 - 1,
])('after %i', (last) => {
  test('a later commit that is published first is not seen before the earlier one is in place (scenario 34)', () => {
    const [one, other] = both(last);
    expect([one.take(), other.take()]).toEqual([last + 1, last + 2]);
    expect([one.taken, other.taken]).toEqual([last + 2, last + 2]);
    other.publish(last + 2);
    expect([one.visible, other.visible]).toEqual([last, last]);
    one.publish(last + 1);
    expect([one.visible, other.visible]).toEqual([last + 2, last + 2]);
    other.publish(other.take());
    expect(one.visible).toBe(last + 3);
  });

  test('who waits goes on when all up to its timestamp is published, and no sooner', () => {
    const waits: number[] = [];
    const [one, other] = both(last, () => {
      waits.push(one.visible);
      // What it waits for comes step by step, the last first.
      if (waits.length === 2) one.publish(last + 3);
      if (waits.length === 4) one.publish(last + 2);
      if (waits.length === 6) one.publish(last + 1);
      if (waits.length > 6) isOver();
    });
    for (let times = 0; times < 3; times++) one.take();
    other.waitFor(last);
    other.waitFor(last + 2);
    expect(waits).toEqual(Array(6).fill(last));
    expect(other.visible).toBe(last + 3);
    other.waitFor(last + 3);
    expect(waits.length).toBe(6);
  });
});

test('V is always the highest timestamp below which all are published, in any order and past 2^32', () => {
  for (let run = 0; run < 200; run++) {
    const seed = SEED + run;
    const random = new Random(seed);
    const last = random.chance(0.5) ? TWO_32 - 1 - random.below(100) : random.below(1000);
    const threads = both(last);
    const open = new Set<number>();
    let taken = last;
    for (let step = 0; step < 300; step++) {
      const thread = threads[random.below(2)]!;
      // As many threads as there can be: each has one at most above V.
      if (open.size < 60 && taken - thread.visible < 64 && random.chance(0.55)) {
        open.add(thread.take());
        taken++;
      } else if (open.size > 0) {
        const timestamp = [...open][random.below(open.size)]!;
        open.delete(timestamp);
        thread.publish(timestamp);
      }
      const visible = Math.min(taken, ...[...open].map((timestamp) => timestamp - 1));
      expect([threads[0].visible, threads[1].visible], `seed ${seed}, step ${step}`).toEqual([visible, visible]);
    }
  }
});
