/** Times to a tenth of a millisecond, by a thread that sleeps until then. */
import { Worker } from 'node:worker_threads';

export class Alarm {
  #asked = new Int32Array(new SharedArrayBuffer(4));
  #at = new Float64Array(new SharedArrayBuffer(8));
  #worker;
  #rung = null;

  static async start() {
    const alarm = new Alarm();
    alarm.#worker = new Worker(new URL('./alarm.worker.mjs', import.meta.url), {
      workerData: { set: alarm.#asked.buffer, at: alarm.#at.buffer, origin: performance.timeOrigin },
    });
    alarm.#worker.on('message', () => alarm.#rung());
    await alarm.until(performance.now());
    return alarm;
  }

  /** `time`: of this thread's `performance.now()`. One at a time. */
  until(time) {
    return new Promise((resolve) => {
      this.#rung = resolve;
      this.#at[0] = time;
      Atomics.add(this.#asked, 0, 1);
      Atomics.notify(this.#asked, 0);
    });
  }

  async end() {
    await this.#worker.terminate();
  }
}
