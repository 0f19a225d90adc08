/**
 * Opens a store with the parts of an engine: finds the newest checkpoint, does again what the log has above it, and
 * begins a new log. When the engine is there, both superblocks name that new log: no old one is needed any more (C4, L3).
 */
import { randomInt } from 'node:crypto';
import { parseByteSize } from '../byte-size.js';
import { BRANCH_LOG, type DamageHandling, type LogMark, type LogReplay, NO_LOG } from '../contracts/log.js';
import type { StoreState } from '../contracts/pages.js';
import { PagewrightError } from '../errors.js';
import { Catalog } from './catalog.js';
import type { CheckpointOptions } from './checkpoints.js';
import { Engine } from './engine.js';
import { EngineCore } from './engine-core.js';
import { isOvertaken } from './following.js';
import { type OpenTransactionOptions, openTransactionProblem } from './open-transactions.js';
import type { EngineParts } from './parts.js';
import { Recovery, type RecoveryProgress, type RecoveryResult } from './recovery.js';
import { SharedCatalog } from './shared-catalog.js';
import { EngineState, type OnFailure } from './state.js';

export type { EngineParts } from './parts.js';

export interface OpenOptions {
  /** Create the store if there is none; else that is `PW_NOT_FOUND`. Default: true, and false with `readOnly`. */
  readonly create?: boolean | undefined;
  /** A store that exists is `PW_EXISTS`. Default: false. */
  readonly errorIfExists?: boolean | undefined;
  /**
   * See the newest checkpoint, and change nothing in the store. Any number of processes may, beside the one that writes: they take no
   * lock, and never stop it. Commits since that checkpoint are not seen: `recovered.ignoredLog` tells that there may be some. Default: false.
   */
  readonly readOnly?: boolean | undefined;
  /**
   * With `readOnly`: looks for a later checkpoint every so many milliseconds, and goes on to it when no snapshot and no transaction is open.
   * False: only `refresh()` does. Default: 1,000.
   */
  readonly follow?: number | false | undefined;
  /**
   * What becomes of damage in the log. `'all'`: it is `PW_CORRUPT_LOG`, and the store is not opened without what was acknowledged. `'stop-before-damage'`:
   * the store is opened as it was right before the damage; `recovered.givenUp` says what lies behind it, which is gone for good then. Not with
   * `readOnly`. Default: `'all'`.
   */
  readonly recover?: DamageHandling | undefined;
  readonly checkpoint?: CheckpointOptions | undefined;
  /** What becomes of transactions that are left open. */
  readonly transactions?: OpenTransactionOptions | undefined;
  /** Told how far recovery is, now and then and at its end, if there is anything to recover. */
  readonly onRecovery?: ((progress: RecoveryProgress) => void) | undefined;
  /** Told once if the engine turns read-only, or fails. */
  readonly onFailure?: OnFailure | undefined;
}

/**
 * After a crash timestamps go on so far above the highest one that the log shows, of records that were cut as well, that none is used again, not even
 * one that was given out and lost before it was written, or with a part of the log (L3). No process has so many commits between two checkpoints.
 */
const TIMESTAMPS_SKIPPED = 2 ** 32;
/**
 * A store that was restored may have gone on before from where it was restored to, with commits that somebody has read, and with crashes. So far above, by a number
 * of its own, its commits have timestamps that nothing else has, short of a chance of one in thousands for a thousand million commits.
 */
const LEAST_BRANCH_SKIP = 2 ** 33;
const BRANCH_SKIPS = 2 ** 40;

/**
 * Errors: those of the parts (`PW_NOT_FOUND`, `PW_EXISTS`, `PW_NOT_A_STORE`, `PW_LOCKED`, `PW_CORRUPT_FILE`, `PW_CORRUPT_LOG`,
 * `PW_CORRUPT_PAGE`, `PW_IO`, `PW_FULL`, …), `PW_OPTION_INVALID`, and `PW_INDEX_UNKNOWN` if the log has changes of an index of a type
 * that no plugin brings. Whatever was opened on the way is closed then.
 */
export async function openEngine<Types extends string = string>(
  parts: EngineParts,
  path: string,
  options: OpenOptions = {},
): Promise<Engine<Types>> {
  try {
    checkOptions(options);
    return await open<Types>(parts, path, options);
  } catch (error) {
    await parts.teardown.close().catch(() => {}); // What went wrong first is what its caller must know.
    throw error;
  }
}

