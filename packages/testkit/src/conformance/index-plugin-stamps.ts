/**
 * Clauses about timestamps (X1): a look-up never gives one below the commit that changed the entry, wherever it lies now.
 * Timestamps are doubles, and jump by 2 ** 32 after each crash: each clause is asked on both sides of multiples of that, where
 * the low words of later ones are below those of earlier ones, up to near 2 ** 53.
 */
import { EntryBatch, TAG_TOMBSTONE, TAG_VALUE } from '@pagewright/core';
import type { HostilePages } from '../pages/hostile-pages.js';
import { Random } from '../random.js';
import { batches, keyText, type ModeledIndex, nameOf, valueBytes } from './index-plugin-model.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf, naming, withSeeds } from './index-plugin-subject.js';

const JUMP = 2 ** 32;
/** What timestamps are counted from, so that what a clause adds goes across a multiple of the jump, sooner or later. */
const EPOCHS = [0, JUMP - 500, 3 * JUMP - 1_500_000, Number.MAX_SAFE_INTEGER + 1 - JUMP - 500_000];

export const STAMP_CLAUSES: readonly IndexClause[] = [
  {
    id: 'stamp-of-changes',
    says: 'gives a timestamp with each entry that is not below its last change, nor above the last commit',
    rules: ['X1'],
    check(subject) {
      inEpochs(subject, (random, epoch) => {
        const model = modelFrom(subject, epoch);
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
      inEpochs(subject, (random, epoch) => {
        const model = modelFrom(subject, epoch);
        const large = Math.min(model.limits.maxValueSize, model.pages.pageSize);
        // Few entries of late commits among many of early ones, which split the pages that they are on, and then empty them.
        for (let i = 0; i < 40; i++) model.put(keyOf(i * 20), 0, valueBytes(i, 50), epoch + 1_000_000 + i);
        const others = random.shuffle(Array.from({ length: 800 }, (_, at) => at).filter((at) => at % 20 !== 0));
        for (const [at, n] of others.entries())
          model.put(keyOf(n), 0, valueBytes(n, n % 50 === 1 ? large : 150), epoch + 100 + at);
        expectStamps(model);
        for (const [at, n] of random.shuffle(others).entries()) {
          model.remove(keyOf(n), epoch + 2000 + at);
          if (at % 150 === 0) expectStamps(model);
        }
        expectStamps(model);
        // The same for removals of late commits, of which nothing is left but the timestamp.
        for (let i = 0; i < 40; i++) model.remove(keyOf(i * 20), epoch + 2_000_000 + i);
        for (const [at, n] of others.entries()) model.put(keyOf(n), 0, valueBytes(n, 150), epoch + 5000 + at);
        expectStamps(model);
      });
    },
  },
  {
    id: 'stamp-merges',
    says: 'takes the higher timestamp along where pages that were emptied become one, also by an older commit',
    rules: ['X1'],
    check(subject) {
      inEpochs(subject, (random, epoch) => {
        for (const order of ['up', 'down', 'random'] as const) {
          const model = modelFrom(subject, epoch);
          for (let n = 0; n < 600; n++) model.put(keyOf(n), 0, valueBytes(n, 150), epoch + 20);
          // So few late commits that most pages have none, when the pages are what they will be.
          const late = random.shuffle(Array.from({ length: 600 }, (_, n) => n)).slice(0, 10);
          for (const [at, n] of late.entries()) {
            if (at % 3 === 2) model.remove(keyOf(n), epoch + 1_000_000 + at);
            else model.put(keyOf(n), 0, valueBytes(at, 150), epoch + 1_000_000 + at);
          }
          const others = Array.from({ length: 600 }, (_, n) => n).filter((n) => !late.includes(n));
          if (order === 'down') others.reverse();
          if (order === 'random') random.shuffle(others);
          for (const [at, n] of others.entries()) {
            model.remove(keyOf(n), epoch + 30 + at);
            // Later changes of the page would cover what was lost.
            for (const one of late) model.expectEntry(keyOf(one));
          }
          expectStamps(model);
        }
      });
    },
  },
  {
    id: 'stamp-of-equal-values',
    says: 'gives the timestamp of a commit that put what was there already, value and tag, too',
    rules: ['X1'],
    check(subject) {
      inEpochs(subject, (_, epoch) => {
        const model = modelFrom(subject, epoch);
        const large = Math.min(model.limits.maxValueSize, 2 * model.pages.pageSize);
        for (const [n, length] of [0, 1, 80, large].entries()) {
          for (const tag of [TAG_VALUE, TAG_TOMBSTONE]) {
            const value = valueBytes(n, tag === TAG_TOMBSTONE ? 0 : length);
            for (let times = 0; times < 3; times++) {
              model.put(keyOf(2 * n + tag), tag, value, model.timestamp + 300_000);
              model.expectEntry(keyOf(2 * n + tag));
            }
          }
        }
        expectStamps(model);
      });
    },
  },
  {
    id: 'stamp-of-batches',
    says: 'gives a timestamp with each batch that is not below that of any entry in it',
    rules: ['X1'],
    check(subject) {
      inEpochs(subject, (random, epoch) => {
        const model = modelFrom(subject, epoch);
        for (let step = 0; step < 900; step++)
          model.put(keyOf(random.below(400)), 0, valueBytes(step, 80), epoch + random.between(11, 2_000_000));
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
      inEpochs(subject, (random, epoch) => {
        for (let round = 0; round < 12; round++) {
          const model = modelFrom(subject, epoch);
          const numbers = Array.from({ length: 400 }, (_, n) => n);
          for (const n of numbers) model.put(keyOf(n), 0, valueBytes(n, 80), epoch + 11);
          // Few, so that now and then one was the last of its page, and the page behind it was not changed as late.
          for (const n of random.shuffle(numbers).slice(0, 40))
            model.remove(keyOf(n), epoch + random.between(12, 2_000_000));
          const gone = [...model.removed.keys()].sort();
          for (const key of gone) for (const reverse of [false, true]) expectGaps(model, key, reverse, gone);
        }
      });
    },
  },
];

/** Runs with each seed, from each of the epochs; what it throws names both. */
function inEpochs(subject: IndexUnderTest, run: (random: Random, epoch: number) => void): void {
  withSeeds(subject, (seed) => {
    for (const epoch of EPOCHS) {
      try {
        run(new Random(seed), epoch);
      } catch (error) {
        throw naming(`with timestamps from ${epoch} on`, error);
      }
    }
  });
}

/** A new index whose last commit was that of the epoch. */
function modelFrom(subject: IndexUnderTest, epoch: number): ModeledIndex<HostilePages> {
  const model = modelOf(subject);
  model.timestamp = epoch + 10;
  return model;
}

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
