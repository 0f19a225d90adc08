import fs from 'node:fs';
import path from 'node:path';
import { type DependencyContainer, IO, isConfiguredPlugin } from '@pagewright/core';
import { expect, test } from 'vitest';
import { manifestWithPlatforms, PLATFORMS, packageFor } from '../native/pack.mjs';
import { platformPackages } from '../src/addon.js';
import inThread from '../src/in-thread.js';
import byDefault, { ioUring, UringFiles } from '../src/index.js';
import { emptyDirectory } from './native.js';

test('the package is the plugin that it exports by name and as default', () => {
  expect(byDefault).toBe(ioUring);
  expect(isConfiguredPlugin(ioUring())).toBe(true);
  expect(ioUring.definition).toMatchObject({ name: '@pagewright/io-uring', kind: 'io', contract: 1, provides: [IO] });
});

test('it registers files under IO', () => {
  const registered = new Map<unknown, { useFactory: (container: DependencyContainer) => unknown }>();
  const container = {
    register: (token: unknown, provider: { useFactory: (container: DependencyContainer) => unknown }) =>
      registered.set(token, provider),
  } as unknown as DependencyContainer;
  ioUring.definition.setup(container, { depth: 32 });
  expect([...registered.keys()]).toEqual([IO]);
  expect(registered.get(IO)!.useFactory(container)).toBeInstanceOf(UringFiles);
});

test('another thread makes the same backend from its module, and of one that extends it none', () => {
  const { url, options } = new UringFiles({ depth: 100, direct: true }).module!;
  expect(url).toMatch(/in-thread\.js$/);
  expect(inThread(structuredClone(options) as object).module!.options).toEqual(options);
  expect(new (class extends UringFiles {})().module).toBeUndefined();
});

test('a release has a package for each platform, which the loader looks for', () => {
  const names = Object.keys(PLATFORMS).map((platform) => `@pagewright/io-uring-${platform}`);
  expect(names.sort()).toEqual([...platformPackages('linux', 'x64'), ...platformPackages('linux', 'arm64')].sort());
  const { version, optionalDependencies } = manifestWithPlatforms();
  expect(optionalDependencies).toEqual(Object.fromEntries(names.map((name) => [name, version])));
});

test('the package of a platform has the file that was built, and is for nothing else', () => {
  const directory = emptyDirectory();
  try {
    const file = path.join(directory, 'built.node');
    fs.writeFileSync(file, 'an addon');
    const folder = packageFor('linux-arm64-musl', file, directory);
    const manifest = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
    expect(manifest).toMatchObject({ name: '@pagewright/io-uring-linux-arm64-musl', main: 'io-uring.node' });
    expect([manifest.os, manifest.cpu, manifest.libc]).toEqual([['linux'], ['arm64'], ['musl']]);
    expect(fs.readFileSync(path.join(folder, manifest.main), 'utf8')).toBe('an addon');
    expect(() => packageFor('darwin-x64', file, directory)).toThrow(/none of/);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
