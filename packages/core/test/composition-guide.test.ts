import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assemble } from '../src/composition/assembly.js';
import { compose } from '../src/composition/compose.js';
import { makePlan } from '../src/composition/plan.js';
import { ProblemList } from '../src/composition/problem-list.js';
import { readSeats } from '../src/composition/seats.js';
import type {
  CommitPolicy,
  CommitPolicyOptions,
  CommitPolicyType,
  LogPosition,
  LogStream,
  LogWrite,
} from '../src/contracts/log.js';
import { PagewrightError } from '../src/errors.js';
import { type DependencyContainer, definePlugin } from '../src/plugin.js';
import { COMMIT_POLICIES, LOG } from '../src/tokens.js';
import { rejectionOf, soundConfig, thrownBy } from './composition-fakes.js';
import { gathering } from './composition-guide-policy.js';

/** A stream in memory that holds its policy to the contract. A flush takes a few turns of the event loop. */
class MemoryStream implements LogStream {
  appended: LogPosition = 0;
  durable: LogPosition = 0;
  flushes = 0;
  failure: Error | null = null;
  #inFlight = false;

  append(bytes: number): LogPosition {
    this.appended += bytes;
    return this.appended;
  }

  async flush(): Promise<LogPosition> {
    expect(this.#inFlight, 'one flush is asked for at a time').toBe(false);
    this.#inFlight = true;
    const target = this.appended;
    await new Promise((resolve) => setImmediate(resolve));
    this.#inFlight = false;
    if (this.failure !== null) throw this.failure;
    this.flushes++;
    this.durable = Math.max(this.durable, target);
    return this.durable;
  }

  flushSync(): LogPosition {
    this.flushes++;
    this.durable = this.appended;
    return this.durable;
  }

  get durableTimestamp(): number {
    throw new Error('This policy does not ask.');
  }

  get unwritten(): number {
    throw new Error('This policy does not ask.');
  }

  write(): LogWrite | null {
    throw new Error('This policy flushes.');
  }

  until(): Promise<void> {
    throw new Error('This policy flushes.');
  }
}

const OPTIONS: CommitPolicyOptions = { groupWindowMs: 1, groupBytes: 1000, batchBytes: 1000, depth: 1 };

/** The policy as an engine's log gets it: by its token, from the container. */
async function policyOn(stream: LogStream, windowMs = 0): Promise<CommitPolicy> {
  let found: CommitPolicyType[] = [];
  const log = definePlugin({
    name: '@test/log-with-policies',
    kind: 'log',
    contract: 1,
    provides: [LOG],
    requires: [COMMIT_POLICIES],
    setup(container: DependencyContainer) {
      found = container.resolveAll(COMMIT_POLICIES);
      container.register(LOG, { useValue: {} as never });
    },
  });
  const problems = new ProblemList();
  const config = { ...soundConfig, log: log(), plugins: gathering({ windowMs }) };
  const plan = makePlan(
    readSeats(config, () => false, problems),
    problems,
  );
  problems.throwIfAny();
  await assemble(plan);
  expect(found.map(({ name }) => name)).toEqual(['gathering']);
  return found[0]!.attach(stream, OPTIONS);
}

describe('the page on writing a plugin', () => {
  test('shows the code that is run here', () => {
    const page = readFileSync(
      fileURLToPath(new URL('../../../docs/guide/writing-a-plugin.md', import.meta.url)),
      'utf8',
    );
    const code = readFileSync(fileURLToPath(new URL('./composition-guide-policy.ts', import.meta.url)), 'utf8');
    expect(page).toContain(`\`\`\`ts\n${code}\`\`\`\n`);
  });
});

describe('its commit policy', () => {
  test('can be composed, with its options checked', () => {
    const blueprint = compose({ ...soundConfig, plugins: gathering() });
    expect(blueprint.describe().at(-1)?.options).toEqual({ windowMs: 2 });
    const error = thrownBy(() => compose({ ...soundConfig, plugins: gathering({ windowMs: -1 }) })) as PagewrightError;
    expect(error.problems.map(({ path }) => path)).toEqual(['plugins.windowMs']);
  });

  test('makes commits that come together durable by one flush', async () => {
    const stream = new MemoryStream();
    const policy = await policyOn(stream);
    await Promise.all([1, 2, 3, 4].map((bytes) => policy.commit(stream.append(bytes))));
    expect([stream.flushes, stream.durable]).toEqual([1, 10]);
  });

  test('acknowledges nothing before it is durable, whatever comes while a flush is in flight', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ sync: fc.boolean(), turns: fc.nat(3) }), { maxLength: 20 }),
        async (commits) => {
          const stream = new MemoryStream();
          const policy = await policyOn(stream);
          const waiting: Promise<void>[] = [];
          for (const { sync, turns } of commits) {
            const position = stream.append(1);
            if (sync) {
              policy.commitSync(position);
              expect(stream.durable).toBeGreaterThanOrEqual(position);
            } else {
              waiting.push(policy.commit(position).then(() => expect(stream.durable).toBeGreaterThanOrEqual(position)));
            }
            for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          }
          await Promise.all(waiting);
          expect(stream.durable).toBe(stream.appended);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('tells all that wait if the log fails', async () => {
    const stream = new MemoryStream();
    stream.failure = new PagewrightError('PW_COMMIT_UNKNOWN', 'The log failed.');
    const policy = await policyOn(stream);
    const errors = await Promise.all([1, 2].map((bytes) => rejectionOf(policy.commit(stream.append(bytes)))));
    expect(errors).toEqual([stream.failure, stream.failure]);
  });
});
