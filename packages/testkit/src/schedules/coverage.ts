/** How often each schedule point was reached, and how often something else ran there: what was never paused at was not tested. */
import { POINT, POINT_NAMES } from '@pagewright/core';

/** Between the parts of a descent, where the index itself places its points. */
const POINTS_OF_DESCENTS = [POINT.descentFrame, POINT.descentVersion, POINT.descentSlot, POINT.descentEnd];

export class ScheduleCoverage {
  /** Rounds of an index that were begun. */
  indexRounds = 0;
  /** By number of the point. */
  readonly reached: number[] = POINT_NAMES.map(() => 0);
  /** How often others did something while an operation stood there. */
  readonly paused: number[] = POINT_NAMES.map(() => 0);

  /** Names of the points at which nothing else ever ran. */
  get unpaused(): string[] {
    return POINT_NAMES.filter((_, point) => this.paused[point] === 0);
  }

  /**
   * Whether rounds of an index reached no point within any descent: then the index places none (`schedulePoint` of
   * `@pagewright/core`), and operations were held up only where the page store has points, which hardly finds a race.
   */
  get isBlind(): boolean {
    return this.indexRounds > 0 && POINTS_OF_DESCENTS.every((point) => this.reached[point] === 0);
  }

  get pauses(): number {
    return this.paused.reduce((sum, count) => sum + count, 0);
  }

  /** One line for each point, and one before them if {@link isBlind}. */
  report(): string {
    const lines = POINT_NAMES.map(
      (name, point) => `${name}: reached ${this.reached[point]}, paused ${this.paused[point]}`,
    );
    if (this.isBlind)
      lines.unshift(
        'No point within a descent was ever reached: the index places none by schedulePoint, and next to none of its races was looked for.',
      );
    return lines.join('\n');
  }
}
