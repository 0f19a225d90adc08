/**
 * An open file on `node:fs`. Arguments are checked here, once, before anything is transferred; below this file they are
 * trusted. A descriptor is closed only when no operation uses it any more, so that its number cannot name another file.
 */
import fs from 'node:fs';
import {
  type FileLock,
  type IoFile,
  type IoOperation,
  PagewrightError,
  type ReaderPin,
} from '@pagewright/core/contracts';
import { type DurableWrites, openDurableWrites } from './durable-writes.js';
import { closed, faultOf, readOnly } from './fault.js';
import { acquireLock, joinLock } from './lock.js';
import { livingPins, publishPin } from './reader-pins.js';
import { joinNeighbours, run, runSync } from './submission.js';
import { type Done, type Transfer, transfer, transferSync } from './transfer.js';
import { zeroFill, zeroFillSync } from './zero-fill.js';

/** What an open file is told by the backend that opened it. */
export interface FileSettings {
  readonly readOnly: boolean;
  /** Transfers of a batch that are in flight at a time. */
  readonly depth: number;
}

/** A file that {@link NodeFiles} opened. */
export class NodeFile implements IoFile {
  readonly path: string;
  /** The descriptor. */
  readonly fd: number;
  readonly #settings: FileSettings;
  #inFlight = 0;
  #closing: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;
  #lock: FileLock | undefined;
  /** Whose writes are durable when they are over; null where there is none. */
  #durable: DurableWrites | null | undefined;
  /** Tail of the queue of allocations: two at once would both extend the file. */
  #allocations: Promise<void> = Promise.resolve();
  /** The first sync that failed. The system has dropped what it could not write, so no later sync may succeed (IO1). */
  #syncFailure: PagewrightError | undefined;

  constructor(fd: number, path: string, settings: FileSettings) {
    this.fd = fd;
    this.path = path;
    this.#settings = settings;
  }

