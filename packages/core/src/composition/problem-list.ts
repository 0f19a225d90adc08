/**
 * Everything that is wrong with a config, gathered before any of it is reported: whoever has five mistakes to correct
 * wants to hear of all five.
 */
import { type ErrorCode, PagewrightError, type Problem } from '../errors.js';

export class ProblemList {
  readonly #problems: Problem[] = [];
  readonly #causes: unknown[] = [];

  /** `cause` is the error of someone else's code that led to the problem, if there is one. */
  add(code: ErrorCode, path: string, message: string, cause?: unknown): void {
    this.#problems.push({ code, path, message });
    if (cause !== undefined) this.#causes.push(cause);
  }

  /** Throws `PW_CONFIG` with all that was added. Does nothing if there is nothing. */
  throwIfAny(): void {
    const count = this.#problems.length;
    if (count === 0) return;
    const lines = this.#problems.map(({ code, path, message }) => `  ${path || 'config'}: ${message} [${code}]`);
    throw new PagewrightError(
      'PW_CONFIG',
      `The engine cannot be composed: ${count === 1 ? 'one thing is' : `${count} things are`} wrong. No file was opened.\n${lines.join('\n')}`,
      { problems: this.#problems, ...this.#cause() },
    );
  }

  #cause(): { cause?: unknown } {
    if (this.#causes.length === 0) return {};
    if (this.#causes.length === 1) return { cause: this.#causes[0] };
    return { cause: new AggregateError(this.#causes, 'Code of several plugins failed') };
  }
}

/** `pages` and `['memory']` make `pages.memory`; a number makes `[1]`, and so does a key that is not a plain word. */
export function pathTo(base: string, keys: readonly PropertyKey[]): string {
  let path = base;
  for (const key of keys) {
    if (typeof key === 'number') path += `[${key}]`;
    else if (typeof key === 'string' && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key)) path += path === '' ? key : `.${key}`;
    else path += `[${typeof key === 'string' ? JSON.stringify(key) : String(key)}]`;
  }
  return path;
}
