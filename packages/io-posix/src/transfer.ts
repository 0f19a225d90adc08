/**
 * Reads and writes that are whole when they return: a short transfer is continued, an interrupted one repeated. The
 * buffers may lie in shared memory: `node:fs` hands their address to the system call and never decodes them.
 */
import fs from 'node:fs';
import { endOfFile, faultOf, isTransient, noProgress, wrongArgument } from './fault.js';

/** Bytes that follow one another in the file, in one buffer or in several. */
export interface Transfer {
  readonly kind: 'read' | 'write';
  /** In bytes from the beginning of the file. */
  readonly offset: number;
  /** None of them empty. */
  readonly buffers: readonly Uint8Array[];
}

/** Where a transfer goes. */
export interface Target {
  readonly fd: number;
  readonly path: string;
}

/** Called once, with what went wrong or with nothing. */
export type Done = (error: unknown) => void;

/** No call asks for more: the length of a system call has 31 bits. */
const LARGEST_CALL = 1 << 30;

/** Interruptions in a row without a byte moved after which the file is taken to be broken. */
const MOST_RETRIES = 1000;

const NOTHING: readonly Uint8Array[] = [];

/** Transfers all of it now. @throws PW_IO, PW_FULL, PW_PERMISSION */
export function transferSync(target: Target, transfer: Transfer): void {
  const rest = new Remainder(target, transfer);
  while (!rest.finished) {
    let moved = 0;
    try {
      moved = callSync(target.fd, transfer.kind, rest);
    } catch (error) {
      rest.interrupted(error);
      continue;
    }
    rest.advance(moved);
  }
}

/** Transfers all of it on libuv's threads, and calls `done` from the event loop. */
export function transfer(target: Target, transfer: Transfer, done: Done): void {
  const rest = new Remainder(target, transfer);
  const ended = (error: unknown, moved: number): void => {
    let failure: unknown = null;
    try {
      if (error) rest.interrupted(error);
      else rest.advance(moved);
      if (!rest.finished) {
        call(target.fd, transfer.kind, rest, ended);
        return;
      }
    } catch (fault) {
      failure = fault;
    }
    done(failure);
  };
  call(target.fd, transfer.kind, rest, ended);
}

/** What is left of a transfer. */
class Remainder {
  buffers: readonly Uint8Array[];
  offset: number;
  private readonly target: Target;
  private readonly kind: 'read' | 'write';
  /** Bytes of the buffers, as long as nobody makes them shorter. */
  private left: number;
  private retries = 0;

  constructor(target: Target, transfer: Transfer) {
    this.target = target;
    this.kind = transfer.kind;
    this.buffers = transfer.buffers;
    this.offset = transfer.offset;
    this.left = bytesOf(transfer.buffers);
  }

  get finished(): boolean {
    return this.buffers.length === 0;
  }

  advance(moved: number): void {
    this.assertWhole();
    if (moved === 0) {
      if (this.kind === 'read') throw endOfFile(this.target.path, this.offset);
      throw noProgress({ operation: 'write', path: this.target.path, offset: this.offset });
    }
    if (this.buffers.length === 1 && moved === this.buffers[0]!.length) {
      this.buffers = NOTHING; // nearly always
      return;
    }
    this.retries = 0;
    this.offset += moved;
    this.left -= moved;
    let whole = 0;
    let left = moved;
    while (whole < this.buffers.length && left >= this.buffers[whole]!.length) {
      left -= this.buffers[whole]!.length;
      whole++;
    }
    if (whole > 0) this.buffers = this.buffers.slice(whole);
    if (left > 0) this.buffers = [this.buffers[0]!.subarray(left), ...this.buffers.slice(1)];
  }

  /** What a buffer has lost is not told from what was transferred. */
  private assertWhole(): void {
    if (bytesOf(this.buffers) >= this.left) return;
    throw wrongArgument('a buffer was detached, or made shorter, while it was in use.', {
      operation: this.kind,
      path: this.target.path,
      offset: this.offset,
    });
  }

  interrupted(error: unknown): void {
    const attempt = { operation: this.kind, path: this.target.path, offset: this.offset };
    if (!isTransient(error)) throw faultOf(error, attempt);
    this.retries++;
    if (this.retries > MOST_RETRIES) throw noProgress(attempt, error);
  }
}

function bytesOf(buffers: readonly Uint8Array[]): number {
  if (buffers.length === 1) return buffers[0]!.length; // nearly always
  let bytes = 0;
  for (const buffer of buffers) bytes += buffer.length;
  return bytes;
}

function callSync(fd: number, kind: 'read' | 'write', rest: Remainder): number {
  const { buffers, offset } = rest;
  if (buffers.length > 1) {
    return kind === 'read' ? fs.readvSync(fd, buffers, offset) : fs.writevSync(fd, buffers, offset);
  }
  const buffer = buffers[0]!;
  const length = Math.min(buffer.length, LARGEST_CALL);
  return kind === 'read' ? fs.readSync(fd, buffer, 0, length, offset) : fs.writeSync(fd, buffer, 0, length, offset);
}

function call(
  fd: number,
  kind: 'read' | 'write',
  rest: Remainder,
  ended: (error: unknown, moved: number) => void,
): void {
  const { buffers, offset } = rest;
  if (buffers.length > 1) {
    if (kind === 'read') fs.readv(fd, buffers, offset, ended);
    else fs.writev(fd, buffers, offset, ended);
    return;
  }
  const buffer = buffers[0]!;
  const length = Math.min(buffer.length, LARGEST_CALL);
  if (kind === 'read') fs.read(fd, buffer, 0, length, offset, ended);
  else fs.write(fd, buffer, 0, length, offset, ended);
}
