import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { IoFile, ReaderPin } from '@pagewright/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NodeFiles } from '../src/index.js';
import { describeSelf, textOf } from '../src/process-identity.js';
import { bundle } from './bundle.js';
import { endAll, kill, start, tell } from './holder.js';
import { codeOf } from './rejection.js';

const linux = process.platform === 'linux';
const files = new NodeFiles();
let programs: string;
let program: string;
let directory: string;
let name: string;
let readers: string;
const opened: IoFile[] = [];

beforeAll(async () => {
  programs = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  program = await bundle('holder-program.ts', programs);
});
afterAll(() => {
  fs.rmSync(programs, { recursive: true, force: true });
});
beforeEach(() => {
  directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-')));
  name = path.join(directory, 'store.pw');
  readers = `${name}-readers`;
  fs.writeFileSync(name, new Uint8Array(4));
});
afterEach(async () => {
  await endAll();
  for (const each of opened.splice(0)) await each.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function open(file = name): Promise<IoFile> {
  const handle = await files.open(file, { readOnly: true });
  opened.push(handle);
  return handle;
}

function publish(file: IoFile, text: string): Promise<ReaderPin> {
  return file.publishPin!(text);
}

const pinsOf = async (file: IoFile): Promise<string[]> => [...(await file.pins!())].sort();

describe('a pin', () => {
  test('is a file of its own beside the file, and nothing is left when the last one is released', async () => {
    const file = await open();
    const pins = [await publish(file, 'one'), await publish(file, 'two')];
    expect(fs.readdirSync(readers)).toHaveLength(2);
    await pins[0]!.move('one more');
    expect(fs.readdirSync(readers)).toHaveLength(2);
    for (const pin of pins) await pin.release();
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });

  test('is seen through another name of the file', async () => {
    const alias = path.join(directory, 'alias');
    fs.symlinkSync(name, alias);
    await publish(await open(alias), 'by the alias');
    expect(await pinsOf(await open())).toEqual(['by the alias']);
  });

  test('of a text of several lines is refused', async () => {
    expect(await codeOf(publish(await open(), 'one\ntwo'))).toBe('PW_ARGUMENT');
  });

  test('is published while others come and go with the directory', async () => {
    const file = await open();
    const seldom = async (): Promise<void> => {
      for (let round = 0; round < 50; round++) await (await publish(file, 'short')).release();
    };
    await Promise.all([seldom(), seldom(), seldom()]);
    expect(fs.existsSync(readers)).toBe(false);
  });

  test('in a directory that somebody made and left a file in leaves both', async () => {
    fs.mkdirSync(readers);
    fs.writeFileSync(path.join(readers, '.keep'), '');
    const file = await open();
    await (await publish(file, 'one')).release();
    expect(await pinsOf(file)).toEqual([]);
    expect(fs.readdirSync(readers)).toEqual(['.keep']);
  });

  test('can be published when the directory cannot be made only by those who may', async ({ skip }) => {
    if (process.getuid?.() === 0) skip('root may write everywhere');
    fs.chmodSync(directory, 0o555);
    expect(await codeOf(publish(await open(), 'one'))).toBe('PW_PERMISSION');
    fs.chmodSync(directory, 0o755);
  });
});

describe('the pin of a reader that died', () => {
  test('is not shown, and its file is removed', async () => {
    const holder = await start(program, name);
    expect(await tell(holder, 'pin')).toEqual({ outcome: 'published' });
    const file = await open();
    expect(await pinsOf(file)).toEqual([`of ${holder.pid}`]);
    await kill(holder);
    expect(fs.readdirSync(readers)).toHaveLength(1);
    expect(await pinsOf(file)).toEqual([]);
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });

  test.skipIf(!linux)('in a thread of this process is not shown', async () => {
    const worker = new Worker(program, { workerData: name });
    await once(worker, 'message');
    expect(await tell(worker, 'pin')).toEqual({ outcome: 'published' });
    const file = await open();
    const own = await publish(file, 'of the main thread');
    expect(await pinsOf(file)).toEqual([`of ${process.pid}`, 'of the main thread'].sort());
    await worker.terminate();
    expect(await pinsOf(file)).toEqual(['of the main thread']);
    await own.release();
  });

  test('whose file a loss of power left empty, or half-written beside it, is removed', async () => {
    fs.mkdirSync(readers);
    const token = '01234567-89ab-cdef-0123-456789abcdef';
    fs.writeFileSync(path.join(readers, `1-${token}`), '');
    const dead = await start(program, name);
    await kill(dead);
    fs.writeFileSync(path.join(readers, `${dead.pid}-${token}.new`), '{"to');
    expect(await pinsOf(await open())).toEqual([]);
    expect(fs.existsSync(readers)).toBe(false);
  });

  test('is shown if it is of another machine, because nobody here can tell', async () => {
    fs.mkdirSync(readers);
    const elsewhere = { ...describeSelf('token', 5), host: 'elsewhere', bootId: 'another', pidNamespace: 'pid:[1]' };
    const pin = path.join(readers, '77-01234567-89ab-cdef-0123-456789abcdef');
    fs.writeFileSync(pin, `${textOf(elsewhere)}from afar\n`);
    expect(await pinsOf(await open())).toEqual(['from afar']);
    expect(fs.existsSync(pin)).toBe(true);
  });
});
