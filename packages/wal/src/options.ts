/** What a log can be asked for, checked once: by the constructor, and by the plugin's schema before any file is opened. */
import {
  type ArchiveFunction,
  type CommitPolicyOptions,
  type Durability,
  type InjectionToken,
  PagewrightError,
  parseByteSize,
} from '@pagewright/core';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes in bytes, or as in `'16MiB'`. */
export interface WalOptions {
  /** Name of the commit policy: `sync`, `group`, `pipelined`, `autonomous`, or one of another plugin. Default: `pipelined`. */
  readonly commit?: string | undefined;
  /** What commits survive that do not ask for something else. Default: `durable`. */
  readonly durability?: Durability | undefined;
  /** `group`: for how long commits gather for a flush, at most, in milliseconds: 0 to 1000. Default: 1. */
  readonly groupWindowMs?: number | undefined;
  /** `group`: so much is flushed without waiting for more, up to 1 GiB. Default: 64 KiB. */
  readonly groupBytes?: number | string | undefined;
  /** `autonomous`: so much is written beside a write that is under way, up to 1 GiB; less goes when one ends. Default: 4 KiB. */
  readonly batchBytes?: number | string | undefined;
  /** `autonomous`: writes that are under way at a time, in each thread: 1 to 16. Default: 4. */
  readonly depth?: number | undefined;
  /** What a segment file is meant to have, 64 KiB to 1 GiB. Default: 16 MiB. */
  readonly segmentSize?: number | string | undefined;
  /** What the record of one transaction may have, 4 KiB to 1 GiB. It is held in memory whole. Default: 256 MiB. */
  readonly maxRecordSize?: number | string | undefined;
  /** What may wait in memory for a flush, 4 KiB to 1 GiB; a record for which there is no room is made durable by its own append. Default: 16 MiB. */
  readonly bufferLimit?: number | string | undefined;
  /** What is kept of the log for those who read it, beyond what the store itself needs, 64 KiB to 1 TiB. Default: 1 GiB. */
  readonly readerLimit?: number | string | undefined;
  /**
   * Keeps the log after the store has no use for it: a directory into which segments are copied, or a function that is called with each. With a backup
   * they give the state after any commit. Default: none is kept.
   */
  readonly archive?: string | ArchiveFunction | undefined;
  /**
   * `archive`: so long a commit waits until the segment that it is in is ended and archived, full or not, in milliseconds: up to 86,400,000, which is a day. 0: until the
   * segment is full. Not without `archive`. Default: 60,000.
   */
  readonly archiveTimeoutMs?: number | undefined;
}

/** Under which the container of an engine has the options. */
export const WAL_OPTIONS = Symbol.for('pagewright.wal.options') as InjectionToken<WalOptions>;

/** The options in bytes, with defaults for what was left out. */
export interface CheckedOptions extends CommitPolicyOptions {
  readonly commit: string;
  readonly durability: Durability;
  readonly segmentSize: number;
  readonly maxRecordSize: number;
  readonly bufferLimit: number;
  readonly readerLimit: number;
  readonly archiveTimeoutMs: number;
}

export interface OptionProblem {
  readonly option: keyof CheckedOptions;
  readonly message: string;
}

const DEFAULTS: CheckedOptions = {
  commit: 'pipelined',
  durability: 'durable',
  groupWindowMs: 1,
  groupBytes: 64 * KIB,
  batchBytes: 4 * KIB,
  depth: 4,
  segmentSize: 16 * MIB,
  maxRecordSize: 256 * MIB,
  bufferLimit: 16 * MIB,
  readerLimit: 1024 * MIB,
  archiveTimeoutMs: 60_000,
};
const NAMES: readonly string[] = [...Object.keys(DEFAULTS), 'archive'];
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';
const EXPECTED: Readonly<Record<string, { readonly message: string; fits(value: unknown): boolean }>> = {
  commit: { message: 'must name a commit policy', fits: isText },
  archive: {
    message: 'must be the path of a directory, or a function',
    fits: (value) => isText(value) || typeof value === 'function',
  },
};
const MOST = 1024 * MIB;
const SIZES = [
  { option: 'segmentSize', least: 64 * KIB, most: MOST },
  { option: 'maxRecordSize', least: 4 * KIB, most: MOST },
  { option: 'bufferLimit', least: 4 * KIB, most: MOST },
  { option: 'groupBytes', least: 0, most: MOST },
  { option: 'batchBytes', least: 0, most: MOST },
  { option: 'readerLimit', least: 64 * KIB, most: 1024 * MOST },
] as const;
const NUMBERS = [
  { option: 'groupWindowMs', least: 0, most: 1000, isWhole: false },
  { option: 'depth', least: 1, most: 16, isWhole: true },
  { option: 'archiveTimeoutMs', least: 0, most: 86_400_000, isWhole: false },
] as const;
const DURABILITIES: readonly Durability[] = ['durable', 'relaxed', 'none'];

