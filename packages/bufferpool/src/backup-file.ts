/**
 * The file that a backup writes. It has a name of its own, `….pw-part`, until it is whole and durable, and its lock keeps a second backup to
 * the same path away. What is left of one that was cut short is written over by the next.
 *
 * Must hold: at the path of the backup is nothing, or all of it, durable; only who holds the lock removes anything.
 */
import { dirname } from 'node:path';
import {
  type FileLock,
  type IoBackend,
  type IoFile,
  type IoOperation,
  refuseOccupied,
} from '@pagewright/core/contracts';

/** Extents are written in batches of so many bytes; a larger one goes alone. */
export const BACKUP_BATCH_BYTES = 512 * 1024;

export class BackupFile {
  readonly #staging = Buffer.allocUnsafeSlow(BACKUP_BATCH_BYTES);
  #staged: IoOperation[] = [];
  #stagedBytes = 0;
  #place: string;

  private constructor(
    private readonly io: IoBackend,
    private readonly path: string,
    private readonly file: IoFile,
    private readonly lock: FileLock,
  ) {
    this.#place = file.path;
  }

  /** Errors: `PW_EXISTS`, `PW_LOCKED`, `PW_NOT_FOUND`, `PW_PERMISSION`, `PW_IO`. */
  static async create(io: IoBackend, path: string): Promise<BackupFile> {
    await refuseOccupied(io, path, 'No backup was written to');
    const file = await io.open(`${path}.pw-part`, { create: true });
    const lock = await file.lock().catch(async (error) => {
      await file.close();
      throw error;
    });
    const backup = new BackupFile(io, path, file, lock);
    try {
      await file.truncate(0);
      return backup;
    } catch (error) {
      await backup.discard();
      throw error;
    }
  }

  /** Whether so many bytes fit into the batch that is being gathered. */
  hasRoomFor(bytes: number): boolean {
    return this.#stagedBytes === 0 || this.#stagedBytes + bytes <= BACKUP_BATCH_BYTES;
  }

  /**
   * Adds an extent to the batch. It is copied, unless it is larger than a batch: then it must stay as it is until it was
   * flushed, alone.
   */
  stage(bytes: Buffer, offset: number): void {
    if (bytes.length > BACKUP_BATCH_BYTES) {
      this.#staged.push({ kind: 'write', offset, buffer: bytes });
      this.#stagedBytes = bytes.length;
      return;
    }
    const start = this.#stagedBytes;
    this.#stagedBytes += bytes.copy(this.#staging, start);
    const last = this.#staged[this.#staged.length - 1];
    const follows = last !== undefined && last.offset + last.buffer.length === offset;
    if (follows) this.#staged.pop();
    // What lies in a row in the file lies in a row in the batch, and is one transfer.
    const from = follows ? start - last.buffer.length : start;
    this.#staged.push({
      kind: 'write',
      offset: follows ? last.offset : offset,
      buffer: this.#staging.subarray(from, this.#stagedBytes),
    });
  }

  /** Writes the batch. */
  async flush(): Promise<void> {
    const batch = this.#staged;
    this.#staged = [];
    this.#stagedBytes = 0;
    if (batch.length > 0) await this.file.submit(batch);
  }

  /** Real blocks where nothing is written, so that whoever opens the copy can write there when the disk is full. */
  allocate(offset: number, length: number): Promise<void> {
    return this.file.allocate(offset, length, { writeZeros: false });
  }

  /** Makes what was written durable, then the beginning of the file, and gives it its name. Its length in bytes. */
  async complete(head: Buffer): Promise<number> {
    const { io, path, file } = this;
    await this.flush();
    await file.sync();
    await file.submit([{ kind: 'write', offset: 0, buffer: head }], { sync: true });
    const bytes = file.size();
    await file.close();
    await refuseOccupied(io, path, 'No backup was written to');
    await io.rename(this.#place, path);
    this.#place = path;
    await io.syncDirectory(dirname(path));
    // The copy is there for good. A lock that cannot be given up says nothing against it.
    await this.lock.release().catch(() => undefined);
    return bytes;
  }

  /** Leaves nothing behind, as far as the disk permits. Never rejects: why the backup ends is what its caller must know. */
  async discard(): Promise<void> {
    await this.file.close().catch(() => undefined);
    await this.io.remove(this.#place).catch(() => undefined);
    await this.lock.release().catch(() => undefined);
  }
}
