/** What concurrency control can be asked for, checked once: by the constructor, and by the plugin's schema before any file is opened. */
import { type Dependence, PagewrightError, parseByteSize } from '@pagewright/core';

/** Sizes in bytes, or as in `'64MiB'`. */
export interface MvccOptions {
  /** What a transaction may rely on. `snapshot`: it reads the state at its beginning, and of two that write a key the first to commit wins. */
  readonly isolation?: 'snapshot' | undefined;
  /** What old versions may take. Beyond it the oldest snapshots are revoked (`PW_SNAPSHOT_TOO_OLD`). Default: 64 MiB, most: 2047 MiB. */
  readonly versionMemory?: number | string | undefined;
  /** Keys and values that a transaction may write, `PW_TXN_TOO_LARGE` above. Default, and most: what the log takes in one record. */
  readonly maxTransactionBytes?: number | string | undefined;
  /** What a commit waits for that does not say so itself, and is not there without after a crash. Default: `'seen'`. */
  readonly dependsOn?: Dependence | undefined;
}

/** The options in bytes, with defaults for what was left out. */
export interface CheckedOptions {
  readonly versionMemory: number;
  readonly maxTransactionBytes: number;
  readonly dependsOn: Dependence;
}

export interface OptionProblem {
  readonly option: keyof MvccOptions;
  readonly message: string;
}

const DEFAULT_VERSION_MEMORY = 64 * 1024 * 1024;
/** All places in it are numbers of 31 bits. */
const MOST_VERSION_MEMORY = 2 ** 31 - 2 ** 20;
const ISOLATION = 'snapshot';
const DEPENDENCES: readonly unknown[] = ['seen', 'touched', undefined] satisfies (Dependence | undefined)[];

/** The options as they count. Errors: `PW_OPTION_INVALID`. */
export function checkOptions(options: MvccOptions): CheckedOptions {
  const [problem] = optionProblems(options);
  if (problem !== undefined) {
    const { option, message } = problem;
    throw new PagewrightError('PW_OPTION_INVALID', message, { details: { option, value: options[option] } });
  }
  const { versionMemory = DEFAULT_VERSION_MEMORY, maxTransactionBytes, dependsOn = 'seen' } = options;
  return {
    versionMemory: parseByteSize(versionMemory),
    maxTransactionBytes:
      maxTransactionBytes === undefined ? Number.POSITIVE_INFINITY : parseByteSize(maxTransactionBytes),
    dependsOn,
  };
}

/** All that is wrong with the options. */
export function optionProblems(options: MvccOptions): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const { isolation } = options;
  if (isolation !== undefined && isolation !== ISOLATION) {
    problems.push({ option: 'isolation', message: `isolation is '${String(isolation)}'; there is: '${ISOLATION}'.` });
  }
  const { dependsOn } = options;
  if (!DEPENDENCES.includes(dependsOn)) {
    const message = `dependsOn is '${String(dependsOn)}'; there are: 'seen', 'touched'.`;
    problems.push({ option: 'dependsOn', message });
  }
  for (const option of ['versionMemory', 'maxTransactionBytes'] as const) {
    const value = options[option];
    const message = value === undefined ? null : sizeProblem(option, value);
    if (message !== null) problems.push({ option, message });
  }
  return problems;
}

function sizeProblem(option: string, value: number | string): string | null {
  try {
    const bytes = parseByteSize(value);
    if (bytes === 0) return `${option} is 0; it must be at least 1 byte.`;
    if (option === 'versionMemory' && bytes > MOST_VERSION_MEMORY) {
      return `versionMemory is ${bytes} bytes; it can be ${MOST_VERSION_MEMORY} at most.`;
    }
    return null;
  } catch (error) {
    if (error instanceof PagewrightError) return `${option}: ${error.message}`;
    throw error;
  }
}
