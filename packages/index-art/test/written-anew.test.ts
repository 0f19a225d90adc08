/** Pages that are written anew to make room: nodes are smaller afterwards, and take what they were to grow by once more; swips that became null are given back. */
import { Random, valueBytes } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { gapOf } from '../src/page-heap.js';
import { ModeledTree } from './model.js';
import { pageWhere, shapeOf } from './pages.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PREFIX = 'p'.repeat(800);
const byteKey = (byte: number): string => String.fromCharCode(byte);

/** Bytes between the heap and the swips of the root page. */
function gapOfRoot(tree: ModeledTree): number {
  const { pages } = tree;
  const { frame } = pageWhere(tree, () => true);
  return gapOf(pages.segmentOf(frame), pages.baseOf(frame), pages.pageSize);
}

describe('a page that is full but for holes', () => {
  // What has a long prefix takes much more when it grows than it gave back when it became smaller.
  it.each([
    ['a node with one child has gone up in it, and must part again', 1, 'B', 100],
    ['a leaf has a longer key, and another value', 1, 'A', 60],
    ['a node that ended with one child has gone up in it, and gets a terminator', 1, '', 60],
    ['a node of sixteen has become one of four, and must grow again', 4, 'Z', 100],
  ] as const)('takes an entry where %s, and writes nothing beyond its end', (_, children, rest, size) => {
    for (let holes = 1; holes < 14; holes++) {
      const tree = new ModeledTree({ frames: 64 });
      for (let i = 0; i <= children; i++) tree.put(PREFIX + byteKey(65 + i), 0, valueBytes(i, 3));
      if (children > 1) {
        // The node of sixteen lies behind the hole that the node of four has left, so that is filled first.
        tree.put('q', 0, valueBytes(0, 300));
        tree.remove('q');
      }
      let fillers = 0;
      while (gapOfRoot(tree) >= 80) tree.put(`x${byteKey(33 + fillers++)}`, 0, valueBytes(fillers, 48));
      tree.remove(PREFIX + byteKey(65 + children));
      for (let i = 5; i < 5 + holes && i < fillers; i++) tree.remove(`x${byteKey(33 + i)}`);
      tree.put(PREFIX + rest, 1, valueBytes(7, size));
      tree.expectWhole();
    }
  });
});

describe('swips that have become null', () => {
  it('are given back, those in the middle of the table as well', () => {
    const tree = new ModeledTree({ frames: 1024, watch: false });
    for (let byte = 0; byte < 190; byte++) tree.put(`k${byteKey(byte)}`, 0, valueBytes(byte, 3000));
    expect(shapeOf(tree)).toMatchObject({ pages: 1, values: 190 });
    // The one that stays has the last swip of the table.
    for (let byte = 0; byte < 189; byte++) tree.remove(`k${byteKey(byte)}`);
    for (const first of ['a', 'b', 'c', 'd', 'e']) tree.put(first.repeat(600), 0, valueBytes(1, 100));
    expect(shapeOf(tree)).toMatchObject({ pages: 1, values: 1, leaves: 6 });
    tree.expectWhole();
  });

  it('do not keep a page from being given up, or drawn in, that has nothing else', () => {
    const tree = new ModeledTree({ frames: 4096, watch: false });
    for (let i = 0; i < 700; i++) tree.put(`k${byteKey(i >>> 8)}${byteKey(i & 255)}`, 0, valueBytes(i, 1100));
    expect(shapeOf(tree).pages).toBeGreaterThan(3);
    const random = new Random(SEED);
    const few = random.shuffle([...tree.sorted]).slice(0, 4);
    for (const key of random.shuffle([...tree.sorted])) if (!few.includes(key)) tree.remove(key);
    expect(shapeOf(tree), `ART_SEED=${SEED}`).toMatchObject({ pages: 1, values: 4, leaves: 4 });
    tree.expectWhole();
  });
});
