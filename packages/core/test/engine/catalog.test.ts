import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BufferPool } from '@pagewright/bufferpool';
import { NodeFiles } from '@pagewright/io-posix';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Catalog } from '../../src/engine/catalog.js';
import { slotOffset, slotsPerPage } from '../../src/engine/catalog-layout.js';
import { decodeDescription, encodeDescription } from '../../src/engine/index-description.js';
import { EntryReference, NO_LOG, PAGE_HEADER_SIZE, PagewrightError, TAG_VALUE } from '../../src/index.js';
import { FanIndexType } from './fan-index.js';

let directory: string;
const open: BufferPool[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-catalog-'));
});

afterEach(async () => {
  for (const pages of open.splice(0)) await pages.close();
  fs.rmSync(directory, { recursive: true });
});

const types = [new FanIndexType()];
const describeAs = (name: string) => ({ name, type: 'fan', keyEncoding: 'utf8', valueEncoding: 'json' });

async function openPages(): Promise<BufferPool> {
  const pages = new BufferPool({ memory: 4 << 20, pageSize: 4096 });
  const request = {
    path: path.join(directory, 'app.pw'),
    io: new NodeFiles(),
    create: true,
    errorIfExists: false,
    readOnly: false,
  };
  await pages.open(request);
  open.push(pages);
  return pages;
}

async function openCatalog(): Promise<{ pages: BufferPool; catalog: Catalog }> {
  const pages = await openPages();
  return { pages, catalog: Catalog.open(pages, types, { create: true, timestamp: 0 }) };
}

async function reopen(pages: BufferPool, timestamp: number) {
  await save(pages, timestamp);
  await pages.close();
  return openCatalog();
}

async function save(pages: BufferPool, timestamp: number): Promise<void> {
  await pages.checkpoint({ gate: () => ({ timestamp, log: NO_LOG }), secureLog: async () => {} });
}

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof PagewrightError) return error.code;
    throw error;
  }
  return 'none';
}

/** As snapshots of these timestamps see it, and no others. */
const seenBy =
  (...timestamps: number[]) =>
  (from: number, below: number): boolean =>
    timestamps.some((timestamp) => from <= timestamp && timestamp < below);

