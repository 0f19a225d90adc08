/** What a pool can be asked for, and what is wrong with what it was asked for. */
import type { InjectionToken } from '@pagewright/core';
import { MAX_PAGE_SIZE, MIN_PAGE_SIZE, PagewrightError, parseByteSize } from '@pagewright/core/contracts';
import { MOST_FRAMES } from './frames.js';
import { DEFAULT_TRANSLATION } from './translation/choice.js';

export const DEFAULT_PAGE_SIZE = 16 * 1024;
const DEFAULT_MEMORY = 256 * 1024 * 1024;
export const DEFAULT_COOLING_FRACTION = 0.1;
const DEFAULT_REPLACEMENT = 'cooling';
/** Pools of so many bytes have a page provider if nothing else is said. */
const LEAST_PROVIDED = 128 * 1024 * 1024;
/** A pool needs room for the paths of a few operations and for what is on its way to the file. */
const FEWEST_FRAMES = 64;

export interface BufferPoolOptions {
  /** Memory for pages, in bytes or as in `'256MiB'`. Default: 256 MiB. At least 64 pages, and at most 2^27. */
  readonly memory?: number | string | undefined;
  /**
   * Bytes in a page: a power of two from 4 KiB to 64 KiB. Default: 16 KiB for a new store, else what the store has.
   * Small pages suit small random writes, large ones scans.
   */
  readonly pageSize?: number | string | undefined;
  /**
   * The share of the pool's frames that pages which have been in use take while they cool before they are evicted, from 0.01 to 0.5.
   * Default: 0.1. New pages cool besides, until they are used again.
   */
  readonly coolingFraction?: number | undefined;
  /**
   * Name of the replacement policy: `cooling`, `clock`, or one that a plugin provides under `REPLACEMENTS`. Default: `cooling`.
   */
  readonly replacement?: string | undefined;
  /**
   * Whether a thread of the pool's own keeps frames free, and writes dirty pages for that, once memory is nearly full. It needs a file
   * that another thread can open (`IoBackend.module`) and a replacement policy of this package; where it cannot be had, each
   * thread evicts for itself. Default: true for pools of 128 MiB or more; the thread takes some 16 MiB, which is much beside a smaller one.
   */
  readonly pageProvider?: boolean | undefined;
  /**
   * How a swip comes to its frame: `swizzled`, `hash`, `array`, or one that a plugin provides under `TRANSLATIONS`. What is in the file
   * is the same with all of them. Default: `swizzled`, which is there to be used; the others, to be compared with.
   */
  readonly translation?: string | undefined;
}

const OPTIONS: ReadonlySet<string> = new Set<keyof BufferPoolOptions>([
  'memory',
  'pageSize',
  'coolingFraction',
  'replacement',
  'pageProvider',
  'translation',
]);

/** Under which the container of an engine has the options. */
export const POOL_OPTIONS = Symbol.for('pagewright.bufferpool.options') as InjectionToken<BufferPoolOptions>;

export interface CheckedOptions {
  readonly memory: number;
  /** Null: whatever the store has. */
  readonly pageSize: number | null;
  readonly coolingFraction: number;
  readonly replacement: string;
  readonly pageProvider: boolean;
  readonly translation: string;
}

/** One option that cannot be as it is, and why. */
export interface OptionProblem {
  readonly option: keyof BufferPoolOptions;
  readonly message: string;
}

/** Errors: `PW_OPTION_INVALID`, with the first problem. */
export function checkOptions(options: BufferPoolOptions): CheckedOptions {
  assertOptions(options);
  const [problem] = optionProblems(options);
  if (problem !== undefined) {
    throw new PagewrightError('PW_OPTION_INVALID', `${problem.option} ${problem.message}`, { details: { ...options } });
  }
  const memory = parseByteSize(options.memory ?? DEFAULT_MEMORY);
  return {
    memory,
    pageSize: options.pageSize === undefined ? null : parseByteSize(options.pageSize),
    coolingFraction: options.coolingFraction === undefined ? DEFAULT_COOLING_FRACTION : options.coolingFraction,
    replacement: options.replacement === undefined ? DEFAULT_REPLACEMENT : options.replacement,
    pageProvider: options.pageProvider ?? memory >= LEAST_PROVIDED,
    translation: options.translation === undefined ? DEFAULT_TRANSLATION : options.translation,
  };
}

