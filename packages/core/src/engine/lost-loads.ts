/**
 * Bulk loads whose threads have ended: the thread that opened the store gives up what they have built, so that it does not take room until the store is
 * opened again. Whoever waits for such a load hears of it by that change of the catalog.
 *
 * Must hold: a slot that a checkpoint may have as *built* is used again only when none has it so: a replay from there would keep the tree. So a lost load goes
 * as one that has failed does (`bulk-load.ts`); whatever ends it half-way leaves the rest to the next open.
 */
import type { Concurrency } from '../contracts/concurrency.js';
import type { PageStore, SwipLocation } from '../contracts/pages.js';
import type { Checkpoints } from './checkpoints.js';
import type { Operations } from './operations.js';
import type { SharedCatalog } from './shared-catalog.js';
import type { EngineState } from './state.js';

/** For the pages of the catalog that a change of slots may concern. */
const ROOM_PAGES = 16;
const NONE: readonly SwipLocation[] = [];

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
    if (this.isBusy || !state.isOwner || state.readOnly || !state.usable || !this.shared.catalog.hasLostLoads) return;
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

  private async giveUp(): Promise<void> {
    const { pages, shared, checkpoints, concurrency } = this;
    const { catalog } = shared;
    pages.secureSpace(ROOM_PAGES);
    try {
      let lost = { locations: NONE, mayBeBuilt: false };
      shared.changeAlone(() => {
        lost = catalog.abandonLost(concurrency.visible);
      });
      for (let times = 0; lost.mayBeBuilt && times < 2; times++) await checkpoints.run();
      shared.changeAlone(() => catalog.giveUpLost(lost.locations, concurrency.visible));
    } finally {
      pages.giveSpace(ROOM_PAGES);
    }
  }
}
