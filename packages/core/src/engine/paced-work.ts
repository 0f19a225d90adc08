/** The options of work on the whole store that takes its time, and goes on beside other work: ended by a signal, watched, and kept slow. */
import { parseByteSize } from '../byte-size.js';
import { PagewrightError } from '../errors.js';

export interface PacedWorkOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: unknown;
  readonly bytesPerSecond?: number | string | undefined;
}

const OPTIONS: readonly string[] = ['signal', 'onProgress', 'bytesPerSecond'];

/** The limit in bytes per second of work of this name; `Infinity` if there is none. Errors: `PW_ARGUMENT`. */
export function checkPacedWork(name: string, options: PacedWorkOptions): number {
  if (typeof options !== 'object' || options === null) throw wrong(`The options of ${name} are an object.`);
  const unknown = Object.keys(options).find((option) => !OPTIONS.includes(option));
  if (unknown !== undefined) throw wrong(`${name} has no option '${unknown}'. There are: ${OPTIONS.join(', ')}.`);
  const { signal, onProgress, bytesPerSecond } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('The option signal is an AbortSignal.');
  if (onProgress !== undefined && typeof onProgress !== 'function') throw wrong('The option onProgress is a function.');
  if (bytesPerSecond === undefined) return Number.POSITIVE_INFINITY;
  const limit = sizeOf(bytesPerSecond);
  if (limit >= 1) return limit;
  throw wrong(
    `The option bytesPerSecond is a size of at least one byte, as in '32MiB', not ${String(bytesPerSecond)}.`,
  );
}

function sizeOf(bytes: number | string): number {
  try {
    return parseByteSize(bytes);
  } catch {
    return 0;
  }
}

function wrong(message: string): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', message);
}
