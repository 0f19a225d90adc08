/** The hints of nodes: always the heads that they stand for, so that searches find what is there. */
import { Random } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { HINTS, hintSpacing } from '../src/node-hints.js';
import { countOf, NODE_HEADER_SIZE, NODE_HINTS } from '../src/node-layout.js';
import { findSlot } from '../src/search.js';
import { ModeledTree } from './model.js';

const LEAF_SLOT = 12;
const KIND_LEAF = 1;

function keyOf(number: number): string {
  return `k${String(number).padStart(6, '0')}`;
}

function bytesOf(key: string): Uint8Array {
  return new TextEncoder().encode(key);
}

/** A tree of one full leaf, and where that is. */
function leafOf(keys: number) {
  const tree = new ModeledTree({ pageSize: 4096 });
  for (let i = 0; i < keys; i++) tree.put(keyOf(i * 3), 0, new Uint8Array(4));
  let leaf = -1;
  tree.pages.walk(tree.root, (frame) => {
    const { u16 } = tree.pages.segmentOf(frame);
    if (u16[tree.pages.baseOf(frame) >>> 1] === KIND_LEAF) leaf = frame;
  });
  return { tree, leaf, segment: tree.pages.segmentOf(leaf), base: tree.pages.baseOf(leaf) };
}

describe('hints', () => {
  it.each([1, 2, 3])('are the heads of their keys however keys come and go (seed %i)', (seed) => {
    const random = new Random(seed);
    const tree = new ModeledTree({ pageSize: 4096 });
    for (let round = 0; round < 60; round++) {
      const grows = random.chance(0.6);
      const from = random.below(900);
      for (let i = 0; i < 25; i++) {
        const key = keyOf(random.chance(0.5) ? from + i : random.below(1000));
        if (grows) tree.put(key, 0, new Uint8Array(random.below(12)));
        else tree.remove(key);
      }
      tree.expectWhole();
    }
  });

  it('lead a search to the slot that a look at all slots finds', () => {
    for (const keys of [33, 34, 35, 50, 51, 90, 120]) {
      const { segment, base } = leafOf(keys);
      expect(countOf(segment, base)).toBe(keys);
      for (let number = -1; number <= keys * 3 + 1; number++) {
        const above = Math.min(keys, Math.max(0, Math.ceil(number / 3)));
        const expected = number >= 0 && number % 3 === 0 && number < keys * 3 ? number / 3 : ~above;
        const key = bytesOf(number < 0 ? 'k' : keyOf(number));
        expect(findSlot(segment, base, 4096, LEAF_SLOT, key), `${keys} keys, ${number}`).toBe(expected);
      }
    }
  });

  it('that are torn lead a search no further than the slots', () => {
    const { segment, base } = leafOf(90);
    const random = new Random(7);
    for (let round = 0; round < 2000; round++) {
      for (let i = 0; i < HINTS; i++) segment.u32[((base + NODE_HINTS) >>> 2) + i] = random.below(2 ** 32);
      const found = findSlot(segment, base, 4096, LEAF_SLOT, bytesOf(keyOf(random.below(300))));
      const slot = found < 0 ? ~found : found;
      expect(slot).toBeGreaterThanOrEqual(0);
      expect(slot).toBeLessThanOrEqual(90);
    }
  });

  it('that are not the heads of their keys are reported', () => {
    const { tree, leaf, segment, base } = leafOf(90);
    tree.expectWhole();
    const spacing = hintSpacing(90);
    const hint = ((base + NODE_HINTS) >>> 2) + 5;
    expect(segment.u32[hint]).toBe(segment.u32[(base + NODE_HEADER_SIZE + 6 * spacing * LEAF_SLOT) >>> 2]);
    segment.u32[hint] = segment.u32[hint]! + 1;
    tree.pages.acceptBytes(leaf);
    expect(() => tree.expectWhole()).toThrow(`Hint 5 is not the head of key ${6 * spacing}`);
  });
});
