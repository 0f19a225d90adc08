/**
 * What a log needs around it, as small as it can be: a superblock that is always durable, and the steps in which an
 * engine opens a store, commits and takes checkpoints.
 */
import {
  type CheckpointMark,
  type DamageHandling,
  type IoBackend,
  type Log,
  type LogReplay,
  NO_LOG,
  PagewrightError,
  type ReplayedRecord,
  type StoreState,
  Threads,
} from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import { inObjects, recordOf } from './log-records.js';

/** Where the log of the store lies. */
export const LOG_DIRECTORY = '/store/app.pw-wal';
export const STORE_ID = '0123456789abcdef0123456789abcdef';

/** What the page file would keep: it survives everything. */
export interface Superblock {
  mark: CheckpointMark;
  storeId: string;
}

export function newSuperblock(storeId = STORE_ID): Superblock {
  return { mark: { timestamp: 0, log: NO_LOG }, storeId };
}

export function stateOf({ mark, storeId }: Superblock): StoreState {
  return { created: false, storeId, epoch: 1, mark, usedOlderSlot: false };
}

export interface OpenedLog {
  readonly log: Log;
  readonly replay: Promise<LogReplay>;
}

/** Opens a log that was just made, as far as its replay. */
export function openLog(
  log: Log,
  io: IoBackend,
  superblock: Superblock,
  {
    readOnly = false,
    recover = 'all',
    onFailure = () => undefined,
    threads = Threads.alone(),
  }: { readOnly?: boolean; recover?: DamageHandling; onFailure?: (error: Error) => void; threads?: Threads } = {},
): OpenedLog {
  const state = stateOf(superblock);
  return {
    log,
    replay: log.open({ directory: LOG_DIRECTORY, io, state, threads, readOnly, recover, onFailure }),
  };
}

export async function readAll(replay: LogReplay): Promise<ReplayedRecord[]> {
  const records: ReplayedRecord[] = [];
  for await (const record of replay.records()) records.push(inObjects(record));
  return records;
}

/** What a log that was just made finds on a device, without going on from there. */
export async function recordsOn(log: Log, io: IoBackend, superblock: Superblock): Promise<ReplayedRecord[]> {
  const records = await readAll(await openLog(log, io, superblock).replay);
  await log.close({ discard: false });
  return records;
}

/** The log as one more thread of the process has it. */
export interface AttachedLog {
  readonly log: Log;
  readonly threads: Threads;
  /** What it has told by `onFailure`. */
  readonly failures: readonly Error[];
}

/**
 * One process with a store open: it commits through its log, until it is closed or crashes. Its threads are logs that are attached to it;
 * what is appended goes through the one that is given, or else through that of the thread that opened the store.
 */
export class LogStore {
  /** Of the last commit. */
  timestamp: number;

  private constructor(
    readonly disk: SimulatedDevice,
    readonly superblock: Superblock,
    readonly log: Log,
    readonly recovered: readonly ReplayedRecord[],
    readonly replay: LogReplay,
    readonly generation: number,
    /** What the log has told by `onFailure`. */
    readonly failures: readonly Error[],
    readonly threads: Threads,
  ) {
    this.timestamp = replay.lastTimestamp();
  }

  /** Opens with a log that was just made, replays, and ends recovery with a checkpoint, as the engine does; before that what was found is checked. */
  static async open(
    log: Log,
    disk: SimulatedDevice,
    superblock: Superblock,
    generation = 0,
    check: (recovered: readonly ReplayedRecord[], replay: LogReplay) => void = () => undefined,
  ): Promise<LogStore> {
    const failures: Error[] = [];
    const threads = Threads.alone();
    const replay = await openLog(log, disk, superblock, { onFailure: (error) => failures.push(error), threads }).replay;
    const recovered = await readAll(replay);
    check(recovered, replay);
    const store = new LogStore(disk, superblock, log, recovered, replay, generation, failures, threads);
    const mark = { timestamp: store.timestamp, log: log.begin(store.timestamp) };
    await log.secure(mark.log);
    store.#writeSuperblock(mark);
    await log.discardOld();
    return store;
  }

  /** One more thread, with a log that was just made; the handle has gone through what a post makes of it. */
  async attach(log: Log, io: IoBackend = this.disk): Promise<AttachedLog> {
    const threads = new Threads(this.threads.words.buffer as SharedArrayBuffer);
    const failures: Error[] = [];
    const handle: unknown = structuredClone(this.log.share());
    await log.attach({ io, threads, handle, onFailure: (error) => failures.push(error) });
    return { log, threads, failures };
  }

  /** The next record, of about this size. */
  nextRecord(size: number): ReplayedRecord {
    return recordOf(this.timestamp + 1, this.generation, size);
  }

  /** Appends a record of about this size; the position behind it. */
  append(size: number, log = this.log): number {
    const record = this.nextRecord(size);
    log.reserveSync(log.sizeOf(record.operations));
    const position = log.append(record);
    this.timestamp++;
    return position;
  }

  async commit(size = 10, log = this.log): Promise<void> {
    await log.commit(this.append(size, log));
  }

  /** Commits as a careful caller does: waits for room first. */
  async reserveAndCommit(size: number, log = this.log): Promise<void> {
    await this.reserve(size, log);
    await this.commit(size, log);
  }

  /** Waits for room for the next record, of about this size. */
  reserve(size: number, log = this.log): Promise<void> {
    return log.reserve(log.sizeOf(this.nextRecord(size).operations));
  }

  commitSync(size = 10, log = this.log): void {
    log.commitSync(this.append(size, log));
  }

  /** A checkpoint: what is before it is not replayed any more. */
  async checkpoint(): Promise<void> {
    const mark = { timestamp: this.timestamp, log: this.log.mark() };
    await this.log.secure(mark.log);
    this.#writeSuperblock(mark);
    await this.log.recycle(mark.log);
  }

  /** Closes with a checkpoint that covers the log, as a clean close does, or without one. */
  async close({ discard }: { readonly discard: boolean }): Promise<void> {
    await this.log.secure(NO_LOG);
    if (discard) {
      await this.log.seal?.(this.timestamp);
      this.#writeSuperblock({ timestamp: this.timestamp, log: NO_LOG });
    }
    await this.log.close({ discard });
  }

  #writeSuperblock(mark: CheckpointMark): void {
    if (this.disk.isDead) throw powerLoss();
    this.superblock.mark = mark;
  }
}

/** What a process meets that goes on when the power is gone. */
export function powerLoss(): PagewrightError {
  return new PagewrightError('PW_IO', 'the power is gone');
}

/** Lets all happen that waits for nothing but the device. */
export async function settled(turns = 3): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}
