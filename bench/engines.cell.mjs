/**
 * One engine, one workload, one data set, in a process of its own: so that nothing is compiled for more than one engine, and none has
 * memory that another has left behind. Sends its parent one message: what was measured, or that it is not there, or what failed.
 */
import { mkdirSync } from 'node:fs';
import { answerWith } from './comparison/cell-process.mjs';
import { loadEngine, loadWorkload } from './comparison/choices.mjs';
import { dataSet } from './comparison/data-sets.mjs';
import { NotThere } from './comparison/not-there.mjs';
import { readPaths } from './comparison/paths.mjs';
import { Stopwatch } from './comparison/stopwatch.mjs';

/** Of what a workload needs, what is opened for it. Others open stores themselves. */
const OPENED = new Set(['filled', 'empty']);

answerWith(run);

async function run(task) {
  const { module, workload: name, keys, pathsFile, seed, operations, directory } = task;
  const [engine, workload] = await Promise.all([loadEngine(module), loadWorkload(name)]);
  const data = dataSet(task.data, keys, pathsFile === null ? [] : readPaths(pathsFile));
  mkdirSync(directory, { recursive: true });
  const context = { engine, task, data, seed, operations, directory, stopwatch: new Stopwatch() };
  if (engine.limits !== undefined) {
    const limit = engine.limits[name];
    if (limit === undefined) throw new NotThere('there is no limit to hold it against');
    return { version: engine.version(), measured: limit(context) };
  }
  const store = OPENED.has(workload.needs) ? await engine.open(directory, data) : null;
  const measured = await workload.run({ ...context, store });
  // A workload that measures what is in the file has closed it.
  await store?.close();
  return { version: engine.version(), settings: store?.settings, measured };
}
