/**
 * Entries of a batch as places in memory. An array for each key takes longer to make than all else that a scan does for it, and is
 * seldom what the program wants in the end: an encoding reads a string or a number from where its bytes are.
 */
import { isAscii } from 'node:buffer';

/** Above this many bytes what is cut from a common string could keep too much of it alive. */
const MOST_TEXT = 64 * 1024;

/** Byte strings that stand in one stretch of memory: number i from `starts[i]` to `ends[i]`, none before the one before it. */
export class PackedBytes {
  /** All of the memory that they are in. Given away: once a batch was handed out nobody writes to it any more. */
  bytes: Uint8Array = EMPTY;
  /** Asked of the array for each entry it would take as long as a view of it. */
  #memory = EMPTY.buffer;
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  count = 0;
  #text: string | null = null;
  #isRead = false;

  /** So many are in this memory, which is all of its buffer, at the places that were set. */
  begin(bytes: Uint8Array<ArrayBuffer>, count: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.#memory = bytes.buffer;
    }
    this.count = count;
    this.#text = null;
    this.#isRead = false;
  }

  /** A view of the bytes. */
  viewAt(at: number): Uint8Array {
    const start = this.starts[at]!;
    return new Uint8Array(this.#memory, start, this.ends[at]! - start);
  }

  /** The bytes as text; null if not all of what is here is ASCII. All of it is decoded at once, and each one cut from it, which takes a fifth of the time. */
  asciiAt(at: number): string | null {
    if (!this.#isRead) this.#read();
    const text = this.#text;
    if (text === null) return null;
    const from = this.starts[0]!;
    return text.substring(this.starts[at]! - from, this.ends[at]! - from);
  }

  #read(): void {
    this.#isRead = true;
    const start = this.starts[0]!;
    const end = this.ends[this.count - 1]!;
    const isText = end - start <= MOST_TEXT && isAscii(this.bytes.subarray(start, end));
    this.#text = isText ? Buffer.prototype.latin1Slice.call(this.bytes, start, end) : null;
  }
}

const EMPTY = new Uint8Array(0);

/** Keys and values of a batch. Made once and used again, but for the memory that they name. */
export class PackedEntries {
  readonly keys = new PackedBytes();
  /** Values stand anywhere in their memory; there if they are wanted. */
  values: ArrayBuffer = EMPTY.buffer;
  readonly valueStarts: number[] = [];
  readonly valueLengths: number[] = [];

  /** Puts entry `from` in the place of an earlier one, which is dropped. */
  move(from: number, to: number): void {
    const { starts, ends } = this.keys;
    starts[to] = starts[from]!;
    ends[to] = ends[from]!;
    this.valueStarts[to] = this.valueStarts[from]!;
    this.valueLengths[to] = this.valueLengths[from]!;
  }

  /** A view of the value. */
  valueAt(at: number): Uint8Array {
    return new Uint8Array(this.values, this.valueStarts[at]!, this.valueLengths[at]!);
  }
}
