/**
 * The lives of a store, from one crash to the next, and what its log has promised in them: all that was acknowledged is
 * found again, whole and in order, and nothing that was not written, or was left out by an earlier recovery (L1, L3).
 */
import assert from 'node:assert/strict';
import { type CommitRecord, isPagewrightError, type Log } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import type { Survival } from '../device/survival.js';
import { assertSameRecord, recordOf } from './log-records.js';
import { LogStore, newSuperblock, powerLoss, type Superblock } from './log-store.js';

export class LogHistory {
  disk = new SimulatedDevice();
  superblock: Superblock = newSuperblock();
  /** What was appended with each timestamp, in the newest life that used it. */
  written: CommitRecord[] = [];
  /** The highest timestamp whose commit was acknowledged. */
  acknowledged = 0;
  generation = 0;
  #store: LogStore | null = null;
  #logs: Log[] = [];
  #turn = 0;
  #commits: Promise<void>[] = [];

  /** With several threads records are appended and committed by turns, each through another one's log. */
  constructor(
    private readonly create: () => Log,
    private readonly threads = 1,
  ) {}

  /** The process that is alive. */
  get store(): LogStore {
    assert.ok(this.#store !== null, 'the store is not open');
    return this.#store;
  }

  /** Another history that goes on from this one, on a copy of its disk. */
  fork(): LogHistory {
    const fork = new LogHistory(this.create, this.threads);
    fork.disk = this.disk.copy();
    fork.superblock = { ...this.superblock };
    fork.written = [...this.written];
    fork.acknowledged = this.acknowledged;
    fork.generation = this.generation;
    return fork;
  }

  /** A new process opens the store, and what it finds is checked. */
  async open(): Promise<void> {
    this.generation++;
    this.#store = await LogStore.open(this.create(), this.disk, this.superblock, this.generation);
    this.#check(this.#store);
    this.#logs = [this.#store.log];
    while (this.#logs.length < this.threads) this.#logs.push((await this.#store.attach(this.create())).log);
  }

  append(size: number): { timestamp: number; position: number; log: Log } {
    const timestamp = this.store.timestamp + 1;
    // Noted before: a large record may be written by its append, and be found though that has failed.
    this.written[timestamp - 1] = recordOf(timestamp, this.generation, size);
    const log = this.#logs[this.#turn++ % this.#logs.length] as Log;
    const position = this.store.append(size, log);
    return { timestamp, position, log };
  }

  /** Commits in the background. */
  commit(size: number): void {
    const { timestamp, position, log } = this.append(size);
    this.#commits.push(log.commit(position).then(() => this.#acknowledge(timestamp), onPowerGone));
  }

  commitSync(size: number): void {
    const { timestamp, position, log } = this.append(size);
    log.commitSync(position);
    this.#acknowledge(timestamp);
  }

  /** Waits for the commits in the background. */
  async wait(): Promise<void> {
    await Promise.all(this.#commits.splice(0));
  }

  /** The process ends and the power fails. */
  crash(survives: Survival): void {
    this.#end(this.disk.afterCrash(survives));
  }

  /** The process ends, and the operating system goes on. */
  kill(): void {
    this.#end(this.disk.afterKill());
  }

  /** The process closes the store, and then the power fails. */
  async close(discard: boolean, survives: Survival): Promise<void> {
    await this.wait();
    await this.store.close({ discard });
    if (this.disk.isDead) throw powerLoss();
    this.acknowledged = this.store.timestamp;
    if (discard) assert.deepEqual(this.disk.files(), [], 'A close that discards the log has left files.');
    this.crash(survives);
  }

  #end(disk: SimulatedDevice): void {
    this.disk = disk;
    this.#store = null;
    this.#commits = [];
  }

  #acknowledge(timestamp: number): void {
    this.acknowledged = Math.max(this.acknowledged, timestamp);
  }

  #check({ timestamp, recovered }: LogStore): void {
    assert.ok(
      timestamp >= this.acknowledged,
      `Commit ${this.acknowledged} was acknowledged; the log was found to end with ${timestamp}.`,
    );
    const base = timestamp - recovered.length;
    for (const [i, record] of recovered.entries()) assertSameRecord(record, this.written[base + i]);
    this.written.length = timestamp;
    this.acknowledged = timestamp;
  }
}

/** Whether the error is what an operation meets when the power goes, and not a finding. */
export function isPowerLoss(error: unknown): boolean {
  return isPagewrightError(error) && error.code !== 'PW_CORRUPT_LOG' && error.code !== 'PW_INTERNAL';
}

function onPowerGone(error: unknown): void {
  if (!isPagewrightError(error, 'PW_COMMIT_UNKNOWN')) throw error;
}
