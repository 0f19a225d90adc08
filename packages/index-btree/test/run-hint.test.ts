/** A run of rising keys is put without descents, and where others change its leaf meanwhile it is not put into the wrong one. */
import { Random } from '@pagewright/testkit';
import { describe, expect, it, vi } from 'vitest';
import { ModeledTree } from './model.js';

const VALUE = new Uint8Array(20);

function keyOf(number: number): string {
  return `key/${String(number).padStart(6, '0')}`;
}

describe('a run of puts', () => {
  it('descends for the first ones, and then where a leaf is full', () => {
    const tree = new ModeledTree({ pageSize: 4096, watch: false });
    for (let i = 0; i < 1000; i++) tree.put(keyOf(i), 0, VALUE);
    const children = vi.spyOn(tree.pages, 'child');
    for (let i = 1000; i < 2000; i++) tree.put(keyOf(i), 0, VALUE);
    // Some 80 entries a leaf, and a few descents for each.
    expect(children.mock.calls.length).toBeLessThan(200);
    tree.expectWhole();
  });

  it('does not go on in a leaf that others have changed', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const random = new Random(seed);
      const tree = new ModeledTree({ pageSize: 4096, watch: false });
      const { pages, root, number } = tree;
      const indexes = [tree.index, tree.type.open({ pages, number, root }), tree.type.open({ pages, number, root })];
      const next = indexes.map(() => 0);
      try {
        for (let step = 0; step < 1500; step++) {
          const who = random.below(indexes.length);
          tree.index = indexes[who]!;
          if (random.chance(0.02)) next[who] = random.below(60) * 1000;
          if (random.chance(0.004)) {
            for (const key of tree.sorted.filter(() => random.chance(0.6))) tree.remove(key);
            continue;
          }
          const run = random.chance(0.1) ? 40 : 1;
          for (let i = 0; i < run; i++) tree.put(keyOf(next[who]!++), 0, VALUE);
        }
        tree.expectWhole();
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      }
    }
  });
});
