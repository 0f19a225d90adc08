/** What the kernel does seldom: it takes a part of what it is handed, is interrupted, or takes nothing any more. */
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { libraryOf } from '../../io-posix/test/addon-processes.js';
import { describeNative, emptyDirectory } from './native.js';
import { bundled, runProgram } from './programs.js';

const SEED = Number(process.env.URING_SEED ?? Date.now() % 2 ** 31);

describeNative('a ring that goes as it seldom does', () => {
  let directory: string;
  let program: string;
  let library: string | null;
  let name: string;
  let count = 0;

  beforeAll(async () => {
    directory = emptyDirectory();
    program = await bundled('faulty-program.ts', directory);
    library = libraryOf('../../io-uring/test/faulty-ring.c', directory);
  });
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));
  beforeEach(() => {
    name = path.join(directory, `file-${count++}`);
  });

  /** The words of a command that runs what follows them with the library preloaded. */
  function preloaded(fault: string, refusedFrom = ''): string[] {
    return ['env', `LD_PRELOAD=${library}`, `FAULTY_RING=${fault}`, `REFUSED_FROM=${refusedFrom}`];
  }

  // Two are taken together, one write and its sync among them: of a chain of more the sync is not believed. In place and not, each batch is submitted twice.
  test.for([
    ['none', [0, 2, 2, 2, 2]],
    ['interrupted', [0, 2, 2, 2, 2]],
    ['split', [0, 4, 4, 4, 2]],
  ] as const)(`every transfer is whole, and every batch that was to be durable is, where entering is %s (seed ${SEED})`, async ([
    fault,
    syncs,
  ], { skip }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'transfers', path: name, seed: SEED }, preloaded(fault));
    expect(ended, `seed ${SEED}`).toMatchObject({ code: 0, errors: '', lines: [{ syncs }] });
  });

  test.for([
    'none',
    'interrupted',
    'split',
  ])('threads write into one file, each into its places, where entering is %s', async (fault, { skip }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'threads', path: name }, preloaded(fault));
    const whole = { codes: [0, 0, 0, 0], wrong: [], size: 2000 * 512 };
    expect(ended).toMatchObject({ code: 0, errors: '', lines: [whole] });
  });

  test('writes that are under way when the file system says that it has no durable ones are synced, each of them', async ({
    skip,
  }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'durable', path: name }, preloaded('undurable'));
    const line = { outcomes: ['well', 'well', 'well'], later: 'well', syncs: 5, sync: 'well' };
    expect(ended).toMatchObject({ code: 0, errors: '', lines: [line] });
  });

  test('an allocation that fails is told, though the file is long enough', async ({ skip }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'allocations', path: name }, preloaded('unallocated'));
    expect(ended).toMatchObject({ code: 0, errors: '', lines: [Array(4).fill('PW_IO EINVAL')] });
  });

  test('a range that cannot be brought to the device, though the kernel has such a call, is what a failed sync is (IO1)', async ({
    skip,
  }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'writeBacks', path: name }, preloaded('unwritten'));
    const failed = 'PW_IO EINVAL';
    const line = { outcomes: [failed, failed], sync: failed, other: 'well' };
    expect(ended).toMatchObject({ code: 0, errors: '', lines: [line] });
  });

  test('where the kernel has no such call, a range is not brought to the device, and that is said', async ({
    skip,
  }) => {
    skip(library === null, 'needs a C compiler');
    const ended = await runProgram(program, { do: 'writeBacks', path: name }, preloaded('rangeless'));
    const line = { outcomes: [false, false], sync: 'well', other: 'well' };
    expect(ended).toMatchObject({ code: 0, errors: '', lines: [line] });
  });

  test('a ring that cannot be entered any more fails what it is handed, and the process goes on', async ({ skip }) => {
    skip(library === null, 'needs a C compiler');
    const refusedFrom = `${name}.refused`;
    const work = { do: 'refused', path: name, refusedFrom };
    const ended = await runProgram(program, work, preloaded('refused', refusedFrom));
    const refused = 'PW_IO EPERM';
    expect(ended).toMatchObject({ code: 0, signal: null, errors: '' });
    expect(ended.lines).toMatchObject([
      {
        count: [refused],
        ...{ write: refused, batch: refused, inPlace: refused, large: refused, sync: refused },
        probe: { supported: false, reason: expect.stringContaining('io_uring_enter with EPERM') },
      },
    ]);
  });

  test('what a thread has in flight in such a ring is over when the thread has ended', async ({ skip }) => {
    skip(library === null, 'needs a C compiler');
    const ending = await bundled('ending-program.ts', directory);
    const refusedFrom = `${name}.refused`;
    const work = { do: 'cancel', path: `${name}.pipe`, count: 1000, refusedFrom };
    const ended = await runProgram(ending, work, preloaded('refused', refusedFrom));
    expect(ended).toMatchObject({ code: 0, lines: [{ written: 1000, left: 1000, changed: false }] });
  });

  test('a descriptor that is gone is PW_IO with EBADF, of a file that the kernel has not registered', async () => {
    // No table of files is as small as what this process may have open.
    const through = ['sh', '-c', 'ulimit -n 48 && exec "$@"', 'sh'];
    const ended = await runProgram(program, { do: 'closed', path: name }, through);
    expect(ended).toMatchObject({ code: 0, errors: '' });
    const forms = ['write', 'read', 'batch', 'inPlace', 'truncate', 'allocate', 'size', 'sync', 'close'];
    expect(ended.lines).toEqual([Object.fromEntries(forms.map((form) => [form, 'PW_IO EBADF']))]);
  });
});
