/**
 * Holds a store to what a writer of the endless script was told: every acknowledged transaction is there, each one whole,
 * and nothing else. The content is compared to the last byte with what follows from the counts of the lanes.
 */
import type { Engine } from '@pagewright/core';
import {
  contentAfter,
  INDEXES,
  type IndexName,
  interludeAfter,
  LANES,
  lastStretchBefore,
  STRETCH,
} from './endless-script.js';
import type { WriterRecord } from './writer-record.js';

type Entries = ReadonlyMap<string, Uint8Array>;

/** Throws if the store does not hold what it must (L1). Writes nothing. */
export async function checkEndlessWork(db: Engine, told: WriterRecord): Promise<void> {
  const found = new Map<IndexName, Entries | null>();
  for (const name of INDEXES) found.set(name, await entriesOf(db, name));
  const counts = countsIn(found.get('counts') ?? null);
  for (const [lane, count] of counts.entries()) {
    const acknowledged = told.acknowledged[lane] as number;
    if (count < acknowledged) {
      throw new Error(
        `Transaction ${acknowledged} of lane ${lane} was acknowledged; the last one that is there is ${count}.`,
      );
    }
  }
  const stretch = Math.ceil(Math.max(...counts) / STRETCH);
  if (Math.min(...counts) < (stretch - 1) * STRETCH) {
    throw new Error(`No lane may be a stretch ahead of another: ${counts.join(', ')}.`);
  }
  const problems = statesAllowed(counts, stretch, told).map((allowed) => differenceBetween(found, allowed));
  if (problems.includes(null)) return;
  if (told.done >= stretch && statesAround(counts, stretch).some((state) => differenceBetween(found, state) === null)) {
    const what = `${interludeAfter(stretch)} after ${stretch * STRETCH} transactions of each lane`;
    throw new Error(`The ${what} was acknowledged, and is not there, or by half.`);
  }
  throw new Error(`With counts ${counts.join(', ')}: ${problems.join(' Or: ')}`);
}

type Allowed = ReadonlyMap<IndexName, Entries | null>;

/** One state, or two or three where an interlude was perhaps under way. Null: there is no such index. */
function statesAllowed(counts: readonly number[], stretch: number, told: WriterRecord): Allowed[] {
  const before = allowedAfter(counts, stretch - 1);
  if (Math.max(...counts) === 0) {
    return told.ready ? [before] : [...INDEXES.keys(), INDEXES.length].map((made) => only(before, made));
  }
  const isOver = counts.every((count) => count === stretch * STRETCH);
  if (!isOver) return [before];
  return told.done >= stretch ? [allowedAfter(counts, stretch)] : statesAround(counts, stretch);
}

/** Before, perhaps in the midst of, and after the interlude that follows a stretch. */
function statesAround(counts: readonly number[], stretch: number): Allowed[] {
  const before = allowedAfter(counts, stretch - 1);
  const after = allowedAfter(counts, stretch);
  return interludeAfter(stretch) === 'drop' ? [before, new Map(after).set('dropped', null), after] : [before, after];
}

function allowedAfter(counts: readonly number[], stretch: number): Allowed {
  return contentAfter(counts, {
    cleared: lastStretchBefore('clear', stretch),
    dropped: lastStretchBefore('drop', stretch),
  });
}

/** Indexes are made one after the other. */
function only(state: Allowed, made: number): Allowed {
  return new Map(INDEXES.map((name, at) => [name, at < made ? (state.get(name) ?? null) : null]));
}

function countsIn(entries: Entries | null): number[] {
  return Array.from({ length: LANES }, (_, lane) => {
    const value = entries?.get(String(lane));
    return value === undefined ? 0 : Number(Buffer.from(value).toString());
  });
}

async function entriesOf(db: Engine, name: IndexName): Promise<Entries | null> {
  if (!db.indexes().some((index) => index.name === name)) return null;
  const index = await db.index(name, { key: 'utf8', value: 'buffer' });
  const entries = new Map<string, Uint8Array>();
  for await (const [key, value] of index.range()) {
    if (entries.has(key)) throw new Error(`${name} hands out ${key} twice.`);
    entries.set(key, value);
  }
  return entries;
}

/** In words; null if there is none. */
function differenceBetween(found: Allowed, allowed: Allowed): string | null {
  for (const name of INDEXES) {
    const are = found.get(name) ?? null;
    const must = allowed.get(name) ?? null;
    if (are === null && must === null) continue;
    if (are === null || must === null) return `The index ${name} is ${are === null ? 'missing' : 'there'}.`;
    for (const [key, value] of must) {
      const is = are.get(key);
      if (is === undefined) return `${name} lacks ${key}.`;
      if (Buffer.compare(is, value) !== 0) return `${name} has another value under ${key}.`;
    }
    for (const key of are.keys()) if (!must.has(key)) return `${name} has ${key}, which is not there any more.`;
  }
  return null;
}
