/**
 * Changes of a tree with a damaged page. They end, give back every latch, and write to no memory but the pages that they
 * declared to change; and if a check finds nothing wrong with the page, what they leave is right.
 */
import { isPagewrightError, TAG_VALUE } from '@pagewright/core';
import type { FuzzTarget } from '@pagewright/testkit';
import { expectThat, sameBytes } from './agreement.js';
import { checkFindsNothing, expectScan, isSampled, isWholeSound } from './btree-reading.js';
import { pagesOfRadixTrees } from './radix-trees.js';
import { bufferOf, type PageOfTree, pagesOfTrees, type RiggedTree } from './trees.js';

const CHANGED = 101;

export const btreeWriting = treeWriting('B+-tree pages, changed', pagesOfTrees);
export const artWriting = treeWriting('radix tree pages, changed', pagesOfRadixTrees);

function treeWriting(name: string, seeds: FuzzTarget<PageOfTree>['seeds']): FuzzTarget<PageOfTree> {
  return {
    name,
    resizes: false,
    refusals: new Set(),
    seeds,
    run(bytes, { context }) {
      const changes = changesFor(context, bytes);
      const [first, second] = context.tree.rigs;
      const done = changeAll(first, bytes, context, changes);
      const again = changeAll(second, bytes, context, changes);
      expectThat(done.outcomes === again.outcomes, 'what lies around the page changes what comes of a change');
      for (const [i, page] of done.pages.entries())
        expectThat(sameBytes(page, again.pages[i]!), 'what lies around the page changes what is written to one');
      return done.outcome;
    },
  };
}

/** A null value removes. */
interface Change {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** A few changes, where the page is: chosen by its bytes. Large values split leaves, which is what changes an inner page. */
function changesFor({ near, original, tree }: PageOfTree, bytes: Uint8Array): Change[] {
  const choice = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let state = choice.readUInt32LE(32) ^ choice.readUInt32LE(64) ^ choice.readUInt32LE(bytes.length - 12);
  const below = (end: number): number => {
    state = (Math.imul(state, 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return (state >>> 8) % end;
  };
  const isInner = tree.kind.leadsOn(bufferOf(original));
  return Array.from({ length: isInner ? 6 : 4 }, () => {
    const key = near[below(near.length)]!;
    const kind = isInner ? 3 + below(5) : below(8);
    if (kind < 3) return { key, value: null };
    const sizes = isInner ? [700, 900, 1000] : kind === 3 ? [0, 5, 40, 300, 1100, 3000, 5000] : [0, 5, 40, 300];
    const value = new Uint8Array(sizes[below(sizes.length)]!).fill(kind);
    if (kind < 6) return { key, value };
    const other = Uint8Array.from(key);
    other[below(other.length)] = below(256);
    return { key: other, value };
  });
}

interface Changed {
  readonly outcome: string;
  readonly outcomes: string;
  readonly pages: readonly Uint8Array[];
}

function changeAll(tree: RiggedTree, bytes: Uint8Array, context: PageOfTree, changes: readonly Change[]): Changed {
  const { rig, state } = tree;
  rig.place(context.frame, bytes);
  rig.steps = Number.POSITIVE_INFINITY;
  try {
    const isSound = isSampled(bytes) && checkFindsNothing(tree, context);
    const model = isSound
      ? new Map(context.tree.kind.entries(rig).map(({ key, value }) => [key.toString('latin1'), value]))
      : null;
    rig.steps = context.tree.kind.steps.changing;
    const outcomes = changes.map((change) => carryOut(tree, change)).join();
    rig.assertNothingElseChanged(state, context.frame);
    const pages = rig.changedPages();
    if (model !== null) {
      expectThat(!outcomes.includes('refused'), 'a check finds nothing, and a change is refused');
      expectModel(tree, context, model, changes);
    }
    rig.restore(state, context.frame);
    return {
      outcome: isSound ? 'sound' : outcomes.includes('refused') ? 'refused: PW_CORRUPT_PAGE' : 'done',
      outcomes,
      pages,
    };
  } catch (error) {
    rig.restoreAll(state);
    throw error;
  }
}

function carryOut({ index }: RiggedTree, { key, value }: Change): string {
  try {
    if (value === null) return `${index.remove(key, CHANGED)}`;
    index.upsert(key, TAG_VALUE, value, CHANGED);
    return 'put';
  } catch (error) {
    if (isPagewrightError(error, 'PW_CORRUPT_PAGE')) return 'refused';
    throw error;
  }
}

function expectModel(
  tree: RiggedTree,
  context: PageOfTree,
  model: Map<string, Buffer>,
  changes: readonly Change[],
): void {
  tree.rig.steps = Number.POSITIVE_INFINITY;
  for (const { key, value } of changes) {
    const name = Buffer.from(key).toString('latin1');
    if (value === null) model.delete(name);
    else model.set(name, Buffer.from(value));
  }
  expectThat(isWholeSound(tree), 'a check finds nothing, and after a change it does');
  const entries = context.tree.kind.entries(tree.rig);
  expectThat(entries.length === model.size, 'a check finds nothing, and after a change there are other entries');
  for (const { key, value } of entries) {
    const wanted = model.get(key.toString('latin1'));
    expectThat(
      wanted !== undefined && sameBytes(value, wanted),
      'a check finds nothing, and a change leaves a wrong value',
    );
  }
  expectScan(tree, entries, false);
}
