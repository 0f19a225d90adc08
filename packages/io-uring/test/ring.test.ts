/** What the ring does with more than it has room for, and with what waits in place beside it. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import v8 from 'node:v8';
import vm from 'node:vm';
import type { IoFile } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../src/addon.js';
import { UringFiles } from '../src/index.js';
import { checked } from '../src/options.js';
import { READ, ThreadRing, WRITE } from '../src/thread-ring.js';
import { describeNative, emptyDirectory } from './native.js';
import { sharedMemory } from './shared-memory.js';

const SEED = Number(process.env.URING_SEED ?? Date.now() % 2 ** 31);
const PAGES = 4096;
const PAGE = 512;

describeNative('the ring of a thread', () => {
  let directory: string;
  let bytes: Uint8Array;
  const open: IoFile[] = [];

  beforeEach(() => {
    directory = emptyDirectory();
    bytes = new Uint8Array(Array.from({ length: PAGES * PAGE }, (_, at) => (at * 31 + (at >> 9) * 7) & 0xff));
    fs.writeFileSync(path.join(directory, 'data'), bytes);
  });
  afterEach(async () => {
    for (const file of open.splice(0)) await file.close();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  function fileOf(backend: UringFiles): IoFile {
    const file = backend.openSync(path.join(directory, 'data'), {});
    open.push(file);
    return file;
  }

  function page(at: number): Uint8Array {
    return bytes.subarray(at * PAGE, (at + 1) * PAGE);
  }

  test('a loop of reads from the page cache leaves the event loop its turns', async () => {
    const file = fileOf(new UringFiles());
    const buffer = new Uint8Array(PAGE);
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    for (let at = 0; at < 1000; at++) await file.read(buffer, at * PAGE);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  test('so does one that begins with what the event loop brings, and a timer has its turn', async () => {
    const file = fileOf(new UringFiles());
    const buffer = new Uint8Array(PAGE);
    await file.sync(); // which the kernel leaves to another thread: the loop begins within what the event loop brings
    let turns = 0;
    let isDue = false;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    setTimeout(() => {
      isDue = true;
    }, 1);
    let reads = 0;
    for (; reads < 1000 || (!isDue && reads < 200_000); reads++) await file.read(buffer, (reads % PAGES) * PAGE);
    isOver = true;
    expect(isDue, `a timer had its turn within ${reads} reads`).toBe(true);
    expect(turns, `of the event loop, in ${reads} reads`).toBeGreaterThanOrEqual(4);
  });

  test(`10,000 reads at once are all answered, each with its page (seed ${SEED})`, async () => {
    const backend = new UringFiles({ depth: 64 });
    const file = fileOf(backend);
    const random = new Random(SEED);
    const memory = new SharedArrayBuffer(10_000 * PAGE);
    const wanted = Array.from({ length: 10_000 }, () => random.between(0, PAGES - 1));
    let answers = 0;
    const reads = wanted.map(async (place, at) => {
      // Shared and private memory in turn.
      const buffer = at % 2 === 0 ? new Uint8Array(memory, at * PAGE, PAGE) : new Uint8Array(PAGE);
      await file.read(buffer, place * PAGE);
      answers++;
      expect(Buffer.compare(buffer, page(place)), `seed ${SEED}: read ${at} of page ${place}`).toBe(0);
    });
    await Promise.all(reads);
    expect(answers).toBe(10_000);
    expect(backend.figures()).toMatchObject({ inKernel: 0, pending: 0 });
  });

  test('what waits in place goes before what stands in line, and takes nothing from it', async () => {
    const backend = new UringFiles({ depth: 16, direct: canBeDirect(directory) });
    const file = fileOf(backend);
    const memory = sharedMemory(4 << 20);
    const length = 4096;
    const buffers = Array.from({ length: 512 }, (_, at) => new Uint8Array(memory.buffer, at * length, length));
    const order: number[] = [];
    const reads = buffers.map(async (buffer, at) => {
      await file.read(buffer, at * length);
      order.push(at);
    });
    const own = new Uint8Array(PAGE);
    for (let at = 0; at < 200; at++) {
      waitInPlace(file, own, (PAGES - 1 - at) * PAGE);
      expect(Buffer.compare(own, page(PAGES - 1 - at)), `the read in place ${at}`).toBe(0);
      expect(order, 'a promise was resolved while its thread waited in place').toEqual([]);
    }
    await Promise.all(reads);
    expect([...order].sort((one, other) => one - other)).toEqual(buffers.map((_, at) => at));
    for (const [at, buffer] of buffers.entries()) {
      expect(Buffer.compare(buffer, bytes.subarray(at * length, (at + 1) * length)), `the read ${at}`).toBe(0);
    }
  });

  test('a call in place is answered though thousands stand in line before it', async () => {
    const backend = new UringFiles({ depth: 16 });
    const file = fileOf(backend);
    // Writes to a regular file are handed to other threads of the kernel, so that a long line stays one for a while.
    const writes = Array.from({ length: 3000 }, (_, at) => file.write(page(at), at * PAGE));
    const buffer = new Uint8Array(PAGE);
    waitInPlace(file, buffer, 7 * PAGE);
    const { pending, inKernel } = backend.figures();
    expect(pending, 'writes that are not over').toBeGreaterThan(1000);
    expect(inKernel, 'what the kernel has').toBeLessThanOrEqual(16);
    expect(Buffer.compare(buffer, page(7))).toBe(0);
    await Promise.all(writes);
    expect(backend.figures().pending).toBe(0);
  });

  test('of a batch that fails nothing more is begun', async () => {
    const backend = new UringFiles({ depth: 16 });
    const file = fileOf(backend);
    for (const submit of [file.submit.bind(file), async (batch) => file.submitSync(batch)] as IoFile['submit'][]) {
      const buffers = Array.from({ length: 2000 }, () => new Uint8Array(PAGE));
      const reads = buffers.map((buffer, at) => ({ kind: 'read', buffer, offset: (2 * at + 1) * PAGE }) as const);
      const beyond = { kind: 'read', buffer: new Uint8Array(PAGE), offset: PAGES * PAGE } as const;
      await expect(submit([beyond, ...reads])).rejects.toMatchObject({ code: 'PW_IO', details: { errno: 'EOF' } });
      expect(backend.figures()).toMatchObject({ inKernel: 0, pending: 0 });
      // No more than the kernel had at that time.
      expect(buffers.filter((buffer) => buffer.some((byte) => byte !== 0)).length).toBeLessThanOrEqual(32);
    }
  });

  test('what ends while its thread waits in place is told afterwards, though nothing else is in flight', async () => {
    const backend = new UringFiles({ depth: 16 });
    const file = fileOf(backend);
    const own = new Uint8Array(PAGE);
    for (let round = 0; round < 20; round++) {
      const syncing = file.sync(); // which the kernel always leaves to another thread
      await null; // past the microtask in which it would be told at once
      do waitInPlace(file, own, (PAGES - 1) * PAGE);
      while (backend.figures().pending > 0);
      await syncing;
    }
    expect(Buffer.compare(own, page(PAGES - 1))).toBe(0);
  });

  test('a batch that shall be durable is followed by one sync, in a chain or not, and one write by none', async () => {
    const backend = new UringFiles({ depth: 64 });
    const file = fileOf(backend);
    for (const [writes, syncs] of [
      [1, 0],
      [2, 1],
      [8, 1],
      [9, 1],
      [200, 1],
      [0, 1],
    ] as const) {
      const batch = Array.from(
        { length: writes },
        (_, at) => ({ kind: 'write', buffer: page(at), offset: 2 * at * PAGE }) as const,
      );
      const before = backend.figures().syncs;
      await file.submit(batch, { sync: true });
      file.submitSync(batch, { sync: true });
      expect(backend.figures().syncs - before, `${writes} writes`).toBe(2 * syncs);
    }
  });

  test('what the kernel takes a part of is synced again when all of it is written', async () => {
    const loaded = loadAddon();
    const ring = new ThreadRing(loaded.addon!, checked({ depth: 64 }));
    const fd = fs.openSync(path.join(directory, 'parts'), 'w+');
    const file = ring.addFile(fd, -1, 1, true);
    const parts = Array.from({ length: 1500 }, (_, at) => new Uint8Array(10).fill(1 + (at % 200)));
    for (const [at, part] of parts.entries()) {
      if (at > 0) ring.joinNext(); // the kernel takes 1,024 of them
      ring.command(WRITE, file, part, part.length, at * 10);
    }
    ring.command(WRITE, file, parts[0]!, 10, 20_000);
    const outcome = await new Promise((resolve) => {
      ring.begin(true, (errno) => resolve(errno));
    });
    expect([outcome, ring.figures.syncs]).toEqual([0, 2]);
    expect(Buffer.compare(fs.readFileSync(fd).subarray(0, 15_000), Buffer.concat(parts))).toBe(0);
    ring.removeFile(file);
    fs.closeSync(fd);
  });

  test('the array of a large batch is let go when it is handed over', async () => {
    const lengths: number[] = [];
    const { addon } = loadAddon();
    class Watched extends addon!.Ring {
      override setCommands(commands: Float64Array): void {
        lengths.push(commands.length / 8);
        super.setCommands(commands);
      }
    }
    const ring = new ThreadRing({ ...addon!, Ring: Watched }, checked({ depth: 64 }));
    const fd = fs.openSync(path.join(directory, 'data'), 'r');
    const file = ring.addFile(fd, -1, 1, true);
    const read = (count: number): Promise<number> => {
      const buffer = new Uint8Array(1);
      for (let at = 0; at < count; at++) ring.command(READ, file, buffer, 1, at);
      return new Promise((resolve) => ring.begin(false, resolve));
    };
    expect(await read(10_000)).toBe(0);
    expect(lengths.at(-1), 'kept for the next of its size').toBe(16_384);
    expect(await read(100_000)).toBe(0);
    expect(lengths.at(-1), 'not kept').toBe(256);
    expect(await read(300)).toBe(0);
    ring.removeFile(file);
    fs.closeSync(fd);
  });

  test('backends of one thread share a ring, unless they are to have different ones', () => {
    const [one, direct, other] = [{}, { direct: 'auto', hugePages: false } as const, { depth: 65 }].map((options) => {
      return new UringFiles({ depth: 66, ...options });
    }) as [UringFiles, UringFiles, UringFiles];
    const before = [one, direct, other].map((backend) => backend.figures().enters);
    waitInPlace(fileOf(one), new Uint8Array(PAGE), 0);
    const entered = [one, direct, other].map((backend, at) => backend.figures().enters - before[at]!);
    expect(entered).toEqual([1, 1, 0]);
  });

  test('a batch enters the kernel once', async () => {
    const backend = new UringFiles({ depth: 256 });
    const file = fileOf(backend);
    const buffers = Array.from({ length: 200 }, () => new Uint8Array(PAGE));
    const reads = buffers.map((buffer, at) => ({ kind: 'read', buffer, offset: at * 8 * PAGE }) as const);
    await file.submit(reads);
    const before = backend.figures().enters;
    const reading = file.submit(reads);
    expect(backend.figures().enters - before).toBe(1);
    await reading;
    for (const [at, buffer] of buffers.entries()) expect(Buffer.compare(buffer, page(at * 8))).toBe(0);
  });

  test('single calls of one turn enter the kernel together, all but the first', async () => {
    const backend = new UringFiles({ depth: 256 });
    const file = fileOf(backend);
    const buffers = Array.from({ length: 200 }, () => new Uint8Array(PAGE));
    const readAll = () => Promise.all(buffers.map((buffer, at) => file.read(buffer, at * PAGE)));
    await readAll();
    const before = backend.figures().enters;
    await readAll();
    // Pages that the system has cached are there at once.
    expect(backend.figures().enters - before).toBeLessThanOrEqual(4);
  });

  test('buffers that come and go leave no number behind, and large shared ones are known by one', async () => {
    const backend = new UringFiles({ depth: 32, registerBuffers: true });
    const file = fileOf(backend);
    for (let round = 0; round < 50; round++) {
      const memory = sharedMemory(131_072);
      const buffer = new Uint8Array(memory.buffer, 4096 * (round % 8), PAGE);
      await file.read(buffer, round * PAGE);
      file.readSync(new Uint8Array(memory.buffer, 65_536, PAGE), round * PAGE);
      expect(Buffer.compare(buffer, page(round))).toBe(0);
      expect(Buffer.compare(new Uint8Array(memory.buffer, 65_536, PAGE), page(round))).toBe(0);
    }
    expect(backend.figures().registrationErrno).toBe(0);
  });

  test('why a buffer is not registered is told as long as it is there', async () => {
    const backend = new UringFiles({ depth: 33, registerBuffers: true });
    const file = fileOf(backend);
    const kept: Uint8Array[] = [];
    // One more than the kernel's table has places, and a last one that is not among them.
    const fill = async (): Promise<void> => {
      for (let at = 0; at < 257; at++) {
        const buffer = new Uint8Array(new SharedArrayBuffer(1 << 16));
        kept.push(buffer);
        await file.read(buffer.subarray(0, PAGE), 0);
      }
      await file.read(new Uint8Array(PAGE), 0);
    };
    await fill();
    const full = backend.figures().registrationErrno;
    expect([12, 28], 'ENOMEM, or ENOSPC').toContain(full);
    kept.length = 0;
    for (let turns = 0; turns < 50 && backend.figures().registrationErrno !== 0; turns++) await collectGarbage();
    expect(backend.figures().registrationErrno).toBe(0);
  });

  test('buffers that nobody else knows are there until they are read into, and go afterwards', async () => {
    const loaded = loadAddon();
    const ring = new ThreadRing(loaded.addon!, checked({ depth: 64 }));
    const name = path.join(directory, 'pipe');
    spawnSync('mkfifo', [name]);
    const pipe = fs.openSync(name, 'r+');
    const file = ring.addFile(pipe, -1, 1, true);
    const gone = new Set<number>();
    const registry = new FinalizationRegistry((at: number) => gone.add(at));
    const endings: Promise<number>[] = [];
    for (let at = 0; at < 100; at++) {
      const buffer = new Uint8Array(1);
      registry.register(buffer.buffer, at);
      ring.command(READ, file, buffer, 1, 0);
      endings.push(new Promise((resolve) => ring.begin(false, resolve)));
    }
    for (let turns = 0; turns < 3; turns++) await collectGarbage();
    expect([...gone], 'gone while they were waited for').toEqual([]);
    fs.writeSync(pipe, new Uint8Array(100).fill(1));
    expect(await Promise.all(endings)).toEqual(Array.from({ length: 100 }, () => 0));
    for (let turns = 0; turns < 20 && gone.size < 90; turns++) await collectGarbage();
    // Not all: the last ones may still lie about in a register.
    expect(gone.size, 'gone afterwards').toBeGreaterThanOrEqual(90);
    ring.removeFile(file);
    fs.closeSync(pipe);
  });

  test('a shared buffer that grows is read into as far as it goes now', async () => {
    const file = fileOf(new UringFiles());
    const memory = new (SharedArrayBuffer as new (length: number, options: object) => SharedArrayBuffer)(1 << 16, {
      maxByteLength: 1 << 17,
    });
    await file.read(new Uint8Array(memory, 0, PAGE), 0);
    (memory as unknown as { grow(length: number): void }).grow(1 << 17);
    const beyond = new Uint8Array(memory, (1 << 17) - PAGE, PAGE);
    await file.read(beyond, PAGE);
    file.readSync(new Uint8Array(memory, 1 << 16, PAGE), 2 * PAGE);
    expect(Buffer.compare(beyond, page(1))).toBe(0);
    expect(Buffer.compare(new Uint8Array(memory, 1 << 16, PAGE), page(2))).toBe(0);
  });

  test('more files are open than the kernel has in its table', async () => {
    const backend = new UringFiles({ depth: 17 });
    const files = Array.from({ length: 1100 }, () => fileOf(backend));
    const buffers = files.map(() => new Uint8Array(PAGE));
    await Promise.all(files.map((file, at) => file.read(buffers[at]!, at * PAGE)));
    for (const [at, buffer] of buffers.entries()) expect(Buffer.compare(buffer, page(at)), `file ${at}`).toBe(0);
    await Promise.all(open.splice(0).map((file) => file.close()));
    const again = fileOf(backend);
    again.readSync(buffers[0]!, 5 * PAGE);
    expect(Buffer.compare(buffers[0]!, page(5))).toBe(0);
  });
});

/** A read in place by the ring: one by `readSync` is a plain call where it goes through the page cache. */
function waitInPlace(file: IoFile, buffer: Uint8Array, offset: number): void {
  file.submitSync([{ kind: 'read', buffer, offset }]);
}

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc') as () => void;

/** And lets finalizers run. */
async function collectGarbage(): Promise<void> {
  gc();
  await new Promise(setImmediate);
}

function canBeDirect(directory: string): boolean {
  try {
    fs.closeSync(fs.openSync(path.join(directory, 'data'), fs.constants.O_RDONLY | fs.constants.O_DIRECT));
    return true;
  } catch {
    return false;
  }
}
