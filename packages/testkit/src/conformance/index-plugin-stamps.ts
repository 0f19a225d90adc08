/** Clauses about timestamps (X1): a look-up never gives one below the commit that changed the entry, wherever it lies now. */
import { EntryBatch } from '@pagewright/core';
import { Random } from '../random.js';
import { batches, keyText, type ModeledIndex, nameOf, valueBytes } from './index-plugin-model.js';
import { expect, type IndexClause, modelOf, withSeeds } from './index-plugin-subject.js';

export const STAMP_CLAUSES: readonly IndexClause[] = [
  {
    id: 'stamp-of-changes',
    says: 'gives a timestamp with each entry that is not below its last change, nor above the last commit',
    rules: ['X1'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = modelOf(subject);
        // The model holds the timestamp of each look-up against that of the entry's last change.
        for (let step = 0; step < 1500; step++) {
          const key = keyOf(random.below(500));
          if (random.chance(0.3)) model.remove(key);
          else model.put(key, 0, valueBytes(step, random.below(200)));
          model.expectEntry(key);
          model.expectEntry(keyOf(random.below(500)));
        }
        model.expectAgreement();
      });
    },
  },
  {
    id: 'stamp-moves',
    says: 'takes the higher timestamp along where entries move to other pages, also by an older commit',
    rules: ['X1'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = modelOf(subject);
        const large = Math.min(model.limits.maxValueSize, model.pages.pageSize);
        // Few entries of late commits among many of early ones, which split the pages that they are on, and then empty them.
        for (let i = 0; i < 40; i++) model.put(keyOf(i * 20), 0, valueBytes(i, 50), 1_000_000 + i);
        const others = random.shuffle(Array.from({ length: 800 }, (_, at) => at).filter((at) => at % 20 !== 0));
        for (const [at, n] of others.entries())
          model.put(keyOf(n), 0, valueBytes(n, n % 50 === 1 ? large : 150), 100 + at);
        expectStamps(model);
        for (const [at, n] of random.shuffle(others).entries()) {
          model.remove(keyOf(n), 2000 + at);
          if (at % 150 === 0) expectStamps(model);
        }
        expectStamps(model);
        // The same for removals of late commits, of which nothing is left but the timestamp.
        for (let i = 0; i < 40; i++) model.remove(keyOf(i * 20), 2_000_000 + i);
        for (const [at, n] of others.entries()) model.put(keyOf(n), 0, valueBytes(n, 150), 5000 + at);
        expectStamps(model);
      });
    },
  },
  {
    id: 'stamp-of-batches',
    says: 'gives a timestamp with each batch that is not below that of any entry in it',
    rules: ['X1'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = modelOf(subject);
        for (let step = 0; step < 900; step++)
          model.put(keyOf(random.below(400)), 0, valueBytes(step, 80), random.between(11, 100_000));
        for (const reverse of [false, true]) {
          const cursor = model.index.cursor();
          const batch = new EntryBatch();
          batch.limit = 30;
          cursor.seek(null, { reverse });
          for (const _ of batches(cursor, batch)) {
            for (let i = 0; i < batch.count; i++) {
              const key = keyText(batch.keys[i]!);
              const { stamp } = model.entries.get(key)!;
              expect(batch.timestamp >= stamp, `${nameOf(key)} of ${stamp} is in a batch of ${batch.timestamp}`);
            }
          }
        }
      });
    },
  },
  {
    id: 'stamp-of-gaps',
    says: 'gives a timestamp with what it goes past that is not below that of any removal there, also where nothing is left, and at the end',
    rules: ['X1'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        for (let round = 0; round < 12; round++) {
          const model = modelOf(subject);
          const numbers = Array.from({ length: 400 }, (_, n) => n);
          for (const n of numbers) model.put(keyOf(n), 0, valueBytes(n, 80), 11);
          // Few, so that now and then one was the last of its page, and the page behind it was not changed as late.
          for (const n of random.shuffle(numbers).slice(0, 40)) model.remove(keyOf(n), random.between(12, 1000));
          const gone = [...model.removed.keys()].sort();
          for (const key of gone) for (const reverse of [false, true]) expectGaps(model, key, reverse, gone);
        }
      });
    },
  },
];

/** Scans some way from a key that is not there on. What lies behind the last entry of a batch may have been gone past with it. */
function expectGaps(model: ModeledIndex, from: string, reverse: boolean, gone: readonly string[]): void {
  const cursor = model.index.cursor();
  const batch = new EntryBatch();
  batch.limit = 30;
  cursor.seek(Buffer.from(from, 'latin1'), { reverse });
  const isPast = (key: string, other: string): boolean => (reverse ? key <= other : key >= other);
  let begin = from;
  let highest = 0;
  for (let more = true, parts = 0; more && parts < 3; parts++) {
    do {
      more = cursor.next(batch);
      highest = Math.max(highest, batch.timestamp);
    } while (more && batch.count === 0);
    const end = batch.count > 0 ? keyText(batch.keys[batch.count - 1]!) : null;
    for (const key of gone) {
      if (!isPast(key, begin) || (end !== null && !isPast(end, key))) continue;
      const stamp = model.removed.get(key)!;
      expect(highest >= stamp, `${nameOf(key)}, removed by ${stamp}, was gone past with ${highest}`);
    }
    if (end !== null) begin = end;
  }
}

function keyOf(n: number): string {
  return `key/${String(n).padStart(6, '0')}`;
}

function expectStamps(model: ModeledIndex): void {
  for (const key of model.entries.keys()) model.expectEntry(key);
  for (const key of model.removed.keys()) model.expectEntry(key);
}
