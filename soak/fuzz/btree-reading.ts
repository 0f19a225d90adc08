/**
 * Pages of a tree whose checksum was right and whose content is not: look-ups, cursors and checks find out or give the
 * right entries. They end, read nothing outside the page, write nothing at all, and where a check finds nothing wrong they
 * give what the bytes say.
 */
import { crc32 } from 'node:zlib';
import { EntryBatch, EntryReference, isPagewrightError } from '@pagewright/core';
import type { FuzzTarget } from '@pagewright/testkit';
import { expectThat, sameBytes } from './agreement.js';
import type { NaiveEntry } from './naive-tree.js';
import { pagesOfRadixTrees } from './radix-trees.js';
import { boundsBelow, type PageOfTree, pagesOfTrees, type RiggedTree } from './trees.js';

const LOOKUPS = 6;
/** One of so many. */
const SAMPLED = 6;

/** What came of one operation: a value, the lack of one, or an error. */
type Answer = Uint8Array | 'missing' | 'ended' | 'refused';

export const btreeReading = treeReading('B+-tree pages, read', pagesOfTrees);
export const artReading = treeReading('radix tree pages, read', pagesOfRadixTrees);

function treeReading(name: string, seeds: FuzzTarget<PageOfTree>['seeds']): FuzzTarget<PageOfTree> {
  return {
    name,
    resizes: false,
    refusals: new Set(),
    seeds,
    run(bytes, { context }) {
      const [first, second] = context.tree.rigs;
      const found = readAll(first, bytes, context);
      const again = readAll(second, bytes, context);
      expectThat(sameAnswers(found.answers, again.answers), 'what lies around the page changes what is read from it');
      expectThat(found.isSound === again.isSound, 'what lies around the page changes what a check finds');
      if (found.isSound) return 'sound';
      return found.answers.includes('refused') ? 'refused: PW_CORRUPT_PAGE' : 'read';
    },
  };
}

interface Findings {
  readonly answers: readonly Answer[];
  readonly isSound: boolean;
}

function readAll(tree: RiggedTree, bytes: Uint8Array, context: PageOfTree): Findings {
  const { rig, state } = tree;
  rig.place(context.frame, bytes);
  rig.steps = context.tree.kind.steps.reading;
  try {
    const answers: Answer[] = [];
    lookUp(tree, context, bytes, answers);
    scan(tree, context, bytes, answers);
    const isSound = checkFindsNothing(tree, context);
    if (isSound && isSampled(bytes)) expectEntriesOf(tree, context);
    rig.assertUnchanged(state, context.frame, bytes);
    rig.restore(state, context.frame);
    return { answers, isSound };
  } catch (error) {
    rig.restoreAll(state);
    throw error;
  }
}

function lookUp({ index }: RiggedTree, { near }: PageOfTree, bytes: Uint8Array, answers: Answer[]): void {
  const reference = new EntryReference();
  const stride = 1 + ((bytes[40]! + bytes[bytes.length - 9]! + bytes.length) % 7);
  for (let i = 0, at = stride % near.length; i < LOOKUPS; i++, at = (at + stride) % near.length) {
    const key = near[at]!;
    // Keys that are there, and some that are not but look alike.
    const asked = i < LOOKUPS - 2 ? key : i === LOOKUPS - 2 ? key.subarray(0, key.length - 1) : longer(key);
    if (asked.length === 0) continue;
    answers.push(answer(() => (index.lookup(asked, reference) ? reference.value : 'missing')));
  }
}

function longer(key: Uint8Array): Uint8Array {
  const longest = new Uint8Array(key.length + 1).fill(0x80);
  longest.set(key);
  return longest;
}

