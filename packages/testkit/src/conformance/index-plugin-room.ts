/**
 * Clauses about the room that an index says its puts take. A commit is not logged before that much of the file is its own; an
 * index that says too little lets the file run full when the commit is in the log already (X3).
 */
import { ENTRY_OVERHEAD, SWIP_HOT, SWIP_TAG_MASK, type SwipLocation } from '@pagewright/core';
import { HostilePages } from '../pages/hostile-pages.js';
import { Random } from '../random.js';
import { ModeledIndex, valueBytes } from './index-plugin-model.js';
import { randomKey } from './index-plugin-steps.js';
import { expect, type IndexClause, type IndexUnderTest, naming, withSeeds } from './index-plugin-subject.js';

/** `Index.pagesAPut` of an index that says nothing. */
const PAGES_A_PUT = 2;
/** So many bytes of pages are secured for each byte of keys and values, beside the overhead. */
const PAGES_A_PAGE = 4;
/** Pages of a tree that hold hardly anything: the last one of each level, and those of an empty index. */
const SPARE_PAGES = 4;
const TREES = 4;
const PUTS = 1500;
const ENTRIES = 4000;
const FRAMES = 8192;

export const ROOM_CLAUSES: readonly IndexClause[] = [
  {
    id: 'pages-of-a-put',
    says: 'makes no more pages dirty by one put than it says, or than 2, but for those above and those of large values',
    rules: ['X3'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        const random = new Random(seed);
        for (let tree = 0; tree < TREES; tree++) putOneByOne(subject, random);
      });
    },
  },
  {
    id: 'overhead-of-entries',
    says: 'takes no more room for many small entries than four times their bytes and its overhead for each of them, as it says or 128 bytes',
    rules: ['X3'],
    needs: ['pages'],
    check(subject) {
      withSeeds(subject, (seed) => {
        for (const { shape, keyOf, valueLength } of SMALL_ENTRIES) {
          for (const order of ['up', 'down', 'random'] as const) {
            try {
              putMany(subject, new Random(seed), keyOf, order, valueLength);
            } catch (error) {
              throw naming(`${shape} keys, ${order}`, error);
            }
          }
        }
      });
    },
  },
];

/** Entries that are mostly what an index keeps beside them. */
const SMALL_ENTRIES: readonly {
  readonly shape: string;
  readonly keyOf: (n: number) => string;
  readonly valueLength: number;
}[] = [
  { shape: 'dense', keyOf: (n) => String.fromCharCode(n >>> 8, n & 0xff), valueLength: 0 },
  { shape: 'sparse', keyOf: (n) => scattered(n).slice(0, 3), valueLength: 0 },
  { shape: 'long', keyOf: (n) => `users/of/one/tenant/${scattered(n)}`, valueLength: 9 },
];

/** Counts the pages that were changed or are new, and are there still. */
class CountedPages extends HostilePages {
  readonly changed = new Set<number>();
  /** Pages between which swips were moved. */
  readonly #moved: (readonly [from: number, to: number])[] = [];

  override allocate(...given: Parameters<HostilePages['allocate']>): number {
    const frame = super.allocate(...given);
    this.changed.add(frame);
    return frame;
  }

  override modify(...given: Parameters<HostilePages['modify']>): void {
    super.modify(...given);
    this.changed.add(given[0]);
  }

  override free(frame: number): void {
    super.free(frame);
    this.changed.delete(frame);
  }

  override discard(parent: number, offset: number): void {
    const child = this.#frameBelow(parent, offset);
    super.discard(parent, offset);
    this.changed.delete(child);
  }

  override moveSwips(...given: Parameters<HostilePages['moveSwips']>): void {
    super.moveSwips(...given);
    const [from, , to] = given;
    this.#moved.push([from, to]);
  }

  /** Begins to count anew. */
  forget(): void {
    this.changed.clear();
    this.#moved.length = 0;
  }

