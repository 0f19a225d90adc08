import { type DependencyContainer, IO, isConfiguredPlugin } from '@pagewright/core';
import { expect, test } from 'vitest';
import byDefault, {
  ioPosix,
  NodeFiles,
  type NodeFilesOptions,
  PosixFiles,
  type PosixFilesOptions,
} from '../src/index.js';

test('the package is the plugin that it exports by name and as default', () => {
  expect(byDefault).toBe(ioPosix);
  expect(isConfiguredPlugin(ioPosix())).toBe(true);
  expect(ioPosix.definition).toMatchObject({ name: '@pagewright/io-posix', kind: 'io', contract: 1, provides: [IO] });
});

test('it registers files under IO', () => {
  const registered = new Map<unknown, { useFactory: (container: DependencyContainer) => unknown }>();
  const container = {
    register: (token: unknown, provider: { useFactory: (container: DependencyContainer) => unknown }) =>
      registered.set(token, provider),
  } as unknown as DependencyContainer;
  ioPosix.definition.setup(container, { depth: 4 });
  expect([...registered.keys()]).toEqual([IO]);
  expect(registered.get(IO)!.useFactory(container)).toBeInstanceOf(PosixFiles);
});

test.each([
  { depth: 0 },
  { depth: 1.5 },
  { depth: 1025 },
  { depth: '4' },
  { depht: 4 },
  { threads: 0 },
  { threads: 257 },
  { native: 'always' },
  { direct: 1 },
  { readahead: 'no' },
  { hugePages: 1 },
  null,
])('%o is a problem, in the config and in code', async (options) => {
  const outcome = await ioPosix.definition.options!['~standard'].validate(options);
  expect(outcome.issues?.length).toBeGreaterThan(0);
  const refused = expect.objectContaining({ code: 'PW_OPTION_INVALID' });
  expect(() => new PosixFiles(options as PosixFilesOptions)).toThrow(refused);
});

test.each([
  null,
  'depth',
  { threads: 4 },
  { depth: Symbol('depth') },
])('%o is a problem of files by node:fs', (options) => {
  const refused = expect.objectContaining({ code: 'PW_OPTION_INVALID' });
  expect(() => new NodeFiles(options as NodeFilesOptions)).toThrow(refused);
});

test('no options are needed', async () => {
  expect(await ioPosix.definition.options!['~standard'].validate({})).toMatchObject({ value: {} });
});
