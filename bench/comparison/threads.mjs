/** Worker threads on one store, each with operations of its own, which begin together when they are told to. */
import { Worker } from 'node:worker_threads';

const WORKER = new URL('./thread.worker.mjs', import.meta.url);

export class Threads {
  #workers = [];

  /** `task`: what a cell was given. `handle`: what the engine's `attach` takes. */
  static async start(count, task, handle) {
    const threads = new Threads();
    for (let thread = 0; thread < count; thread++) {
      const worker = new Worker(WORKER, { workerData: { ...task, handle, thread } });
      threads.#workers.push(worker);
      await answerOf(worker);
    }
    return threads;
  }

  /** Lets so many of them work. Resolves to the nanoseconds of an operation, as all of them together see it. */
  async run(count, seed) {
    const workers = this.#workers.slice(0, count);
    await Promise.all(workers.map((worker) => ask(worker, { prepare: seed })));
    const rates = await Promise.all(workers.map((worker) => ask(worker, { go: true })));
    return 1 / rates.reduce((sum, { operationsPerNs }) => sum + operationsPerNs, 0);
  }

  async end() {
    for (const worker of this.#workers) {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage({ end: true });
      await ended;
    }
  }
}

function ask(worker, message) {
  worker.postMessage(message);
  return answerOf(worker);
}

function answerOf(worker) {
  return new Promise((resolve, reject) => {
    const stop = (error) => reject(error instanceof Error ? error : new Error('A thread has ended before its work'));
    worker.once('error', stop);
    worker.once('exit', stop);
    worker.once('message', (answer) => {
      worker.off('error', stop);
      worker.off('exit', stop);
      if (answer.failed === undefined) resolve(answer);
      else reject(new Error(answer.failed));
    });
  });
}
