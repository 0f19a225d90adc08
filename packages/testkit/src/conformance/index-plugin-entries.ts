/** Clauses about single entries: what look-ups, puts and removals answer, and whose memory a value is in. */
import { EntryBatch, EntryReference } from '@pagewright/core';
import { batches, keyBytes, LENT_CLASSES, type ModeledIndex, nameOf, valueBytes } from './index-plugin-model.js';
import { expect, type IndexClause, type IndexUnderTest, modelOf } from './index-plugin-subject.js';

export const ENTRY_CLAUSES: readonly IndexClause[] = [
  {
    id: 'empty',
    says: 'holds nothing when it is new: look-ups miss, removals answer false, cursors are at their end',
    check(subject) {
      const { index, reference } = modelOf(subject);
      for (const key of ['a', '\x00', '\xff\xff']) {
        expect(!index.lookup(keyBytes(key), reference), `${nameOf(key)} is found`);
        expect(!index.remove(keyBytes(key), 5), `A removal of ${nameOf(key)} answers true`);
        for (const reverse of [false, true]) {
          for (const from of [null, keyBytes(key)]) {
            const cursor = index.cursor();
            cursor.seek(from, { reverse });
            expect(!hasEntry(cursor), 'A cursor hands out an entry');
          }
        }
      }
    },
  },
  {
    id: 'lookup',
    says: 'finds what was put and nothing else',
    check(subject) {
      const model = someEntries(subject);
      model.expectAgreement();
      for (const key of model.sorted) {
        for (const other of [`${key}\x00`, key.slice(0, -1), `${key.slice(0, -1)}\xff`, `\x00${key}`])
          if (other.length > 0) model.expectEntry(other);
      }
    },
  },
  {
    id: 'replace',
    says: 'replaces tag and value of an entry by those of any other length, and no other entry',
    check(subject) {
      const model = someEntries(subject);
      const { maxValueSize } = model.limits;
      const { pageSize } = model.pages;
      const lengths = [0, 1, 7, 8, 9, 63, 64, 200, pageSize / 4 - 1, pageSize / 4, pageSize / 2, pageSize, 3 * pageSize]
        .map((length) => Math.min(Math.floor(length), maxValueSize))
        .filter((length, at, all) => all.indexOf(length) === at);
      const key = model.sorted[17]!;
      let which = 0;
      for (const before of lengths) {
        for (const after of lengths) {
          for (const length of [before, after]) {
            model.put(key, ++which & 0xff, valueBytes(which, length));
            model.expectEntry(key);
          }
        }
      }
      model.expectAgreement();
    },
  },
  {
    id: 'tags',
    says: 'keeps every tag and returns it unread, with and without a value',
    check(subject) {
      const model = modelOf(subject);
      for (let tag = 0; tag < 256; tag++) model.put(`with/${tag}`, tag, valueBytes(tag, 9));
      for (let tag = 0; tag < 256; tag++) model.put(`without/${tag}`, tag, valueBytes(0, 0));
      model.expectAgreement();
      for (let tag = 0; tag < 256; tag++) model.put(`with/${tag}`, 255 - tag, valueBytes(tag, 9));
      model.expectAgreement();
    },
  },
  {
    id: 'remove',
    says: 'removes an entry, answers true if it was there and false if not, and leaves all others',
    check(subject) {
      const model = someEntries(subject);
      for (const [at, key] of model.sorted.entries()) {
        if (at % 3 !== 0) continue;
        // The model checks each answer.
        model.remove(`${key}\x00`);
        model.remove(key);
        model.remove(key);
        model.expectEntry(key);
      }
      model.expectAgreement();
      for (const key of [...model.removed.keys()]) model.put(key, 3, valueBytes(5, 30));
      model.expectAgreement();
    },
  },
  {
    id: 'without-value',
    says: 'tells whether an entry is there, its tag and the timestamp, also if no value is wanted',
    check(subject) {
      const model = someEntries(subject);
      const reference = new EntryReference();
      reference.wantsValue = false;
      for (const [key, { tag, stamp }] of model.entries) {
        reference.tag = (tag + 1) & 0xff;
        reference.timestamp = 0;
        expect(model.index.lookup(keyBytes(key), reference), `${nameOf(key)} is not found`);
        expect(reference.tag === tag, `${nameOf(key)} has the tag ${reference.tag} instead of ${tag}`);
        expect(reference.timestamp >= stamp, `${nameOf(key)} has the timestamp ${reference.timestamp}`);
        expect(!model.index.lookup(keyBytes(`${key}?`), reference), `${nameOf(`${key}?`)} is found`);
      }
    },
  },
  {
    id: 'timestamp-on-miss',
    says: 'gives the timestamp of the page that would hold an entry also where it is not found',
    check(subject) {
      const model = modelOf(subject);
      const first = keyBytes('m');
      const removed = 2 ** 32 + 50;
      model.index.upsert(first, 0, valueBytes(1, 9), 2 ** 32 - 40);
      model.index.remove(first, removed);
      for (const wantsValue of [true, false]) {
        const reference = new EntryReference();
        reference.wantsValue = wantsValue;
        reference.timestamp = -1;
        expect(!model.index.lookup(first, reference), 'A removed entry is found');
        expect(
          reference.timestamp >= removed,
          `The timestamp is ${reference.timestamp}, the entry was removed at ${removed}`,
        );
      }
    },
  },
  {
    id: 'private-values',
    says: 'hands out values and keys in private memory of their own, which later calls leave alone',
    rules: ['M4'],
    check(subject) {
      const model = someEntries(subject);
      const held: { readonly handedOut: Uint8Array; readonly copy: Uint8Array }[] = [];
      const hold = (handedOut: Uint8Array) => {
        expect(!(handedOut.buffer instanceof SharedArrayBuffer), 'What was handed out lies in shared memory');
        held.push({ handedOut, copy: new Uint8Array(handedOut) });
      };
      for (const key of model.sorted) {
        expect(model.index.lookup(keyBytes(key), model.reference), `${nameOf(key)} is not found`);
        hold(model.reference.value);
      }
      const cursor = model.index.cursor();
      const batch = new EntryBatch();
      batch.limit = 20;
      cursor.seek(null, {});
      for (const _ of batches(cursor, batch)) {
        for (let at = 0; at < batch.count; at++) {
          hold(batch.keys[at]!);
          hold(batch.values[at]!);
        }
      }
      for (const key of model.sorted) model.put(key, 0, valueBytes(250, model.entries.get(key)!.value.length));
      for (const { handedOut, copy } of held)
        expect(Buffer.compare(handedOut, copy) === 0, 'What was handed out has changed since');
      for (const { handedOut } of held) handedOut.fill(0xee);
      model.expectAgreement();
    },
  },
  {
    id: 'private-arguments',
    says: 'keeps copies of the keys and values that it is given',
    check(subject) {
      for (const lent of LENT_CLASSES) {
        const model = modelOf(subject);
        const largest = Math.min(model.limits.maxValueSize, 2 * model.pages.pageSize);
        for (const [at, length] of [0, 5, 300, largest].entries()) {
          const key = lent(keyBytes(`key ${at}`));
          const value = lent(valueBytes(at, length));
          model.index.upsert(key, at, value, ++model.timestamp);
          model.notePut(`key ${at}`, at, value);
          key.fill(0xee);
          value.fill(0xee);
        }
        model.expectAgreement();
      }
    },
  },
];

/** A few hundred entries of several shapes on more than one page. */
export function someEntries(subject: IndexUnderTest): ModeledIndex {
  const model = modelOf(subject);
  const large = Math.min(model.limits.maxValueSize, model.pages.pageSize + 50);
  for (let i = 0; i < 240; i++)
    model.put(`key/${String((i * 77) % 240).padStart(4, '0')}`, i & 0xff, valueBytes(i, i % 40 === 0 ? large : i % 90));
  return model;
}

/** Whether a cursor has an entry left; an empty batch means go on. */
function hasEntry(cursor: ReturnType<ModeledIndex['index']['cursor']>): boolean {
  const batch = new EntryBatch();
  for (const _ of batches(cursor, batch)) if (batch.count > 0) return true;
  return batch.count > 0;
}
