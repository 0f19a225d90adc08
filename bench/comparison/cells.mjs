/** Runs one cell of a comparison and says how it ended. Never throws: what an engine does to its process is no reason to lose what others measured. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CELL = fileURLToPath(new URL('../engines.cell.mjs', import.meta.url));
const FLAGS = ['--expose-gc', '--max-old-space-size=12288'];

/**
 * @returns {Promise<{ measured: object, version: string, settings?: string } | { notThere: string } | { failed: string }>}
 */
export function runCell(task) {
  return new Promise((resolve) => {
    const cell = fork(CELL, {
      execArgv: [...process.execArgv, ...FLAGS],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    let answer = null;
    cell.on('message', (message) => {
      answer = message;
    });
    cell.on('exit', (code, signal) => {
      resolve(answer ?? { failed: `The process ended with ${signal ?? `code ${code}`}, and said nothing` });
    });
    cell.send(task);
  });
}
