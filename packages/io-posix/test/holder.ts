/** Processes that hold a file, from the side of the test that tells them what to do. All are ended by {@link endAll}. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Answer, Command } from './holder-program.js';

const processes = new Set<ChildProcess>();

/** A process that has the file open and waits for commands. `program` is the bundle of `holder-program.ts`. */
export async function start(program: string, file: string): Promise<ChildProcess> {
  return await ready(fork(program, [file]));
}

/** The same, started by a shell that does something first and then runs its arguments; `wrapper` runs the shell. */
export async function startBy(
  script: string,
  program: string,
  file: string,
  { wrapper = [], args = [] }: { readonly wrapper?: readonly string[]; readonly args?: readonly string[] } = {},
): Promise<ChildProcess> {
  const [command, ...rest] = [...wrapper, 'sh', '-c', script, 'sh', process.execPath];
  return await ready(fork(program, [file, ...args], { execPath: command!, execArgv: rest }));
}

/** A shell whose output can be read. */
export function spawnShell(script: string): ChildProcess {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  processes.add(child);
  return child;
}

/** Sends a command, and returns what is answered. */
export async function tell(holder: ChildProcess | Worker, command: Command): Promise<Answer> {
  const answered = once(holder, 'message');
  if (holder instanceof Worker) holder.postMessage(command);
  else holder.send(command);
  return (await answered)[0];
}

/** Ends a process without a chance to tidy up, and waits until it has ended. */
export async function kill(child: ChildProcess): Promise<void> {
  processes.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** Ends all processes that are left. */
export async function endAll(): Promise<void> {
  for (const child of processes) await kill(child);
}

async function ready(child: ChildProcess): Promise<ChildProcess> {
  processes.add(child);
  await once(child, 'message');
  return child;
}
