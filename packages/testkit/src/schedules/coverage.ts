/** How often each schedule point was reached, and how often something else ran there: what was never paused at was not tested. */
import { POINT_NAMES } from '@pagewright/core';

export class ScheduleCoverage {
  /** By number of the point. */
  readonly reached: number[] = POINT_NAMES.map(() => 0);
  /** How often others did something while an operation stood there. */
  readonly paused: number[] = POINT_NAMES.map(() => 0);

  /** Names of the points at which nothing else ever ran. */
  get unpaused(): string[] {
    return POINT_NAMES.filter((_, point) => this.paused[point] === 0);
  }

  get pauses(): number {
    return this.paused.reduce((sum, count) => sum + count, 0);
  }

  /** One line for each point. */
  report(): string {
    const lines = POINT_NAMES.map(
      (name, point) => `${name}: reached ${this.reached[point]}, paused ${this.paused[point]}`,
    );
    return lines.join('\n');
  }
}
