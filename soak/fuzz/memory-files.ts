/** Files and directories in memory without any of what a device does: for decoders that read from files. */
import { type FileLock, type IoBackend, type IoFile, PagewrightError } from '@pagewright/core';

/** A file of a length, and without content, that does not grow. */
export class FixedFile implements IoFile {
  readonly path: string = '/store/fuzzed.pw';

  constructor(private readonly length: number) {}

  size(): number {
    return this.length;
  }
  async read(buffer: Uint8Array, offset: number): Promise<void> {
    this.readSync(buffer, offset);
  }
  readSync(_buffer: Uint8Array, _offset: number): void {
    throw unsupported();
  }
  async write(): Promise<void> {
    throw unsupported();
  }
  writeSync(): void {
    throw unsupported();
  }
  async sync(): Promise<void> {}
  syncSync(): void {}
  async truncate(): Promise<void> {
    throw unsupported();
  }
  truncateSync(): void {
    throw unsupported();
  }
  async allocate(): Promise<void> {
    throw unsupported();
  }
  allocateSync(): void {
    throw unsupported();
  }
  async submit(): Promise<void> {
    throw unsupported();
  }
  submitSync(): void {
    throw unsupported();
  }
  async lock(): Promise<FileLock> {
    throw unsupported();
  }
  async close(): Promise<void> {}
}

class BytesFile extends FixedFile {
  constructor(
    override readonly path: string,
    private readonly bytes: Uint8Array,
    private readonly reads: ReadBudget,
  ) {
    super(bytes.length);
  }

  override readSync(buffer: Uint8Array, offset: number): void {
    this.reads.spend();
    if (!(offset >= 0 && offset + buffer.length <= this.bytes.length)) {
      throw new PagewrightError('PW_IO', `${this.path}: a read beyond the end`, {
        details: { errno: 'EOF', path: this.path, offset },
      });
    }
    buffer.set(this.bytes.subarray(offset, offset + buffer.length));
  }
}

class ReadBudget {
  constructor(private left: number) {}

  spend(): void {
    if (--this.left < 0) throw new Error('it reads more often than it may: it goes round and round');
  }
}

/** Files that are read and nothing else, of one directory, so many times in all. */
export class BytesOnly implements IoBackend {
  readonly name = 'bytes';
  readonly #reads: ReadBudget;

  constructor(
    private readonly files: ReadonlyMap<string, Uint8Array>,
    mostReads: number,
  ) {
    this.#reads = new ReadBudget(mostReads);
  }

  probe(): { supported: boolean } {
    return { supported: true };
  }
  async open(path: string): Promise<IoFile> {
    return this.openSync(path);
  }
  openSync(path: string): IoFile {
    this.#reads.spend();
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new PagewrightError('PW_NOT_FOUND', `${path} does not exist`);
    return new BytesFile(path, bytes, this.#reads);
  }
  async exists(path: string): Promise<boolean> {
    return this.files.has(path);
  }
  async list(directory: string): Promise<string[]> {
    return [...this.files.keys()].map((path) => path.slice(directory.length + 1));
  }
  async makeDirectory(): Promise<void> {}
  async remove(): Promise<void> {
    throw unsupported();
  }
  async removeDirectory(): Promise<void> {
    throw unsupported();
  }
  async rename(): Promise<void> {
    throw unsupported();
  }
  async syncDirectory(): Promise<void> {}
}

function unsupported(): PagewrightError {
  return new PagewrightError('PW_UNSUPPORTED', 'This file is only there to be read.');
}
