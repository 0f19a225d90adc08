/**
 * A file of which some is durable and the rest is on its way: unsynced writes, sector by sector, and sizes. A sector that
 * was written several times holds what it held after some one of these writes; each sector is lost or kept for itself, so
 * that a write is torn, and a size without its bytes, or the bytes without the size, is what the test has to expect.
 */
import type { Loss } from './loss.js';

/** What a device writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** Bytes of a file. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

interface Piece {
  /** In bytes from the beginning of the file; within one sector. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class VolatileFile {
  #durable: Uint8Array;
  #durableSize: number;
  #size: number;
  #pending = new Map<number, Piece[]>();
  #pendingSizes: number[] = [];

  constructor(durable: Uint8Array = new Uint8Array(0)) {
    this.#durable = durable;
    this.#durableSize = durable.length;
    this.#size = durable.length;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.extend(offset + bytes.length);
    for (let at = 0; at < bytes.length; ) {
      const sector = Math.floor((offset + at) / SECTOR_BYTES);
      const end = Math.min(bytes.length, (sector + 1) * SECTOR_BYTES - offset);
      const pieces = this.#pending.get(sector);
      const piece = { offset: offset + at, bytes: bytes.subarray(at, end) };
      if (pieces === undefined) this.#pending.set(sector, [piece]);
      else pieces.push(piece);
      at = end;
    }
  }

  extend(size: number): void {
    if (size > this.#size) this.resize(size);
  }

  resize(size: number): void {
    // What is cut off reads as zero if the file grows again.
    if (size < this.#size) this.write(size, new Uint8Array(this.#size - size));
    this.#size = size;
    this.#pendingSizes.push(size);
  }

  /** A sync has returned that was asked for now, of all of it or of some bytes. */
  sync(range?: Range): void {
    this.#settle((changes) => changes, range);
  }

  /**
   * A sync has failed that was asked for now. The system then counts as written what it could not write: what the loss
   * takes of it no later sync brings back, though the process goes on reading it.
   */
  failSync(loss: Loss, range?: Range): void {
    this.#settle(loss.survivors, range);
  }

  /** Its bytes after a loss of power. */
  after(loss: Loss): Uint8Array {
    const copy = new VolatileFile(this.#durable);
    copy.#durableSize = this.#durableSize;
    copy.#pending = new Map(this.#pending);
    copy.#pendingSizes = [...this.#pendingSizes];
    copy.#durable = new Uint8Array(this.#durable);
    copy.#settle(loss.survivors);
    return resized(copy.#durable, copy.#durableSize);
  }

  /** Makes some of what is on its way durable, and forgets the rest; of a range alone, with as much of the size as it needs. */
  #settle(survivors: Loss['survivors'], range?: Range): void {
    const sizes = this.#pendingSizes.splice(0, range === undefined ? this.#pendingSizes.length : this.#sizesFor(range));
    const kept = sizes.length === 0 ? 0 : survivors(sizes.length);
    if (kept > 0) this.#durableSize = sizes[kept - 1] as number;
    for (const [sector, pieces] of [...this.#pending]) {
      if (range !== undefined && !touches(range, sector)) continue;
      this.#pending.delete(sector);
      for (const { offset, bytes } of pieces.slice(0, survivors(pieces.length))) {
        const end = offset + bytes.length;
        if (end > this.#durable.length) this.#durable = resized(this.#durable, Math.max(end, this.#durable.length * 2));
        this.#durable.set(bytes, offset);
      }
    }
  }

  /** How many of the sizes on their way, from the oldest, are needed to reach the end of the range. */
  #sizesFor({ offset, length }: Range): number {
    if (this.#durableSize >= offset + length) return 0;
    return this.#pendingSizes.findIndex((size) => size >= offset + length) + 1;
  }
}

function touches({ offset, length }: Range, sector: number): boolean {
  return offset < (sector + 1) * SECTOR_BYTES && offset + length > sector * SECTOR_BYTES;
}

function resized(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, size));
  return copy;
}
