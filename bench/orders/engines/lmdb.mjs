/**
 * LMDB by lmdb-js: a database for each table, arrays as keys, rows as MessagePack with shared structures, as its documentation advises. A commit
 * ends when it is durable, or with `noSync` when it can be seen.
 */
import { open } from 'lmdb';
import { versionOf } from '../../comparison/peers.mjs';
import { newOrder, payment } from '../in-rows.mjs';
import { chunksOf, rowOf, withoutKey } from '../keyed-rows.mjs';
import { keyOf, tableNames } from '../tables.mjs';

const STRUCTURES = Symbol.for('structures');
const ROWS_A_TRANSACTION = 10_000;

export const engine = {
  name: 'lmdb',

  version: () => versionOf('lmdb'),

  async open(directory, durability) {
    const isRelaxed = durability === 'relaxed';
    const root = open({ path: directory, overlappingSync: false, noSync: isRelaxed, maxDbs: 2 + tableNames.length });
    const tables = {};
    for (const name of tableNames) tables[name] = root.openDB({ name, sharedStructuresKey: STRUCTURES });
    const names = root.openDB({ name: 'customerNames', sharedStructuresKey: STRUCTURES });
    const rows = new Rows(tables, names);
    const run = isRelaxed
      ? (work, input) => root.transactionSync(() => work(rows, input))
      : (work, input) => root.transaction(() => work(rows, input));
    return {
      settings: `overlappingSync off${isRelaxed ? ', noSync' : ''}; arrays as keys, MessagePack with shared structures`,

      load(table, rows) {
        for (const some of chunksOf(rows, ROWS_A_TRANSACTION)) {
          root.transactionSync(() => {
            for (const row of some) {
              tables[table].put(keyOf(table, row), withoutKey(table, row));
              if (table === 'customer') names.put([row.w, row.d, row.last, row.first, row.c], {});
            }
          });
        }
      },

      newOrder: (input) => run(newOrder, input),

      payment: (input) => run(payment, input),

      *rows(table) {
        for (const { key, value } of tables[table].getRange())
          yield rowOf(table, Array.isArray(key) ? key : [key], value);
      },

      close: () => root.close(),
    };
  },
};

/** Inside a transaction of LMDB all calls are its own. */
class Rows {
  #tables;
  #names;

  constructor(tables, names) {
    this.#tables = tables;
    this.#names = names;
  }

  get(table, key) {
    return this.#tables[table].get(key);
  }

  put(table, key, row) {
    this.#tables[table].put(key, row);
  }

  named(w, d, last) {
    const numbers = [];
    for (const key of this.#names.getKeys({ start: [w, d, last, ''] })) {
      if (key[2] !== last) break;
      numbers.push(key[4]);
    }
    return numbers;
  }
}
