/**
 * The driver of schedule points on one thread. While an operation stands at a point it lets operations of others run, as a
 * thread that is held up there would; these reach points as well, at which others may run again.
 *
 * Must hold: it never throws at a point. What an operation of others finds to be wrong is kept, and ends the round.
 */
import { driveSchedule } from '@pagewright/core';
import type { ScheduleCoverage } from './coverage.js';
import type { PausePolicy } from './pause-policy.js';

/** How deep operations of others are nested in one another. */
const DEEPEST = 3;

export class StressDriver {
  /** What was found to be wrong first. */
  failure: unknown = null;
  /** Points reached in this round. */
  steps = 0;
  /** How many operations stand at points now. */
  depth = 0;
  #random = 0;

  /** `intrude` lets one operation of others run at the point, if it may; whether it did. */
  constructor(
    private readonly policy: PausePolicy,
    private readonly coverage: ScheduleCoverage,
    private readonly intrude: (point: number) => boolean,
    /** Told of each point before anything runs there. */
    private readonly onPoint: (point: number) => void = () => undefined,
  ) {}

  install(): void {
    driveSchedule((point) => this.#reached(point));
  }

  remove(): void {
    driveSchedule(null);
  }

  /** A number that depends on all that was reached: two runs with the same one went the same way. */
  get trace(): number {
    return this.#random;
  }

  fail(error: unknown): void {
    this.failure ??= error;
  }

  #reached(point: number): void {
    this.steps++;
    this.#random = (Math.imul(this.#random ^ point, 0x01000193) + this.depth) >>> 0;
    this.coverage.reached[point] = (this.coverage.reached[point] as number) + 1;
    try {
      this.onPoint(point);
      if (this.failure !== null || this.depth >= DEEPEST) return;
      for (let left = this.policy.intruders(point, this.steps); left > 0; left--) {
        this.depth++;
        try {
          if (!this.intrude(point)) return;
          this.coverage.paused[point] = (this.coverage.paused[point] as number) + 1;
        } finally {
          this.depth--;
        }
      }
    } catch (error) {
      this.fail(error);
    }
  }
}
