/**
 * Stores that were examined after a crash. Many crashes leave the same bytes: before an operation that only reads, or where all that is lost was written before. What is
 * found in them is the same as well, so it is examined once, and held against each promise.
 */
import type { SimulatedDevice } from '../device/simulated-device.js';
import type { RunMark } from './run-mark.js';
import { type Examined, examine, judge, type OpenOn, relevantBackups } from './store-check.js';
import type { WorkloadRun } from './workload-run.js';

export class Examinations {
  readonly #known = new Map<string, Examined>();

  constructor(private readonly open: OpenOn) {}

  /** How many different devices there were. */
  get count(): number {
    return this.#known.size;
  }

  /** What is wrong with the store on a device that has just lost its power, in words; null if nothing is. */
  async whatIsWrong(run: WorkloadRun, mark: RunMark, device: SimulatedDevice): Promise<string | null> {
    const backups = relevantBackups(mark).map(({ path, outcome }) => [path, outcome]);
    const key = `${device.digest()} ${JSON.stringify(backups)}`;
    let examined = this.#known.get(key);
    if (examined === undefined) {
      examined = await examine(this.open, mark, device);
      this.#known.set(key, examined);
    }
    return judge(examined, run, mark);
  }
}
