/**
 * The I/O contract: one seam for devices, memory, fault injection and simulation. Everything that Pagewright does to a
 * file system goes through it, so that a backend that loses power can be put in its place.
 *
 * Rules: IO1 a failed sync is never retried as if it had worked. IO2 buffers in flight belong to the process. IO3 no wait
 * needs any thread's event loop.
 */

/** How a file is opened. */
export interface OpenFlags {
  /** Create the file if it is missing. Default: false, and a missing file is `PW_NOT_FOUND`. */
  readonly create?: boolean;
  /** Open for reading alone. Writes are then `PW_READ_ONLY`. */
  readonly readOnly?: boolean;
}

/** How the blocks of an allocation are made ready. */
export interface AllocateOptions {
  /**
   * Whether new blocks are written, with zeros. Default: true, and a later write to them changes nothing that the file system has to note before a sync may return. With false they may be set aside
   * alone, which writes nothing twice: for what is synced seldom.
   */
  readonly writeZeros?: boolean;
}

/** One transfer of a batch. */
export interface IoOperation {
  readonly kind: 'read' | 'write';
  /** In bytes from the beginning of the file. */
  readonly offset: number;
  /** All of it is transferred. A view on private or on shared memory. */
  readonly buffer: Uint8Array;
}

/** Held on a file that is open for writing, by one holder in all processes of the machine. */
export interface FileLock {
  /** What other threads of the process join it by ({@link IoFile.joinLock}). Not there if its holder is a process, and no thread. */
  readonly name?: string;
  /** Idempotent. */
  release(): Promise<void>;
}

/** What a reader shows to the writer of a file, for as long as the reader lives. */
export interface ReaderPin {
  /** Shows something else instead. Whoever looks meanwhile finds the one or the other, never none. */
  move(text: string): Promise<void>;
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * An open file. A short transfer is continued until it is whole; reading beyond the end is `PW_IO` with `errno: 'EOF'`.
 * Every error is a `PagewrightError` (`PW_IO`, `PW_FULL` for ENOSPC, EDQUOT and EFBIG, `PW_PERMISSION`, `PW_CLOSED`,
 * `PW_READ_ONLY`) whose details carry `errno`, `path` and `offset`.
 */
export interface IoFile {
  readonly path: string;
  /** Length in bytes, now. */
  size(): number;
  read(buffer: Uint8Array, offset: number): Promise<void>;
  readSync(buffer: Uint8Array, offset: number): void;
  write(buffer: Uint8Array, offset: number): Promise<void>;
  writeSync(buffer: Uint8Array, offset: number): void;
  /** Makes all completed writes durable (`fdatasync`; on macOS `F_FULLFSYNC` where it can be had). */
  sync(): Promise<void>;
  syncSync(): void;
  truncate(size: number): Promise<void>;
  truncateSync(size: number): void;
  /** Makes sure that the range has real blocks, extending the file if needed. Bytes already there are kept, also those that
   * are being written meanwhile; new ones are zero. */
  allocate(offset: number, length: number, options?: AllocateOptions): Promise<void>;
  allocateSync(offset: number, length: number, options?: AllocateOptions): void;
  /**
   * Many transfers as one call, in any order among themselves. With `sync` they are durable when it is over; of what was written
   * before nothing is said, so that a backend may do both in one (`O_DSYNC`, `RWF_DSYNC`). If it fails, what it should have
   * made durable may be lost, as after a sync that failed (IO1).
   */
  submit(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): Promise<void>;
  submitSync(operations: readonly IoOperation[], options?: { readonly sync?: boolean }): void;
  /**
   * Brings what was written in the range to the device, and waits for that. Durable it is by a sync alone, which then has less to do. False where the system has no way to, and then nothing was done.
   * If it fails, what was written may be lost, as after a sync that failed (IO1). A backend need not have it.
   */
  writeBack?(offset: number, length: number): Promise<boolean>;
  /** Takes the file for writing, or throws `PW_LOCKED` with the holder's pid. A holder that died does not hold. Works on a file that was opened read-only, too. */
  lock(): Promise<FileLock>;
  /**
   * Holds the file as well, for a thread that works on what another one of the process has locked under this name: if that one ends, nobody else gets
   * the lock before this is released. Errors: `PW_CLOSED` if it holds it no more, `PW_PERMISSION`, `PW_IO`. A backend whose locks have no names need not have it.
   */
  joinLock?(name: string): Promise<FileLock>;
  /**
   * Shows a text of one line to all that ask for the file's {@link pins}, in any process of the machine, until it is released or
   * whoever published it has died. When it resolves, nobody who asks later misses it. Works on a file that was opened read-only,
   * and needs no lock. Errors: `PW_PERMISSION`, `PW_FULL`, `PW_IO`. A backend whose files nobody else can reach need not have it.
   */
  publishPin?(text: string): Promise<ReaderPin>;
  /** What the living have published of this file, and those of whom it cannot be told. Of the dead nothing is left afterwards. */
  pins?(): Promise<readonly string[]>;
  /** Idempotent. Waits for operations in flight. */
  close(): Promise<void>;
}

/** An ES module that makes a backend, in whatever thread it is loaded. */
export interface IoModule {
  /** The URL of a module whose default export is a function: it takes the options, and returns an `IoBackend` or a promise of one. */
  readonly url: string;
  /** Whatever can be posted to another thread. */
  readonly options?: unknown;
}

/** A way to reach files. */
export interface IoBackend {
  readonly name: string;
  /**
   * How another thread of the process gets a backend that reaches the same files. Without it, what a part would do in a thread of its
   * own is done by the threads that there are. A backend that wraps or extends another must not pass on that one's.
   */
  readonly module?: IoModule | undefined;
  /** Whether it works on this machine, and if not, why. Changes nothing; what it takes to find out, its thread may keep for the files that it opens. */
  probe(): { readonly supported: boolean; readonly reason?: string };
  /**
   * Optional. Told of memory that will hold pages for as long as a store is open, once, and before anything is in it: huge pages may be asked for behind it. A hint: it changes
   * no byte and never fails.
   */
  prepareMemory?(memory: Uint8Array): void;
  open(path: string, flags: OpenFlags): Promise<IoFile>;
  /** The same, now (IO3): a thread that must write a file which another has made cannot wait for its event loop. */
  openSync(path: string, flags: OpenFlags): IoFile;
  exists(path: string): Promise<boolean>;
  /** The names of the files in a directory, in no particular order; none if the directory is missing. */
  list(directory: string): Promise<string[]>;
  /** Creates the directory if it is missing; its parent must exist. */
  makeDirectory(directory: string): Promise<void>;
  /** Removes a file; a missing one is not an error. */
  remove(path: string): Promise<void>;
  /** Removes a directory if it is empty; a missing or a non-empty one is not an error. */
  removeDirectory(directory: string): Promise<void>;
  /** A missing source is `PW_IO`. */
  rename(from: string, to: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
}
