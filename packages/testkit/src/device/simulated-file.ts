/**
 * An open file of the simulated device. Arguments are checked here, before anything is counted as an operation of the
 * disk; what then happens, and when, is the device's business.
 */
import { type FileLock, type IoFile, type IoOperation, PagewrightError, type ReaderPin } from '@pagewright/core';
import { type Deed, ioError } from './operation.js';
import type { Origin, StoredFile } from './stored-file.js';
import { type Medium, Transfer } from './transfer.js';

/** The device, as an open file knows it. */
export interface Disk extends Medium {
  /** Whether operations overtake each other. */
  readonly scheduled: boolean;
  perform(deed: Deed): Promise<void>;
  performInPlace(deed: Deed): void;
  /** Whether a sync that is under way covers one more thing that was written meanwhile. */
  alsoCovers(): boolean;
  /** Told of each sync that has covered what it should, or has met a failed write-back. */
  syncEnded(covered: boolean): void;
  /** @throws PW_LOCKED */
  lock(path: string, file: StoredFile): FileLock;
  /** @throws PW_PERMISSION if the device says so */
  publishPin(path: string, file: StoredFile, text: string): ReaderPin;
  pins(path: string, file: StoredFile): string[];
}

export class SimulatedFile implements IoFile {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: StoredFile;
  readonly #readOnly: boolean;
  readonly #inFlight = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #lock: FileLock | undefined;
  #toldWriteBacks: number;

  constructor(disk: Disk, path: string, file: StoredFile, readOnly: boolean) {
    this.path = path;
    this.#disk = disk;
    this.#file = file;
    this.#readOnly = readOnly;
    this.#toldWriteBacks = file.failedWriteBacks;
  }

  size(): number {
    this.#assertOpen('measure');
    return this.#file.size;
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#track(() => this.#perform(this.#transfer('read', buffer, offset)));
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.#performInPlace(this.#transfer('read', buffer, offset));
  }

  write(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#track(() => this.#perform(this.#transfer('write', buffer, offset)));
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    this.#performInPlace(this.#transfer('write', buffer, offset));
  }

