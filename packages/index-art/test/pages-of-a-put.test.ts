/** What one put makes dirty: room in the file is secured for so many pages and no more. ART_SEED repeats a run. */
import { HostilePages, Random, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { ModeledTree } from './model.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST = 1024;

it.each([68, 251, SEED])('a put changes and makes no more pages than the tree says (ART_SEED=%i)', (seed) => {
  const random = new Random(seed);
  const changed = new Set<number>();
  class CountedPages extends HostilePages {
    override allocate(...given: Parameters<HostilePages['allocate']>): number {
      const frame = super.allocate(...given);
      changed.add(frame);
      return frame;
    }
    override modify(...given: Parameters<HostilePages['modify']>): void {
      super.modify(...given);
      changed.add(given[0]);
    }
  }
  const options = { pageSize: 4096, frames: 8192, watch: false } as const;
  const tree = new ModeledTree(options, new CountedPages(options));
  const beginnings = Array.from({ length: 6 }, () => 'ab'.charAt(random.below(2)).repeat(random.below(LONGEST - 8)));
  for (let i = 0; i < 1500; i++) {
    const rest = Array.from({ length: random.between(1, 6) }, () => String.fromCharCode(random.below(256))).join('');
    const key = random.pick(beginnings).slice(0, random.below(LONGEST)) + rest;
    changed.clear();
    tree.put(key, 0, valueBytes(i, random.chance(0.3) ? LONGEST - key.length : random.below(60)));
    expect(changed.size).toBeLessThanOrEqual(tree.index.pagesAPut!);
  }
  tree.expectWhole();
});
