/** What is durable when it is said to be: the kernel is asked what of the file it has not brought to the device yet. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadAddon } from '../src/addon.js';
import { UringFiles, type UringFilesOptions } from '../src/index.js';
import { checked } from '../src/options.js';
import { READ, ThreadRing } from '../src/thread-ring.js';
import { describeNative, emptyDirectory } from './native.js';
import { sharedMemory } from './shared-memory.js';

/** For each line the pages of a file that differ from the device, and are on their way there: cachestat, since Linux 6.5; -1 without. */
const DIRTY_PAGES = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open(sys.argv[1], os.O_RDONLY)
range, pages = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
for line in sys.stdin.buffer:
    failed = libc.syscall(451, fd, range, pages, 0) != 0
    print(-1 if failed else pages[1] + pages[2], flush=True)
`;

const BATCHES = Number(process.env.URING_DURABLE_BATCHES ?? 800);
const hasPython = spawnSync('python3', ['-c', 'import ctypes']).status === 0;

describeNative('a batch that is to be durable', () => {
  let directory: string;

  beforeEach(() => {
    directory = emptyDirectory();
  });
  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  test.for<UringFilesOptions>([
    {},
    { kernelThreadIdleMs: 1000 },
  ])(`leaves no page behind when it is over, with %o, ${BATCHES} times`, async (options, { skip }) => {
    skip(!hasPython, 'needs python3, to ask for dirty pages');
    const file = new UringFiles(options).openSync(path.join(directory, 'file'), { create: true });
    const pages = new DirtyPages(file.path);
    try {
      file.writeSync(new Uint8Array(4096), 0);
      skip((await pages.count()) !== 1, 'this system does not tell of dirty pages (Linux 6.5), or not for this file');
      file.allocateSync(0, 1 << 20);
      file.syncSync();
      const memory = new Uint8Array(sharedMemory(1 << 16).buffer);
      for (let batch = 0; batch < BATCHES; batch++) {
        const count = 2 + (batch % 7);
        memory.fill(batch);
        const writes = Array.from({ length: count }, (_, at) => {
          return { kind: 'write', offset: at << 16, buffer: memory.subarray(at * 8192, at * 8192 + 4096) } as const;
        });
        await file.submit(writes, { sync: true });
        expect(await pages.count(), `dirty pages after batch ${batch}, of ${count} writes`).toBe(0);
      }
    } finally {
      pages.end();
      await file.close();
    }
  });

  // Of a chain the kernel has the sync as well, and begins it in its turn. A thread of the kernel that takes entries may end a chain anywhere.
  test.for([
    [{}, 2],
    [{ kernelThreadIdleMs: 1000 }, 1],
  ] as const)('is handed over with its sync only where that waits for the transfers: with %o', async ([
    options,
    inKernel,
  ]) => {
    const loaded = loadAddon();
    const ring = new ThreadRing(loaded.addon!, checked({ depth: 64, ...options }));
    const name = path.join(directory, 'pipe');
    spawnSync('mkfifo', [name]);
    const pipe = fs.openSync(name, 'r+');
    const file = ring.addFile(pipe, -1, 1, true);
    ring.command(READ, file, new Uint8Array(1), 1, 0);
    const outcome = new Promise((resolve) => {
      ring.begin(true, (errno, index) => resolve({ errno, index }));
    });
    await new Promise(setImmediate);
    expect(ring.figures).toMatchObject({ inKernel, pending: 1 });
    fs.writeSync(pipe, new Uint8Array(1));
    expect(await outcome, 'the sync of a pipe, which has none').toEqual({ errno: 22, index: -1 });
    ring.removeFile(file);
    fs.closeSync(pipe);
  });
});

/** Asks again and again, by one process. */
class DirtyPages {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(file: string) {
    this.#child = spawn('python3', ['-c', DIRTY_PAGES, file], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = readline.createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async count(): Promise<number> {
    this.#child.stdin.write('\n');
    return Number((await this.#lines.next()).value);
  }

  end(): void {
    this.#child.stdin.end();
  }
}
