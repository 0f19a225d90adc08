/** A page that is full to the last byte can be split wherever its keys lie: what a longer prefix takes is counted, on either side. */
import { Random, valueBytes } from '@pagewright/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModeledTree } from './model.js';

const PAGE_SIZE = 4096;
const HEADER = 128;
const SLOT = 12;

/** Bytes that header, slots and heap of the root, a leaf, leave free. */
function freeInRoot(tree: ModeledTree): number {
  const { pages, root } = tree;
  let free = -1;
  pages.walk(root, (frame) => {
    const { u16, u32 } = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    free = pages.pageSize - HEADER - u16[(base + 32) >>> 1]! * SLOT - u32[(base + 52) >>> 2]!;
  });
  return free;
}

describe('a put into a leaf without a free byte', () => {
  it('goes on with a run downwards, though all that was there would share a prefix then', () => {
    const tree = new ModeledTree({ pageSize: PAGE_SIZE });
    for (const [key, length] of [
      ['run0009', 989],
      ['run0008', 973],
      ['run0007', 973],
      ['run0006', 973],
    ] as const)
      tree.put(key, 0, valueBytes(1, length));
    expect(freeInRoot(tree)).toBe(0);
    // The run would be cut off from all of the leaf, whose heads hold what a prefix of six bytes saves: eight bytes too many.
    tree.put('run0005', 0, valueBytes(2, 973));
    tree.expectWhole();
  });

  it('goes on with a run downwards behind one short entry, though that takes less room than the prefix of the others', () => {
    const tree = new ModeledTree({ pageSize: PAGE_SIZE });
    tree.put('a', 0, valueBytes(0, 0));
    for (const key of ['run:000010', 'run:000009', 'run:000008']) tree.put(key, 0, valueBytes(1, 770));
    // Six inserts in a row make a run of these, of which five are left.
    tree.remove('run:000010');
    for (const key of ['run:000007', 'run:000006']) tree.put(key, 0, valueBytes(1, 770));
    tree.put('run:000005', 0, valueBytes(1, 786));
    expect(freeInRoot(tree)).toBe(0);
    // A slot of twelve bytes goes to the left; a prefix of nine bytes that saves no block takes sixteen on the right.
    tree.put('run:000004', 0, valueBytes(2, 770));
    tree.expectWhole();
  });
});

/** Entries of one tree: families of keys with long beginnings in common, short keys between them, values that fill pages up. */
class AdversarialEntries {
  readonly #families: readonly string[];
  readonly #digits: number;

  constructor(
    private readonly random: Random,
    private readonly pageSize: number,
  ) {
    const longest = pageSize >>> 2;
    this.#digits = random.between(1, 3);
    this.#families = Array.from({ length: random.between(1, 4) }, (_, i) => {
      const length = random.pick([random.between(1, 16), random.between(1, 200), longest - this.#digits]);
      const differs = random.pick([0, random.below(length), length - 1]);
      return 'f'.repeat(differs) + String.fromCharCode(97 + i) + 'f'.repeat(length - differs - 1);
    });
  }

