/** What keeps io_uring from working, by the means of the system itself: a filter of system calls, a limit of memory. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadAddon as loadPosix } from '../../io-posix/src/native.js';
import { loadAddon, platformPackages } from '../src/addon.js';
import { ioUring, UringFiles, type UringFilesOptions } from '../src/index.js';
import { describeNative, emptyDirectory } from './native.js';
import { bundled, runProgram } from './programs.js';

/** Answers a call, by its number, with an errno, as the filter of a container does, and runs its arguments. */
const FILTER = `
import ctypes, os, struct, sys
call, errno = int(sys.argv.pop(1)), int(sys.argv[1])
code = [
    (0x20, 0, 0, 0),                     # the number of the call
    (0x15, 0, 1, call),
    (0x06, 0, 0, 0x00050000 | errno),    # answer with the errno
    (0x06, 0, 0, 0x7fff0000),            # let it pass
]
program = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
header = struct.pack('HxxxxxxP', len(code), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, 'no new privileges'
assert libc.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) == 0, 'the filter'
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** Takes the privilege to lock more than the limit, and lowers that to so many bytes. */
const LITTLE_MEMORY = `
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(24, 14, 0, 0, 0)
resource.setrlimit(resource.RLIMIT_MEMLOCK, (int(sys.argv[1]), int(sys.argv[1])))
os.execvp(sys.argv[2], sys.argv[2:])
`;

const hasPython = spawnSync('python3', ['-c', 'import ctypes, resource']).status === 0;
/** ctypes describes the processor's calls by their number, which is the same on the two that there are packages for. */
const canFilter = hasPython && platformPackages().length > 0;

describeNative('the probe', () => {
  let directory: string;
  let program: string;

  beforeAll(async () => {
    directory = emptyDirectory();
    program = await bundled('probe-program.ts', directory);
  });
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

  function home(name: string): string {
    const own = path.join(directory, name);
    fs.mkdirSync(own);
    return own;
  }

  test('an engine takes io_uring where it works', async () => {
    const { lines } = await runProgram(program, { do: 'probe', directory: home('works') });
    expect(lines).toEqual([{ io: '@pagewright/io-uring', skippedIo: [], refusal: null }]);
  });

  test.for([
    ['setup', 425, 1, 'a filter of system calls (seccomp) forbids it'],
    ['setup', 425, 38, 'the kernel has no io_uring'],
    ['setup', 425, 13, 'a security module forbids it'],
    ['enter', 426, 1, 'answers io_uring_enter with EPERM'],
    ['enter', 426, 38, 'answers io_uring_enter with ENOSYS'],
    ['register', 427, 1, 'answers io_uring_register with EPERM'],
  ] as const)('where the system answers io_uring_%s (%i) with %i, an engine goes on to the next backend, and says why', async ([
    name,
    call,
    errno,
    reason,
  ], { skip }) => {
    skip(!canFilter, 'needs python3, to filter system calls');
    const through = ['python3', '-c', FILTER, String(call), String(errno)];
    const work = { do: 'probe', directory: home(`filtered-${name}-${errno}`) };
    const { lines, errors } = await runProgram(program, work, through);
    expect(lines, errors).toMatchObject([
      {
        io: '@pagewright/io-posix',
        skippedIo: [{ name: '@pagewright/io-uring', reason: expect.stringContaining(reason) }],
        refusal: { code: 'PW_UNSUPPORTED', message: expect.stringContaining(reason) },
      },
    ]);
  });

  test('where too little memory may be locked, buffers are not registered, and everything else works', async ({
    skip,
  }) => {
    skip(!hasPython, 'needs python3, to lower the limit');
    const limited = await runProgram(program, { do: 'register', directory: home('limited') }, [
      'python3',
      '-c',
      LITTLE_MEMORY,
      String(1 << 20), // enough for a ring, and too little for the 2 MiB that are to be registered
    ]);
    expect(limited.lines, limited.errors).toEqual([{ errno: 12, whole: true }]);
  });

  // Too little for a ring, and enough for one but not for two.
  test.for([
    8, 40, 64,
  ])('with %i KiB that may be locked, an engine has the ring that was found by its probe, or goes on to the next backend', async (kibibytes, {
    skip,
  }) => {
    skip(!hasPython, 'needs python3, to lower the limit');
    const through = ['python3', '-c', LITTLE_MEMORY, String(kibibytes << 10)];
    const work = { do: 'probe', directory: home(`limited-to-${kibibytes}`) };
    const { lines, errors } = await runProgram(program, work, through);
    expect(lines, errors).toHaveLength(1);
    const [{ io, skippedIo, refusal }] = lines as [{ io: string; skippedIo: { reason: string }[]; refusal: unknown }];
    // Some kernels do not count rings (5.12 to 6.13).
    if (io === '@pagewright/io-uring') expect([skippedIo, refusal], errors).toEqual([[], null]);
    else expect(skippedIo[0]!.reason).toContain('raise `ulimit -l`');
  });

  test('buffers are registered where enough may be locked', async ({ skip }) => {
    skip(loadAddon().addon!.memlockBytes() < 4 << 20, 'the limit of locked memory (ulimit -l) is below 4 MiB');
    const { lines, errors } = await runProgram(program, { do: 'register', directory: home('registered') });
    expect(lines, errors).toEqual([{ errno: 0, whole: true }]);
  });
});

describe('a native part that does not load', () => {
  test('is tried again, and then used', ({ skip }) => {
    const whole = loadAddon();
    if (whole.addon === null) {
      skip(whole.reason);
      return;
    }
    const place = path.join(emptyDirectory(), 'io-uring.node');
    fs.writeFileSync(place, 'cut short');
    expect(loadAddon(place)).toMatchObject({ addon: null, isThere: true });
    fs.copyFileSync(createRequire(import.meta.url).resolve(whole.from), place);
    expect(loadAddon(place).addon).not.toBeNull();
  });
});

test('a native part that was built of other sources is not used', ({ skip }) => {
  const others = path.join(import.meta.dirname, '../../io-posix/prebuilds');
  const built = loadPosix().addon === null ? [] : fs.readdirSync(others);
  const folder = built.find((name) => name.startsWith(`linux-${process.arch}`));
  skip(folder === undefined, 'needs another addon, that of io-posix');
  expect(loadAddon(path.join(others, folder!, 'io-posix.node'))).toMatchObject({
    addon: null,
    reason: expect.stringContaining('built of other sources'),
  });
});

describe('where there is no native part', () => {
  const backend = new UringFiles({ addon: '/nowhere/io-uring.node' });

  test('the probe says so', () => {
    expect(backend.probe()).toMatchObject({ supported: false });
    expect(backend.probe().reason).toMatch(
      process.platform === 'linux' ? /not installed.*npm run build:native/s : /Linux/,
    );
  });

  test('opening is PW_UNSUPPORTED', async () => {
    await expect(backend.open('/tmp/nothing', {})).rejects.toMatchObject({ code: 'PW_UNSUPPORTED' });
    expect(() => backend.openSync('/tmp/nothing', {})).toThrow(/io-posix/);
  });
});

test('packages of other systems are not looked for', () => {
  expect(platformPackages('darwin', 'arm64')).toEqual([]);
  expect(platformPackages('linux', 'ppc64')).toEqual([]);
  expect(platformPackages('linux', 'arm64')).toEqual([
    '@pagewright/io-uring-linux-arm64-gnu',
    '@pagewright/io-uring-linux-arm64-musl',
  ]);
});

test.each([
  { depth: 15 },
  { depth: 4097 },
  { depth: 20.5 },
  { kernelThreadIdleMs: 0 },
  { kernelThreadIdleMs: 60_001 },
  { direct: 'bogus' as 'auto' },
  { hugePages: 7 as unknown as boolean },
  { registerBuffers: 'no' as unknown as boolean },
  { addon: 5 as unknown as string },
  { detph: 64 } as UringFilesOptions,
  null as unknown as UringFilesOptions,
])('%o is a problem, in the config and in code', async (options) => {
  const outcome = await ioUring.definition.options!['~standard'].validate(options);
  expect(outcome.issues?.length).toBeGreaterThan(0);
  expect(() => new UringFiles(options)).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
});

test.each([
  {},
  { depth: 32, direct: true, registerBuffers: true, kernelThreadIdleMs: 50 },
])('%o are options', async (options) => {
  expect(await ioUring.definition.options!['~standard'].validate(options)).toMatchObject({ value: options });
});
