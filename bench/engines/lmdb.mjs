/**
 * LMDB by lmdb-js. Keys are its own strings and numbers, which its documentation says are faster than bytes; `getBinary` copies, where
 * `getBinaryFast` gives what the next read overwrites. A commit ends when it is durable: by default that comes after it.
 */
import { open } from 'lmdb';
import { versionOf } from '../comparison/peers.mjs';

const FIRST = { limit: 1 };
const APPEND = { append: true };

export const engine = {
  name: 'lmdb',

  version: () => versionOf('lmdb'),

  async open(directory, _data, durability = 'durable') {
    const isRelaxed = durability === 'relaxed';
    const db = opened(directory, isRelaxed);
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

      ...(isRelaxed ? writesInPlace(db) : writesUnderWay(db)),

      scanFrom(start, limit, visit) {
        for (const { key, value } of db.getRange({ start, limit })) visit(key, value);
      },

      /** Each put goes behind the last key, without a search. */
      load: (batches) => put(batches, APPEND),

      remove(batches) {
        db.transactionSync(() => {
          for (const { keys } of batches) for (const key of keys) db.remove(key);
        });
      },

      scanPrefix(start, visit) {
        for (const { key, value } of db.getRange({ start, end: `${start}\uffff` })) visit(key, value);
      },

      get: (key) => db.getBinary(key),

      snapshot() {
        const transaction = db.useReadTransaction();
        const options = { transaction };
        return { get: (key) => db.getBinary(key, options), release: () => transaction.done() };
      },

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
      ...writesUnderWay(db),
      close: () => db.close(),
    };
  },
};

/** Resolve when they are durable. What is written in one turn of the event loop is one transaction of LMDB. */
function writesUnderWay(db) {
  return {
    write: (key, value) => db.put(key, value),

    modify: (key, change) =>
      db.transaction(() => {
        db.put(key, change(db.getBinary(key)));
      }),
  };
}

/** Are over when they return. */
function writesInPlace(db) {
  return {
    write(key, value) {
      db.putSync(key, value);
    },

    modify(key, change) {
      db.transactionSync(() => {
        db.put(key, change(db.getBinary(key)));
      });
    },

    moveOn: (key, value) =>
      db.transactionSync(() => {
        for (const first of db.getRange(FIRST)) {
          db.remove(first.key);
          db.put(key, value);
          return first.value;
        }
      }),
  };
}

/** `noSync`: what is committed survives the process, but not the machine. */
function opened(directory, noSync = false) {
  return open({ path: directory, encoding: 'binary', overlappingSync: false, noSync });
}
