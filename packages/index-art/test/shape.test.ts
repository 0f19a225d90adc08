/** The shape that the tree keeps: nodes of the size that fits, prefixes that part, pages that are filled, and that come back. */
import { Random, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { ModeledTree } from './model.js';
import { shapeOf } from './pages.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Eight bytes of a number at random, in the part of an eighth of all that has the place `i` among `count`. */
const bytesBelow = (i: number, count: number, random: Random): number[] => {
  const high = Math.floor(((i + random.below(1000) / 1000) / count) * 2 ** 29);
  return [
    high >>> 24,
    (high >>> 16) & 255,
    (high >>> 8) & 255,
    high & 255,
    ...Array.from({ length: 4 }, () => random.below(256)),
  ];
};
const byteKey = (byte: number, rest = ''): string => String.fromCharCode(byte) + rest;

describe('nodes', () => {
  it.each([
    [2, 'node4'],
    [4, 'node4'],
    [5, 'node16'],
    [16, 'node16'],
    [17, 'node48'],
    [48, 'node48'],
    [49, 'node256'],
    [256, 'node256'],
  ] as const)('with %i children are of the kind %s, in any order', (count, kind) => {
    for (const order of ['up', 'down', 'random'] as const) {
      const tree = new ModeledTree({ pageSize: 16_384, frames: 64 });
      const bytes = Array.from({ length: count }, (_, at) => Math.floor((at * 255) / (count - 1)));
      if (order === 'down') bytes.reverse();
      if (order === 'random') new Random(SEED).shuffle(bytes);
      for (const byte of bytes) tree.put(`common/${byteKey(byte)}`, 0, valueBytes(byte, 3));
      const { nodes, longestPrefix } = shapeOf(tree);
      expect({ ...nodes }, `ART_SEED=${SEED}`).toEqual({ node4: 0, node16: 0, node48: 0, node256: 0, [kind]: 1 });
      expect(longestPrefix).toBe('common/'.length);
      tree.expectWhole();
    }
  });

  it('shrink as children go, later than they grew, down to a leaf with the whole key', () => {
    const tree = new ModeledTree({ pageSize: 16_384, frames: 64, watch: false });
    for (let byte = 0; byte < 256; byte++) tree.put(`p${byteKey(byte)}x`, 0, valueBytes(byte, 2));
    const kinds: string[] = [];
    const counts: number[] = [];
    for (let byte = 255; byte >= 0; byte--) {
      const [kind] = Object.entries(shapeOf(tree).nodes).find(([, count]) => count === 1) ?? ['leaf'];
      if (kinds.at(-1) !== kind) {
        kinds.push(kind);
        counts.push(byte + 1);
      }
      tree.remove(`p${byteKey(byte)}x`);
      tree.expectWhole();
    }
    expect(kinds).toEqual(['node256', 'node48', 'node16', 'node4', 'leaf']);
    expect(counts).toEqual([256, 40, 12, 3, 1]);
    expect(shapeOf(tree).leaves).toBe(0);
  });

  it('have the keys that are beginnings of others as terminators, and go up in what is left below them', () => {
    const tree = new ModeledTree();
    for (const key of ['abc', 'abcd', 'abcdef', 'ab', 'abcx', 'a']) tree.put(key, 1, valueBytes(key.length, 9));
    expect(shapeOf(tree)).toMatchObject({ leaves: 6, terminators: 4 });
    tree.expectWhole();
    for (const key of ['ab', 'abcd', 'abcx', 'a']) {
      tree.remove(key);
      tree.expectWhole();
    }
    expect(shapeOf(tree)).toMatchObject({ leaves: 2, terminators: 1, longestPrefix: 3 });
    tree.remove('abc');
    expect(shapeOf(tree)).toMatchObject({ leaves: 1, nodes: { node4: 0 } });
    tree.expectWhole();
  });

  it('part where prefixes do, at every byte of them', () => {
    const prefix = 'the/common/beginning/of/all/keys/';
    for (let at = 1; at < prefix.length; at++) {
      const tree = new ModeledTree();
      for (let i = 0; i < 20; i++) tree.put(prefix + i, 0, valueBytes(i, i));
      tree.put(`${prefix.slice(0, at)}\x01`, 2, valueBytes(1, 4));
      tree.put(prefix.slice(0, at), 3, valueBytes(2, 4));
      tree.expectWhole();
      expect(shapeOf(tree).longestPrefix).toBe(Math.max(at, prefix.length - at - 1));
    }
  });
});

describe('pages', () => {
  it('hold chains of as many nodes as fit, which are keys that grow by a byte each', () => {
    for (const pageSize of [4096, 65_536]) {
      const tree = new ModeledTree({ pageSize, frames: 4096, watch: false });
      const longest = Math.min(1200, tree.limits.maxKeySize);
      for (let length = 1; length <= longest; length++) tree.put('y'.repeat(length), 0, valueBytes(length, 1));
      expect(shapeOf(tree)).toMatchObject({ leaves: longest });
      for (const reverse of [false, true]) tree.expectScan({ from: null, exclusive: false, reverse }, 100);
      for (let length = 1; length <= longest; length += 7) tree.expectEntry('y'.repeat(length));
      expect(checkOf(tree)).toEqual([]);
      for (let length = 1; length <= longest; length++) tree.remove('y'.repeat(length));
      expect(shapeOf(tree)).toMatchObject({ pages: 1, leaves: 0 });
    }
  });

  it('take keys of a quarter page that differ in the last byte, at every byte', () => {
    const tree = new ModeledTree();
    const { maxKeySize } = tree.limits;
    for (let at = 0; at < maxKeySize; at += 97)
      for (const byte of ['A', 'B', 'C'])
        tree.put('k'.repeat(at) + byte.repeat(maxKeySize - at), 0, valueBytes(at, at % 3 === 0 ? 2000 : 20));
    tree.expectWhole();
    expect(shapeOf(tree).values).toBeGreaterThan(0);
    for (const key of [...tree.sorted]) tree.remove(key);
    tree.expectWhole();
    expect(shapeOf(tree)).toMatchObject({ pages: 1, values: 0 });
  });

  it('are pushed out as slices where children are small, as subtrees where they are large, and lie no deeper than they must', () => {
    const random = new Random(SEED);
    const even = new ModeledTree({ watch: false, frames: 4096 });
    for (let i = 0; i < 6000; i++)
      even.put(String.fromCharCode(...Array.from({ length: 8 }, () => random.below(256))), 0, valueBytes(i, 8));
    const shape = shapeOf(even);
    expect(shape.slices, `ART_SEED=${SEED}`).toBeGreaterThan(10);
    expect(shape.fill).toBeGreaterThan(0.45);
    expect(even.index.stats().height).toBeLessThanOrEqual(3);
    const parted = new ModeledTree({ watch: false, frames: 4096 });
    for (let i = 0; i < 3000; i++) parted.put(`${i % 3}/${'long/'.repeat(6)}${i}`, 0, valueBytes(i, 8));
    expect(shapeOf(parted).slices).toBeLessThan(shapeOf(parted).pages - 1);
    expect(shapeOf(parted).fill).toBeGreaterThan(0.45);
    const large = new ModeledTree({ watch: false, frames: 4096 });
    const ofDirectories = Array.from(
      { length: 2000 },
      (_, i) => `${String(Math.floor(i / 10)).padStart(3, '0')}/long/${i}`,
    );
    for (const [at, key] of random.shuffle(ofDirectories).entries()) large.put(key, 0, valueBytes(at, 200));
    expect(shapeOf(large).slices, `ART_SEED=${SEED}`).toBeLessThan(shapeOf(large).pages / 2);
    for (const tree of [even, parted, large]) expect(checkOf(tree)).toEqual([]);
  });

  it('are left full by keys that rise, each in one piece', () => {
    const tree = new ModeledTree({ watch: false, frames: 4096 });
    for (let i = 0; i < 8000; i++) tree.put(`key/${String(i).padStart(8, '0')}`, 0, valueBytes(i, 16));
    expect(shapeOf(tree).fill).toBeGreaterThan(0.6);
    expect(checkOf(tree)).toEqual([]);
  });

  it.each([
    [
      'numbers that lie far apart',
      (i: number, random: Random) => String.fromCharCode(...bytesBelow(i, 20_000, random)),
      0.7,
    ],
    [
      'paths of directories',
      (i: number) =>
        `/usr/lib/${String(Math.floor(i / 40)).padStart(4, '0')}/dist/file-${String(i).padStart(6, '0')}.js`,
      0.75,
    ],
  ] as const)('are left full by keys that rise, %s, with values of 100 bytes', (_, keyOf, least) => {
    const random = new Random(SEED);
    const tree = new ModeledTree({ pageSize: 16_384, watch: false, frames: 4096 });
    for (let i = 0; i < 20_000; i++) tree.put(keyOf(i, random), 0, valueBytes(i, 100));
    expect(shapeOf(tree).fill, `ART_SEED=${SEED}`).toBeGreaterThan(least);
    expect(checkOf(tree)).toEqual([]);
  });

  it('fan out to 256 children with pages of their own, and take them back', () => {
    const tree = new ModeledTree({ watch: false, frames: 8192 });
    for (let byte = 0; byte < 256; byte++)
      for (let i = 0; i < 40; i++) tree.put(byteKey(byte, `/${i}`), i, valueBytes(i, 60));
    expect(shapeOf(tree).links).toBeGreaterThan(100);
    tree.expectAgreement();
    expect(checkOf(tree)).toEqual([]);
    const random = new Random(SEED);
    for (const key of random.shuffle([...tree.sorted])) tree.remove(key);
    expect(shapeOf(tree), `ART_SEED=${SEED}`).toMatchObject({ pages: 1, leaves: 0, links: 0 });
  });

  it('that are almost empty are drawn into the page above them', () => {
    const tree = new ModeledTree({ watch: false, frames: 4096 });
    for (let i = 0; i < 2000; i++) tree.put(`a/${String(i).padStart(6, '0')}`, 0, valueBytes(i, 30));
    const before = shapeOf(tree).pages;
    for (const [at, key] of [...tree.sorted].entries()) if (at % 80 !== 0) tree.remove(key);
    expect(before).toBeGreaterThan(20);
    expect(shapeOf(tree).leaves).toBe(25);
    expect(shapeOf(tree).pages).toBeLessThanOrEqual(before / 5);
    tree.expectWhole();
  });

  it('take the higher stamp along when they are pushed out and drawn in, by an older commit, too', () => {
    const tree = new ModeledTree({ watch: false, frames: 4096 });
    for (let i = 0; i < 1500; i++) tree.put(`a/${String(i).padStart(6, '0')}`, 0, valueBytes(i, 30), 100);
    const late = tree.sorted.filter((_, at) => at % 150 === 70);
    for (const [at, key] of late.entries()) tree.put(key, 0, valueBytes(1, 30), 1_000_000 + at);
    const gone = tree.sorted.filter((_, at) => at % 150 === 90);
    for (const [at, key] of gone.entries()) tree.remove(key, 2_000_000 + at);
    const before = shapeOf(tree).pages;
    for (const key of [...tree.sorted]) if (!late.includes(key)) tree.remove(key, 200);
    expect(shapeOf(tree).pages).toBeLessThan(before / 4);
    for (const key of [...late, ...gone]) tree.expectEntry(key);
  });

  it('are written anew when their holes are worth it, and not for each entry', () => {
    const tree = new ModeledTree({ watch: false });
    for (let i = 0; i < 20; i++) tree.put(`k${i}`, 0, valueBytes(i, 100));
    // Each value outgrows the one before; all that is left behind are holes.
    for (let round = 1; round < 40; round++)
      for (let i = 0; i < 20; i++) tree.put(`k${i}`, 0, valueBytes(i, 60 + ((round * 37 + i * 11) % 60)));
    expect(shapeOf(tree)).toMatchObject({ pages: 1, leaves: 20 });
    tree.expectWhole();
  });
});

function checkOf(tree: ModeledTree): string[] {
  const damage: string[] = [];
  try {
    tree.expectWhole();
  } catch (error) {
    damage.push(String(error));
  }
  return damage;
}
