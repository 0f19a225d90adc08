/**
 * The C sources of this package, compiled when they are needed, into a temporary directory that goes with the process.
 * There is nothing to install: without a compiler, what needs them is left out, with the reason.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What can be had on this machine, or why it cannot. */
export type Obtained<Thing> = { readonly is: Thing; readonly missing?: never } | { readonly missing: string };

/** The library that {@link VolatileLayer} preloads, and the program that cuts a file system off. */
export type NativeProgram = 'volatile' | 'shut-down';

const FLAGS: Readonly<Record<NativeProgram, readonly string[]>> = {
  volatile: ['-shared', '-fPIC', '-pthread'],
  'shut-down': [],
};

const compiled = new Map<string, Obtained<string>>();
let directory: string | undefined;

/** Compiles a source of the folder `native` by `$CC` or `cc`; returns the path of what came of it. Once in a process. */
export function compileNative(program: NativeProgram): Obtained<string> {
  const known = compiled.get(program);
  if (known !== undefined) return known;
  const source = fileURLToPath(new URL(`../../native/${program}.c`, import.meta.url));
  const outcome = compile(source, program, FLAGS[program]);
  compiled.set(program, outcome);
  return outcome;
}

/** Compiles any C source; `name` is that of the file that comes of it. */
export function compile(source: string, name: string, flags: readonly string[] = []): Obtained<string> {
  directory ??= temporaryDirectory();
  const target = join(directory, name);
  const compiler = process.env.CC ?? 'cc';
  const { status, error, stderr } = spawnSync(
    compiler,
    ['-std=gnu11', '-O2', '-U_FORTIFY_SOURCE', ...flags, '-o', target, source],
    { encoding: 'utf8' },
  );
  if (status === 0) return { is: target };
  if (error !== undefined) return { missing: `there is no C compiler: ${error.message}` };
  return { missing: `${compiler} does not compile ${basename(source)}: ${stderr.trim().split('\n')[0] || status}` };
}

function temporaryDirectory(): string {
  const made = mkdtempSync(join(tmpdir(), 'pagewright-native-'));
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
