/**
 * What one put makes dirty: room in the file is secured for so many pages and no more. Trees of short keys whose entries are now small, now as large as fits into a page divide pages twice, and pages
 * above them, about once in two thousand puts. ART_SEED repeats a run.
 */
import { HostilePages, type HostilePagesOptions, Random, valueBytes } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { ModeledTree } from './model.js';

const SEED = Number(process.env.ART_SEED ?? Math.floor(Math.random() * 2 ** 31));
const LONGEST = 1024;
const TREES = 6;
const STEPS = 3000;

class CountedPages extends HostilePages {
  readonly changed = new Set<number>();

  override allocate(...given: Parameters<HostilePages['allocate']>): number {
    const frame = super.allocate(...given);
    this.changed.add(frame);
    return frame;
  }
  override modify(...given: Parameters<HostilePages['modify']>): void {
    super.modify(...given);
    this.changed.add(given[0]);
  }
}

it.each([38, 231, SEED])('a put changes and makes no more pages than the tree says (ART_SEED=%i)', (seed) => {
  const random = new Random(seed);
  let most = 0;
  for (let tree = 0; tree < TREES; tree++) most = Math.max(most, mostOfOnePut(random));
  // Else nothing was tried: one division and what it draws in come to four.
  expect(most).toBeGreaterThan(4);
});

/** The most that one of many puts into a new tree has made dirty. */
function mostOfOnePut(random: Random): number {
  const options: HostilePagesOptions = { pageSize: 4096, frames: 8192, watch: false };
  const pages = new CountedPages(options);
  const tree = new ModeledTree(options, pages);
  const mostBytes = random.pick([3, 10]);
  const removals = random.pick([0, 0.1]);
  const large = random.pick([0.3, 0.6]);
  const beginning = random.chance(0.5) ? 'x'.repeat(random.below(900)) : '';
  let most = 0;
  for (let step = 0; step < STEPS; step++) {
    if (random.chance(removals) && tree.sorted.length > 0) {
      tree.remove(random.pick(tree.sorted));
      continue;
    }
    const rest = Array.from({ length: random.between(1, mostBytes) }, () => String.fromCharCode(random.below(256)));
    const key = (random.chance(0.7) ? beginning.slice(0, random.below(900)) : '') + rest.join('');
    pages.changed.clear();
    tree.put(key, 0, valueBytes(step, random.chance(large) ? LONGEST - key.length : random.below(500)));
    expect(pages.changed.size).toBeLessThanOrEqual(tree.index.pagesAPut!);
    most = Math.max(most, pages.changed.size);
  }
  tree.expectWhole();
  return most;
}
