/** The buffer pool and its replacement policies keep what their contracts promise. */
import { pageStoreConformance, replacementConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { BufferPool, builtInReplacements } from '../src/index.js';

const EVERYTHING = { files: true, eviction: true, faulting: true, sizeClasses: true, readers: true, threads: true };

for (const type of builtInReplacements(0.1)) {
  describe(`the policy ${type.name}`, () => {
    replacementConformance({ describe, it }, { create: () => type });
  });
}

for (const pageSize of [4096, 16384]) {
  for (const replacement of ['cooling', 'clock']) {
    describe(`the buffer pool with pages of ${pageSize} bytes and ${replacement}`, () => {
      const make = (frames: number): BufferPool => new BufferPool({ memory: frames * pageSize, pageSize, replacement });
      pageStoreConformance({ describe, it }, { create: () => ({ make }) }, EVERYTHING);
    });
  }
}
