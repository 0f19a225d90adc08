/** The thread in which the inputs are tried, so that one that hangs or ends the thread does not take the watcher with it. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Finding } from '@pagewright/testkit';
import { type FuzzSummary, runAll } from './run-all.js';

/** What the thread is given. */
export interface WorkerRequest {
  readonly minutes: number;
  readonly seed: number;
  /** Where it writes the number of the target, the seed and the number of the input that it tries. */
  readonly place: SharedArrayBuffer;
}

/** A finding that can be sent: without the error itself. */
export type SentFinding = Omit<Finding, 'error'> & { readonly stack: string };

export interface SentSummary extends Omit<FuzzSummary, 'findings'> {
  readonly findings: readonly SentFinding[];
}

/** What the thread tells. */
export type WorkerMessage =
  | { readonly kind: 'progress' | 'done'; readonly summary: SentSummary }
  | { readonly kind: 'finding'; readonly finding: SentFinding };

const { minutes, seed, place } = workerData as WorkerRequest;
const words = new Uint32Array(place);
const tell = (message: WorkerMessage): void => parentPort?.postMessage(message);

const summary = await runAll({
  minutes,
  seed,
  onPlace: ({ target, seed: roundSeed, index }) => {
    words[0] = target;
    words[1] = roundSeed;
    words[2] = index;
  },
  onFinding: (finding) => tell({ kind: 'finding', finding: sent(finding) }),
  onProgress: (soFar) => tell({ kind: 'progress', summary: sentSummary(soFar) }),
});
tell({ kind: 'done', summary: sentSummary(summary) });

function sentSummary(soFar: FuzzSummary): SentSummary {
  return { ...soFar, findings: soFar.findings.map(sent) };
}

function sent({ error, ...finding }: Finding): SentFinding {
  return { ...finding, stack: error instanceof Error ? (error.stack ?? '') : '' };
}
