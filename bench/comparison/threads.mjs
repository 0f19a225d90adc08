/** Worker threads on one store, each with operations of its own, which begin together when they are told to. */
import { Worker } from 'node:worker_threads';
import { Stopwatch } from './stopwatch.mjs';

const MIXED = new URL('./thread.worker.mjs', import.meta.url);

export class Threads {
  #workers = [];

  /** `task`: what a cell was given. `handle`: what the engine's `attach` takes. `program`: what they do. */
  static async start(count, task, handle, program = MIXED) {
    const threads = new Threads();
    for (let thread = 0; thread < count; thread++) {
      const worker = new Worker(program, { workerData: { ...task, handle, thread } });
      threads.#workers.push(worker);
      await answerOf(worker);
    }
    return threads;
  }

  /**
   * Lets so many of them work. Resolves to the nanoseconds of an operation, by the clock as all of them together see it, and of the processor: of these threads, and of
   * those that write for them.
   */
  async run(count, seed) {
    const workers = this.#workers.slice(0, count);
    await Promise.all(workers.map((worker) => ask(worker, { prepare: seed })));
    const watch = new Stopwatch();
    watch.start();
    const each = await Promise.all(workers.map((worker) => ask(worker, { go: true })));
    watch.stop();
    const sum = (of) => each.reduce((sum, one) => sum + one[of], 0);
    return { wallNs: 1 / sum('operationsPerNs'), cpuNs: watch.each(sum('operations')).cpuNs };
  }

  async end() {
    for (const worker of this.#workers) {
      const ended = new Promise((resolve) => worker.once('exit', resolve));
      worker.postMessage({ end: true });
      await ended;
    }
  }
}

/** Posts a message; resolves to what the thread answers. Errors: what ended it, or what it says has failed. */
export function ask(worker, message) {
  worker.postMessage(message);
  return answerOf(worker);
}

/** The next message of a thread, as {@link ask}. */
export function answerOf(worker) {
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
