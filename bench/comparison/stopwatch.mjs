/** Time on the clock and on the processor, of all threads of the process, that stands still while a benchmark prepares what it will do next. */
export class Stopwatch {
  wallMs = 0;
  cpuMs = 0;
  #since = 0;
  #cpuSince;

  start() {
    this.#cpuSince = process.cpuUsage();
    this.#since = performance.now();
  }

  stop() {
    this.wallMs += performance.now() - this.#since;
    const { user, system } = process.cpuUsage(this.#cpuSince);
    this.cpuMs += (user + system) / 1000;
  }

  /** Nanoseconds for each of so many. */
  each(count) {
    return { wallNs: (this.wallMs * 1e6) / count, cpuNs: (this.cpuMs * 1e6) / count };
  }
}
