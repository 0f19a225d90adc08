/** Reads that take more than a moment: they give the event loop its turn now and then, and block nobody while pages are loaded. */
import type { Snapshot } from '../contracts/concurrency.js';
import type { EngineCore } from './engine-core.js';
import type { IndexEntry } from './index-entry.js';
import { LookAhead, STEP } from './prefetching.js';
import { attemptRead, FAULTED } from './reading.js';

/** Keys read between two turns of the event loop. */
const ENTRIES_A_TURN = 8192;
/** Milliseconds of steps between two turns. */
const STEPPING_MS = 4;

/** What `read` gives for each of these keys, in their order; the pages of those to come are asked for while some are read. */
export async function readMany<Result>(
  core: EngineCore,
  entry: IndexEntry,
  keys: readonly Uint8Array[],
  /** Of what is read; null: of what is there now. */
  snapshot: Snapshot | null,
  read: (key: Uint8Array) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  // An older snapshot may see the tree that was there before a `clear`.
  const isNewest = snapshot === null || snapshot.timestamp >= entry.incarnation;
  const ahead = isNewest ? new LookAhead(core.pages, entry, keys) : null;
  let hasMissed = false;
  let end = 0;
  // One read waits for the page that it misses; those behind it, which miss others, begin anew.
  const readOne = (): void => {
    results.push(read(keys[results.length]!));
  };
  const readSome = (): void => {
    while (results.length < end) readOne();
  };
  for (let turn = ENTRIES_A_TURN; results.length < keys.length; ) {
    end = Math.min(keys.length, turn, hasMissed ? results.length + STEP : turn);
    if (attemptRead(core.pages, readSome) === FAULTED) {
      hasMissed = true;
      ahead?.missedAt(results.length);
      await core.readOn(readOne);
    } else if (hasMissed) ahead?.goOnFrom(results.length);
    if (results.length >= turn && results.length < keys.length) {
      turn = results.length + ENTRIES_A_TURN;
      await new Promise(setImmediate);
    }
  }
  return results;
}

/** Takes steps until one says that there is no other. A step that misses a page has done nothing, and is taken again. */
export async function inTurns(core: EngineCore, step: () => boolean): Promise<void> {
  let more = true;
  const stepOn = (): void => {
    more = step();
  };
  const takeSome = (): void => {
    const until = performance.now() + STEPPING_MS;
    do stepOn();
    while (more && performance.now() < until);
  };
  while (more) {
    if (attemptRead(core.pages, takeSome) === FAULTED) await core.readOn(stepOn);
    else if (more) await new Promise(setImmediate);
  }
}
