/**
 * A read or a write of the device: it moves bytes part by part between a buffer and a file, at the place that was asked
 * for unless a fault has sent it elsewhere. The buffer is looked at when a part happens, as a kernel does it.
 */
import { type Deed, ioError, type Part } from './operation.js';
import type { Origin, StoredFile } from './stored-file.js';

/** What a transfer needs of the disk that it goes to. */
export interface Medium {
  /** @throws PW_FULL if the disk cannot hold so many bytes more. */
  assertRoom(path: string, offset: number, more: number): void;
  /** The next number of the count of what has ended. */
  tick(): number;
}

/** What is to be transferred. */
export interface TransferOrder {
  readonly kind: 'read' | 'write';
  readonly path: string;
  readonly file: StoredFile;
  readonly buffer: Uint8Array;
  readonly offset: number;
}

export class Transfer implements Deed {
  readonly kind: 'read' | 'write';
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly changes: boolean;
  readonly buffer: Uint8Array;
  readonly #medium: Medium;
  readonly #origin: Origin = { ended: Number.POSITIVE_INFINITY };
  #file: StoredFile;
  #at: number;
  #lost = false;

  constructor(medium: Medium, { kind, path, file, buffer, offset }: TransferOrder) {
    this.kind = kind;
    this.path = path;
    this.offset = offset;
    this.length = buffer.length;
    this.changes = kind === 'write';
    this.buffer = buffer;
    this.#medium = medium;
    this.#file = file;
    this.#at = offset;
  }

  /** The file that it really goes to. */
  get file(): StoredFile {
    return this.#file;
  }

  /** Sends it to another place than was asked for. */
  misdirect(file: StoredFile, offset: number): void {
    this.#file = file;
    this.#at = offset;
  }

  /** Lets it seem to happen. */
  lose(): void {
    this.#lost = true;
  }

  begin(): void {
    if (this.kind === 'read') this.#assertWithin(this.length);
    else this.#assertRoom(this.length);
  }

  happen({ from, to }: Part): void {
    if (this.#lost) return;
    const bytes = this.buffer.subarray(from, to);
    if (this.kind === 'read') {
      this.#assertWithin(to);
      bytes.set(this.#file.live.subarray(this.#at + from, this.#at + to));
    } else {
      this.#assertRoom(to);
      this.#file.write(bytes, this.#at + from, this.#origin);
    }
  }

  end(): void {
    this.#origin.ended = this.#medium.tick();
  }

  #assertWithin(length: number): void {
    if (this.#at + length > this.#file.size) throw ioError('EOF', this.path, 'the file ends there', this.offset);
  }

  #assertRoom(length: number): void {
    const more = this.#at + length - this.#file.size;
    if (more > 0) this.#medium.assertRoom(this.path, this.offset, more);
  }
}
