import { dirname, resolve } from 'node:path';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * These tests put something in the place of modules that a package loads, or have it load modules in TypeScript: they run the sources, which vitest transforms. All others
 * run what is built, module by module, and the programs that they start run the bundles that users get: one copy of each module either way, so that `instanceof` and tokens hold across packages. Code that is transformed reaches what it imports by a call
 * each time, and takes up to twice as long.
 */
const OF_SOURCES = [
  'packages/bufferpool/test/ended-threads.test.ts',
  'packages/core/test/composition-engine.test.ts',
  'packages/core/test/composition-from.test.ts',
  'packages/testkit/test/device-schedule.test.ts',
];
const TESTS = ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts'];
const conditions = ['@pagewright/source'];
/** Packages import each other's modules where a test imports those of one. */
const built = ['@pagewright/modules'];

/** Tests name the module of the package that they are about by its source. */
const builtModules: Plugin = {
  name: 'built-modules',
  enforce: 'pre',
  resolveId(name, importer) {
    if (!name.startsWith('.') || importer === undefined) return null;
    const source = resolve(dirname(importer), name);
    const built = source.replace(/(\/packages\/[^/]+)\/src\/(.*\.js)$/, '$1/dist/$2');
    return built === source ? null : built;
  },
};

const LONGEST = [
  'tests/crash-explorer.test.ts',
  'packages/bufferpool/test/conformance.test.ts',
  'packages/testkit/test/explorer.test.ts',
  'tests/bit-flips.test.ts',
  'tests/schedules.test.ts',
  'tests/power-cut.test.ts',
  'tests/bench-engines.test.ts',
  'packages/level/test/suite.test.ts',
  'packages/wal/test/conformance.test.ts',
  'tests/memory.test.ts',
];

/**
 * Begins with the files that take longest, so that no processor waits for another's last one. Left to itself vitest begins with the largest files on a fresh checkout, and
 * what explores every crash of every workload is a short program.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((path) => moduleId.endsWith(`/${path}`));
      return at < 0 ? LONGEST.length : at;
    };
    const sorted = await super.sort(files);
    return sorted.sort((one, other) => rank(one) - rank(other));
  }
}

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // A file for each processor: left to itself it keeps one free, which is half of two.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    globalSetup: './scripts/test-setup.mjs',
    reporters: ['default', './scripts/summary-reporter.mjs'],
    projects: [
      {
        extends: true,
        plugins: [builtModules],
        resolve: { conditions: built },
        ssr: { resolve: { conditions: built, externalConditions: built } },
        test: {
          name: 'built',
          include: TESTS,
          exclude: OF_SOURCES,
          execArgv: ['--enable-source-maps', ...built.map((condition) => `--conditions=${condition}`)],
          server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
        },
      },
      {
        extends: true,
        resolve: { conditions },
        ssr: { resolve: { conditions } },
        test: { name: 'sources', include: OF_SOURCES },
      },
    ],
  },
});
