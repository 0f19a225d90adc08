/** Pagewright as `open` composes it. One transaction is one record of the log, so the log is allowed large ones. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'pagewright';

export const engine = {
  name: 'pagewright',

  version() {
    return JSON.parse(readFileSync(new URL('../../packages/pagewright/package.json', import.meta.url), 'utf8')).version;
  },

  async open(directory, data) {
    const memory = memoryFor(data);
    const db = await open(join(directory, 'bench.pw'), {
      memory,
      log: ['@pagewright/wal', { maxRecordSize: '1GiB' }],
      from: import.meta.url,
    });
    const index = await db.index('bench', { key: data.kind, value: 'buffer' });
    return {
      settings: `${Math.round(memory / 2 ** 20)} MiB of pool, else the defaults`,

      put(batches) {
        db.transactionSync((transaction) => {
          for (const { keys, values } of batches) {
            for (let at = 0; at < keys.length; at++) transaction.put(index, keys[at], values[at]);
          }
        });
      },

      load: typeof index.bulkLoad === 'function' ? (batches) => index.bulkLoad(entriesOf(batches)) : undefined,

      get: (key) => index.getSync(key),

      scan(visit) {
        for (const [key, value] of index.rangeSync()) visit(key, value);
      },

      close: () => db.close(),
    };
  },
};

/** Room for all of it, at half-full pages, and for what checkpoints put aside. */
function memoryFor({ count, keyBytes, valueBytes }) {
  const pageSize = 16 * 1024;
  const bytes = 64 * 2 ** 20 + 3 * count * (keyBytes + valueBytes + 24);
  return Math.ceil(bytes / pageSize) * pageSize;
}

function* entriesOf(batches) {
  for (const { keys, values } of batches) {
    for (let at = 0; at < keys.length; at++) yield [keys[at], values[at]];
  }
}
