/**
 * Plugins small enough to read in a glance, for the tests of composition. Their parts say who made them and do no more
 * than an engine that fails to open would ask of them: what is tested is how plugins go together.
 */
import * as v from 'valibot';
import type { ConfiguredPlugin } from '../src/plugin.js';
import { type DependencyContainer, definePlugin, instancePerContainerCachingFactory } from '../src/plugin.js';
import { COMMIT_POLICIES, CONCURRENCY, INDEXES, IO, LOG, PAGES } from '../src/tokens.js';

/** What happened, in order. Cleared by the test that reads it. */
export const journal: string[] = [];

/** The problem codes and paths of a PW_CONFIG error, one line for each. */
export function problemLines(error: unknown): string[] {
  const { problems } = error as { problems: readonly { code: string; path: string }[] };
  return problems.map(({ code, path }) => `${code} at ${path || '(config)'}`);
}

/** What `run` throws; undefined if it does not. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What the promise rejects with; undefined if it does not. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

function registerOnce(
  container: DependencyContainer,
  token: symbol,
  make: (from: DependencyContainer) => unknown,
): void {
  container.register(token, { useFactory: instancePerContainerCachingFactory(make) });
}

export const memoryIo = definePlugin({
  name: '@test/io-memory',
  kind: 'io',
  contract: 1,
  provides: [IO],
  setup(container) {
    registerOnce(container, IO as symbol, () => ({ name: 'memory', probe: () => ({ supported: true }) }));
  },
});

/** Works on no machine. */
export const absentIo = definePlugin({
  name: '@test/io-absent',
  kind: 'io',
  contract: 1,
  provides: [IO],
  setup(container) {
    registerOnce(container, IO as symbol, () => ({
      name: 'absent',
      probe: () => ({ supported: false, reason: 'its kernel module is not loaded' }),
    }));
  },
});

export const pool = definePlugin({
  name: '@test/pool',
  kind: 'pages',
  contract: 1,
  provides: [PAGES],
  requires: [IO],
  options: v.strictObject({
    memory: v.optional(v.number(), 1024),
    translation: v.optional(
      v.strictObject({ kind: v.picklist(['hash', 'array']), sizes: v.optional(v.array(v.number())) }),
    ),
  }),
  setup(container, options) {
    registerOnce(container, PAGES as symbol, (from) => ({ made: 'pages', options, io: from.resolve(IO) }));
  },
});

export const tree = definePlugin({
  name: '@test/index-tree',
  kind: 'index',
  type: 'tree',
  contract: 1,
  provides: [INDEXES],
  setup(container) {
    registerOnce(container, INDEXES as symbol, () => ({ name: 'tree' }));
  },
});

export const trie = definePlugin({
  name: '@test/index-trie',
  kind: 'index',
  type: 'trie',
  contract: 1,
  provides: [INDEXES],
  options: v.strictObject({ fanout: v.optional(v.number()) }),
  setup(container) {
    registerOnce(container, INDEXES as symbol, () => ({ name: 'trie' }));
  },
});

export const versions = definePlugin({
  name: '@test/versions',
  kind: 'concurrency',
  contract: 1,
  provides: [CONCURRENCY],
  setup(container) {
    registerOnce(container, CONCURRENCY as symbol, () => ({ made: 'concurrency' }));
  },
});

export const journalLog = definePlugin({
  name: '@test/log',
  kind: 'log',
  contract: 1,
  provides: [LOG],
  requires: [IO],
  options: v.strictObject({ commit: v.string() }),
  setup(container) {
    registerOnce(container, LOG as symbol, () => ({ made: 'log' }));
  },
});

export const policy = definePlugin({
  name: '@test/policy',
  kind: 'commit-policy',
  contract: 1,
  provides: [COMMIT_POLICIES],
  setup(container) {
    registerOnce(container, COMMIT_POLICIES as symbol, () => ({ name: 'test' }));
  },
});

/** An extension that writes its name into the journal when it is set up. */
export function extension(
  name: string,
  more: {
    provides?: symbol[];
    requires?: symbol[];
    setup?: (container: DependencyContainer) => void;
  } = {},
): ConfiguredPlugin<'extension', never> {
  const { provides = [], requires = [], setup } = more;
  return definePlugin({
    name,
    kind: 'extension',
    contract: 1,
    provides,
    requires,
    setup(container) {
      journal.push(`set up ${name}`);
      for (const token of provides) container.register(token, { useValue: name });
      setup?.(container);
    },
  })();
}

/** A config in which nothing is wrong. */
export const soundConfig = {
  io: memoryIo(),
  pages: pool(),
  indexes: [tree()],
  concurrency: versions(),
  log: journalLog({ commit: 'group' }),
};
