import { setTimeout } from 'node:timers/promises';
import { COMMIT_POLICIES, type CommitPolicy, definePlugin, type LogPosition, type LogStream } from '@pagewright/core';
import * as v from 'valibot';

/** Commits that come within a window are made durable by one flush. */
class GatheringPolicy implements CommitPolicy {
  #round: Promise<void> | null = null;

  constructor(
    private readonly stream: LogStream,
    private readonly windowMs: number,
  ) {}

  async commit(position: LogPosition): Promise<void> {
    // Whoever comes while a flush is in flight is not part of it, and goes around once more.
    while (this.stream.durable < position) {
      this.#round ??= this.#gatherAndFlush();
      await this.#round;
    }
  }

  commitSync(position: LogPosition): void {
    if (this.stream.durable < position) this.stream.flushSync();
  }

  async #gatherAndFlush(): Promise<void> {
    try {
      await setTimeout(this.windowMs);
      await this.stream.flush();
    } finally {
      this.#round = null;
    }
  }
}

export const gathering = definePlugin({
  name: '@acme/commit-gathering',
  kind: 'commit-policy',
  contract: 1,
  provides: [COMMIT_POLICIES],
  options: v.strictObject({
    windowMs: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1000)), 2),
  }),
  setup(container, { windowMs }) {
    container.register(COMMIT_POLICIES, {
      useValue: { name: 'gathering', attach: (stream) => new GatheringPolicy(stream, windowMs) },
    });
  },
});

export default gathering;
