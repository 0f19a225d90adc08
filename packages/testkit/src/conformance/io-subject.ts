/** What the clauses of the I/O contract have in common: their subject, files to work on, bytes, and both forms of a call. */
import assert from 'node:assert/strict';
import {
  type AllocateOptions,
  type ErrorCode,
  type IoBackend,
  type IoFile,
  type IoOperation,
  type OpenFlags,
  PagewrightError,
} from '@pagewright/core';
import type { Clause } from './suite.js';

/**
 * What not every backend can: `locks` keeps two writers apart, `pins` shows who reads a file, `sharedMemory` transfers views on a `SharedArrayBuffer`,
 * `largeFiles` has room for files of several GiB that consist of holes, `writeBack` brings a range of a file to the device, `crash` means that the subject can lose power.
 */
export type IoCapability = 'locks' | 'pins' | 'sharedMemory' | 'largeFiles' | 'writeBack' | 'crash';

/** What is tested: a backend, with a place to work in. */
export interface IoSubject {
  readonly backend: IoBackend;
  /** An absolute path of an empty directory that outlives a crash. */
  readonly directory: string;
  /**
   * Loses power, and gives the backend as the next process finds it; called again, that one loses it. What is open is
   * gone. For the capability `crash`.
   */
  crash?(): IoBackend | Promise<IoBackend>;
}

export type IoClause = Clause<IoSubject, IoCapability>;

/** A clause about a file of its own, which is empty, open for writing, and closed afterwards. */
export function fileClause(
  { id, says, rules, needs }: Omit<IoClause, 'check'>,
  check: (file: IoFile, subject: IoSubject) => void | Promise<void>,
): IoClause {
  return {
    id,
    says,
    ...(rules && { rules }),
    ...(needs && { needs }),
    check: (subject) => withFile(subject, 'file', { create: true }, (file) => check(file, subject)),
  };
}

/** Opens a file of the subject's directory for the time of a check. */
export async function withFile<Result>(
  { backend, directory }: IoSubject,
  name: string,
  flags: OpenFlags,
  check: (file: IoFile) => Result | Promise<Result>,
): Promise<Result> {
  const file = await backend.open(`${directory}/${name}`, flags);
  try {
    return await check(file);
  } finally {
    await file.close();
  }
}

/** The subject after its power has failed. */
export async function afterCrash(subject: IoSubject): Promise<IoSubject> {
  if (subject.crash === undefined) throw new Error('The subject is said to be able to crash, and has no such method.');
  return { ...subject, backend: await subject.crash() };
}

/** The two forms in which a file takes its operations. */
export interface Form {
  readonly name: string;
  read(file: IoFile, buffer: Uint8Array, offset: number): void | Promise<void>;
  write(file: IoFile, buffer: Uint8Array, offset: number): void | Promise<void>;
  sync(file: IoFile): void | Promise<void>;
  truncate(file: IoFile, size: number): void | Promise<void>;
  allocate(file: IoFile, offset: number, length: number, options?: AllocateOptions): void | Promise<void>;
  submit(file: IoFile, operations: readonly IoOperation[], options?: { sync?: boolean }): void | Promise<void>;
}

export const FORMS: readonly Form[] = [
  {
    name: 'the form that returns a promise',
    read: (file, buffer, offset) => file.read(buffer, offset),
    write: (file, buffer, offset) => file.write(buffer, offset),
    sync: (file) => file.sync(),
    truncate: (file, size) => file.truncate(size),
    allocate: (file, offset, length, options) => file.allocate(offset, length, options),
    submit: (file, operations, options) => file.submit(operations, options),
  },
  {
    name: 'the form that waits in place',
    read: (file, buffer, offset) => file.readSync(buffer, offset),
    write: (file, buffer, offset) => file.writeSync(buffer, offset),
    sync: (file) => file.syncSync(),
    truncate: (file, size) => file.truncateSync(size),
    allocate: (file, offset, length, options) => file.allocateSync(offset, length, options),
    submit: (file, operations, options) => file.submitSync(operations, options),
  },
];

/** Bytes that differ from place to place and from seed to seed, none of them zero: what lands in a wrong place is seen. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = Math.imul(seed + 1, 0x9e3779b1);
  for (let at = 0; at < length; at++) {
    state = Math.imul(state, 0x915f77f5) + 1;
    bytes[at] = (state >>> 24) | 1;
  }
  return bytes;
}

/** Reads the bytes from the offset on, into memory that was not zero. */
export function bytesAt(file: IoFile, offset: number, length: number): Uint8Array {
  const buffer = new Uint8Array(length).fill(0xee);
  file.readSync(buffer, offset);
  return buffer;
}

export function contentOf(file: IoFile): Uint8Array {
  return bytesAt(file, 0, file.size());
}

/** Fails unless both have the same bytes; says where they begin to differ. */
export function assertSame(found: Uint8Array, wanted: Uint8Array, what: string): void {
  assert.equal(found.length, wanted.length, `${what}: ${found.length} bytes instead of ${wanted.length}`);
  if (Buffer.compare(found, wanted) === 0) return;
  const at = found.findIndex((byte, index) => byte !== wanted[index]);
  assert.fail(`${what}: byte ${at} of ${found.length} is ${found[at]} instead of ${wanted[at]}`);
}

/** What is wanted of an error: its code, and what is in its details. */
export interface WantedError {
  readonly code?: ErrorCode;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The error that the work ends with. Fails if it succeeds, or ends with another error. */
export async function errorOf(
  what: string,
  work: () => unknown,
  { code, details = {} }: WantedError = {},
): Promise<PagewrightError> {
  const error = await attempt(work);
  assert.ok(error !== null, `${what} succeeds instead of being refused`);
  assert.ok(
    error instanceof Error && error.name === PagewrightError.name,
    `${what} gives ${String(error)}, which is no PagewrightError`,
  );
  const refusal = error as PagewrightError;
  if (code !== undefined) assert.equal(refusal.code, code, `${what} gives ${refusal.code} instead of ${code}`);
  for (const [name, value] of Object.entries(details)) {
    assert.deepEqual(
      refusal.details[name],
      value,
      `${what} gives details with ${name} ${String(refusal.details[name])}`,
    );
  }
  return refusal;
}

async function attempt(work: () => unknown): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    return error;
  }
}
