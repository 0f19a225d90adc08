/**
 * A reader follows the writer (C7): it reads one checkpoint, and goes on to the newest when it is asked to, or by itself now and
 * then, while nobody holds on to what it reads.
 *
 * Must hold: pages, catalog and concurrency control go on in one step, so that no read sees parts of two checkpoints.
 */
import type { Concurrency } from '../contracts/concurrency.js';
import type { PageStore, StoreState } from '../contracts/pages.js';
import { isPagewrightError } from '../errors.js';
import type { Catalog } from './catalog.js';
import type { Operations } from './operations.js';
import { readWithoutBlocking } from './reading.js';
import type { EngineState } from './state.js';

/** Milliseconds between two looks; false: none without being asked. */
export type FollowOption = number | false | undefined;

export const DEFAULT_FOLLOW_MS = 1000;

/** Times that a read begins anew because the writer is faster. */
const MOST_TIMES_OVERTAKEN = 16;

/** Whether the page store says that the checkpoint which it reads is gone. */
export function isOvertaken(error: unknown): boolean {
  return isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD') && error.details.checkpoint !== undefined;
}

export class Following {
  private running: Promise<boolean> | null = null;
  private next: Promise<boolean> | null = null;
  private timer: NodeJS.Timeout | null = null;
  /** The page store has gone on, and its catalog could not be read. */
  private behind = false;

  constructor(
    private readonly pages: PageStore,
    private readonly catalog: Catalog,
    private readonly concurrency: Concurrency,
    private readonly state: EngineState,
    private readonly operations: Operations,
    private readonly follow: FollowOption,
  ) {}

  start(): void {
    if (!this.state.openedReadOnly || this.follow === false) return;
    this.timer = setInterval(() => this.look(), this.follow ?? DEFAULT_FOLLOW_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer !== null) clearInterval(this.timer);
  }

  /** Goes on to what is newest when it is called, or later; whether there was anything newer. */
  refresh(): Promise<boolean> {
    // One that is under way may have looked already.
    if (this.running === null) return this.begin();
    this.next ??= this.running
      .catch(() => {})
      .then(() => {
        this.next = null;
        return this.begin();
      });
    return this.next;
  }

  /** Reads again after an error that says that the writer has overtaken this reader; throws all others. */
  async readAnew<Result>(error: unknown, read: () => Result): Promise<Result> {
    let reason = error;
    for (let times = 0; times < MOST_TIMES_OVERTAKEN && isOvertaken(reason); times++) {
      await this.refresh();
      try {
        return await readWithoutBlocking(this.pages, read);
      } catch (again) {
        reason = again;
      }
    }
    throw reason;
  }

  private begin(): Promise<boolean> {
    const running = this.goOn().finally(() => {
      if (this.running === running) this.running = null;
    });
    this.running = running;
    return running;
  }

  private async goOn(): Promise<boolean> {
    this.operations.begin();
    try {
      for (let times = 1; ; times++) {
        try {
          return await this.step();
        } catch (error) {
          if (!isOvertaken(error) || times === MOST_TIMES_OVERTAKEN) throw error;
        }
      }
    } finally {
      this.operations.end();
    }
  }

  private async step(): Promise<boolean> {
    const before = this.concurrency.visible;
    const later = await this.pages.follow((state) => this.moved(state));
    if (later === null && this.behind) this.reload(before);
    return later !== null;
  }

  private moved({ mark }: StoreState): void {
    this.reload(mark.timestamp);
  }

  private reload(timestamp: number): void {
    this.behind = true;
    // First: whatever becomes of the catalog, what older snapshots saw is gone.
    this.concurrency.advance(timestamp);
    this.catalog.reload();
    this.behind = false;
  }

  /** Now and then. What goes wrong then is told by `refresh`; until it succeeds, what was read before is read. */
  private look(): void {
    if (this.running !== null || !this.state.usable || this.concurrency.stats().activeSnapshots > 0) return;
    this.refresh().catch(() => {});
  }
}
