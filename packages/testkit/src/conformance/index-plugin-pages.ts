/** Clauses about what an index does with pages: latches, marks, swips, pages that come back, and opening again. */
import { EntryBatch, EntryReference, PAGE_INDEX, type PageBounds } from '@pagewright/core';
import { HostilePages } from '../pages/hostile-pages.js';
import { Random } from '../random.js';
import { batches, keyBytes, ModeledIndex, valueBytes } from './index-plugin-model.js';
import { stir } from './index-plugin-steps.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf, withSeeds } from './index-plugin-subject.js';

const OPEN: PageBounds = { lower: null, upper: null };

export const PAGE_CLAUSES: readonly IndexClause[] = [
  {
    id: 'marks-before-it-changes',
    says: 'changes a page only between `modify` and `unlatch`, and leaves what is the store’s alone',
    rules: ['C2', 'X1'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const model = modelOf(subject, { watch: true, seed });
        stir(model, new Random(seed), 250, () => model.pages.assertQuiet());
        removeAll(model, new Random(seed), () => model.pages.assertQuiet());
      });
    },
  },
  {
    id: 'latches-given-back',
    says: 'holds no latch when a method returns, however often other threads got in its way',
    rules: ['M2'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const model = modelOf(subject, { seed, interfere: 0.6 });
        const expectNone = () => expect(model.pages.latchesHeld === 0, `${model.pages.latchesHeld} latches are held`);
        stir(model, new Random(seed), 200, expectNone);
        readAround(model, expectNone);
      });
    },
  },
  {
    id: 'reading-marks-nothing',
    says: 'marks and allocates no page to read, to check, or to remove what is not there',
    rules: ['C2'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const model = modelOf(subject);
        stir(model, new Random(seed), 100);
        const { marks, allocations } = model.pages.counts;
        const expectNone = () => {
          const { counts } = model.pages;
          expect(counts.marks === marks, `${counts.marks - marks} pages were marked`);
          expect(counts.allocations === allocations, `${counts.allocations - allocations} pages were allocated`);
        };
        readAround(model, expectNone);
      });
    },
  },
  {
    id: 'pages-reached-once',
    says: 'reaches each of its pages by one swip of one table, loses none, and has its number on all of them',
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const model = modelOf(subject);
        stir(model, new Random(seed), 250, () => model.pages.assertQuiet());
        const expectNumbers = () => {
          const { pages } = model;
          pages.walk(model.root, (frame) => {
            const number = pages.segmentOf(frame).u32[(pages.baseOf(frame) + PAGE_INDEX) >>> 2];
            expect(number === model.number, `A page of index ${model.number} has the number ${number}`);
          });
        };
        expectNumbers();
        removeAll(model, new Random(seed), () => model.pages.assertQuiet());
        expectNumbers();
      });
    },
  },
  {
    id: 'pages-come-back',
    says: 'has no more than a page or two above those of an empty index when all entries are gone',
    needs: ['pages', 'shrinks'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        for (const order of ['up', 'down', 'random'] as const) {
          const model = modelOf(subject);
          const empty = model.pages.countPages(model.root);
          const large = Math.min(model.limits.maxValueSize, 2 * model.pages.pageSize);
          for (let i = 0; i < 1500; i++)
            model.put(`key/${String(i).padStart(6, '0')}`, 0, valueBytes(i, i % 50 === 0 ? large : 150));
          const most = model.pages.countPages(model.root);
          const keys = [...model.sorted];
          if (order === 'down') keys.reverse();
          if (order === 'random') random.shuffle(keys);
          for (const key of keys) model.remove(key);
          const left = model.pages.countPages(model.root);
          expect(left <= empty + 2, `Of ${most} pages ${left} are left, an empty index has ${empty}`);
        }
      });
    },
  },
  {
    id: 'opens-again',
    says: 'finds all of it again when it is opened on the same root, with every page cold',
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const model = modelOf(subject);
        model.reopen();
        model.expectAgreement();
        const random = new Random(seed);
        for (let round = 0; round < 3; round++) {
          stir(model, random, 80);
          model.pages.evictAll();
          model.reopen();
          model.expectAgreement();
        }
      });
    },
  },
  {
    id: 'several-in-one-store',
    says: 'keeps apart what several indexes of one store hold, and what is left when one is dropped',
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const pages = new HostilePages({ seed, relocate: 0.02, evict: 0.02 });
        const modelAt = (at: number) => new ModeledIndex(subject.type, pages, pages.rootOf(at), at + 1);
        const [first, dropped, last] = [modelAt(0), modelAt(1), modelAt(2)] as const;
        const random = new Random(seed);
        for (let round = 0; round < 30; round++) for (const model of [first, dropped, last]) stir(model, random, 3);
        for (const model of [first, dropped, last]) model.expectAgreement();
        expect(pages.releaseTree(dropped.root, 1_000_000, 1_000_000), 'The store did not reach the end of its pages');
        pages.assertQuiet();
        for (const model of [first, last]) {
          stir(model, random, 20);
          model.expectAgreement();
        }
        pages.assertQuiet();
      });
    },
  },
  {
    id: 'height',
    says: 'says how high it is: a whole number, not below 0, which does not fall as it grows',
    check(subject) {
      const model = modelOf(subject);
      let before = 0;
      for (let i = 0; i < 2000; i++) {
        model.put(`key/${String(i).padStart(6, '0')}`, 0, valueBytes(i, 100));
        if (i % 200 !== 0) continue;
        const { height } = model.index.stats();
        expect(Number.isSafeInteger(height) && height >= before, `The height is ${height} after ${before}`);
        before = height;
      }
      model.expectAgreement();
    },
  },
  ...hostileClauses(),
];

