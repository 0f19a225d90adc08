/**
 * Stores files in transactions of a few at a time, several under way at once. A transaction writes the files and, into a
 * second index, which files it wrote: so whoever looks later can tell whether a transaction is there by half.
 */
import type { Engine } from '@pagewright/core';
import { type FileRecord, readRecord } from './files.js';

/** Files in one transaction. */
export const FILES_PER_TRANSACTION = 8;
const TRANSACTIONS_AT_ONCE = 8;

export async function openIndexes(db: Engine) {
  return {
    files: await db.index<string, FileRecord>('files', { key: 'utf8', value: 'msgpack' }),
    transactions: await db.index<number, string[]>('transactions', { key: 'u32', value: 'json' }),
  };
}

/** The paths that a transaction writes. */
export function pathsOf(paths: readonly string[], transaction: number): readonly string[] {
  return paths.slice(transaction * FILES_PER_TRANSACTION, (transaction + 1) * FILES_PER_TRANSACTION);
}

export function countTransactions(paths: readonly string[]): number {
  return Math.ceil(paths.length / FILES_PER_TRANSACTION);
}

/** Stores the given transactions, and tells of each one that is durable. */
export async function store(
  db: Engine,
  directory: string,
  paths: readonly string[],
  numbers: readonly number[],
  acknowledge: (transaction: number, files: number) => void,
): Promise<void> {
  const { files, transactions } = await openIndexes(db);
  const queue = [...numbers];
  const work = async (): Promise<void> => {
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      const transaction = number;
      const mine = pathsOf(paths, transaction);
      const records = await Promise.all(mine.map((path) => readRecord(directory, path, transaction)));
      await db.transaction(async (tx) => {
        for (const [index, path] of mine.entries()) tx.put(files, path, records[index] as FileRecord);
        tx.put(transactions, transaction, [...mine]);
      });
      acknowledge(transaction, mine.length);
    }
  };
  await Promise.all(Array.from({ length: TRANSACTIONS_AT_ONCE }, work));
}
