/**
 * The lives of a store, from one crash to the next, and what its log has promised in them: all that was acknowledged is
 * found again, whole and in order, with all that it depends on (T1), and nothing that was not written, or was left out by an earlier
 * recovery (L1, L3).
 */
import assert from 'node:assert/strict';
import { type CommitRecord, isPagewrightError, type Log, type LogReplay, type ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import type { Survival } from '../device/survival.js';
import { assertSameRecord, recordOf } from './log-records.js';
import { LogStore, newSuperblock, powerLoss, type Superblock } from './log-store.js';

export class LogHistory {
  disk = new SimulatedDevice();
  superblock: Superblock = newSuperblock();
  /** What was appended, by timestamp, but for what a recovery has left out. */
  readonly written = new Map<number, CommitRecord>();
  generation = 0;
  readonly #acknowledged = new Set<number>();
  #store: LogStore | null = null;
  #logs: Log[] = [];
  #turn = 0;
  #commits: Promise<void>[] = [];

  /** With several threads records are appended and committed by turns, each through another one's log. */
  constructor(
    private readonly create: () => Log,
    private readonly threads = 1,
  ) {}

  /** The highest timestamp whose commit was acknowledged. */
  get acknowledged(): number {
    return Math.max(0, ...this.#acknowledged);
  }

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
    for (const [timestamp, record] of this.written) fork.written.set(timestamp, record);
    for (const timestamp of this.#acknowledged) fork.#acknowledged.add(timestamp);
    fork.generation = this.generation;
    return fork;
  }

  /** A new process opens the store, and what it finds is checked. */
  async open(): Promise<void> {
    this.generation++;
    const check = (recovered: readonly ReplayedRecord[], replay: LogReplay) => this.#check(recovered, replay);
    this.#store = await LogStore.open(this.create(), this.disk, this.superblock, this.generation, check);
    this.#logs = [this.#store.log];
    while (this.#logs.length < this.threads) this.#logs.push((await this.#store.attach(this.create())).log);
  }

  append(size: number): { timestamp: number; position: number; log: Log } {
    const timestamp = this.store.timestamp + 1;
    // Noted before: a large record may be written by its append, and be found though that has failed.
    this.written.set(timestamp, recordOf(timestamp, this.generation, size));
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
    for (const timestamp of this.written.keys()) this.#acknowledge(timestamp);
    if (discard) assert.deepEqual(this.disk.files(), [], 'A close that discards the log has left files.');
    this.crash(survives);
  }

  #end(disk: SimulatedDevice): void {
    this.disk = disk;
    this.#store = null;
    this.#commits = [];
  }

  #acknowledge(timestamp: number): void {
    this.#acknowledged.add(timestamp);
  }

  #check(recovered: readonly ReplayedRecord[], replay: LogReplay): void {
    const base = this.superblock.mark.timestamp;
    const found = new Set<number>();
    let last = base;
    for (const record of recovered) {
      const { timestamp, after = timestamp - 1 } = record;
      assert.ok(timestamp > last, `After commit ${last} comes commit ${timestamp}.`);
      assert.equal(after, last, `Commit ${timestamp} does not say that those after ${last} are left out.`);
      assertSameRecord(record, this.written.get(timestamp));
      found.add(timestamp);
      last = timestamp;
    }
    for (const timestamp of this.#acknowledged) {
      const isThere = timestamp <= base || found.has(timestamp);
      assert.ok(isThere, `Commit ${timestamp} was acknowledged; it was not found.`);
    }
    for (const timestamp of this.written.keys()) {
      if (timestamp <= base || found.has(timestamp)) continue;
      for (const later of recovered) {
        const depends = later.dependsOn >= timestamp;
        assert.ok(!depends, `Commit ${later.timestamp} was found, and not ${timestamp}, which it depends on (T1).`);
      }
      this.written.delete(timestamp);
    }
    assert.ok(replay.lastTimestamp() >= last, 'Timestamps of the log are to be used again (L3).');
    for (const timestamp of found) this.#acknowledge(timestamp);
  }
}

/** Whether the error is what an operation meets when the power goes, and not a finding. */
export function isPowerLoss(error: unknown): boolean {
  return isPagewrightError(error) && error.code !== 'PW_CORRUPT_LOG' && error.code !== 'PW_INTERNAL';
}

function onPowerGone(error: unknown): void {
  if (!isPagewrightError(error, 'PW_COMMIT_UNKNOWN')) throw error;
}
