/**
 * What is done between turns of the event loop, a little at a time: trees that were dropped or cleared are given up,
 * tombstones and versions that no snapshot needs are collected, and tombstones that an earlier process left are swept.
 * Whatever is not finished when the store is closed goes on when it is opened again.
 *
 * The thread that opened the store gives up trees, and sweeps; a tree goes when no thread can be reading it any more. The others
 * forget what they knew of such trees.
 */
import type { Concurrency } from '../contracts/concurrency.js';
import type { Cursor } from '../contracts/index-plugin.js';
import { PageFault, type PageStore } from '../contracts/pages.js';
import { isPagewrightError } from '../errors.js';
import { POINT, schedulePoint } from '../schedule.js';
import type { Catalog, DroppedTree } from './catalog.js';
import type { IndexEntry } from './index-entry.js';
import type { Operations } from './operations.js';
import { attemptRead, FAULTED } from './reading.js';
import type { SharedCatalog } from './shared-catalog.js';
import type { EngineState } from './state.js';

/** Pages given up in one turn. */
const RELEASE_BUDGET = 32;
/** Tombstones and versions collected in one turn. */
const COLLECT_BUDGET = 256;
/** Entries that a sweep looks at in one step, and steps in one turn: a step goes through one page at most. */
const SWEEP_BUDGET = 1024;
const SWEEP_STEPS = 32;

/** Something left to do; does a bit of it, and is asked again while it answers true. */
type Task = () => boolean;

export class Housekeeping {
  private scheduled = false;
  private stopped = false;
  /** Trees that could not be given up: damaged, or unreadable. Tried again when the store is opened again. */
  private readonly stuck = new Set<DroppedTree>();
  /** How many of them were stuck before; one more, and giving up trees goes on with the others. */
  private knownStuck = 0;
  /** Indexes that may have tombstones of an earlier process. */
  private readonly unswept: IndexEntry[] = [];
  private readonly catalog: Catalog;
  private readonly tasks: Set<Task>;
  private current: Task | null = null;
  private sweeping: { readonly entry: IndexEntry; readonly incarnation: number; readonly cursor: Cursor } | null = null;

  constructor(
    private readonly pages: PageStore,
    private readonly shared: SharedCatalog,
    private readonly concurrency: Concurrency,
    private readonly state: EngineState,
    private readonly operations: Operations,
  ) {
    this.catalog = shared.catalog;
    const collect = (): boolean => this.collect();
    const tasks = state.isOwner
      ? [() => this.releaseTrees(), collect, () => this.sweep()]
      : [() => this.forget(), collect];
    this.tasks = new Set(tasks);
  }

  /** Takes up what an earlier process left. */
  start(): void {
    for (const entry of this.catalog.byName.values()) {
      if (entry.mayHaveTombstones && this.catalog.types.has(entry.description.type)) this.unswept.push(entry);
    }
    this.wake();
  }

  /**
   * Called whenever there may be something to do: a snapshot ended, a tree was dropped. Also in the midst of a commit, in the gate, where nobody may look around
   * for what other threads have changed: a checkpoint that is due would begin there. The turn does.
   */
  wake(): void {
    if (this.scheduled || this.stopped || this.state.readOnly || this.state.isEnding) return;
    this.scheduled = true;
    this.operations.begin();
    setImmediate(() => this.turn());
  }

  /** Nothing is begun any more. */
  stop(): void {
    this.stopped = true;
  }

  /** At the end, with no snapshot open: no tombstone stays, and the catalog says so. Those that cannot be reached are swept next time. */
  async finish(): Promise<void> {
    try {
      while (this.concurrency.collect(COLLECT_BUDGET)) await new Promise(setImmediate);
    } catch (error) {
      this.giveUp(error);
    }
    if (this.concurrency.stats().tombstones > 0) return;
    this.shared.changeAlone(() => {
      for (const entry of this.catalog.byName.values()) {
        const isSwept = !this.unswept.includes(entry) && this.sweeping?.entry !== entry;
        if (entry.mayHaveTombstones && entry.isOpen && isSwept) {
          this.catalog.setTombstoneFlag(entry, false, this.concurrency.visible);
        }
      }
    });
  }

