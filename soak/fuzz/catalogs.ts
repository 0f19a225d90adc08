/** The catalog's pages, whose checksums were right: it lists exactly the indexes that its bytes describe, or is refused. */
import { isPagewrightError, PAGE_SWIP_COUNT, type SwipLocation } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import type { FuzzSeed, FuzzTarget, Random } from '@pagewright/testkit';
import { expectSame, expectThat } from './agreement.js';
import { catalog as catalogModule } from './internals.js';
import { PageRig, type RigState } from './page-rig.js';

const STEPS = 5000;

interface Rigged {
  readonly rig: PageRig;
  readonly state: RigState;
}

interface PageOfCatalog {
  readonly rigs: readonly [Rigged, Rigged];
  readonly frame: number;
}

export const catalogs: FuzzTarget<PageOfCatalog> = {
  name: 'catalog pages',
  resizes: false,
  refusals: new Set(['PW_CORRUPT_PAGE']),
  seeds: pagesOfCatalog,
  run(bytes, { context: { rigs, frame } }) {
    const [first, second] = rigs.map((rigged) => open(rigged, frame, bytes));
    expectSame(second, first, 'what lies around a page of the catalog changes it');
    if (first instanceof Error) throw first;
    return 'taken';
  },
};

/** What the catalog says of each index, or the error. */
function open({ rig, state }: Rigged, frame: number, bytes: Uint8Array): unknown {
  rig.place(frame, bytes);
  rig.steps = STEPS;
  try {
    const catalog = catalogModule.Catalog.open(rig, [new BtreeType()], { create: false, timestamp: 1 });
    const found = [...catalog.byName.values()].map(
      ({ number, description, location, incarnation, mayHaveTombstones }) => ({
        number,
        ...description,
        location,
        incarnation,
        mayHaveTombstones,
      }),
    );
    const dropped = [...catalog.dropped].map(({ location }) => location);
    expectSame(
      {
        found: sorted(found),
        dropped: placed(dropped),
        built: byNumber([...catalog.built.keys()]),
        next: catalog.nextNumber,
      },
      naive(rig),
      'the catalog is read wrongly',
    );
    rig.assertUnchanged(state, frame, bytes);
    rig.restore(state, frame);
    return found;
  } catch (error) {
    if (isPagewrightError(error)) rig.restore(state, frame);
    else rig.restoreAll(state);
    return error;
  }
}

const FIELDS = [
  ['type', 32, 32],
  ['keyEncoding', 64, 32],
  ['valueEncoding', 96, 32],
  ['name', 128, 128],
] as const;

/** The catalog as `docs/format/catalog.md` has it. */
function naive(rig: PageRig) {
  const rootFrame = rig.child(rig.root.frame, rig.root.offset);
  const root = rig.bytesOf(rootFrame);
  const found: { readonly number: number; readonly name: string }[] = [];
  const dropped: SwipLocation[] = [];
  const built: number[] = [];
  for (let swip = 64; swip < root.length && root.readUInt32LE(swip) !== 0; swip += 8) {
    const frame = rig.child(rootFrame, swip);
    const page = rig.bytesOf(frame);
    for (let at = 256; at + 256 <= page.length; at += 256) {
      const location = { frame, offset: at };
      const state = page[at + 12]!;
      if (state === 2 || state === 3 || state === 5) dropped.push(location);
      if (state === 4) built.push(page.readUInt32LE(at + 8));
      if (state !== 1) continue;
      const texts = FIELDS.map(([field, offset, size], i) => {
        expectThat(page[at + 14 + i]! <= size, `the ${field} of an index is longer than its place`);
        const text = page.subarray(at + offset, at + offset + page[at + 14 + i]!);
        expectThat(Buffer.from(text.toString()).equals(text), `the ${field} of an index is no text`);
        return [field, text.toString()] as const;
      });
      found.push({
        number: page.readUInt32LE(at + 8),
        ...(Object.fromEntries(texts) as { name: string }),
        location,
        incarnation: page.readDoubleLE(at + 24),
        mayHaveTombstones: (page[at + 13]! & 1) === 1,
      } as { number: number; name: string });
    }
  }
  expectThat(new Set(found.map(({ name }) => name)).size === found.length, 'two indexes have the same name');
  expectThat(new Set(found.map(({ number }) => number)).size === found.length, 'two indexes have the same number');
  expectThat(new Set(built).size === built.length, 'two trees are built for one index');
  return { found: sorted(found), dropped: placed(dropped), built: byNumber(built), next: root.readUInt32LE(36) };
}

function sorted<Item extends { readonly number: number }>(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => a.number - b.number);
}

function byNumber(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

function placed(locations: readonly SwipLocation[]): SwipLocation[] {
  return [...locations].sort((a, b) => a.frame - b.frame || a.offset - b.offset);
}

function pagesOfCatalog(random: Random): FuzzSeed<PageOfCatalog>[] {
  // The last two are one bit apart.
  const names = ['users', 'by name/größe', '漢'.repeat(42), 'x', 'tuples', 'emptied', 'dropped', 'a1', 'a3'];
  const numbers = names.map((_, i) => i + 1);
  const fill = (layout: 0 | 1): Rigged => {
    const rig = new PageRig(layout);
    const catalog = catalogModule.Catalog.open(rig, [new BtreeType()], { create: true, timestamp: 1 });
    for (const [i, name] of names.entries()) {
      const texts = { type: 'btree', keyEncoding: i === 2 ? 'custom' : 'utf8', valueEncoding: 'json', name };
      const entry = catalog.create(numbers[i]!, texts, i + 2);
      if (i === 4) catalog.setTombstoneFlag(entry, true, 20);
      if (i === 5) catalog.clear(entry, 21);
      if (i === 6) catalog.drop(entry, 22);
      if (i < 7) continue;
      const tree = catalog.beginTree(entry, 23);
      new BtreeType().create({ pages: rig, number: entry.number, root: tree.location }, 23);
      if (i === 8) catalog.noteBuilt(tree, 24);
    }
    return { rig, state: rig.state() };
  };
  const rigs = [fill(0), fill(1)] as const;
  const { rig } = rigs[0];
  const rootFrame = rig.child(rig.root.frame, rig.root.offset);
  const header = [
    { start: 0, end: 40 },
    { start: 16, end: 24 },
  ];
  const root = {
    bytes: rig.copyOf(rootFrame),
    context: { rigs, frame: rootFrame },
    fields: [...header, { start: 64, end: 80 }],
  };
  const entries = rig.child(rootFrame, 64);
  const slots = rig.bytesOf(entries).readUInt16LE(PAGE_SWIP_COUNT);
  const fields = [...header];
  for (let slot = 0; slot < Math.min(slots, names.length + 4); slot++) {
    const start = 256 + 256 * slot;
    fields.push({ start, end: start + 32 }, { start, end: start + 160 });
  }
  const page = { bytes: rig.copyOf(entries), context: { rigs, frame: entries }, fields };
  return random.chance(0.5) ? [root, page, page] : [page, root, page];
}
