/**
 * Keys and values of one index, from what the program has to bytes and back, with the limits of its index type. Bytes
 * that come out of here are the engine's own, as encodings promise: later changes to the program's objects change none.
 */
import type { PackedEntries } from '../contracts/packed-entries.js';
import { buffer } from '../encodings/buffer.js';
import type { Encoding } from '../encodings/index.js';
import { isPagewrightError, PagewrightError } from '../errors.js';

export interface EntryLimits {
  readonly maxKeySize: number;
  readonly maxValueSize: number;
}

export class EntryCodec<Key, Value> {
  constructor(
    private readonly index: string,
    readonly key: Encoding<Key>,
    readonly value: Encoding<Value>,
    private readonly limits: EntryLimits,
  ) {}

  get maxKeySize(): number {
    return this.limits.maxKeySize;
  }

  /** Errors: `PW_KEY_EMPTY`, `PW_KEY_TOO_LARGE`, `PW_ENCODING`. */
  encodeKey(key: Key): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.key.encode(key);
    } catch (error) {
      throw this.inIndex(error, 'key');
    }
    if (bytes.length === 0) {
      throw new PagewrightError(
        'PW_KEY_EMPTY',
        `A key of index '${this.index}' has no bytes. Keys have at least one.`,
        {
          details: { index: this.index },
        },
      );
    }
    if (bytes.length > this.limits.maxKeySize)
      throw this.tooLarge('PW_KEY_TOO_LARGE', 'key', bytes.length, this.limits.maxKeySize);
    return bytes;
  }

  /**
   * A key for a look-up that runs at once: its bytes are used again by the next one. Errors: those of {@link encodeKey}.
   */
  borrowKey(key: Key): Uint8Array {
    let bytes: Uint8Array | null;
    try {
      bytes = this.key.borrow?.(key) ?? null;
    } catch (error) {
      throw this.inIndex(error, 'key');
    }
    if (bytes === null || bytes.length === 0 || bytes.length > this.limits.maxKeySize) return this.encodeKey(key);
    return bytes;
  }

  /** A bound of a range, which may be empty: all keys are above it. Errors: `PW_KEY_TOO_LARGE`, `PW_ENCODING`. */
  encodeBound(key: Key): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.key.encode(key);
    } catch (error) {
      throw this.inIndex(error, 'bound');
    }
    return bytes.length === 0 ? bytes : this.encodeKey(key);
  }

  /** Errors: `PW_VALUE_TOO_LARGE`, `PW_ENCODING`. */
  encodeValue(value: Value): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = this.value.encode(value);
    } catch (error) {
      throw this.inIndex(error, 'value');
    }
    return this.checkedValue(bytes);
  }

  /**
   * The same for who is done with the bytes before the program goes on: they may be the program's own. What has some hundred bytes takes
   * longer to copy into memory of its own than into a page. Errors: as of `encodeValue`.
   */
  borrowValue(value: Value): Uint8Array {
    // Bytes of no length may be of memory that is gone: the encoding looks.
    const isThere = (this.value as Encoding<unknown>) === buffer && value instanceof Uint8Array && value.length > 0;
    return isThere ? this.checkedValue(value) : this.encodeValue(value);
  }

  private checkedValue(bytes: Uint8Array): Uint8Array {
    if (bytes.length > this.limits.maxValueSize) {
      throw this.tooLarge('PW_VALUE_TOO_LARGE', 'value', bytes.length, this.limits.maxValueSize);
    }
    return bytes;
  }

  /** Errors: `PW_ENCODING`. */
  decodeKey(bytes: Uint8Array): Key {
    return this.key.decode(bytes);
  }

  /** Errors: `PW_ENCODING`. */
  decodeValue(bytes: Uint8Array): Value {
    return this.value.decode(bytes);
  }

  /** The key of a packed entry. Errors: `PW_ENCODING`. */
  packedKey({ keys }: PackedEntries, at: number): Key {
    const { key } = this;
    return key.decodePacked === undefined ? key.decode(keys.viewAt(at)) : key.decodePacked(keys, at);
  }

  /** An encoding knows neither the index nor what it encodes for it. */
  private inIndex(error: unknown, what: 'key' | 'value' | 'bound'): unknown {
    if (!isPagewrightError(error, 'PW_ENCODING')) return error;
    const { index } = this;
    return new PagewrightError('PW_ENCODING', `Index '${index}' cannot take this ${what}. ${error.message}`, {
      cause: error.cause,
      details: { ...error.details, index, what },
    });
  }

  private tooLarge(
    code: 'PW_KEY_TOO_LARGE' | 'PW_VALUE_TOO_LARGE',
    what: string,
    bytes: number,
    limit: number,
  ): PagewrightError {
    return new PagewrightError(
      code,
      `A ${what} of index '${this.index}' has ${bytes} bytes; with the pages ${what === 'key' ? 'of this store' : 'and the memory of this engine'} at most ${limit} are possible.`,
      { details: { index: this.index, bytes, limit } },
    );
  }
}