async function open<Types extends string>(
  parts: EngineParts,
  path: string,
  options: OpenOptions,
): Promise<Engine<Types>> {
  const { io, pages, concurrency, log, teardown } = parts;
  const readOnly = options.readOnly ?? false;
  const state = new EngineState({ openedReadOnly: readOnly, onFailure: options.onFailure });
  const found = await pages.open({
    path,
    io,
    create: !readOnly && (options.create ?? true),
    errorIfExists: options.errorIfExists ?? false,
    readOnly,
  });
  teardown.push('the page file', () => pages.close());
  let core: EngineCore | null = null;
  let replay: LogReplay | null = null;
  if (!readOnly) {
    const onFailure = (error: Error): void => state.endChanges(error, pages.threads);
    replay = await log.open({
      directory: `${path}-wal`,
      io,
      state: found,
      threads: pages.threads,
      readOnly,
      recover: options.recover,
      onFailure,
    });
    teardown.push('the log', () => log.close({ discard: core?.logIsSuperfluous ?? false }));
  }
  const { catalog, checkpoint } = readOnly ? await openToRead(parts, found) : openToWrite(parts, found);
  const { timestamp, result } = await recover(parts, catalog, checkpoint, replay, options);
  const shared = new SharedCatalog(catalog, pages, state.memory);
  core = new EngineCore(
    parts,
    shared,
    state,
    path,
    options.checkpoint ?? {},
    readOnly ? options.follow : false,
    options.transactions ?? {},
  );
  concurrency.start(core.host, timestamp);
  const opened = core;
  teardown.push('the engine', () => opened.finish());
  core.housekeeping.start();
  core.following.start();
  return new Engine<Types>(core, teardown, result);
}

interface OpenCatalog {
  readonly catalog: Catalog;
  /** The checkpoint that it is of. */
  readonly checkpoint: StoreState;
}

function openToWrite({ pages, indexes }: EngineParts, found: StoreState): OpenCatalog {
  const catalog = Catalog.open(pages, indexes, { create: true, timestamp: found.mark.timestamp });
  return { catalog, checkpoint: found };
}

/** A reader that cannot ask the writer to wait may have to go on before it has read the catalog. */
async function openToRead({ pages, indexes }: EngineParts, found: StoreState): Promise<OpenCatalog> {
  let checkpoint = found;
  for (;;) {
    try {
      return { catalog: Catalog.open(pages, indexes, { create: false, timestamp: 0 }), checkpoint };
    } catch (error) {
      const later: StoreState | null = isOvertaken(error) ? await pages.follow(() => {}) : null;
      if (later === null) throw error;
      checkpoint = later;
    }
  }
}

async function recover(
  parts: EngineParts,
  catalog: Catalog,
  found: StoreState,
  replay: LogReplay | null,
  options: OpenOptions,
): Promise<{ readonly timestamp: number; readonly result: RecoveryResult }> {
  const { pages, log } = parts;
  if (replay === null) {
    const ignoredLog = found.mark.log.incarnation !== NO_LOG.incarnation;
    return {
      timestamp: found.mark.timestamp,
      result: { records: 0, transactions: 0, durationMs: 0, tornBytes: 0, givenUp: null, ignoredLog },
    };
  }
  const recovery = new Recovery(pages, catalog, catalog.types, found.mark.timestamp);
  const result = await recovery.replay(replay, options.onRecovery);
  const timestamp = Math.max(recovery.timestamp, replay.lastTimestamp()) + skippedAfter(found.mark.log);
  const mark = { timestamp, log: log.begin(timestamp) };
  // C3: a superblock that names a log whose first segment is not durable leads to a store that cannot be opened.
  const steps = { gate: () => mark, secureLog: () => log.secure(mark.log) };
  // Two, so that both superblocks name the new log: if the newer one rots, the older leads to all that was acknowledged.
  await pages.checkpoint(steps);
  await pages.checkpoint(steps);
  await log.discardOld();
  return { timestamp, result };
}

