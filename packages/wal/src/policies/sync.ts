/**
 * One flush for each commit, one after another, in the order in which they came: the baseline that other policies are
 * measured against. A commit that an earlier flush has made durable already still gets its own.
 */
import type { CommitPolicy, CommitPolicyType, LogPosition, LogStream } from '@pagewright/core';

export const syncPolicy: CommitPolicyType = {
  name: 'sync',
  attach: (stream) => new SyncPolicy(stream),
};

export class SyncPolicy implements CommitPolicy {
  readonly #stream: LogStream;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: LogStream) {
    this.#stream = stream;
  }

  commit(position: LogPosition): Promise<void> {
    const own = this.#last.then(() => flushTo(this.#stream, position));
    this.#last = own.catch(() => undefined);
    return own;
  }

  commitSync(_position: LogPosition): void {
    this.#stream.flushSync();
  }
}

async function flushTo(stream: LogStream, position: LogPosition): Promise<void> {
  do {
    await stream.flush();
  } while (stream.durable < position);
}
