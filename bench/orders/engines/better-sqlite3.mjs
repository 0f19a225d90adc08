/** SQLite by better-sqlite3, as one writes it in SQL: columns, an index of names, statements prepared once. The settings are those of `engines`. */
import { join } from 'node:path';
import { engine as compared, Database } from '../../engines/better-sqlite3.mjs';
import { middleOne, noted, priceOf } from '../in-rows.mjs';
import { chunksOf } from '../keyed-rows.mjs';
import { DISTRICT_CHARACTERS, TABLES, tableNames } from '../tables.mjs';

const ROWS_A_TRANSACTION = 10_000;

const STATEMENTS = {
  price: 'SELECT price FROM item WHERE i = ?',
  tax: 'SELECT tax FROM warehouse WHERE w = ?',
  takeOrder: 'UPDATE district SET nextOrder = nextOrder + 1 WHERE w = ? AND d = ? RETURNING nextOrder - 1 AS o, tax',
  discount: 'SELECT discount FROM customer WHERE w = ? AND d = ? AND c = ?',
  place: 'INSERT INTO placed (w, d, o, c, entered, lines, isLocal) VALUES (?, ?, ?, ?, ?, ?, ?)',
  leaveUndelivered: 'INSERT INTO undelivered (w, d, o) VALUES (?, ?, ?)',
  takeStock: `UPDATE stock SET quantity = quantity + iif(quantity >= @quantity + 10, -@quantity, 91 - @quantity), ytd = ytd + @quantity, orders = orders + 1,
    remotes = remotes + @isRemote WHERE w = @supplier AND i = @i RETURNING substr(districts, @from, ${DISTRICT_CHARACTERS}) AS district`,
  addLine: 'INSERT INTO line (w, d, o, l, i, supplier, quantity, amount, district) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  payWarehouse: 'UPDATE warehouse SET ytd = ytd + ? WHERE w = ? RETURNING name',
  payDistrict: 'UPDATE district SET ytd = ytd + ? WHERE w = ? AND d = ? RETURNING name',
  named: 'SELECT c FROM customer WHERE w = ? AND d = ? AND last = ? ORDER BY first',
  pay: `UPDATE customer SET balance = balance - @amount, ytdPayment = ytdPayment + @amount, payments = payments + 1 WHERE w = @cw AND d = @cd AND c = @c
    RETURNING credit, data`,
  note: 'UPDATE customer SET data = ? WHERE w = ? AND d = ? AND c = ?',
  record: 'INSERT INTO history (h, c, cd, cw, d, w, at, amount, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
};

export const engine = {
  name: 'better-sqlite3',

  version: compared.version,

  async open(directory, durability) {
    const db = new Database(join(directory, 'bench.db'));
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${durability === 'relaxed' ? 'OFF' : 'FULL'}`);
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('cache_size = -524288');
    db.pragma('mmap_size = 2147418112');
    for (const name of tableNames) db.exec(creationOf(name));
    db.exec('CREATE INDEX IF NOT EXISTS customerNames ON customer (w, d, last, first)');
    const statements = {};
    for (const [name, source] of Object.entries(STATEMENTS)) statements[name] = db.prepare(source);
    statements.named.pluck();
    const order = db.transaction((input) => newOrder(statements, input));
    const pay = db.transaction((input) => payment(statements, input));
    return {
      settings: `WAL, synchronous ${durability === 'relaxed' ? 'OFF' : 'FULL'}, locking_mode EXCLUSIVE, cache of 512 MiB, mmap_size of 2 GiB`,

      load(table, rows) {
        const columns = columnsOf(table);
        const insert = db.prepare(
          `INSERT INTO ${table} (${columns}) VALUES (${columns.map((column) => `@${column}`)})`,
        );
        const all = db.transaction((some) => {
          for (const row of some) insert.run(row);
        });
        for (const some of chunksOf(rows, ROWS_A_TRANSACTION)) all(some);
      },

      /** `immediate`: they write, so they take the lock at once. */
      newOrder: (input) => order.immediate(input),

      payment(input) {
        pay.immediate(input);
      },

      rows: (table) => db.prepare(`SELECT * FROM ${table}`).iterate(),

      close: () => db.close(),
    };
  },
};

function newOrder(statements, { w, d, c, entered, lines }) {
  const prices = lines.map(({ i }) => statements.price.get(i)?.price);
  if (prices.includes(undefined)) return null;
  const { tax } = statements.tax.get(w);
  const { o, tax: districtTax } = statements.takeOrder.get(w, d);
  const { discount } = statements.discount.get(w, d, c);
  const isLocal = lines.every(({ supplier }) => supplier === w) ? 1 : 0;
  statements.place.run(w, d, o, c, entered, lines.length, isLocal);
  statements.leaveUndelivered.run(w, d, o);
  const from = 1 + (d - 1) * DISTRICT_CHARACTERS;
  let total = 0;
  for (const [at, { i, supplier, quantity }] of lines.entries()) {
    const isRemote = supplier === w ? 0 : 1;
    const { district } = statements.takeStock.get({ quantity, isRemote, supplier, i, from });
    const amount = quantity * prices[at];
    total += amount;
    statements.addLine.run(w, d, o, at + 1, i, supplier, quantity, amount, district);
  }
  return priceOf(total, discount, tax, districtTax);
}

function payment(statements, { w, d, cw, cd, c: number, last, h, at, amount }) {
  const { name } = statements.payWarehouse.get(amount, w);
  const { name: districtName } = statements.payDistrict.get(amount, w, d);
  const c = number ?? middleOne(statements.named.all(cw, cd, last));
  const { credit, data } = statements.pay.get({ amount, cw, cd, c });
  if (credit === 'BC') statements.note.run(noted(data, { c, cd, cw, d, w, amount }), cw, cd, c);
  statements.record.run(h, c, cd, cw, d, w, at, amount, `${name}    ${districtName}`);
}

/** A key of one column is the rowid; every other table goes without. */
function creationOf(name) {
  const { key, columns } = TABLES[name];
  const keys = Object.keys(key);
  if (keys.length === 1) return `CREATE TABLE IF NOT EXISTS ${name} (${keys[0]} INTEGER PRIMARY KEY${typed(columns)})`;
  const own = keys.map((column) => `${column} ${key[column]} NOT NULL`).join(', ');
  return `CREATE TABLE IF NOT EXISTS ${name} (${own}${typed(columns)}, PRIMARY KEY (${keys})) WITHOUT ROWID`;
}

function typed(columns) {
  return Object.entries(columns)
    .map(([column, type]) => `, ${column} ${type} NOT NULL`)
    .join('');
}

function columnsOf(name) {
  const { key, columns } = TABLES[name];
  return [...Object.keys(key), ...Object.keys(columns)];
}
