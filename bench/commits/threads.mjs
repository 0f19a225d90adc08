/** Worker threads on one store, which commit at the same time; what is in flight is divided among them. They end with their process. */
import { Worker } from 'node:worker_threads';
import { answerOf, ask } from '../comparison/threads.mjs';

const WORKER = new URL('./thread.worker.mjs', import.meta.url);

export class Committers {
  #workers;

  constructor(workers) {
    this.#workers = workers;
  }

  /** `handle`: what the engine's `attach` takes. */
  static async start(count, module, handle) {
    const workers = [];
    for (let thread = 0; thread < count; thread++) {
      const worker = new Worker(WORKER, { workerData: { module, handle, thread, threads: count } });
      await answerOf(worker);
      workers.push(worker);
    }
    return new Committers(workers);
  }

  /** Resolves to what each has seen: `latencies`, and `flags` of what was acknowledged. `from`, `until`: in milliseconds since 1970. */
  run(inFlight, { from, until }) {
    const { length } = this.#workers;
    return Promise.all(
      this.#workers.map((worker, thread) =>
        ask(worker, { inFlight: Math.floor((inFlight + length - 1 - thread) / length), from, until }),
      ),
    );
  }
}
