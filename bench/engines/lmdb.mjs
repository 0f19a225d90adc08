/**
 * LMDB by lmdb-js. Keys are its own strings and numbers, which its documentation says are faster than bytes; `getBinary` copies, where
 * `getBinaryFast` gives what the next read overwrites. A commit ends when it is durable: by default that comes after it.
 */
import { open } from 'lmdb';
import { versionOf } from '../comparison/peers.mjs';

const APPEND = { append: true };

export const engine = {
  name: 'lmdb',

  version: () => versionOf('lmdb'),

  async open(directory) {
    const db = opened(directory);
    const put = (batches, options) => {
      db.transactionSync(() => {
        for (const { keys, values } of batches) {
          for (let at = 0; at < keys.length; at++) db.put(keys[at], values[at], options);
        }
      });
    };
    return {
      settings: "encoding 'binary', overlappingSync off",

      /** `batch`, which leaves the work to another thread, took as long, and more of the processor. */
      put: (batches) => put(batches),

      /** Each put goes behind the last key, without a search. */
      load: (batches) => put(batches, APPEND),

      get: (key) => db.getBinary(key),

      scan(visit) {
        for (const { key, value } of db.getRange()) visit(key, value);
      },

      /** Each thread opens it for itself. */
      share: () => directory,

      close: () => db.close(),
    };
  },

  async attach(directory) {
    const db = opened(directory);
    return {
      get: (key) => db.getBinary(key),
      write: (key, value) => db.put(key, value),
      close: () => db.close(),
    };
  },
};

function opened(directory) {
  return open({ path: directory, encoding: 'binary', overlappingSync: false });
}
