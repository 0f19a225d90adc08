/** Trees of a few pages each, twice: in rigs of both layouts. What the fuzzers of indexes damage; here those of B+-trees. */
import { EntryBatch, type Index, type IndexType, type PageBounds, TAG_TOMBSTONE, TAG_VALUE } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { type Field, type FuzzSeed, Random } from '@pagewright/testkit';
import { type NaiveEntry, naiveEntries } from './naive-tree.js';
import { PageRig, type RigState } from './page-rig.js';

const INDEX = 7;
/** The kind of an inner page. */
const INNER = 2;
/** The timestamp of what the trees are filled with. */
const FILLED = 100;

/** One tree in one rig. */
export interface RiggedTree {
  readonly rig: PageRig;
  readonly index: Index;
  readonly state: RigState;
}

/** What fuzzers know of one kind of index. */
export interface TreeKind {
  readonly type: IndexType;
  readonly fills: readonly Fill[];
  /** All entries, read by what the format says alone. */
  readonly entries: (rig: PageRig) => NaiveEntry[];
  /** Whether a page leads to others: only large values change it then. */
  readonly leadsOn: (page: Buffer) => boolean;
  readonly fieldsOf: (page: Buffer) => Field[];
  /** Steps that look-ups and cursors, or changes, may take for one input. */
  readonly steps: { readonly reading: number; readonly changing: number };
}

export interface Tree {
  readonly kind: TreeKind;
  readonly rigs: readonly [RiggedTree, RiggedTree];
  /** Of all entries, in order. */
  readonly keys: readonly Uint8Array[];
  /** What the parents say of each page. */
  readonly bounds: ReadonlyMap<number, PageBounds>;
}

/** Which page it is that is damaged. */
export interface PageOfTree {
  readonly tree: Tree;
  readonly frame: number;
  /** The page as it was. */
  readonly original: Uint8Array;
  /** Keys that lie on the page or below it; all, if it has none. */
  readonly near: readonly Uint8Array[];
}

export type Fill = (index: Index, random: Random) => void;

/** Every page of every tree. */
export function pagesOf(kind: TreeKind, random: Random): FuzzSeed<PageOfTree>[] {
  return kind.fills.flatMap((fill) => {
    const tree = growTree(kind, fill, random.fork(fill.name).seed);
    const { rig } = tree.rigs[0];
    return rig.usedFrames().map((frame) => {
      const bytes = rig.copyOf(frame);
      return {
        bytes,
        context: { tree, frame, original: bytes, near: nearTo(tree, frame) },
        fields: kind.fieldsOf(bufferOf(bytes)),
      };
    });
  });
}

const BTREE: TreeKind = {
  type: new BtreeType(),
  fills: [fillShort, fillLong, fillShared, fillOneLeaf],
  entries: naiveEntries,
  leadsOn: (page) => page[0] === INNER,
  fieldsOf,
  steps: { reading: 4000, changing: 20_000 },
};