/** The options as they count. Errors: `PW_OPTION_INVALID`. */
export function checkOptions(options: WalOptions): CheckedOptions {
  assertShape(options);
  const [problem] = optionProblems(options);
  if (problem !== undefined) throw invalid(problem.option, options[problem.option], problem.message);
  return {
    commit: options.commit ?? DEFAULTS.commit,
    segmentSize: parseByteSize(options.segmentSize ?? DEFAULTS.segmentSize),
    maxRecordSize: parseByteSize(options.maxRecordSize ?? DEFAULTS.maxRecordSize),
    bufferLimit: parseByteSize(options.bufferLimit ?? DEFAULTS.bufferLimit),
    readerLimit: parseByteSize(options.readerLimit ?? DEFAULTS.readerLimit),
    durability: options.durability ?? DEFAULTS.durability,
    groupWindowMs: options.groupWindowMs ?? DEFAULTS.groupWindowMs,
    groupBytes: parseByteSize(options.groupBytes ?? DEFAULTS.groupBytes),
    batchBytes: parseByteSize(options.batchBytes ?? DEFAULTS.batchBytes),
    depth: options.depth ?? DEFAULTS.depth,
    archiveTimeoutMs: options.archiveTimeoutMs ?? DEFAULTS.archiveTimeoutMs,
  };
}

/** What the schema of the plugin sees to as well. Errors: `PW_OPTION_INVALID`. */
function assertShape(options: unknown): asserts options is WalOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid(null, options, 'The options of a log are an object.');
  }
  for (const [option, value] of Object.entries(options)) {
    if (!NAMES.includes(option)) {
      throw invalid(option, value, `A log has no option '${option}'. There are: ${NAMES.join(', ')}.`);
    }
    const expected = EXPECTED[option];
    if (expected !== undefined && value !== undefined && !expected.fits(value)) {
      throw invalid(option, value, `${option} ${expected.message}.`);
    }
    if (value === null) throw invalid(option, value, `${option} is null; leave it out to have the default.`);
  }
}

function invalid(option: string | null, value: unknown, message: string): PagewrightError {
  return new PagewrightError('PW_OPTION_INVALID', message, { details: { option, value } });
}

/** All that is wrong with sizes and other values. */
export function optionProblems(options: WalOptions): OptionProblem[] {
  const problems: OptionProblem[] = SIZES.flatMap(({ option, least, most }) => {
    const message = sizeProblem(option, options[option] ?? DEFAULTS[option], least, most);
    return message === null ? [] : [{ option, message }];
  });
  for (const { option, least, most, isWhole } of NUMBERS) {
    const value: unknown = options[option] ?? DEFAULTS[option];
    if (typeof value === 'number' && value >= least && value <= most && (!isWhole || Number.isInteger(value))) continue;
    const kind = isWhole ? 'a whole number' : 'a number';
    problems.push({ option, message: `${option} is ${value}; it must be ${kind} from ${least} to ${most}.` });
  }
  const isTimeoutFine = !problems.some(({ option }) => option === 'archiveTimeoutMs');
  if (options.archiveTimeoutMs !== undefined && options.archive === undefined && isTimeoutFine) {
    const message = 'archiveTimeoutMs is for a log that is archived, and there is no archive. Give archive as well.';
    problems.push({ option: 'archiveTimeoutMs', message });
  }
  const durability = durabilityProblem(options.durability ?? DEFAULTS.durability);
  if (durability !== null) problems.push({ option: 'durability', message: durability });
  return problems;
}

/** Null for one that there is. */
export function durabilityProblem(durability: unknown): string | null {
  if ((DURABILITIES as readonly unknown[]).includes(durability)) return null;
  return `There is no durability ${JSON.stringify(durability)}; there are: ${DURABILITIES.join(', ')}.`;
}

function sizeProblem(option: string, value: number | string, least: number, most: number): string | null {
  try {
    const size = parseByteSize(value);
    if (size >= least && size <= most) return null;
    return `${option} is ${size}; it must be from ${least} to ${most} bytes.`;
  } catch (error) {
    if (error instanceof PagewrightError) return `${option}: ${error.message}`;
    throw error;
  }
}
