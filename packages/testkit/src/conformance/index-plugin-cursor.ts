/** Clauses about cursors: where they stand, what a batch holds, and what changes between batches do to them (X2). */
import { EntryBatch } from '@pagewright/core';
import { Random } from '../random.js';
import { someEntries } from './index-plugin-entries.js';
import {
  batches,
  entriesOf,
  keyBytes,
  keyText,
  LENT_CLASSES,
  type ModeledIndex,
  nameOf,
  readCursor,
  valueBytes,
} from './index-plugin-model.js';
import { codeOf, expect, type IndexClause, type IndexUnderTest, modelOf, withSeeds } from './index-plugin-subject.js';

/** A batch stops early where its values exceed this many bytes together. */
const BATCH_BYTES = 1024 * 1024;
/** Entries that change while others are looked at. */
const CHANGED = 50;

export const CURSOR_CLAUSES: readonly IndexClause[] = [
  {
    id: 'cursor-from-the-ends',
    says: 'goes through all entries from the very beginning, or with `reverse` from the very end, if the key is null',
    check(subject) {
      const model = someEntries(subject);
      for (const reverse of [false, true])
        for (const exclusive of [false, true]) model.expectScan({ from: null, exclusive, reverse }, 13);
    },
  },
  boundClause('cursor-at-or-after', 'begins at the key or after it', false, false),
  boundClause('cursor-after', 'begins after the key if it is exclusive', true, false),
  boundClause('cursor-at-or-before', 'begins at the key or before it with `reverse`', false, true),
  boundClause('cursor-before', 'begins before the key with `reverse` if it is exclusive', true, true),
  {
    id: 'cursor-limit',
    says: 'hands out `limit` entries at most, and one at least unless the batch is empty and there is more to come',
    check(subject) {
      const model = someEntries(subject);
      for (const limit of [1, 2, 7, 1024]) {
        const cursor = model.index.cursor();
        const batch = new EntryBatch();
        batch.limit = limit;
        cursor.seek(null, {});
        let entries = 0;
        for (const _ of batches(cursor, batch)) {
          expect(batch.count <= limit, `A batch of at most ${limit} has ${batch.count} entries`);
          entries += batch.count;
        }
        expect(entries === model.entries.size, `There are ${entries} entries instead of ${model.entries.size}`);
      }
    },
  },
  {
    id: 'cursor-without-limit',
    says: 'refuses a batch without room for an entry as a wrong argument, and stays where it is',
    check(subject) {
      const model = someEntries(subject);
      const cursor = model.index.cursor();
      const batch = new EntryBatch();
      for (const reverse of [false, true]) {
        for (const mayPack of [false, true]) {
          for (const limit of [0, -1, Number.NaN]) {
            cursor.seek(keyBytes(model.sorted[100]!), { reverse });
            Object.assign(batch, { limit, mayPack });
            const met = codeOf(() => cursor.next(batch));
            expect(met === 'PW_ARGUMENT', `A batch with the limit ${limit} is ${met} and not PW_ARGUMENT`);
            const left = readCursor(cursor, 7).length;
            const expected = reverse ? 101 : model.entries.size - 100;
            expect(left === expected, `After it there are ${left} entries instead of ${expected}`);
          }
        }
      }
    },
  },
  {
    id: 'cursor-end',
    says: 'answers false at the end, with an empty batch, as often as it is asked, until it seeks again',
    check(subject) {
      const model = someEntries(subject);
      const cursor = model.index.cursor();
      for (const reverse of [false, true]) {
        cursor.seek(null, { reverse });
        readCursor(cursor, 100);
        const batch = new EntryBatch();
        for (let again = 0; again < 3; again++) {
          batch.count = 5;
          expect(!cursor.next(batch), 'It answers true behind its end');
          expect(batch.count === 0, `The batch at the end has ${batch.count} entries`);
        }
      }
      cursor.seek(keyBytes(model.sorted[100]!), {});
      const left = readCursor(cursor, 100).length;
      expect(left === model.entries.size - 100, `After another seek there are ${left} entries`);
    },
  },
  {
    id: 'cursor-wanted-end',
    says: 'hands out all entries up to the `end` that is wanted, one at the end itself with them, and in their order what it hands out beyond it',
    check(subject) {
      const model = someEntries(subject);
      withSeeds(subject, (seed) => {
        const random = new Random(seed).fork('wanted ends');
        const edge = (): string | null => {
          const key = random.pick(model.sorted);
          return random.pick([
            null,
            key,
            key,
            `${key}\x00`,
            `${key.slice(0, -1)}\xff`,
            key.slice(0, -2),
            '\x00',
            '\xff',
          ]);
        };
        const cursor = model.index.cursor();
        for (let round = 0; round < 400; round++) {
          const [from, end] = [edge(), edge()];
          const form = { from, exclusive: random.chance(0.5), reverse: random.chance(0.5) };
          const limit = random.pick([1, 5, 16, 33, 1024]);
          cursor.seek(from === null ? null : keyBytes(from), { ...form, end: end === null ? null : keyBytes(end) });
          const scanned = readCursor(cursor, limit, model.sorted.length + 1, random.chance(0.5));
          const keys = model.keysOf(form);
          const wanted = keys.filter((key) => end === null || (form.reverse ? key >= end : key <= end));
          const what = `from ${from === null ? 'the edge' : nameOf(from)} to ${end === null ? 'the edge' : nameOf(end)}, ${JSON.stringify({ ...form, from: undefined, limit })}`;
          expect(
            scanned.length >= wanted.length,
            `${what}: ${scanned.length} entries, and ${wanted.length} are wanted`,
          );
          for (const [at, entry] of scanned.entries()) {
            const key = keys[at] ?? 'none';
            expect(entry.key === key, `${what}: entry ${at} is ${nameOf(entry.key)} instead of ${nameOf(key)}`);
            model.expectScanned(entry);
          }
        }
      });
    },
  },
  {
    id: 'cursor-without-values',
    says: 'hands out the same keys and tags if no values are wanted',
    check(subject) {
      const model = someEntries(subject);
      for (const reverse of [false, true]) {
        const cursor = model.index.cursor();
        const batch = new EntryBatch();
        batch.wantsValues = false;
        batch.limit = 50;
        cursor.seek(null, { reverse });
        const expected = model.keysOf({ from: null, exclusive: false, reverse });
        let at = 0;
        for (const _ of batches(cursor, batch)) {
          for (let i = 0; i < batch.count; i++, at++) {
            const key = expected[at] ?? 'none';
            expect(Buffer.compare(batch.keys[i]!, keyBytes(key)) === 0, `Entry ${at} is not ${nameOf(key)}`);
            const { tag } = model.entries.get(key)!;
            expect(batch.tags[i] === tag, `${nameOf(key)} has the tag ${batch.tags[i]} instead of ${tag}`);
          }
        }
        expect(at === expected.length, `There are ${at} entries instead of ${expected.length}`);
      }
    },
  },
  {
    id: 'cursor-packed',
    says: 'packs the same entries as it hands out one by one, if it packs any, with and without values',
    check(subject) {
      const model = someEntries(subject);
      for (const reverse of [false, true])
        for (const limit of [1, 20, 1024])
          for (const wantsValues of [true, false]) {
            const cursor = model.index.cursor();
            const batch = new EntryBatch();
            batch.mayPack = true;
            batch.limit = limit;
            batch.wantsValues = wantsValues;
            cursor.seek(null, { reverse });
            const seen: string[] = [];
            for (const _ of batches(cursor, batch)) {
              expect(batch.count <= limit, `A batch of at most ${limit} has ${batch.count} entries`);
              for (let i = 0; i < batch.count; i++) {
                const key = keyText(batch.isPacked ? batch.packed.keys.viewAt(i) : batch.keys[i]!);
                const entry = model.entries.get(key) ?? { tag: -1, value: keyBytes('') };
                if (wantsValues) {
                  const value = batch.isPacked ? batch.packed.valueAt(i) : batch.values[i]!;
                  model.expectScanned({ key, tag: batch.tags[i]!, value });
                }
                expect(batch.tags[i] === entry.tag, `${nameOf(key)} has the tag ${batch.tags[i]}`);
                seen.push(key);
              }
            }
            const expected = model.keysOf({ from: null, exclusive: false, reverse });
            expect(seen.join() === expected.join(), `It met ${seen.length} entries of ${expected.length}`);
          }
    },
  },
  {
    id: 'cursor-packed-private',
    says: 'gives away the memory of what it packs: it is no page, is not written again, and what becomes of it disturbs nobody',
    check(subject) {
      const model = someEntries(subject);
      const keys: Uint8Array[] = [];
      const values: Uint8Array[] = [];
      const met: string[] = [];
      const scans = [keepPacked(model, keys, values), spoilPacked(model, met)];
      for (let round = 0; scans.length > 0; round++) {
        for (const scan of [...scans]) if (scan.next().done === true) scans.splice(scans.indexOf(scan), 1);
        for (const key of model.sorted.slice(0, CHANGED)) model.put(key, 0, valueBytes(round, 70));
      }
      expect(
        keys.map(keyText).join() === model.sorted.join(),
        'Keys that it gave away have changed, or some are missing',
      );
      expect(met.join() === model.sorted.join(), 'It does not go on where it was');
      for (const bytes of [...keys, ...values])
        expect(!(bytes.buffer instanceof SharedArrayBuffer), 'It gives away memory that others see');
      for (const [at, key] of model.sorted.entries())
        if (at >= CHANGED) model.expectScanned({ key, tag: model.entries.get(key)!.tag, value: values[at]! });
    },
  },
  {
    id: 'cursor-mebibyte',
    says: 'ends a batch where its values exceed 1 MiB together, loses none, and hands out a larger one alone',
    check(subject) {
      for (const wanted of [400_000, 3000]) {
        const model = modelOf(subject, { maxSizeClass: 9, frames: 16_384 });
        const { maxValueSize } = model.limits;
        const length = Math.min(wanted, maxValueSize);
        const count = Math.ceil((3.5 * BATCH_BYTES) / Math.max(1, length));
        if (count > 5000) return;
        for (let i = 0; i < count; i++) model.put(`value/${String(i).padStart(5, '0')}`, 0, valueBytes(i, length));
        model.put('value/larger', 0, valueBytes(99, Math.min(maxValueSize, 1_900_000)));
        for (const reverse of [false, true]) {
          const cursor = model.index.cursor();
          const batch = new EntryBatch();
          batch.limit = 100_000;
          cursor.seek(null, { reverse });
          const seen: string[] = [];
          for (const _ of batches(cursor, batch)) {
            let sum = 0;
            for (let i = 0; i < batch.count - 1; i++) sum += batch.values[i]!.length;
            expect(sum <= BATCH_BYTES, `A batch goes on behind ${sum} bytes of values`);
            for (const entry of entriesOf(batch)) {
              model.expectScanned(entry);
              seen.push(entry.key);
            }
          }
          const expected = model.keysOf({ from: null, exclusive: false, reverse });
          for (const [at, key] of expected.entries())
            expect(seen[at] === key, `Entry ${at} is ${nameOf(seen[at] ?? 'none')} instead of ${nameOf(key)}`);
          expect(seen.length === expected.length, `There are ${seen.length} entries instead of ${expected.length}`);
        }
      }
    },
  },
  {
    id: 'cursor-private',
    says: 'is not disturbed by what becomes of the key that it was given, or of those that it handed out',
    check(subject) {
      const model = someEntries(subject);
      for (const [lent, reverse] of LENT_CLASSES.flatMap((lent) => [[lent, false] as const, [lent, true] as const])) {
        const form = { from: model.sorted[120]!, exclusive: false, reverse };
        const from = lent(keyBytes(form.from));
        // What lies beyond an end may be left out, so this one is where the entries end.
        const end = lent(keyBytes(model.sorted.at(reverse ? 0 : -1)!));
        const cursor = model.index.cursor();
        cursor.seek(from, { reverse, end });
        from.fill(0);
        end.set(keyBytes(form.from));
        const batch = new EntryBatch();
        batch.limit = 10;
        const seen: string[] = [];
        for (const _ of batches(cursor, batch)) {
          seen.push(...entriesOf(batch).map(({ key }) => key));
          for (let i = 0; i < batch.count; i++) batch.keys[i]!.fill(0x6b);
          expect(seen.length <= model.entries.size, 'It does not end');
        }
        expect(seen.join() === model.keysOf(form).join(), 'It does not go on where it was');
      }
    },
  },
  {
    id: 'cursor-two',
    says: 'has cursors that do not disturb each other, nor look-ups and changes between their batches',
    check(subject) {
      const model = someEntries(subject);
      const forms = [
        { from: null, exclusive: false, reverse: false },
        { from: null, exclusive: false, reverse: true },
        { from: model.sorted[60]!, exclusive: true, reverse: false },
        { from: model.sorted[200]!, exclusive: true, reverse: true },
      ];
      const scans = forms.map((form, at) => {
        const cursor = model.index.cursor();
        cursor.seek(form.from === null ? null : keyBytes(form.from), form);
        const batch = new EntryBatch();
        batch.limit = 3 + at * 4;
        return { form, filling: batches(cursor, batch), batch, seen: [] as string[] };
      });
      let open = scans;
      for (let round = 0; open.length > 0; round++) {
        open = open.filter(({ filling, batch, seen }) => {
          if (filling.next().done === true) return false;
          for (const entry of entriesOf(batch)) {
            model.expectScanned(entry);
            seen.push(entry.key);
          }
          return seen.length <= model.entries.size;
        });
        const key = model.sorted[(round * 31) % model.sorted.length]!;
        model.expectEntry(key);
        model.put(key, round & 0xff, valueBytes(round, (round * 17) % 100));
        model.expectEntry(`${key}?`);
      }
      for (const { form, seen } of scans)
        expect(
          seen.join() === model.keysOf(form).join(),
          `One of them met ${seen.length} entries, not those that are there`,
        );
    },
  },
  {
    id: 'cursor-among-changes',
    says: 'neither repeats nor skips an entry that stayed, whatever is put and removed between its batches',
    rules: ['X2'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const reverse of [false, true])
          for (const limit of [1, 5, 40]) goAmongChanges(subject, seed, reverse, limit);
      });
    },
  },
  {
    id: 'cursor-on-removed',
    says: 'goes on from an entry that was removed, and from a key that was never there',
    rules: ['X2'],
    check(subject) {
      for (const reverse of [false, true]) {
        const model = someEntries(subject);
        const expected = model.keysOf({ from: null, exclusive: false, reverse });
        const cursor = model.index.cursor();
        const batch = new EntryBatch();
        batch.limit = 4;
        cursor.seek(null, { reverse });
        const seen: string[] = [];
        for (const _ of batches(cursor, batch)) {
          for (const { key } of entriesOf(batch)) {
            seen.push(key);
            model.remove(key);
          }
          expect(seen.length <= expected.length, 'It does not end');
        }
        expect(seen.join() === expected.join(), `It met ${seen.length} entries of ${expected.length}`);
        expect(model.entries.size === 0, 'Not all were removed');
        model.expectAgreement();
      }
    },
  },
];

