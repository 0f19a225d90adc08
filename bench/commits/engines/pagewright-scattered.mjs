/** Pagewright beside so many entries from the beginning on that commits seldom touch a page which another one has just changed; else as in `pagewright.mjs`. */
import { join } from 'node:path';
import { attach, open } from 'pagewright';
import { engine as compared } from '../../engines/pagewright.mjs';
import { keyOf } from '../entries.mjs';

const SCHEMA = { key: 'u32', value: 'buffer' };
const FILLED = 200_000;
/** Numbers that no commit has. */
const FILLING = 2 ** 31;
/** No commit has a value of this length. */
const FILLER = Buffer.alloc(99);

export const engine = {
  name: 'pagewright scattered',

  version: compared.version,

  async open(directory, { policy, dependsOn }) {
    const db = await open(join(directory, 'bench.pw'), { commit: policy });
    const index = await db.index('bench', SCHEMA);
    if ((await index.count({ limit: 1 })) === 0) {
      const keys = Uint32Array.from({ length: FILLED }, (_, number) => keyOf(FILLING + number)).sort();
      await index.bulkLoad(Array.from(keys, (key) => [key, FILLER]));
    }
    return {
      settings: `commit '${policy}', dependsOn '${dependsOn}'; awaited is put() beside ${FILLED} entries`,

      commit: (key, value) => index.put(key, value, { dependsOn }),

      commitSync: (key, value) => index.putSync(key, value, { dependsOn }),

      scan(visit) {
        for (const [key, value] of index.rangeSync()) if (value.length !== FILLER.length) visit(key, value);
      },

      share: () => ({ handle: db.share(), dependsOn }),

      close: () => db.close(),
    };
  },

  async attach({ handle, dependsOn }) {
    const db = await attach(handle);
    const index = await db.index('bench', SCHEMA);
    return { commit: (key, value) => index.put(key, value, { dependsOn }) };
  },
};
