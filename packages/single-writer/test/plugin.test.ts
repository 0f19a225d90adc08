import { CONCURRENCY, PagewrightError } from '@pagewright/core';
import { Mvcc } from '@pagewright/mvcc';
import { codeOf } from '@pagewright/testkit/rig';
import { expect, test } from 'vitest';
import byName, { SingleWriter, singleWriter } from '../src/index.js';

test('the package exports its plugin by a short name and as default, and it provides concurrency control', () => {
  expect(byName).toBe(singleWriter);
  expect(singleWriter.definition).toMatchObject({
    name: '@pagewright/single-writer',
    kind: 'concurrency',
    contract: 1,
  });
  expect(singleWriter.definition.provides).toEqual([CONCURRENCY]);
});

test('options that are right are taken', () => {
  const all = { waitMs: 0, waitSyncMs: 5, versionMemory: '1MiB', maxTransactionBytes: 4096, dependsOn: 'touched' };
  expect(problemsOf(all)).toEqual([]);
  expect(problemsOf({})).toEqual([]);
  expect(new SingleWriter(new Mvcc(), { waitMs: 2 ** 31 - 1, waitSyncMs: 0 })).toBeInstanceOf(SingleWriter);
});

test.each([
  ['a negative wait', { waitMs: -1 }, 'waitMs'],
  ['a wait for ever', { waitMs: Number.POSITIVE_INFINITY }, 'waitMs'],
  ['a wait in words', { waitSyncMs: '1s' }, 'waitSyncMs'],
  ['half a millisecond', { waitSyncMs: 0.5 }, 'waitSyncMs'],
  ['longer than a timer takes', { waitMs: 2 ** 31 }, 'waitMs'],
])('%s is refused by the constructor and by the schema alike', (_what, options, option) => {
  expect(codeOf(() => new SingleWriter(new Mvcc(), options as never))).toBe('PW_OPTION_INVALID');
  expect(problemsOf(options)).toEqual([[option]]);
});

test.each([
  ['a size that is none', { versionMemory: 'much' }, 'versionMemory'],
  ['another dependence', { dependsOn: 'all' }, 'dependsOn'],
  ['isolation, which is serializable for who writes', { isolation: 'snapshot' }, 'isolation'],
  ['an option that there is not', { patience: 1 }, 'patience'],
])('%s is refused by the schema', (_what, options, option) => {
  expect(problemsOf(options)).toEqual([[option]]);
});

test.each([[null], ['fast'], [5], [() => {}]])('options that are no object (%s) are refused, once', (options) => {
  expect(problemsOf(options as never)).toEqual([undefined]);
});

test('all that is wrong is told at once', () => {
  expect(problemsOf({ waitMs: -1, versionMemory: 'much', patience: 1 })?.flat().sort()).toEqual([
    'patience',
    'versionMemory',
    'waitMs',
  ]);
});

test('what is no option, and what was not started, is said so', () => {
  expect(codeOf(() => new SingleWriter(new Mvcc(), { patience: 1 } as never))).toBe('PW_OPTION_INVALID');
  const writer = new SingleWriter(new Mvcc());
  for (const use of [() => writer.share(), () => writer.begin(), () => writer.snapshot(), () => writer.visible]) {
    expect(codeOf(use)).toBe('PW_CLOSED');
  }
  for (const handle of [null, 1, {}, { singleWriter: null, within: 1 }, { singleWriter: {}, within: {} }]) {
    expect(codeOf(() => writer.attach({} as never, handle))).toBe('PW_ARGUMENT');
  }
});

function problemsOf(options: unknown): unknown[] {
  const result = singleWriter.definition.options?.['~standard'].validate(options);
  if (result === undefined || result instanceof Promise) throw new PagewrightError('PW_INTERNAL', 'no schema');
  return (result.issues ?? []).map((issue) => issue.path?.map((step) => (typeof step === 'object' ? step.key : step)));
}
