/** Stores on the log of this package, with options of their own. */
import type { CommitPolicyType, CommitRecord, DamageHandling, IoBackend, LogOperation } from '@pagewright/core';
import type { SimulatedDevice } from '@pagewright/testkit';
import { LogStore, type OpenedLog, openLog as open, type Superblock } from '@pagewright/testkit/rig';
import type { WalOptions } from '../src/options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from '../src/write-ahead-log.js';

export const SMALL: WalOptions = { segmentSize: 64 * 1024 };

/** A clock that stands still, so that what is read is equal to `recordOf`. */
const standing = (): number => 0;

export function openLog(
  io: IoBackend,
  superblock: Superblock,
  options: WalOptions = SMALL,
  onFailure: (error: Error) => void = () => undefined,
  recover: DamageHandling = 'all',
): OpenedLog {
  return open(new WriteAheadLog(options, BUILT_IN_POLICIES, standing), io, superblock, { onFailure, recover });
}

/** A store that commits through a log, and can be opened again after a crash. */
export function openLogStore(
  disk: SimulatedDevice,
  superblock: Superblock,
  {
    options = SMALL,
    generation = 0,
    policies = BUILT_IN_POLICIES,
    clock = standing,
  }: {
    options?: WalOptions;
    generation?: number;
    policies?: readonly CommitPolicyType[];
    clock?: () => number;
  } = {},
): Promise<LogStore> {
  return LogStore.open(new WriteAheadLog(options, policies, clock), disk, superblock, generation);
}

/** The first operation of a record that has one. */
export function firstOf({ operations }: CommitRecord): LogOperation {
  const [first] = operations;
  return first!;
}