  size(): number {
    this.#assertOpen('measure');
    try {
      return fs.fstatSync(this.fd).size;
    } catch (error) {
      throw faultOf(error, { operation: 'measure', path: this.path });
    }
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#track((done) => {
      this.#assertTransfer('read', buffer, offset);
      if (buffer.length === 0) done(null);
      else transfer(this, { kind: 'read', offset, buffers: [buffer] }, done);
    });
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.#assertTransfer('read', buffer, offset);
    if (buffer.length > 0) transferSync(this, { kind: 'read', offset, buffers: [buffer] });
  }

  write(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#track((done) => {
      this.#assertTransfer('write', buffer, offset);
      if (buffer.length === 0) done(null);
      else transfer(this, { kind: 'write', offset, buffers: [buffer] }, done);
    });
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    this.#assertTransfer('write', buffer, offset);
    if (buffer.length > 0) transferSync(this, { kind: 'write', offset, buffers: [buffer] });
  }

  sync(): Promise<void> {
    return this.#track((done) => {
      this.#assertOpen('sync');
      this.#syncThen(done);
    });
  }

  syncSync(): void {
    this.#assertOpen('sync');
    this.#assertSyncable();
    try {
      fs.fdatasyncSync(this.fd);
    } catch (error) {
      throw this.#syncFailed(error);
    }
  }

  truncate(size: number): Promise<void> {
    return this.#track((done) => {
      this.#assertChange('truncate', size, 0);
      fs.ftruncate(this.fd, size, (error) => done(error && this.#truncateFailed(error, size)));
    });
  }

  truncateSync(size: number): void {
    this.#assertChange('truncate', size, 0);
    try {
      fs.ftruncateSync(this.fd, size);
    } catch (error) {
      throw this.#truncateFailed(error, size);
    }
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#track((done) => {
      this.#assertChange('allocate', offset, length);
      const filled = this.#allocations.then(() => zeroFill(this, offset + length));
      this.#allocations = filled.catch(() => {});
      filled.then(() => done(null), done);
    });
  }

  allocateSync(offset: number, length: number): void {
    this.#assertChange('allocate', offset, length);
    zeroFillSync(this, offset + length);
  }

  submit(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): Promise<void> {
    return this.#track((done) => {
      const sync = options.sync === true;
      this.#assertBatch(operations, sync);
      const transfers = joinNeighbours(operations);
      const durable = sync ? this.#durableFor(transfers) : null;
      if (durable !== null) {
        transfer(durable, transfers[0]!, (error) => done(error && this.#syncFailed(error)));
        return;
      }
      run(this, transfers, this.#settings.depth, (error) => {
        if (error !== null || !sync) done(error);
        else this.#syncThen(done);
      });
    });
  }

  submitSync(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): void {
    const sync = options.sync === true;
    this.#assertBatch(operations, sync);
    const transfers = joinNeighbours(operations);
    const durable = sync ? this.#durableFor(transfers) : null;
    if (durable === null) {
      runSync(this, transfers);
      if (sync) this.syncSync();
      return;
    }
    try {
      transferSync(durable, transfers[0]!);
    } catch (error) {
      throw this.#syncFailed(error);
    }
  }

  /** Also of a file that is open read-only: it keeps others from writing. The directory must be writable. */
  async lock(): Promise<FileLock> {
    return await this.#tracked('lock', async () => {
      this.#lock = await acquireLock(this);
      return this.#lock;
    });
  }

  /** On Linux a holder that has ended is told from one that lives, within a process; elsewhere it holds until the process ends, joined or not. */
  async joinLock(name: string): Promise<FileLock> {
    return await this.#tracked('lock', async () => {
      this.#lock = await joinLock(this, name);
      return this.#lock;
    });
  }

  /** In a directory beside the file, which must be writable, or be there already and writable. */
  async publishPin(text: string): Promise<ReaderPin> {
    return await this.#tracked('publish what is read of', () => publishPin(this, text));
  }

  async pins(): Promise<readonly string[]> {
    return await this.#tracked('look for readers of', () => livingPins(this));
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle();
    return this.#closing;
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    try {
      await new Promise<void>((resolve, reject) => {
        fs.close(this.fd, (error) => (error ? reject(error) : resolve()));
      });
    } catch (error) {
      throw faultOf(error, { operation: 'close', path: this.path });
    } finally {
      this.#durable?.close();
      await this.#lock?.release();
    }
  }

  /** By what one write alone is durable as soon as it is over, if the system has that: one call instead of two. */
  #durableFor(transfers: readonly Transfer[]): DurableWrites | null {
    if (transfers.length !== 1 || transfers[0]!.kind !== 'write') return null;
    if (this.#durable === undefined) this.#durable = openDurableWrites(this);
    return this.#durable;
  }

  /** Counted as in flight as {@link #track} does. */
  async #tracked<Result>(operation: string, work: () => Promise<Result>): Promise<Result> {
    let result: Result | undefined;
    await this.#track((done) => {
      this.#assertOpen(operation);
      work().then((made) => {
        result = made;
        done(null);
      }, done);
    });
    return result as Result;
  }

  /** One promise for an operation, counted while it is in flight. */
  #track(start: (done: Done) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#inFlight++;
      const done = (error: unknown): void => {
        this.#inFlight--;
        if (this.#inFlight === 0) this.#whenIdle?.();
        if (error) reject(error);
        else resolve();
      };
      try {
        start(done);
      } catch (error) {
        done(error);
      }
    });
  }

  /** Calls back with the error, never throws it: it runs in callbacks, too. */
  #syncThen(done: Done): void {
    try {
      this.#assertSyncable();
      fs.fdatasync(this.fd, (error) => done(error && this.#syncFailed(error)));
    } catch (error) {
      done(error);
    }
  }

  #syncFailed(error: unknown): PagewrightError {
    const failure = faultOf(error, { operation: 'sync', path: this.path });
    this.#syncFailure ??= failure;
    return failure;
  }

  #truncateFailed(error: unknown, size: number): PagewrightError {
    return faultOf(error, { operation: 'truncate', path: this.path, offset: size });
  }

  #assertSyncable(): void {
    const failure = this.#syncFailure;
    if (failure === undefined) return;
    throw new PagewrightError(
      'PW_IO',
      `Cannot sync ${this.path}: an earlier sync failed (${String(failure.details.errno)}), and what it should have made durable may be lost. Close the file, and recover from what is known to be durable.`,
      { cause: failure, details: { errno: failure.details.errno, operation: 'sync', path: this.path } },
    );
  }

  #assertOpen(operation: string): void {
    if (this.#closing !== undefined) throw closed(operation, this.path);
  }

  #assertTransfer(kind: 'read' | 'write', buffer: Uint8Array, offset: number): void {
    if (!(buffer instanceof Uint8Array)) {
      throw new PagewrightError('PW_ARGUMENT', `Cannot ${kind} ${this.path}: the buffer must be a Uint8Array.`, {
        details: { operation: kind, path: this.path, offset },
      });
    }
    if (kind === 'write') this.#assertChange(kind, offset, buffer.length);
    else {
      this.#assertOpen(kind);
      this.#assertRange(kind, offset, buffer.length);
    }
  }

  #assertChange(operation: string, offset: number, length: number): void {
    this.#assertOpen(operation);
    this.#assertRange(operation, offset, length);
    if (this.#settings.readOnly) throw readOnly(operation, this.path, offset);
  }

  /** Not left to `node:fs`: a negative or fractional offset would there mean "wherever the descriptor stands". */
  #assertRange(operation: string, offset: number, length: number): void {
    if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(offset + length) && length >= 0) return;
    throw new PagewrightError(
      'PW_ARGUMENT',
      `Cannot ${operation} ${this.path}: offset ${offset} and length ${length} must be whole numbers, zero or more, and end below 2^53.`,
      { details: { operation, path: this.path, offset, length } },
    );
  }

  #assertBatch(operations: readonly IoOperation[], sync: boolean): void {
    this.#assertOpen('submit');
    for (const { kind, buffer, offset } of operations) {
      if (kind !== 'read' && kind !== 'write') {
        throw new PagewrightError(
          'PW_ARGUMENT',
          `Cannot submit to ${this.path}: '${kind}' is neither read nor write.`,
          {
            details: { operation: 'submit', path: this.path, offset },
          },
        );
      }
      this.#assertTransfer(kind, buffer, offset);
    }
    if (sync) this.#assertSyncable();
  }
}
