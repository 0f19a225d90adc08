/**
 * What an engine has to give back when it ends: files, locks, timers, threads. Last opened, first closed; everything is
 * closed once, whatever fails, also when opening stopped half-way. (tsyringe's own `dispose` starts with what was
 * created first, and all at once.)
 */
import type { InjectionToken } from 'tsyringe';
import { isPagewrightError, PagewrightError } from '../errors.js';

/** Gives one thing back. Called once. */
export type Release = () => void | Promise<void>;

/** The engine's list of what is open. Parts and extensions get it under {@link TEARDOWN}. */
export class TeardownStack {
  readonly #open: { readonly what: string; readonly release: Release }[] = [];
  #closing: Promise<void> | null = null;

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /**
   * Notes that something was opened. `what` names it in error messages: `the page file`, `the timer of @acme/metrics`.
   * Errors: `PW_CLOSED` if closing has begun; whatever was just opened is then the caller's to close.
   */
  push(what: string, release: Release): void {
    if (this.#closing !== null) {
      throw new PagewrightError('PW_CLOSED', `Cannot open ${what}: the engine is closing. Open another engine.`, {
        details: { what },
      });
    }
    this.#open.push({ what, release });
  }

  /**
   * Closes everything, one after the other, in the reverse order of opening. Idempotent: all calls get the same promise.
   * An error does not keep the rest open. Rejects at the end with the code of the first `PagewrightError` among the errors
   * (`PW_INTERNAL` if there is none), and with all of them in an `AggregateError` as the cause.
   */
  close(): Promise<void> {
    // Begins a turn later, so that `#closing` is set before the first release runs: it may call `push` or `close` itself.
    this.#closing ??= Promise.resolve().then(() => this.#closeAll());
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failed: string[] = [];
    const errors: unknown[] = [];
    for (let entry = this.#open.pop(); entry !== undefined; entry = this.#open.pop()) {
      try {
        await entry.release();
      } catch (error) {
        failed.push(entry.what);
        errors.push(error);
      }
    }
    if (errors.length > 0) throw closingFailed(failed, errors);
  }
}

/** The {@link TeardownStack} of the engine that is being put together. Provided by the engine; any plugin may require it. */
export const TEARDOWN = Symbol.for('pagewright.TEARDOWN') as InjectionToken<TeardownStack>;

function closingFailed(what: readonly string[], errors: readonly unknown[]): PagewrightError {
  const known = errors.find((error) => isPagewrightError(error));
  const list = what.map((name, place) => `${name} (${messageOf(errors[place])})`).join('; ');
  return new PagewrightError(
    known?.code ?? 'PW_INTERNAL',
    `Closing failed for: ${list}. All else is closed. Reopening the store recovers what was committed.`,
    { cause: new AggregateError(errors, 'Closing failed'), details: { ...known?.details, failed: what } },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
