/** What would test nothing, or could not be done again, is refused. */
import { describe, expect, it } from 'vitest';
import {
  dropAll,
  type FuzzTarget,
  fuzz,
  keepSome,
  runSchedules,
  SimulatedDevice,
  sampledSurvivals,
  survivalOf,
} from '../src/index.js';

const target: FuzzTarget<null> = {
  name: 'bytes',
  resizes: false,
  refusals: new Set(),
  seeds: () => [{ bytes: new Uint8Array(8), context: null }],
  run: () => 'read',
};

describe('fuzz refuses', () => {
  it.each<[object, RegExp]>([
    [{ inputs: Number.NaN }, /^inputs is NaN/],
    [{ inputs: 0 }, /^inputs is 0/],
    [{ inputs: 3, minutes: Number.NaN }, /^minutes is NaN/],
    [{ minutes: -1 }, /^minutes is -1/],
    [{ inputs: 3, mostFindings: 0 }, /^mostFindings is 0/],
    [{ inputs: 3, from: -1 }, /^from is -1/],
  ])('%o', async (options, message) => {
    await expect(fuzz(target, { seed: 1, ...options })).rejects.toThrow(message);
  });

  it('a target without a valid input', async () => {
    await expect(fuzz({ ...target, seeds: () => [] }, { seed: 1, inputs: 3 })).rejects.toThrow(/no valid inputs/);
  });
});

describe('schedules refuse', () => {
  const options = { seed: 1, goesOn: () => false };
  it.each<[object, object, RegExp]>([
    [{}, options, /the subject has neither/],
    [{ indexes: {} }, options, /^The subject of schedules has no 'indexes'/],
    [{ engine: {} }, { ...options, shrinkBudget: Number.NaN }, /^shrinkBudget is NaN/],
    [{ engine: {} }, { seed: 1 }, /^goesOn is undefined/],
  ])('%o with %o', async (subject, given, message) => {
    await expect(runSchedules(subject, given as typeof options)).rejects.toThrow(message);
  });
});

describe('a device refuses', () => {
  const rules: [object, RegExp][] = [
    [{ fault: { kind: 'lostwrite' } }, /^fault.kind is lostwrite; it must be one of: error, /],
    [{ fault: { kind: 'lost-write' }, chance: 2 }, /^chance is 2/],
    [{ fault: { kind: 'lost-write' }, times: 0 }, /^times is 0/],
    [{ fault: { kind: 'lost-write' }, at: 0 }, /^at is 0/],
    [{ fault: { kind: 'lost-write' }, kinds: ['writes'] }, /^kinds is writes/],
    [{ fault: { kind: 'lost-write' }, probability: 1 }, /^A rule of faults has no 'probability'/],
    [{ fault: { kind: 'lost-write', to: {} } }, /^The fault lost-write has no 'to'/],
    [{ fault: { kind: 'error' } }, /^fault.errno is undefined/],
    [{ fault: { kind: 'failed-sync', dirty: 'lost' } }, /^fault.dirty is lost/],
    [{ fault: { kind: 'bit-rot', bit: 8 } }, /^fault.bit is 8/],
  ];

  it.each(rules)('the rule %o', (rule, message) => {
    expect(() => new SimulatedDevice({ faults: [rule as never] })).toThrow(message);
    expect(() => new SimulatedDevice().inject(rule as never)).toThrow(message);
  });

  it.each<[object, RegExp]>([
    [{ fault: [] }, /^SimulatedDevice has no 'fault'/],
    [{ trace: 'all' }, /^trace is all/],
    [{ schedule: { turns: 0 } }, /^turns is 0/],
    [{ schedule: { turn: 3 } }, /^A schedule has no 'turn'/],
  ])('the options %o', (options, message) => {
    expect(() => new SimulatedDevice(options)).toThrow(message);
  });
});

describe('a survival', () => {
  const answers = (survives: () => boolean): boolean[] => Array.from({ length: 40 }, survives);

  it.each([
    keepSome(-1),
    keepSome(77, 0.25),
    keepSome(5, 1),
    keepSome(5, 0),
    keepSome(-(2 ** 40), 0.1),
    keepSome(1, 1e-7),
  ])('is made again by its label, whatever its seed and share: $label', (survival) => {
    const again = survivalOf(survival.label as string);
    expect(again.label).toBe(survival.label);
    expect(answers(again)).toEqual(answers(survival));
  });

  it('is made again by its label, of samples from a negative seed as well', () => {
    for (const survival of sampledSurvivals(-5, 12)) {
      expect(answers(survivalOf(survival.label as string))).toEqual(answers(survival));
    }
  });

  it('is not made of what is no label, or of an outcome that there is not', () => {
    const device = { unsynced: () => [2] };
    for (const label of [
      'all:0/3',
      'all:4/3',
      'all:9/3',
      'seed:1@1.2.3',
      'seed:1@2',
      'seed:1.5@0.5',
      'seed:9007199254740993@0.5',
    ])
      expect(() => survivalOf(label, device), label).toThrow();
    expect(survivalOf('all:3/3', device).label).toBe('all:3/3');
    expect(survivalOf('none')).toBe(dropAll);
  });

  it('is not made of what its label could not tell', () => {
    expect(() => keepSome(1.5)).toThrow(/^seed is 1.5/);
    expect(() => keepSome(1, 2)).toThrow(/^share is 2/);
    expect(() => sampledSurvivals(0.5, 4)).toThrow(/^seed is 0.5/);
    expect(() => sampledSurvivals(1, Number.NaN)).toThrow(/^count is NaN/);
  });
});
