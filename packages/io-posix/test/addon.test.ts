import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PosixFile, PosixFiles, type PosixFilesOptions, useHugePages } from '../src/index.js';
import { loadAddon } from '../src/native.js';
import { nativeThread } from '../src/native-thread.js';
import { libraryOf, ProgramFolder, runProgram, sanitized } from './addon-processes.js';
import { pattern, sharedView } from './bytes.js';
import { withoutAddon } from './subjects.js';

let folder: ProgramFolder;
let program: string;
let directory: string;
let name: string;

beforeAll(async () => {
  if (withoutAddon !== undefined) return;
  folder = new ProgramFolder();
  program = await folder.bundled('addon-program.ts');
});
afterAll(() => folder?.remove());
beforeEach(({ skip }) => {
  skip(withoutAddon !== undefined, withoutAddon);
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  name = path.join(directory, 'file');
});
afterEach(() => {
  if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true });
});

describe('in a process', () => {
  test.each(['transfers', 'threads', 'termination', 'exit'])('%s', (scenario) => {
    expect(runProgram(program, [scenario, name])).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });

  test('nothing stays open of threads that had files open past the page cache', ({ skip }) => {
    skip(!fs.existsSync('/proc/self/fd'), 'needs /proc/self/fd');
    expect(runProgram(program, ['descriptors', name])).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });

  test('buffers that only the addon holds are there until it is done with them', () => {
    const options = ['--expose-gc'];
    expect(runProgram(program, ['collected', name], { options })).toMatchObject({ status: 0, output: 'ok\n' });
  });

  test('what is in flight keeps a process alive, and an idle addon does not', () => {
    expect(runProgram(program, ['alive', name])).toEqual({ status: 0, output: 'ok\nwritten\n', errors: '' });
  });

  test('a descriptor that is gone is PW_IO with EBADF, of every call, and the other one of the file is closed', () => {
    expect(runProgram(program, ['closed', name])).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });

  test('a thread that the system gives late takes over what was done without one, and nobody does it twice', ({
    skip,
  }) => {
    const library = libraryOf('faulty-calls.c', directory);
    skip(library === null || process.platform !== 'linux', 'needs Linux and a C compiler');
    const env = { FAULTY_CALLS: 'threadless', LD_PRELOAD: library as string };
    for (let round = 0; round < 10; round++) {
      const ended = runProgram(program, ['batches', name], {
        env: { ...env, THREADLESS_CALLS: String(1 + 3 * round) },
      });
      expect(ended, `round ${round}`).toEqual({ status: 0, output: 'ok\n', errors: '' });
    }
    const never = { ...env, THREADLESS_CALLS: '1000000' };
    expect(runProgram(program, ['batches', name], { env: never })).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });

  test.for([
    ['short', 'transfers'],
    ['interrupted', 'transfers'],
    ['failing', 'failures'],
    ['unwritten', 'unwritten'],
    ['rangeless', 'rangeless'],
  ] as const)('where calls are %s: %s', ([FAULTY_CALLS, scenario], { skip }) => {
    const library = libraryOf('faulty-calls.c', directory);
    skip(library === null || process.platform !== 'linux', 'needs Linux and a C compiler');
    const env = { FAULTY_CALLS, LD_PRELOAD: library as string };
    expect(runProgram(program, [scenario, name], { env })).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });
});

describe('under AddressSanitizer', () => {
  let instrumented: ProgramFolder | undefined;
  let run: ((scenario: string) => unknown) | undefined;
  let left: string | undefined;

  beforeAll(async () => {
    const found = withoutAddon === undefined ? await sanitized() : { left: withoutAddon };
    if ('left' in found) {
      left = found.left;
      return;
    }
    instrumented = new ProgramFolder(found.prebuilds);
    const its = await instrumented.bundled('addon-program.ts');
    // What Node.js itself leaves at its end is not ours.
    const env = { LD_PRELOAD: found.runtime, ASAN_OPTIONS: 'detect_leaks=0' };
    run = (scenario) => runProgram(its, [scenario, name], { env, options: ['--expose-gc'] });
  });
  afterAll(() => instrumented?.remove());

  test.for(['transfers', 'termination', 'collected', 'exit'])('%s', (scenario, { skip }) => {
    skip(run === undefined, left);
    expect(run!(scenario)).toEqual({ status: 0, output: 'ok\n', errors: '' });
  });
});

