/** Clauses about counting entries without handing them out, and about estimates of how many there are. */
import { EntryBatch, EntryCount, TAG_VALUE } from '@pagewright/core';
import { Random } from '../random.js';
import { someEntries } from './index-plugin-entries.js';
import { onPages, withFaults } from './index-plugin-failures.js';
import { keyBytes, type ModeledIndex, nameOf, type ScanForm, valueBytes } from './index-plugin-model.js';
import { randomKey, stir } from './index-plugin-steps.js';
import { expect, type IndexClause, modelOf, withSeeds } from './index-plugin-subject.js';

/** A scan, and where it ends. */
interface CountForm extends ScanForm {
  readonly end: string | null;
  readonly inclusive: boolean;
}

/** Long runs of deleted entries among others. */
function isDeleted(at: number): boolean {
  return at % 800 >= 100 && at % 800 < 700;
}

function keyAt(at: number): string {
  return `key/${String(at).padStart(5, '0')}`;
}

/** More calls are no count that goes on, but one that does not end. */
const MOST_CALLS = 1_000_000;
/** An estimate of entries that are all alike is not further off than this, whatever the index. */
const FARTHEST = 3;

export const COUNT_CLAUSES: readonly IndexClause[] = [
  {
    id: 'count-ranges',
    says: 'counts the entries of any range, either way, and how many of them are no tombstones',
    needs: ['counts'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = modelOf(subject, { seed, relocate: 0.01, evict: 0.02, interfere: 0.05, tear: 0.05 });
        expectCounted(model, { from: null, exclusive: false, reverse: false, end: null, inclusive: false });
        for (let round = 0; round < 4; round++) {
          stir(model, random, 60);
          for (let i = 0; i < 60; i++) expectCounted(model, randomForm(model, random));
        }
      });
    },
  },
  {
    id: 'count-at-the-edges',
    says: 'counts an entry at either edge of a range if the edge is meant to be part of it, and nothing in a range that ends before it begins',
    needs: ['counts'],
    check(subject) {
      const model = someEntries(subject);
      const keys = [...model.sorted.filter((_, at) => at % 23 === 0), model.sorted.at(-1)!, '\x00', '\xff\xff'];
      for (const from of keys)
        for (const end of keys)
          for (const options of [0, 1, 2, 3, 4, 5, 6, 7])
            expectCounted(model, {
              from,
              end,
              exclusive: (options & 1) !== 0,
              inclusive: (options & 2) !== 0,
              reverse: (options & 4) !== 0,
            });
    },
  },
  {
    id: 'count-stops-at-new-pages',
    says: 'counts no entry of a page that is newer than it may be: says so, and stands before it, so that `next` hands it out',
    rules: ['X1'],
    needs: ['counts'],
    check(subject) {
      const model = modelOf(subject);
      for (let i = 0; i < 1200; i++) model.put(`key/${String(i).padStart(5, '0')}`, 0, valueBytes(i, 60));
      const newest = model.timestamp;
      for (const key of model.sorted.filter((_, at) => at % 400 === 77)) model.put(key, 1, valueBytes(1, 60));
      for (const reverse of [false, true]) {
        const cursor = model.index.cursor();
        cursor.seek(null, { reverse });
        const into = new EntryCount();
        into.newest = newest;
        const batch = new EntryBatch();
        batch.wantsValues = false;
        let counted = 0;
        let handedOut = 0;
        const changed = new Set<string>();
        for (let calls = 0; cursor.count!(into); calls++) {
          expect(calls < MOST_CALLS, 'It answers true again and again, and does not end');
          counted += into.count;
          if (!into.isTooNew) continue;
          expect(into.count === 0 && into.values === 0, 'It has counted entries of a page that is too new');
          expect(cursor.next(batch) && batch.count > 0, 'It stands before no entry');
          expect(batch.timestamp > newest, 'The page is not too new');
          for (const key of batch.keys.slice(0, batch.count)) changed.add(Buffer.from(key).toString('latin1'));
          handedOut += batch.count;
        }
        expect(counted + handedOut === model.entries.size, `${counted} and ${handedOut} of ${model.entries.size}`);
        for (const [key, { stamp }] of model.entries)
          if (stamp > newest) expect(changed.has(key), `${nameOf(key)} was counted, and is too new`);
      }
    },
  },
  {
    id: 'count-passes-deleted',
    says: 'goes past entries that are no values, where it is asked to pass no others, and stands before those of a page that has any; says how new what it passed is',
    rules: ['X1', 'T3'],
    needs: ['counts'],
    check(subject) {
      const model = modelOf(subject);
      for (let i = 0; i < 1600; i++) model.put(keyAt(i), isDeleted(i) ? 1 : 0, valueBytes(i, isDeleted(i) ? 0 : 60));
      for (const reverse of [false, true]) {
        const cursor = model.index.cursor();
        cursor.seek(null, { reverse });
        const into = new EntryCount();
        into.deletedOnly = true;
        const batch = new EntryBatch();
        batch.wantsValues = false;
        batch.limit = model.entries.size;
        const order = reverse ? model.sorted.toReversed() : model.sorted;
        let at = 0;
        let passed = 0;
        for (let calls = 0; cursor.count!(into); calls++) {
          expect(calls < MOST_CALLS, 'It answers true again and again, and does not end');
          const some = order.slice(at, at + into.count).map((key) => model.entries.get(key)!);
          expect(some.every(({ tag }) => tag !== TAG_VALUE) && into.values === 0, 'It has passed values');
          const newest = Math.max(0, ...some.map(({ stamp }) => stamp));
          expect(into.timestamp >= newest, `It passed entries of commit ${newest}, and tells of ${into.timestamp}`);
          at += into.count;
          passed += into.count;
          if (!into.hasValues) continue;
          expect(into.count === 0, 'It has passed entries, and says that it must not');
          expect(cursor.next(batch) && batch.count > 0, 'It stands before no entry');
          expect(batch.tags.slice(0, batch.count).includes(TAG_VALUE), 'The page has no values');
          at += batch.count;
        }
        expect(at === order.length, `It has gone past ${at} of ${order.length} entries`);
        expect(passed > 300, `It passed ${passed} entries alone`);
      }
    },
  },
  {
    id: 'count-after-faults',
    says: 'lets a page fault pass through `count`, and counts nothing twice afterwards',
    rules: ['M5'],
    needs: ['counts', 'pages'],
    async check(subject) {
      for (const reverse of [false, true]) {
        const model = onPages(someEntries(subject));
        const cursor = model.index.cursor();
        cursor.seek(null, { reverse });
        const into = new EntryCount();
        let counted = 0;
        let faults = 0;
        for (let calls = 0; ; calls++) {
          expect(calls < 10_000, 'It answers true again and again, and does not end');
          model.pages.evictAll();
          const { result, faulted } = await withFaults(model.pages, () => cursor.count!(into));
          faults += faulted;
          if (!result) break;
          counted += into.count;
        }
        expect(counted === model.entries.size, `It counted ${counted} entries of ${model.entries.size}`);
        expect(faults > 0, 'It met no fault, although all pages were cold');
      }
    },
  },
  {
    id: 'estimate-in-bounds',
    says: 'estimates a number for every range, none where there can be none, changes nothing by that, and holds no latch',
    rules: ['M2', 'M3'],
    needs: ['estimates', 'pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const hostility = { relocate: 0.02, evict: 0.05, interfere: 0.1, tear: 0.1 };
        const model = onPages(modelOf(subject, { watch: true, seed, ...hostility }));
        expect(model.index.estimate!(null, null) === 0, 'An empty index is taken to have entries');
        stir(model, random, 120, () => {
          const bounds = [random.chance(0.2) ? null : randomKey(random, model.limits.maxKeySize)].concat(
            random.chance(0.2) ? null : randomKey(random, model.limits.maxKeySize),
          );
          const [lower = null, upper = null] = bounds.map((key) => (key === null ? null : keyBytes(key)));
          const { marks } = model.pages.counts;
          const about = model.index.estimate!(lower, upper);
          expect(Number.isFinite(about) && about >= 0, `It estimates ${about}`);
          expect(model.pages.latchesHeld === 0, 'A latch is held afterwards');
          expect(model.pages.counts.marks === marks, 'A page was changed');
          if (lower !== null && upper !== null && Buffer.compare(lower, upper) >= 0)
            expect(about === 0, `It estimates ${about} entries in a range that ends before it begins`);
        });
      });
    },
  },
  {
    id: 'estimate-about-right',
    says: `estimates entries that are all alike to within a factor of ${FARTHEST}, and a handful of them exactly`,
    needs: ['estimates'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = modelOf(subject, { frames: 8192 });
        const keys = Array.from({ length: 6000 }, (_, at) => `key/${String(at).padStart(6, '0')}`);
        for (const [at, key] of (random.chance(0.5) ? keys : random.shuffle([...keys])).entries()) {
          model.put(key, 0, valueBytes(at, 50));
          if (at === 4) expectEstimate(model, 0, 5, 5, 5);
        }
        for (let i = 0; i < 60; i++) {
          const from = random.below(keys.length - 300);
          const size = random.between(300, keys.length - from);
          expectEstimate(model, from, size, size / FARTHEST, size * FARTHEST);
        }
        const about = model.index.estimate!(null, null);
        expect(
          about >= keys.length / FARTHEST && about <= keys.length * FARTHEST,
          `It estimates ${about} entries instead of ${keys.length}`,
        );
      });
    },
  },
];

