/**
 * How a checkpoint makes way for others: after each batch that it writes while they use the device it rests, so that it takes a share of the
 * device's time and leaves the rest. What was written is brought to the device in pieces before it rests: otherwise the device gets all of it at the end, at once.
 *
 * It does not rest while nobody else needs the device or somebody waits for it, nor when it is late: there is a point in the log, and a time, at which the
 * next one begins, and it is to be over by then.
 */
import type { CheckpointProgress } from '../contracts/pages.js';
import { type Clock, SYSTEM_CLOCK } from './pace.js';

/** What a checkpoint looks at to know whether it is alone, and whether it is late. */
export interface Surroundings {
  /** Pages that were read from the device so far, by anyone. */
  readonly pageReads: number;
  /** Log since the checkpoint began, as the next one comes by it. */
  readonly logged: number;
}

/** A point of either kind at which the next checkpoint begins. */
export interface CheckpointDue {
  readonly logBytes: number;
  readonly intervalMs: number;
}

/** Rests shorter than a timer is exact are taken together. */
const SHORTEST_REST_MS = 1;
/** While it rests it looks so often whether it is late by now, wanted, or alone. */
const LOOK_MS = 20;
/**
 * Others are taken to be there for so long after they were seen last: where the device stands still for a while so do they, and a checkpoint that took itself to be alone then would hand the device
 * all that it has at once.
 */
const STILL_THERE_MS = 500;
/** A batch that took very long tells nothing of what the device can do. */
const LONGEST_REST_MS = 1000;
/** However much haste there is, while others use the device. */
const MOST_WORK_SHARE = 0.5;
/** What it waits for in a rest is time alone. */
const NEVER = new AbortController().signal;

/** Of one checkpoint, from its gate on. */
export class CheckpointPace {
  readonly #begun: number;
  readonly #workShare: number;
  #workedSince: number;
  /** Rest that is due. */
  #restMs = 0;
  #pageReads: number;
  #logged: number;
  /** When others were seen last to have used the device. */
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(
    /** Of the time, while others use the device: above 0, below 1. */
    dutyCycle: number,
    private readonly due: CheckpointDue,
    private readonly surroundings: () => Surroundings,
    /** Whether somebody waits for it. */
    private readonly isWanted: () => boolean,
    private readonly clock: Clock = SYSTEM_CLOCK,
  ) {
    this.#workShare = dutyCycle;
    this.#begun = clock.now();
    this.#workedSince = this.#begun;
    ({ pageReads: this.#pageReads, logged: this.#logged } = surroundings());
  }

  /**
   * After a batch, or a piece of it: resolves when the next may be written. One that is late does not rest, and brings out what it has in pieces all the same: others still wait for less at a time.
   * Errors: those of bringing it out.
   */
  async advanced(
    { written, inPieces = false, haste = 1 }: CheckpointProgress,
    bringOut: () => Promise<void>,
  ): Promise<void> {
    const isShared = this.#isShared() && !this.isWanted();
    const mayRest = isShared && !this.#isLate(written);
    if (mayRest || (isShared && inPieces)) await bringOut();
    const now = this.clock.now();
    if (!mayRest) this.#restMs = 0;
    else {
      const share = Math.max(this.#workShare, Math.min(this.#workShare * haste, MOST_WORK_SHARE));
      const restMs = (now - this.#workedSince) * (1 / share - 1);
      this.#restMs = Math.min(this.#restMs + restMs, LONGEST_REST_MS);
      await this.#rest(written);
    }
    this.#workedSince = this.clock.now();
  }

  async #rest(written: number): Promise<void> {
    const { clock } = this;
    while (this.#restMs >= SHORTEST_REST_MS && !this.#isHurried(written)) {
      const before = clock.now();
      await clock.sleep(Math.min(this.#restMs, LOOK_MS), NEVER);
      this.#restMs -= clock.now() - before;
      if (this.#restMs >= SHORTEST_REST_MS && !this.#isShared()) this.#restMs = 0;
    }
  }

  /** Whether others use the device: they have lately. */
  #isShared(): boolean {
    const { pageReads, logged } = this.surroundings();
    const now = this.clock.now();
    if (pageReads !== this.#pageReads || logged !== this.#logged) this.#seenAt = now;
    this.#pageReads = pageReads;
    this.#logged = logged;
    return now - this.#seenAt < STILL_THERE_MS;
  }

  #isHurried(written: number): boolean {
    return this.isWanted() || this.#isLate(written);
  }

  #isLate(written: number): boolean {
    const { logBytes, intervalMs } = this.due;
    return this.surroundings().logged >= written * logBytes || this.clock.now() - this.#begun >= written * intervalMs;
  }
}
