import { Random } from '@pagewright/testkit';
import { expect, test } from 'vitest';
import { WaitingLine } from '../src/waiting-line.js';

const SEED = Number(process.env.WAITING_LINE_SEED ?? 1);

test('a line is what a list is of which the first goes', () => {
  for (let seed = SEED; seed < SEED + 20; seed++) {
    const random = new Random(seed);
    const line = new WaitingLine<number>();
    let list: number[] = [];
    // It grows, and empties again.
    for (let step = 0; step < 1500; step++) {
      if (random.chance(step < 700 ? 0.7 : 0.3)) {
        line.join(step);
        list.push(step);
      } else if (list.length > 0 && random.chance(0.98)) {
        line.serve();
        list.shift();
      } else {
        const isLeaving = (waiting: number): boolean => waiting % 7 === step % 7;
        expect(line.leave(isLeaving), `seed ${seed}`).toEqual(list.filter(isLeaving));
        list = list.filter((waiting) => !isLeaving(waiting));
      }
      expect([line.first, line.length], `seed ${seed}, step ${step}`).toEqual([list[0], list.length]);
    }
  }
});