function expectEstimate(model: ModeledIndex, from: number, size: number, least: number, most: number): void {
  const lower = model.sorted[from];
  const upper = model.sorted[from + size];
  const about = model.index.estimate!(
    lower === undefined ? null : keyBytes(lower),
    upper === undefined ? null : keyBytes(upper),
  );
  expect(about >= least && about <= most, `It estimates ${about} entries instead of ${size}`);
}

function expectCounted(model: ModeledIndex, form: CountForm): void {
  const { from, end, inclusive, reverse } = form;
  const within = model.keysOf(form).filter((key) => {
    if (end === null) return true;
    if (key === end) return inclusive;
    return reverse ? key > end : key < end;
  });
  const values = within.filter((key) => model.entries.get(key)!.tag === 0).length;
  const cursor = model.index.cursor();
  const bytes = end === null ? null : keyBytes(end);
  cursor.seek(from === null ? null : keyBytes(from), { ...form, end: bytes });
  const into = new EntryCount();
  into.end = bytes;
  into.inclusive = inclusive;
  let count = 0;
  let counted = 0;
  for (let calls = 0; cursor.count!(into); calls++) {
    expect(calls < MOST_CALLS, 'It answers true again and again, and does not end');
    count += into.count;
    counted += into.values;
  }
  const range = `from ${from === null ? 'the edge' : nameOf(from)} to ${end === null ? 'the edge' : nameOf(end)}, ${JSON.stringify({ ...form, from: undefined, end: undefined })}`;
  expect(count === within.length, `It counts ${count} entries instead of ${within.length} ${range}`);
  expect(counted === values, `It counts ${counted} entries that are no tombstones instead of ${values} ${range}`);
  expect(!cursor.count!(into) && into.count === 0, 'It counts on behind the end');
}

function randomForm(model: ModeledIndex, random: Random): CountForm {
  const edge = (): string | null => {
    if (random.chance(0.2)) return null;
    return random.chance(0.5) && model.sorted.length > 0
      ? random.pick(model.sorted)
      : randomKey(random, model.limits.maxKeySize);
  };
  return {
    from: edge(),
    end: edge(),
    exclusive: random.chance(0.5),
    inclusive: random.chance(0.5),
    reverse: random.chance(0.5),
  };
}
