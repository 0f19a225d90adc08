/** What terminals ask for, after clauses 2.4.1 and 2.5.1 of TPC-C, made before the clock runs: new orders and payments, nearly as many of each. */
import { Random } from '../comparison/random.mjs';
import { lastName, nuRand } from './rows.mjs';
import { CUSTOMERS, DISTRICTS, ITEMS } from './tables.mjs';

/** Of all transactions of TPC-C 45 % are new orders and 43 % payments. */
const NEW_ORDERS = 45 / (45 + 43);
/** New orders that name an item which is not there, and leave nothing behind. */
const MISTAKEN = 0.01;
const SUPPLIED_ELSEWHERE = 0.01;
const PAID_ELSEWHERE = 0.15;
const BY_NAME = 0.6;

/**
 * @typedef {{ w: number, d: number, c: number, entered: number, lines: { i: number, supplier: number, quantity: number }[] }} NewOrder
 * @typedef {{ w: number, d: number, cw: number, cd: number, c?: number, last?: string, h: number, at: number, amount: number }} Payment
 * `h` is the number of its row of `history`. Either `c` is given or `last`.
 */

/**
 * `first`: the number of the first one; no two have the same.
 *
 * @returns {({ newOrder: NewOrder } | { payment: Payment })[]}
 */
export function inputsOf(count, warehouses, seed, first) {
  const random = new Random(seed);
  const inputs = [];
  for (let at = first; at < first + count; at++) {
    if (random.unit() < NEW_ORDERS) inputs.push({ newOrder: newOrder(random, warehouses, at) });
    else inputs.push({ payment: payment(random, warehouses, at) });
  }
  return inputs;
}

function newOrder(random, warehouses, at) {
  const w = 1 + random.below(warehouses);
  const isMistaken = random.unit() < MISTAKEN;
  const lines = Array.from({ length: 5 + random.below(11) }, () => ({
    i: nuRand(random, 8191, 1, ITEMS),
    supplier: random.unit() < SUPPLIED_ELSEWHERE ? another(random, w, warehouses) : w,
    quantity: 1 + random.below(10),
  }));
  if (isMistaken) lines.at(-1).i = ITEMS + 1;
  return { w, d: 1 + random.below(DISTRICTS), c: customer(random), entered: at, lines };
}

function payment(random, warehouses, at) {
  const w = 1 + random.below(warehouses);
  const d = 1 + random.below(DISTRICTS);
  const isElsewhere = random.unit() < PAID_ELSEWHERE;
  const cw = isElsewhere ? another(random, w, warehouses) : w;
  const cd = isElsewhere ? 1 + random.below(DISTRICTS) : d;
  const who = random.unit() < BY_NAME ? { last: lastName(nuRand(random, 255, 0, 999)) } : { c: customer(random) };
  return { w, d, cw, cd, ...who, h: at, at, amount: 100 + random.below(499_901) };
}

function customer(random) {
  return nuRand(random, 1023, 1, CUSTOMERS);
}

/** Another warehouse, if there is one. */
function another(random, w, warehouses) {
  return warehouses === 1 ? w : 1 + ((w + random.below(warehouses - 1)) % warehouses);
}
