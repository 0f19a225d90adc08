/**
 * The bytes of the stream that are not durable yet, in shared memory of fixed size, so that any thread can write what any
 * other has appended. The stream is cut into chunks; those that are not durable have a place each. A place that was given
 * back last is used first, so that a log with little to do touches little memory, whatever its limit.
 *
 * Must hold: no transfer reads these bytes. A flush copies what it writes (under the latch, about 0.1 ns a byte), and so a
 * place can be used again as soon as its bytes are durable, whoever may still be writing them.
 */
import { invariant, type LogPosition } from '@pagewright/core';

/** Bytes in a chunk. */
const CHUNK_SIZE = 64 * 1024;
/** Below this a loop over words copies faster than a call of `set`. */
const SHORT = 512;

const SPARE_COUNT = 0;
const HEADER_WORDS = 1;

export class Unflushed {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  /** How many places there are; places that have no chunk; the place of each chunk, by its number modulo their count. */
  readonly #count: number;
  readonly #header: Int32Array;
  readonly #spare: Int32Array;
  readonly #places: Int32Array;

  /** For so many bytes of records, and a chunk more for what is appended beside them. */
  static bytes(limit: number): number {
    const count = placesFor(limit);
    return count * CHUNK_SIZE + (HEADER_WORDS + 2 * count) * 4;
  }

  constructor(memory: SharedArrayBuffer, limit: number) {
    const count = placesFor(limit);
    const end = count * CHUNK_SIZE;
    this.#count = count;
    this.#bytes = new Uint8Array(memory, 0, end);
    this.#words = new Int32Array(memory, 0, end >>> 2);
    this.#header = new Int32Array(memory, end, HEADER_WORDS);
    this.#spare = new Int32Array(memory, end + HEADER_WORDS * 4, count);
    this.#places = new Int32Array(memory, end + (HEADER_WORDS + count) * 4, count);
  }

  /** Called once, before anyone else has the memory. */
  initialize(): void {
    this.#header[SPARE_COUNT] = this.#count;
    for (let place = 0; place < this.#count; place++) this.#spare[place] = this.#count - 1 - place;
  }

  /** What may be appended and not durable. */
  get capacity(): number {
    return (this.#count - 1) * CHUNK_SIZE;
  }

  /** Takes bytes that belong at this position, which is where those before it end. Both are multiples of eight, so that words can be copied. */
  write(position: LogPosition, bytes: Uint8Array, words: Int32Array, size: number): void {
    const within = position % CHUNK_SIZE;
    if (size <= SHORT && within + size < CHUNK_SIZE) {
      const place = within === 0 ? this.#take(position / CHUNK_SIZE) : this.#placeOf(position);
      const at = (place * CHUNK_SIZE + within) >>> 2;
      for (let i = 0; i < size >>> 2; i++) this.#words[at + i] = words[i]!;
      return;
    }
    for (let done = 0; done < size; ) {
      const from = (position + done) % CHUNK_SIZE;
      const length = Math.min(CHUNK_SIZE - from, size - done);
      const place = from === 0 ? this.#take((position + done) / CHUNK_SIZE) : this.#placeOf(position + done);
      this.#bytes.set(bytes.subarray(done, done + length), place * CHUNK_SIZE + from);
      done += length;
    }
  }

  /** Copies what lies between two positions. */
  copy(from: LogPosition, to: LogPosition, target: Uint8Array): void {
    for (let position = from; position < to; ) {
      const within = position % CHUNK_SIZE;
      const length = Math.min(CHUNK_SIZE - within, to - position);
      const at = this.#placeOf(position) * CHUNK_SIZE + within;
      target.set(this.#bytes.subarray(at, at + length), position - from);
      position += length;
    }
  }

  /** What lies from one position to another is durable, and needs no place any more. */
  release(from: LogPosition, to: LogPosition): void {
    for (let chunk = Math.floor(from / CHUNK_SIZE); (chunk + 1) * CHUNK_SIZE <= to; chunk++) {
      const spare = this.#header[SPARE_COUNT] as number;
      this.#spare[spare] = this.#places[chunk % this.#count] as number;
      this.#header[SPARE_COUNT] = spare + 1;
    }
  }

  /** Nothing is in memory, and the stream goes on at this position, which others have brought to the file. */
  skipTo(position: LogPosition, from: LogPosition): void {
    const before = Math.floor(from / CHUNK_SIZE);
    const after = Math.floor(position / CHUNK_SIZE);
    if (after === before) {
      // From the beginning of a chunk on its first byte would have taken the place.
      if (from % CHUNK_SIZE === 0 && position % CHUNK_SIZE !== 0) this.#take(after);
      return;
    }
    if (from % CHUNK_SIZE !== 0) this.release(before * CHUNK_SIZE, (before + 1) * CHUNK_SIZE);
    if (position % CHUNK_SIZE !== 0) this.#take(after);
  }

  #placeOf(position: LogPosition): number {
    return this.#places[Math.floor(position / CHUNK_SIZE) % this.#count] as number;
  }

  #take(chunk: number): number {
    const spare = (this.#header[SPARE_COUNT] as number) - 1;
    invariant(spare >= 0, 'The log keeps more unflushed bytes than it has memory for');
    this.#header[SPARE_COUNT] = spare;
    const place = this.#spare[spare] as number;
    this.#places[chunk % this.#count] = place;
    return place;
  }
}

function placesFor(limit: number): number {
  return Math.ceil(limit / CHUNK_SIZE) + 2;
}
