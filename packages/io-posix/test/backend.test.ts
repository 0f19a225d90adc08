import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { faultOf } from '../src/fault.js';
import { NodeFiles } from '../src/index.js';
import { codeOf, rejectionOf } from './rejection.js';

let directory: string;
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
});
afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

const files = new NodeFiles();
const at = (name: string): string => path.join(directory, name);

describe('opening', () => {
  test('a missing file is PW_NOT_FOUND, and is created only when asked', async () => {
    await expect(files.open(at('a'), {})).rejects.toMatchObject({
      code: 'PW_NOT_FOUND',
      details: { errno: 'ENOENT', operation: 'open', path: at('a') },
    });
    expect(await files.exists(at('a'))).toBe(false);
    const file = await files.open(at('a'), { create: true });
    expect(file.path).toBe(at('a'));
    expect(file.size()).toBe(0);
    await file.close();
    expect(await files.exists(at('a'))).toBe(true);
  });

  test('opening keeps what is in the file, with create or without', async () => {
    fs.writeFileSync(at('a'), 'kept');
    for (const flags of [{}, { create: true }, { readOnly: true }]) {
      const file = await files.open(at('a'), flags);
      expect(file.size()).toBe(4);
      await file.close();
    }
    expect(fs.readFileSync(at('a'), 'utf8')).toBe('kept');
  });

  test.each([
    {},
    { readOnly: true },
  ])('a directory is PW_IO with EISDIR, and leaves no descriptor: %o', async (flags) => {
    await expect(files.open(directory, flags)).rejects.toMatchObject({ code: 'PW_IO', details: { errno: 'EISDIR' } });
    expect(openDescriptorsOf(directory)).toBe(0);
  });

  test('a path that no system takes is PW_ARGUMENT', async () => {
    expect(await codeOf(files.open('a\0b', { create: true }))).toBe('PW_ARGUMENT');
  });

  test('a file of which the mode forbids it is PW_PERMISSION', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'root may open any file; needs another user');
    fs.writeFileSync(at('a'), '', { mode: 0o000 });
    await expect(files.open(at('a'), {})).rejects.toMatchObject({
      code: 'PW_PERMISSION',
      details: { errno: 'EACCES' },
    });
  });

  test('a file that not even root may write is PW_PERMISSION', async ({ skip }) => {
    skip(!fs.existsSync('/sys/kernel/fscaps'), 'needs sysfs');
    const error = await rejectionOf(files.open('/sys/kernel/fscaps', {}));
    expect(error).toMatchObject({ code: 'PW_PERMISSION', details: { errno: 'EACCES', path: '/sys/kernel/fscaps' } });
    await (await files.open('/sys/kernel/fscaps', { readOnly: true })).close();
  });
});

describe('directories', () => {
  test('list names the files, not the directories; of a missing directory, none', async () => {
    fs.writeFileSync(at('a'), '');
    fs.writeFileSync(at('b'), '');
    fs.mkdirSync(at('c'));
    expect((await files.list(directory)).sort()).toEqual(['a', 'b']);
    expect(await files.list(at('missing'))).toEqual([]);
  });

  test('making a directory that is there does nothing; where a file is, or no parent, it fails', async () => {
    await files.makeDirectory(at('d'));
    await files.makeDirectory(at('d'));
    expect(fs.statSync(at('d')).isDirectory()).toBe(true);
    fs.writeFileSync(at('f'), '');
    await expect(files.makeDirectory(at('f'))).rejects.toMatchObject({ code: 'PW_IO', details: { errno: 'EEXIST' } });
    await expect(files.makeDirectory(at('x/y'))).rejects.toMatchObject({ code: 'PW_IO', details: { errno: 'ENOENT' } });
  });

  test('removing what is missing is no error; what is a directory is not removed as a file', async () => {
    fs.writeFileSync(at('a'), '');
    await files.remove(at('a'));
    await files.remove(at('a'));
    await files.remove(at('a/b'));
    expect(await files.exists(at('a'))).toBe(false);
    expect(await codeOf(files.remove(directory))).toMatch(/PW_IO|PW_PERMISSION/);
  });

  test('a directory is removed if it is empty, and is left alone if it is not', async () => {
    fs.mkdirSync(at('d'));
    fs.writeFileSync(at('d/a'), '');
    await files.removeDirectory(at('d'));
    expect(fs.existsSync(at('d/a'))).toBe(true);
    fs.rmSync(at('d/a'));
    await files.removeDirectory(at('d'));
    expect(fs.existsSync(at('d'))).toBe(false);
    await files.removeDirectory(at('d'));
  });

  test('rename replaces what has the name', async () => {
    fs.writeFileSync(at('a'), 'new');
    fs.writeFileSync(at('b'), 'old');
    await files.rename(at('a'), at('b'));
    expect(fs.readFileSync(at('b'), 'utf8')).toBe('new');
    await expect(files.rename(at('a'), at('b'))).rejects.toMatchObject({ code: 'PW_IO', details: { errno: 'ENOENT' } });
  });

  test('a directory can be synced, and a missing one cannot', async () => {
    await files.syncDirectory(directory);
    expect(openDescriptorsOf(directory)).toBe(0);
    expect(await codeOf(files.syncDirectory(at('missing')))).toBe('PW_IO');
  });
});

test('it says that it works here, without touching anything', () => {
  expect(files.probe()).toEqual({ supported: true });
});

test.each([0, -1, 1.5, Number.NaN, 1025])('a depth of %s is PW_OPTION_INVALID', (depth) => {
  expect(() => new NodeFiles({ depth })).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
});

/** Descriptors of this process on a path, where the system lists them. */
function openDescriptorsOf(target: string): number {
  if (process.platform !== 'linux') return 0;
  const opened = fs.readdirSync('/proc/self/fd').map((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return opened.filter((name) => name === target).length;
}

test('says how another thread makes the same backend, but not for a class that extends it', () => {
  class Watched extends NodeFiles {}
  expect(new NodeFiles({ depth: 3 }).module).toMatchObject({
    url: expect.stringMatching(/in-thread\.js$/),
    options: { depth: 3 },
  });
  expect(new Watched().module).toBeUndefined();
});

test('where too many files are open, the error says so', () => {
  const { code, message } = faultOf({ code: 'EMFILE' }, { operation: 'open', path: 'store.pw' });
  expect({ code, message }).toEqual({ code: 'PW_IO', message: expect.stringContaining('ulimit -n') });
});
