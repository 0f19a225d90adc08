/**
 * An open file, whatever moves its bytes. Arguments are checked here, once, before anything is transferred; what is below ({@link FileCalls})
 * trusts them. A file is closed only when no operation uses it any more, so that the number of its descriptor cannot name another one.
 */
import {
  type AllocateOptions,
  type FileLock,
  type IoFile,
  type IoOperation,
  PagewrightError,
  type ReaderPin,
} from '@pagewright/core/contracts';
import { closed, readOnly, shown, wrongArgument } from './fault.js';
import { type Done, type FileCalls, NotDurable } from './file-calls.js';
import { acquireLock, joinLock } from './lock.js';
import { livingPins, publishPin } from './reader-pins.js';

/** What an open file is told by the backend that opened it. */
export interface FileSettings {
  readonly readOnly: boolean;
}

/** A file that a backend on this package opened. */
export class OpenFile<Calls extends FileCalls = FileCalls> implements IoFile {
  readonly path: string;
  /** The descriptor. */
  readonly fd: number;
  /** What moves its bytes. */
  protected readonly calls: Calls;
  readonly #isReadOnly: boolean;
  #inFlight = 0;
  #closing: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;
  #lock: FileLock | undefined;
  /** The first sync that failed. The system has dropped what it could not write, so no later sync may succeed (IO1). */
  #syncFailure: PagewrightError | undefined;

  constructor(calls: Calls, settings: FileSettings) {
    this.fd = calls.fd;
    this.path = calls.path;
    this.calls = calls;
    this.#isReadOnly = settings.readOnly;
  }

  size(): number {
    this.#assertOpen('measure');
    return this.calls.size();
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#transfer({ kind: 'read', buffer, offset });
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.#transferSync({ kind: 'read', buffer, offset });
  }

  write(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#transfer({ kind: 'write', buffer, offset });
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    this.#transferSync({ kind: 'write', buffer, offset });
  }

