/**
 * One flush is always in flight while commits wait; those that arrive meanwhile go with the next. No timer: under a light
 * load a commit waits for nobody, under a heavy one the batches grow by themselves. All commits of a flush share one
 * promise.
 */
import type { CommitPolicy, CommitPolicyType, LogPosition, LogStream } from '@pagewright/core';

export const pipelinedPolicy: CommitPolicyType = {
  name: 'pipelined',
  attach: (stream) => new PipelinedPolicy(stream),
};

const DURABLE = Promise.resolve();

export class PipelinedPolicy implements CommitPolicy {
  readonly #stream: LogStream;
  /** The flush under way, and the end of what it covers. */
  #current: Promise<void> | null = null;
  #target: LogPosition = 0;
  /** Those who wait for the flush after it. */
  #next: Promise<void> | null = null;

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  commit(position: LogPosition): Promise<void> {
    if (position <= this.#stream.durable) return DURABLE;
    if (this.#current !== null && position <= this.#target) return this.#current;
    this.#next ??= this.#afterCurrent();
    return this.#next;
  }

  commitSync(position: LogPosition): void {
    if (position > this.#stream.durable) this.#stream.flushSync();
  }

  async #afterCurrent(): Promise<void> {
    if (this.#current === null) await turnOver();
    else await this.#current.catch(() => undefined);
    const flush = this.#flush();
    this.#current = flush;
    this.#next = null;
    const done = () => {
      this.#current = null;
    };
    flush.then(done, done);
    return flush;
  }

  async #flush(): Promise<void> {
    this.#target = this.#stream.appended;
    const { durable } = this.#stream;
    if (durable < this.#target) await this.#stream.flush();
  }
}

/**
 * Resolves when all that is ready to run has run, without waiting for any event. After a batch was acknowledged, those
 * who commit again at once go together; without this the first of them gets a flush to itself, every other time.
 */
function turnOver(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
