/**
 * What a log has in shared memory, and what another thread needs to append to it. Nothing of a log that decides anything is anywhere
 * else: the objects of a thread are views on this, open files, and private copies of bytes on their way to the device.
 */
import { hasSharedMemory, PagewrightError, SharedLatch } from '@pagewright/core';
import type { Origin } from '../format/segment-header.js';
import type { CheckedOptions } from '../options.js';
import { Unflushed } from '../stream/unflushed.js';
import { Claims } from './claims.js';
import { LogSlots } from './log-slots.js';
import { LogState } from './log-state.js';
import { SharedFailure } from './shared-failure.js';

/** What all threads have to agree on. */
export interface LogShape {
  readonly directory: string;
  readonly storeId: string;
  readonly incarnation: number;
  /** What the incarnation goes on from. */
  readonly origin: Origin;
  readonly options: CheckedOptions;
  /** Whether the thread that opened the log archives it, and wants to hear of segments that others make durable as a whole. */
  readonly isArchived: boolean;
}

export interface LogMemory {
  readonly latch: SharedArrayBuffer;
  readonly state: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly claims: SharedArrayBuffer;
  readonly failure: SharedArrayBuffer;
  readonly unflushed: SharedArrayBuffer;
}

/** A log that was begun, for other threads of the process: to be posted as it is, to any number of them. */
export interface LogHandle {
  readonly what: typeof WHAT;
  readonly shape: LogShape;
  readonly memory: LogMemory;
}

const WHAT = 'a log, 3';

export function handleOf(shape: LogShape, memory: LogMemory): LogHandle {
  return { what: WHAT, shape, memory };
}

/** Errors: `PW_ARGUMENT` for what is no handle, or one of another release. */
export function checkHandle(handle: unknown): LogHandle {
  const what = (handle as Partial<LogHandle> | null | undefined)?.what;
  if (what === WHAT && isWhole(handle as Partial<LogHandle>)) return handle as LogHandle;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'What was given is no handle of a log of this release. Post what share() of the log returned, as it is.',
    { details: { what: typeof what === 'string' ? what : typeof handle } },
  );
}

function isWhole({ shape, memory }: Partial<LogHandle>): boolean {
  const isData = typeof shape?.directory === 'string' && typeof shape.options === 'object' && shape.options !== null;
  return isData && hasSharedMemory(memory, ['latch', 'state', 'slots', 'claims', 'failure', 'unflushed']);
}

/** Memory for a log that is begun. `lastTime` is that of the last record which recovery has read. */
export function createMemory({ origin, options }: LogShape, lastTime: number): LogMemory {
  const memory = {
    latch: new SharedArrayBuffer(SharedLatch.bytes()),
    state: new SharedArrayBuffer(LogState.bytes()),
    slots: new SharedArrayBuffer(LogSlots.bytes()),
    claims: new SharedArrayBuffer(Claims.bytes()),
    failure: new SharedArrayBuffer(SharedFailure.bytes()),
    unflushed: new SharedArrayBuffer(Unflushed.bytes(options.bufferLimit)),
  };
  new LogState(memory.state).initialize(origin.first - 1, lastTime);
  new Unflushed(memory.unflushed, options.bufferLimit).initialize();
  return memory;
}