describe('the catalog', () => {
  test('is as it was after reopening, whatever was created, dropped and cleared', async () => {
    const command = fc.record({
      kind: fc.constantFrom('create', 'create', 'create', 'drop', 'clear', 'forget', 'reopen', 'flag'),
      which: fc.nat(1000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 80, size: 'max' }), async (commands) => {
        fs.rmSync(path.join(directory, 'app.pw'), { force: true });
        let { pages, catalog } = await openCatalog();
        const model = new Map<string, { number: number; incarnation: number; flag: boolean }>();
        let dropped = 0;
        let timestamp = 0;
        let names = 0;
        let numbers = 0;
        for (const { kind, which } of commands) {
          timestamp++;
          const names_ = [...model.keys()];
          const name = names_[which % Math.max(1, names_.length)];
          const entry = name === undefined ? undefined : catalog.byName.get(name);
          if (kind === 'create') {
            const made = catalog.create(catalog.nextNumber, describeAs(`index ${++names} ä`), timestamp);
            expect(made.number).toBe(++numbers);
            model.set(made.name, { number: made.number, incarnation: timestamp, flag: false });
          } else if (kind === 'reopen') {
            ({ pages, catalog } = await reopen(pages, timestamp));
          } else if (kind === 'forget') {
            for (const tree of catalog.dropped) {
              while (!pages.releaseTree(tree.location, timestamp, 1)) {}
              catalog.forget(tree, timestamp);
              dropped--;
            }
          } else if (name !== undefined && entry !== undefined) {
            const known = model.get(name)!;
            if (kind === 'drop') {
              catalog.drop(entry, timestamp);
              model.delete(name);
              dropped++;
            } else if (kind === 'clear') {
              entry.open(pages, catalog.types);
              catalog.clear(entry, timestamp);
              model.set(name, { number: known.number, incarnation: timestamp, flag: false });
              dropped++;
            } else {
              entry.noteTombstones();
              known.flag = true;
            }
          }
        }
        ({ pages, catalog } = await reopen(pages, ++timestamp));
        const found = [...catalog.byName].map(([name, { number, incarnation, mayHaveTombstones }]) => [
          name,
          { number, incarnation, flag: mayHaveTombstones },
        ]);
        expect(new Map(found as [])).toEqual(model);
        expect(catalog.dropped.size).toBe(dropped);
        expect(catalog.nextNumber).toBe(numbers + 1);
        await pages.close();
      }),
      { numRuns: 20 },
    );
  });

  test('keeps what a cleared index was for older snapshots, until it is forgotten', async () => {
    const { pages, catalog } = await openCatalog();
    const entry = catalog.create(1, describeAs('users'), 1);
    const key = Buffer.from('k');
    entry.index.upsert(key, TAG_VALUE, Buffer.from('x'), 2);
    const old = entry.index;
    catalog.clear(entry, 3);
    const into = new EntryReference();
    expect(entry.index.lookup(key, into)).toBe(false);
    expect(entry.predecessor?.index).toBe(old);
    expect(old.lookup(key, into)).toBe(true);
    expect(entry.predecessor?.incarnation).toBe(1);
    catalog.clear(entry, 5);
    entry.forgetUnseen(seenBy(3));
    expect(entry.predecessor?.incarnation).toBe(3);
    expect(entry.predecessor?.predecessor).toBeNull();
    entry.forgetUnseen(seenBy(5));
    expect(entry.predecessor).toBeNull();
    expect([...catalog.dropped].map((tree) => tree.neededBelow)).toEqual([3, 5]);
    await pages.close();
  });

  test('forgets what no snapshot sees between what two of them see, and finds the rest as before', async () => {
    const { pages, catalog } = await openCatalog();
    const entry = catalog.create(1, describeAs('users'), 1);
    for (const timestamp of [3, 5, 7, 9]) catalog.clear(entry, timestamp);
    const known = (): number[] => {
      const incarnations: number[] = [];
      for (let past = entry.predecessor; past !== null; past = past.predecessor) incarnations.push(past.incarnation);
      return incarnations;
    };
    expect(known()).toEqual([7, 5, 3, 1]);
    entry.forgetUnseen(seenBy(2, 6));
    expect(known()).toEqual([5, 1]);
    // A tree ends where the next one began, whether that is still known or not.
    entry.forgetUnseen(seenBy(4, 6));
    expect(known()).toEqual([5]);
    entry.forgetUnseen(seenBy(7, 8));
    expect(known()).toEqual([]);
    await pages.close();
  });

  test('has room for hundreds of indexes over several pages, and uses slots again', async () => {
    let { pages, catalog } = await openCatalog();
    for (let i = 1; i <= 300; i++) catalog.create(i, describeAs(`index ${i}`), i);
    ({ pages, catalog } = await reopen(pages, 300));
    expect(catalog.byName.size).toBe(300);
    const slots = () =>
      new Set([...catalog.byName.values()].map(({ location }) => `${location.frame} ${location.offset}`));
    const before = slots();
    expect(before.size).toBe(300);
    for (const entry of [...catalog.byName.values()]) catalog.drop(entry, 301);
    for (const tree of catalog.dropped) {
      while (!pages.releaseTree(tree.location, 301, 8)) {}
      catalog.forget(tree, 301);
    }
    for (let i = 301; i <= 600; i++) catalog.create(i, describeAs(`index ${i}`), i);
    expect(slots()).toEqual(before);
    expect(catalog.nextNumber).toBe(601);
  });

  test('that is full says so before anything is logged', async () => {
    const { catalog } = await openCatalog();
    catalog.create(2 ** 32 - 2, describeAs('last'), 1);
    expect(codeOf(() => catalog.assertRoom())).toBe('PW_FULL');
  });
});

describe('two catalogs over the same pages', () => {
  test('a tree that was cleared in one and dropped with its index in the other is forgotten once, and its slot is used by one', async () => {
    const { pages, catalog } = await openCatalog();
    const other = Catalog.open(pages, types, { create: false, timestamp: 0 });
    const entry = catalog.create(1, describeAs('users'), 1);
    catalog.clear(entry, 2);
    const [cleared] = catalog.dropped;
    other.takeOver(other.read());
    other.drop(other.live(1)!, 3);
    catalog.takeOver(catalog.read());
    expect(entry.dropped).toBe(true);
    expect([...catalog.dropped].map((tree) => tree.neededBelow)).toEqual([0, 0]);
    expect(catalog.dropped.has(cleared!)).toBe(false);
    while (!pages.releaseTree(cleared!.location, 3, 10));
    catalog.forget(cleared!, 4);
    expect([...catalog.dropped].map((tree) => tree.location)).not.toContainEqual(cleared!.location);
    other.takeOver(other.read());
    expect(other.create(2, describeAs('others'), 5).location).toEqual(cleared!.location);
    expect(() => catalog.forget(cleared!, 6)).toThrow('A slot of the catalog becomes free that has a tree');
  });

  test('agree on the snapshots that see a tree, whichever of them has replaced it', async () => {
    const { pages, catalog } = await openCatalog();
    const other = Catalog.open(pages, types, { create: false, timestamp: 0 });
    const entry = catalog.create(1, describeAs('users'), 1);
    catalog.clear(entry, 2);
    other.takeOver(other.read());
    for (const timestamp of [4, 7]) other.clear(other.live(1)!, timestamp);
    catalog.takeOver(catalog.read());
    const spans = (of: Catalog) => [...of.dropped].map((tree) => [tree.incarnation, tree.neededBelow]).sort();
    expect(spans(catalog)).toEqual([
      [1, 2],
      [2, 4],
      [4, 7],
    ]);
    expect(spans(other)).toEqual(spans(catalog));
    // The trees between have gone, and where the first of them ends is known as before.
    const [, second] = [...catalog.dropped].sort((a, b) => a.incarnation - b.incarnation);
    while (!pages.releaseTree(second!.location, 7, 10));
    catalog.forget(second!, 8);
    other.clear(other.live(1)!, 9);
    catalog.takeOver(catalog.read());
    expect(spans(catalog)).toEqual([
      [1, 2],
      [4, 7],
      [7, 9],
    ]);
    await pages.close();
  });
});

