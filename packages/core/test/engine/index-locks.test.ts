/** Who waits for a locked index goes on in the order of the calls, and nobody overtakes. */
import { expect, test } from 'vitest';
import type { Target } from '../../src/contracts/concurrency.js';
import { IndexLocks } from '../../src/engine/index-locks.js';
import { codeOf } from './rig.js';

const target = (name: string) => ({ name }) as Target;

test('what changes an index that is not locked runs at once', async () => {
  const locks = new IndexLocks();
  const [a, b] = [target('a'), target('b')];
  const release = await locks.take(a);
  let ran = 0;
  const run = async () => ++ran;
  const done = locks.whenFree(() => [b], run);
  expect(ran).toBe(1);
  await done;
  locks.whenFree(() => [b, a], run);
  expect(ran).toBe(1);
  release();
  expect([ran, locks.any]).toEqual([2, false]);
});

test('those who wait go on in order, in one step, and wait again behind one of them that takes the index', async () => {
  const locks = new IndexLocks();
  const a = target('a');
  const order: string[] = [];
  const change = (name: string) =>
    locks.whenFree(
      () => [a],
      async () => void order.push(name),
    );
  const release = await locks.take(a);
  change('first');
  change('second');
  const next = locks.take(a).then((free) => {
    order.push('taken');
    return free;
  });
  change('third');
  locks.whenFree(
    () => [a],
    async () => void order.push('operation'),
  );
  release();
  release();
  change('fourth');
  expect(order).toEqual(['first', 'second']);
  const free = await next;
  expect(order).toEqual(['first', 'second', 'taken']);
  free();
  expect(order).toEqual(['first', 'second', 'taken', 'third', 'operation', 'fourth']);
});

test('what changes several indexes waits until none of them is locked', async () => {
  const locks = new IndexLocks();
  const [a, b] = [target('a'), target('b')];
  const [freeA, freeB] = [await locks.take(a), await locks.take(b)];
  let ran = false;
  const done = locks.whenFree(
    () => [a, b],
    async () => {
      ran = true;
    },
  );
  freeA();
  const freeAgain = await locks.take(a);
  freeB();
  expect(ran).toBe(false);
  freeAgain();
  expect(ran).toBe(true);
  await done;
});

test('a change in place of a locked index is refused, and one that waits passes on what it throws', async () => {
  const locks = new IndexLocks();
  const a = target('a');
  const release = await locks.take(a);
  expect(await codeOf(() => locks.assertFree([target('b'), a]))).toBe('PW_INDEX_LOADING');
  const failure = new Error('of the change');
  const failing = locks.whenFree(
    () => [a],
    () => Promise.reject(failure),
  );
  release();
  await expect(failing).rejects.toBe(failure);
  locks.assertFree([a]);
});
