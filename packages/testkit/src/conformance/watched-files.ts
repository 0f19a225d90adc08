/**
 * Passes all I/O on to a simulated device and keeps account of it: which bytes were written, in which order, and what was
 * synced in between. It also sees to it that a file is locked by one holder.
 */
import {
  type AllocateOptions,
  type FileLock,
  type IoBackend,
  type IoFile,
  type IoOperation,
  type OpenFlags,
  PagewrightError,
  type ReaderPin,
} from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';

export interface WatchedWrite {
  readonly path: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class WatchedFiles implements IoBackend {
  readonly name = 'watched';
  /** Since the last `forget`, oldest first. */
  readonly writes: WatchedWrite[] = [];
  /** Reads that blocked whoever asked. */
  readsInPlace = 0;
  /** Reads, each batch counted once. */
  readCalls = 0;
  /** Reads of so many pages or more fail: `PW_IO`. */
  refusesReadsOf = Number.POSITIVE_INFINITY;
  readonly locked = new Set<string>();

  constructor(readonly device: SimulatedDevice) {}

  forget(): void {
    this.writes.length = 0;
    this.readsInPlace = 0;
    this.readCalls = 0;
  }

  probe(): { readonly supported: boolean } {
    return { supported: true };
  }

  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    return new WatchedFile(this, await this.device.open(path, flags));
  }

  openSync(path: string, flags: OpenFlags): IoFile {
    return new WatchedFile(this, this.device.openSync(path, flags));
  }

  exists(path: string): Promise<boolean> {
    return this.device.exists(path);
  }

  list(directory: string): Promise<string[]> {
    return this.device.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.device.makeDirectory(directory);
  }

  remove(path: string): Promise<void> {
    return this.device.remove(path);
  }

  removeDirectory(directory: string): Promise<void> {
    return this.device.removeDirectory(directory);
  }

  rename(from: string, to: string): Promise<void> {
    return this.device.rename(from, to);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.device.syncDirectory(directory);
  }
}

class WatchedFile implements IoFile {
  readonly path: string;

  constructor(
    private readonly watch: WatchedFiles,
    private readonly file: IoFile,
  ) {
    this.path = file.path;
  }

  size(): number {
    return this.file.size();
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    this.#noteRead(1);
    return this.file.read(buffer, offset);
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.watch.readsInPlace++;
    this.#noteRead(1);
    this.file.readSync(buffer, offset);
  }

  write(buffer: Uint8Array, offset: number): Promise<void> {
    this.#note(buffer, offset);
    return this.file.write(buffer, offset);
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    this.#note(buffer, offset);
    this.file.writeSync(buffer, offset);
  }

  sync(): Promise<void> {
    return this.file.sync();
  }

  syncSync(): void {
    this.file.syncSync();
  }

  writeBack(offset: number, length: number): Promise<boolean> {
    if (this.file.writeBack === undefined) throw new Error('The device has no way to bring out a range');
    return this.file.writeBack(offset, length);
  }

  truncate(size: number): Promise<void> {
    return this.file.truncate(size);
  }

  truncateSync(size: number): void {
    this.file.truncateSync(size);
  }

  allocate(offset: number, length: number, options?: AllocateOptions): Promise<void> {
    return this.file.allocate(offset, length, options);
  }

  allocateSync(offset: number, length: number, options?: AllocateOptions): void {
    this.file.allocateSync(offset, length, options);
  }

  async submit(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): Promise<void> {
    this.#noteAll(operations);
    return this.file.submit(operations, options);
  }

  submitSync(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): void {
    this.#noteAll(operations);
    if (operations.some(({ kind }) => kind === 'read')) this.watch.readsInPlace++;
    this.file.submitSync(operations, options);
  }

  publishPin(text: string): Promise<ReaderPin> {
    if (this.file.publishPin === undefined) throw new Error('The device has no pins');
    return this.file.publishPin(text);
  }

  pins(): Promise<readonly string[]> {
    if (this.file.pins === undefined) throw new Error('The device has no pins');
    return this.file.pins();
  }

  async lock(): Promise<FileLock> {
    const { locked } = this.watch;
    if (locked.has(this.path)) {
      throw new PagewrightError('PW_LOCKED', `${this.path} is in use.`, { details: { path: this.path, pid: 0 } });
    }
    locked.add(this.path);
    return {
      release: async () => {
        locked.delete(this.path);
      },
    };
  }

  close(): Promise<void> {
    return this.file.close();
  }

  #noteAll(operations: readonly IoOperation[]): void {
    let reads = 0;
    for (const { kind, buffer, offset } of operations) {
      if (kind === 'write') this.#note(buffer, offset);
      else reads++;
    }
    if (reads > 0) this.#noteRead(reads);
  }

  #noteRead(buffers: number): void {
    this.watch.readCalls++;
    if (buffers < this.watch.refusesReadsOf) return;
    throw new PagewrightError('PW_IO', `Reads of ${this.path} were told to fail.`, { details: { path: this.path } });
  }

  #note(bytes: Uint8Array, offset: number): void {
    this.watch.writes.push({ path: this.path, offset, bytes: new Uint8Array(bytes) });
  }
}
