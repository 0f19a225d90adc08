/**
 * Random operations on an index and its model: keys of every shape, values of every size, alone and in runs, so that
 * pages split, merge and come back in any order. All of it follows from one seed.
 */
import type { PageStore } from '@pagewright/core';
import type { Random } from '../random.js';
import { type ModeledIndex, valueBytes } from './index-plugin-model.js';
import { naming } from './index-plugin-subject.js';

/** Does so many random things, calling back after each. What is wrong is thrown, with the step that found it. */
export function stir<Pages extends PageStore>(
  model: ModeledIndex<Pages>,
  random: Random,
  steps: number,
  afterEach: (step: number) => void = () => undefined,
): void {
  for (let step = 0; step < steps; step++) {
    const chosen = random.below(26);
    try {
      if (chosen < 12) putOne(model, random);
      else if (chosen < 15) model.remove(randomKey(random, model.limits.maxKeySize));
      else if (chosen < 18) removeNeighbours(model, random);
      else if (chosen < 21) model.expectEntry(randomKey(random, model.limits.maxKeySize));
      else if (chosen < 23) scanSome(model, random);
      else putRun(model, random);
      afterEach(step);
    } catch (error) {
      throw naming(`step ${step}`, error);
    }
  }
}

/** A key of one of many shapes; some are drawn from few, so that they meet again. */
export function randomKey(random: Random, maxKeySize: number): string {
  const number = (digits: number, end: number) => String(random.below(end)).padStart(digits, '0');
  const shapes: readonly (() => string)[] = [
    () => randomBytes(random, 1, 3),
    () => number(8, 5000),
    () => random.pick(['users/', 'users/eu/', 'zebra']) + randomBytes(random, 0, 12),
    () => 'a/very/long/path/that/all/of/them/share/'.repeat(2) + random.below(200),
    () => Array.from({ length: random.between(1, 9) }, () => random.pick(['\x00', '\x01', '\xfe', '\xff'])).join(''),
    () => 'x'.repeat(random.between(1, 60)),
    () => randomBytes(random, 1, 40),
    () => longestKey(random, maxKeySize),
  ];
  return random.pick(shapes)().slice(0, maxKeySize);
}

/** As many bytes as a key may have, that differ from others in the front or at the very end. */
function longestKey(random: Random, maxKeySize: number): string {
  const first = random.pick(['', 'p', '\x00', '\xff']);
  const number = String(random.below(1000)).padStart(3, '0');
  const filling = 'k'.repeat(Math.max(0, maxKeySize - first.length - number.length));
  return random.chance(0.5) ? first + filling + number : first + number + filling;
}

function randomBytes(random: Random, least: number, most: number): string {
  return Array.from({ length: random.between(least, most) }, () => String.fromCharCode(random.below(256))).join('');
}

/** A length for a value: mostly short, sometimes longer than a page, never more than the index takes. */
export function randomLength(random: Random, pageSize: number, maxValueSize: number): number {
  const chosen = random.below(11);
  let length = 0;
  if (chosen >= 10) length = random.between(pageSize >>> 2, 3 * pageSize);
  else if (chosen >= 9) length = random.between(pageSize >>> 3, pageSize >>> 2);
  else if (chosen >= 7) length = random.between(60, pageSize >>> 3);
  else if (chosen >= 2) length = random.between(1, 60);
  return Math.min(length, maxValueSize);
}

function putOne(model: ModeledIndex, random: Random): void {
  const key = randomKey(random, model.limits.maxKeySize);
  const which = random.below(256);
  model.put(key, which, valueBytes(which, randomLength(random, model.pages.pageSize, model.limits.maxValueSize)));
  model.expectEntry(key);
}

/** Keys that follow each other, so that pages run empty. */
function removeNeighbours(model: ModeledIndex, random: Random): void {
  const { sorted } = model;
  const at = random.below(sorted.length + 1);
  for (const key of sorted.slice(at, at + random.between(1, 40))) model.remove(key);
}

function scanSome(model: ModeledIndex, random: Random): void {
  const from = random.chance(0.2) ? null : randomKey(random, model.limits.maxKeySize);
  model.expectScan({ from, exclusive: random.chance(0.5), reverse: random.chance(0.5) }, random.between(1, 50), 120);
}

/** Keys that rise or fall. */
function putRun(model: ModeledIndex, random: Random): void {
  const from = random.pick(['', 'users/', 'm', '\x00\x00', '\xff']);
  const isDown = random.chance(0.5);
  const length = randomLength(random, model.pages.pageSize, model.limits.maxValueSize);
  for (let i = random.between(1, 60); i > 0; i--) {
    const number = String(isDown ? i : 100 - i).padStart(4, '0');
    model.put(`${from}run${number}`.slice(0, model.limits.maxKeySize), 0, valueBytes(i, length));
  }
}
