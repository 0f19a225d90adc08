/** Faults in what makes transactions serializable, with the clauses that find them. */
import { type Isolation, PagewrightError, type ScanBounds, type Target, type TransactionCore } from '@pagewright/core';
import type { NewConcurrency } from '../src/index.js';
import { changed, insideAll, withTarget } from './concurrency-faulty.js';
import { over } from './over.js';

/** What a transaction has read, where faults are planted. */
interface Reads {
  noteKey(target: Target, key: Uint8Array): void;
  noteRange(target: Target, bounds: ScanBounds): { reach(key: Uint8Array | null, isWhole: boolean): void };
  validate(): void;
}

function onReads(change: (reads: Reads, transaction: TransactionCore) => void): NewConcurrency {
  return changed((mvcc) => ({
    begin: (isolation?: Isolation) => {
      const transaction = mvcc.begin(isolation);
      const reads: Reads | null = Reflect.get(transaction, 'reads');
      if (reads !== null) change(reads, transaction);
      return transaction;
    },
  }));
}

export const SERIALIZABLE_FAULTS: [string, NewConcurrency, string[]][] = [
  [
    'lets snapshot isolation do',
    changed((mvcc) => ({ begin: () => mvcc.begin('snapshot') })),
    ['write-skew', 'reads-are-kept', 'cleared-after-it-was-read', 'changed-in-the-midst', 'one-after-the-other'],
  ],
  [
    'makes all transactions serializable',
    changed((mvcc) => ({ begin: () => mvcc.begin('serializable') })),
    ['write-skew'],
  ],
  [
    'forgets which keys it has read',
    onReads((reads) => {
      reads.noteKey = () => {};
    }),
    ['write-skew', 'reads-are-kept', 'cleared-after-it-was-read', 'changed-in-the-midst', 'one-after-the-other'],
  ],
  [
    'forgets which ranges it has read',
    onReads((reads) => {
      reads.noteRange = () => ({ reach: () => {} });
    }),
    ['reads-are-kept', 'changed-in-the-midst', 'one-after-the-other'],
  ],
  [
    'takes the entries of a range for all that was read',
    onReads((reads) => {
      const noteRange = reads.noteRange.bind(reads);
      reads.noteRange = (target, bounds) => {
        const range = noteRange(target, bounds);
        const reach = range.reach.bind(range);
        range.reach = (key) => reach(key, false);
        return range;
      };
    }),
    ['reads-are-kept', 'changed-in-the-midst'],
  ],
  [
    'takes ranges for read to their ends',
    onReads((reads) => {
      const noteRange = reads.noteRange.bind(reads);
      reads.noteRange = (target, bounds) => {
        const range = noteRange(target, bounds);
        range.reach(null, true);
        range.reach = () => {};
        return range;
      };
    }),
    ['reads-are-kept', 'changed-in-the-midst'],
  ],
  [
    'looks for changes of what it has read only when it begins to commit',
    insideAll<{ path: object }>(({ path }) => {
      Reflect.set(path, 'validateAgain', () => {});
    }),
    ['changed-in-the-midst'],
  ],
  [
    'looks for changes of what it has read before those that are logged are in place',
    insideAll<{ path: object }>(({ path }) => {
      Reflect.set(path, 'validateAgain', (reads: Reads) => reads.validate());
    }),
    ['logged-and-not-in-place'],
  ],
  [
    'refuses one that writes nothing',
    onReads((reads, transaction) => {
      const { commit } = transaction;
      transaction.commit = (dependence) => {
        reads.validate();
        return commit.call(transaction, dependence);
      };
    }),
    ['readers-are-never-refused'],
  ],
  [
    'refuses all that write',
    onReads((reads) => {
      reads.validate = () => {
        throw new PagewrightError('PW_CONFLICT', 'changed');
      };
    }),
    ['reads-are-kept', 'own-reads', 'one-after-the-other'],
  ],
  [
    'does not look whether what it has read was cleared',
    withTarget((target) => ({ incarnation: Math.min(target.incarnation, 4) })),
    ['cleared-after-it-was-read'],
  ],
  [
    'reads the newest state',
    changed((mvcc) => ({
      begin: (isolation) => {
        const transaction = mvcc.begin(isolation);
        return over(transaction, {
          lookup: (target, key, into) => mvcc.lookup(target, key, into, null),
        });
      },
    })),
    ['one-after-the-other', 'own-reads'],
  ],
];
