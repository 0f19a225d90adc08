/**
 * Writes values so that their bytes sort as the values do. `ordered.ts` describes the format.
 */
import { assertThere, cannotEncode, describe } from './encoding.js';
import * as layout from './ordered-layout.js';
import { isWellFormed, SHORT_TEXT } from './utf8.js';

const INITIAL_BYTES = 256;

/** Memory that a large value needed is given up again. */
const MOST_BYTES_KEPT = 64 * 1024;

const encoder = new TextEncoder();

/** Collects the bytes of one value at a time. */
export class OrderedWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** Terminators behind it need not be written: the end of the bytes terminates everything. */
  #lengthWithoutTerminators = 0;
  /** The index in each array that is being written, for the message of an error. */
  readonly #indices: number[] = [];

  /** The bytes of a value, in memory of their own. @throws PW_ENCODING */
  encode(value: unknown): Uint8Array {
    if (this.#bytes.length > MOST_BYTES_KEPT) this.#moveTo(new Uint8Array(INITIAL_BYTES));
    this.#length = 0;
    this.#lengthWithoutTerminators = 0;
    this.#write(value, 0);
    return this.#bytes.slice(0, this.#lengthWithoutTerminators);
  }

  #write(value: unknown, depth: number): void {
    if (typeof value === 'string') this.#writeString(value, depth);
    else if (typeof value === 'number' && !Number.isNaN(value)) {
      this.#writeNumber(value, layout.NEGATIVE_NUMBER, layout.NUMBER);
    } else if (Array.isArray(value)) this.#writeArray(value, depth);
    else if (typeof value === 'boolean') this.#writeByte(value ? layout.TRUE : layout.FALSE);
    else if (value === null) this.#writeByte(layout.NULL);
    else if (typeof value === 'bigint') this.#writeBigint(value, depth);
    else if (value instanceof Uint8Array) this.#writeBytes(value);
    else if (value instanceof Date) this.#writeDate(value, depth);
    else throw this.#refused(value, 'has no place in the order', depth);
  }

  #writeArray(values: readonly unknown[], depth: number): void {
    if (depth === layout.MOST_DEPTH)
      throw this.#refused(values, `is nested more than ${layout.MOST_DEPTH} deep`, depth);
    this.#writeByte(layout.ARRAY);
    for (let i = 0; i < values.length; i++) {
      this.#indices[depth] = i;
      this.#write(values[i], depth + 1);
    }
    this.#terminate();
  }

  #writeString(text: string, depth: number): void {
    if (!isWellFormed(text)) throw this.#refused(text, 'has a lone surrogate, which has no bytes in UTF-8', depth);
    this.#writeByte(layout.STRING);
    const start = this.#length;
    this.#reserve(text.length * 3);
    this.#length += this.#writeAscii(text)
      ? text.length
      : encoder.encodeInto(text, this.#bytes.subarray(start)).written;
    this.#finishContent(start);
  }

  /** Whether the text is short, and all of it ASCII: then it is there. */
  #writeAscii(text: string): boolean {
    if (text.length > SHORT_TEXT) return false;
    for (let i = 0; i < text.length; i++) {
      const character = text.charCodeAt(i);
      if (character > 0x7f) return false;
      this.#bytes[this.#length + i] = character;
    }
    return true;
  }

  #writeBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) assertThere('ordered', bytes);
    this.#writeByte(layout.BYTES);
    const start = this.#length;
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, start);
    this.#length += bytes.length;
    this.#finishContent(start);
  }

  #writeDate(date: Date, depth: number): void {
    const time = date.getTime();
    if (Number.isNaN(time)) throw this.#refused(date, 'is not a valid date', depth);
    this.#writeNumber(time, layout.NEGATIVE_DATE, layout.DATE);
  }

  /** A double, the highest byte first: in full and inverted if it is negative, else without the zeros at its end. */
  #writeNumber(value: number, negativeTag: number, tag: number): void {
    const negative = value < 0 || Object.is(value, -0);
    this.#writeByte(negative ? negativeTag : tag);
    this.#reserve(8);
    const start = this.#length;
    this.#view.setFloat64(start, value);
    if (negative) {
      this.#view.setUint32(start, ~this.#view.getUint32(start));
      this.#view.setUint32(start + 4, ~this.#view.getUint32(start + 4));
      this.#length += 8;
      this.#lengthWithoutTerminators = this.#length;
    } else {
      let end = start + 8;
      while (end > start && this.#bytes[end - 1] === 0) end--;
      this.#length = end;
      this.#finishContent(start);
    }
  }

  /** Sign and length in one byte, then the magnitude, the highest byte first; all of it inverted if it is negative. */
  #writeBigint(value: bigint, depth: number): void {
    const negative = value < 0n;
    const digits = (negative ? -value : value).toString(16);
    const length = value === 0n ? 0 : (digits.length + 1) >> 1;
    if (length > layout.MOST_BIGINT_BYTES) {
      throw this.#refused(value, `has more than ${layout.MOST_BIGINT_BYTES * 8} bits`, depth);
    }
    this.#writeByte(layout.BIGINT);
    this.#writeByte(layout.BIGINT_ZERO + (negative ? -length : length));
    const padded = digits.padStart(length * 2, '0');
    for (let i = 0; i < length; i++) {
      const byte = Number.parseInt(padded.slice(2 * i, 2 * i + 2), 16);
      this.#writeByte(negative ? 0xff - byte : byte);
    }
  }

  #writeByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
    this.#lengthWithoutTerminators = this.#length;
  }

  /** Escapes the zeros in what was written from `start` on, and terminates it. */
  #finishContent(start: number): void {
    let zeros = 0;
    for (let i = start; i < this.#length; i++) if (this.#bytes[i] === 0) zeros++;
    if (zeros > 0) {
      this.#reserve(zeros);
      let to = this.#length + zeros;
      for (let from = this.#length - 1; from >= start; from--) {
        const byte = this.#bytes[from]!;
        if (byte === 0) this.#bytes[--to] = layout.ESCAPED;
        this.#bytes[--to] = byte;
      }
      this.#length += zeros;
    }
    this.#lengthWithoutTerminators = this.#length;
    this.#terminate();
  }

  #terminate(): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = layout.END;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#moveTo(larger);
  }

  #moveTo(bytes: Uint8Array<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  #refused(value: unknown, why: string, depth: number): Error {
    const place = depth === 0 ? '' : ` at [${this.#indices.slice(0, depth).join('][')}]`;
    return cannotEncode(
      'ordered',
      `${describe(value)}${place} ${why}`,
      'Ordered are null, booleans, numbers, bigints, Dates, strings, Uint8Arrays, and arrays of these.',
    );
  }
}
