/** What a log can be asked for, checked once: by the constructor, and by the plugin's schema before any file is opened. */
import { type ArchiveFunction, type InjectionToken, PagewrightError, parseByteSize } from '@pagewright/core';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Sizes in bytes, or as in `'16MiB'`. */
export interface WalOptions {
  /** Name of the commit policy. Default: `pipelined`. */
  readonly commit?: string | undefined;
  /** What a segment file is meant to have, 64 KiB to 1 GiB. Default: 16 MiB. */
  readonly segmentSize?: number | string | undefined;
  /** What the record of one transaction may have, 4 KiB to 1 GiB. It is held in memory whole. Default: 256 MiB. */
  readonly maxRecordSize?: number | string | undefined;
  /** What may wait in memory for a flush, 4 KiB to 1 GiB; a record for which there is no room is made durable by its own append. Default: 16 MiB. */
  readonly bufferLimit?: number | string | undefined;
  /**
   * Keeps the log after the store has no use for it: a directory into which segments are copied, or a function that is called with each. With a backup
   * they give the state after any commit. Default: none is kept.
   */
  readonly archive?: string | ArchiveFunction | undefined;
}

/** Under which the container of an engine has the options. */
export const WAL_OPTIONS = Symbol.for('pagewright.wal.options') as InjectionToken<WalOptions>;

/** The options in bytes, with defaults for what was left out. */
export interface CheckedOptions {
  readonly commit: string;
  readonly segmentSize: number;
  readonly maxRecordSize: number;
  readonly bufferLimit: number;
}

export interface OptionProblem {
  readonly option: keyof CheckedOptions;
  readonly message: string;
}

const DEFAULTS: CheckedOptions = {
  commit: 'pipelined',
  segmentSize: 16 * MIB,
  maxRecordSize: 256 * MIB,
  bufferLimit: 16 * MIB,
};
const SIZES = [
  { option: 'segmentSize', least: 64 * KIB },
  { option: 'maxRecordSize', least: 4 * KIB },
  { option: 'bufferLimit', least: 4 * KIB },
] as const;
const MOST = 1024 * MIB;

/** The options as they count. Errors: `PW_OPTION_INVALID`. */
export function checkOptions(options: WalOptions): CheckedOptions {
  const [problem] = optionProblems(options);
  if (problem !== undefined) {
    const { option, message } = problem;
    throw new PagewrightError('PW_OPTION_INVALID', message, { details: { option, value: options[option] } });
  }
  return {
    commit: options.commit ?? DEFAULTS.commit,
    segmentSize: parseByteSize(options.segmentSize ?? DEFAULTS.segmentSize),
    maxRecordSize: parseByteSize(options.maxRecordSize ?? DEFAULTS.maxRecordSize),
    bufferLimit: parseByteSize(options.bufferLimit ?? DEFAULTS.bufferLimit),
  };
}

/** All that is wrong with the sizes. */
export function optionProblems(options: WalOptions): OptionProblem[] {
  return SIZES.flatMap(({ option, least }) => {
    const message = sizeProblem(option, options[option] ?? DEFAULTS[option], least);
    return message === null ? [] : [{ option, message }];
  });
}

function sizeProblem(option: string, value: number | string, least: number): string | null {
  try {
    const size = parseByteSize(value);
    if (size >= least && size <= MOST) return null;
    return `${option} is ${size}; it must be from ${least} to ${MOST} bytes.`;
  } catch (error) {
    if (error instanceof PagewrightError) return `${option}: ${error.message}`;
    throw error;
  }
}