/** Timestamps that are left out before the first one of the new log. */
function skippedAfter({ incarnation, segment }: LogMark): number {
  if (incarnation !== NO_LOG.incarnation) return TIMESTAMPS_SKIPPED;
  return segment === BRANCH_LOG.segment ? LEAST_BRANCH_SKIP + randomInt(BRANCH_SKIPS) : 0;
}

const DAMAGE_HANDLINGS: readonly unknown[] = ['all', 'stop-before-damage'] satisfies DamageHandling[];
const BOOLEANS = ['create', 'errorIfExists', 'readOnly'] as const;
const CALLBACKS = ['onRecovery', 'onFailure'] as const;
const CHECKPOINT_OPTIONS = ['logBytes', 'intervalMs', 'dutyCycle'] as const;
const LEAST_DUTY_CYCLE = 0.01;
/** The longest interval that a timer takes. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;

function checkOptions(options: OpenOptions): void {
  if (typeof options !== 'object' || options === null) throw invalid('', 'the options are an object');
  const known: readonly string[] = [...BOOLEANS, ...CALLBACKS, 'checkpoint', 'transactions', 'follow', 'recover'];
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw invalid(name, `there is no such option; there are ${known.join(', ')}`);
  }
  for (const name of BOOLEANS) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') throw invalid(name, 'it is true or false');
  }
  for (const name of CALLBACKS) {
    if (options[name] !== undefined && typeof options[name] !== 'function') throw invalid(name, 'it is a function');
  }
  if (options.readOnly === true && options.create === true)
    throw invalid('create', 'a store that is opened read-only is not created');
  const { checkpoint = {}, follow, recover = 'all' } = options;
  if (!DAMAGE_HANDLINGS.includes(recover)) throw invalid('recover', `it is one of ${DAMAGE_HANDLINGS.join(', ')}`);
  if (recover !== 'all' && options.readOnly === true)
    throw invalid('recover', 'a store that is opened read-only is read without its log');
  if (follow !== undefined) {
    if (options.readOnly !== true) throw invalid('follow', 'it is for a store that is opened read-only');
    if (follow !== false && !isInterval(follow))
      throw invalid('follow', `it is false, or a whole number from 1 to ${LONGEST_INTERVAL_MS}`);
  }
  assertTransactionOptions(options.transactions);
  if (typeof checkpoint !== 'object' || checkpoint === null) throw invalid('checkpoint', 'it is an object');
  for (const name of Object.keys(checkpoint)) {
    if (!(CHECKPOINT_OPTIONS as readonly string[]).includes(name)) {
      throw invalid(`checkpoint.${name}`, `there is no such option; there are ${CHECKPOINT_OPTIONS.join(', ')}`);
    }
  }
  const { logBytes = 1, intervalMs = 1, dutyCycle = 1 } = checkpoint;
  if (!isSize(logBytes))
    throw invalid('checkpoint.logBytes', "it is a whole number of bytes from 1 on, as a number or as in '64MiB'");
  if (!isInterval(intervalMs))
    throw invalid('checkpoint.intervalMs', `it is a whole number from 1 to ${LONGEST_INTERVAL_MS}`);
  if (typeof dutyCycle !== 'number' || !(dutyCycle >= LEAST_DUTY_CYCLE && dutyCycle <= 1))
    throw invalid('checkpoint.dutyCycle', `it is a number from ${LEAST_DUTY_CYCLE} to 1`);
}

/** Errors: `PW_OPTION_INVALID`. */
export function assertTransactionOptions(options: OpenTransactionOptions = {}): void {
  if (typeof options !== 'object' || options === null) throw invalid('transactions', 'it is an object');
  const found = openTransactionProblem(options);
  if (found !== null) throw invalid(`transactions.${found.option}`, found.problem);
}

function isSize(bytes: number | string): boolean {
  try {
    return parseByteSize(bytes) >= 1;
  } catch {
    return false;
  }
}

function isInterval(milliseconds: number): boolean {
  return Number.isInteger(milliseconds) && milliseconds >= 1 && milliseconds <= LONGEST_INTERVAL_MS;
}

function invalid(option: string, problem: string): PagewrightError {
  const which = option === '' ? 'The options of opening a store' : `The option ${option}`;
  return new PagewrightError('PW_OPTION_INVALID', `${which} cannot be used: ${problem}.`, { details: { option } });
}
