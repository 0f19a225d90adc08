/** A process that tells its progress line by line until it is killed, at a moment of its own progress that a plan chooses. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface ProcessPlan {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Asked after each line with all there are; true ends the process. What is on its way by then is told all the same. */
  readonly isTime: (lines: readonly string[]) => boolean;
  /** Ends the process, or what it stands on; called once. Default: kills it. */
  readonly end?: (kill: () => void) => void | Promise<void>;
}

/**
 * Runs the process until it is ended by a SIGKILL, of this plan or its own, and returns the lines that it wrote whole.
 * A process that ends in any other way is an error that tells what it wrote.
 */
export async function runUntilKilled(plan: ProcessPlan): Promise<string[]> {
  const child = spawn(plan.command, plan.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...plan.environment },
  });
  const lines: string[] = [];
  let rest = '';
  let errors = '';
  let ending: Promise<void> | undefined;
  const end = async () => plan.end?.(() => child.kill('SIGKILL')) ?? child.kill('SIGKILL');
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() as string;
    for (const line of parts) {
      lines.push(line);
      if (ending === undefined && plan.isTime(lines)) ending = end().then(() => undefined);
    }
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [code, signal] = await once(child, 'close');
  await ending;
  if (signal === 'SIGKILL') return lines;
  const last = lines.slice(-5).join(' | ');
  throw new Error(`The process was not killed, but ended with ${signal ?? code}. It wrote: ${last}\n${errors.trim()}`);
}
