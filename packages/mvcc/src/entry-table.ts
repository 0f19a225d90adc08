/** Finds entries by the hash of their keys: a hash table with open addressing, of two words for each place. What entries are it does not know. */

/** Hash, and 1 + entry; 0 if the place is free. */
const WORDS = 2;

export class EntryTable {
  /** At most half full. */
  #words: Int32Array;

  /** Entries that it has room for. */
  get capacity(): number {
    return this.#words.length / (2 * WORDS);
  }

  constructor(entries: number) {
    this.#words = tableFor(entries);
  }

  /** Forgets all entries. */
  clear(): void {
    this.#words.fill(0);
  }

  /** Begins anew with room for so many entries. */
  grow(entries: number): void {
    this.#words = tableFor(entries);
  }

  add(entry: number, hash: number): void {
    const words = this.#words;
    const mask = maskOf(words);
    let place = hash & mask;
    while (words[WORDS * place + 1] !== 0) place = (place + 1) & mask;
    words[WORDS * place] = hash;
    words[WORDS * place + 1] = entry + 1;
  }

  /** Takes away the entry that was added last: nothing was put behind it because of it. */
  removeLast(entry: number, hash: number): void {
    const words = this.#words;
    const mask = maskOf(words);
    let place = hash & mask;
    while (words[WORDS * place + 1] !== entry + 1) place = (place + 1) & mask;
    words[WORDS * place] = 0;
    words[WORDS * place + 1] = 0;
  }

  /** The place where entries of this hash may begin. */
  first(hash: number): number {
    return hash & maskOf(this.#words);
  }

  /** The place where they may go on. */
  after(place: number): number {
    return (place + 1) & maskOf(this.#words);
  }

  /** The entry in a place, if its hash is this one; -1 if the place is free, -2 if it has another hash. */
  entryAt(place: number, hash: number): number {
    const entry = this.#words[WORDS * place + 1]! - 1;
    return entry < 0 || this.#words[WORDS * place] === hash ? entry : OTHER;
  }
}

/** An entry of another hash. */
export const OTHER = -2;

function tableFor(entries: number): Int32Array {
  return new Int32Array(2 * WORDS * entries);
}

function maskOf(words: Int32Array): number {
  return words.length / WORDS - 1;
}
