/** Programs of this folder in processes of their own, with the native part that this one found. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { bundle } from '../../io-posix/test/bundle.js';
import { loadAddon } from '../src/addon.js';

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  /** What it wrote, each line read as JSON. */
  readonly lines: readonly unknown[];
  readonly errors: string;
}

/** Bundles a program of this folder into `directory`. Returns the file. */
export async function bundled(program: string, directory: string): Promise<string> {
  return await bundle(`../../io-uring/test/${program}`, directory, program.replace(/\.ts$/, '.mjs'));
}

/** Runs it to its end. `through` are the words of a command that runs what follows them. */
export async function runProgram(file: string, work: unknown, through: readonly string[] = []): Promise<Ended> {
  const loaded = loadAddon();
  const addon = loaded.addon === null ? undefined : loaded.from;
  const words = [...through, process.execPath, '--expose-gc', file, JSON.stringify({ addon, ...(work as object) })];
  const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  const lines = output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
  return { code, signal, lines, errors };
}
