/** The pace of a backup, on a clock that the test sets: so many bytes by then, and no rush after a slow stretch. */
import { expect, it } from 'vitest';
import { type Clock, Pace } from '../../src/engine/pace.js';

/** Time passes when someone sleeps, and when a test says so. */
class Watch implements Clock {
  time = 1000;
  readonly sleeps: number[] = [];
  onSleep: (() => void) | null = null;

  now(): number {
    return this.time;
  }

  async sleep(ms: number): Promise<void> {
    this.sleeps.push(ms);
    this.time += ms;
    this.onSleep?.();
  }
}

const never = new AbortController().signal;

it('waits after each step until its bytes are due, and no longer', async () => {
  const watch = new Watch();
  const pace = new Pace(1000, watch);
  for (let bytes = 0; bytes <= 10_000; bytes += 500) {
    await pace.reach(bytes, never);
    expect(watch.time).toBe(1000 + bytes);
  }
});

it('does not wait when the copying itself is slower', async () => {
  const watch = new Watch();
  const pace = new Pace(1000, watch);
  for (let bytes = 100; bytes < 2000; bytes += 100) {
    watch.time += 150;
    await pace.reach(bytes, never);
  }
  expect(watch.sleeps).toEqual([]);
});

it('makes up for a quarter of a second at most of a stretch in which it was slow', async () => {
  const watch = new Watch();
  const pace = new Pace(1000, watch);
  watch.time += 60_000;
  const begun = watch.time;
  await pace.reach(5000, never);
  expect(watch.time - begun).toBe(4750);
});

it('waits for however long it takes in sleeps that a timer can do, and stops when it is told to', async () => {
  const watch = new Watch();
  await new Pace(1, watch).reach(16 * 2 ** 20, never);
  expect(watch.time).toBe(1000 + 16 * 2 ** 20 * 1000);
  for (const ms of watch.sleeps) expect(ms).toBeLessThan(2 ** 31);
  expect(watch.sleeps.length).toBeGreaterThan(1);

  const controller = new AbortController();
  const short = new Watch();
  short.onSleep = () => controller.abort();
  await new Pace(1, short).reach(16 * 2 ** 20, controller.signal);
  expect(short.sleeps).toHaveLength(1);
});

it('never waits without a limit', async () => {
  const watch = new Watch();
  const pace = new Pace(Number.POSITIVE_INFINITY, watch);
  await pace.reach(2 ** 40, never);
  expect(watch.sleeps).toEqual([]);
});

it('with real timers ends its waiting at once when it is told to', async () => {
  const controller = new AbortController();
  const waiting = new Pace(1).reach(2 ** 30, controller.signal);
  controller.abort();
  await waiting;
  await new Pace(1).reach(2 ** 30, controller.signal);
});
