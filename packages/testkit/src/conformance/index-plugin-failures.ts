/** Clauses about pages that are not there yet, and stores that fail beneath an index. */
import { EntryBatch, EntryReference, type ErrorCode, isPagewrightError, type PageFault } from '@pagewright/core';
import type { HostilePages } from '../pages/hostile-pages.js';
import { Random } from '../random.js';
import { someEntries } from './index-plugin-entries.js';
import { entriesOf, keyBytes, type ModeledIndex, nameOf, readCursor, valueBytes } from './index-plugin-model.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf, withSeeds } from './index-plugin-subject.js';

export const FAILURE_CLAUSES: readonly IndexClause[] = [
  {
    id: 'fault-in-lookup',
    says: 'lets a page fault pass through a look-up, with nothing changed and no latch held, and answers once it is loaded',
    rules: ['M5'],
    needs: ['pages'],
    async check(subject) {
      const model = onPages(someEntries(subject));
      const reference = new EntryReference();
      let faults = 0;
      for (const key of model.sorted.filter((_, at) => at % 5 === 0)) {
        for (const [wanted, isThere] of [
          [key, true],
          [`${key}?`, false],
        ] as const) {
          model.pages.evictAll();
          const { result, faulted } = await withFaults(model.pages, () =>
            model.index.lookup(keyBytes(wanted), reference),
          );
          faults += faulted;
          expect(result === isThere, `${nameOf(wanted)} is ${result ? '' : 'not '}found after ${faulted} faults`);
          model.expectEntry(wanted);
        }
      }
      expect(faults > 0, 'No look-up met a fault, although all pages were cold');
    },
  },
  {
    id: 'fault-in-cursor',
    says: 'lets a page fault pass through `next`, and hands out the same entries afterwards, none twice',
    rules: ['M5'],
    needs: ['pages'],
    async check(subject) {
      for (const reverse of [false, true]) {
        const model = onPages(someEntries(subject));
        const cursor = model.index.cursor();
        cursor.seek(null, { reverse });
        const batch = new EntryBatch();
        batch.limit = 40;
        const seen: string[] = [];
        let faults = 0;
        for (let calls = 0; ; calls++) {
          expect(calls < 10_000, 'It answers true again and again, and does not end');
          model.pages.evictAll();
          const { result, faulted } = await withFaults(model.pages, () => cursor.next(batch));
          faults += faulted;
          if (!result) break;
          for (const entry of entriesOf(batch)) {
            model.expectScanned(entry);
            seen.push(entry.key);
          }
          expect(seen.length <= model.entries.size, 'It hands out entries twice');
        }
        const expected = model.keysOf({ from: null, exclusive: false, reverse });
        expect(
          seen.join() === expected.join(),
          `It met ${seen.length} entries of ${expected.length}, or in another order`,
        );
        expect(faults > 1, 'It met no fault, although all pages were cold');
      }
    },
  },
  {
    id: 'load-fails',
    says: 'passes on the error of a page that cannot be read, holds no latch, and is right once it can be read',
    rules: ['X3'],
    needs: ['pages'],
    check(subject) {
      const model = onPages(someEntries(subject));
      const cursor = model.index.cursor();
      const batch = new EntryBatch();
      for (const key of model.sorted.filter((_, at) => at % 11 === 0)) {
        model.pages.evictAll();
        model.pages.failLoads = true;
        const bytes = keyBytes(key);
        cursor.seek(bytes, {});
        for (const [what, operation] of [
          ['A look-up', () => model.index.lookup(bytes, model.reference)],
          ['next', () => cursor.next(batch)],
          ['upsert', () => model.index.upsert(bytes, 1, valueBytes(1, 1), model.timestamp)],
          ['remove', () => model.index.remove(bytes, model.timestamp)],
        ] as const)
          expect(fails('PW_IO', operation), `${what} does not fail although no page can be read`);
        model.pages.failLoads = false;
        model.pages.assertQuiet();
        const [entry] = readCursor(cursor, 1, 1);
        expect(entry?.key === key, `The cursor went on at ${nameOf(entry?.key ?? '')} instead of ${nameOf(key)}`);
        model.expectEntry(key);
      }
      model.expectAgreement();
    },
  },
  failureClause('allocation-fails', 'an allocation fails', 'failAllocation', 'PW_POOL_EXHAUSTED'),
  failureClause('modify-fails', 'a call of `modify` fails', 'failModify', 'PW_FULL'),
];

/** Clauses that need pages have a hostile store. */
export function onPages(model: ModeledIndex): ModeledIndex<HostilePages> {
  return model as ModeledIndex<HostilePages>;
}

/** Starts the operation again after each fault, as its caller would. */
export async function withFaults<Result>(
  pages: HostilePages,
  operation: () => Result,
): Promise<{ readonly result: Result; readonly faulted: number }> {
  for (let faulted = 0; faulted < 1000; faulted++) {
    try {
      pages.faulting = true;
      const result = operation();
      expect(pages.latchesHeld === 0, `${pages.latchesHeld} latches are held when it returns`);
      return { result, faulted };
    } catch (error) {
      if ((error as Partial<PageFault>).isPageFault !== true) throw error;
    } finally {
      pages.faulting = false;
    }
    pages.assertQuiet();
    await pages.loadFault();
  }
  throw new Error('It meets page faults without end');
}