describe('direct I/O', () => {
  test('goes to the device each time where the page cache would have it', async ({ skip }) => {
    skip(!fs.existsSync('/proc/self/io'), 'needs /proc/self/io');
    const aligned = new Uint8Array(sharedView(1).buffer, 0, 65536);
    const files = {
      direct: new PosixFiles({ native: true, direct: 'auto' }),
      cached: new PosixFiles({ native: true }),
    };
    const file = (await files.direct.open(name, { create: true })) as PosixFile;
    skip(file.direct === null || isInMemory(directory), 'the file system of temporary files has no device to go to');
    expect(65536 % file.direct!.offsetAlignment).toBe(0);
    await file.submit([{ kind: 'write', buffer: pattern(65536, 1), offset: 0 }], { sync: true });
    const other = await files.cached.open(name, {});
    await other.read(aligned, 0);
    const bytesRead = async (from: typeof other): Promise<number> => {
      const before = readFromDevice();
      for (let time = 0; time < 8; time++) await from.read(aligned, 0);
      from.readSync(aligned, 0);
      expect(Buffer.compare(aligned, pattern(65536, 1))).toBe(0);
      return readFromDevice() - before;
    };
    expect(await bytesRead(file)).toBe(9 * 65536);
    expect(await bytesRead(other)).toBe(0);
    await Promise.all([file.close(), other.close()]);
  });

  test('takes what has any address, place and length, and is one with what went through the page cache', async () => {
    const file = await new PosixFiles({ native: true, direct: 'auto' }).open(name, { create: true });
    const memory = new Uint8Array(new SharedArrayBuffer(1 << 20));
    const content = new Uint8Array(300_000);
    for (let step = 0; step < 60; step++) {
      const isAligned = step % 2 === 0;
      const [at, length, address] = isAligned
        ? [4096 * (step % 40), 8192, 4096 * step]
        : [3001 * step, 5003 + step, 100 + step];
      const view = memory.subarray(address, address + length);
      view.set(pattern(length, step));
      if (step % 3 === 0) file.writeSync(view, at);
      else await file.write(view, at);
      content.set(view, at);
    }
    const found = new Uint8Array(file.size());
    await file.read(found, 0);
    expect(Buffer.compare(found, content.subarray(0, found.length))).toBe(0);
    expect(Buffer.compare(fs.readFileSync(name), content.subarray(0, found.length))).toBe(0);
    await file.close();
  });

  test('is refused where the file system has none, unless that was asked for where there is one alone', async ({
    skip,
  }) => {
    const without = '/proc/self/status';
    skip(!fs.existsSync(without), 'needs /proc');
    const asked = new PosixFiles({ native: true, direct: true });
    await expect(asked.open(without, { readOnly: true })).rejects.toMatchObject({ code: 'PW_UNSUPPORTED' });
    expect(() => asked.openSync(without, { readOnly: true })).toThrow(
      expect.objectContaining({ code: 'PW_UNSUPPORTED' }),
    );
    const file = (await new PosixFiles({ native: true, direct: 'auto' }).open(without, {
      readOnly: true,
    })) as PosixFile;
    expect(file.direct).toBeNull();
    await file.close();
  });

  test('leaves no descriptor open', async ({ skip }) => {
    skip(!fs.existsSync('/proc/self/fd'), 'needs /proc/self/fd');
    const before = fs.readdirSync('/proc/self/fd').length;
    for (const readOnly of [false, true]) {
      const file = await new PosixFiles({ native: true, direct: 'auto' }).open(name, { create: true, readOnly });
      await file.close();
      const refused = new PosixFiles({ native: true, direct: true }).open('/proc/self/status', { readOnly: true });
      await refused.catch(() => null);
    }
    expect(fs.readdirSync('/proc/self/fd').length).toBe(before);
  });
});

