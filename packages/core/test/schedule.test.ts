import { afterEach, expect, it } from 'vitest';
import { driveSchedule, POINT, POINT_NAMES, schedulePoint } from '../src/index.js';

afterEach(() => {
  driveSchedule(null);
});

it('points are numbered densely from 0, in the order of their names', () => {
  expect(Object.values(POINT)).toEqual(POINT_NAMES.map((_, number) => number));
});

it('a point does nothing without a driver, and tells it its number with one', () => {
  const reached: number[] = [];
  schedulePoint(POINT.latchTaken);
  expect(driveSchedule((point) => reached.push(point))).toBe(null);
  schedulePoint(POINT.commitBegun);
  schedulePoint(POINT.descentFrame);
  expect(reached).toEqual([POINT.commitBegun, POINT.descentFrame]);
});

it('a driver is given back when another takes its place, and told nothing afterwards', () => {
  const reached: number[] = [];
  const first = (point: number): void => void reached.push(point);
  driveSchedule(first);
  expect(driveSchedule(null)).toBe(first);
  schedulePoint(POINT.flushSynced);
  expect(reached).toEqual([]);
});
