/** A checkpoint begins when it is time, on a clock that the test sets. */
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it, vi } from 'vitest';
import { engineOn } from './engine-on.js';

afterEach(() => void vi.useRealTimers());

it('begins after the interval if anything was committed, and not if nothing was', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const opening = { checkpoint: { intervalMs: 60_000, logBytes: '1GiB' } };
  const engine = await engineOn(new SimulatedDevice(), '/store.pw', { opening });
  const index = await engine.index('users');
  await index.put('ada', 1);
  const before = engine.stats().pages.checkpoints;
  const settled = async (): Promise<number> => {
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    return engine.stats().pages.checkpoints - before;
  };
  vi.advanceTimersByTime(59_999);
  expect(await settled()).toBe(0);
  vi.advanceTimersByTime(1);
  await vi.waitFor(() => expect(engine.stats().pages.checkpoints - before).toBe(1));
  vi.advanceTimersByTime(120_000);
  expect(await settled()).toBe(1);
  await index.put('ada', 2);
  vi.advanceTimersByTime(60_000);
  await vi.waitFor(() => expect(engine.stats().pages.checkpoints - before).toBe(2));
  await engine.close();
});