describe('what the addon can beside transfers', () => {
  test('blocks beyond the end are reserved by allocating, and holes before it are filled', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs fallocate');
    const file = await new PosixFiles({ native: true }).open(name, { create: true });
    await file.truncate(1 << 20);
    expect(fs.statSync(name).blocks).toBe(0);
    await file.allocate(0, 1 << 19);
    expect(fs.statSync(name)).toMatchObject({ size: 1 << 20 });
    skip(fs.statSync(name).blocks === 0, 'the file system of temporary files reserves nothing');
    expect(fs.statSync(name).blocks * 512).toBeGreaterThanOrEqual(1 << 19);
    file.allocateSync(1 << 20, 1 << 20);
    expect(fs.statSync(name).size).toBe(2 << 20);
    await file.close();
  });

  test('advice is taken, of a kind that there is and for a place that there may be', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs posix_fadvise');
    const file = (await new PosixFiles({ native: true, readahead: false }).open(name, { create: true })) as PosixFile;
    expect(file).toBeInstanceOf(PosixFile);
    for (const advice of ['normal', 'random', 'sequential', 'willNeed', 'dontNeed'] as const) {
      expect(file.advise(advice)).toBe(true);
    }
    expect(() => file.advise('soon' as 'normal')).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    expect(() => file.advise('normal', -1)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    await file.close();
    expect(() => file.advise('normal')).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
  });

  test('huge pages are behind memory for which they were asked', ({ skip }) => {
    const setting = '/sys/kernel/mm/transparent_hugepage/enabled';
    skip(!fs.existsSync(setting), 'needs transparent huge pages');
    skip(fs.readFileSync(setting, 'utf8').includes('[never]'), 'the system gives no huge pages');
    const memory = new Uint8Array(sharedView((64 << 20) - 1).buffer);
    expect(useHugePages(memory)).toBe(true);
    memory.fill(1);
    const mappings = fs.readFileSync('/proc/self/smaps', 'utf8');
    expect(mappings).toMatch(/^VmFlags:.* hg\b/m);
  });

  test('a backend asks for them behind memory that it is told of, unless it was asked not to', ({ skip }) => {
    const isGiven = useHugePages(sharedView(4 << 20));
    skip(!isGiven, 'the system gives no huge pages');
    const asked = (options: PosixFilesOptions): number => {
      const before = hugeMappings();
      kept.push(sharedView(64 << 20));
      new PosixFiles(options).prepareMemory(kept.at(-1)!);
      return hugeMappings() - before;
    };
    const kept: Uint8Array[] = [];
    expect(asked({})).toBe(1);
    expect(asked({ hugePages: false })).toBe(0);
    expect(asked({ native: false })).toBe(0);
  });

  test('no more threads are started than were asked for, however much is in flight', async () => {
    const { addon } = loadAddon();
    const file = await new PosixFiles({ native: true, threads: 3, depth: 1024 }).open(name, { create: true });
    file.writeSync(pattern(1 << 20, 1), 0);
    const reads = Array.from({ length: 200 }, () => file.read(new Uint8Array(1 << 20), 0));
    await Promise.all(reads);
    expect(addon!.threads()).toBeLessThanOrEqual(32); // what the other tests of this process may have asked for
    await file.close();
  });
});

describe('a second copy of the modules in one thread', () => {
  test('has what is in flight with the first, and each gets its own outcomes', async () => {
    const second = `../src/native-thread.js?second`;
    const copies = [nativeThread(), ((await import(second)) as { nativeThread: typeof nativeThread }).nativeThread()];
    fs.writeFileSync(name, pattern(1 << 20, 1));
    const fd = fs.openSync(name, 'r');
    const found = copies.map((copy, at) => {
      const buffer = new Uint8Array(1 << 17);
      return new Promise((resolve) => {
        const ended = (outcome: unknown): void =>
          resolve([outcome, Buffer.compare(buffer, pattern(1 << 20, 1).subarray(at, at + (1 << 17)))]);
        copy.start(buffer, ended, (id) => copy.addon.transfer(id, fd, -1, 1, 1, false, false, buffer, at));
      });
    });
    expect(await Promise.all(found)).toEqual([
      [null, 0],
      [null, 0],
    ]);
    fs.closeSync(fd);
    expect(() => copies[0]!.addon.start(() => {}, new Float64Array(8))).toThrow('started in this thread before');
  });
});

describe('the backend', () => {
  test('says whether the addon moves the bytes, and refuses options that need it where it does not', async () => {
    expect(new PosixFiles().probe()).toEqual({ supported: true, native: 'yes' });
    expect(new PosixFiles({ native: false }).probe()).toEqual({ supported: true, native: 'no: it was not asked for' });
    for (const options of [{ direct: true }, { readahead: false }]) {
      const files = new PosixFiles({ native: false, ...options });
      expect(files.probe()).toMatchObject({ supported: false, reason: expect.stringContaining('native') });
      await expect(files.open(name, { create: true })).rejects.toMatchObject({ code: 'PW_UNSUPPORTED' });
    }
    const plain = await new PosixFiles({ native: false }).open(name, { create: true });
    expect(plain).not.toBeInstanceOf(PosixFile);
    await plain.close();
  });

  test('says how another thread makes the same', () => {
    class Watched extends PosixFiles {}
    expect(new PosixFiles({ threads: 4 }).module).toMatchObject({
      url: expect.stringMatching(/posix-in-thread\.js$/),
      options: { threads: 4 },
    });
    expect(new Watched().module).toBeUndefined();
  });

  test.each([0, -1, 1.5, 257])('%s threads are PW_OPTION_INVALID', (threads) => {
    expect(() => new PosixFiles({ threads })).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
  });
});

/** Bytes that this process has had read from devices. */
function readFromDevice(): number {
  return Number(/^read_bytes: (\d+)$/m.exec(fs.readFileSync('/proc/self/io', 'utf8'))![1]);
}

function isInMemory(place: string): boolean {
  return [0x01021994n, 0x858458f6n].includes(BigInt(fs.statfsSync(place).type));
}

/** Mappings of this process behind which huge pages were asked for. */
function hugeMappings(): number {
  return fs.readFileSync('/proc/self/smaps', 'utf8').match(/^VmFlags:.* hg\b/gm)?.length ?? 0;
}
