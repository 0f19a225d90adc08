/** Slots of threads, and what is kept with them. What threads do that end is tested where real ones are. */
import { expect, it } from 'vitest';
import { MOST_THREADS, SharedLatch, Threads } from '../../src/index.js';

it('a tag says whether its thread has the store open, also when another one has taken its slot', () => {
  const memory = new SharedArrayBuffer(Threads.bytes());
  const first = new Threads(memory);
  const second = new Threads(memory);
  const tags = [first.tag, second.tag];
  expect(new Set(tags).size).toBe(2);
  expect(tags.every((tag) => tag > 0 && tag < 2 ** 31)).toBe(true);
  expect(first.isPresent(second.tag)).toBe(true);
  second.leave();
  expect(first.isPresent(tags[1] as number)).toBe(false);
  const third = new Threads(memory);
  expect(third.slot).toBe(second.slot);
  expect(third.tag).not.toBe(tags[1]);
  expect(first.isPresent(tags[1] as number)).toBe(false);
  expect(first.isPresent(third.tag)).toBe(true);
});

it('no tag is 0, which can stand for nobody', () => {
  const memory = new SharedArrayBuffer(Threads.bytes());
  for (let slot = 0; slot < MOST_THREADS; slot++) expect(new Threads(memory).tag).toBeGreaterThan(0);
});

it('a latch shows that it is held in the slot, and may be taken again by who has it', () => {
  const threads = Threads.alone();
  const latch = new SharedLatch(new SharedArrayBuffer(SharedLatch.bytes()), threads, 'orderLatch');
  const shown = (): number => Atomics.load(threads.words, threads.at('orderLatch'));
  expect([latch.isOwn, shown()]).toEqual([false, 0]);
  latch.take();
  latch.holding(() => expect([latch.isOwn, shown()]).toEqual([true, 1]));
  expect([latch.isOwn, shown()]).toEqual([true, 1]);
  latch.give();
  expect([latch.isOwn, shown()]).toEqual([false, 0]);
});

it('a latch is given back when the step under it throws', () => {
  const threads = Threads.alone();
  const latch = new SharedLatch(new SharedArrayBuffer(SharedLatch.bytes()), threads, 'versionLatch');
  const step = (): never => {
    throw new Error('in the step');
  };
  expect(() => latch.holding(step)).toThrow('in the step');
  expect(latch.isOwn).toBe(false);
});
