/**
 * What may be asked of the engine now. It goes one way: open → read-only → failed, and at last closed. A read-only engine
 * answers reads, because what is in memory is whole; a failed one answers nothing, because it may not be.
 */
import { PagewrightError } from '../errors.js';

export type EngineStateName = 'open' | 'read-only' | 'failed' | 'closing' | 'closed';

/** Told once, when the engine stops accepting commits by itself. */
export type OnFailure = (error: Error) => void;

export class EngineState {
  /** What made the engine read-only, or made it fail; null if nothing did. */
  failure: Error | null = null;
  /** True while reads are answered: one test on the way of every call. */
  usable = true;
  private failed = false;
  private ending: 'closing' | 'closed' | null = null;

  constructor(
    /** It was opened so. */
    readonly openedReadOnly: boolean,
    private readonly onFailure: OnFailure | undefined,
  ) {}

  get name(): EngineStateName {
    if (this.ending !== null) return this.ending;
    if (this.failed) return 'failed';
    return this.readOnly ? 'read-only' : 'open';
  }

  get readOnly(): boolean {
    return this.openedReadOnly || this.failure !== null;
  }

  get hasFailed(): boolean {
    return this.failed;
  }

  /** Whether a call may begin. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`. */
  assertUsable(): void {
    if (this.usable) return;
    if (this.ending !== null) throw closedError();
    this.assertNotFailed();
  }

  /** Whether a call that commits may begin. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_READ_ONLY`. */
  assertWritable(): void {
    this.assertUsable();
    this.assertAcceptsCommits();
  }

  /** Whether a commit that has begun may go on; closing waits for it. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_READ_ONLY`. */
  assertAcceptsCommits(): void {
    if (this.ending === 'closed') throw closedError();
    this.assertNotFailed();
    if (!this.readOnly) return;
    if (this.failure === null) {
      throw new PagewrightError(
        'PW_READ_ONLY',
        'The store was opened with `readOnly: true`. Open it without to write.',
      );
    }
    throw new PagewrightError(
      'PW_READ_ONLY',
      `The engine is read-only since a failure: ${this.failure.message} Remove the cause, close the engine and open the store again.`,
      { cause: this.failure },
    );
  }

  /** Reads go on, commits do not. The first reason is kept. */
  turnReadOnly(error: Error): void {
    if (this.failure !== null) return;
    this.failure = error;
    this.report(error);
  }

  /** T6: nothing goes on. Returns the error for whoever met it. */
  fail(error: unknown): PagewrightError {
    if (!this.failed) {
      const cause = error instanceof Error ? error : new Error(String(error));
      const first = this.failure === null;
      this.failed = true;
      this.usable = false;
      this.failure = cause;
      if (first) this.report(cause);
    }
    return new PagewrightError(
      'PW_ENGINE_FAILED',
      `A commit was logged and could not be carried out (${messageOf(error)}). Close the engine and open the store again: it is there then, whole.`,
      { cause: error },
    );
  }

  beginClosing(): void {
    this.usable = false;
    this.ending ??= 'closing';
  }

  closed(): void {
    this.usable = false;
    this.ending = 'closed';
  }

  private assertNotFailed(): void {
    if (!this.failed) return;
    throw new PagewrightError(
      'PW_ENGINE_FAILED',
      `The engine failed and cannot go on: ${this.failure?.message ?? ''} Close it and open the store again; what was committed is recovered from the log.`,
      { cause: this.failure },
    );
  }

  private report(error: Error): void {
    const { onFailure } = this;
    // In a turn of its own: the engine is in the middle of something, and what the callback throws is its owner's matter.
    if (onFailure !== undefined) queueMicrotask(() => onFailure(error));
  }
}

function closedError(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The engine was closed. Open the store again.');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
