/**
 * The tables of TPC-C (Revision 5.11) that a new order and a payment read and write, with their sizes. Left out is what neither looks at: addresses and telephone numbers.
 * Money is in cents. A row is an object; its key are the columns that `key` names, in their order.
 */

/** @typedef {'integer' | 'text'} Type As SQL has it. */

/** @type {Record<string, { key: Record<string, Type>, columns: Record<string, Type> }>} */
export const TABLES = {
  warehouse: { key: { w: 'integer' }, columns: { name: 'text', tax: 'integer', ytd: 'integer' } },
  district: {
    key: { w: 'integer', d: 'integer' },
    columns: { name: 'text', tax: 'integer', ytd: 'integer', nextOrder: 'integer' },
  },
  customer: {
    key: { w: 'integer', d: 'integer', c: 'integer' },
    columns: {
      first: 'text',
      last: 'text',
      credit: 'text',
      discount: 'integer',
      balance: 'integer',
      ytdPayment: 'integer',
      payments: 'integer',
      data: 'text',
    },
  },
  item: { key: { i: 'integer' }, columns: { name: 'text', price: 'integer', data: 'text' } },
  stock: {
    key: { w: 'integer', i: 'integer' },
    columns: {
      quantity: 'integer',
      districts: 'text',
      ytd: 'integer',
      orders: 'integer',
      remotes: 'integer',
      data: 'text',
    },
  },
  placed: {
    key: { w: 'integer', d: 'integer', o: 'integer' },
    columns: { c: 'integer', entered: 'integer', lines: 'integer', isLocal: 'integer' },
  },
  undelivered: { key: { w: 'integer', d: 'integer', o: 'integer' }, columns: {} },
  line: {
    key: { w: 'integer', d: 'integer', o: 'integer', l: 'integer' },
    columns: { i: 'integer', supplier: 'integer', quantity: 'integer', amount: 'integer', district: 'text' },
  },
  history: {
    key: { h: 'integer' },
    columns: {
      c: 'integer',
      cd: 'integer',
      cw: 'integer',
      d: 'integer',
      w: 'integer',
      at: 'integer',
      amount: 'integer',
      data: 'text',
    },
  },
};

export const tableNames = Object.keys(TABLES);

export const DISTRICTS = 10;
export const CUSTOMERS = 3000;
export const ITEMS = 100_000;
export const FIRST_ORDER = 1;
export const WAREHOUSE_YTD = 30_000_000;
export const DISTRICT_YTD = 3_000_000;
/** What every customer begins with: as much was paid as is owed less. */
export const BALANCE = -1000;
export const YTD_PAYMENT = 1000;
/** Of the 24 characters that a stock has for each district. */
export const DISTRICT_CHARACTERS = 24;

/** The values of a row's key. */
export function keyOf(table, row) {
  return Object.keys(TABLES[table].key).map((column) => row[column]);
}