  private turn(): void {
    this.scheduled = false;
    schedulePoint(POINT.housekeeping);
    try {
      if (this.stopped || this.state.readOnly || !this.state.usable) return;
      for (const task of this.tasks) {
        this.current = task;
        const again = attemptRead(this.pages, task);
        if (again === FAULTED) this.loadAndGoOn();
        else if (again) this.wake();
        if (again !== false) return;
      }
    } catch (error) {
      this.giveUp(error);
    } finally {
      this.operations.end();
    }
  }

  private loadAndGoOn(): void {
    this.operations.begin();
    this.pages
      .loadFault()
      .then(
        () => this.wake(),
        (error: unknown) => this.giveUp(error),
      )
      .finally(() => this.operations.end());
  }

  private releaseTrees(): boolean {
    for (const tree of this.catalog.dropped) {
      if (this.stuck.has(tree) || !this.shared.isKnownToAll || this.isSeen(tree.incarnation, tree.neededBelow))
        continue;
      tree.entry?.forgetUnseen(this.isSeen);
      this.withRoom(() => {
        if (!this.releaseSome(tree)) return;
        this.shared.changeAlone(() => this.catalog.forget(tree, this.concurrency.visible));
      });
      return true;
    }
    return false;
  }

  /** C6: what a step makes dirty has room in the file, which is nobody else's meanwhile. */
  private withRoom(step: () => void): void {
    const pages = 2 * RELEASE_BUDGET;
    this.pages.secureSpace(pages);
    try {
      step();
    } finally {
      this.pages.giveSpace(pages);
    }
  }

  private releaseSome(tree: DroppedTree): boolean {
    const { pages } = this;
    pages.enterGate();
    try {
      return pages.releaseTree(tree.location, this.concurrency.visible, RELEASE_BUDGET);
    } catch (error) {
      if (!(error instanceof PageFault)) this.stuck.add(tree);
      throw error;
    } finally {
      pages.leaveGate();
    }
  }

  /** The trees themselves are given up by the thread that opened the store. */
  private forget(): boolean {
    this.catalog.forgetUnseen(this.isSeen);
    return false;
  }

  private readonly isSeen = (from: number, below: number): boolean => this.concurrency.isSeen(from, below);

  private collect(): boolean {
    return this.concurrency.collect(COLLECT_BUDGET);
  }

  private sweep(): boolean {
    this.sweeping ??= this.nextSweep();
    if (this.sweeping === null) return false;
    for (let step = 0; step < SWEEP_STEPS && this.sweeping !== null; step++) {
      const { entry, incarnation, cursor } = this.sweeping;
      // After a clear the tree is another one, which no earlier process has written to.
      const isOver = entry.dropped || entry.incarnation !== incarnation;
      if (isOver || this.concurrency.sweep(entry, cursor, SWEEP_BUDGET)) this.sweeping = null;
    }
    return true;
  }

  private nextSweep(): typeof this.sweeping {
    const entry = this.unswept[this.unswept.length - 1];
    if (entry === undefined) return null;
    if (!entry.dropped) entry.open(this.pages, this.catalog.types);
    this.unswept.pop();
    if (entry.dropped) return this.nextSweep();
    const cursor = entry.index.cursor();
    cursor.seek(null, {});
    return { entry, incarnation: entry.incarnation, cursor };
  }

  /**
   * Housekeeping can wait; what a damaged page or a full pool keeps from being tidied is left as it is until the store is
   * opened again. A fault in the engine itself is another matter.
   */
  private giveUp(error: unknown): void {
    if (isPagewrightError(error, 'PW_FULL') || isPagewrightError(error, 'PW_IO')) {
      this.state.turnReadOnly(error);
    } else if (!isPagewrightError(error) || error.code === 'PW_INTERNAL') {
      this.state.fail(error);
    } else {
      if (this.sweeping !== null) this.unswept.push(this.sweeping.entry);
      this.sweeping = null;
      if (this.current !== null && this.stuck.size === this.knownStuck) this.tasks.delete(this.current);
      this.knownStuck = this.stuck.size;
      this.wake();
    }
  }
}
