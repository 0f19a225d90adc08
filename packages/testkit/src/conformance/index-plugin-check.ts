/**
 * Clauses about `check`, and about reads of damaged pages.
 *
 * What can be asked of a check: it knows no checksums, so a byte of a value, or of a key that stays in its place, may
 * change unseen; the page store finds these. But where the reads of an index contradict each other (see
 * `contradictionOf`), or fail, its structure is damaged, and a check of all pages from the root down must report it.
 */
import {
  EntryBatch,
  EntryCount,
  EntryReference,
  isPagewrightError,
  type PageBounds,
  SWIP_NULL,
} from '@pagewright/core';
import { GuardedPages } from '../pages/guarded-pages.js';
import type { HostilePages } from '../pages/hostile-pages.js';
import { swipOffsets } from '../pages/swip-table.js';
import { Random } from '../random.js';
import { bytesOf, contradictionOf, plantDamage, restore, type SoundPage, soundPages } from './index-plugin-damage.js';
import { batches, keyBytes, ModeledIndex, valueBytes } from './index-plugin-model.js';
import { stir } from './index-plugin-steps.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf, naming, withSeeds } from './index-plugin-subject.js';
import { checkTree } from './index-plugin-verification.js';

const OPEN: PageBounds = { lower: null, upper: null };
/** A look-up of a sound index reaches for fewer pages than this, and so must one of a damaged index. */
const MOST_CALLS = 100_000;

/** Said in front of what went wrong there. */
const DISTURBED =
  'with interference at every step, so that no version is ever valid and a read that goes on by itself must take latches';

export const CHECK_CLAUSES: readonly IndexClause[] = [
  {
    id: 'check-clean',
    says: 'reports nothing on sound pages, whatever was put and removed',
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const pageSize of [4096, 65_536]) {
          const model = modelOf(subject, { pageSize, seed, evict: 0.05, relocate: 0.05, frames: 8192 });
          const random = new Random(seed);
          expectClean(model);
          for (let round = 0; round < 8; round++) {
            stir(model, random, 30);
            expectClean(model);
          }
          for (const [at, key] of random.shuffle([...model.sorted]).entries()) {
            model.remove(key);
            if (at % 100 === 0) expectClean(model);
          }
          expectClean(model);
        }
      });
    },
  },
  {
    id: 'check-names-children',
    says: 'gives bounds for each child of a page by the offset of its swip, and for nothing else',
    needs: ['pages'],
    check(subject) {
      for (const model of brittleIndexes(subject)) {
        const { pages } = model;
        for (const { frame, bounds, bytes } of soundPages(model)) {
          const words = new DataView(bytes.buffer, bytes.byteOffset);
          const swips = swipOffsets(bytes).filter((offset) => words.getUint32(offset, true) !== SWIP_NULL);
          const named = [...model.index.check(frame, bounds, () => undefined).keys()].sort((a, b) => a - b);
          expect(
            named.join() === swips.join(),
            `A page of ${pages.sizeOf(frame)} bytes has swips at ${swips.join()}, check names ${named.join()}`,
          );
        }
      }
    },
  },
  {
    id: 'check-survives-damage',
    says: 'neither throws nor reads outside the page nor changes anything, whatever bytes it checks',
    rules: ['M3'],
    needs: ['pages'],
    check(subject) {
      onDamagedPages(subject, 400, (model, { frame, bounds }) => {
        const { pages } = model;
        const before = Buffer.from(bytesOf(pages, frame));
        pages.guarded = true;
        for (const given of [bounds, OPEN]) model.index.check(frame, given, () => undefined);
        pages.guarded = false;
        expect(pages.outside === 0, `It reads ${pages.outside} times outside the page`);
        expect(before.equals(bytesOf(pages, frame)), 'It changes the page');
        expect(pages.latchesHeld === 0, 'It holds a latch');
      });
    },
  },
  {
    id: 'check-reports-damage',
    says: 'reports damage by which look-ups and scans contradict each other or fail',
    needs: ['pages', 'check'],
    check(subject) {
      let contradictions = 0;
      onDamagedPages(subject, 300, (model) => {
        const contradiction = contradictionOf(model.index, model.sorted);
        if (contradiction === null) return;
        contradictions++;
        const reports = checkTree(model.index, model.pages, model.root);
        expect(reports.length > 0, `Nothing is reported, although ${contradiction}`);
      });
      expect(contradictions > 20, `Only ${contradictions} of the damages planted could be told from reads`);
    },
  },
  {
    id: 'reads-survive-damage',
    says: 'reads nothing outside a page, ends, and fails with nothing but a `PagewrightError` on damaged pages',
    rules: ['M3'],
    needs: ['pages'],
    check(subject) {
      onDamagedPages(subject, 150, (model, _, random) => {
        const { pages } = model;
        pages.guarded = true;
        // Whoever is disturbed at each step goes with latches, and through other code.
        const isDisturbed = random.chance(0.3);
        pages.chances.interfere = isDisturbed ? 1 : 0;
        try {
          readAll(model, random);
        } catch (error) {
          throw isDisturbed ? naming(DISTURBED, error) : error;
        }
        pages.chances.interfere = 0;
        pages.guarded = false;
        expect(pages.outside === 0, `They read ${pages.outside} times outside the page`);
        expect(pages.latchesHeld === 0, 'They hold a latch');
      });
    },
  },
];