/** From keys that are there, that are not, and that are outside all others, in batches of several sizes. */
function boundClause(id: string, says: string, exclusive: boolean, reverse: boolean): IndexClause {
  return {
    id,
    says,
    check(subject) {
      const model = someEntries(subject);
      const there = model.sorted.filter((_, at) => at % 9 === 0 || at === model.sorted.length - 1);
      const others = there.flatMap((key) => [`${key}\x00`, `${key.slice(0, -1)}\xff`, key.slice(0, -1)]);
      for (const [at, from] of [...there, ...others, '\x00', '\xff', 'key/', 'k', 'z'].entries())
        model.expectScan({ from, exclusive, reverse }, 1 + (at % 30), at % 10 === 0 ? undefined : 40);
    },
  };
}

/** Keeps all that it is given. */
function* keepPacked(model: ModeledIndex, keys: Uint8Array[], values: Uint8Array[]): Generator<void> {
  for (const batch of packedBatches(model)) {
    for (let i = 0; i < batch.count; i++) {
      keys.push(batch.isPacked ? batch.packed.keys.viewAt(i) : batch.keys[i]!);
      values.push(batch.isPacked ? batch.packed.valueAt(i) : batch.values[i]!);
    }
    yield;
  }
}

/** Overwrites all that it is given. */
function* spoilPacked(model: ModeledIndex, met: string[]): Generator<void> {
  for (const batch of packedBatches(model)) {
    met.push(...entriesOf(batch).map(({ key }) => key));
    for (let i = 0; i < batch.count && batch.isPacked; i++) {
      batch.packed.keys.viewAt(i).fill(0x6b);
      batch.packed.valueAt(i).fill(0x6b);
    }
    expect(met.length <= model.entries.size, 'It does not end');
    yield;
  }
}

