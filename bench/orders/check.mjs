/** What holds of the tables after any number of orders and payments, after clause 3.3.2 of TPC-C, and that what was acknowledged is there. */
import { WrongAnswer } from '../comparison/wrong-answer.mjs';
import { BALANCE, DISTRICT_YTD, FIRST_ORDER, WAREHOUSE_YTD, YTD_PAYMENT } from './tables.mjs';

/** `counted`: what the terminals were told, as `Terminals` has it. Errors: {@link WrongAnswer}. */
export function checkTables(store, counted) {
  const paid = new Sums();
  let payments = 0;
  for (const { w, d, cw, cd, c, amount } of store.rows('history')) {
    payments++;
    paid.add([w], amount);
    paid.add([w, d], amount);
    paid.add(['of', cw, cd, c], amount);
  }
  expectSame('payments', payments, counted.payments);
  for (const { w, ytd } of store.rows('warehouse'))
    expectSame(`what warehouse ${w} was paid`, ytd, WAREHOUSE_YTD + paid.of([w]));
  const orders = checkOrders(store);
  for (const { w, d, ytd, nextOrder } of store.rows('district')) {
    expectSame(`what district ${w}/${d} was paid`, ytd, DISTRICT_YTD + paid.of([w, d]));
    expectSame(`the orders of district ${w}/${d}`, orders.of([w, d]), nextOrder - FIRST_ORDER);
  }
  expectSame('orders', orders.of(['all']), counted.orders);
  for (const { w, d, c, balance, ytdPayment, payments } of store.rows('customer')) {
    const by = paid.of(['of', w, d, c]);
    expectSame(`the balance of customer ${w}/${d}/${c}`, balance, BALANCE - by);
    expectSame(`what customer ${w}/${d}/${c} paid`, ytdPayment, YTD_PAYMENT + by);
    if (payments - 1 > 0 !== by > 0)
      throw new WrongAnswer(`Customer ${w}/${d}/${c} has ${payments} payments, of ${by}`);
  }
}

/** How many there are, in all and of each district; each with its lines, and what these took out of stock. */
function checkOrders(store) {
  const orders = new Sums();
  const lines = new Sums();
  for (const { w, d, o, lines: count } of store.rows('placed')) {
    orders.add([w, d], 1);
    orders.add(['all'], 1);
    orders.add(['last', w, d], o - orders.of(['last', w, d]));
    lines.add([w, d, o], count);
  }
  for (const { w, d } of store.rows('undelivered')) orders.add(['undelivered', w, d], 1);
  const taken = new Sums();
  for (const { w, d, o, i, supplier, quantity } of store.rows('line')) {
    lines.add([w, d, o], -1);
    taken.add([supplier, i], quantity);
    taken.add([supplier, i, 'lines'], 1);
  }
  for (const [order, left] of lines) expectSame(`the lines that order ${order} has not`, left, 0);
  for (const { w, d } of store.rows('district')) {
    expectSame(`the last order of ${w}/${d}`, orders.of(['last', w, d]), orders.of([w, d]));
    expectSame(`what is undelivered of ${w}/${d}`, orders.of(['undelivered', w, d]), orders.of([w, d]));
  }
  for (const { w, i, ytd, orders: count } of store.rows('stock')) {
    expectSame(`what was taken out of stock ${w}/${i}`, ytd, taken.of([w, i]));
    expectSame(`the lines of stock ${w}/${i}`, count, taken.of([w, i, 'lines']));
  }
  return orders;
}

/** Numbers by keys of several parts. */
class Sums {
  #sums = new Map();

  add(parts, number) {
    const key = parts.join('/');
    this.#sums.set(key, (this.#sums.get(key) ?? 0) + number);
  }

  of(parts) {
    return this.#sums.get(parts.join('/')) ?? 0;
  }

  [Symbol.iterator]() {
    return this.#sums[Symbol.iterator]();
  }
}

function expectSame(what, found, expected) {
  if (found !== expected) throw new WrongAnswer(`${what}: ${found}, not ${expected}`);
}
