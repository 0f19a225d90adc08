/**
 * Whole logs whose process was killed, damaged in one segment. A replay gives exactly what was acknowledged, or says that
 * the log is damaged. It gives less only where all that told of the rest was damaged as well. With checksums made right
 * after the damage nothing can be promised but that it ends, in records whose timestamps are dense or with an error.
 */
import { type ReplayedRecord, Threads } from '@pagewright/core';
import type { FuzzSeed, FuzzTarget } from '@pagewright/testkit';
import { WriteAheadLog } from '@pagewright/wal';
import { expectThat, sameBytes } from './agreement.js';
import { record as format } from './internals.js';
import { repairRecord } from './log-records.js';
import { DIRECTORY, type FoundRecord, type KilledLog, killedLog } from './log-seeds.js';
import { BytesOnly } from './memory-files.js';

/** Reads of files, and opening them, that one replay may need. */
const MOST_READS = 500;

interface DamagedSegment {
  readonly log: KilledLog;
  readonly path: string;
}

export const logReplays: FuzzTarget<DamagedSegment> = {
  name: 'replays of damaged logs',
  resizes: true,
  refusals: new Set(['PW_CORRUPT_LOG', 'PW_FORMAT_VERSION']),
  async seeds(random) {
    const sizes = [Array.from({ length: 12 }, () => random.below(300)), [20, 30_000, 35_000, 10, 20_000, 500], [0]];
    const seeds: FuzzSeed<DamagedSegment>[] = [];
    for (const some of sizes) {
      const log = await killedLog(random, some);
      for (const [path, bytes] of log.files) seeds.push(segmentOf(log, path, bytes));
    }
    return seeds;
  },
  repair(bytes, { context: { log, path } }) {
    for (const { incarnation, segment, offset } of recordsOf(log, path))
      repairRecord(bytes, offset, format.recordSeed(incarnation, segment, offset));
  },
  async run(bytes, { context: { log, path } }, isRepaired) {
    const found = await replay(log, new Map(log.files).set(path, bytes));
    for (const [i, { timestamp }] of found.entries())
      expectThat(timestamp === i + 1, () => `record ${i} of the replay has timestamp ${timestamp}`);
    if (isRepaired) return found.length === log.acknowledged.length ? 'as many' : 'others';
    expectThat(found.length <= log.acknowledged.length, 'the replay gives more than was acknowledged');
    for (const [i, commit] of found.entries()) expectThat(same(commit, log.acknowledged[i]!), `record ${i} is wrong`);
    if (found.length === log.acknowledged.length) return 'right';
    expectThat(
      !isProven(log, path, bytes, found.length),
      () => `${log.acknowledged.length - found.length} acknowledged records are lost, without an error`,
    );
    return 'cut, and nothing told of the rest';
  },
};

function segmentOf(log: KilledLog, path: string, bytes: Uint8Array): FuzzSeed<DamagedSegment> {
  const fields = recordsOf(log, path).flatMap(({ offset, length }) => [
    { start: offset, end: offset + format.RECORD_HEADER_SIZE },
    { start: offset, end: offset + length },
  ]);
  return { bytes, context: { log, path }, fields: [{ start: 0, end: 84 }, ...fields] };
}

function recordsOf(log: KilledLog, path: string): readonly FoundRecord[] {
  return log.records.filter((record) => record.path === path);
}

async function replay(log: KilledLog, files: ReadonlyMap<string, Uint8Array>): Promise<ReplayedRecord[]> {
  const wal = new WriteAheadLog({ segmentSize: '64KiB' });
  const onFailure = (): void => undefined;
  const io = new BytesOnly(files, MOST_READS);
  const found = await wal.open({
    directory: DIRECTORY,
    io,
    state: log.state,
    threads: Threads.alone(),
    readOnly: false,
    onFailure,
  });
  const records: ReplayedRecord[] = [];
  for await (const record of found.records()) records.push(record);
  return records;
}

/**
 * Whether a record is whole that was written when the first of the missing ones was known to be durable: then the log is
 * known to be damaged.
 */
function isProven(log: KilledLog, path: string, bytes: Uint8Array, found: number): boolean {
  const commits = log.records.filter(({ kind }) => kind === format.RECORD_COMMIT);
  const hole = commits[found]!;
  return log.records.some((record) => {
    const { segment, offset } = record.durable;
    if (segment < hole.segment || (segment === hole.segment && offset <= hole.offset)) return false;
    if (record.path !== path) return true;
    const original = log.files.get(path)!;
    const end = record.offset + format.RECORD_HEADER_SIZE;
    return (
      record.offset + record.length <= bytes.length &&
      sameBytes(bytes.subarray(record.offset, end), original.subarray(record.offset, end))
    );
  });
}

function same(a: ReplayedRecord, b: ReplayedRecord): boolean {
  const others = [...b.operations];
  return (
    a.timestamp === b.timestamp &&
    a.dependsOn === b.dependsOn &&
    a.operations.length === b.operations.length &&
    [...a.operations].every(({ kind, index, key, value }, i) => {
      const other = others[i]!;
      return kind === other.kind && index === other.index && sameBytes(key, other.key) && sameBytes(value, other.value);
    })
  );
}
