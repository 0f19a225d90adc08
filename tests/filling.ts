/**
 * Writes of all kinds until one is refused, several at a time, and the knowledge of what must be there afterwards: all that
 * was acknowledged, and nothing that was refused.
 */
import { type Engine, type IndexHandle, isPagewrightError, type PagewrightError } from '@pagewright/core';
import { KnownContent, type KnownIndex, pagewrightOnly, type Shape } from './known-content.js';

const SHAPES: Readonly<Record<string, Shape>> = {
  data: { key: 'utf8', value: 'json' },
  large: { key: 'u32', value: 'buffer' },
};

export interface Filling {
  readonly known: KnownContent;
  /** Writes that were acknowledged. */
  acknowledged: number;
  /** Number of the next write: values say which write they came from. */
  next: number;
  /** Number of the first of the writes that were under way together when one was refused. */
  began: number;
  /** The first error. Null if the limit of writes came first. */
  refusal: PagewrightError | null;
}

/** One write: what it does, and what is known once it is acknowledged. */
interface Write {
  readonly run: () => Promise<void>;
  readonly learn: (known: KnownContent) => void;
}

interface Indexes {
  readonly data: IndexHandle<unknown, unknown>;
  readonly large: IndexHandle<unknown, unknown>;
}

export function newFilling(): Filling {
  return { known: new KnownContent(), acknowledged: 0, next: 0, began: 0, refusal: null };
}

export interface FillOptions {
  /** At most so many writes. */
  readonly limit?: number;
  /** All writes by the synchronous forms, one at a time. */
  readonly inPlace?: boolean;
}

/** Goes on where `before` ended. */
export async function fillUntilRefused(
  db: Engine,
  before: Filling | null,
  { limit = Number.POSITIVE_INFINITY, inPlace = false }: FillOptions = {},
): Promise<Filling> {
  const filling = before ?? newFilling();
  filling.refusal = null;
  const end = filling.next + limit;
  const indexes = await openIndexes(db, filling);
  while (indexes !== null && filling.refusal === null && filling.next < end) {
    filling.began = filling.next;
    const together = inPlace ? 1 : Math.min(1 + (filling.next % 7), end - filling.next);
    const writes = Array.from({ length: together }, () => writeOf(db, indexes, filling.next++, inPlace));
    const results = await Promise.allSettled(writes.map(({ run }) => run()));
    for (const [at, result] of results.entries()) {
      if (result.status === 'fulfilled') {
        writes[at]!.learn(filling.known);
        filling.acknowledged++;
      } else {
        const refusal = pagewrightOnly(result.reason);
        filling.refusal ??= refusal;
      }
    }
  }
  return filling;
}

/** Writes that must be possible: whoever has room again can go on. */
export async function writeMore(db: Engine, known: KnownContent): Promise<void> {
  for (const [name, shape] of Object.entries(SHAPES)) {
    if (!hasIndex(known, name)) known.declare(name, shape);
    const index = await db.index<unknown, unknown>(name, shape);
    for (let number = 0; number < 30; number++) {
      const [key, value] =
        name === 'data' ? [`more/${number}`, 'm'.repeat(number * 20)] : [2 ** 31 + number, Buffer.alloc(5000, number)];
      await index.put(key, value);
      known.put(name, key, value);
    }
  }
}

async function openIndexes(db: Engine, filling: Filling): Promise<Indexes | null> {
  const open = async (name: string): Promise<IndexHandle<unknown, unknown>> => {
    const shape = SHAPES[name] as Shape;
    const index = await db.index<unknown, unknown>(name, shape);
    if (!hasIndex(filling.known, name)) filling.known.declare(name, shape);
    return index;
  };
  try {
    return { data: await open('data'), large: await open('large') };
  } catch (error) {
    filling.refusal = pagewrightOnly(error);
    return null;
  }
}

function hasIndex(known: KnownContent, name: string): boolean {
  return known.indexes().some((index: KnownIndex) => index.name === name);
}

/** Begins at once when it runs: writes take effect in the order in which they are called. */
function writeOf(db: Engine, { data, large }: Indexes, number: number, inPlace: boolean): Write {
  const key = `key/${(number * 7919) % 1000}`;
  const value = { number, text: 'text '.repeat(number % 90) };
  const putNow: Write = {
    run: async () => data.putSync(key, value),
    learn: (known) => known.put('data', key, value),
  };
  if (inPlace || number % 6 === 3) return putNow;
  if (number % 11 === 10) {
    const old = `key/${((number - 5) * 7919) % 1000}`;
    return { run: () => data.delete(old), learn: (known) => known.delete('data', old) };
  }
  if (number % 13 === 12) {
    const bytes = Buffer.alloc(1500 + ((number * 911) % 9000), number);
    return { run: () => large.put(number % 300, bytes), learn: (known) => known.put('large', number % 300, bytes) };
  }
  if (number % 5 === 4) {
    const bytes = Buffer.alloc(100, number);
    const other = 1000 + (number % 50);
    return {
      run: () =>
        db.batch([
          { type: 'put', index: data, key, value },
          { type: 'put', index: large, key: other, value: bytes },
        ]),
      learn: (known) => {
        known.put('data', key, value);
        known.put('large', other, bytes);
      },
    };
  }
  return { run: () => data.put(key, value), learn: (known) => known.put('data', key, value) };
}

/** Whether the error says that there was no room, itself or what it came from. */
export function isForWantOfRoom(error: unknown): boolean {
  return (
    isPagewrightError(error, 'PW_FULL') ||
    (error instanceof Error && error.cause !== undefined && isForWantOfRoom(error.cause))
  );
}
