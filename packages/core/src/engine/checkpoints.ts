/**
 * When checkpoints are written: after so much log, after so much time if anything was committed, and on
 * request. Log counts by what its replay takes: bytes, or changes if these are small, and pages that have to be read for it. Each one lets go of the log that it makes superfluous. They are written by the thread that opened the store;
 * the others tell it when there is log enough.
 *
 * C1: at the gate no commit is under way, in any thread. C3: the log is durable up to the mark before the superblock is
 * written. A failed engine writes none: its pages may hold half a commit.
 */
import { parseByteSize } from '../byte-size.js';
import type { CompactProgress } from '../contracts/compaction.js';
import type { Concurrency } from '../contracts/concurrency.js';
import { type Log, type LogMark, NO_LOG } from '../contracts/log.js';
import type { CheckpointMark, CheckpointResult, PageStore } from '../contracts/pages.js';
import { onAbort } from '../on-abort.js';
import { CheckpointPace, type Surroundings } from './checkpoint-pace.js';
import type { EngineState } from './state.js';

export interface CheckpointOptions {
  /**
   * A checkpoint begins after so many bytes of log, of which each change counts as 192 on average at least, and each page that changes had to read as 1,024 more; a number, or as in
   * `'64MiB'`. Default: 64 MiB.
   */
  readonly logBytes?: number | string | undefined;
  /** A checkpoint begins after so many milliseconds in which something was committed. Default: 60,000. */
  readonly intervalMs?: number | undefined;
  /**
   * The share of the time in which a checkpoint writes while others use the device: above 0, to 1, which is all of it. Default: 0.25. Where others evict faster than that brings out it takes twice as
   * much at its end, up to half; alone, late, waited for, or when the store is being closed it takes all of it.
   */
  readonly dutyCycle?: number | undefined;
}

export const DEFAULT_LOG_BYTES = 64 * 1024 * 1024;
/** To read a page takes a replay as long as so much log of small changes, or half of it where the device is quick (`npm run bench -- recovery`). */
const READ_BYTES = 1024;
/**
 * A change takes a replay as long as so much log of puts of 100 bytes, one a commit, however few bytes it has. Measured on 2 cores, 8-byte keys in random order, all pages in memory: 300,000
 * such puts have 203 bytes of log each, and take 12.3 µs; a put of 4 bytes takes 9.4 µs as a commit of its own, with 92 bytes of log, and 6.4 µs (1.8 µs in order) among 10,000, with 34.
 */
const CHANGE_BYTES = 192;
/** After so many parts of the log that a checkpoint comes by, what a replay would have to read is asked for. */
const LOOKS = 64;
export const DEFAULT_INTERVAL_MS = 60_000;
export const DEFAULT_DUTY_CYCLE = 0.25;

/** Commits wait for the checkpoint once there is so many times more log than asked for. */
const BACKPRESSURE = 4;
/** So long another thread waits for a checkpoint to get on: the one that writes it may be busy with something else (IO3). */
const PATIENCE_MS = 1000;

/** At the end so much free space at least, and such a share of the file, is worth the two checkpoints that giving it back takes. */
const LEAST_TO_CUT = 1024 * 1024;
const SHARE_TO_CUT = 8;
/** So much, or a quarter of what is free, is moved for it, if that is less than what is gained: room that is left beside large blocks lies at the end, and is used first. */
const LITTLE_TO_MOVE = 32 * 1024 * 1024;
const SHARE_TO_MOVE = 4;

export class Checkpoints {
  private running: Promise<CheckpointResult> | null = null;
  /** Those that wait for the checkpoint that is under way, or the next one, and want it soon. */
  private hurrying = 0;
  /** The checkpoint that {@link catchUpSync} has waited for in vain. */
  private passedOver = -1;
  private readonly logBytes: number;
  private readonly intervalMs: number;
  private readonly dutyCycle: number;
  private readonly timer: NodeJS.Timeout | null;

  constructor(
    private readonly pages: PageStore,
    private readonly log: Log,
    private readonly concurrency: Concurrency,
    private readonly state: EngineState,
    options: CheckpointOptions,
    /** Aborted when closing begins: a checkpoint that is under way makes no way for others any more. */
    private readonly closing: AbortSignal,
  ) {
    this.logBytes = parseByteSize(options.logBytes ?? DEFAULT_LOG_BYTES);
    this.intervalMs = options.intervalMs ?? DEFAULT_INTERVAL_MS;
    this.dutyCycle = options.dutyCycle ?? DEFAULT_DUTY_CYCLE;
    this.timer =
      state.openedReadOnly || !state.isOwner ? null : setInterval(() => this.afterInterval(), this.intervalMs);
    this.timer?.unref();
  }

