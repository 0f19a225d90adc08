/** One database of abstract-level, in a process of its own. Sends its parent one message: what was measured, or that it is not there, or what failed. */
import { mkdirSync } from 'node:fs';
import { answerWith } from './comparison/cell-process.mjs';
import { ENGINES } from './level/engines.mjs';
import { measureLevel } from './level/work.mjs';

answerWith(run);

async function run(task) {
  mkdirSync(task.directory, { recursive: true });
  const engine = ENGINES[task.module];
  const db = await engine.create(task.directory);
  await db.open();
  const measured = await measureLevel(db, task);
  await db.close();
  return { version: engine.version(), measured };
}
