/**
 * Memory around a page, to find out who leaves it. Writes outside the page show in the surroundings. Reads cannot be
 * trapped in JavaScript: so the same is done twice with other bytes around the page, and must give the same.
 */
import { Segment } from '@pagewright/core';

/** Bytes around the page, on either side; a multiple of eight. More than a 16-bit offset can reach. */
const MARGIN = 72 * 1024;
/** Two patterns that differ in every bit. As numbers they are large, as swips they are hot or cold. */
const PATTERNS = [0x5a, 0xa5] as const;

/** A place for bytes in the middle of a larger stretch of shared memory. */
export class Surroundings {
  /** The memory as a page store shows it. */
  readonly segment: Segment;
  /** Where the bytes begin in it. */
  readonly base = MARGIN;
  readonly #u8: Uint8Array;
  readonly #untouched: Buffer;
  readonly #first: Buffer;
  readonly #last: Buffer;

  /** Room for `size` bytes; `pattern` is 0 or 1: which of two patterns is around them. */
  constructor(size: number, pattern: 0 | 1) {
    const length = (size + 7) & ~7;
    this.segment = new Segment(new SharedArrayBuffer(MARGIN + length + MARGIN));
    this.#u8 = this.segment.u8.fill(PATTERNS[pattern]);
    this.#untouched = Buffer.alloc(MARGIN, PATTERNS[pattern]);
    this.#first = Buffer.from(this.segment.buffer, 0, MARGIN);
    this.#last = Buffer.from(this.segment.buffer, MARGIN + length, MARGIN);
  }

  /** Puts the bytes there, which are as many as there is room for. */
  place(bytes: Uint8Array): void {
    this.#u8.set(bytes, this.base);
  }

  /** Throws if a byte around was written to. */
  assertUntouched(): void {
    if (!this.#first.equals(this.#untouched) || !this.#last.equals(this.#untouched))
      throw new Error('memory outside the page was written to');
  }
}

/** The bytes as a view in the middle of a larger buffer of their own, with one of two patterns around. */
export function surrounded(bytes: Uint8Array, pattern: 0 | 1): Uint8Array<ArrayBuffer> {
  const margin = 64;
  const memory = new Uint8Array(bytes.length + 2 * margin).fill(PATTERNS[pattern]);
  memory.set(bytes, margin);
  return memory.subarray(margin, margin + bytes.length);
}

/** Throws if a byte around a {@link surrounded} view was written to. */
export function assertSurroundingsUntouched(view: Uint8Array<ArrayBuffer>, pattern: 0 | 1): void {
  const memory = new Uint8Array(view.buffer);
  const end = view.byteOffset + view.length;
  for (let at = 0; at < memory.length; at++) {
    if (at === view.byteOffset) at = end;
    if (at < memory.length && memory[at] !== PATTERNS[pattern])
      throw new Error(`memory outside the bytes was written to, at ${at - view.byteOffset}`);
  }
}
