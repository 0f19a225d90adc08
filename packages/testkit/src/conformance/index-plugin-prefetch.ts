/** Clauses about asking ahead for the pages that look-ups will miss. */
import { EntryReference } from '@pagewright/core';
import { Random } from '../random.js';
import { someEntries } from './index-plugin-entries.js';
import { onPages } from './index-plugin-failures.js';
import { keyBytes } from './index-plugin-model.js';
import { randomKey, stir } from './index-plugin-steps.js';
import { expect, type IndexClause, modelOf, withSeeds } from './index-plugin-subject.js';

/** Higher is no index. */
const MOST_LEVELS = 64;

export const PREFETCH_CLAUSES: readonly IndexClause[] = [
  {
    id: 'prefetch-brings-pages',
    says: 'has the store prefetch what look-ups of keys would miss, level by level, until they miss nothing',
    rules: ['M5'],
    needs: ['pages', 'prefetches'],
    check(subject) {
      const model = onPages(someEntries(subject));
      const { pages, index } = model;
      const keys = model.sorted.filter((_, at) => at % 40 === 0).map(keyBytes);
      pages.evictAll();
      pages.faulting = true;
      try {
        for (let wanted = -1, level = 0; wanted !== pages.counts.wanted; level++) {
          expect(level < MOST_LEVELS, 'It asks for pages again and again');
          wanted = pages.counts.wanted;
          index.prefetch!(keys);
        }
        const { loads } = pages.counts;
        expect(loads > 1, 'It has asked for nothing, although all pages were cold');
        const reference = new EntryReference();
        reference.wantsValue = false;
        for (const key of keys) expect(index.lookup(key, reference), 'An entry is missing');
        expect(pages.counts.loads === loads, 'A look-up has loaded a page that was not asked for');
      } finally {
        pages.faulting = false;
      }
    },
  },
  {
    id: 'prefetch-changes-nothing',
    says: 'changes nothing, faults nowhere and holds no latch by asking ahead, whatever goes on beside it',
    rules: ['M2', 'M3', 'M5'],
    needs: ['pages', 'prefetches'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const hostility = { relocate: 0.02, evict: 0.1, interfere: 0.05, tear: 0.05, prefetch: 0.5 };
        const model = modelOf(subject, { watch: true, seed, ...hostility });
        const random = new Random(seed);
        stir(model, random, 150, (step) => {
          const keys = Array.from({ length: random.below(12) }, () => randomKey(random, model.limits.maxKeySize));
          const before = model.pages.counts.marks;
          model.pages.faulting = step % 2 === 0;
          model.index.prefetch!(keys.map(keyBytes));
          model.pages.faulting = false;
          expect(model.pages.latchesHeld === 0, 'A latch is held afterwards');
          expect(model.pages.counts.marks === before, 'A page was changed');
        });
        model.expectAgreement();
        model.pages.assertQuiet();
      });
    },
  },
];
