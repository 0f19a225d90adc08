/** Strings as UTF-8. They sort by code point. */
import { copyOf } from './byte-slab.js';
import { cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';

/** Up to this many characters a loop is faster than a native call: 16 take 48 ns against 62, but 60 take 150 against 68. */
export const SHORT_TEXT = 24;

/** A character takes at most three bytes; two that stand for one code point take four together. */
const MOST_BYTES_A_CHARACTER = 3;

/** What is longer is encoded into memory of its own right away. */
const scratch = new Uint8Array(64 * 1024);
/** Of each length up to that of a short text. */
const lent = Array.from({ length: SHORT_TEXT + 1 }, (_, length) => new Uint8Array(length));
/** Of any other length: a view of its beginning costs less than a copy. */
const lentLong = new Uint8Array(16 * 1024);
const lentMemory = lentLong.buffer;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Strings without lone surrogates: these have no bytes in UTF-8, and would come back as U+FFFD. */
export const utf8: Encoding<string> = {
  name: 'utf8',

  encode(value) {
    if (typeof value !== 'string') {
      throw cannotEncode('utf8', `${describe(value)} is no string`, 'Convert it, or choose another encoding.');
    }
    if (value.length <= SHORT_TEXT) {
      const bytes = asciiBytes(value);
      if (bytes !== null) return bytes;
    }
    if (!isWellFormed(value)) {
      throw cannotEncode(
        'utf8',
        `${describe(value)} has a lone surrogate, which UTF-8 has no bytes for`,
        'Do not cut strings within a pair; for arbitrary data use the encoding buffer.',
      );
    }
    return bytesOfText(value);
  },

  borrow(value) {
    if (typeof value !== 'string') return null;
    if (value.length <= SHORT_TEXT) {
      const bytes = lent[value.length]!;
      if (writeAscii(value, bytes)) return bytes;
    }
    if (value.length * MOST_BYTES_A_CHARACTER > lentLong.length || !isWellFormed(value)) return null;
    return new Uint8Array(lentMemory, 0, encoder.encodeInto(value, lentLong).written);
  },

  decode(bytes) {
    try {
      return textOf(bytes);
    } catch (error) {
      throw cannotDecode('utf8', 'the bytes are not UTF-8', bytes, error);
    }
  },

  decodePacked(packed, at) {
    return packed.asciiAt(at) ?? utf8.decode(packed.viewAt(at));
  },
};

/** The UTF-8 of a well-formed string, in private memory. */
export function bytesOfText(text: string): Uint8Array {
  if (text.length * MOST_BYTES_A_CHARACTER > scratch.length) return encoder.encode(text);
  return copyOf(scratch.subarray(0, encoder.encodeInto(text, scratch).written));
}

/** The string of UTF-8. Throws a TypeError for bytes that are not. A leading U+FEFF is kept. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Whether every surrogate is one of a pair. Node.js has had it since 20; the standard library's types have it later. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Null if a character is not ASCII. */
function asciiBytes(text: string): Uint8Array | null {
  const bytes = new Uint8Array(text.length);
  return writeAscii(text, bytes) ? bytes : null;
}

/** Whether the text is ASCII; then it is in the bytes, of which there are as many as characters. */
function writeAscii(text: string, bytes: Uint8Array): boolean {
  let all = 0;
  for (let i = 0; i < bytes.length; i++) {
    const character = text.charCodeAt(i);
    all |= character;
    bytes[i] = character;
  }
  return all < 0x80;
}
