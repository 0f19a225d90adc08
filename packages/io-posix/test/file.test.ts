import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { IoFile, IoOperation } from '@pagewright/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NodeFiles } from '../src/index.js';
import { codeOf, rejectionOf } from './rejection.js';

/** Only what is used of it: Node's own types leave it out. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer };
};

const files = new NodeFiles();
let directory: string;
let name: string;
let file: IoFile;

beforeEach(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  name = path.join(directory, 'file');
  file = await files.open(name, { create: true });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await file.close().catch(() => {});
  fs.rmSync(directory, { recursive: true, force: true });
});

/** Bytes that differ from place to place, so that what lands in the wrong place is seen. */
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i + 1, 2654435761) >>> 13) ^ Math.imul(seed, 97);
  return bytes;
}

/** A view on shared memory, at an odd address. */
function sharedView(length: number): Uint8Array {
  const pages = Math.ceil((length + 1) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 1, length);
}

describe('transfers', () => {
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

  test('short transfers are continued until they are whole', async () => {
    const bytes = pattern(10_000, 1);
    shorten();
    file.writeSync(bytes, 7);
    await file.write(bytes, 20_007);
    file.submitSync(pieces(bytes, 40_007, 'write'));
    await file.submit(pieces(bytes, 60_007, 'write'));
    for (const offset of [7, 20_007, 40_007, 60_007]) {
      const into = [0, 1, 2, 3].map(() => new Uint8Array(bytes.length));
      file.readSync(into[0]!, offset);
      await file.read(into[1]!, offset);
      file.submitSync(pieces(into[2]!, offset, 'read'));
      await file.submit(pieces(into[3]!, offset, 'read'));
      for (const each of into) expect(Buffer.compare(each, bytes)).toBe(0);
    }
  });

  test.each(['EINTR', 'EAGAIN'])('a transfer that ends with %s is repeated', async (errno) => {
    const calls = interruptEverySecondCall(errno);
    const bytes = pattern(5000, 2);
    file.writeSync(bytes, 3);
    await file.write(bytes, 6003);
    const into = [new Uint8Array(5000), new Uint8Array(5000)];
    file.readSync(into[0]!, 3);
    await file.read(into[1]!, 6003);
    for (const each of into) expect(Buffer.compare(each, bytes)).toBe(0);
    expect(calls.interrupted).toBeGreaterThanOrEqual(4);
  });

  test('a file that is interrupted for ever, or takes no bytes, is reported instead of tried for ever', async () => {
    vi.spyOn(fs, 'writeSync').mockImplementation(() => {
      throw Object.assign(new Error('interrupted'), { code: 'EINTR' });
    });
    expect(() => file.writeSync(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    vi.mocked(fs.writeSync).mockReturnValue(0);
    expect(() => file.writeSync(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'PW_IO' }));
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
});

describe('submit', () => {
  test('neighbours in the file are written by one call, whatever their order in the batch', async () => {
    const [single, vectored] = [vi.spyOn(fs, 'write'), vi.spyOn(fs, 'writev')];
    const bytes = pattern(64 * 512, 4);
    const batch = [...Array(64).keys()].map(
      (i): IoOperation => ({ kind: 'write', offset: i * 512, buffer: bytes.subarray(i * 512, (i + 1) * 512) }),
    );
    await file.submit([...batch].reverse());
    expect(vectored).toHaveBeenCalledTimes(1);
    expect(single).not.toHaveBeenCalled();
    expect(fs.readFileSync(name).equals(bytes)).toBe(true);
  });

  test('more neighbours than one call takes are written by several', async () => {
    const bytes = pattern(5000, 5);
    await file.submit([...bytes.keys()].map((i) => ({ kind: 'write', offset: i, buffer: bytes.subarray(i, i + 1) })));
    expect(fs.readFileSync(name).equals(bytes)).toBe(true);
  });

  test('no more transfers are in flight than the depth allows', async () => {
    const narrow = await new NodeFiles({ depth: 3 }).open(name, {});
    let [inFlight, most] = [0, 0];
    const real = fs.write;
    vi.spyOn(fs, 'write').mockImplementation(((...args: unknown[]) => {
      most = Math.max(most, ++inFlight);
      const done = args.pop() as (...results: unknown[]) => void;
      (real as unknown as (...all: unknown[]) => void)(...args, (...results: unknown[]) => {
        inFlight--;
        done(...results);
      });
    }) as never);
    await narrow.submit(
      [...Array(40).keys()].map((i) => ({ kind: 'write', offset: i * 1000, buffer: pattern(10, i) })),
    );
    expect(most).toBe(3);
    await narrow.close();
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

  test('the sync comes after the last transfer, and not at all after a transfer that failed', async () => {
    const order: string[] = [];
    const [write, sync] = [fs.write, fs.fdatasync];
    vi.spyOn(fs, 'write').mockImplementation(((...args: unknown[]) => {
      const done = args.pop() as (...results: unknown[]) => void;
      (write as unknown as (...all: unknown[]) => void)(...args, (...results: unknown[]) => {
        order.push('written');
        done(...results);
      });
    }) as never);
    vi.spyOn(fs, 'fdatasync').mockImplementation((fd, done) => {
      order.push('sync');
      sync(fd, done);
    });
    const batch = [0, 100, 200].map((offset): IoOperation => ({ kind: 'write', offset, buffer: pattern(10, 1) }));
    await file.submit(batch, { sync: true });
    expect(order).toEqual(['written', 'written', 'written', 'sync']);
    order.length = 0;
    const beyond: IoOperation = { kind: 'read', offset: 10_000, buffer: new Uint8Array(1) };
    expect(await codeOf(file.submit([...batch, beyond], { sync: true }))).toBe('PW_IO');
    expect(order).not.toContain('sync');
  });

  test('one write with a sync is one call where the system has that, to this file whatever has its name by now', async ({
    skip,
  }) => {
    skip(process.platform !== 'linux', 'needs Linux');
    const sync = vi.spyOn(fs, 'fdatasync');
    const syncSync = vi.spyOn(fs, 'fdatasyncSync');
    const descriptors = fs.readdirSync('/proc/self/fd').length;
    fs.renameSync(name, `${name}.moved`);
    fs.writeFileSync(name, 'another');
    const bytes = pattern(100, 1);
    await file.submit([{ kind: 'write', offset: 0, buffer: bytes.subarray(0, 60) }], { sync: true });
    file.submitSync(
      [
        { kind: 'write', offset: 80, buffer: bytes.subarray(80) },
        { kind: 'write', offset: 60, buffer: bytes.subarray(60, 80) },
      ],
      { sync: true },
    );
    expect([sync, syncSync].map((spy) => spy.mock.calls.length)).toEqual([0, 0]);
    expect(fs.readFileSync(`${name}.moved`).equals(bytes)).toBe(true);
    expect(fs.readFileSync(name, 'utf8')).toBe('another');
    await file.close();
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThan(descriptors);
  });

  test('one write with a sync is followed by a sync where the system has no other way', async () => {
    const { platform } = process;
    Object.defineProperty(process, 'platform', { value: 'freebsd' });
    try {
      const sync = vi.spyOn(fs, 'fdatasync');
      await file.submit([{ kind: 'write', offset: 0, buffer: pattern(10, 1) }], { sync: true });
      expect(sync).toHaveBeenCalledTimes(1);
    } finally {
      Object.defineProperty(process, 'platform', { value: platform });
    }
  });

  test('it rejects with the first error, when no buffer of the batch is in use any more', async () => {
    let inFlight = 0;
    const real = fs.read;
    vi.spyOn(fs, 'read').mockImplementation(((...args: unknown[]) => {
      inFlight++;
      const done = args.pop() as (...results: unknown[]) => void;
      (real as unknown as (...all: unknown[]) => void)(...args, (...results: unknown[]) => {
        inFlight--;
        done(...results);
      });
    }) as never);
    file.writeSync(pattern(100, 1), 0);
    const batch = [0, 500, 20, 900, 60].map((offset): IoOperation => {
      return { kind: 'read', offset, buffer: new Uint8Array(10) };
    });
    expect(await rejectionOf(file.submit(batch))).toMatchObject({ code: 'PW_IO', details: { errno: 'EOF' } });
    expect(inFlight).toBe(0);
  });

  test('a batch with one bad operation is refused before anything is transferred', async () => {
    const good: IoOperation = { kind: 'write', offset: 0, buffer: pattern(10, 1) };
    expect(await codeOf(file.submit([good, { ...good, offset: -1 }]))).toBe('PW_ARGUMENT');
    expect(await codeOf(file.submit([good, { ...good, kind: 'erase' as 'write' }]))).toBe('PW_ARGUMENT');
    expect(file.size()).toBe(0);
  });
});

describe('allocate', () => {
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

  test('several at once extend the file to the largest end, and no further', async () => {
    delayWrites();
    await Promise.all([file.allocate(0, 100_000), file.allocate(50, 300_000), file.allocate(7, 200_000)]);
    expect(file.size()).toBe(300_050);
  });

  test('a file that was renamed since it was opened can be extended', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs /proc/self/fd');
    fs.renameSync(name, `${name}-2`);
    fs.writeFileSync(name, 'another');
    await file.allocate(0, 1000);
    expect(fs.statSync(`${name}-2`).size).toBe(1000);
    expect(fs.readFileSync(name, 'utf8')).toBe('another');
  });
});

describe('failures', () => {
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

  test.each([
    ['EDQUOT', 'PW_FULL'],
    ['EFBIG', 'PW_FULL'],
    ['EROFS', 'PW_PERMISSION'],
    ['EPERM', 'PW_PERMISSION'],
    ['EIO', 'PW_IO'],
  ])('%s is %s', async (errno, code) => {
    vi.spyOn(fs, 'writeSync').mockImplementation(() => {
      throw Object.assign(new Error(errno), { code: errno });
    });
    expect(() => file.writeSync(new Uint8Array(1), 9)).toThrow(
      expect.objectContaining({ code, details: { errno, operation: 'write', path: name, offset: 9 } }),
    );
  });

  test('IO1: after a sync that failed no later sync succeeds', async () => {
    vi.spyOn(fs, 'fdatasync').mockImplementationOnce((_fd, done) =>
      done(Object.assign(new Error('EIO'), { code: 'EIO' })),
    );
    expect(await rejectionOf(file.submit([], { sync: true }))).toMatchObject({
      code: 'PW_IO',
      details: { errno: 'EIO', operation: 'sync', path: name },
    });
    expect(await rejectionOf(file.sync())).toMatchObject({ code: 'PW_IO', details: { errno: 'EIO' } });
    expect(() => file.syncSync()).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    expect(await codeOf(file.submit([], { sync: true }))).toBe('PW_IO');
    expect(() => file.submitSync([], { sync: true })).toThrow(expect.objectContaining({ code: 'PW_IO' }));
  });

  test('IO1: after a write that was to be durable and failed no later sync succeeds', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs Linux');
    vi.spyOn(fs, 'writeSync').mockImplementationOnce(() => {
      throw Object.assign(new Error('EIO'), { code: 'EIO' });
    });
    const write: IoOperation = { kind: 'write', offset: 0, buffer: pattern(10, 1) };
    expect(() => file.submitSync([write], { sync: true })).toThrow(expect.objectContaining({ code: 'PW_IO' }));
    expect(await codeOf(file.submit([write], { sync: true }))).toBe('PW_IO');
    expect(await codeOf(file.sync())).toBe('PW_IO');
    await file.submit([write]);
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
});

describe('closing', () => {
  test('close waits for what is in flight, and may be called again', async () => {
    delayWrites();
    const bytes = pattern(1 << 20, 8);
    let written = false;
    const write = file.write(bytes, 0).then(() => {
      written = true;
    });
    const closes = [file.close(), file.close()];
    await Promise.all(closes);
    expect(written).toBe(true);
    await write;
    await file.close();
    expect(fs.readFileSync(name).equals(bytes)).toBe(true);
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
});

async function attempt(act: () => void | Promise<void>): Promise<string> {
  try {
    await act();
    return 'ok';
  } catch (error) {
    const { code, details } = error as { code: string; details: { errno: string } };
    return `${code} ${details.errno}`;
  }
}

/** A buffer as a batch of neighbours of many sizes. */
function pieces(buffer: Uint8Array, offset: number, kind: 'read' | 'write'): IoOperation[] {
  const cuts = [0, 1, 2, 700, 1500, 1501, 8000, buffer.length];
  return cuts.slice(1).map((to, i) => ({ kind, offset: offset + cuts[i]!, buffer: buffer.subarray(cuts[i]!, to) }));
}

/** Makes every system call move at most 333 bytes. */
function shorten(): void {
  const cut = (buffers: Uint8Array[]): Uint8Array[] => [buffers[0]!.subarray(0, 333)];
  const real = { ...fs };
  vi.spyOn(fs, 'readSync').mockImplementation(((fd: number, b: Uint8Array, o: number, l: number, p: number) =>
    real.readSync(fd, b, o, Math.min(l, 333), p)) as never);
  vi.spyOn(fs, 'writeSync').mockImplementation(((fd: number, b: Uint8Array, o: number, l: number, p: number) =>
    real.writeSync(fd, b, o, Math.min(l, 333), p)) as never);
  vi.spyOn(fs, 'read').mockImplementation(((
    fd: number,
    b: Uint8Array,
    o: number,
    l: number,
    p: number,
    done: () => void,
  ) => real.read(fd, b, o, Math.min(l, 333), p, done)) as never);
  vi.spyOn(fs, 'write').mockImplementation(((
    fd: number,
    b: Uint8Array,
    o: number,
    l: number,
    p: number,
    done: () => void,
  ) => real.write(fd, b, o, Math.min(l, 333), p, done)) as never);
  vi.spyOn(fs, 'readvSync').mockImplementation(((fd: number, b: Uint8Array[], p: number) =>
    real.readvSync(fd, cut(b), p)) as never);
  vi.spyOn(fs, 'writevSync').mockImplementation(((fd: number, b: Uint8Array[], p: number) =>
    real.writevSync(fd, cut(b), p)) as never);
  vi.spyOn(fs, 'readv').mockImplementation(((fd: number, b: Uint8Array[], p: number, done: () => void) =>
    real.readv(fd, cut(b), p, done)) as never);
  vi.spyOn(fs, 'writev').mockImplementation(((fd: number, b: Uint8Array[], p: number, done: () => void) =>
    real.writev(fd, cut(b), p, done)) as never);
}

/** Makes writes reach the system only when the event loop has gone round. */
function delayWrites(): void {
  const real = fs.write as unknown as (...args: unknown[]) => void;
  vi.spyOn(fs, 'write').mockImplementation(((...args: unknown[]) => setImmediate(() => real(...args))) as never);
}

/** Makes every second read or write fail with an errno, without an effect. */
function interruptEverySecondCall(errno: string): { interrupted: number } {
  const count = { interrupted: 0 };
  const error = Object.assign(new Error(errno), { code: errno });
  for (const method of ['read', 'write', 'readSync', 'writeSync'] as const) {
    const real = fs[method] as unknown as (...args: unknown[]) => unknown;
    let calls = 0;
    vi.spyOn(fs, method).mockImplementation(((...args: unknown[]) => {
      if (calls++ % 2 === 1) return real(...args);
      count.interrupted++;
      if (method.endsWith('Sync')) throw error;
      return setImmediate(args.at(-1) as (error: unknown) => void, error);
    }) as never);
  }
  return count;
}
