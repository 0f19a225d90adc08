/** Runs one cell of a comparison and says how it ended. Never throws: what an engine does to its process is no reason to lose what others measured. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CELL = fileURLToPath(new URL('../engines.cell.mjs', import.meta.url));
const FLAGS = ['--expose-gc', '--max-old-space-size=12288'];

/**
 * `program`: the cell's. `under`: the beginning of a command line, of a program that runs another one. `env`: what is set beside the environment. `limitMs`: after so long it is killed.
 *
 * @returns {Promise<{ measured: object, version: string, settings?: string } | { notThere: string } | { failed: string }>}
 */
export function runCell(task, { program = CELL, under = [], env = {}, limitMs } = {}) {
  return new Promise((resolve) => {
    const [command, ...args] = [...under, process.execPath];
    const cell = fork(program, {
      execPath: command,
      execArgv: [...args, ...process.execArgv, ...FLAGS],
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let answer = null;
    cell.on('message', (message) => {
      answer = message;
    });
    let isLate = false;
    const late = () => {
      isLate = true;
      cell.kill('SIGKILL');
      if (cell.connected) cell.disconnect();
    };
    const limit = limitMs === undefined ? undefined : setTimeout(late, limitMs);
    const end = (how) => {
      clearTimeout(limit);
      const failed = isLate ? `It was not over after ${limitMs / 1000} s` : `The process ended with ${how}`;
      resolve(answer ?? { failed: `${failed}, and said nothing` });
    };
    cell.on('error', (error) => end(error.message));
    cell.on('exit', (code, signal) => end(signal ?? `code ${code}`));
    cell.send(task);
  });
}
