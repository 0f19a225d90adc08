/** Processes that hold a store, from the side of the test that tells them what to do. All are ended by {@link endAll}. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import type { Answer, Command } from './store-process-program.js';

const processes = new Set<ChildProcess>();

export interface StartOptions {
  /** User and group that it runs as. */
  readonly user?: number;
  /** A shell script that does something first and then runs its arguments, in a mount namespace of its own. */
  readonly within?: string;
}

/** A process that runs the bundled program and waits for commands. */
export async function start(program: string, { user, within }: StartOptions = {}): Promise<ChildProcess> {
  const child = fork(program, [], {
    ...(user === undefined ? {} : { uid: user, gid: user }),
    ...(within === undefined
      ? {}
      : { execPath: 'unshare', execArgv: ['-rm', 'sh', '-c', within, 'sh', process.execPath] }),
  });
  processes.add(child);
  await answerOf(child);
  return child;
}

/** Sends a command, and returns what is answered. */
export async function tell(child: ChildProcess, command: Command): Promise<Answer> {
  const answer = answerOf(child);
  child.send(command);
  return (await answer) as Answer;
}

/** Ends a process without a chance to tidy up, and waits until it has ended. */
export async function kill(child: ChildProcess): Promise<void> {
  processes.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function endAll(): Promise<void> {
  for (const child of processes) await kill(child);
}

/** Whether this user may mount file systems that only a process of its own sees. */
export function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  return spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', os.tmpdir()]).status === 0;
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const answered = new AbortController();
  const ended = once(child, 'exit', { signal: answered.signal }).then(([code, signal]) => {
    throw new Error(`the process ended instead of answering (${code ?? signal})`);
  });
  ended.catch(() => {});
  try {
    const [answer] = await Promise.race([once(child, 'message', { signal: answered.signal }), ended]);
    return answer;
  } finally {
    answered.abort();
  }
}
