/**
 * What an engine is made of: one of each kind of part, as composition put them together. The engine calls contracts
 * only; which classes stand behind them it does not know.
 */
import type { TeardownStack } from '../composition/teardown.js';
import type { Concurrency } from '../contracts/concurrency.js';
import type { IndexType } from '../contracts/index-plugin.js';
import type { IoBackend } from '../contracts/io.js';
import type { Log } from '../contracts/log.js';
import type { PageStore } from '../contracts/pages.js';

export interface EngineParts {
  readonly io: IoBackend;
  readonly pages: PageStore;
  /** The first is the default of `db.index`. */
  readonly indexes: readonly IndexType[];
  readonly concurrency: Concurrency;
  readonly log: Log;
  /** What is open, last opened first. The engine adds its own files, and closes all of it. */
  readonly teardown: TeardownStack;
}
