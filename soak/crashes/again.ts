/**
 * `node soak/dist/crashes/again.js '<finding>'`: explores the workload of a finding once more, as the soak has printed it, and
 * says what it shows now. Exit code 1 if it is still there.
 */
import type { OpenOn, Workload } from '@pagewright/testkit';
import { type EngineChoice, engineOn } from '../engine-on.js';
import { EXPLORATIONS } from './crashes.js';

interface PrintedFinding {
  readonly part: string;
  readonly seed: number;
  readonly choice: EngineChoice;
  readonly workload: Workload;
}

const { part, seed, choice, workload } = JSON.parse(process.argv[2] ?? '{}') as Partial<PrintedFinding>;
const explore = EXPLORATIONS[part ?? ''];
if (explore === undefined || seed === undefined || choice === undefined || workload === undefined) {
  console.error("Give it the finding that the soak has printed, in quotes: node soak/dist/crashes/again.js '{…}'");
  process.exit(2);
}
const open: OpenOn = (io, path) => engineOn(io, path, choice);
const { counts, finding } = await explore(open, workload, seed, () => false);
console.log(finding === null ? 'It is gone.' : finding, counts);
process.exitCode = finding === null ? 0 : 1;
