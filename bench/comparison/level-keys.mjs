/** Keys for engines of the Level family, which have strings and bytes: a whole number becomes eight bytes, the highest first. */

export class LevelKeys {
  #bytes = Buffer.alloc(8);

  constructor({ kind }) {
    const isNumber = kind === 'u64';
    this.encoding = isNumber ? 'buffer' : 'utf8';
    /** What it gives is read at once, and used again for the next key. */
    this.toEngine = isNumber ? this.#number.bind(this) : (key) => key;
    /** Below and above every key. */
    this.least = isNumber ? Buffer.alloc(1) : '\0';
    this.most = isNumber ? Buffer.alloc(9, 0xff) : '\x7f';
  }

  #number(key) {
    const bytes = this.#bytes;
    bytes.writeUInt32BE(Math.floor(key / 2 ** 32), 0);
    bytes.writeUInt32BE(key % 2 ** 32, 4);
    return bytes;
  }
}
