/** Pagewright as `open` composes it. One transaction is one record of the log, so the log is allowed large ones. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as pagewright from 'pagewright';
import { backendNamed } from '../comparison/backends.mjs';

const FIRST = { limit: 1 };
const RELAXED = { durability: 'relaxed' };
const LOG = { maxRecordSize: '1GiB' };

export const engine = engineBy();

/** The same by a backend of that name, with another index (its type, and the name of its package), or with a pool for a share of the data alone. */
export function engineBy(backend, { type, from, share } = {}) {
  const partsOf = async (options) => ({
    log: logOf(options),
    from: import.meta.url,
    ...(backend === undefined ? {} : { io: await backendNamed(backend) }),
    ...(from === undefined ? {} : { indexes: [from] }),
  });
  const indexOf = (db, { kind }) =>
    db.index('bench', { key: kind, value: 'buffer', ...(type === undefined ? {} : { type }) });
  return {
    name: [
      'pagewright',
      ...(backend === undefined ? [] : [`by ${backend}`]),
      ...(type === undefined ? [] : [type]),
      ...(share === undefined ? [] : [`of 1/${1 / share}`]),
    ].join(' '),

    version() {
      return JSON.parse(readFileSync(new URL('../../packages/pagewright/package.json', import.meta.url), 'utf8'))
        .version;
    },

    async open(directory, data, durability = 'durable') {
      const memory = share === undefined ? memoryFor(data) : memoryForShare(data, share);
      const options = { memory, ...(await partsOf({ ...LOG, durability })) };
      const db = await pagewright.open(join(directory, 'bench.pw'), options);
      const index = await indexOf(db, data);
      return {
        settings: `${Math.round(memory / 2 ** 20)} MiB of pool, else the defaults`,

        ...(durability === 'relaxed' ? writesInPlace(db, index) : writesUnderWay(db, index)),

        scanFrom(from, limit, visit) {
          for (const [key, value] of index.rangeSync({ gte: from, limit })) visit(key, value);
        },

        put(batches) {
          db.transactionSync((transaction) => {
            for (const { keys, values } of batches) {
              for (let at = 0; at < keys.length; at++) transaction.put(index, keys[at], values[at]);
            }
          });
        },

        remove(batches) {
          db.transactionSync((transaction) => {
            for (const { keys } of batches) for (const key of keys) transaction.delete(index, key);
          });
        },

        scanPrefix(prefix, visit) {
          for (const [key, value] of index.rangeSync({ gte: prefix, lt: `${prefix}\uffff` })) visit(key, value);
        },

        /** Bytes of pages in memory, of those that the index has. */
        memory() {
          const { frames, freeFrames, pageSize } = db.stats().pages;
          return (frames - freeFrames) * pageSize;
        },

        load: typeof index.bulkLoad === 'function' ? (batches) => index.bulkLoad(entriesOf(batches)) : undefined,

        get: (key) => index.getSync(key),

        snapshot() {
          const snapshot = db.snapshot();
          const options = { snapshot };
          return { get: (key) => index.getSync(key, options), release: () => snapshot.release() };
        },

        scan(visit) {
          for (const [key, value] of index.rangeSync()) visit(key, value);
        },

        share: typeof db.share === 'function' ? () => db.share() : undefined,

        close: () => db.close(),
      };
    },

    /** Whether a thread can do without durability where the store has it. */
    canRelaxInThreads: true,

    /** In another thread: what it needs of a store there. */
    async attach(handle, data) {
      const db = await pagewright.attach(handle, await partsOf(LOG));
      const index = await indexOf(db, data);
      return {
        get: (key) => index.getSync(key),
        ...writesUnderWay(db, index),

        modifyInPlace(key, change) {
          db.transactionSync((transaction) => changeIn(transaction, index, key, change), RELAXED);
        },

        close: () => db.close(),
      };
    },
  };
}

function logOf(options) {
  return ['@pagewright/wal', options];
}

/** Resolve when they are durable. */
function writesUnderWay(db, index) {
  return {
    write: (key, value) => index.put(key, value),

    modify: (key, change) => db.transaction((transaction) => changeIn(transaction, index, key, change)),
  };
}

/** Are over when they return. */
function writesInPlace(db, index) {
  return {
    write: (key, value) => index.putSync(key, value),

    modify: (key, change) => db.transactionSync((transaction) => changeIn(transaction, index, key, change)),

    /** Takes the first entry away, puts this one in, and gives the first one's value. */
    moveOn: (key, value) => db.transactionSync((transaction) => moveOn(transaction, index, key, value)),
  };
}

function moveOn(transaction, index, key, value) {
  for (const [first, found] of transaction.rangeSync(index, FIRST)) {
    transaction.delete(index, first);
    transaction.put(index, key, value);
    return found;
  }
}

function changeIn(transaction, index, key, change) {
  transaction.put(index, key, change(transaction.getSync(index, key)));
}

/** Room for all of it, at half-full pages, and for what checkpoints put aside. */
function memoryFor({ count, keyBytes, valueBytes }) {
  return inPages(64 * 2 ** 20 + 3 * count * (keyBytes + valueBytes + 24));
}

/** For a share of keys and values alone, whatever pages take besides. */
function memoryForShare({ count, keyBytes, valueBytes }, share) {
  return inPages(share * count * (keyBytes + valueBytes));
}

function inPages(bytes) {
  const pageSize = 16 * 1024;
  return Math.ceil(bytes / pageSize) * pageSize;
}

function* entriesOf(batches) {
  for (const { keys, values } of batches) {
    for (let at = 0; at < keys.length; at++) yield [keys[at], values[at]];
  }
}
