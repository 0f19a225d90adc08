/** Look-ups among keys whose heads are equal: by fingerprints, of which some are unknown, and without reading what lies outside a page. */
import { GuardedPages, keyBytes, Random, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { fingerprintOf } from '../src/fingerprint.js';
import { fingerprintAt, isOnOwnPage, LEAF_PLACE, leafSlot } from '../src/leaf-layout.js';
import { countOf, KIND_LEAF } from '../src/node-layout.js';
import { ModeledTree } from './model.js';

/** Slots of all leaves of a tree, by position in their segment. */
function* slotsOf(tree: ModeledTree) {
  const leaves: number[] = [];
  const { pages } = tree;
  pages.walk(tree.root, (frame) => {
    if (pages.segmentOf(frame).u16[pages.baseOf(frame) >>> 1] === KIND_LEAF) leaves.push(frame);
  });
  for (const frame of leaves) {
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    for (let i = 0; i < countOf(segment, base); i++) yield { segment, frame, slot: leafSlot(base, i) };
  }
}

/** Keys that share so much that heads say nothing, one a beginning of another, and some that differ in their last byte alone. */
function pathOf(random: Random): string {
  const parts = ['usr', 'lib', 'node', 'share', 'a', 'ab', 'abc', 'module'];
  let key = 'root';
  for (let depth = random.below(6); depth >= 0; depth--) key += `/${random.pick(parts)}`;
  return random.chance(0.3) ? `${key}${String.fromCharCode(97 + random.below(26))}` : key;
}

it('is the same for ever: it stands in files', () => {
  const of = (text: string) => fingerprintOf(keyBytes(text), text.length);
  expect(['', 'a', 'b', 'abcdefg', 'fifteen bytes..', 'sixteen bytes...', 'a/path/of/some/length.txt'].map(of)).toEqual(
    [4, 109, 33, 96, 122, 92, 41],
  );
  expect(fingerprintOf(keyBytes('abcdefg and more'), 7)).toBe(of('abcdefg'));
});

it('takes all values from 1 to 127, each for about as many keys', () => {
  const counts = new Array<number>(128).fill(0);
  for (let i = 0; i < 12_700; i++) counts[fingerprintOf(keyBytes(`/usr/lib/some/where/${i}`), `${i}`.length + 20)]!++;
  expect(counts[0]).toBe(0);
  expect(Math.min(...counts.slice(1))).toBeGreaterThan(50);
  expect(Math.max(...counts)).toBeLessThan(250);
});

describe('look-ups among keys with equal heads', () => {
  it.each([1, 2, 3])('find what is there and nothing else, whatever came and went (seed %i)', (seed) => {
    const random = new Random(seed);
    const tree = new ModeledTree({ pageSize: 4096, seed, evict: 0.02, relocate: 0.02, tear: 0.02 });
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 120; i++) {
        const key = pathOf(random);
        if (random.chance(0.7)) tree.put(key, i & 255, valueBytes(i, random.chance(0.05) ? 3000 : random.below(40)));
        else tree.remove(key);
      }
      for (let i = 0; i < 200; i++) {
        const key = pathOf(random);
        expect(tree.index.lookup(keyBytes(key), tree.reference), key).toBe(tree.sorted.includes(key));
      }
      tree.expectWhole();
    }
    for (const { segment, slot } of slotsOf(tree)) expect(fingerprintAt(segment, slot)).not.toBe(0);
  });

  it('find what they look for where all fingerprints are alike', () => {
    const tree = new ModeledTree({ pageSize: 16_384, watch: false });
    const keyOf = (i: number) => `head ${String(i).padStart(4, '0')}${'the same for all of them, '.repeat(4)}`;
    for (let i = 0; i < 300; i++) tree.put(keyOf(i * 2), 0, valueBytes(i, 8));
    const known = new Set([...slotsOf(tree)].map(({ segment, slot }) => fingerprintAt(segment, slot)));
    expect(known.size).toBe(1);
    for (let i = 0; i < 600; i++)
      expect(tree.index.lookup(keyBytes(keyOf(i)), tree.reference), `${i}`).toBe(i % 2 === 0);
  });

  it('find entries whose fingerprints are not known', () => {
    const tree = new ModeledTree({ pageSize: 4096, watch: false });
    const random = new Random(5);
    for (let i = 0; i < 400; i++) tree.put(pathOf(random), 0, valueBytes(i, i % 50 === 0 ? 3000 : 20));
    for (const { segment, slot, frame } of slotsOf(tree)) {
      const own = isOnOwnPage(segment, slot);
      segment.u8[slot + LEAF_PLACE] = own ? 1 : 0;
      tree.pages.acceptBytes(frame);
    }
    tree.expectWhole();
    for (const key of tree.sorted) expect(tree.index.lookup(keyBytes(key), tree.reference), key).toBe(true);
  });

  it('read nothing outside the page, wherever the rest of a key is said to be', () => {
    const pages = new GuardedPages({ frames: 64, watch: false, pageSize: 4096 });
    const tree = new ModeledTree({}, pages);
    const keys = Array.from({ length: 30 }, (_, i) => `equal heads, and a rest that goes on for some bytes ${i}`);
    // Without these they would have a prefix.
    for (const key of [...keys, 'a', 'z']) tree.put(key, 0, valueBytes(1, 8));
    for (const { segment, slot } of slotsOf(tree)) {
      segment.u8[slot + LEAF_PLACE] = 0;
      segment.u16[(slot + 4) >>> 1] = 4090;
    }
    pages.guarded = true;
    for (const key of keys) expect(() => tree.index.lookup(keyBytes(key), tree.reference)).toThrow(/outside it/);
    pages.guarded = false;
    expect(pages.outside).toBe(0);
  });
});