  /** A key of a family, the beginning of one, or a few bytes that lie between others. */
  key(): string {
    const { random } = this;
    const family = random.pick(this.#families);
    if (random.chance(0.75)) return family + this.#number(random.below(10 ** this.#digits));
    if (random.chance(0.5)) return family.slice(0, random.between(1, family.length));
    return random.pick(['\x00', 'a', 'f', 'g', '\xff']) + random.pick(['', '\x00', 'f', '\xff\xff']);
  }

  /** Keys of one family, rising or falling. */
  run(): string[] {
    const { random } = this;
    const family = random.pick(this.#families);
    const last = 10 ** this.#digits - 1;
    const from = random.below(last + 1);
    const to = Math.min(last, from + random.between(3, 12));
    const keys = Array.from({ length: to - from + 1 }, (_, i) => family + this.#number(from + i));
    return random.chance(0.3) ? keys : keys.reverse();
  }

  /** A value that goes beside the key, up to the limit for that, or to a page of its own. */
  value(key: string): Uint8Array {
    const { random, pageSize } = this;
    const inline = Math.max(0, (pageSize >>> 2) - key.length);
    const length = random.pick([0, random.below(16), inline, random.between(inline >>> 1, inline), inline + 1]);
    return valueBytes(random.below(256), length);
  }

  #number(number: number): string {
    return String(number).padStart(this.#digits, '0');
  }
}

function put(tree: ModeledTree, entries: AdversarialEntries, keys: readonly string[], value?: Uint8Array): void {
  for (const key of keys) tree.put(key, 0, value ?? entries.value(key));
}

describe.each([PAGE_SIZE, 16_384, 65_536])('on pages of %i bytes', (pageSize) => {
  it('entries of any size find room, however much their keys share', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = new Random(seed);
        const entries = new AdversarialEntries(random, pageSize);
        const tree = new ModeledTree({ pageSize, watch: false, seed });
        for (let step = 0; step < 12; step++) {
          const keys = random.chance(0.6) ? entries.run() : [entries.key()];
          put(tree, entries, keys, random.chance(0.5) ? entries.value(keys[0]!) : undefined);
          const at = random.below(tree.sorted.length);
          if (random.chance(0.2)) for (const key of tree.sorted.slice(at, at + random.between(1, 12))) tree.remove(key);
        }
        tree.expectWhole();
      }),
      { numRuns: pageSize === PAGE_SIZE ? 300 : 40 },
    );
  });

  it('a leaf that is full to the last byte, or nearly, takes the next key of a run', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = new Random(seed);
        const tree = new ModeledTree({ pageSize, watch: false, seed });
        for (const short of ['a', 'b', 'zz'].slice(random.below(4))) tree.put(short, 0, valueBytes(0, random.below(3)));
        const family = 'r'.repeat(random.pick([random.between(1, 14), random.between(1, 100)]));
        const isDown = random.chance(0.7);
        const keyOf = (at: number) => family + String(isDown ? 50 - at : 50 + at).padStart(2, '0');
        const least = random.between(pageSize / 6, pageSize / 4 - 2 * SLOT - family.length);
        let next = 0;
        // The last one before the page is full takes what there is.
        for (let last = false; !last; next++) {
          const room = freeInRoot(tree) - SLOT;
          const fits = Math.max(0, room - Math.max(0, family.length - 2));
          last = fits <= (pageSize >>> 2) - family.length - 2;
          const length = last ? fits - random.below(3) : least;
          tree.put(keyOf(next), 0, valueBytes(1, Math.max(0, length)));
        }
        for (let more = 0; more < 3; more++) tree.put(keyOf(next + more), 0, valueBytes(2, least));
        tree.expectWhole();
      }),
      { numRuns: pageSize === PAGE_SIZE ? 300 : 60 },
    );
  });

  it('a bulk load finds room for them as well', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = new Random(seed);
        const entries = new AdversarialEntries(random, pageSize);
        const tree = new ModeledTree({ pageSize, watch: false, seed });
        const keys = new Set(
          Array.from({ length: 40 }, () => (random.chance(0.3) ? entries.run() : entries.key())).flat(),
        );
        const loading = tree.index.bulkLoad!(++tree.timestamp, random.pick([0.5, 0.9, 1]));
        for (const key of [...keys].sort((a, b) => (a < b ? -1 : 1))) {
          const value = entries.value(key);
          loading.add(Uint8Array.from(Buffer.from(key, 'latin1')), value);
          tree.notePut(key, 0, value);
        }
        loading.finish();
        put(tree, entries, entries.run());
        tree.expectWhole();
      }),
      { numRuns: pageSize === PAGE_SIZE ? 100 : 15 },
    );
  });
});
