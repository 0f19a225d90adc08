/**
 * Content that a test knows to the last byte: what an index is to hold, and a reader that goes through all of it, by `get`
 * and by ranges both ways, and tells what differs. A read may fail only with a `PagewrightError`; what was read before must
 * be right all the same.
 */
import { type Engine, type IndexHandle, isPagewrightError, type PagewrightError } from '@pagewright/core';

/** Encodings as `db.index` takes them. */
export interface Shape {
  readonly key: 'utf8' | 'u32' | 'buffer' | 'ordered';
  readonly value: 'json' | 'buffer' | 'msgpack';
}

/** What one index holds, in the order of its keys, and a few keys that it does not. */
export interface KnownIndex {
  readonly name: string;
  readonly shape: Shape;
  readonly entries: readonly (readonly [key: unknown, value: unknown])[];
  readonly absent: readonly unknown[];
}

/** What was found: all as it should be, or the error that kept some of it from being read. */
export type Finding = 'right' | PagewrightError;

/** The indexes of a store while a test fills it; a map for each, as the engine is to have it. */
export class KnownContent {
  readonly #indexes = new Map<string, { readonly shape: Shape; readonly entries: Map<string, [unknown, unknown]> }>();

  declare(name: string, shape: Shape): void {
    this.#indexes.set(name, { shape, entries: new Map() });
  }

  drop(name: string): void {
    this.#indexes.delete(name);
  }

  clear(name: string): void {
    this.#of(name).entries.clear();
  }

  put(name: string, key: unknown, value: unknown): void {
    this.#of(name).entries.set(sortable(key), [key, value]);
  }

  delete(name: string, key: unknown): void {
    this.#of(name).entries.delete(sortable(key));
  }

  /** As it is now; later changes do not show in it. */
  indexes(): KnownIndex[] {
    return [...this.#indexes].sort(byFirst).map(([name, { shape, entries }]) => ({
      name,
      shape,
      entries: [...entries].sort(byFirst).map(([, entry]) => entry),
      absent: absentKeys(shape.key),
    }));
  }

  #of(name: string) {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`the test knows of no index ${name}`);
    return index;
  }
}

export function indexOf(db: Engine, name: string, shape: Shape): Promise<IndexHandle<unknown, unknown>> {
  return db.index<unknown, unknown>(name, shape);
}

/**
 * Reads all of it and compares. Returns the first error that an operation ended with, and throws whatever must not be:
 * wrong, missing or extra data, or an error of another kind.
 */
export async function readAll(db: Engine, known: readonly KnownIndex[], how: 'now' | 'waiting'): Promise<Finding> {
  let finding: Finding = 'right';
  const note = (error: PagewrightError | null): void => {
    if (error !== null && finding === 'right') finding = error;
  };
  const names = db.indexes().map(({ name }) => name);
  if (names.join() !== known.map(({ name }) => name).join()) throw new Error(`the indexes are ${names.join()}`);
  for (const { name, shape, entries, absent } of known) {
    const index = await indexOf(db, name, shape);
    for (const reverse of [false, true]) {
      const read = how === 'now' ? index.rangeSync({ reverse }) : index.range({ reverse });
      note(await compareRange(name, reverse ? [...entries].reverse() : entries, read));
    }
    const get = async (key: unknown): Promise<unknown> => (how === 'now' ? index.getSync(key) : await index.get(key));
    for (const [key, value] of entries) note(await compareGet(name, key, value, get));
    for (const key of absent) note(await compareGet(name, key, undefined, get));
  }
  return finding;
}

async function compareRange(
  name: string,
  entries: KnownIndex['entries'],
  found: Iterable<readonly [unknown, unknown]> | AsyncIterable<readonly [unknown, unknown]>,
): Promise<PagewrightError | null> {
  let at = 0;
  try {
    for await (const [key, value] of found) {
      const expected = entries[at++];
      if (expected === undefined) throw new Error(`${name} has ${show(key)}, which is beyond its end`);
      if (!same(key, expected[0])) throw new Error(`${name} has ${show(key)} in place of ${show(expected[0])}`);
      if (!same(value, expected[1])) throw new Error(`${name} has a wrong value at ${show(key)}: ${show(value)}`);
    }
  } catch (error) {
    return pagewrightOnly(error);
  }
  if (at < entries.length) throw new Error(`${name} ends after ${at} of ${entries.length} entries, without an error`);
  return null;
}

async function compareGet(
  name: string,
  key: unknown,
  value: unknown,
  get: (key: unknown) => Promise<unknown>,
): Promise<PagewrightError | null> {
  let found: unknown;
  try {
    found = await get(key);
  } catch (error) {
    return pagewrightOnly(error);
  }
  if (!same(found, value)) throw new Error(`${name} has a wrong value at ${show(key)}: ${show(found)}`);
  return null;
}

/** The error if it is one of Pagewright's; throws any other. */
export function pagewrightOnly(error: unknown): PagewrightError {
  if (isPagewrightError(error)) return error;
  throw error;
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function show(value: unknown): string {
  const text =
    value instanceof Uint8Array ? `${value.length}:${Buffer.from(value).toString('latin1')}` : JSON.stringify(value);
  return (text ?? 'undefined').slice(0, 60);
}

/** Text that sorts as the key's bytes do. For keys of `ordered` it is enough that they are [text, u32]. */
function sortable(key: unknown): string {
  if (typeof key === 'string') return Buffer.from(key).toString('latin1');
  if (typeof key === 'number') return String(key).padStart(10, '0');
  if (key instanceof Uint8Array) return Buffer.from(key).toString('latin1');
  const [text, number] = key as [string, number];
  return `${text}\0${String(number).padStart(10, '0')}`;
}

function absentKeys(encoding: Shape['key']): readonly unknown[] {
  if (encoding === 'utf8') return [' ', 'm, which is not there', '\u{10ffff}'];
  if (encoding === 'u32') return [2 ** 32 - 1, 77_777_777];
  if (encoding === 'buffer') return [Buffer.alloc(1), Buffer.alloc(900, 0xff)];
  return [
    ['', 0],
    ['not there', 1],
  ];
}

function byFirst([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
