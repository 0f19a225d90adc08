/** Databases of abstract-level: each as its README opens it, with the same pool of memory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NotThere } from '../comparison/not-there.mjs';
import { versionOf } from '../comparison/peers.mjs';

const CACHE_BYTES = 256 * 2 ** 20;

export const ENGINES = {
  pagewright: {
    version: () =>
      JSON.parse(readFileSync(new URL('../../packages/level/package.json', import.meta.url), 'utf8')).version,
    async create(directory) {
      const { PagewrightLevel } = await import('@pagewright/level');
      return new PagewrightLevel(join(directory, 'bench.pw'), { memory: CACHE_BYTES });
    },
  },
  'classic-level': {
    version: () => versionOf('classic-level'),
    async create(directory) {
      const { ClassicLevel } = await import('classic-level').catch((error) => {
        throw new NotThere(`it cannot be loaded: ${error.message.split('\n')[0]}`);
      });
      return new ClassicLevel(directory, { cacheSize: CACHE_BYTES });
    },
  },
};