function expectClean(model: ModeledIndex<HostilePages>): void {
  const reports = checkTree(model.index, model.pages, model.root);
  expect(reports.length === 0, `It reports ${reports.length} things: ${reports.slice(0, 3).join('; ')}`);
}

/** Indexes with few entries on many pages, so that damage does not stay unnoticed: one flat with large values, one high. */
function brittleIndexes({ type }: IndexUnderTest): ModeledIndex<GuardedPages>[] {
  const flat = new ModeledIndex(type, new GuardedPages({ watch: false, frames: 1024 }));
  const large = Math.min(flat.limits.maxValueSize, 3000);
  for (let i = 0; i < 160; i++)
    flat.put(
      `users/${String(i * 3).padStart(6, '0')}/${'abc'.repeat(i % 5)}`,
      i,
      valueBytes(i, i % 32 === 0 ? large : 90),
    );
  const high = new ModeledIndex(type, new GuardedPages({ watch: false, frames: 1024 }));
  const { maxKeySize } = high.limits;
  for (let i = 0; i < 70; i++)
    high.put(
      `${String.fromCharCode(33 + ((i * 37) % 70)).padEnd(maxKeySize - 1, 'k')}k`.slice(0, maxKeySize),
      i,
      valueBytes(i, 40),
    );
  return [flat, high];
}

/** Plants damage on one page or two, looks at what becomes of it, and makes the pages sound again. */
function onDamagedPages(
  subject: IndexUnderTest,
  trials: number,
  look: (model: ModeledIndex<GuardedPages>, damaged: SoundPage, random: Random) => void,
): void {
  withSeeds(subject, (seed) => {
    const random = new Random(seed);
    for (const [which, model] of brittleIndexes(subject).entries()) {
      const { pages } = model;
      const sound = soundPages(model);
      for (let trial = 0; trial < trials; trial++) {
        const damaged = [...new Set([random.pick(sound), random.chance(0.2) ? random.pick(sound) : null])].filter(
          (page) => page !== null,
        );
        const how = damaged.map(({ frame }) => {
          const bytes = bytesOf(pages, frame);
          if (random.chance(0.03)) return random.fill(bytes) && 'all bytes by chance';
          return plantDamage(bytes, random);
        });
        try {
          look(model, damaged[0]!, random);
        } catch (error) {
          throw naming(`index ${which}, trial ${trial}: ${how.join(', and ')}`, error);
        }
        for (const page of damaged) restore(pages, page);
      }
      model.expectAgreement();
    }
  });
}

/** Reads in all ways that an index has. */
function readAll({ index, pages, sorted, limits }: ModeledIndex<GuardedPages>, random: Random): void {
  const someKey = (): Uint8Array => {
    const key = random.pick(sorted);
    return keyBytes(random.chance(0.5) ? key : `${key}${'z'.repeat(random.below(200))}`.slice(0, limits.maxKeySize));
  };
  const reference = new EntryReference();
  for (let i = 0; i < 6; i++) mayBeDamaged(pages, () => index.lookup(someKey(), reference));
  for (const reverse of [false, true]) {
    const from = random.chance(0.5) ? null : someKey();
    const end = random.chance(0.7) ? null : someKey();
    mayBeDamaged(pages, () => {
      const cursor = index.cursor();
      cursor.seek(from, { reverse, end });
      const batch = new EntryBatch();
      let entries = 0;
      for (const _ of batches(cursor, batch)) {
        entries += batch.count;
        expect(entries < 10_000, 'A cursor goes round and round');
      }
    });
    mayBeDamaged(pages, () => {
      const cursor = index.cursor();
      const into = new EntryCount();
      into.end = end;
      cursor.seek(from, { reverse });
      for (let pagesLeft = 10_000; cursor.count?.(into) === true; )
        expect(--pagesLeft > 0, 'A cursor counts without end');
    });
  }
  mayBeDamaged(pages, () => index.estimate?.(someKey(), someKey()));
  mayBeDamaged(pages, () => index.prefetch?.([someKey(), someKey()]));
}

/** An operation on damaged pages: it ends, and fails, if it does, as a store fails. */
function mayBeDamaged(pages: HostilePages, operation: () => void): void {
  pages.callsLeft = MOST_CALLS;
  try {
    operation();
  } catch (error) {
    if (!isPagewrightError(error)) throw error;
  } finally {
    pages.callsLeft = Number.POSITIVE_INFINITY;
  }
}