/** What the plugin knows from its schema, and who makes a pool by himself does not. */
function assertOptions(options: unknown): asserts options is BufferPoolOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `The options of a buffer pool are ${options === null ? 'null' : `of type ${Array.isArray(options) ? 'array' : typeof options}`}. Give an object, as in { memory: '64MiB' }, or nothing.`,
    );
  }
  for (const option of Object.keys(options)) {
    if (OPTIONS.has(option)) continue;
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `A buffer pool has no option '${option}'. It has: ${[...OPTIONS].join(', ')}.`,
      { details: { option } },
    );
  }
}

/** All that is wrong at once. */
export function optionProblems(options: BufferPoolOptions): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const bytesOf = (option: 'memory' | 'pageSize'): number | null => {
    try {
      return options[option] === undefined ? null : parseByteSize(options[option]);
    } catch (error) {
      problems.push({ option, message: `is no size: ${(error as Error).message}` });
      return null;
    }
  };
  const memory = bytesOf('memory');
  const pageSize = bytesOf('pageSize');
  if (pageSize !== null && !isPageSize(pageSize)) {
    problems.push({
      option: 'pageSize',
      message: `is ${pageSize}; it must be a power of two from ${MIN_PAGE_SIZE} to ${MAX_PAGE_SIZE} bytes.`,
    });
  }
  const least = leastMemory(pageSize !== null && isPageSize(pageSize) ? pageSize : MIN_PAGE_SIZE);
  if (memory !== null && memory < least) {
    problems.push({
      option: 'memory',
      message: `is ${memory} bytes; a pool needs ${FEWEST_FRAMES} pages, at least ${least} bytes${pageSize === null ? `, or ${leastMemory(DEFAULT_PAGE_SIZE)} with the pages of ${DEFAULT_PAGE_SIZE} bytes that a new store gets` : ''}.`,
    });
  }
  const most = mostMemory(pageSize !== null && isPageSize(pageSize) ? pageSize : MAX_PAGE_SIZE);
  if (memory !== null && memory > most) {
    problems.push({
      option: 'memory',
      message: `is ${memory} bytes; a pool has at most ${MOST_FRAMES} pages, ${most} bytes${pageSize === null ? ' with the largest pages' : ''}. Give it less, or take larger pages.`,
    });
  }
  const { coolingFraction: fraction = DEFAULT_COOLING_FRACTION }: { readonly coolingFraction?: unknown } = options;
  if (!(typeof fraction === 'number' && fraction >= 0.01 && fraction <= 0.5)) {
    const given = typeof fraction === 'number' ? String(fraction) : `of type ${typeof fraction}`;
    problems.push({ option: 'coolingFraction', message: `is ${given}; it must be a number from 0.01 to 0.5.` });
  }
  if (options.pageProvider !== undefined && typeof options.pageProvider !== 'boolean') {
    problems.push({ option: 'pageProvider', message: `is ${String(options.pageProvider)}; it must be true or false.` });
  }
  return problems;
}

/** Whether the memory holds enough pages of the size that the store turned out to have, and not too many. Errors: `PW_OPTION_INVALID`. */
export function checkMemory(memory: number, pageSize: number): void {
  const [least, most] = [leastMemory(pageSize), mostMemory(pageSize)];
  if (memory > most) {
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `memory is ${memory} bytes; with the pages of ${pageSize} bytes that the store has, a pool has at most ${most}. Give it less.`,
      { details: { option: 'memory', memory, most, pageSize } },
    );
  }
  if (memory >= least) return;
  throw new PagewrightError(
    'PW_OPTION_INVALID',
    `memory is ${memory} bytes; for the pages of ${pageSize} bytes that the store has, a pool needs at least ${least}.`,
    { details: { memory, least, pageSize } },
  );
}

function leastMemory(pageSize: number): number {
  return FEWEST_FRAMES * pageSize;
}

function mostMemory(pageSize: number): number {
  return MOST_FRAMES * pageSize;
}

function isPageSize(bytes: number): boolean {
  return bytes >= MIN_PAGE_SIZE && bytes <= MAX_PAGE_SIZE && (bytes & (bytes - 1)) === 0;
}
