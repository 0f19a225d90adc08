/** Bytes as they are. They sort as `Buffer.compare` does. */
import { copyOf } from './byte-slab.js';
import { assertThere, cannotEncode, describe, type Encoding } from './encoding.js';

/** Takes any `Uint8Array`, a `Buffer` too, and gives back a plain `Uint8Array`. */
export const buffer: Encoding<Uint8Array> = {
  name: 'buffer',

  encode(value) {
    if (!(value instanceof Uint8Array)) {
      throw cannotEncode('buffer', `${describe(value)} is no Uint8Array`, 'Give a Uint8Array or a Buffer.');
    }
    if (value.length === 0) assertThere('buffer', value);
    return copyOf(value);
  },

  decode(bytes) {
    return bytes;
  },
};
