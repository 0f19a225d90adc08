/**
 * What a log needs around it, as small as it can be: a superblock that is always durable, records whose content follows
 * from timestamp and generation, and the memory of what was acknowledged.
 */
import type {
  CheckpointMark,
  CommitPolicyType,
  CommitRecord,
  IoBackend,
  LogReplay,
  StoreState,
} from '@pagewright/core';
import { NO_LOG, OPERATION_PUT } from '@pagewright/core';
import { Random, type SimulatedDevice } from '@pagewright/testkit';
import { expect } from 'vitest';
import type { WalOptions } from '../src/options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from '../src/write-ahead-log.js';

export const STORE_ID = '0123456789abcdef0123456789abcdef';
export const DIRECTORY = '/store/app.pw-wal';
export const SMALL: WalOptions = { segmentSize: 64 * 1024 };

/** What the page file would keep: survives everything. */
export interface Superblock {
  mark: CheckpointMark;
  storeId: string;
}

export function newSuperblock(): Superblock {
  return { mark: { timestamp: 0, log: NO_LOG }, storeId: STORE_ID };
}

export function stateOf(superblock: Superblock): StoreState {
  return {
    created: false,
    storeId: superblock.storeId,
    epoch: 1,
    mark: superblock.mark,
    usedOlderSlot: false,
  };
}

/** A record whose bytes follow from its timestamp, its generation and its size. */
export function recordOf(timestamp: number, generation: number, size: number): CommitRecord {
  const random = new Random(timestamp * 31 + generation * 1_000_003 + size);
  const key = new TextEncoder().encode(`${timestamp}/${generation}/${size}`);
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.fraction() * 4_294_967_296;
  const value = new Uint8Array(words.buffer, 0, size);
  return {
    timestamp,
    dependsOn: timestamp - 1,
    operations: [
      { kind: OPERATION_PUT, index: timestamp % 300, key, value },
      { kind: OPERATION_PUT, index: 1, key, value: new Uint8Array(0) },
    ],
  };
}

/** Like `toEqual`, and fast for long values. */
export function expectSame(found: CommitRecord, wanted: CommitRecord | undefined): void {
  expect({ ...found, operations: found.operations.length }).toEqual(
    wanted && { ...wanted, operations: wanted.operations.length },
  );
  found.operations.forEach((operation, i) => {
    const { kind, index, key, value } = wanted!.operations[i]!;
    const same = Buffer.compare(operation.key, key) === 0 && Buffer.compare(operation.value, value) === 0;
    if (operation.kind !== kind || operation.index !== index || !same) expect(operation).toEqual(wanted!.operations[i]);
  });
}

export function openLog(
  io: IoBackend,
  superblock: Superblock,
  options: WalOptions = SMALL,
  onFailure: (error: Error) => void = () => undefined,
  policies: readonly CommitPolicyType[] = BUILT_IN_POLICIES,
): { log: WriteAheadLog; replay: Promise<LogReplay> } {
  const log = new WriteAheadLog(options, policies);
  const request = { directory: DIRECTORY, io, state: stateOf(superblock), readOnly: false, onFailure };
  return { log, replay: log.open(request) };
}

export async function readAll(replay: LogReplay): Promise<CommitRecord[]> {
  const records: CommitRecord[] = [];
  for await (const record of replay.records()) records.push(record);
  return records;
}

/** A store that commits through a log, and can be opened again after a crash. */
export class TestStore {
  timestamp = 0;
  failures: Error[] = [];

  private constructor(
    readonly disk: SimulatedDevice,
    readonly superblock: Superblock,
    readonly log: WriteAheadLog,
    readonly recovered: CommitRecord[],
    readonly replay: LogReplay,
    readonly generation: number,
  ) {}

  /** Opens, replays, and ends recovery with a checkpoint, as the engine does. */
  static async open(
    disk: SimulatedDevice,
    superblock: Superblock,
    {
      options = SMALL,
      generation = 0,
      policies,
    }: { options?: WalOptions; generation?: number; policies?: readonly CommitPolicyType[] } = {},
  ): Promise<TestStore> {
    const failures: Error[] = [];
    const { log, replay } = openLog(disk, superblock, options, (error) => failures.push(error), policies);
    const found = await replay;
    const recovered = await readAll(found);
    const store = new TestStore(disk, superblock, log, recovered, found, generation);
    store.failures = failures;
    store.timestamp = superblock.mark.timestamp + recovered.length;
    const mark = { timestamp: store.timestamp, log: log.begin() };
    await log.secure(mark.log);
    if (disk.isDead) throw new Error('the power is gone');
    superblock.mark = mark;
    await log.discardOld();
    return store;
  }

  /** Appends a record; the position behind it. */
  append(size: number): number {
    const record = recordOf(this.timestamp + 1, this.generation, size);
    this.log.reserveSync(this.log.sizeOf(record.operations));
    const position = this.log.append(record);
    this.timestamp++;
    return position;
  }

  async commit(size = 10): Promise<void> {
    await this.log.commit(this.append(size));
  }

  commitSync(size = 10): void {
    this.log.commitSync(this.append(size));
  }

  /** A checkpoint: what is before it is not replayed any more. */
  async checkpoint(): Promise<void> {
    const mark = { timestamp: this.timestamp, log: this.log.mark() };
    await this.log.secure(mark.log);
    if (this.disk.isDead) throw new Error('the power is gone');
    this.superblock.mark = mark;
    await this.log.recycle(mark.log);
  }
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
