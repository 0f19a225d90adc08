/** Pagewright with one of its commit policies, and else as `open` composes it. */
import { join } from 'node:path';
import { attach, open } from 'pagewright';
import { BACKEND, backendNamed } from '../../comparison/backends.mjs';
import { engine as compared } from '../../engines/pagewright.mjs';

const SCHEMA = { key: 'u32', value: 'buffer' };

export const engine = engineBy();

/** The same by a backend of that name. */
export function engineBy(backend = process.env[BACKEND]) {
  const io = async () => (backend === undefined ? {} : { io: await backendNamed(backend) });
  return {
    name: backend === undefined ? 'pagewright' : `pagewright by ${backend}`,

    version: compared.version,

    async open(directory, { policy }) {
      const db = await open(join(directory, 'bench.pw'), { commit: policy, ...(await io()) });
      const index = await db.index('bench', SCHEMA);
      return {
        settings: `${policy === undefined ? 'the defaults' : `commit '${policy}', else the defaults`}; awaited is put()`,

        commit: (key, value) => index.put(key, value),

        commitSync: (key, value) => index.putSync(key, value),

        scan(visit) {
          for (const [key, value] of index.rangeSync()) visit(key, value);
        },

        share: () => db.share(),

        close: () => db.close(),
      };
    },

    /** The policy comes with the handle. */
    async attach(handle) {
      const db = await attach(handle, await io());
      const index = await db.index('bench', SCHEMA);
      return { commit: (key, value) => index.put(key, value) };
    },
  };
}
