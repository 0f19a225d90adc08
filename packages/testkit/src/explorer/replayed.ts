/**
 * A finding is shown again by a run that makes the same I/O operations. The clock has a part in which those are: a checkpoint rests for as long as its batches have taken,
 * and what the workload does meanwhile comes before its next one. So one run may be another than that of the finding, and it is tried a few times.
 */
import { OtherState } from '../device/survival.js';

const MOST_RUNS = 20;

/** The run is not that of the finding: it ended before, or the device was in another state. */
export class OtherRun extends Error {}

/** What the first run shows that shows anything; null if runs could have and none did. Errors: {@link OtherRun} and {@link OtherState} where none could, and all others at once. */
export async function replayed<Finding>(run: () => Promise<Finding | null>): Promise<Finding | null> {
  let other: unknown = null;
  let couldShow = false;
  for (let runs = 0; runs < MOST_RUNS; runs++) {
    try {
      const finding = await run();
      if (finding !== null) return finding;
      couldShow = true;
    } catch (error) {
      if (!(error instanceof OtherRun || error instanceof OtherState)) throw error;
      other = error;
    }
  }
  if (couldShow) return null;
  throw other;
}

/** What was found at an operation. Errors: {@link OtherRun} if that is nothing, and the operation is another than that of the finding. */
export function ofTheSame<Finding>(at: string, now: string, finding: Finding | null): Finding | null {
  if (finding === null && withoutIds(at) !== withoutIds(now))
    throw new OtherRun(`The operation of this number is '${now}' by now, and was '${at}': explore it again.`);
  return finding;
}

/** Files of a log have the number of their incarnation in their names, which is another in each run. */
function withoutIds(at: string): string {
  return at.replaceAll(/[0-9a-f]{8}-/g, '');
}
