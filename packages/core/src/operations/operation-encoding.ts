/**
 * The operations of a transaction as bytes: kind, then index, key length and value length as variable-length integers,
 * then key and value. What is decoded is bounded by the bytes that there are, whatever they say.
 */
import type { LogOperation } from '../contracts/log.js';

/** What a variable-length integer can say, in five bytes. */
const LARGEST_VARINT = 2 ** 32 - 1;
/** Below this a loop copies faster than a call of `set`. */
const SHORT = 24;
/** What an operation can have beside its key and its value. */
export const MOST_OPERATION_HEAD = 16;

/** Bytes of one operation. */
export function operationSize(index: number, keyLength: number, valueLength: number): number {
  return 1 + varintSize(index) + varintSize(keyLength) + varintSize(valueLength) + keyLength + valueLength;
}

/** Bytes of the operations together. */
export function operationsSize(operations: Iterable<LogOperation>): number {
  let size = 0;
  for (const { index, key, value } of operations) size += operationSize(index, key.length, value.length);
  return size;
}

/** Writes what goes before the key, {@link MOST_OPERATION_HEAD} bytes at most; the offset behind it. */
export function encodeOperationHead(
  bytes: Uint8Array,
  at: number,
  kind: number,
  index: number,
  keyLength: number,
  valueLength: number,
): number {
  bytes[at] = kind;
  const next = writeVarint(bytes, at + 1, index);
  return writeVarint(bytes, writeVarint(bytes, next, keyLength), valueLength);
}

/** Writes the operations from `at` on; the offset behind them. */
export function encodeOperations(bytes: Uint8Array, at: number, operations: Iterable<LogOperation>): number {
  let next = at;
  for (const { kind, index, key, value } of operations) {
    next = encodeOperationHead(bytes, next, kind, index, key.length, value.length);
    next = copyBytes(bytes, next, key);
    next = copyBytes(bytes, next, value);
  }
  return next;
}

/** Where an operation lies. One is used for many. */
export class OperationPlace {
  kind = 0;
  index = 0;
  /** Where the key begins, … */
  key = 0;
  /** … the value, which ends the key, … */
  value = 0;
  /** … and what follows. */
  end = 0;
  #at = 0;

  /** Whether an operation begins there and ends within the bytes. */
  decode(bytes: Uint8Array, at: number): boolean {
    if (at >= bytes.length) return false;
    this.kind = bytes[at]!;
    this.#at = at + 1;
    this.index = this.#varint(bytes);
    const keyLength = this.#varint(bytes);
    const valueLength = this.#varint(bytes);
    this.key = this.#at;
    this.value = this.key + keyLength;
    this.end = this.value + valueLength;
    return this.index <= LARGEST_VARINT && this.end <= bytes.length;
  }

  /** The next integer; too large for any number of bytes if it does not end. */
  #varint(bytes: Uint8Array): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      const byte = bytes[this.#at++];
      if (byte === undefined) return Number.POSITIVE_INFINITY;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return Number.POSITIVE_INFINITY;
  }
}

/** Copies all of it; the offset behind. */
export function copyBytes(bytes: Uint8Array, at: number, from: Uint8Array): number {
  const length = from.length;
  if (length < SHORT) {
    for (let i = 0; i < length; i++) bytes[at + i] = from[i]!;
  } else {
    bytes.set(from, at);
  }
  return at + length;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  while (rest >= 0x80) {
    bytes[next++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[next++] = rest;
  return next;
}
