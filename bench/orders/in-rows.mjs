/**
 * A new order and a payment (clauses 2.4.2 and 2.5.2 of TPC-C) for engines of keys and values. A transaction has `get(table, key)`, `put(table, key, row)`, rows
 * without the columns of their keys, and `named(w, d, last)`: the numbers of the customers of that name, in the order of their first names.
 */
import { DISTRICT_CHARACTERS } from './tables.mjs';

/** What a customer of bad credit has noted, at the most. */
const NOTED = 500;

/** What it costs, in cents; null, and nothing is written, if an item is not there. */
export function newOrder(transaction, { w, d, c, entered, lines }) {
  const items = lines.map(({ i }) => transaction.get('item', [i]));
  if (items.includes(undefined)) return null;
  const warehouse = transaction.get('warehouse', [w]);
  const district = transaction.get('district', [w, d]);
  const customer = transaction.get('customer', [w, d, c]);
  const o = district.nextOrder;
  district.nextOrder++;
  transaction.put('district', [w, d], district);
  const isLocal = lines.every(({ supplier }) => supplier === w) ? 1 : 0;
  transaction.put('placed', [w, d, o], { c, entered, lines: lines.length, isLocal });
  transaction.put('undelivered', [w, d, o], {});
  let total = 0;
  for (const [at, { i, supplier, quantity }] of lines.entries()) {
    const stock = transaction.get('stock', [supplier, i]);
    stock.quantity += stock.quantity >= quantity + 10 ? -quantity : 91 - quantity;
    stock.ytd += quantity;
    stock.orders++;
    if (supplier !== w) stock.remotes++;
    transaction.put('stock', [supplier, i], stock);
    const amount = quantity * items[at].price;
    total += amount;
    const from = (d - 1) * DISTRICT_CHARACTERS;
    const own = stock.districts.slice(from, from + DISTRICT_CHARACTERS);
    transaction.put('line', [w, d, o, at + 1], { i, supplier, quantity, amount, district: own });
  }
  return priceOf(total, customer.discount, warehouse.tax, district.tax);
}

export function payment(transaction, { w, d, cw, cd, c: number, last, h, at, amount }) {
  const warehouse = transaction.get('warehouse', [w]);
  warehouse.ytd += amount;
  transaction.put('warehouse', [w], warehouse);
  const district = transaction.get('district', [w, d]);
  district.ytd += amount;
  transaction.put('district', [w, d], district);
  const c = number ?? middleOne(transaction.named(cw, cd, last));
  const customer = transaction.get('customer', [cw, cd, c]);
  customer.balance -= amount;
  customer.ytdPayment += amount;
  customer.payments++;
  if (customer.credit === 'BC') customer.data = noted(customer.data, { c, cd, cw, d, w, amount });
  transaction.put('customer', [cw, cd, c], customer);
  const data = `${warehouse.name}    ${district.name}`;
  transaction.put('history', [h], { c, cd, cw, d, w, at, amount, data });
}

/** Of several customers of a name. */
export function middleOne(numbers) {
  return numbers[Math.ceil(numbers.length / 2) - 1];
}

export function noted(data, { c, cd, cw, d, w, amount }) {
  return `${c} ${cd} ${cw} ${d} ${w} ${amount} ${data}`.slice(0, NOTED);
}

/** With discount and taxes, which are in hundredths of a percent. */
export function priceOf(total, discount, ...taxes) {
  return Math.round(total * (1 - discount / 10_000) * taxes.reduce((sum, tax) => sum + tax / 10_000, 1));
}
