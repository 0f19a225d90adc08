import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { IoFile, IoOperation } from '@pagewright/core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { NodeFiles } from '../src/index.js';
import { pattern } from './bytes.js';
import { fileBehaviour } from './file-behaviour.js';
import { codeOf, rejectionOf } from './rejection.js';
import { byAddon, byAddonDirect, byNode } from './subjects.js';

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

for (const tested of [byNode, byAddon, byAddonDirect]) {
  describe(`an open file by ${tested.name}`, () => fileBehaviour(tested));
}

describe('transfers', () => {
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
});

describe('a buffer that is taken away while it is in use', () => {
  test.for([
    'detached',
    'made shorter',
  ])('ends with PW_ARGUMENT if it is %s, and not with an error of the language', async (how) => {
    file.writeSync(pattern(100_000, 1), 0);
    const take = (memory: ArrayBuffer): void => {
      if (how === 'detached') structuredClone(memory, { transfer: [memory] });
      else (memory as unknown as { resize(length: number): void }).resize(10);
    };
    const memoryOf = (length: number): ArrayBuffer =>
      new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(length, { maxByteLength: length });
    const alone = memoryOf(50_000);
    const reading = file.read(new Uint8Array(alone), 0);
    take(alone);
    expect(await codeOf(reading)).toBe('PW_ARGUMENT');
    const first = memoryOf(20_000);
    const second = new Uint8Array(30_000);
    const batch = file.submit([
      { kind: 'read', buffer: new Uint8Array(first), offset: 0 },
      { kind: 'read', buffer: second, offset: 20_000 },
    ]);
    take(first);
    expect(await codeOf(batch)).toBe('PW_ARGUMENT');
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
});

describe('allocate', () => {
  test('several at once extend the file to the largest end, and no further', async () => {
    delayWrites();
    await Promise.all([file.allocate(0, 100_000), file.allocate(50, 300_000), file.allocate(7, 200_000)]);
    expect(file.size()).toBe(300_050);
  });
});

describe('failures', () => {
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
});

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