  /** Called after each commit. */
  committed(bytes: number, changes: number): void {
    const { memory, isOwner } = this.state;
    const part = this.logBytes / LOOKS;
    const isFurther = passes(memory.addLogged(bytes), bytes, part);
    const isChangedFurther = passes(memory.addChanges(changes), changes, part / CHANGE_BYTES);
    if (!isFurther && !isChangedFurther) return;
    if (isOwner) this.beginIfDue();
    else if (!memory.isCheckpointRunning) memory.tell();
  }

  /** Another thread may have logged enough. */
  beginIfDue(): void {
    if (this.running === null && this.toReplay(this.pages.stats().pageReads) >= this.logBytes) this.begin();
  }

  /**
   * What the log since the last gate takes to replay, as bytes of log. A replay reads no more pages than were read meanwhile, by queries as well, but for those that were in memory then: they are read once. Nor
   * more than there are changes.
   */
  private toReplay(pageReads: number): number {
    const { memory } = this.state;
    const { changes } = memory;
    return this.logOf(changes) + READ_BYTES * Math.min(memory.readsSinceGate(pageReads), changes);
  }

  /** The same in pages that are in memory. */
  private logOf(changes: number): number {
    return Math.max(this.state.memory.logged, CHANGE_BYTES * changes);
  }

  /** Whether commits come faster than checkpoints let go of the log. */
  get behind(): boolean {
    const { memory } = this.state;
    if (!memory.isCheckpointRunning) return false;
    const { changes } = memory;
    const most = this.logBytes * BACKPRESSURE;
    // Pages that were read are counted by all threads, which takes longer than a commit.
    if (this.logOf(changes) + READ_BYTES * changes < most) return false;
    return this.toReplay(this.pages.stats().pageReads) >= most;
  }

  /** Resolves when the checkpoint that is under way has ended, well or not. Another thread waits as long as it gets on. */
  async catchUp(): Promise<void> {
    if (this.state.isOwner) {
      await this.running?.catch(() => {});
      return;
    }
    for (let written = -1; ; ) {
      const { pageWrites } = this.pages.stats();
      if (pageWrites === written || (await this.state.memory.checkpointEnd(PATIENCE_MS))) return;
      written = pageWrites;
    }
  }

  /**
   * The same in place, in another thread than that which writes it: as long as it gets on. One that did not is waited for no more in this thread: its writer may wait for what is done here.
   */
  catchUpSync(): void {
    const { isOwner, memory } = this.state;
    const { checkpoints } = memory;
    if (isOwner || this.passedOver === checkpoints) return;
    for (let written = -1; !memory.checkpointEndSync(PATIENCE_MS); ) {
      const { pageWrites } = this.pages.stats();
      if (pageWrites === written) {
        this.passedOver = checkpoints;
        return;
      }
      written = pageWrites;
    }
  }

  /**
   * Writes a checkpoint of now; it makes no way for others any more once the signal is aborted. Errors: `PW_READ_ONLY`, `PW_ENGINE_FAILED`, `PW_FULL`, `PW_IO`;
   * the engine is read-only after the last two.
   */
  async run(interrupted?: AbortSignal): Promise<CheckpointResult> {
    this.state.assertWritable();
    let calm = (): void => {};
    let stop = (): void => {};
    const hurry = (): void => {
      calm = this.hurry();
    };
    if (interrupted?.aborted) hurry();
    else if (interrupted !== undefined) stop = onAbort(interrupted, hurry);
    try {
      return await this.write(() => this.log.mark());
    } finally {
      stop();
      calm();
    }
  }

  /** The same, for which others wait: neither it nor one that is under way makes way for anybody. */
  async runAtOnce(): Promise<CheckpointResult> {
    const calm = this.hurry();
    try {
      return await this.run();
    } finally {
      calm();
    }
  }

  /** Until what is returned is called no checkpoint makes way for others. */
  hurry(): () => void {
    this.hurrying++;
    let isOver = false;
    return () => {
      if (!isOver) this.hurrying--;
      isOver = true;
    };
  }