/** Random operations while the store does each of the things that it may do, and all of them together. */
function hostileClauses(): IndexClause[] {
  const clause = (id: string, says: string, rules: readonly string[], chances: HostileChances): IndexClause => ({
    id,
    says: `is right ${says}`,
    rules,
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const pageSize of [4096, 16_384, 65_536]) stirHostile(subject, seed, pageSize, chances);
      });
    },
  });
  return [
    clause('store-relocates', 'while pages move to other frames', ['M1'], { relocate: 0.2 }),
    clause('store-evicts', 'while pages are evicted and loaded', ['P1'], { evict: 0.2 }),
    clause('store-interferes', 'while other threads get in its way', ['M2'], { interfere: 0.4 }),
    clause('store-tears', 'while pages that it reads are being written', ['M2', 'M3'], { tear: 0.2 }),
    clause('store-does-all', 'while the store does all of this at once', ['M1', 'M2', 'M3'], {
      relocate: 0.05,
      evict: 0.05,
      interfere: 0.05,
      tear: 0.05,
    }),
  ];
}

type HostileChances = Partial<HostilePages['chances']>;

function stirHostile(subject: IndexUnderTest, seed: number, pageSize: number, chances: HostileChances): void {
  const model = modelOf(subject, { ...chances, watch: true, pageSize, seed, frames: 8192 });
  const random = new Random(seed);
  stir(model, random, pageSize === 4096 ? 200 : 80);
  model.expectAgreement();
  model.pages.assertQuiet();
  removeAll(model, random, () => undefined);
  model.expectAgreement();
  model.pages.assertQuiet();
}

function removeAll(model: ModeledIndex<HostilePages>, random: Random, afterEach: () => void): void {
  for (const [at, key] of random.shuffle([...model.sorted]).entries()) {
    model.remove(key);
    if (at % 20 === 0) afterEach();
  }
  afterEach();
}

/** Everything that reads, and removals of what is not there; calls back after each. */
function readAround(model: ModeledIndex<HostilePages>, afterEach: () => void): void {
  const reference = new EntryReference();
  for (const key of [...model.sorted.slice(0, 40), 'missing', '\x00\x00\x00']) {
    for (const wantsValue of [true, false]) {
      reference.wantsValue = wantsValue;
      model.index.lookup(keyBytes(key), reference);
      afterEach();
    }
    model.index.remove(keyBytes(`${key}?not there`.slice(-model.limits.maxKeySize)), ++model.timestamp);
    afterEach();
  }
  for (const reverse of [false, true]) {
    const cursor = model.index.cursor();
    const batch = new EntryBatch();
    cursor.seek(null, { reverse });
    afterEach();
    for (const _ of batches(cursor, batch)) afterEach();
  }
  model.index.stats();
  afterEach();
  const { interfere } = model.pages.chances;
  model.pages.chances.interfere = 0;
  model.pages.walk(model.root, (frame) => {
    model.index.check(frame, OPEN, () => undefined);
    afterEach();
  });
  model.pages.chances.interfere = interfere;
}
