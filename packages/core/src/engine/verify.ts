/** What is wrong with a store, all of it at once: the report that `engine.verify()` makes. */
import type { VerifyProblem, VerifyProgress } from '../contracts/verification.js';
import { PagewrightError } from '../errors.js';
import type { EngineCore } from './engine-core.js';
import { StoreInspector } from './page-inspector.js';

export interface VerifyOptions {
  /** Ends it: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told now and then, and at the end, how far it is. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Told of each problem as it is found, also of those that the report does not list. What it throws ends it. */
  readonly onProblem?: ((problem: VerifyProblem) => void) | undefined;
}

export interface VerifyReport {
  /** Nothing wrong was found. */
  readonly ok: boolean;
  /** Pages of the file that were looked at, each once. Those in memory are looked at as well, and not counted. */
  readonly pages: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** What is wrong, in the order in which it was found; at most 100. */
  readonly problems: readonly VerifyProblem[];
  /** How many more problems there are: {@link VerifyOptions.onProblem} is told of all. */
  readonly omitted: number;
  /** Indexes whose type no plugin of this engine knows: their pages were checked, and not what is on them. */
  readonly unchecked: readonly string[];
}

const MOST_PROBLEMS = 100;
const OPTIONS: readonly string[] = ['signal', 'onProgress', 'onProblem'];

/** Errors: `PW_ARGUMENT`, `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_THREAD_LOST`, the reason of the signal. */
export async function verifyEngine(core: EngineCore, options: VerifyOptions): Promise<VerifyReport> {
  const { pages, catalog, concurrency, checkpoints, state } = core;
  checkOptions(options);
  const { signal, onProgress, onProblem } = options;
  signal?.throwIfAborted();
  const begun = performance.now();
  const problems: VerifyProblem[] = [];
  const unchecked = new Set<string>();
  let found = 0;
  // It waits for a checkpoint that is under way.
  const calm = checkpoints.hurry();
  const verifying = pages.verify({
    begin: () => {
      calm();
      return new StoreInspector(pages, catalog, unchecked);
    },
    visible: () => concurrency.visible,
    report: (problem) => {
      if (found++ < MOST_PROBLEMS) problems.push(problem);
      onProblem?.(problem);
    },
    advanced: (progress) => {
      signal?.throwIfAborted();
      state.assertUsable(); // Closing does not wait for all of a large store.
      onProgress?.(progress);
    },
  });
  const last = await verifying.finally(calm);
  return {
    ok: found === 0,
    pages: last.pages,
    bytes: last.bytes,
    durationMs: performance.now() - begun,
    problems,
    omitted: found - problems.length,
    unchecked: [...unchecked].sort(),
  };
}

function checkOptions(options: VerifyOptions): void {
  if (typeof options !== 'object' || options === null) throw wrong('The options of verify are an object.');
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw wrong(`verify has no option '${unknown}'. There are: ${OPTIONS.join(', ')}.`);
  const { signal, ...functions } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('The option signal is an AbortSignal.');
  for (const [name, value] of Object.entries(functions)) {
    if (value !== undefined && typeof value !== 'function') throw wrong(`The option ${name} is a function.`);
  }
}

function wrong(message: string): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', message);
}