  /**
   * Ends the use of the log: afterwards both superblocks name the state of now and no log, so that the page file alone
   * is the store. No commit may come any more.
   */
  async finish(): Promise<void> {
    this.stopTimer();
    await this.catchUp();
    await this.write(() => NO_LOG);
    await this.write(() => NO_LOG);
    await this.cutTail();
  }

  /**
   * Room in the file that was made for work to come is given back, if it is much. A few pages that lie at its end are moved, where all are in memory, so that they are
   * found without reading. What goes wrong with it leaves a longer file, and a whole store.
   */
  private async cutTail(): Promise<void> {
    const { fileBytes, freeFileBytes, frames, pageSize } = this.pages.stats();
    if (freeFileBytes < Math.max(LEAST_TO_CUT, fileBytes / SHARE_TO_CUT)) return;
    const checkpoint = (): Promise<CheckpointResult> => this.write(() => NO_LOG);
    if (fileBytes - freeFileBytes <= frames * pageSize) {
      const most = Math.min(freeFileBytes, Math.max(LITTLE_TO_MOVE, freeFileBytes / SHARE_TO_MOVE));
      const advanced = ({ bytes }: CompactProgress): void => {
        if (bytes > most) throw new Error('More is to be moved than it is worth.');
      };
      const isDone = await this.pages.compact({ checkpoint, advanced }).then(
        () => true,
        () => false,
      );
      if (isDone) return;
    }
    await this.pages.compact({ tailOnly: true, checkpoint, advanced: () => {} }).catch(() => {});
  }

  stopTimer(): void {
    if (this.timer !== null) clearInterval(this.timer);
  }

  private afterInterval(): void {
    if (this.state.memory.logged > 0 && this.running === null) this.begin();
  }

  /** Begins one that no one waits for: what goes wrong with it is in the engine's state. */
  private begin(): void {
    if (this.state.readOnly || !this.state.usable) return;
    this.write(() => this.log.mark()).catch(() => {});
  }

  private write(mark: () => LogMark): Promise<CheckpointResult> {
    const writing = this.checkpoint(mark).finally(() => {
      if (this.running !== writing) return;
      this.running = null;
      this.state.memory.checkpointEnds();
    });
    this.running = writing;
    this.state.memory.checkpointBegins();
    return writing;
  }

  private async checkpoint(logMark: () => LogMark): Promise<CheckpointResult> {
    try {
      let pace: CheckpointPace | null = null;
      const result = await this.pages.checkpoint({
        gate: () => {
          this.assertWhole();
          // T6: in any thread.
          this.concurrency.assertSound();
          this.state.memory.clearLogged(this.pages.stats().pageReads);
          pace = this.newPace();
          return { timestamp: this.concurrency.visible, log: logMark() };
        },
        secureLog: async (mark: CheckpointMark) => {
          this.assertWhole();
          if (mark.log.incarnation !== NO_LOG.incarnation) await this.log.secure(mark.log);
          else await this.log.seal?.(mark.timestamp);
        },
        advanced: async (progress, bringOut) => pace?.advanced(progress, bringOut),
      });
      if (result.olderMark.log.incarnation !== NO_LOG.incarnation) await this.log.recycle(result.olderMark.log);
      return result;
    } catch (error) {
      this.state.endChanges(error instanceof Error ? error : new Error(String(error)), this.pages.threads);
      throw error;
    }
  }

  private newPace(): CheckpointPace | null {
    const { dutyCycle, logBytes, intervalMs, closing, pages, state } = this;
    if (dutyCycle === 1) return null;
    const surroundings = (): Surroundings => {
      const { pageReads } = pages.stats();
      return { pageReads, logged: this.toReplay(pageReads) };
    };
    const isHurried = (): boolean =>
      this.hurrying > 0 || this.behind || closing.aborted || state.readOnly || state.hasFailed;
    return new CheckpointPace(dutyCycle, { logBytes, intervalMs }, surroundings, isHurried);
  }

  private assertWhole(): void {
    if (this.state.hasFailed) throw this.state.failure;
  }
}

/** Whether a sum that something was added to has passed a multiple of `part` with it. */
function passes(sum: number, added: number, part: number): boolean {
  return Math.floor(sum / part) !== Math.floor((sum - added) / part);
}