describe('a damaged catalog', () => {
  /** Changes a byte of the first entry page behind the catalog's back, with a checksum that fits. */
  async function damage(offset: number, bytes: Uint8Array, page: 'root' | 'entries' = 'entries'): Promise<string> {
    const { pages, catalog } = await openCatalog();
    const { location } = catalog.create(1, describeAs('users'), 1);
    pages.latch(pages.root.frame);
    const root = pages.childOfLatched(pages.root.frame, pages.root.offset);
    pages.unlatch(pages.root.frame);
    const frame = page === 'root' ? root : location.frame;
    pages.latch(frame);
    pages.modify(frame, 1);
    pages.segmentOf(frame).u8.set(bytes, pages.baseOf(frame) + offset);
    pages.unlatch(frame);
    await save(pages, 1);
    await pages.close();
    const again = await openPages();
    return codeOf(() => Catalog.open(again, types, { create: true, timestamp: 1 }));
  }

  const slot = slotOffset(0);
  test.each([
    ['a slot in a state that there is not', slot + 12, [7]],
    ['a name that is longer than its place', slot + 17, [200]],
    ['a type without a name', slot + 14, [0]],
    ['an index with the number of the catalog', slot + 8, [0, 0, 0, 0]],
    ['an index of a number that was not given yet', slot + 8, [9, 0, 0, 0]],
    ['an incarnation that is no timestamp', slot + 24, [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['a name that is no text', slot + 128, [0xff, 0xfe]],
    ['a free slot with a tree', slot + 12, [0]],
    ['another kind of page', 0, [9, 0]],
    ['a page of another index', 4, [9, 0, 0, 0]],
    ['a swip table of another form', 20, [1, 0]],
  ])('with %s is reported as damage', async (_what, offset, bytes) => {
    expect(await damage(offset, Uint8Array.from(bytes))).toBe('PW_CORRUPT_PAGE');
  });

  test.each([
    ['another version', PAGE_HEADER_SIZE, [9, 0, 0, 0]],
    ['no next number', PAGE_HEADER_SIZE + 4, [0, 0, 0, 0]],
  ])('with %s on its root is reported as damage', async (_what, offset, bytes) => {
    expect(await damage(offset, Uint8Array.from(bytes), 'root')).toBe('PW_CORRUPT_PAGE');
  });
});

describe('the description of an index', () => {
  test('comes back from the log as it went in', () => {
    const label = fc
      .string({ minLength: 1, maxLength: 30, unit: 'binary' })
      .filter((text) => Buffer.from(text).toString() === text);
    fc.assert(
      fc.property(fc.record({ name: label, type: label, keyEncoding: label, valueEncoding: label }), (description) => {
        expect(decodeDescription(encodeDescription(description))).toEqual(description);
      }),
    );
  });

  test('that is cut off is PW_CORRUPT_LOG, and no change of a byte leads to a wild read', () => {
    const good = Buffer.from(encodeDescription(describeAs('users')));
    for (let length = 0; length < good.length; length++) {
      expect(codeOf(() => decodeDescription(good.subarray(0, length)))).toBe('PW_CORRUPT_LOG');
    }
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, length) => {
        const bad = Buffer.from(good);
        bad[at] = byte;
        expect(['PW_CORRUPT_LOG', 'none']).toContain(codeOf(() => decodeDescription(bad.subarray(0, length))));
      }),
    );
  });
});

test('an entry page of 16 KiB has room for 63 indexes', () => {
  expect(slotsPerPage(16384)).toBe(63);
});
