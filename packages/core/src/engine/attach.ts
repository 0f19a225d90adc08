/**
 * Joins a store that another thread of the process has open: the same pages, log and commits, in shared memory, with parts and
 * files of this thread.
 */
import { isPagewrightError, PagewrightError } from '../errors.js';
import { Engine } from './engine.js';
import { EngineCore } from './engine-core.js';
import { checkEngineHandle } from './engine-handle.js';
import { EngineMemory } from './engine-memory.js';
import { assertTransactionOptions } from './open.js';
import type { OpenTransactionOptions } from './open-transactions.js';
import type { EngineParts } from './parts.js';
import type { RecoveryResult } from './recovery.js';
import { SharedCatalog } from './shared-catalog.js';
import { EngineState, type OnFailure } from './state.js';

export interface AttachOptions {
  /** Told once in this thread if the engine turns read-only, or fails, whichever thread it began in. */
  readonly onFailure?: OnFailure | undefined;
  /** What becomes of transactions that this thread leaves open. */
  readonly transactions?: OpenTransactionOptions | undefined;
}

const KNOWN: readonly string[] = ['onFailure', 'transactions'] satisfies (keyof AttachOptions)[];

/** That was done where the store was opened. */
const NOTHING_RECOVERED: RecoveryResult = Object.freeze({
  records: 0,
  transactions: 0,
  durationMs: 0,
  tornBytes: 0,
  givenUp: null,
  ignoredLog: false,
});

/**
 * `handle` is what `engine.share()` returned in the other thread. Errors: `PW_ARGUMENT` for what is no handle, or one of other parts; `PW_OPTION_INVALID`, `PW_CLOSED`,
 * `PW_THREAD_LOST`, `PW_IO`. Whatever was opened on the way is closed then.
 */
export async function attachEngine<Types extends string = string>(
  parts: EngineParts,
  handle: unknown,
  options: AttachOptions = {},
): Promise<Engine<Types>> {
  try {
    checkOptions(options);
    return await attach<Types>(parts, handle, options);
  } catch (error) {
    await parts.teardown.close().catch(() => {}); // What went wrong first is what its caller must know.
    throw error;
  }
}

async function attach<Types extends string>(
  parts: EngineParts,
  posted: unknown,
  { onFailure, transactions = {} }: AttachOptions,
): Promise<Engine<Types>> {
  const { io, pages, indexes, concurrency, log, teardown } = parts;
  const handle = checkEngineHandle(posted);
  const memory = new EngineMemory(handle.memory.words, handle.memory.latch);
  const state = new EngineState({ onFailure, memory });
  state.assertUsable();
  await pages.attach({ io, handle: handle.pages });
  teardown.push('the pages', () => pages.close());
  const onLogFailure = (error: Error): void => state.endChanges(error, pages.threads);
  await log.attach({ io, threads: pages.threads, handle: handle.log, onFailure: onLogFailure });
  teardown.push('the log', () => log.close({ discard: false }));
  const shared = SharedCatalog.join(pages, indexes, memory);
  const core = new EngineCore(parts, shared, state, handle.path, handle.checkpoint, false, transactions, handle);
  let isIn = false;
  teardown.push('the engine', async () => {
    try {
      await core.leave();
    } catch (error) {
      // Concurrency control that was never attached has nothing to give back, and is asked last.
      if (isIn || !isPagewrightError(error, 'PW_CLOSED')) throw error;
    }
  });
  concurrency.attach(core.host, handle.concurrency);
  isIn = true;
  core.sharing.begin(null, shared.news);
  return new Engine<Types>(core, teardown, NOTHING_RECOVERED);
}

function checkOptions(options: AttachOptions): void {
  const isObject = typeof options === 'object' && options !== null;
  const unknown = isObject ? Object.keys(options).filter((name) => !KNOWN.includes(name)) : [];
  const { onFailure } = isObject ? options : {};
  const isRight = isObject && unknown.length === 0 && (onFailure === undefined || typeof onFailure === 'function');
  if (isRight) {
    assertTransactionOptions(options.transactions);
    return;
  }
  const problem = unknown.length > 0 ? `There is no ${unknown.join(', ')}.` : 'onFailure is a function.';
  throw new PagewrightError('PW_OPTION_INVALID', `attach takes a handle, and { onFailure, transactions }. ${problem}`, {
    details: { unknown },
  });
}
