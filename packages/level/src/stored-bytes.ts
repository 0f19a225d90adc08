/**
 * Keys and values as Level has them, and their bytes in the index. All three formats are native: a string becomes bytes once, where the engine copies them
 * from, and comes from the bytes that the engine has read.
 *
 * The engine has no key without bytes, and Level has one. So keys that are nothing but zero bytes have one more of them in the index: '' is 00, and 00 is 00 00.
 * That changes no order: such a key is below all that begin with as many zeros and go on otherwise, however many it has.
 */

import { type Encoded, viewed } from './view-bytes.js';

/** How a program has keys or values: as `options.keyEncoding` says to an implementation of abstract-level. */
export type Format = 'utf8' | 'buffer' | 'view';

/** A key or value in one of the formats, as it is given to the program. */
export type Stored = string | Uint8Array;

/** A change, as abstract-level hands it to an implementation. */
export type EncodedOperation =
  | { readonly type: 'put'; readonly key: Encoded; readonly value: Encoded }
  | { readonly type: 'del'; readonly key: Encoded };

/** Up to this many characters a loop is faster than a native call. */
const SHORT_TEXT = 24;
/** A character takes at most three bytes; two that stand for one code point take four together. */
const MOST_BYTES_A_CHARACTER = 3;
const LENT_BYTES = 64 * 1024;

const encoder = new TextEncoder();
const { utf8Slice } = Buffer.prototype as Buffer & { utf8Slice(this: Uint8Array, start: number, end: number): string };

/** Memory for strings that are needed only until the next one. */
class Lent {
  private readonly long = new Uint8Array(LENT_BYTES);
  private readonly memory = this.long.buffer;
  /** Of each length up to that of a short text. */
  private readonly short = Array.from({ length: SHORT_TEXT + 1 }, (_, length) => new Uint8Array(length));

  bytesOf(text: string): Uint8Array {
    if (text.length <= SHORT_TEXT) {
      const bytes = this.short[text.length]!;
      if (writeAscii(text, bytes)) return bytes;
    }
    if (text.length * MOST_BYTES_A_CHARACTER > LENT_BYTES) return encoder.encode(text);
    return new Uint8Array(this.memory, 0, encoder.encodeInto(text, this.long).written);
  }
}

// A key and a value are lent together.
const keys = new Lent();
const values = new Lent();

// Errors of these: `LEVEL_INVALID_KEY`, `LEVEL_INVALID_VALUE`, for what has no bytes.

/** The bytes of a key in the index, until the next one is lent. */
export function lendKey(key: Encoded): Uint8Array {
  return storedKey(viewed(key, 'key') ?? keys.bytesOf(key as string));
}

/** The bytes of a value, until the next one is lent. */
export function lendValue(value: Encoded): Uint8Array {
  return viewed(value, 'value') ?? values.bytesOf(value as string);
}

/** The bytes of a key in the index. Those of a view are the program's. */
export function keyBytes(key: Encoded): Uint8Array {
  return storedKey(viewed(key, 'key') ?? Buffer.from(key as string));
}

/** The bytes of a value. Those of a view are the program's. */
export function valueBytes(value: Encoded): Uint8Array {
  return viewed(value, 'value') ?? Buffer.from(value as string);
}

/** The bytes of a key as Level has it in memory of their own, whatever the program does to what it has given. */
export function copyOfKey(key: Encoded): Uint8Array {
  return copyOf(viewed(key, 'key') ?? (key as string));
}

/** The same of a value. */
export function copyOfValue(value: Encoded): Uint8Array {
  return copyOf(viewed(value, 'value') ?? (value as string));
}

/** A key as it is in the index. */
export function storedKey(key: Uint8Array): Uint8Array {
  if (key.length > 0 && key[0] !== 0) return key;
  return isZeros(key) ? new Uint8Array(key.length + 1) : key;
}

/** A key of the index as Level has it. */
export function levelKey(stored: Uint8Array): Uint8Array {
  return stored[0] === 0 && isZeros(stored) ? stored.subarray(1) : stored;
}

/** The key of bytes in the index, less what it begins with, in a format. The bytes are given away. */
export function keyFrom(stored: Uint8Array, prefixLength: number, format: Format): Stored {
  const key = levelKey(stored);
  return inFormat(prefixLength === 0 ? key : key.subarray(prefixLength), format);
}

/** Bytes in a format. They are given away. */
export function inFormat(bytes: Uint8Array, format: Format): Stored {
  if (format === 'utf8') return utf8Slice.call(bytes, 0, bytes.length);
  return format === 'view' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function copyOf(data: Stored): Uint8Array {
  // Not slice(), which of a Buffer makes no copy.
  return typeof data === 'string' ? Buffer.from(data) : new Uint8Array(data);
}

function isZeros(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
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
