/** Pagewright as `open` composes it: an index for each table, tuples as keys, rows as JSON, which is the default, and an index of names. */
import { join } from 'node:path';
import * as pagewright from 'pagewright';
import { engine as compared } from '../../engines/pagewright.mjs';
import { newOrder, payment } from '../in-rows.mjs';
import { chunksOf, rowOf, withoutKey } from '../keyed-rows.mjs';
import { keyOf, tableNames } from '../tables.mjs';

const MEMORY = '1GiB';
const ROWS = { key: 'ordered', value: 'json' };
const ROWS_A_TRANSACTION = 10_000;

export const engine = {
  name: 'pagewright',

  version: compared.version,

  async open(directory, durability) {
    const db = await pagewright.open(join(directory, 'bench.pw'), { memory: MEMORY, durability });
    const tables = {};
    for (const name of tableNames) tables[name] = await db.index(name, ROWS);
    const names = await db.index('customerNames', ROWS);
    const rowsOf = (transaction) => new Rows(transaction, tables, names);
    const run =
      durability === 'relaxed'
        ? (work, input) => db.transactionSync((transaction) => work(rowsOf(transaction), input))
        : (work, input) => db.transaction((transaction) => work(rowsOf(transaction), input));
    return {
      settings: `${MEMORY} of pool; keys 'ordered', rows 'json'`,

      load(table, rows) {
        for (const some of chunksOf(rows, ROWS_A_TRANSACTION)) {
          db.transactionSync((transaction) => {
            for (const row of some) {
              transaction.put(tables[table], keyOf(table, row), withoutKey(table, row));
              if (table === 'customer') transaction.put(names, [row.w, row.d, row.last, row.first, row.c], {});
            }
          });
        }
      },

      newOrder: (input) => run(newOrder, input),

      payment: (input) => run(payment, input),

      *rows(table) {
        for (const [key, rest] of tables[table].rangeSync()) yield rowOf(table, key, rest);
      },

      close: () => db.close(),
    };
  },
};

class Rows {
  #transaction;
  #tables;
  #names;

  constructor(transaction, tables, names) {
    this.#transaction = transaction;
    this.#tables = tables;
    this.#names = names;
  }

  get(table, key) {
    return this.#transaction.getSync(this.#tables[table], key);
  }

  put(table, key, row) {
    this.#transaction.put(this.#tables[table], key, row);
  }

  named(w, d, last) {
    const numbers = [];
    // Nothing that a first name may begin with comes behind it.
    const range = { gte: [w, d, last], lt: [w, d, last, []] };
    for (const [key] of this.#transaction.rangeSync(this.#names, range)) numbers.push(key[4]);
    return numbers;
  }
}
