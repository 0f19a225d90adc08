/** An open engine, as other threads get it: data and shared memory, to be posted as it is. */
import { PagewrightError } from '../errors.js';
import { hasSharedMemory } from '../threads/posted.js';
import type { CheckpointOptions } from './checkpoints.js';

/**
 * What `engine.share()` returns: post it to any number of threads of the process, and give it to `attach` there. It holds on to the
 * memory of the engine, and is worth nothing once that is closed.
 */
export interface EngineHandle {
  readonly what: typeof WHAT;
  readonly path: string;
  /** By which the thread that opened the store is asked. */
  readonly channel: string;
  /** Tag of that thread. */
  readonly owner: number;
  readonly checkpoint: CheckpointOptions;
  readonly memory: { readonly words: SharedArrayBuffer; readonly latch: SharedArrayBuffer };
  /** Of the parts, as they made them. */
  readonly pages: unknown;
  readonly concurrency: unknown;
  readonly log: unknown;
}

const WHAT = 'an engine, 1';

export function engineHandle(parts: Omit<EngineHandle, 'what'>): EngineHandle {
  return { what: WHAT, ...parts };
}

/** Errors: `PW_ARGUMENT` for what is no handle, or one of another release. */
export function checkEngineHandle(handle: unknown): EngineHandle {
  const what = (handle as Partial<EngineHandle> | null | undefined)?.what;
  if (what === WHAT && isWhole(handle as Partial<EngineHandle>)) return handle as EngineHandle;
  throw new PagewrightError(
    'PW_ARGUMENT',
    'What was given is no handle of an engine of this release. Post what share() of the engine returned, as it is.',
    { details: { what: typeof what === 'string' ? what : typeof handle } },
  );
}

function isWhole({ path, channel, owner, checkpoint, memory }: Partial<EngineHandle>): boolean {
  const isData = typeof path === 'string' && typeof channel === 'string' && typeof owner === 'number';
  return isData && typeof checkpoint === 'object' && checkpoint !== null && hasSharedMemory(memory, ['words', 'latch']);
}
