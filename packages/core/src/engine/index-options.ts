/** How an index is asked for, and whether that fits the index that there is. */

import type { IndexType } from '../contracts/index-plugin.js';
import type { PageStore } from '../contracts/pages.js';
import { describe } from '../encodings/encoding.js';
import { type Encoding, type EncodingSpec, encodingFor } from '../encodings/index.js';
import { PagewrightError } from '../errors.js';
import { type IndexDescription, MAX_LABEL_BYTES, MAX_NAME_BYTES } from './catalog-layout.js';
import { EntryCodec } from './entry-codec.js';
import type { IndexEntry } from './index-entry.js';
import { argument } from './range.js';

export interface IndexOptions<
  Types extends string,
  KeySpec extends EncodingSpec = EncodingSpec,
  ValueSpec extends EncodingSpec = EncodingSpec,
> {
  /** The index type. Default for a new index: the first type of the engine. */
  readonly type?: Types | undefined;
  /** How keys become bytes; they sort by these. Default for a new index: `utf8`. */
  readonly key?: KeySpec | undefined;
  /** How values become bytes. Default for a new index: `json`. */
  readonly value?: ValueSpec | undefined;
}

/** Characters of a name that is too long, as an error has it. */
const SHOWN_OF_NAME = 40;
const KNOWN = new Set(['type', 'key', 'value']);

/** Errors: `PW_INDEX_NAME`, `PW_ARGUMENT`. */
export function checkIndexRequest(name: string, options: IndexOptions<string>): void {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0;
  if (bytes === 0 || bytes > MAX_NAME_BYTES || Buffer.from(name).toString() !== name) {
    const shown = bytes > MAX_NAME_BYTES ? `${name.slice(0, SHOWN_OF_NAME)}…` : name;
    throw new PagewrightError(
      'PW_INDEX_NAME',
      `${typeof name === 'string' ? JSON.stringify(shown) : describe(name)} cannot be the name of an index: a name is a string of 1 to ${MAX_NAME_BYTES} bytes of UTF-8${bytes > MAX_NAME_BYTES ? `, and this one has ${bytes}` : ''}.`,
      { details: { name: shown, bytes, limit: MAX_NAME_BYTES } },
    );
  }
  if (typeof options !== 'object' || options === null)
    throw argument('The options of index() are an object.', { options });
  for (const option of Object.keys(options)) {
    if (!KNOWN.has(option))
      throw argument(`index() has no option '${option}'. There are: ${[...KNOWN].join(', ')}.`, { option });
  }
}

/** What a new index is to be. Errors: `PW_INDEX_UNKNOWN` for a type that no plugin brings, `PW_ARGUMENT`. */
export function describeNew(
  name: string,
  options: IndexOptions<string>,
  types: ReadonlyMap<string, IndexType>,
): IndexDescription {
  const type = options.type ?? firstOf(types);
  if (!types.has(type)) {
    throw new PagewrightError(
      'PW_INDEX_UNKNOWN',
      `No plugin of this engine brings the index type '${type}'. Add it to \`indexes\`; there are: ${[...types.keys()].join(', ')}.`,
      { details: { type, known: [...types.keys()] } },
    );
  }
  const keyEncoding = encodingFor(options.key ?? 'utf8').name;
  const valueEncoding = encodingFor(options.value ?? 'json').name;
  for (const label of [type, keyEncoding, valueEncoding]) {
    const bytes = Buffer.byteLength(label);
    if (bytes > 0 && bytes <= MAX_LABEL_BYTES && Buffer.from(label).toString() === label) continue;
    throw argument(
      `'${label}' is no name for a type or an encoding: these have 1 to ${MAX_LABEL_BYTES} bytes of UTF-8.`,
      { label },
    );
  }
  return { name, type, keyEncoding, valueEncoding };
}

/**
 * The codec for an index that exists. What was left out is taken from the catalog. Errors: `PW_INDEX_MISMATCH`, which says
 * what differs; `PW_INDEX_UNKNOWN` if no plugin brings its type.
 */
export function codecFor<Key, Value>(
  entry: IndexEntry,
  options: IndexOptions<string>,
  types: ReadonlyMap<string, IndexType>,
  pages: PageStore,
): EntryCodec<Key, Value> {
  const { name, type, keyEncoding, valueEncoding } = entry.description;
  const differences: string[] = [];
  if (options.type !== undefined && options.type !== type)
    differences.push(`its type is '${type}', not '${options.type}'`);
  const key = encodingOf(options.key, keyEncoding, 'key', differences);
  const value = encodingOf(options.value, valueEncoding, 'value', differences);
  if (key === null || value === null || differences.length > 0) {
    throw new PagewrightError(
      'PW_INDEX_MISMATCH',
      `The index '${name}' is not as asked for: ${differences.join('; ')}. Leave out what is to be as it is, or use another name.`,
      { details: { index: name, type, key: keyEncoding, value: valueEncoding } },
    );
  }
  const limits = entry.type(types).limits(pages.pageSize, pages.maxSizeClass);
  return new EntryCodec(name, key as Encoding<Key>, value as Encoding<Value>, limits);
}

function encodingOf(
  spec: EncodingSpec | undefined,
  stored: string,
  what: 'key' | 'value',
  differences: string[],
): Encoding<unknown> | null {
  if (spec === undefined) {
    const builtIn = builtInEncoding(stored);
    if (builtIn === null)
      differences.push(`its ${what} encoding '${stored}' is not one of Pagewright's, so it must be given`);
    return builtIn;
  }
  const encoding = encodingFor(spec) as Encoding<unknown>;
  if (encoding.name !== stored) differences.push(`its ${what} encoding is '${stored}', not '${encoding.name}'`);
  return encoding;
}

function builtInEncoding(name: string): Encoding<unknown> | null {
  try {
    return encodingFor(name as EncodingSpec) as Encoding<unknown>;
  } catch {
    return null;
  }
}

function firstOf(types: ReadonlyMap<string, IndexType>): string {
  for (const name of types.keys()) return name;
  throw argument('The engine has no index types.', {});
}
