/**
 * Verification of the checkpoint that a reader reads, beside a writer. The older checkpoint is verified too, if the writer could be
 * asked to keep it for so long.
 *
 * Must hold: what the writer has used again is not reported as damage. So nothing is reported before the end.
 */
import type { PageExpectation, VerifyProblem, VerifyProgress, VerifyRequest } from '@pagewright/core/contracts';
import type { CheckpointReader } from './checkpoint-reader.js';

/** Errors: those of `verify`; `PW_SNAPSHOT_TOO_OLD` if it cannot be told whether what was found is damage. */
export async function verifyBesideWriter<Expectation extends PageExpectation>(
  reader: CheckpointReader,
  request: VerifyRequest<Expectation>,
  verify: (request: VerifyRequest<Expectation>) => Promise<VerifyProgress>,
): Promise<VerifyProgress> {
  const problems: VerifyProblem[] = [];
  const letGo = await reader.holdOlder();
  let progress: VerifyProgress;
  try {
    progress = await verify({
      begin: () => request.begin(),
      visible: () => request.visible(),
      advanced: (reached) => request.advanced(reached),
      report: (problem) => problems.push(problem),
    });
  } finally {
    await letGo();
  }
  const overtaken = problems.length === 0 ? null : reader.overtaken();
  if (overtaken !== null) throw overtaken;
  for (const problem of problems) request.report(problem);
  return progress;
}
