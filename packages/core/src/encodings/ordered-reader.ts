/**
 * Reads what the ordered writer wrote. Bytes may be anything: every length is bounded before it is used, and bytes that the
 * writer would not have written are refused, so that no two keys decode to the same value.
 */
import { copyOf } from './byte-slab.js';
import type { OrderedValue } from './ordered.js';
import * as layout from './ordered-layout.js';
import { textOf } from './utf8.js';

const number = new DataView(new ArrayBuffer(8));
const numberBytes = new Uint8Array(number.buffer);

/** The highest bit of a double's highest byte. */
const SIGN = 0x80;

/** Why bytes are not those of a value. */
export class NotOrdered extends Error {}

/** Reads one value that fills its bytes. */
export class OrderedReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** @throws NotOrdered, or a TypeError for text that is not UTF-8 */
  decode(): OrderedValue {
    const value = this.#read(0);
    if (this.#position < this.#bytes.length) throw new NotOrdered(`a value ends at byte ${this.#position}`);
    return value;
  }

  #read(depth: number): OrderedValue {
    const tag = this.#next();
    switch (tag) {
      case layout.NULL:
        return null;
      case layout.FALSE:
        return false;
      case layout.TRUE:
        return true;
      case layout.NEGATIVE_NUMBER:
        return this.#readNegative();
      case layout.NUMBER:
        return this.#readNumber();
      case layout.BIGINT:
        return this.#readBigint();
      case layout.NEGATIVE_DATE:
        return dateOf(this.#readNegative());
      case layout.DATE:
        return dateOf(this.#readNumber());
      case layout.STRING:
        return textOf(this.#readContent());
      case layout.BYTES:
        return copyOf(this.#readContent());
      case layout.ARRAY:
        return this.#readArray(depth);
      default:
        throw new NotOrdered(`byte ${this.#position - 1} names no type`);
    }
  }

  #readArray(depth: number): OrderedValue[] {
    if (depth === layout.MOST_DEPTH) throw new NotOrdered('arrays are nested too deep');
    const values: OrderedValue[] = [];
    while (!this.#ended()) values.push(this.#read(depth + 1));
    return values;
  }

  #readNegative(): number {
    const bytes = this.#take(8);
    for (let i = 0; i < 8; i++) numberBytes[i] = 0xff - bytes[i]!;
    if (numberBytes[0]! < SIGN) throw new NotOrdered('a negative number has no sign');
    return numberFound();
  }

  #readNumber(): number {
    const bytes = this.#readContent();
    if (bytes.length > 8) throw new NotOrdered('a number has more than eight bytes');
    if (bytes.length > 0 && (bytes[0]! >= SIGN || bytes[bytes.length - 1] === 0))
      throw new NotOrdered('a number is written in another way');
    numberBytes.fill(0);
    numberBytes.set(bytes);
    return numberFound();
  }

  #readBigint(): bigint {
    const length = this.#next() - layout.BIGINT_ZERO;
    const bytes = this.#take(Math.abs(length));
    const isPadded = length !== 0 && bytes[0] === (length < 0 ? 0xff : 0);
    if (isPadded || length < -layout.MOST_BIGINT_BYTES) throw new NotOrdered('a bigint is written in another way');
    let digits = '';
    for (const byte of bytes) digits += (length < 0 ? 0xff - byte : byte).toString(16).padStart(2, '0');
    const magnitude = BigInt(`0x${digits === '' ? '0' : digits}`);
    return length < 0 ? -magnitude : magnitude;
  }

  /** The bytes up to the terminator, their zeros no longer escaped. A view where there was none to undo. */
  #readContent(): Uint8Array {
    const start = this.#position;
    const end = this.#bytes.length;
    let escapes = 0;
    let at = start;
    while (at < end) {
      if (this.#bytes[at] === layout.END) {
        if (this.#bytes[at + 1] !== layout.ESCAPED) break;
        escapes++;
        at++;
      }
      at++;
    }
    if (at + 1 === end) throw new NotOrdered('a terminator stands at the end');
    this.#position = Math.min(at + 1, end); // the last terminator is left out
    const escaped = this.#bytes.subarray(start, at);
    if (escapes === 0) return escaped;

    const content = new Uint8Array(escaped.length - escapes);
    for (let from = 0, to = 0; from < escaped.length; from++) {
      const byte = escaped[from]!;
      content[to++] = byte;
      if (byte === layout.END) from++;
    }
    return content;
  }

  /** Whether an array ends here. Steps over its terminator, if that was not left out. */
  #ended(): boolean {
    if (this.#position >= this.#bytes.length) return true;
    if (this.#bytes[this.#position] !== layout.END) return false;
    this.#position++;
    if (this.#position === this.#bytes.length) throw new NotOrdered('a terminator stands at the end');
    return true;
  }

  #next(): number {
    return this.#take(1)[0]!;
  }

  #take(length: number): Uint8Array {
    const start = this.#position;
    if (this.#bytes.length - start < length) throw new NotOrdered('the bytes end within a value');
    this.#position = start + length;
    return this.#bytes.subarray(start, this.#position);
  }
}

function numberFound(): number {
  const value = number.getFloat64(0);
  if (Number.isNaN(value)) throw new NotOrdered('a number is NaN');
  return value;
}

function dateOf(time: number): Date {
  const date = new Date(time);
  // A date has whole milliseconds, and no -0.
  if (!Object.is(date.getTime(), time)) throw new NotOrdered('a date is out of range, or between two milliseconds');
  return date;
}