  sync(): Promise<void> {
    return this.#track(() => {
      this.#assertOpen('sync');
      return this.#disk.perform(this.#syncing());
    });
  }

  syncSync(): void {
    this.#assertOpen('sync');
    this.#disk.performInPlace(this.#syncing());
  }

  /** Nothing of it is durable by that; a write-back that has failed is told of once, to whoever asks first. */
  async writeBack(offset: number, length: number): Promise<boolean> {
    await this.#track(() => this.#disk.perform(this.#writingBack(offset, length)));
    return true;
  }

  truncate(size: number): Promise<void> {
    return this.#track(() => this.#disk.perform(this.#truncating(size)));
  }

  truncateSync(size: number): void {
    this.#disk.performInPlace(this.#truncating(size));
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#track(() => this.#disk.perform(this.#allocating(offset, length)));
  }

  allocateSync(offset: number, length: number): void {
    this.#disk.performInPlace(this.#allocating(offset, length));
  }

  submit(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): Promise<void> {
    return this.#track(async () => {
      this.#assertOpen('submit');
      const transfers = operations.map(({ kind, buffer, offset }) => this.#transfer(kind, buffer, offset));
      if (this.#disk.scheduled) await allOf(transfers.map((transfer) => this.#perform(transfer)));
      else for (const transfer of transfers) await this.#perform(transfer);
      if (options.sync === true) await this.#disk.perform(this.#syncing(writesAmong(transfers)));
    });
  }

  submitSync(operations: readonly IoOperation[], options: { readonly sync?: boolean } = {}): void {
    this.#assertOpen('submit');
    const transfers = operations.map(({ kind, buffer, offset }) => this.#transfer(kind, buffer, offset));
    for (const transfer of transfers) this.#performInPlace(transfer);
    if (options.sync === true) this.#disk.performInPlace(this.#syncing(writesAmong(transfers)));
  }

  async lock(): Promise<FileLock> {
    this.#assertOpen('lock');
    this.#lock = this.#disk.lock(this.path, this.#file);
    return this.#lock;
  }

  async publishPin(text: string): Promise<ReaderPin> {
    this.#assertOpen('publish what is read of');
    return this.#disk.publishPin(this.path, this.#file, text);
  }

  async pins(): Promise<readonly string[]> {
    this.#assertOpen('look for readers of');
    return this.#disk.pins(this.path, this.#file);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeWhenIdle();
    return this.#closing;
  }

  async #closeWhenIdle(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    await this.#lock?.release();
  }

  /** Counts the operation as in flight. What it throws at once is rejected, too. */
  #track(start: () => Promise<void>): Promise<void> {
    const running = new Promise<void>((resolve) => resolve(start()));
    this.#inFlight.add(running);
    const over = (): boolean => this.#inFlight.delete(running);
    running.then(over, over);
    return running;
  }

  async #perform(transfer: Transfer): Promise<void> {
    if (transfer.length > 0) await this.#disk.perform(transfer);
  }

  #performInPlace(transfer: Transfer): void {
    if (transfer.length > 0) this.#disk.performInPlace(transfer);
  }

  #transfer(kind: 'read' | 'write', buffer: Uint8Array, offset: number): Transfer {
    if (kind === 'write') this.#assertChange(kind, offset, buffer.length);
    else this.#assertRange(kind, offset, buffer.length);
    return new Transfer(this.#disk, { kind, path: this.path, file: this.#file, buffer, offset });
  }

  #truncating(size: number): Deed {
    this.#assertChange('truncate', size, 0);
    const origin: Origin = { ended: Number.POSITIVE_INFINITY };
    return {
      kind: 'truncate',
      path: this.path,
      offset: size,
      changes: true,
      happen: () => this.#file.resize(size, origin),
      end: () => {
        origin.ended = this.#disk.tick();
      },
    };
  }

  #allocating(offset: number, length: number): Deed {
    this.#assertChange('allocate', offset, length);
    const origin: Origin = { ended: Number.POSITIVE_INFINITY };
    return {
      kind: 'allocate',
      path: this.path,
      offset,
      changes: true,
      happen: () => {
        const more = offset + length - this.#file.size;
        if (more <= 0) return;
        this.#disk.assertRoom(this.path, offset, more);
        this.#file.resize(offset + length, origin);
      },
      end: () => {
        origin.ended = this.#disk.tick();
      },
    };
  }

  /** Of the whole file, or of these transfers and the file's size. */
  #syncing(of?: readonly Transfer[]): Deed {
    // Without a schedule nothing happens while a sync is under way, but for what a test holds back: it covers that, too.
    const issued = this.#disk.scheduled ? this.#disk.tick() : Number.POSITIVE_INFINITY;
    return {
      kind: 'sync',
      path: this.path,
      changes: false,
      happen: () => {
        this.#tellOfWriteBacks();
        this.#file.sync(issued, () => this.#disk.alsoCovers(), of);
        this.#disk.syncEnded(true);
      },
    };
  }

  #writingBack(offset: number, length: number): Deed {
    this.#assertChange('write back', offset, length);
    return {
      kind: 'write-back',
      path: this.path,
      offset,
      length,
      changes: false,
      happen: () => this.#tellOfWriteBacks(),
    };
  }

  /** @throws PW_IO once for all that have failed since this file was opened, or told so */
  #tellOfWriteBacks(): void {
    if (this.#toldWriteBacks >= this.#file.failedWriteBacks) return;
    this.#toldWriteBacks = this.#file.failedWriteBacks;
    this.#disk.syncEnded(false);
    throw ioError('EIO', this.path, 'a write-back has failed');
  }

  #assertOpen(operation: string): void {
    if (this.#closing === undefined) return;
    throw new PagewrightError('PW_CLOSED', `Cannot ${operation} ${this.path}: the file was closed.`, {
      details: { errno: 'EBADF', path: this.path },
    });
  }

  #assertRange(operation: string, offset: number, length: number): void {
    this.#assertOpen(operation);
    if (Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(offset + length) && length >= 0) return;
    throw new PagewrightError('PW_ARGUMENT', `Cannot ${operation} ${length} bytes of ${this.path} at ${offset}.`, {
      details: { path: this.path, offset, length },
    });
  }

  #assertChange(operation: string, offset: number, length: number): void {
    this.#assertRange(operation, offset, length);
    if (!this.#readOnly) return;
    throw new PagewrightError('PW_READ_ONLY', `Cannot ${operation} ${this.path}: it was opened read-only.`, {
      details: { errno: 'EBADF', path: this.path, offset },
    });
  }
}

function writesAmong(transfers: readonly Transfer[]): Transfer[] {
  return transfers.filter(({ kind }) => kind === 'write');
}

/** Waits for all of them, also if one has failed: until then their buffers are in use. */
async function allOf(running: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(running);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
