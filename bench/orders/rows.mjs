/** What the tables have before anything is ordered, after clause 4.3 of TPC-C: rows in the order of their keys, the same for the same seed. */
import { Random } from '../comparison/random.mjs';
import {
  BALANCE,
  CUSTOMERS,
  DISTRICT_CHARACTERS,
  DISTRICT_YTD,
  DISTRICTS,
  FIRST_ORDER,
  ITEMS,
  WAREHOUSE_YTD,
  YTD_PAYMENT,
} from './tables.mjs';

const SYLLABLES = ['BAR', 'OUGHT', 'ABLE', 'PRI', 'PRES', 'ESE', 'ANTI', 'CALLY', 'ATION', 'EING'];
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** Names as they are given in turn to the first so many customers of a district; the others have them as NURand has it. */
const NAMES = 1000;

/** Each table that is filled, and its rows. */
export function* filledTables(warehouses, seed) {
  const random = new Random(seed);
  yield ['item', items(random)];
  yield ['warehouse', warehouseRows(random, warehouses)];
  yield ['district', districts(random, warehouses)];
  yield ['customer', customers(random, warehouses)];
  yield ['stock', stocks(random, warehouses)];
}

/** A customer's last name of its number, from 0 to 999. */
export function lastName(number) {
  return SYLLABLES[Math.floor(number / 100)] + SYLLABLES[Math.floor(number / 10) % 10] + SYLLABLES[number % 10];
}

/** Not uniform, as clause 2.1.6 has it. The constant is the same for the load and the run, which the clause allows a benchmark of its own. */
export function nuRand(random, a, least, most) {
  const C = 123;
  const between = (from, to) => from + random.below(to - from + 1);
  return (((between(0, a) | between(least, most)) + C) % (most - least + 1)) + least;
}

function* items(random) {
  for (let i = 1; i <= ITEMS; i++)
    yield { i, name: text(random, 14, 24), price: 100 + random.below(9901), data: text(random, 26, 50) };
}

function* warehouseRows(random, warehouses) {
  for (let w = 1; w <= warehouses; w++)
    yield { w, name: text(random, 6, 10), tax: random.below(2001), ytd: WAREHOUSE_YTD };
}

function* districts(random, warehouses) {
  for (let w = 1; w <= warehouses; w++) {
    for (let d = 1; d <= DISTRICTS; d++)
      yield { w, d, name: text(random, 6, 10), tax: random.below(2001), ytd: DISTRICT_YTD, nextOrder: FIRST_ORDER };
  }
}

function* customers(random, warehouses) {
  for (let w = 1; w <= warehouses; w++) {
    for (let d = 1; d <= DISTRICTS; d++) {
      for (let c = 1; c <= CUSTOMERS; c++) {
        yield {
          w,
          d,
          c,
          first: text(random, 8, 16),
          last: lastName(c <= NAMES ? c - 1 : nuRand(random, 255, 0, NAMES - 1)),
          credit: random.unit() < 0.1 ? 'BC' : 'GC',
          discount: random.below(5001),
          balance: BALANCE,
          ytdPayment: YTD_PAYMENT,
          payments: 1,
          data: text(random, 300, 500),
        };
      }
    }
  }
}

function* stocks(random, warehouses) {
  for (let w = 1; w <= warehouses; w++) {
    for (let i = 1; i <= ITEMS; i++) {
      const all = DISTRICTS * DISTRICT_CHARACTERS;
      yield {
        w,
        i,
        quantity: 10 + random.below(91),
        districts: text(random, all, all),
        ytd: 0,
        orders: 0,
        remotes: 0,
        data: text(random, 26, 50),
      };
    }
  }
}

/** Letters and digits, so many of them at random. */
function text(random, least, most) {
  const length = least + random.below(most - least + 1);
  let characters = '';
  for (let at = 0; at < length; at++) characters += LETTERS[random.below(LETTERS.length)];
  return Buffer.from(characters, 'latin1').latin1Slice();
}
