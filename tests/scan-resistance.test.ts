/** A scan of a store four times the pool, and what it costs those who look up the same pages all the time. Hits are counted. */
import { BufferPool } from '@pagewright/bufferpool';
import { EntryBatch, EntryReference, type Index, NO_LOG } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';

const PAGE = 4096;
const FRAMES = 384;
const HOT_PAGES = FRAMES / 2;
const STORE_PAGES = 4 * FRAMES;
const VALUE = new Uint8Array(300);
/** Of its hits a hot set has to keep four fifths while the scan runs, and of its pages as many. */
const KEPT = 0.85;

const keyOf = (number: number): Uint8Array => new TextEncoder().encode(String(number).padStart(8, '0'));

async function openTree(files: SimulatedDevice, replacement: string): Promise<{ pool: BufferPool; tree: Index }> {
  const pool = new BufferPool({ memory: FRAMES * PAGE, pageSize: PAGE, replacement });
  const { created } = await pool.open({
    path: '/s.pw',
    io: files,
    create: true,
    errorIfExists: false,
    readOnly: false,
  });
  const type = new BtreeType();
  const context = { pages: pool, root: pool.root, number: 1 };
  return { pool, tree: created ? type.create(context, 1) : type.open(context) };
}

interface Store {
  readonly files: SimulatedDevice;
  /** The keys of each leaf. */
  readonly leaves: Uint8Array[][];
}

let grown: Promise<Store> | undefined;

/** A store with a tree of so many leaves at least. Nobody changes it: all have the same. */
function grownStore(): Promise<Store> {
  grown ??= growStore();
  return grown;
}

async function growStore(): Promise<Store> {
  const files = new SimulatedDevice();
  const { pool, tree } = await openTree(files, 'cooling');
  const entriesOnPage = Math.floor(PAGE / VALUE.length);
  for (let number = 0; number < STORE_PAGES * entriesOnPage; number++) tree.upsert(keyOf(number), 0, VALUE, 1);
  await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  const leaves: Uint8Array[][] = [];
  const cursor = tree.cursor();
  const batch = new EntryBatch();
  for (cursor.seek(null, {}); cursor.next(batch); ) leaves.push(batch.keys.slice(0, batch.count));
  expect(leaves.length).toBeGreaterThanOrEqual(STORE_PAGES);
  await pool.close();
  return { files, leaves };
}

interface Form {
  readonly lookupsForPage: number;
  readonly seed: number;
  /** Another scan went before, so that the pool is full, and what is hot has been seen to be. */
  readonly scannedBefore: boolean;
}

const FORMS: readonly Form[] = [
  { lookupsForPage: 0, seed: 1, scannedBefore: false },
  { lookupsForPage: 0, seed: 2, scannedBefore: true },
  { lookupsForPage: 0.25, seed: 1, scannedBefore: true },
  { lookupsForPage: 2, seed: 1, scannedBefore: false },
  { lookupsForPage: 2, seed: 2, scannedBefore: true },
  { lookupsForPage: 8, seed: 1, scannedBefore: false },
  { lookupsForPage: 8, seed: 2, scannedBefore: false },
];

/** Shares of look-ups that read no page: before the scan, while it runs, and after it; and of hot pages that are there when it has ended. */
async function hitsAround(
  files: SimulatedDevice,
  replacement: string,
  hot: readonly Uint8Array[][],
  { lookupsForPage, seed, scannedBefore }: Form,
): Promise<{ before: number; meanwhile: number; kept: number; after: number }> {
  const { pool, tree } = await openTree(files, replacement);
  const random = new Random(seed);
  const into = new EntryReference();
  const isHit = (keys = hot[random.below(hot.length)] as Uint8Array[]): boolean => {
    const { pageReads } = pool.stats();
    expect(tree.lookup(keys[random.below(keys.length)] as Uint8Array, into)).toBe(true);
    return pool.stats().pageReads === pageReads;
  };
  const share = (lookups: number): number => {
    let hits = 0;
    for (let lookup = 0; lookup < lookups; lookup++) if (isHit()) hits++;
    return hits / lookups;
  };
  share(10 * HOT_PAGES);
  const before = share(10 * HOT_PAGES);
  if (scannedBefore) scan(tree, () => {});
  share(10 * HOT_PAGES);
  let hits = 0;
  let looked = 0;
  let due = 0;
  scan(tree, () => {
    for (due += lookupsForPage; due >= 1; due--, looked++) if (isHit()) hits++;
  });
  // Of each page once: how many are there still.
  let kept = 0;
  for (const keys of hot) if (isHit(keys)) kept++;
  const after = share(10 * HOT_PAGES);
  await pool.close();
  return { before, meanwhile: looked === 0 ? 1 : hits / looked, kept: kept / hot.length, after };
}

function scan(tree: Index, passed: () => void): void {
  const cursor = tree.cursor();
  const batch = new EntryBatch();
  for (cursor.seek(null, {}); cursor.next(batch); ) passed();
}

describe.each(['cooling', 'clock'])('with %s, a hot set of half the pool', (replacement) => {
  it.each([
    ['side by side', 1],
    ['all over the store', STORE_PAGES / HOT_PAGES],
  ])('whose pages lie %s keeps four fifths of its hits while a store four times the pool is scanned', async (_, step) => {
    const { files, leaves } = await grownStore();
    const hot = Array.from({ length: HOT_PAGES }, (_, page) => leaves[page * step] as Uint8Array[]);
    for (const form of FORMS) {
      const found = await hitsAround(files, replacement, hot, form);
      const what = `${JSON.stringify(form)}: ${JSON.stringify(found)}`;
      expect(found.before, what).toBe(1);
      expect(found.meanwhile, what).toBeGreaterThan(KEPT);
      expect(found.kept, what).toBeGreaterThan(KEPT);
      expect(found.after, what).toBeGreaterThan(0.95);
    }
  });
});