/** Whether the operation fails with the code. Any other error is passed on. */
function fails(code: ErrorCode, operation: () => unknown): boolean {
  try {
    operation();
    return false;
  } catch (error) {
    if (!isPagewrightError(error, code)) throw error;
    return true;
  }
}

/**
 * Changes with the first, the second, … call of the store failing, until one has no such call left. After each failure
 * no latch is held, no page is lost, and an index that is opened on the same root finds the entry as it was or as it was to
 * be, and all others untouched.
 */
function failureClause(id: string, when: string, what: 'failAllocation' | 'failModify', code: ErrorCode): IndexClause {
  return {
    id,
    says: `leaves its pages whole, each in its place, and no latch held when ${when}`,
    rules: ['X3'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        const model = fullPages(subject);
        const { maxKeySize, maxValueSize } = model.limits;
        let failures = 0;
        for (let i = 0; i < 60; i++) {
          const old = random.pick(model.sorted);
          const key =
            i % 3 === 0 ? old : `${random.pick(model.sorted).slice(0, 3)}${'y'.repeat(700)}${i}`.slice(0, maxKeySize);
          const value = valueBytes(i, Math.min(maxValueSize, random.pick([0, 200, 900, 3000, 6000])));
          failures += withEachFailure(model, what, code, key, (stamp) => {
            model.index.upsert(keyBytes(key), i, value, stamp);
            model.notePut(key, i, value, stamp);
          });
          const doomed = random.pick(model.sorted);
          failures += withEachFailure(model, what, code, doomed, (stamp) => {
            model.index.remove(keyBytes(doomed), stamp);
            model.noteRemoval(doomed, stamp);
          });
          if (i % 12 === 0) model.expectAgreement();
        }
        model.expectAgreement();
        expect(what === 'failAllocation' || failures > 60, `Only ${failures} calls of the store failed`);
        expectCreateFails(subject, what, code);
      });
    },
  };
}

/** Does the change with each failure, and at last without one. How many there were. */
function withEachFailure(
  model: ModeledIndex<HostilePages>,
  what: 'failAllocation' | 'failModify',
  code: ErrorCode,
  key: string,
  change: (stamp: number) => void,
): number {
  const { pages } = model;
  for (let nth = 0; nth < 100; nth++) {
    pages[what] = nth;
    const failed = fails(code, () => change(++model.timestamp));
    const hasFailed = pages[what] < 0;
    pages[what] = -1;
    pages.assertQuiet();
    if (failed) settle(model, key, change);
    model.expectEntry(key);
    // A failure that the index could do without, as where two pages would merge, is none.
    if (!failed && !hasFailed) return nth;
  }
  throw new Error('A change needs a hundred calls of the store');
}

/** After a failure: the engine is opened again. If the change is there, the model gets it as well. */
function settle(model: ModeledIndex<HostilePages>, key: string, change: (stamp: number) => void): void {
  model.reopen();
  try {
    model.expectEntry(key);
  } catch {
    // Not as it was. Then it must be as it was to be, and doing it again changes nothing but the stamp.
    const found = model.index.lookup(keyBytes(key), model.reference);
    const { tag, value } = { tag: model.reference.tag, value: new Uint8Array(model.reference.value) };
    change(model.timestamp);
    const expected = model.entries.get(key);
    const isDone =
      expected === undefined ? !found : found && expected.tag === tag && Buffer.compare(expected.value, value) === 0;
    if (!isDone) throw new Error(`After the failure ${nameOf(key)} is neither as it was nor as it was to be`);
  }
}

function expectCreateFails(subject: IndexUnderTest, what: 'failAllocation' | 'failModify', code: ErrorCode): void {
  const { pages } = modelOf(subject, { watch: true });
  const context = { pages, number: 9, root: pages.rootOf(1) };
  for (let nth = 0; nth < 20; nth++) {
    pages[what] = nth;
    const failed = fails(code, () => subject.type.create(context, 1));
    pages[what] = -1;
    pages.assertQuiet();
    if (!failed) return;
  }
  throw new Error('Creating an index needs twenty calls of the store');
}

/** An index in which nearly every put finds a full page, and full pages above it. */
function fullPages(subject: IndexUnderTest): ModeledIndex<HostilePages> {
  const model = modelOf(subject, { watch: true, frames: 8192 });
  const { maxKeySize, maxValueSize } = model.limits;
  for (let i = 0; i < 300; i++) {
    const group = String.fromCharCode(33 + (i % 150), 33 + Math.floor(i / 4));
    model.put(`${group}${i}${'x'.repeat(500)}`.slice(0, maxKeySize), 0, valueBytes(i, Math.min(300, maxValueSize)));
  }
  return model;
}
