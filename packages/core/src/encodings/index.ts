/** The encodings of keys and values, and how one is asked for. */
import { PagewrightError } from '../errors.js';
import { buffer } from './buffer.js';
import { type CustomEncoding, customEncoding } from './custom.js';
import { describe, type Encoding } from './encoding.js';
import { f64 } from './f64.js';
import { json } from './json.js';
import { msgpack } from './msgpack.js';
import { type OrderedValue, ordered } from './ordered.js';
import { u32 } from './u32.js';
import { u64 } from './u64.js';
import { utf8 } from './utf8.js';

export type { CustomEncoding } from './custom.js';
export type { Encoding } from './encoding.js';
export type { OrderedValue } from './ordered.js';

/** What each encoding that has a name gives back. */
export interface EncodingNames {
  buffer: Uint8Array;
  utf8: string;
  json: unknown;
  msgpack: unknown;
  ordered: OrderedValue;
  u32: number;
  u64: bigint;
  f64: number;
}

/** The name of one of Pagewright's encodings. */
export type EncodingName = keyof EncodingNames;

/** How an encoding is asked for: by name, or as a program's own. */
export type EncodingSpec = EncodingName | CustomEncoding<unknown>;

/** What the encoding asked for gives back: `DecodedBy<'u64'>` is `bigint`. */
export type DecodedBy<Spec extends EncodingSpec> = Spec extends EncodingName
  ? EncodingNames[Spec]
  : Spec extends { decode(bytes: Uint8Array): infer Value }
    ? Value
    : never;

const BUILT_IN: { readonly [Name in EncodingName]: Encoding<EncodingNames[Name]> } = {
  buffer,
  utf8,
  json,
  msgpack,
  ordered,
  u32,
  u64,
  f64,
};

const NAMES: ReadonlySet<string> = new Set(Object.keys(BUILT_IN));

/** The encoding asked for. @throws PW_ARGUMENT if there is none of that name, or if it is not an encoding */
export function encodingFor<const Spec extends EncodingSpec>(spec: Spec): Encoding<DecodedBy<Spec>> {
  const asked: unknown = spec;
  if (typeof asked === 'string' && NAMES.has(asked)) {
    return BUILT_IN[asked as EncodingName] as Encoding<unknown> as Encoding<DecodedBy<Spec>>;
  }
  if (typeof asked !== 'object' || asked === null) {
    throw new PagewrightError(
      'PW_ARGUMENT',
      `There is no encoding for ${describe(asked)}. Name one of ${[...NAMES].join(', ')}, or give an object with encode and decode.`,
      { details: { encoding: asked } },
    );
  }
  return customEncoding(asked as CustomEncoding<DecodedBy<Spec>>, NAMES);
}
