/**
 * The operations of a transaction that was read from a log, as the bytes that they are. Millions of small ones have a few bytes each, and as objects, all at once,
 * many times as much: each is made when it is come by, and whoever goes through them keeps none.
 */
import { type LogOperation, type LogOperations, OPERATION_DELETE, OPERATION_PUT } from '../contracts/log.js';
import { OperationPlace } from './operation-encoding.js';

/** What may follow the operations is padding, and shorter than this. */
const ALIGNMENT = 8;

/** Not to be changed, as the bytes are not: what is given are views of them. */
export class DecodedOperations implements LogOperations {
  /** @internal */
  constructor(
    private readonly bytes: Uint8Array,
    readonly length: number,
    /** Whether all put or delete entries. */
    readonly areOfEntries: boolean,
  ) {}

  /** Each as an object of its own. */
  *[Symbol.iterator](): Generator<LogOperation, void, void> {
    const { bytes, length } = this;
    const place = new OperationPlace();
    for (let i = 0, at = 0; i < length; i++, at = place.end) {
      place.decode(bytes, at);
      const { kind, index, key, value, end } = place;
      yield { kind, index, key: bytes.subarray(key, value), value: bytes.subarray(value, end) };
    }
  }
}

/** The operations in these bytes; null if they are not exactly `count` operations and, at most, seven bytes of padding. All are looked at, and none is made. */
export function decodeOperations(body: Uint8Array, count: number): DecodedOperations | null {
  const place = new OperationPlace();
  let at = 0;
  let areOfEntries = true;
  for (let i = 0; i < count; i++) {
    if (!place.decode(body, at)) return null;
    const { kind } = place;
    if (kind !== OPERATION_PUT && kind !== OPERATION_DELETE) areOfEntries = false;
    at = place.end;
  }
  return body.length - at < ALIGNMENT ? new DecodedOperations(body, count, areOfEntries) : null;
}
