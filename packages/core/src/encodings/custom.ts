/** Encodings that a program brings. What they make is checked and copied, since nothing says that they keep the rules. */
import { PagewrightError } from '../errors.js';
import { copyOf } from './byte-slab.js';
import { assertThere, cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';

/** An encoding of a program's own. */
export interface CustomEncoding<T = unknown> {
  /** Kept in the catalog, and compared when the index is opened again. Default: `custom`. */
  readonly name?: string;
  /** As a key, entries sort by what it returns. */
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** A custom encoding that keeps the rules of {@link Encoding}. `taken` are names that it may not have. @throws PW_ARGUMENT */
export function customEncoding<T>(custom: CustomEncoding<T>, taken: ReadonlySet<string>): Encoding<T> {
  const name = custom.name ?? 'custom';
  if (typeof custom.encode !== 'function' || typeof custom.decode !== 'function' || typeof name !== 'string') {
    throw new PagewrightError(
      'PW_ARGUMENT',
      'An encoding is the name of one, or an object with the functions encode and decode and perhaps a name.',
      { details: { encoding: name } },
    );
  }
  if (name === '' || taken.has(name)) {
    throw new PagewrightError(
      'PW_ARGUMENT',
      `A custom encoding cannot have the name '${name}', which is ${name === '' ? 'none' : 'that of one of Pagewright’s'}. Give it another.`,
      { details: { encoding: name } },
    );
  }
  return {
    name,

    encode(value) {
      let bytes: unknown;
      try {
        bytes = custom.encode(value);
      } catch (error) {
        throw cannotEncode(name, `its encode function failed (${messageOf(error)})`, 'See the cause.', error);
      }
      if (!(bytes instanceof Uint8Array)) {
        throw cannotEncode(name, `its encode function returned ${describe(bytes)}`, 'It must return a Uint8Array.');
      }
      if (bytes.length === 0) assertThere(name, bytes);
      return copyOf(bytes);
    },

    decode(bytes) {
      try {
        return custom.decode(bytes);
      } catch (error) {
        throw cannotDecode(name, `its decode function failed (${messageOf(error)})`, bytes, error);
      }
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
