import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// Tests run the sources of every package: one copy of each module, so that `instanceof` and tokens hold across packages.
const conditions = ['@pagewright/source'];

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
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tests/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // A file for each processor: left to itself it keeps one free, which is half of two.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './scripts/summary-reporter.mjs'],
  },
});
