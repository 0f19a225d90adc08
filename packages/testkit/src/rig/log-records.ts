/** Records whose content follows from timestamp, generation and size, so that what a replay gives can be checked without having kept it. */
import assert from 'node:assert/strict';
import { type CommitRecord, type LogOperation, OPERATION_PUT, type ReplayedRecord } from '@pagewright/core';
import { Random } from '../random.js';

/**
 * A record with about `size` bytes of value. The generation tells records of one process from those of a later one that
 * used the same timestamps. Its time is that of a log whose clock stands still, at 0.
 */
export function recordOf(timestamp: number, generation: number, size: number): ReplayedRecord {
  const random = new Random(timestamp * 31 + generation * 1_000_003 + size);
  const key = new TextEncoder().encode(`${timestamp}/${generation}/${size}`);
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.fraction() * 4_294_967_296;
  const value = new Uint8Array(words.buffer, 0, size);
  return {
    timestamp,
    dependsOn: timestamp - 1,
    time: 0,
    operations: [
      { kind: OPERATION_PUT, index: timestamp % 300, key, value },
      { kind: OPERATION_PUT, index: 1, key, value: new Uint8Array(0) },
    ],
  };
}

/** The record with its operations as an array, to be compared, and kept. */
export function inObjects(record: ReplayedRecord): ReplayedRecord {
  return { ...record, operations: [...record.operations] };
}

/** Throws unless the record is the one that was written, to the byte. */
export function assertSameRecord(found: CommitRecord, wanted: CommitRecord | undefined): void {
  assert.ok(wanted !== undefined, `There is a record ${found.timestamp} that was never written.`);
  assert.deepEqual([found.timestamp, found.dependsOn], [wanted.timestamp, wanted.dependsOn], 'Timestamp and d differ.');
  const here = `record ${wanted.timestamp}`;
  assert.equal(found.operations.length, wanted.operations.length, `${here} has another number of operations.`);
  const others = [...wanted.operations];
  for (const [i, operation] of [...found.operations].entries()) {
    assertSameOperation(operation, others[i]!, `${here}, operation ${i}`);
  }
}

/** Throws unless these are the records that were written, all of them, in order. */
export function assertSameRecords(found: readonly CommitRecord[], wanted: readonly CommitRecord[]): void {
  assert.deepEqual(found.map(timestampOf), wanted.map(timestampOf), 'Other commits were found than were written.');
  for (const [i, record] of found.entries()) assertSameRecord(record, wanted[i]);
}

function assertSameOperation(found: LogOperation, wanted: LogOperation, here: string): void {
  assert.deepEqual([found.kind, found.index], [wanted.kind, wanted.index], `${here}: kind or index differs.`);
  assert.ok(Buffer.compare(found.key, wanted.key) === 0, `${here}: the key has other bytes.`);
  assert.ok(Buffer.compare(found.value, wanted.value) === 0, `${here}: the value has other bytes.`);
}

function timestampOf({ timestamp }: CommitRecord): number {
  return timestamp;
}
