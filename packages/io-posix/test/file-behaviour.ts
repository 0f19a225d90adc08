/** What an open file does, whatever moves its bytes: tests for each backend of this package. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { IoFile, IoOperation } from '@pagewright/core';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pattern, sharedView } from './bytes.js';
import { codeOf, rejectionOf } from './rejection.js';
import type { Tested } from './subjects.js';

/** Registers the tests. */
export function fileBehaviour(tested: Tested): void {
  const files = tested.make();
  let directory: string;
  let name: string;
  let file: IoFile;

  beforeEach(async ({ skip }) => {
    skip(tested.left !== undefined, tested.left);
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
    name = path.join(directory, 'file');
    file = await files.open(name, { create: true });
  });
  afterEach(async () => {
    await file?.close().catch(() => {});
    fs.rmSync(directory ?? '', { recursive: true, force: true });
  });

  test('a file behaves like one array of bytes, whatever operations come in whatever form', async () => {
    const operation = fc.record({
      kind: fc.constantFrom('read', 'write', 'truncate', 'allocate', 'submit'),
      offset: fc.nat(9000),
      length: fc.nat(5000),
      sync: fc.boolean(),
      shared: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (operations) => {
        file.truncateSync(0);
        let model = new Uint8Array(0);
        const resize = (size: number): void => {
          const next = new Uint8Array(size);
          next.set(model.subarray(0, size));
          model = next;
        };
        for (const [seed, { kind, offset, length, sync, shared }] of operations.entries()) {
          const buffer = shared ? sharedView(length) : new Uint8Array(length);
          if (kind === 'read') {
            const within = offset + length <= model.length || length === 0;
            const outcome = sync
              ? await attempt(() => file.readSync(buffer, offset))
              : await attempt(() => file.read(buffer, offset));
            expect(outcome).toBe(within ? 'ok' : 'PW_IO EOF');
            if (within && length > 0) expect(Buffer.compare(buffer, model.subarray(offset, offset + length))).toBe(0);
          } else if (kind === 'write' || kind === 'submit') {
            buffer.set(pattern(length, seed));
            const half = length >> 1;
            const batch: IoOperation[] = [
              { kind: 'write', offset: offset + half, buffer: buffer.subarray(half) },
              { kind: 'write', offset, buffer: buffer.subarray(0, half) },
            ];
            if (kind === 'write') sync ? file.writeSync(buffer, offset) : await file.write(buffer, offset);
            else sync ? file.submitSync(batch, { sync: true }) : await file.submit(batch, { sync: true });
            if (length > 0) {
              resize(Math.max(model.length, offset + length));
              model.set(buffer, offset);
            }
          } else if (kind === 'truncate') {
            sync ? file.truncateSync(offset) : await file.truncate(offset);
            resize(offset);
          } else {
            sync ? file.allocateSync(offset, length) : await file.allocate(offset, length);
            resize(Math.max(model.length, offset + length));
          }
          expect(file.size()).toBe(model.length);
        }
        expect(fs.readFileSync(name).equals(model)).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('reading beyond the end is PW_IO with EOF and the place where the file ends', async () => {
    file.writeSync(pattern(100, 3), 0);
    const expected = { code: 'PW_IO', details: { errno: 'EOF', operation: 'read', path: name, offset: 100 } };
    expect(() => file.readSync(new Uint8Array(51), 50)).toThrow(expect.objectContaining(expected));
    expect(await rejectionOf(file.read(new Uint8Array(51), 50))).toMatchObject(expected);
    expect(await rejectionOf(file.submit([{ kind: 'read', offset: 50, buffer: new Uint8Array(51) }]))).toMatchObject(
      expected,
    );
    expect(await rejectionOf(file.read(new Uint8Array(1), 4000))).toMatchObject({ details: { offset: 4000 } });
  });

  test.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
  ])('offset %s is PW_ARGUMENT, and nothing is written anywhere', async (offset) => {
    const bytes = new Uint8Array(8);
    const expected = expect.objectContaining({ code: 'PW_ARGUMENT' });
    expect(() => file.writeSync(bytes, offset)).toThrow(expected);
    expect(() => file.readSync(bytes, offset)).toThrow(expected);
    expect(() => file.truncateSync(offset)).toThrow(expected);
    expect(() => file.allocateSync(offset, 1)).toThrow(expected);
    expect(() => file.submitSync([{ kind: 'write', offset, buffer: bytes }])).toThrow(expected);
    expect(await codeOf(file.write(bytes, offset))).toBe('PW_ARGUMENT');
    expect(await codeOf(file.submit([{ kind: 'write', offset, buffer: bytes }]))).toBe('PW_ARGUMENT');
    expect(file.size()).toBe(0);
  });

  test('arguments of no kind that a call takes are PW_ARGUMENT, and nothing is written anywhere', async () => {
    const bytes = new Uint8Array(8);
    const wild = file as unknown as Record<string, (...args: unknown[]) => unknown>;
    const write = { kind: 'write', offset: 0, buffer: bytes };
    const calls: readonly (readonly [string, ...unknown[]])[] = [
      ['submit'],
      ['submit', null],
      ['submit', 'write'],
      ['submit', new Set([write])],
      ['submit', [null]],
      ['submit', [write, undefined]],
      ['submit', [write, Symbol('write')]],
      ['submit', [{ ...write, kind: Symbol('write') }]],
      ['submit', [{ ...write, buffer: null }]],
      ['submit', [write], null],
      ['submit', [write], 'sync'],
      ['submit', [write], { sync: 1 }],
      ['allocate', 0, 1, null],
      ['allocate', 0, 1, { writeZeros: 'no' }],
      ['allocate', 0, Symbol('length')],
      ['truncate', Symbol('size')],
      ['read', bytes, Symbol('offset')],
      ['write', bytes, Object.create(null)],
      ['write', bytes, 1n],
      ['write', null, 0],
      ['write', Object.create(Uint8Array.prototype), 0],
    ];
    for (const [name, ...args] of calls) {
      expect(await codeOf(wild[name]!(...args) as Promise<unknown>), `${name}, ${args.length} arguments`).toBe(
        'PW_ARGUMENT',
      );
      expect(() => wild[`${name}Sync`]!(...args)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    }
    expect(file.size()).toBe(0);
    for (const args of [[name], [name, null], [undefined, {}], [Symbol(name), {}]] as unknown as [string, object][]) {
      expect(await codeOf(files.open(...args))).toBe('PW_ARGUMENT');
      expect(() => files.openSync(...args)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    }
  });

  test('more neighbours than one call takes are written by several', async () => {
    const bytes = pattern(5000, 5);
    await file.submit([...bytes.keys()].map((i) => ({ kind: 'write', offset: i, buffer: bytes.subarray(i, i + 1) })));
    expect(fs.readFileSync(name).equals(bytes)).toBe(true);
  });

  test('many batches at once, on shared memory, each end with their own bytes', async () => {
    const shared = sharedView(16 * 20_000);
    const batches = [...Array(16).keys()].map((batch) => {
      const at = batch * 20_000;
      const bytes = shared.subarray(at, at + 20_000);
      bytes.set(pattern(20_000, batch));
      return [0, 7001, 7002, 15_000].map((from, i, all): IoOperation => {
        return { kind: 'write', offset: at + from, buffer: bytes.subarray(from, all[i + 1] ?? 20_000) };
      });
    });
    await Promise.all(batches.map((batch, i) => file.submit(batch, { sync: i % 2 === 0 })));
    expect(fs.readFileSync(name).equals(Buffer.from(shared))).toBe(true);
  });

  test('a batch with one bad operation is refused before anything is transferred', async () => {
    const good: IoOperation = { kind: 'write', offset: 0, buffer: pattern(10, 1) };
    expect(await codeOf(file.submit([good, { ...good, offset: -1 }]))).toBe('PW_ARGUMENT');
    expect(await codeOf(file.submit([good, { ...good, kind: 'erase' as 'write' }]))).toBe('PW_ARGUMENT');
    expect(file.size()).toBe(0);
  });

  test('new bytes are zero and have blocks; bytes that were there are kept', async () => {
    const bytes = pattern(3000, 6);
    file.writeSync(bytes, 0);
    await file.allocate(1000, 3 << 20);
    expect(file.size()).toBe(1000 + (3 << 20));
    const content = fs.readFileSync(name);
    expect(content.subarray(0, 3000).equals(bytes)).toBe(true);
    expect(content.subarray(3000).every((byte) => byte === 0)).toBe(true);
    file.syncSync();
    expect(fs.statSync(name).blocks * 512).toBeGreaterThanOrEqual(file.size());
    await file.allocate(0, 10);
    expect(file.size()).toBe(1000 + (3 << 20));
  });

  test('what is written beyond the end while it runs is not wiped out', async () => {
    const allocated = file.allocate(0, 8 << 20);
    const bytes = pattern(4096, 7);
    for (let i = 0; i < 200; i++) {
      const offset = i * 40_000;
      file.writeSync(bytes, offset);
      if (i % 10 === 0) await file.read(new Uint8Array(1), 0);
    }
    await allocated;
    const content = fs.readFileSync(name);
    for (let i = 0; i < 200; i++) expect(content.subarray(i * 40_000, i * 40_000 + 4096).equals(bytes)).toBe(true);
  });

  test('a file that was renamed since it was opened can be extended', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs /proc/self/fd');
    fs.renameSync(name, `${name}-2`);
    fs.writeFileSync(name, 'another');
    await file.allocate(0, 1000);
    expect(fs.statSync(`${name}-2`).size).toBe(1000);
    expect(fs.readFileSync(name, 'utf8')).toBe('another');
  });

  test('a full device is PW_FULL, with what a person needs to know', async ({ skip }) => {
    skip(!fs.existsSync('/dev/full'), 'needs /dev/full');
    const full = await files.open('/dev/full', {});
    const expected = {
      code: 'PW_FULL',
      details: { errno: 'ENOSPC', operation: 'write', path: '/dev/full', offset: 70 },
    };
    expect(() => full.writeSync(new Uint8Array(5), 70)).toThrow(expect.objectContaining(expected));
    expect(await rejectionOf(full.write(new Uint8Array(5), 70))).toMatchObject(expected);
    const batch = [70, 75].map((offset): IoOperation => ({ kind: 'write', offset, buffer: new Uint8Array(5) }));
    expect(await rejectionOf(full.submit(batch))).toMatchObject(expected);
    expect(() => full.submitSync(batch)).toThrow(expect.objectContaining(expected));
    await full.close();
  });

  test('a file that is open read-only refuses every change, and can be read and synced', async () => {
    file.writeSync(pattern(10, 1), 0);
    const reader = await files.open(name, { readOnly: true });
    const write: IoOperation = { kind: 'write', offset: 0, buffer: new Uint8Array(1) };
    const changes = [
      () => reader.write(write.buffer, 0),
      () => reader.truncate(0),
      () => reader.allocate(0, 100),
      () => reader.submit([{ ...write, kind: 'read' }, write]),
    ];
    for (const change of changes) expect(await codeOf(change())).toBe('PW_READ_ONLY');
    const changesNow = [
      () => reader.writeSync(write.buffer, 0),
      () => reader.truncateSync(0),
      () => reader.allocateSync(0, 100),
      () => reader.submitSync([write]),
    ];
    for (const change of changesNow) expect(change).toThrow(expect.objectContaining({ code: 'PW_READ_ONLY' }));
    reader.readSync(new Uint8Array(10), 0);
    await reader.sync();
    expect(reader.size()).toBe(10);
    await reader.close();
  });

  test('every use after close is PW_CLOSED, also while close still waits', async () => {
    const write = file.write(pattern(1 << 20, 8), 0);
    const closing = file.close();
    expect(await codeOf(file.write(new Uint8Array(1), 0))).toBe('PW_CLOSED');
    await closing;
    await write;
    const buffer = new Uint8Array(1);
    const uses = [
      () => file.read(buffer, 0),
      () => file.sync(),
      () => file.truncate(0),
      () => file.allocate(0, 1),
      () => file.submit([]),
      () => file.lock(),
    ];
    for (const use of uses) expect(await codeOf(use())).toBe('PW_CLOSED');
    const usesNow = [
      () => file.readSync(buffer, 0),
      () => file.writeSync(buffer, 0),
      () => file.syncSync(),
      () => file.truncateSync(0),
      () => file.allocateSync(0, 1),
      () => file.submitSync([]),
      () => file.size(),
    ];
    for (const use of usesNow) expect(use).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
  });
}

async function attempt(act: () => void | Promise<void>): Promise<string> {
  try {
    await act();
    return 'ok';
  } catch (error) {
    const { code, details } = error as { code: string; details: { errno: string } };
    return `${code} ${details.errno}`;
  }
}
