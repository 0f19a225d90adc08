import { defineConfig } from 'vitest/config';

// Tests run the sources of every package: one copy of each module, so that `instanceof` and tokens hold across packages.
const conditions = ['@pagewright/source'];

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
    reporters: ['default', './scripts/summary-reporter.mjs'],
  },
});