/** Entries either way, from the page on to the end: a cursor that goes round and round runs out of steps. */
function scan({ index }: RiggedTree, { near }: PageOfTree, bytes: Uint8Array, answers: Answer[]): void {
  const batch = new EntryBatch();
  for (const reverse of [false, true]) {
    const cursor = index.cursor();
    const from = bytes[bytes.length - 5]! % 3 === 0 ? null : reverse ? near[near.length - 1]! : near[0]!;
    cursor.seek(from, { reverse, exclusive: bytes[60] === 1 });
    for (let last: Answer = 'missing'; last === 'missing'; ) {
      last = answer(() => (cursor.next(batch) ? 'missing' : 'ended'));
      if (last === 'missing') answers.push(...batch.keys.slice(0, batch.count), ...batch.values.slice(0, batch.count));
      else answers.push(last);
    }
  }
}

/** Whether all is compared that a page gives for which a check finds nothing: that takes long, and there are many. */
export function isSampled(bytes: Uint8Array): boolean {
  return crc32(bytes) % SAMPLED === 0;
}

/** A check of the page, and of those below it, whose bounds it gives. */
export function checkFindsNothing({ rig, index }: RiggedTree, { tree, frame }: PageOfTree): boolean {
  let reports = 0;
  const report = (): void => {
    reports++;
  };
  const children = index.check(frame, tree.bounds.get(frame)!, report);
  for (const [offset, bounds] of children) {
    if (reports > 0) return false;
    const child = answer(() => {
      index.check(rig.child(frame, offset), bounds, report);
      return 'missing';
    });
    if (child === 'refused') return false;
  }
  return reports === 0;
}

/** Look-ups of all keys, and scans of everything, give what the bytes say. */
function expectEntriesOf(tree: RiggedTree, context: PageOfTree): void {
  const { rig, index } = tree;
  rig.steps = Number.POSITIVE_INFINITY;
  const entries = context.tree.kind.entries(rig);
  for (const reverse of [false, true]) expectScan(tree, reverse ? [...entries].reverse() : entries, reverse);
  const reference = new EntryReference();
  for (const { key, tag, value } of entries) {
    expectThat(
      index.lookup(key, reference),
      () => `a check finds nothing, and key ${key.toString('latin1')} is not found`,
    );
    expectThat(
      sameBytes(reference.value, value) && reference.tag === tag,
      'a look-up gives another value than the page has',
    );
  }
  const there = new Set(entries.map(({ key }) => key.toString('latin1')));
  for (const key of context.tree.keys) {
    if (there.has(Buffer.from(key).toString('latin1'))) continue;
    expectThat(!index.lookup(key, reference), 'a look-up gives an entry that the page does not have');
  }
}

export function expectScan({ index }: RiggedTree, entries: readonly NaiveEntry[], reverse: boolean): void {
  const cursor = index.cursor();
  cursor.seek(null, { reverse });
  const batch = new EntryBatch();
  let at = 0;
  while (cursor.next(batch)) {
    for (let i = 0; i < batch.count; i++, at++) {
      const wanted = entries[at];
      const same =
        wanted !== undefined &&
        sameBytes(batch.keys[i]!, wanted.key) &&
        sameBytes(batch.values[i]!, wanted.value) &&
        batch.tags[i] === wanted.tag;
      expectThat(same, `a check finds nothing, and a scan gives another entry ${at} than the pages have`);
    }
  }
  expectThat(at === entries.length, `a check finds nothing, and a scan ends after ${at} of ${entries.length} entries`);
}

/** Whether a check of the whole tree finds nothing. */
export function isWholeSound(tree: RiggedTree): boolean {
  return answer(() => (boundsBelow(tree).reports.length === 0 ? 'ended' : 'refused')) === 'ended';
}

function answer(operation: () => Answer): Answer {
  try {
    return operation();
  } catch (error) {
    if (isPagewrightError(error, 'PW_CORRUPT_PAGE')) return 'refused';
    throw error;
  }
}

function sameAnswers(a: readonly Answer[], b: readonly Answer[]): boolean {
  return (
    a.length === b.length &&
    a.every((answer, i) => {
      const other = b[i]!;
      return typeof answer === 'string' || typeof other === 'string' ? answer === other : sameBytes(answer, other);
    })
  );
}
