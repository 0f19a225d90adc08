/** The clause about the store that engines use: pages go to a file and come back, checkpoints run, the store is reopened. */
import type { PageFault, PageStore } from '@pagewright/core';
import { NO_LOG } from '@pagewright/core';
import { Random } from '../random.js';
import { keyBytes, ModeledIndex } from './index-plugin-model.js';
import { stir } from './index-plugin-steps.js';
import { expect, type IndexClause, type ReopenableStore } from './index-plugin-subject.js';
import { checkTree } from './index-plugin-verification.js';

const ROUNDS = 3;

export const STORE_CLAUSES: readonly IndexClause[] = [
  {
    id: 'real-store',
    says: 'is right on the store that it will be used on, across eviction, checkpoints and reopening',
    rules: ['C1', 'C2'],
    needs: ['pages', 'store'],
    async check(subject) {
      const store = await subject.store!();
      try {
        await liveOn(store, subject.type, new Random(subject.seed ?? 1));
      } finally {
        await store.dispose?.();
      }
    },
  },
];

async function liveOn(store: ReopenableStore, type: ModeledIndex['type'], random: Random): Promise<void> {
  let pages = await store.open();
  try {
    const model = new ModeledIndex(type, pages);
    for (let round = 0; round < ROUNDS; round++) {
      stir(model, random, 60);
      const running = checkpoint(pages, model.timestamp);
      // Changes while the checkpoint goes on, which are not part of it.
      for (let turn = 0; turn < 6; turn++) {
        stir(model, random, 15);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await running;
      model.expectAgreement();
      expectClean(model);
      await checkpoint(pages, model.timestamp);
      await pages.close();
      pages = await store.open();
      model.reopen(pages);
      await readByFaults(model);
      model.expectAgreement();
      expectClean(model);
    }
    for (const key of random.shuffle([...model.sorted])) model.remove(key);
    model.expectAgreement();
    expectClean(model);
  } finally {
    await pages.close();
  }
}

/** Look-ups that read nothing in place: each fault is loaded, and the look-up started again. */
async function readByFaults(model: ModeledIndex): Promise<void> {
  const { pages, index, reference } = model;
  for (const key of model.sorted.filter((_, at) => at % 10 === 0)) {
    for (let found = false; !found; ) {
      try {
        pages.faulting = true;
        found = index.lookup(keyBytes(key), reference);
        expect(found, 'An entry is missing when its page was loaded');
      } catch (error) {
        if ((error as Partial<PageFault>).isPageFault !== true) throw error;
      } finally {
        pages.faulting = false;
      }
      if (!found) await pages.loadFault();
    }
    model.expectEntry(key);
  }
}

function expectClean({ index, pages, root }: ModeledIndex): void {
  const reports = checkTree(index, pages, root);
  expect(reports.length === 0, `check reports ${reports.slice(0, 3).join('; ')}`);
}

async function checkpoint(pages: PageStore, timestamp: number): Promise<void> {
  await pages.checkpoint({ gate: () => ({ timestamp, log: NO_LOG }), secureLog: async () => undefined });
}
