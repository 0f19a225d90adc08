/** What the device is asked to do, and the errors with which it refuses. */
import { type ErrorCode, PagewrightError } from '@pagewright/core';

/** The unit in which a disk writes: a crash keeps or drops it whole. In bytes. */
export const SECTOR = 512;

export const OPERATION_KINDS = [
  'open',
  'read',
  'write',
  'sync',
  'write-back',
  'allocate',
  'truncate',
  'make-directory',
  'remove',
  'rename',
  'sync-directory',
] as const;
export type OperationKind = (typeof OPERATION_KINDS)[number];

/** An operation as tests see it: in `history`, and before it happens. */
export interface DiskOperation {
  /** From 1, in the order in which operations were issued. */
  readonly number: number;
  readonly kind: OperationKind;
  readonly path: string;
  /** Whether it was issued by a method that waits in place. */
  readonly inPlace: boolean;
  /** In bytes from the beginning of the file, where the operation has a place. */
  readonly offset?: number;
  /** In bytes, where the operation has a length. */
  readonly length?: number;
}

/** Bytes of a transfer, counted from its beginning. */
export interface Part {
  readonly from: number;
  readonly to: number;
}

/** What is to be done. It begins once, happens in one part or in several, and then ends; at a crash it stops anywhere. */
export interface Deed {
  readonly kind: OperationKind;
  readonly path: string;
  readonly offset?: number;
  readonly length?: number;
  /** Whether a crash that comes while it is under way may leave parts of it. */
  readonly changes: boolean;
  /** Looks whether it can be done at all. */
  begin?(): void;
  /** Makes a part of it happen. What moves no bytes happens whole, whatever the part. */
  happen(part: Part): void;
  /** All of it has happened. */
  end?(): void;
}

/** All of the deed in one part. */
export function wholeOf({ length = 0 }: Deed): Part {
  return { from: 0, to: length };
}

/** A part cut between sectors of the file into the least parts that can happen. */
export function* sectorsOf({ offset = 0 }: Deed, { from, to }: Part): Iterable<Part> {
  if (from === to) yield { from, to };
  for (let at = from; at < to; ) {
    const end = Math.min(to, at + SECTOR - ((offset + at) % SECTOR));
    yield { from: at, to: end };
    at = end;
  }
}

/** The error of a device, as the contract has it. */
export function ioError(errno: string, path: string, message = errno, offset = 0): PagewrightError {
  return new PagewrightError(codeOf(errno), `${path}: ${message}`, { details: { errno, path, offset } });
}

function codeOf(errno: string): ErrorCode {
  if (errno === 'ENOSPC' || errno === 'EDQUOT' || errno === 'EFBIG') return 'PW_FULL';
  return errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS' ? 'PW_PERMISSION' : 'PW_IO';
}
