/** Clauses about filling an empty index from sorted entries. */
import { isPagewrightError, MAX_PAGE_SIZE, MIN_PAGE_SIZE } from '@pagewright/core';
import type { HostilePagesOptions } from '../pages/options.js';
import { Random } from '../random.js';
import { onPages } from './index-plugin-failures.js';
import { keyBytes, LENT_CLASSES, type ModeledIndex, valueBytes } from './index-plugin-model.js';
import { randomKey, randomLength, stir } from './index-plugin-steps.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf, naming, withSeeds } from './index-plugin-subject.js';
import { checkTree } from './index-plugin-verification.js';

/** Key and value, in order of key. */
type Entries = readonly (readonly [key: string, value: Uint8Array])[];

const FILLS = [1, 0.5, 0.75];

export const BULK_LOAD_CLAUSES: readonly IndexClause[] = [
  {
    id: 'load-nothing',
    says: 'is empty after a bulk load of nothing, and takes entries',
    needs: ['loads'],
    check(subject) {
      const model = modelOf(subject, { watch: true });
      load(model, [], 1);
      expectWhole(model);
      for (let i = 0; i < 300; i++) model.put(`key/${i}`, i & 0xff, valueBytes(i, i));
      expectWhole(model);
    },
  },
  {
    id: 'load-entries',
    says: 'has after a bulk load what was loaded, with values of every size, as if each entry had been put, and takes changes',
    rules: ['X1', 'X3'],
    needs: ['loads'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const fill of FILLS) {
          const random = new Random(seed).fork(String(fill));
          const model = modelOf(subject, { frames: 16_384 });
          load(model, randomEntries(model, random, random.pick([1, 2, 30, 400, 2500])), fill);
          expectWhole(model);
          stir(model, random, 60);
          for (const key of random.shuffle([...model.sorted]).slice(0, 400)) model.remove(key);
          expectWhole(model);
        }
      });
    },
  },
  {
    id: 'load-every-count',
    says: 'loads any number of entries, also those that fill pages to the brim, on every level',
    needs: ['loads'],
    check(subject) {
      for (const [size, most] of [
        [0, 300],
        [100, 120],
        [900, 40],
      ] as const) {
        for (let count = 1; count <= most; count += count < 40 ? 1 : 7) {
          const model = modelOf(subject);
          const entries = Array.from({ length: count }, (_, at) => [numbered(at), valueBytes(at, size)] as const);
          load(model, entries, 1);
          expectWhole(model);
        }
      }
    },
  },
  {
    id: 'load-limits',
    says: 'loads the largest keys, whatever they share, and the largest values, on pages of every size',
    rules: ['X3'],
    needs: ['loads'],
    check(subject) {
      for (let pageSize = MIN_PAGE_SIZE; pageSize <= MAX_PAGE_SIZE; pageSize *= 2) {
        try {
          const model = modelOf(subject, { pageSize, maxSizeClass: 2, frames: 4096 });
          load(model, largestEntries(model), pageSize === MIN_PAGE_SIZE ? 0.5 : 1);
          expectWhole(model);
          for (const key of model.sorted.filter((_, at) => at % 3 === 0)) model.put(key, 1, valueBytes(3, 5));
          expectWhole(model);
        } catch (error) {
          throw naming(`pages of ${pageSize} bytes`, error);
        }
      }
    },
  },
  {
    id: 'load-private-arguments',
    says: 'keeps nothing of the arrays that a bulk load is given: they may change as soon as `add` returns',
    needs: ['loads'],
    check(subject) {
      for (const lent of LENT_CLASSES) {
        const model = modelOf(subject);
        const { index } = model;
        const loading = index.bulkLoad!(++model.timestamp, 1);
        const value = lent(new Uint8Array(9000));
        for (let i = 0; i < 500; i++) {
          const length = Math.min(model.limits.maxValueSize, i % 60 === 7 ? 9000 : 90);
          const key = lent(keyBytes(numbered(i)));
          value.set(valueBytes(i, length));
          loading.add(key, value.subarray(0, length));
          model.notePut(numbered(i), 0, value.subarray(0, length));
          key.fill(0xee);
          value.fill(0xee);
        }
        loading.finish();
        expectWhole(model);
      }
    },
  },
  {
    id: 'load-pages-in-the-tree',
    says: 'has between two calls of a bulk load every page in the tree, whole in the store’s eyes: each can be evicted, and all be given up',
    rules: ['C2', 'P1'],
    needs: ['loads', 'pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        for (const options of [{ evict: 0.2, relocate: 0.1 }, {}] as const) {
          const model = onPages(modelOf(subject, { watch: true, seed, ...options }));
          const entries = randomEntries(model, random, 600);
          load(model, entries, random.pick(FILLS), () => {
            expect(model.pages.latchesHeld === 0, 'A latch is held');
            if (random.chance(0.1)) model.pages.assertQuiet();
            if (random.chance(0.02)) model.pages.evictAll();
          });
          model.pages.assertQuiet();
          expectWhole(model);
        }
        for (let round = 0; round < 8; round++) expectGivenUp(subject, random);
      });
    },
  },
  {
    id: 'load-fails',
    says: 'passes on what the store throws in a bulk load, with no latch held and no page lost, so that the tree can be given up',
    rules: ['X3'],
    needs: ['loads', 'pages'],
    check(subject) {
      let failures = 0;
      for (const what of ['failAllocation', 'failModify'] as const) {
        for (let nth = 0; nth < 60; nth++) {
          const model = onPages(modelOf(subject, { watch: true }));
          const { pages } = model;
          pages[what] = nth;
          try {
            load(model, randomEntries(model, new Random(nth), 250), 1);
          } catch (error) {
            if (!isPagewrightError(error, 'PW_POOL_EXHAUSTED') && !isPagewrightError(error, 'PW_FULL')) throw error;
            failures++;
          }
          pages[what] = -1;
          pages.assertQuiet();
          expect(pages.releaseTree(model.root, model.timestamp, 1_000_000), 'The tree cannot be given up');
          pages.assertQuiet();
        }
      }
      expect(failures > 60, `Only ${failures} calls of the store failed`);
    },
  },
];

