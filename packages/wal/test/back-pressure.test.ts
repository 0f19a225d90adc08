/** Who waits for room in the memory for unflushed records, when what tells how much there is fails. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BackPressure } from '../src/stream/back-pressure.js';

test('an error that is met when nobody asked is that of those who wait, and of nobody else', async () => {
  let failure: Error | null = null;
  let flushed = (): void => {};
  const pressure = new BackPressure(
    {
      get pending() {
        if (failure !== null) throw failure;
        return 100;
      },
      flush: () =>
        new Promise<void>((resolve) => {
          flushed = resolve;
        }),
    },
    100,
  );
  const waiting = [pressure.admit(10), pressure.admit(10)].map((admitted) => admitted.then(() => 'let in', String));
  failure = new Error('a thread was lost');
  flushed();
  expect(await Promise.all(waiting)).toEqual(['Error: a thread was lost', 'Error: a thread was lost']);
  expect(() => pressure.release()).not.toThrow();
  failure = null;
  const late = pressure.admit(10).then(() => 'let in', String);
  failure = new Error('it was closed');
  expect(() => pressure.release()).not.toThrow();
  expect(await late).toBe('Error: it was closed');
  await turn();
});
