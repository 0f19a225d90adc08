/**
 * The operations of a transaction as bytes: kind, then index, key length and value length as variable-length integers,
 * then key and value. What is decoded is bounded by the record, whatever the bytes say.
 */
import type { LogOperation } from '@pagewright/core';

/** What a variable-length integer can say, in five bytes. */
const LARGEST_VARINT = 2 ** 32 - 1;
/** Below this a loop copies faster than a call of `set`. */
const SHORT = 24;

/** Bytes of the operations, without the record's header and padding. */
export function operationsSize(operations: readonly LogOperation[]): number {
  let size = 0;
  for (const { index, key, value } of operations) {
    size += 1 + varintSize(index) + varintSize(key.length) + varintSize(value.length) + key.length + value.length;
  }
  return size;
}

/** Writes the operations from `at` on; the offset behind them. */
export function encodeOperations(bytes: Uint8Array, at: number, operations: readonly LogOperation[]): number {
  let next = at;
  for (const { kind, index, key, value } of operations) {
    bytes[next++] = kind;
    next = writeVarint(bytes, next, index);
    next = writeVarint(bytes, next, key.length);
    next = writeVarint(bytes, next, value.length);
    next = copy(bytes, next, key);
    next = copy(bytes, next, value);
  }
  return next;
}

/** The operations in the body of a record, as views of it; null if the body is not exactly `count` operations and padding. */
export function decodeOperations(body: Uint8Array, count: number): LogOperation[] | null {
  const operations: LogOperation[] = [];
  const reader = new VarintReader(body);
  for (let i = 0; i < count; i++) {
    const kind = body[reader.at++];
    const index = reader.next();
    const keyLength = reader.next();
    const valueLength = reader.next();
    const keyEnd = reader.at + keyLength;
    const valueEnd = keyEnd + valueLength;
    if (kind === undefined || index > LARGEST_VARINT || valueEnd > body.length) return null;
    operations.push({
      kind,
      index,
      key: body.subarray(reader.at, keyEnd),
      value: body.subarray(keyEnd, valueEnd),
    });
    reader.at = valueEnd;
  }
  return body.length - reader.at < 8 ? operations : null;
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

class VarintReader {
  at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** The next integer; too large for any record if it does not end. */
  next(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 5; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) return Number.POSITIVE_INFINITY;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return Number.POSITIVE_INFINITY;
  }
}

function copy(bytes: Uint8Array, at: number, from: Uint8Array): number {
  const length = from.length;
  if (length < SHORT) {
    for (let i = 0; i < length; i++) bytes[at + i] = from[i]!;
  } else {
    bytes.set(from, at);
  }
  return at + length;
}