/** Loads entries into an empty index and its model. */
function load(model: ModeledIndex, entries: Entries, fill: number, afterEach: () => void = () => undefined): void {
  const loading = model.index.bulkLoad!(++model.timestamp, fill);
  for (const [key, value] of entries) {
    loading.add(keyBytes(key), new Uint8Array(value));
    model.notePut(key, 0, value);
    afterEach();
  }
  loading.finish();
}

function expectWhole(model: ModeledIndex): void {
  model.expectAgreement();
  const reports = checkTree(model.index, model.pages, model.root);
  expect(reports.length === 0, `check reports ${reports.slice(0, 3).join('; ')}`);
}

/** A load that ends before its time: nothing of it is left when its tree was given up. */
function expectGivenUp(subject: IndexUnderTest, random: Random): void {
  const options: HostilePagesOptions = random.chance(0.5) ? {} : { evict: 0.1 };
  const model = onPages(modelOf(subject, { watch: true, seed: random.below(1000), ...options }));
  const loading = model.index.bulkLoad!(++model.timestamp, 1);
  for (const [key, value] of randomEntries(model, random, random.between(1, 500))) loading.add(keyBytes(key), value);
  model.pages.assertQuiet();
  while (!model.pages.releaseTree(model.root, model.timestamp, 7)) model.pages.assertQuiet();
  expect(model.pages.countPages(model.root) === 0, 'Pages are left');
  model.pages.assertQuiet();
}

function randomEntries(model: ModeledIndex, random: Random, count: number): Entries {
  const { maxKeySize, maxValueSize } = model.limits;
  const keys = new Set(Array.from({ length: count }, () => randomKey(random, maxKeySize)));
  for (let i = random.below(count); i > 0; i--) keys.add(numbered(i).slice(0, maxKeySize));
  const inOrder = [...keys].sort((a, b) => (a < b ? -1 : 1));
  return inOrder.map((key, at) => [key, valueBytes(at, randomLength(random, model.pages.pageSize, maxValueSize))]);
}

/** Few keys, as long as they can be, that differ in the first byte, in the last, or where one ends. */
function largestEntries(model: ModeledIndex): Entries {
  const { maxKeySize, maxValueSize } = model.limits;
  const keys = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const number = String(i).padStart(2, '0');
    keys.add((number + 'a'.repeat(maxKeySize)).slice(0, maxKeySize));
    keys.add('b'.repeat(Math.max(0, maxKeySize - 2)) + number);
    keys.add('c'.repeat(Math.max(1, maxKeySize - i)));
  }
  const inOrder = [...keys].sort((a, b) => (a < b ? -1 : 1));
  const lengths = [0, maxValueSize, 1, model.pages.pageSize >>> 2, 40, 0, 0, model.pages.pageSize >>> 3];
  return inOrder.map((key, at) => [key, valueBytes(at, Math.min(maxValueSize, lengths[at % lengths.length]!))]);
}

function numbered(number: number): string {
  return `key/${String(number).padStart(6, '0')}`;
}
