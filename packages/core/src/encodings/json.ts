/**
 * What `JSON.stringify` writes and `JSON.parse` reads, with their rules: dates become strings, properties that are
 * undefined are left out, NaN becomes null. For values; as keys they sort by their text, which is seldom what is meant.
 */
import { cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';
import { bytesOfText, textOf } from './utf8.js';

/** Anything that has JSON. */
export const json: Encoding<unknown> = {
  name: 'json',

  encode(value) {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      const why = (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
      throw cannotEncode('json', why, 'Leave out or convert what JSON has no form for, or use msgpack.', error);
    }
    if (text === undefined) {
      throw cannotEncode(
        'json',
        `${describe(value)} has no JSON`,
        'Give a value that has, as null; delete the key to have no value.',
      );
    }
    return bytesOfText(text);
  },

  decode(bytes) {
    try {
      return JSON.parse(textOf(bytes));
    } catch (error) {
      throw cannotDecode('json', 'the bytes are not JSON', bytes, error);
    }
  },
};
