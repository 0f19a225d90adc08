/** The buffer pool, its replacement policies and its translations keep what their contracts promise. */
import { pageStoreConformance, replacementConformance, translationConformance } from '@pagewright/testkit';
import { describe, it } from 'vitest';
import { BufferPool, builtInReplacements, builtInTranslations } from '../src/index.js';

const EVERYTHING = { files: true, eviction: true, faulting: true, sizeClasses: true, readers: true, threads: true };

for (const type of builtInReplacements(0.1)) {
  describe(`the policy ${type.name}`, () => {
    replacementConformance({ describe, it }, { create: () => type });
  });
}

for (const type of builtInTranslations) {
  describe(`the translation ${type.name}`, () => {
    translationConformance({ describe, it }, { create: () => type });
  });
}

const POOLS = [
  { pageSize: 4096, replacement: 'cooling', translation: 'swizzled' },
  { pageSize: 4096, replacement: 'clock', translation: 'swizzled' },
  { pageSize: 16_384, replacement: 'cooling', translation: 'swizzled' },
  { pageSize: 16_384, replacement: 'clock', translation: 'swizzled' },
  { pageSize: 4096, replacement: 'cooling', translation: 'hash' },
  { pageSize: 16_384, replacement: 'clock', translation: 'hash' },
  { pageSize: 4096, replacement: 'clock', translation: 'array' },
  { pageSize: 16_384, replacement: 'cooling', translation: 'array' },
];

for (const options of POOLS) {
  const { pageSize, replacement, translation } = options;
  describe(`the buffer pool with pages of ${pageSize} bytes, ${replacement} and ${translation}`, () => {
    const make = (frames: number): BufferPool => new BufferPool({ ...options, memory: frames * pageSize });
    pageStoreConformance({ describe, it }, { create: () => ({ make }) }, EVERYTHING);
  });
}