function* packedBatches(model: ModeledIndex): Generator<EntryBatch> {
  const batch = new EntryBatch();
  batch.mayPack = true;
  const cursor = model.index.cursor();
  cursor.seek(null, {});
  for (const _ of batches(cursor, batch)) yield batch;
}

/** A scan with changes around it: right where it stands, ahead and behind, enough to split and to empty pages. */
function goAmongChanges(subject: IndexUnderTest, seed: number, reverse: boolean, limit: number): void {
  const random = new Random(seed * 64 + limit * 2 + (reverse ? 1 : 0));
  const model = modelOf(subject);
  for (let i = 0; i < 700; i++) model.put(`k${String(i * 10).padStart(7, '0')}`, i & 0xff, valueBytes(i, 60));
  const stayed = new Set(model.sorted);
  const cursor = model.index.cursor();
  const batch = new EntryBatch();
  batch.limit = limit;
  cursor.seek(null, { reverse });
  const seen: string[] = [];
  // What is put ahead is met as well, so that a scan would have no end if changes had none.
  let changes = 50;
  for (const _ of batches(cursor, batch)) {
    for (const entry of entriesOf(batch)) {
      model.expectScanned(entry);
      const before = seen.at(-1);
      const leadsOn = before === undefined || (reverse ? entry.key < before : entry.key > before);
      expect(leadsOn, `${nameOf(entry.key)} comes after ${nameOf(before ?? '')}`);
      seen.push(entry.key);
    }
    if (changes > 0 && random.chance(Math.min(1, limit / 15))) {
      changes--;
      changeAround(model, random, seen.at(-1) ?? '', stayed);
    }
  }
  const met = new Set(seen);
  for (const key of stayed) expect(met.has(key), `${nameOf(key)} stayed, and was skipped`);
  model.expectAgreement();
}

function changeAround(model: ModeledIndex, random: Random, here: string, stayed: Set<string>): void {
  const { sorted } = model;
  const at = sorted.indexOf(here);
  const remove = (key: string | undefined) => {
    if (key === undefined || !model.entries.has(key)) return;
    model.remove(key);
    stayed.delete(key);
  };
  if (random.chance(0.5)) remove(here);
  const doomed = sorted.slice(Math.max(0, at - 15), at + 15).filter(() => random.chance(0.15));
  for (const key of doomed) remove(key);
  for (let i = random.below(25); i > 0; i--) {
    const near = sorted[at + random.between(-8, 8)] ?? here;
    model.put(`${near.slice(0, 12)}${random.below(1000)}`, 0, valueBytes(i, 200));
  }
}
