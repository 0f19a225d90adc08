/** Work on the whole store that takes its time, and goes on beside other work: ended by a signal, watched, and kept slow. */
import { parseByteSize } from '../byte-size.js';
import { describe } from '../encodings/encoding.js';
import { PagewrightError } from '../errors.js';
import { Pace } from './pace.js';

export interface PacedWorkOptions<Progress> {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly bytesPerSecond?: number | string | undefined;
}

/** One such work, from its call on. */
export class PacedWork<Progress extends { readonly bytes: number }> {
  readonly #begun = performance.now();
  readonly #interrupted: AbortSignal;
  readonly #pace: Pace;

  /** `name` is that of the work; `closing` wakes what waits for nothing but time. Errors: `PW_ARGUMENT`, the reason of the signal. */
  constructor(
    name: string,
    private readonly options: PacedWorkOptions<Progress>,
    closing: AbortSignal,
    /** Throws if the engine takes no such work now. */
    private readonly assertState: () => void,
  ) {
    this.#pace = new Pace(checkOptions(name, options));
    const { signal } = options;
    signal?.throwIfAborted();
    this.#interrupted = signal === undefined ? closing : AbortSignal.any([signal, closing]);
  }

  /** Aborted once it is to end. */
  get interrupted(): AbortSignal {
    return this.#interrupted;
  }

  /** Since it was called. */
  get durationMs(): number {
    return performance.now() - this.#begun;
  }

  /** Throws what ends it. */
  assertGoesOn(): void {
    this.options.signal?.throwIfAborted();
    this.assertState();
  }

  /** Tells how far it is; resolves when it may go on. */
  readonly advanced = async (progress: Progress): Promise<void> => {
    this.assertGoesOn();
    this.options.onProgress?.(progress);
    await this.#pace.reach(progress.bytes, this.#interrupted);
    this.assertGoesOn();
  };
}

const OPTIONS: readonly string[] = ['signal', 'onProgress', 'bytesPerSecond'];

/** The limit in bytes per second; `Infinity` if there is none. Errors: `PW_ARGUMENT`. */
function checkOptions(name: string, options: PacedWorkOptions<never>): number {
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
    `The option bytesPerSecond is a size of at least one byte, as in '32MiB', not ${describe(bytesPerSecond)}.`,
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
