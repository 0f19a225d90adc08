/** An I/O backend in front of another one, whose writes and syncs can be made to fail: in general, or in one file. */
import {
  type AllocateOptions,
  type IoBackend,
  type IoFile,
  type IoOperation,
  type OpenFlags,
  PagewrightError,
} from '../../src/index.js';

type Kind = 'read' | 'write' | 'sync' | 'allocate';

interface Fault {
  readonly kind: Kind;
  readonly of: (path: string) => boolean;
  readonly code: 'PW_IO' | 'PW_FULL';
  /** Calls that go through before the fault. */
  after: number;
}

export class FailingFiles implements IoBackend {
  readonly name = 'failing';
  held: Promise<void> = Promise.resolve();
  private faults: Fault[] = [];

  constructor(private readonly inner: IoBackend) {}

  /** From now on such calls fail, once `after` of them have gone through. */
  fail(kind: Kind, options: { of?: 'log' | 'pages'; code?: 'PW_IO' | 'PW_FULL'; after?: number } = {}): void {
    const { of, code = 'PW_IO', after = 0 } = options;
    const matches = (path: string): boolean => of === undefined || path.includes('-wal') === (of === 'log');
    this.faults.push({ kind, of: matches, code, after });
  }

  heal(): void {
    this.faults = [];
  }

  /** Asynchronous reads of pages wait until the function that is returned is called. */
  holdReads(): () => void {
    let release = (): void => {};
    this.held = new Promise<void>((resolve) => {
      release = resolve;
    });
    return release;
  }

  check(kind: Kind, path: string): void {
    for (const fault of this.faults) {
      if (fault.kind !== kind || !fault.of(path)) continue;
      if (fault.after-- > 0) continue;
      throw new PagewrightError(fault.code, `The test made ${kind} fail.`, { details: { path, errno: 'ETEST' } });
    }
  }

  probe() {
    return this.inner.probe();
  }

  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    return new FailingFile(this, await this.inner.open(path, flags));
  }

  openSync(path: string, flags: OpenFlags): IoFile {
    return new FailingFile(this, this.inner.openSync(path, flags));
  }

  exists(path: string): Promise<boolean> {
    return this.inner.exists(path);
  }

  list(directory: string): Promise<string[]> {
    return this.inner.list(directory);
  }

  makeDirectory(directory: string): Promise<void> {
    return this.inner.makeDirectory(directory);
  }

  remove(path: string): Promise<void> {
    return this.inner.remove(path);
  }

  removeDirectory(directory: string): Promise<void> {
    return this.inner.removeDirectory(directory);
  }

  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }

  syncDirectory(directory: string): Promise<void> {
    return this.inner.syncDirectory(directory);
  }
}

class FailingFile implements IoFile {
  constructor(
    private readonly files: FailingFiles,
    private readonly inner: IoFile,
  ) {}

  get path(): string {
    return this.inner.path;
  }

  size(): number {
    return this.inner.size();
  }

  async read(buffer: Uint8Array, offset: number): Promise<void> {
    this.files.check('read', this.path);
    await this.files.held;
    await this.inner.read(buffer, offset);
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.files.check('read', this.path);
    this.inner.readSync(buffer, offset);
  }

  async write(buffer: Uint8Array, offset: number): Promise<void> {
    this.files.check('write', this.path);
    await this.inner.write(buffer, offset);
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    this.files.check('write', this.path);
    this.inner.writeSync(buffer, offset);
  }

  async sync(): Promise<void> {
    this.files.check('sync', this.path);
    await this.inner.sync();
  }

  syncSync(): void {
    this.files.check('sync', this.path);
    this.inner.syncSync();
  }

  truncate(size: number): Promise<void> {
    return this.inner.truncate(size);
  }

  truncateSync(size: number): void {
    this.inner.truncateSync(size);
  }

  async allocate(offset: number, length: number, options?: AllocateOptions): Promise<void> {
    this.files.check('allocate', this.path);
    await this.inner.allocate(offset, length, options);
  }

  allocateSync(offset: number, length: number, options?: AllocateOptions): void {
    this.files.check('allocate', this.path);
    this.inner.allocateSync(offset, length, options);
  }

  async submit(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): Promise<void> {
    this.checkAll(operations, options);
    await this.inner.submit(operations, options);
  }

  submitSync(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): void {
    this.checkAll(operations, options);
    this.inner.submitSync(operations, options);
  }

  lock() {
    return this.inner.lock();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private checkAll(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): void {
    for (const operation of operations) this.files.check(operation.kind, this.path);
    if (options?.sync === true) this.files.check('sync', this.path);
  }
}
