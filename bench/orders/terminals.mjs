/** Terminals that share a list of inputs: each begins the next transaction as soon as its last one is acknowledged. */
export class Terminals {
  payments = 0;
  orders = 0;
  mistaken = 0;
  #store;

  constructor(store, counted = { payments: 0, orders: 0, mistaken: 0 }) {
    this.#store = store;
    Object.assign(this, counted);
  }

  /** Goes on through the inputs as long as there is time. Resolves to how many transactions were done. */
  async run(terminals, inputs, milliseconds) {
    let next = 0;
    const until = performance.now() + milliseconds;
    const terminal = async () => {
      while (next < inputs.length && performance.now() < until) {
        const { newOrder, payment } = inputs[next++];
        if (payment === undefined) {
          const price = this.#store.newOrder(newOrder);
          this.#ordered(price instanceof Promise ? await price : price);
        } else {
          const paid = this.#store.payment(payment);
          if (paid instanceof Promise) await paid;
          this.payments++;
        }
      }
    };
    await Promise.all(Array.from({ length: terminals }, terminal));
    return next;
  }

  #ordered(price) {
    if (price === null) this.mistaken++;
    else this.orders++;
  }
}
