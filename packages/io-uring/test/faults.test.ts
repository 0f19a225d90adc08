/** Faults and short transfers of the system itself. */
import fs from 'node:fs';
import path from 'node:path';
import { PagewrightError } from '@pagewright/core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { UringFiles } from '../src/index.js';
import { describeNative, emptyDirectory } from './native.js';
import { bundled, runProgram } from './programs.js';

describeNative('faults', () => {
  const backend = new UringFiles({ depth: 32 });
  let directory: string;
  let program: string;

  beforeAll(async () => {
    directory = emptyDirectory();
    program = await bundled('limited-program.ts', directory);
  });
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));
  afterEach(() => expect(backend.figures(), 'left in the ring').toMatchObject({ inKernel: 0, pending: 0 }));

  async function failureOf(work: () => unknown): Promise<PagewrightError> {
    try {
      await work();
    } catch (error) {
      expect(error).toBeInstanceOf(PagewrightError);
      return error as PagewrightError;
    }
    throw new Error('it succeeds');
  }

  test('a read that the system answers in pieces is whole', async () => {
    // What /proc makes up as it is read comes a page or less at a time.
    const name = '/proc/kallsyms';
    const wanted = fs.readFileSync(name).subarray(0, 100_000);
    const file = backend.openSync(name, { readOnly: true });
    const inPlace = new Uint8Array(wanted.length);
    file.readSync(inPlace, 0);
    expect(Buffer.compare(inPlace, wanted)).toBe(0);
    const halves = [new Uint8Array(30_001), new Uint8Array(wanted.length - 30_001)] as const;
    await file.submit([
      { kind: 'read', buffer: halves[0], offset: 0 },
      { kind: 'read', buffer: halves[1], offset: halves[0].length },
    ]);
    expect(Buffer.compare(Buffer.concat(halves), wanted)).toBe(0);
    await file.close();
  });

  test('ENOSPC in a chain of writes and a sync is that write, and the rest of the chain leaves nothing behind', async () => {
    const file = backend.openSync('/dev/full', {});
    const writes = [0, 8192, 16_384].map((offset) => ({ kind: 'write', buffer: new Uint8Array(100), offset }) as const);
    for (const submit of [() => file.submit(writes, { sync: true }), () => file.submitSync(writes, { sync: true })]) {
      const failure = await failureOf(submit);
      expect(failure.code).toBe('PW_FULL');
      expect(failure.details).toMatchObject({ errno: 'ENOSPC', path: '/dev/full', offset: 0, operation: 'write' });
    }
    expect((await failureOf(() => file.write(new Uint8Array(10), 77))).details).toMatchObject({ offset: 77 });
    await file.close();
  });

  test('one write that was to be durable and failed lets no later sync succeed (IO1)', async () => {
    const file = backend.openSync('/dev/full', {});
    const write = [{ kind: 'write', buffer: new Uint8Array(100), offset: 0 }] as const;
    expect(await failureOf(() => file.submit(write, { sync: true }))).toMatchObject({ code: 'PW_FULL' });
    const failure = await failureOf(() => file.sync());
    expect(failure).toMatchObject({ code: 'PW_IO', details: { operation: 'sync', errno: 'ENOSPC' } });
    await file.close();
  });

  test('EIO is PW_IO with its place', async () => {
    const file = backend.openSync('/proc/self/mem', { readOnly: true });
    const failure = await failureOf(() => file.read(new Uint8Array(8), 4096));
    expect(failure).toMatchObject({ code: 'PW_IO', details: { errno: 'EIO', offset: 4096, operation: 'read' } });
    await file.close();
  });

  test('a size limit makes a write short, then fail where it began to', async () => {
    const name = path.join(directory, 'limited');
    const ended = await runProgram(program, { path: name }, ['sh', '-c', 'ulimit -f 64 && exec "$@"', 'sh']);
    const limit = fs.statSync(name).size;
    expect([64 * 512, 64 * 1024]).toContain(limit); // shells count in blocks of either size
    const fault = { code: 'PW_FULL', errno: 'EFBIG', offset: limit };
    expect(ended).toMatchObject({ code: 0, lines: [{ inPlace: fault, later: fault, chain: fault }] });
  });

  test('direct transfers where there are none are PW_UNSUPPORTED', async ({ skip }) => {
    const name = '/proc/self/status';
    const direct = new UringFiles({ direct: true });
    skip(!fs.existsSync(name), 'needs /proc');
    expect(await failureOf(() => direct.open(name, { readOnly: true }))).toMatchObject({ code: 'PW_UNSUPPORTED' });
    await (await new UringFiles({ direct: 'auto' }).open(name, { readOnly: true })).close();
  });
});
