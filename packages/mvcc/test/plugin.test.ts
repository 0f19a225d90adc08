import { CONCURRENCY, PagewrightError } from '@pagewright/core';
import { expect, test } from 'vitest';
import byName, { Mvcc, mvcc } from '../src/index.js';
import { codeOf } from './rig.js';

test('the package exports its plugin by a short name and as default, and it provides concurrency control', () => {
  expect(byName).toBe(mvcc);
  expect(mvcc.definition).toMatchObject({ name: '@pagewright/mvcc', kind: 'concurrency', contract: 1 });
  expect(mvcc.definition.provides).toEqual([CONCURRENCY]);
});

test('sizes are numbers of bytes or written with a unit', () => {
  expect(
    new Mvcc({ versionMemory: '1MiB', maxTransactionBytes: 4096, isolation: 'snapshot', dependsOn: 'touched' }),
  ).toBeInstanceOf(Mvcc);
});

test.each([
  ['another isolation', { isolation: 'chaos' }, 'isolation'],
  ['another dependence', { dependsOn: 'all' }, 'dependsOn'],
  ['a size that is none', { versionMemory: 'much' }, 'versionMemory'],
  ['a negative size', { maxTransactionBytes: -1 }, 'maxTransactionBytes'],
  ['no memory at all', { versionMemory: 0 }, 'versionMemory'],
  ['more memory than can be addressed', { versionMemory: '2GiB' }, 'versionMemory'],
])('%s is refused by the constructor and by the schema alike', (_what, options, option) => {
  expect(codeOf(() => new Mvcc(options as never))).toBe('PW_OPTION_INVALID');
  const result = mvcc.definition.options?.['~standard'].validate(options);
  if (result === undefined || result instanceof Promise) throw new PagewrightError('PW_INTERNAL', 'no schema');
  expect(
    result.issues?.map((issue) => issue.path?.map((step) => (typeof step === 'object' ? step.key : step))),
  ).toEqual([[option]]);
});

test('an option that there is not is refused', () => {
  const result = mvcc.definition.options?.['~standard'].validate({ memory: 1 });
  expect(result).toHaveProperty('issues');
});
