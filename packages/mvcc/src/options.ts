/** What concurrency control can be asked for, checked once: by the constructor, and by the plugin's schema before any file is opened. */
import { type Dependence, type Isolation, PagewrightError, parseByteSize } from '@pagewright/core';

/** Sizes in bytes, or as in `'64MiB'`. */
export interface MvccOptions {
  /** What a transaction may rely on that does not ask for anything else. Default: `'snapshot'`. */
  readonly isolation?: Isolation | undefined;
  /** What old versions may take. Beyond it the oldest snapshots are revoked (`PW_SNAPSHOT_TOO_OLD`). Default: 64 MiB, most: 2047 MiB. */
  readonly versionMemory?: number | string | undefined;
  /** Bytes of keys and values that a transaction may write, and of what a serializable one remembers of its reads; `PW_TXN_TOO_LARGE` above. Default, and most: what the log takes in one record. */
  readonly maxTransactionBytes?: number | string | undefined;
  /** What a commit waits for that does not say so itself, and is not there without after a crash. Default: `'seen'`. */
  readonly dependsOn?: Dependence | undefined;
}

/** The options in bytes, with defaults for what was left out. */
export interface CheckedOptions {
  readonly versionMemory: number;
  readonly maxTransactionBytes: number;
  readonly dependsOn: Dependence;
  readonly isolation: Isolation;
}

export interface OptionProblem {
  readonly option: keyof MvccOptions;
  readonly message: string;
}

const DEFAULT_VERSION_MEMORY = 64 * 1024 * 1024;
/** All places in it are numbers of 31 bits. */
const MOST_VERSION_MEMORY = 2 ** 31 - 2 ** 20;
const ISOLATIONS: readonly unknown[] = ['snapshot', 'serializable', undefined] satisfies (Isolation | undefined)[];
const DEPENDENCES: readonly unknown[] = ['seen', 'touched', undefined] satisfies (Dependence | undefined)[];

/** The options as they count. Errors: `PW_OPTION_INVALID`. */
export function checkOptions(options: MvccOptions): CheckedOptions {
  const [problem] = optionProblems(options);
  if (problem !== undefined) {
    const { option, message } = problem;
    throw new PagewrightError('PW_OPTION_INVALID', message, { details: { option, value: options[option] } });
  }
  const {
    versionMemory = DEFAULT_VERSION_MEMORY,
    maxTransactionBytes,
    dependsOn = 'seen',
    isolation = 'snapshot',
  } = options;
  return {
    versionMemory: parseByteSize(versionMemory),
    maxTransactionBytes:
      maxTransactionBytes === undefined ? Number.POSITIVE_INFINITY : parseByteSize(maxTransactionBytes),
    dependsOn,
    isolation,
  };
}

/** All that is wrong with the options. */
export function optionProblems(options: MvccOptions): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const { isolation } = options;
  if (!isIsolation(isolation)) {
    const message = `isolation is '${String(isolation)}'; there are: 'snapshot', 'serializable'.`;
    problems.push({ option: 'isolation', message });
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

/** Whether there is such an isolation, or none is asked for. */
export function isIsolation(isolation: unknown): boolean {
  return ISOLATIONS.includes(isolation);
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
