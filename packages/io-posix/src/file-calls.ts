/**
 * What moves the bytes of one open file: the part of a backend that stands below {@link OpenFile}. Arguments are checked above, and an open
 * file is closed when nothing is in flight. What is here does what it is told, and reports errors as `PagewrightError`s.
 */
import type { IoOperation, PagewrightError } from '@pagewright/core/contracts';
import type { KernelLocks } from './kernel-locks.js';
import type { Target } from './transfer.js';

/** Called once, with what went wrong or with nothing; also before the call that it was handed to has returned. */
export type Done = (error: unknown) => void;

/**
 * The calls on one open file. `Sync` forms throw; the others call `done`, and may throw instead where nothing was begun. When
 * either says that it is over, no buffer is in use any more, also after an error.
 */
export interface FileCalls extends Target {
  /** Locks of the kernel, where these calls come with them. */
  readonly kernelLocks?: KernelLocks;
  /** In bytes, now. */
  size(): number;
  /** All of the buffer, which is not empty. */
  transfer(operation: IoOperation, done: Done): void;
  transferSync(operation: IoOperation): void;
  /**
   * All of them, in any order; some may be empty. With `sync` they are durable when it is over. What failed in becoming durable is a {@link NotDurable};
   * what failed before that is an error like any other.
   */
  submit(operations: readonly IoOperation[], sync: boolean, done: Done): void;
  submitSync(operations: readonly IoOperation[], sync: boolean): void;
  /** Makes what was written durable. Every error is a {@link NotDurable}. */
  sync(done: Done): void;
  syncSync(): void;
  /** Brings what was written in a range, which is not empty, to the device, and tells whether there is a way to. Every error is a {@link NotDurable}. */
  writeBack?(offset: number, length: number, done: (error: unknown, isDone: boolean) => void): void;
  truncate(size: number, done: Done): void;
  truncateSync(size: number): void;
  /** Real blocks for the range, of zeros that were written if asked for. Several at once extend the file to the largest end. */
  allocate(offset: number, length: number, writeZeros: boolean, done: Done): void;
  allocateSync(offset: number, length: number, writeZeros: boolean): void;
  /** Called once, when nothing is in flight; after it nothing else. */
  close(done: Done): void;
}

/** That what was written may be lost: a sync failed, or a write that was to be durable. No later sync may succeed then (IO1). */
export class NotDurable {
  constructor(readonly fault: PagewrightError) {}
}
