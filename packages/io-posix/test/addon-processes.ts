/** Processes in which the addon is tested: a program with the addon beside it, as it is or under AddressSanitizer, and what is preloaded into it. */
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bundle } from './bundle.js';

const PACKAGE = path.join(import.meta.dirname, '..');

/** A place for programs, in which they find the addon that is in the folder `prebuilds`. */
export class ProgramFolder {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));

  constructor(prebuilds = path.join(PACKAGE, 'prebuilds')) {
    fs.mkdirSync(path.join(this.directory, 'dist'));
    if (fs.existsSync(prebuilds)) fs.symlinkSync(prebuilds, path.join(this.directory, 'prebuilds'));
  }

  /** The bundle of a program of this folder. */
  async bundled(program: string): Promise<string> {
    return await bundle(program, path.join(this.directory, 'dist'));
  }

  remove(): void {
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** How a process ended that was given a while. */
export interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

export function runProgram(
  program: string,
  args: readonly string[],
  { env = {}, options = [] }: { readonly env?: Record<string, string>; readonly options?: readonly string[] } = {},
): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  return { status, output: stdout, errors: stderr };
}

/** A library of a C source, named from this folder; null where there is no compiler for it. */
export function libraryOf(source: string, directory: string): string | null {
  const library = path.join(directory, `${path.basename(source)}.so`);
  const file = path.join(import.meta.dirname, source);
  const { status } = spawnSync('cc', ['-O1', '-shared', '-fPIC', '-o', library, file, '-ldl'], { stdio: 'ignore' });
  return status === 0 ? library : null;
}

/** The folder of the addon built with AddressSanitizer, and what has to be preloaded for it; or why there is none. */
export async function sanitized(): Promise<{ prebuilds: string; runtime: string } | { left: string }> {
  const { build, target } = await import(path.join(PACKAGE, 'native', 'build.mjs'));
  const prebuilds = path.join(PACKAGE, 'prebuilds', 'address-sanitizer');
  const { outcome, detail } = build({ sanitize: true, directory: path.join(prebuilds, target()) });
  if (outcome !== 'built' && outcome !== 'current') return { left: `no build with AddressSanitizer: ${detail}` };
  const compiler = process.env.CXX || 'c++';
  const runtime = execFileSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  return path.isAbsolute(runtime) ? { prebuilds, runtime } : { left: 'there is no libasan.so to preload' };
}
