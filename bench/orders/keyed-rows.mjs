/** Rows as engines of keys and values have them: the columns of the key apart from the others. */
import { TABLES } from './tables.mjs';

/** The other columns. */
export function withoutKey(table, row) {
  const rest = {};
  for (const column of Object.keys(TABLES[table].columns)) rest[column] = row[column];
  return rest;
}

/** The row that an entry is. Changes it. */
export function rowOf(table, key, rest) {
  for (const [at, column] of Object.keys(TABLES[table].key).entries()) rest[column] = key[at];
  return rest;
}

export function* chunksOf(rows, size) {
  let chunk = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
