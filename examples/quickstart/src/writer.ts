/** The child process that will be killed: stores files until then, and says which transactions are acknowledged. */
import { type EngineName, openEngine } from './engines.js';
import { store } from './storing.js';

/** What the parent sends. */
export interface WriterTask {
  readonly engine: EngineName;
  readonly store: string;
  readonly directory: string;
  readonly paths: readonly string[];
  readonly numbers: readonly number[];
}

/** What the child answers, once for each transaction. */
export interface Acknowledgement {
  readonly transaction: number;
  readonly files: number;
}

process.once('message', async (task: WriterTask) => {
  const db = await openEngine(task.engine, task.store);
  await store(db, task.directory, task.paths, task.numbers, (transaction, files) => {
    process.send?.({ transaction, files } satisfies Acknowledgement);
  });
  // Not reached: the parent kills this process half-way.
  await db.close();
  process.disconnect();
});
