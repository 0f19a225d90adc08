import { expect, test } from 'vitest';
import { TeardownStack } from '../src/composition/teardown.js';
import { PagewrightError } from '../src/errors.js';
import { rejectionOf, thrownBy } from './composition-fakes.js';

test('what was opened last is closed first, each after the one before has ended', async () => {
  const stack = new TeardownStack();
  const order: string[] = [];
  for (const what of ['file', 'log', 'timer']) {
    stack.push(what, async () => {
      order.push(`${what} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${what} ends`);
    });
  }
  await stack.close();
  expect(order).toEqual(['timer begins', 'timer ends', 'log begins', 'log ends', 'file begins', 'file ends']);
});

test('everything is closed once, however often close is called, and all callers wait for the end', async () => {
  const stack = new TeardownStack();
  let closed = 0;
  stack.push('file', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    closed++;
  });
  expect(stack.closed).toBe(false);
  const first = stack.close();
  expect(stack.closed).toBe(true);
  await stack.close();
  expect(closed).toBe(1);
  await first;
  await stack.close();
  expect(closed).toBe(1);
});

test('an empty stack closes', async () => {
  await new TeardownStack().close();
});

test('an error keeps nothing else open, and all errors are told at the end with the first known code', async () => {
  const stack = new TeardownStack();
  const order: string[] = [];
  const failure = new PagewrightError('PW_IO', 'The device is gone.', { details: { errno: 'EIO' } });
  stack.push('file', () => {
    order.push('file');
    throw failure;
  });
  stack.push('log', () => {
    order.push('log');
  });
  const odd = new Error('odd');
  stack.push('timer', async () => {
    order.push('timer');
    throw odd;
  });
  const error = (await rejectionOf(stack.close())) as PagewrightError;
  expect(order).toEqual(['timer', 'log', 'file']);
  expect(error).toBeInstanceOf(PagewrightError);
  expect(error.code).toBe('PW_IO');
  expect(error.details).toEqual({ errno: 'EIO', failed: ['timer', 'file'] });
  expect(error.message).toContain('timer (odd); file (The device is gone.)');
  expect((error.cause as AggregateError).errors).toEqual([odd, failure]);
  expect(await rejectionOf(stack.close())).toBe(error);
  expect(order).toHaveLength(3);
});

test('an error that is not of this engine is an internal one', async () => {
  const stack = new TeardownStack();
  stack.push('timer', () => Promise.reject('no error object'));
  const error = (await rejectionOf(stack.close())) as PagewrightError;
  expect(error.code).toBe('PW_INTERNAL');
  expect(error.message).toContain('timer (no error object)');
});

test('nothing can be opened once closing has begun, not even by what is being closed', async () => {
  const stack = new TeardownStack();
  let late: unknown;
  let again: Promise<void> | undefined;
  stack.push('file', () => {
    late = thrownBy(() => stack.push('late file', () => {}));
    again = stack.close();
  });
  const closing = stack.close();
  expect((thrownBy(() => stack.push('other file', () => {})) as PagewrightError).code).toBe('PW_CLOSED');
  await closing;
  expect((late as PagewrightError).code).toBe('PW_CLOSED');
  expect((late as PagewrightError).message).toContain('late file');
  expect(again).toBe(closing);
});
