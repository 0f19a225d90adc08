/** Clients that share a list of operations: each does the next one as soon as what it wrote is acknowledged. Every answer is checked while it runs. */
import { isSameKey } from '../comparison/data-sets.mjs';
import { valueAt } from '../comparison/values.mjs';
import { WrongAnswer } from '../comparison/wrong-answer.mjs';
import { INSERT, READ, SCAN, UPDATE } from './operations.mjs';

/** After so many operations it is seen whether there is time left. */
const OPERATIONS_A_LOOK = 64;

export class Clients {
  #store;
  #operations;
  #versions;
  #next = 0;

  /** `store`: with `get`, `scanFrom`, and `write` and `modify`, which return a promise, or nothing where they are over when they return. */
  constructor(store, operations, versions) {
    this.#store = store;
    this.#operations = operations;
    this.#versions = versions;
  }

  /** Goes on up to the operation of that number, or as long as there is time. Resolves to how many were done. */
  async run(clients, end, milliseconds) {
    const from = this.#next;
    const until = performance.now() + milliseconds;
    await Promise.all(Array.from({ length: clients }, () => this.#client(end, until)));
    return this.#next - from;
  }

  /** Only writes are waited for: what is read is there when the call returns. */
  async #client(end, until) {
    while (this.#next < end) {
      const at = this.#next++;
      const write = this.#begin(at);
      if (write !== undefined) await write;
      if (at % OPERATIONS_A_LOOK === 0 && performance.now() > until) return;
    }
  }

  #begin(at) {
    const { kinds, numbers, keys, lengths } = this.#operations;
    switch (kinds[at]) {
      case READ:
        return this.#read(keys[at], numbers[at]);
      case SCAN:
        return this.#scan(keys[at], numbers[at], lengths[at]);
      case INSERT:
        return this.#insert(keys[at], numbers[at]);
      case UPDATE:
        return this.#update(keys[at], numbers[at]);
      default:
        return this.#modify(keys[at], numbers[at]);
    }
  }

  #read(key, number) {
    this.#versions.check(this.#store.get(key), number, this.#versions.least(number));
  }

  #scan(key, number, length) {
    let count = 0;
    this.#store.scanFrom(key, length, (found, value) => {
      if (count++ > 0) return;
      if (!isSameKey(found, key)) throw new WrongAnswer(`A scan from ${key} begins at ${found}`);
      this.#versions.check(value, number, this.#versions.least(number));
    });
    if (count === 0 || count > length) throw new WrongAnswer(`A scan of ${length} entries from ${key} gives ${count}`);
  }

  #update(key, number) {
    const version = this.#versions.begin(number);
    return whenOver(this.#store.write(key, valueAt(number, version)), () =>
      this.#versions.acknowledged(number, version),
    );
  }

  #insert(key, number) {
    return whenOver(this.#store.write(key, valueAt(number, 0)), () => this.#operations.inserted.add(number));
  }

  #modify(key, number) {
    const least = this.#versions.least(number);
    // Begun once, because the transaction may be run again.
    this.#versions.begin(number);
    let version;
    const written = this.#store.modify(key, (value) => {
      version = 1 + this.#versions.check(value, number, least);
      return valueAt(number, version);
    });
    return whenOver(written, () => this.#versions.acknowledged(number, version));
  }
}

function whenOver(written, then) {
  if (written !== undefined) return written.then(then);
  then();
}
