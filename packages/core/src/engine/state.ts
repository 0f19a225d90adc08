/**
 * What may be asked of the engine now. It goes one way: open → read-only → failed, and at last closed. A read-only engine
 * answers reads, because what is in memory is whole; a failed one answers nothing, because it may not be.
 *
 * All of it but closing is that of the store, whichever thread it began in; an engine of another thread is closed by
 * itself, or with the one that opened the store.
 */
import { isPagewrightError, PagewrightError } from '../errors.js';
import type { Threads } from '../threads/threads.js';
import { EngineMemory, SHARED_FAILED, SHARED_LOST, SHARED_OPEN, SHARED_READ_ONLY } from './engine-memory.js';

export type EngineStateName = 'open' | 'read-only' | 'failed' | 'closing' | 'closed';

/** Told once, when the engine stops accepting commits by itself. */
export type OnFailure = (error: Error) => void;

export interface EngineStateOptions {
  /** It was opened so. */
  readonly openedReadOnly?: boolean;
  readonly onFailure?: OnFailure | undefined;
  /** Of the engine that opened the store, in the thread of another one. */
  readonly memory?: EngineMemory;
}

export class EngineState {
  /** What made the engine read-only, or made it fail; null if nothing did. */
  failure: Error | null = null;
  readonly openedReadOnly: boolean;
  readonly memory: EngineMemory;
  /** Whether it opened the store, and not joined another engine. */
  readonly isOwner: boolean;
  /** Called when another thread has changed something: in the midst of a call, before it does anything. */
  onNews: (news: number) => void = () => {};
  /** Why nothing that threads share can be trusted, if one has ended while it held something: found out by whoever waits for that. */
  lossOf: () => PagewrightError | null = () => null;
  private readonly onFailure: OnFailure | undefined;
  private seen: number;
  private looking = false;
  /** What it may answer, as far as is known: one test on the way of every call. */
  private answers = true;
  private failed = false;
  private ending: 'closing' | 'closed' | null = null;

  constructor({ openedReadOnly = false, onFailure, memory }: EngineStateOptions = {}) {
    this.openedReadOnly = openedReadOnly;
    this.onFailure = onFailure;
    this.isOwner = memory === undefined;
    this.memory = memory ?? EngineMemory.create();
    // Whoever joins looks around first: the store may have failed, or be about to be closed, by then.
    this.seen = this.memory.news - (this.isOwner ? 0 : 1);
  }

  /** True while reads are answered. */
  get usable(): boolean {
    if (this.memory.news !== this.seen) this.lookAround();
    return this.answers;
  }

  get name(): EngineStateName {
    this.adopt();
    if (this.ending !== null) return this.ending;
    if (this.failed) return 'failed';
    return this.readOnly ? 'read-only' : 'open';
  }

  /** Whether it is being closed, or was. */
  get isEnding(): boolean {
    this.adopt();
    return this.ending !== null;
  }

  get readOnly(): boolean {
    return this.openedReadOnly || this.failure !== null;
  }

  get hasFailed(): boolean {
    this.adopt();
    return this.failed;
  }

  /** Whether a call may begin. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_THREAD_LOST`. */
  assertUsable(): void {
    if (this.usable) return;
    if (this.ending !== null) throw closedError();
    this.assertNotFailed();
  }

  /** Whether a call that commits may begin. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_THREAD_LOST`, `PW_READ_ONLY`. */
  assertWritable(): void {
    this.assertUsable();
    this.assertAcceptsCommits();
  }

  /** Whether a commit that has begun may go on; closing waits for it. Errors: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_THREAD_LOST`, `PW_READ_ONLY`. */
  assertAcceptsCommits(): void {
    this.adopt();
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
    this.memory.explain(error);
    this.memory.advance(SHARED_READ_ONLY);
    this.report(error);
  }

  /** Nothing can be logged, or checkpointed, any more. If that is because a thread was lost, what is in memory cannot be trusted either. */
  endChanges(error: Error, { loss }: Threads): void {
    if (loss === null) this.turnReadOnly(error);
    else this.fail(loss);
  }

  /** T6: nothing goes on. Returns the error for whoever met it. */
  fail(error: unknown): PagewrightError {
    const isLost = isPagewrightError(error, 'PW_THREAD_LOST');
    if (!this.failed) {
      const cause = error instanceof Error ? error : new Error(String(error));
      this.stop(cause);
      this.memory.explain(cause);
      this.memory.advance(isLost ? SHARED_LOST : SHARED_FAILED);
    }
    if (isLost) return error;
    return new PagewrightError(
      'PW_ENGINE_FAILED',
      `A commit was logged and could not be carried out (${messageOf(error)}). Close the engine and open the store again: it is there then, whole.`,
      { cause: error },
    );
  }

  beginClosing(): void {
    this.answers = false;
    this.ending ??= 'closing';
    if (this.isOwner && !this.memory.isClosed) this.memory.close();
  }

  closed(): void {
    this.answers = false;
    this.ending = 'closed';
  }

  /** Takes note of what other threads have changed. */
  lookAround(): void {
    if (this.looking) return;
    this.looking = true;
    try {
      // First: what comes while it looks is news again.
      const { news } = this.memory;
      this.adopt();
      this.onNews(news);
      this.seen = news;
    } finally {
      this.looking = false;
    }
  }

  /** What other threads know of the store. Little enough to be done in the midst of a commit. */
  private adopt(): void {
    if (!this.isOwner && this.memory.isClosed) this.closed();
    if (!this.failed && this.ending !== 'closed') {
      const loss = this.lossOf();
      if (loss !== null) this.fail(loss);
    }
    const { state } = this.memory;
    if (state === SHARED_OPEN) return;
    if (state === SHARED_READ_ONLY && this.failure === null) {
      this.failure = this.memory.explanation();
      this.report(this.failure);
    }
    if (state === SHARED_FAILED && !this.failed) this.stop(this.failure ?? this.memory.explanation());
    if (state === SHARED_LOST && !this.failed) this.stop(threadLost(this.failure ?? this.memory.explanation()));
  }

  private stop(cause: Error): void {
    const first = this.failure === null;
    this.failed = true;
    this.answers = false;
    this.failure = cause;
    if (first) this.report(cause);
  }

  private assertNotFailed(): void {
    if (!this.failed) return;
    if (isPagewrightError(this.failure, 'PW_THREAD_LOST')) throw this.failure;
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

export function closedError(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The engine was closed. Open the store again.');
}

/** The loss of a thread: as it was told, or behind what it has brought about. */
function threadLost(told: Error): Error {
  if (isPagewrightError(told, 'PW_THREAD_LOST')) return told;
  return new PagewrightError(
    'PW_THREAD_LOST',
    `A thread ended while it was changing what all threads share (${told.message}) Close the store in all threads, and open it again; nothing that was acknowledged is lost.`,
    { cause: told },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
