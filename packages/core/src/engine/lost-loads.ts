/**
 * Bulk loads whose threads have ended: the thread that opened the store gives up what they have built, so that it does not take room until the store is
 * opened again. Whoever waits for such a load hears of it by that change of the catalog.
 *
 * Must hold: a slot that a checkpoint may have as *built* is used again only when none has it so: a replay from there would keep the tree. So a lost load goes
 * as one that has failed does (`bulk-load.ts`); whatever ends it half-way leaves the rest to the next open.
 */
import type { Concurrency } from '../contracts/concurrency.js';
import type { PageStore } from '../contracts/pages.js';
import type { Load } from './catalog.js';
import { STATE_BUILDING } from './catalog-layout.js';
import type { Checkpoints } from './checkpoints.js';
import type { Operations } from './operations.js';
import type { SharedCatalog } from './shared-catalog.js';
import type { EngineState } from './state.js';

/** For the pages of the catalog that a change of slots may concern. */
const ROOM_PAGES = 16;

export class LostLoads {
  /** Set while it is at it, and when that could not be done once: then it would not be done the next time. */
  private isBusy = false;

  constructor(
    private readonly pages: PageStore,
    private readonly shared: SharedCatalog,
    private readonly concurrency: Concurrency,
    private readonly checkpoints: Checkpoints,
    private readonly state: EngineState,
    private readonly operations: Operations,
  ) {}

  /** Called now and then, when it was looked for threads that have ended. */
  look(): void {
    const { state, operations } = this;
    if (this.isBusy || !state.isOwner || state.readOnly || !state.usable || this.lost().length === 0) return;
    this.isBusy = true;
    operations.begin();
    this.giveUp()
      .then(
        () => {
          this.isBusy = false;
        },
        () => {}, // The engine is closing, or has no room, or is read-only by now, and its state says so.
      )
      .finally(() => operations.end());
  }

  private lost(): Load[] {
    const { threads } = this.pages;
    const loads = [...this.shared.catalog.loads.values()].flat();
    return loads.filter(({ loader }) => loader !== threads.tag && !threads.isPresent(loader));
  }

  private async giveUp(): Promise<void> {
    const { pages, shared, checkpoints } = this;
    const { catalog } = shared;
    pages.secureSpace(ROOM_PAGES);
    try {
      let lost: readonly Load[] = [];
      shared.changeAlone(() => {
        lost = this.lost();
        for (const { tree } of lost) catalog.abandon(tree, this.concurrency.visible);
      });
      const mayBeBuilt = lost.some(({ state }) => state !== STATE_BUILDING);
      for (let times = 0; mayBeBuilt && times < 2; times++) await checkpoints.run();
      shared.changeAlone(() => {
        for (const { tree } of lost) catalog.giveUp(tree, this.concurrency.visible);
      });
    } finally {
      pages.giveSpace(ROOM_PAGES);
    }
  }
}