  /**
   * How many were changed, but for those that lead to others of them, as pages above and those of large values do, and for
   * those that such a page was divided with: their room is counted elsewhere.
   */
  lowestChanged(root: SwipLocation): number {
    const above = this.#aboveChanged(root);
    for (let before = -1; before !== above.size; ) {
      before = above.size;
      for (const pair of this.#moved)
        if (pair.some((frame) => above.has(frame))) for (const one of pair) above.add(one);
    }
    return [...this.changed].filter((frame) => !above.has(frame)).length;
  }

  /** All pages from which a changed one is reached, over others or at once. */
  #aboveChanged(root: SwipLocation): Set<number> {
    const parents = new Map<number, number>();
    this.walk(root, (frame, _, parent) => parents.set(frame, parent));
    const above = new Set<number>();
    for (const frame of this.changed)
      for (let at = parents.get(frame); at !== undefined && !above.has(at); at = parents.get(at)) above.add(at);
    return above;
  }

  /** The frame of a page that is in memory; -1 if it is not. */
  #frameBelow(frame: number, offset: number): number {
    const word = this.segmentOf(frame).u32[(this.baseOf(frame) + offset) >>> 2]!;
    return (word & SWIP_TAG_MASK) === SWIP_HOT ? word >>> 2 : -1;
  }
}

function putOneByOne({ type }: IndexUnderTest, random: Random): void {
  const pages = new CountedPages({ frames: FRAMES, watch: false });
  const model = new ModeledIndex(type, pages);
  const { maxKeySize, maxValueSize } = model.limits;
  const said = model.index.pagesAPut ?? PAGES_A_PUT;
  // Now small, now as large as fits into a page, so that pages are divided where one half has no room either.
  const largest = Math.min(maxValueSize, (pages.pageSize >>> 2) - Math.min(maxKeySize, 64));
  const large = random.pick([0.1, 0.6]);
  const prefix = 'x'.repeat(random.below(Math.min(maxKeySize, 900)));
  for (let put = 0; put < PUTS; put++) {
    const key = (prefix.slice(0, random.below(prefix.length + 1)) + randomKey(random, 40)).slice(0, maxKeySize);
    pages.forget();
    model.put(key, 0, valueBytes(put, random.chance(large) ? largest : random.below(Math.min(largest, 300))));
    // Most puts change fewer anyway.
    const dirty = pages.changed.size <= said ? 0 : pages.lowestChanged(model.root);
    expect(dirty <= said, `Put ${put} made ${dirty} pages dirty, and the index says ${said}`);
  }
  model.expectAgreement();
}

function putMany(
  { type }: IndexUnderTest,
  random: Random,
  keyOf: (n: number) => string,
  order: 'up' | 'down' | 'random',
  valueLength: number,
): void {
  const pages = new HostilePages({ frames: FRAMES, watch: false });
  const model = new ModeledIndex(type, pages);
  const { maxKeySize, maxValueSize } = model.limits;
  const all = new Set(Array.from({ length: ENTRIES }, (_, n) => keyOf(n).slice(0, maxKeySize)));
  const keys = [...all].sort((a, b) => (a < b ? -1 : 1));
  if (order === 'down') keys.reverse();
  if (order === 'random') random.shuffle(keys);
  const value = valueBytes(1, Math.min(maxValueSize, valueLength));
  let bytes = 0;
  for (const key of keys) {
    model.put(key, 0, value);
    bytes += key.length + value.length;
  }
  let taken = 0;
  pages.walk(model.root, (frame) => {
    taken += pages.sizeOf(frame);
  });
  const overhead = model.index.entryOverhead ?? ENTRY_OVERHEAD;
  const secured = PAGES_A_PAGE * bytes + overhead * keys.length + SPARE_PAGES * pages.pageSize;
  expect(
    taken <= secured,
    `${keys.length} entries of ${bytes} bytes take ${taken}, ${Math.ceil((taken - PAGES_A_PAGE * bytes) / keys.length)} each beside four times theirs, and the index says ${overhead}`,
  );
}

/** Three bytes and more that look like chance and differ for each number. */
function scattered(n: number): string {
  const mixed = Math.imul(n + 1, 0x9e3779b1) >>> 0;
  return String.fromCharCode(mixed >>> 24, (mixed >>> 16) & 0xff, (mixed >>> 8) & 0xff, mixed & 0xff);
}