export function pagesOfTrees(random: Random): FuzzSeed<PageOfTree>[] {
  return pagesOf(BTREE, random);
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function growTree(kind: TreeKind, fill: Fill, seed: number): Tree {
  const grow = (layout: 0 | 1): RiggedTree => {
    const rig = new PageRig(layout);
    const index = kind.type.create({ pages: rig, number: INDEX, root: rig.root }, FILLED);
    fill(index, new Random(seed));
    return { rig, index, state: rig.state() };
  };
  const rigs = [grow(0), grow(1)] as const;
  return { kind, rigs, bounds: boundsBelow(rigs[0]).bounds, keys: keysOf(rigs[0].index) };
}

// ── Content ──────────────────────────────────────────────────────────────────────────────────────────────────────

export function fillShort(index: Index, random: Random): void {
  for (let i = 0; i < 110; i++)
    put(index, random, `${(i * 37) % 110}`.padStart(random.between(3, 9), '0'), random.below(60));
  put(index, random, 'large', 3000);
  put(index, random, 'larger', 5000);
  for (let i = 0; i < 3; i++) put(index, random, `gone ${i}`, 2000);
  for (let i = 0; i < 3; i++) index.remove(Buffer.from(`gone ${i}`), FILLED);
  put(index, random, 'large once more', 1500);
}

/** Keys of up to a quarter page: three levels. */
function fillLong(index: Index, random: Random): void {
  for (let i = 0; i < 26; i++) {
    const key = Buffer.alloc(640 + (i % 5) * 90, 0x30 + i);
    key.fill(Math.floor(i / 9) + 1, 0, 600);
    key.writeUInt32BE(random.below(2 ** 32), 600);
    index.upsert(key, TAG_VALUE, random.fill(new Uint8Array(random.below(90))), FILLED);
  }
}

export function fillShared(index: Index, random: Random): void {
  for (let i = 0; i < 150; i++) put(index, random, `users/by name/${`${(i * 53) % 150}`.padStart(6, '0')}/entry`, 24);
  for (let i = 0; i < 60; i++)
    index.remove(Buffer.from(`users/by name/${`${(i * 7) % 150}`.padStart(6, '0')}/entry`), FILLED);
  for (let i = 0; i < 10; i++)
    index.upsert(Buffer.from(`users/by name/${i}`), TAG_TOMBSTONE, new Uint8Array(0), FILLED);
}

function fillOneLeaf(index: Index, random: Random): void {
  for (let i = 0; i < 14; i++)
    put(index, random, String.fromCharCode(97 + i).repeat(random.between(1, 6)), random.below(30));
  put(index, random, 'p', 2000);
}

export function put(index: Index, random: Random, key: string, size: number): void {
  index.upsert(Buffer.from(key), TAG_VALUE, random.fill(new Uint8Array(size)), FILLED);
}

// ── What is known of it ──────────────────────────────────────────────────────────────────────────────────────────

/** What checks find below the root, page by page, and the bounds that they give. */
export function boundsBelow({ rig, index }: RiggedTree): {
  readonly bounds: ReadonlyMap<number, PageBounds>;
  readonly reports: readonly string[];
} {
  const bounds = new Map<number, PageBounds>();
  const reports: string[] = [];
  const visit = (frame: number, given: PageBounds): void => {
    bounds.set(frame, given);
    for (const [offset, below] of index.check(frame, given, (message) => reports.push(message))) {
      if (bounds.size > rig.frames) throw new Error('the tree has no end');
      visit(rig.child(frame, offset), below);
    }
  };
  visit(rig.child(rig.root.frame, rig.root.offset), { lower: null, upper: null });
  return { bounds, reports };
}

function keysOf(index: Index): Uint8Array[] {
  const cursor = index.cursor();
  cursor.seek(null, {});
  const batch = new EntryBatch();
  const keys: Uint8Array[] = [];
  while (cursor.next(batch)) keys.push(...batch.keys.slice(0, batch.count));
  return keys;
}

function nearTo(tree: Tree, frame: number): readonly Uint8Array[] {
  const bounds = tree.bounds.get(frame);
  const { lower = null, upper = null } = bounds ?? {};
  const near = tree.keys.filter(
    (key) => (lower === null || Buffer.compare(key, lower) >= 0) && (upper === null || Buffer.compare(key, upper) < 0),
  );
  return near.length === 0 ? tree.keys : near;
}

/** Headers, slots, and the beginning of the heap. */
function fieldsOf(page: Buffer): Field[] {
  const kind = page.readUInt16LE(0);
  const fields = [
    { start: 0, end: 32 },
    { start: 32, end: 128 },
  ];
  if (kind === 3) return fields;
  fields.push({ start: 128, end: 128 + (page.readUInt16LE(32) + 1) * (kind === 1 ? 12 : 16) });
  fields.push({ start: page.readUInt32LE(48), end: page.length });
  const table = page.readUInt32LE(16);
  if (kind === 1 && table > 0) fields.push({ start: table, end: table + 8 * page.readUInt16LE(20) });
  return fields;
}