  sync(): Promise<void> {
    return this.#track((done) => {
      this.#assertOpen('sync');
      this.#assertSyncable();
      this.calls.sync(this.#durably(done));
    });
  }

  syncSync(): void {
    this.#assertOpen('sync');
    this.#assertSyncable();
    this.#durablySync(() => this.calls.syncSync());
  }

  async writeBack(offset: number, length: number): Promise<boolean> {
    let isBack = false;
    await this.#track((done) => {
      this.#assertChange('write back', offset, length);
      this.#assertSyncable();
      if (this.calls.writeBack === undefined || length === 0) {
        isBack = this.calls.writeBack !== undefined;
        done(null);
        return;
      }
      const durably = this.#durably(done);
      this.calls.writeBack(offset, length, (error, isDone) => {
        isBack = isDone;
        durably(error);
      });
    });
    return isBack;
  }

  truncate(size: number): Promise<void> {
    return this.#track((done) => {
      this.#assertChange('truncate', size, 0);
      this.calls.truncate(size, done);
    });
  }

  truncateSync(size: number): void {
    this.#assertChange('truncate', size, 0);
    this.calls.truncateSync(size);
  }

  allocate(offset: number, length: number, options: AllocateOptions = {}): Promise<void> {
    return this.#track((done) => {
      const writeZeros = this.#choice('allocate', options, 'writeZeros') ?? true;
      this.#assertChange('allocate', offset, length);
      this.calls.allocate(offset, length, writeZeros, done);
    });
  }

  allocateSync(offset: number, length: number, options: AllocateOptions = {}): void {
    const writeZeros = this.#choice('allocate', options, 'writeZeros') ?? true;
    this.#assertChange('allocate', offset, length);
    this.calls.allocateSync(offset, length, writeZeros);
  }

  submit(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): Promise<void> {
    return this.#track((done) => {
      const sync = this.#choice('submit', options, 'sync') ?? false;
      this.#assertBatch(operations, sync);
      this.calls.submit(operations, sync, sync ? this.#durably(done) : done);
    });
  }

  submitSync(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): void {
    const sync = this.#choice('submit', options, 'sync') ?? false;
    this.#assertBatch(operations, sync);
    if (sync) this.#durablySync(() => this.calls.submitSync(operations, true));
    else this.calls.submitSync(operations, false);
  }

  /** Also of a file that is open read-only: it keeps others from writing. The directory must be writable. */
  async lock(): Promise<FileLock> {
    return await this.#tracked('lock', async () => {
      this.#lock = await acquireLock(this, this.calls.kernelLocks);
      return this.#lock;
    });
  }

  /** On Linux a holder that has ended is told from one that lives, within a process; elsewhere it holds until the process ends, joined or not. */
  async joinLock(name: string): Promise<FileLock> {
    return await this.#tracked('lock', async () => {
      this.#lock = await joinLock(this, name, this.calls.kernelLocks);
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

  /** @throws PW_CLOSED, PW_ARGUMENT */
  protected assertPlace(operation: string, offset: number, length: number): void {
    this.#assertOpen(operation);
    this.#assertRange(operation, offset, length);
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    try {
      await new Promise<void>((resolve, reject) => {
        this.calls.close((error) => (error ? reject(error) : resolve()));
      });
    } finally {
      await this.#lock?.release();
    }
  }

  #transfer(operation: IoOperation): Promise<void> {
    return this.#track((done) => {
      this.#assertTransfer(operation);
      if (operation.buffer.length === 0) done(null);
      else this.calls.transfer(operation, done);
    });
  }

  #transferSync(operation: IoOperation): void {
    this.#assertTransfer(operation);
    if (operation.buffer.length > 0) this.calls.transferSync(operation);
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
        done(this.#noted(error));
      }
    });
  }

  /** Notes a sync that failed. One that goes well beside it may have been told of success for what the other has lost. */
  #durably(done: Done): Done {
    return (error) => {
      if (error) done(this.#noted(error));
      else done(this.#syncFailure === undefined ? null : this.#refusal(this.#syncFailure));
    };
  }

  #durablySync(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw this.#noted(error);
    }
    this.#assertSyncable();
  }

  #noted(error: unknown): unknown {
    if (!(error instanceof NotDurable)) return error;
    this.#syncFailure ??= error.fault;
    return error.fault;
  }

  #assertSyncable(): void {
    if (this.#syncFailure !== undefined) throw this.#refusal(this.#syncFailure);
  }

  #refusal(failure: PagewrightError): PagewrightError {
    return new PagewrightError(
      'PW_IO',
      `Cannot sync ${this.path}: an earlier sync failed (${String(failure.details.errno)}), and what it should have made durable may be lost. Close the file, and recover from what is known to be durable.`,
      { cause: failure, details: { errno: failure.details.errno, operation: 'sync', path: this.path } },
    );
  }

  #assertOpen(operation: string): void {
    if (this.#closing !== undefined) throw closed(operation, this.path);
  }

  #assertTransfer({ kind, buffer, offset }: IoOperation): void {
    // A view as well: an object that only inherits from one has no length to ask for.
    if (!(buffer instanceof Uint8Array && ArrayBuffer.isView(buffer))) {
      throw wrongArgument('the buffer must be a Uint8Array.', { operation: kind, path: this.path, offset });
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
    if (this.#isReadOnly) throw readOnly(operation, this.path, offset);
  }

  /** Not left to `node:fs`: a negative or fractional offset would there mean "wherever the descriptor stands". */
  #assertRange(operation: string, offset: number, length: number): void {
    const areWhole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
    if (areWhole && offset >= 0 && length >= 0 && Number.isSafeInteger(offset + length)) return;
    throw new PagewrightError(
      'PW_ARGUMENT',
      `Cannot ${operation} ${this.path}: offset ${shown(offset)} and length ${shown(length)} must be whole numbers, zero or more, and end below 2^53.`,
      { details: { operation, path: this.path, offset, length } },
    );
  }

  /** What was chosen, if anything. Only true and false are taken: a sync that is left out for a slip would not be missed before it is needed. */
  #choice<Name extends string>(
    operation: string,
    options: { readonly [name in Name]?: boolean },
    name: Name,
  ): boolean | undefined {
    const attempt = { operation, path: this.path };
    if (typeof options !== 'object' || options === null) throw wrongArgument('the options must be an object.', attempt);
    const chosen = options[name];
    if (chosen === undefined || typeof chosen === 'boolean') return chosen;
    throw wrongArgument(`${name} is ${shown(chosen)}; it must be true or false.`, attempt);
  }

  #assertBatch(operations: readonly IoOperation[], sync: boolean): void {
    this.#assertOpen('submit');
    const attempt = { operation: 'submit', path: this.path };
    if (!Array.isArray(operations)) throw wrongArgument('the operations must be an array.', attempt);
    for (const operation of operations as readonly IoOperation[]) {
      if (typeof operation !== 'object' || operation === null) {
        throw wrongArgument(`${shown(operation)} is no operation.`, attempt);
      }
      const { kind, offset } = operation;
      if (kind !== 'read' && kind !== 'write') {
        throw wrongArgument(`${shown(kind)} is neither read nor write.`, { ...attempt, offset });
      }
      this.#assertTransfer(operation);
    }
    if (sync) this.#assertSyncable();
  }
}
