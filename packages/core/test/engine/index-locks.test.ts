/** Who waits for an index goes on in the order of the calls, and nobody overtakes: neither who comes later, nor who has gone on already and finds another one back in line. */
import { expect, test } from 'vitest';
import type { Target } from '../../src/contracts/concurrency.js';
import { IndexLocks, type IndexPlace } from '../../src/engine/index-locks.js';
import { codeOf } from './rig.js';

const target = (name: string) => ({ name }) as Target;
const [a, b, c] = [target('a'), target('b'), target('c')];

/** A change of these indexes, which writes down when it goes on. */
function change(locks: IndexLocks, targets: readonly Target[], order: string[], name: string): IndexPlace {
  const place = locks.place(() => targets);
  place.join();
  const goesOn = async (): Promise<void> => {
    do await place.comesFirst();
    while (place.isBehind);
    order.push(name);
    place.leave();
  };
  void goesOn();
  return place;
}

const turn = () => new Promise(setImmediate);

test('a change of an index that nobody waits for is behind nobody, and takes no place', () => {
  const locks = new IndexLocks();
  expect([locks.place(() => [a]).isBehind, locks.any]).toEqual([false, false]);
  const load = locks.load(a);
  expect([locks.place(() => [b]).isBehind, locks.place(() => []).isBehind, locks.any]).toEqual([false, false, true]);
  expect(locks.place(() => [b, a]).isBehind).toBe(true);
  load.leave();
  load.leave();
  expect([locks.place(() => [b, a]).isBehind, locks.any]).toEqual([false, false]);
});

test('those who wait go on in order, and wait again behind one of them that loads the index', async () => {
  const locks = new IndexLocks();
  const order: string[] = [];
  const load = locks.load(a);
  for (const name of ['first', 'second']) change(locks, [a], order, name);
  const next = locks.load(a);
  for (const name of ['third', 'fourth']) change(locks, [a], order, name);
  await turn();
  expect(order).toEqual([]);
  load.leave();
  await next.comesFirst();
  expect(order).toEqual(['first', 'second']);
  change(locks, [a], order, 'fifth');
  await turn();
  expect(order).toEqual(['first', 'second']);
  next.leave();
  await turn();
  expect([order, locks.any]).toEqual([['first', 'second', 'third', 'fourth', 'fifth'], false]);
});

test('what changes several indexes waits until it is the first of each, and those behind it in any wait for it', async () => {
  const locks = new IndexLocks();
  const order: string[] = [];
  const [loadA, loadB] = [locks.load(a), locks.load(b)];
  change(locks, [a, b], order, 'a and b');
  change(locks, [b, c], order, 'b and c');
  change(locks, [c], order, 'c');
  change(locks, [target('d')], order, 'd');
  loadB.leave();
  await turn();
  expect(order).toEqual(['d']);
  change(locks, [b], order, 'b');
  const again = locks.load(a);
  loadA.leave();
  await turn();
  expect(order).toEqual(['d', 'a and b', 'b and c', 'b', 'c']);
  again.leave();
  expect(locks.any).toBe(false);
});

test('who comes back is before all that were asked for later, also those that had gone on', async () => {
  const locks = new IndexLocks();
  const order: string[] = [];
  const [first, second] = [locks.place(() => [a, b]), locks.place(() => [b])];
  const load = locks.load(b);
  change(locks, [a], order, 'third');
  const fourth = locks.load(a);
  expect([second.isBehind, load.isBehind, fourth.isBehind]).toEqual([false, false, true]);
  first.join();
  expect([first.isBehind, second.isBehind, load.isBehind, fourth.isBehind]).toEqual([false, true, true, true]);
  second.join();
  expect([first.isBehind, second.isBehind]).toEqual([false, true]);
  await turn();
  expect(order).toEqual([]);
  first.leave();
  expect([second.isBehind, load.isBehind]).toEqual([false, true]);
  second.leave();
  await Promise.all([load.comesFirst(), fourth.comesFirst()]);
  expect([load.isBehind, fourth.isBehind, order]).toEqual([false, false, ['third']]);
});

test('who leaves from the midst of a line, or waits no more, is not waited for', async () => {
  const locks = new IndexLocks();
  const order: string[] = [];
  const load = locks.load(a);
  const [middle, last] = [locks.place(() => [a]), locks.load(a)];
  middle.join();
  const waited = [middle.comesFirst(), last.comesFirst()];
  change(locks, [a], order, 'behind');
  middle.leave();
  last.leave();
  await Promise.all(waited);
  expect([middle.isInLine, order]).toEqual([false, []]);
  load.leave();
  await turn();
  expect([order, locks.any]).toEqual([['behind'], false]);
});

test('a change in place is refused as long as a load is in line, and by who has the turn as long as one that has had it is', async () => {
  const locks = new IndexLocks();
  const refusal = (hasTurn: boolean) => codeOf(() => locks.assertFree([b, a], hasTurn));
  const waits = locks.place(() => [a]);
  waits.join();
  expect([await refusal(false), await refusal(true)]).toEqual(['none', 'none']);
  const load = locks.load(a);
  const other = locks.load(a);
  expect([await refusal(false), await refusal(true)]).toEqual(['PW_INDEX_LOADING', 'none']);
  other.hadTurn = true;
  expect([await refusal(false), await refusal(true)]).toEqual(['PW_INDEX_LOADING', 'PW_INDEX_LOADING']);
  other.leave();
  expect([await refusal(false), await refusal(true)]).toEqual(['PW_INDEX_LOADING', 'none']);
  load.leave();
  waits.leave();
  expect([await refusal(false), locks.any]).toEqual(['none', false]);
});
