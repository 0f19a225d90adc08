/**
 * LMDB by lmdb-js, in two ways that are durable. With `overlappingSync` off a commit ends when it is durable, and so does the promise of `put`. With it on, which is the default, the promise
 * of `put` resolves when the commit can be seen, and with `separateFlushed` that promise has another one, `flushed`, for when it is durable: that is what is awaited. `putSync` returns before
 * the flush then, so it is not measured. What is put in one turn of the event loop is one transaction.
 */
import { open } from 'lmdb';
import { versionOf } from '../../comparison/peers.mjs';

export const engine = {
  name: 'lmdb',

  version: () => versionOf('lmdb'),

  async open(directory, { overlappingSync }) {
    const db = opened(directory, overlappingSync);
    return {
      settings: overlappingSync
        ? 'overlappingSync and separateFlushed on; awaited is put().flushed'
        : 'overlappingSync off; awaited is put()',

      commit: commitOf(db, overlappingSync),

      commitSync: overlappingSync ? undefined : (key, value) => db.putSync(key, value),
      whyNotSync: 'with overlappingSync, putSync returns before the flush',

      scan(visit) {
        for (const { key, value } of db.getRange()) visit(key, value);
      },

      /** Each thread opens it for itself. */
      share: () => ({ directory, overlappingSync }),

      close: () => db.close(),
    };
  },

  async attach({ directory, overlappingSync }) {
    return { commit: commitOf(opened(directory, overlappingSync), overlappingSync) };
  },
};

function opened(path, overlappingSync) {
  return open({ path, encoding: 'binary', overlappingSync, separateFlushed: overlappingSync });
}

function commitOf(db, overlappingSync) {
  return overlappingSync ? (key, value) => db.put(key, value).flushed : (key, value) => db.put(key, value);
}
