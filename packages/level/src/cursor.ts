/**
 * Goes through entries for an iterator: at one moment, batch by batch, from wherever it is told to. It holds what one batch has in memory, and no more entries
 * are decoded than are asked for.
 */
import type { AbstractSnapshot } from 'abstract-level';
import type { EntryStream, RangeOptions } from 'pagewright';
import { type Bounds, boundsFrom, boundsOf, type EncodedRange, isWithin, openWithin } from './bounds.js';
import { aborted, levelError, PagewrightLevelError } from './errors.js';
import { copyOfKey, type Format, inFormat, keyFrom, type Stored } from './stored-bytes.js';
import type { Encoded } from './view-bytes.js';

/** A range of the engine, as far as a cursor needs it. */
export type Stream<Item> = Pick<EntryStream<Item>, 'nextMany'>;

/** What there is to go through: a database at a snapshot, or what a transaction sees. */
export interface EntrySource {
  range(options: RangeOptions<Uint8Array>): Stream<[Uint8Array, Uint8Array]>;
  keys(options: RangeOptions<Uint8Array>): Stream<Uint8Array>;
  values(options: RangeOptions<Uint8Array>): Stream<Uint8Array>;
  /** Called once, when the cursor is closed. */
  release(): void;
}

/** Which part of an entry an item is; an entry may lack its key or its value. */
export type Shape = 'entries' | 'keys' | 'values';

/** What abstract-level hands to an implementation, with the options of this package. */
export interface EncodedIteratorOptions extends EncodedRange {
  readonly reverse: boolean;
  /** Below 0: none. */
  readonly limit: number;
  readonly keyEncoding: Format;
  readonly valueEncoding: Format;
  readonly keys?: boolean | undefined;
  readonly values?: boolean | undefined;
  readonly signal?: AbortSignal | null | undefined;
  readonly snapshot?: AbstractSnapshot | null | undefined;
  readonly highWaterMarkBytes?: number | undefined;
}

export const DEFAULT_HIGH_WATER_MARK_BYTES = 1024 * 1024;
/** Taken from a batch at a time once there is more wanted than one entry. */
const MOST_TAKEN = 1000;

type Raw = Uint8Array | [Uint8Array, Uint8Array];
type Item = Stored | [Stored | undefined, Stored | undefined];

export class Cursor {
  private readonly bounds: Bounds;
  private readonly highWaterMarkBytes: number;
  /** Null: it has to be opened, or there is nothing left. */
  private stream: Stream<Raw> | null = null;
  private ended = false;
  /** Read, and not asked for yet. */
  private taken: Raw[] = [];
  private at = 0;
  private isFirst = true;
  private given = 0;
  private closed = false;

  constructor(
    private readonly source: EntrySource,
    private readonly shape: Shape,
    private readonly options: EncodedIteratorOptions,
    /** Bytes that each key begins with and the program does not see. */
    private readonly prefixLength = 0,
  ) {
    const { highWaterMarkBytes = DEFAULT_HIGH_WATER_MARK_BYTES } = options;
    if (!Number.isInteger(highWaterMarkBytes) || highWaterMarkBytes < 0) {
      throw new PagewrightLevelError(
        'LEVEL_INVALID_OPTION',
        `The option highWaterMarkBytes is a whole number from 0 on, not ${String(highWaterMarkBytes)}.`,
      );
    }
    this.highWaterMarkBytes = highWaterMarkBytes;
    this.bounds = boundsOf(options);
    this.stream = this.open(this.bounds);
  }

  /** The next item; undefined at the end. */
  async next(): Promise<Item | undefined> {
    if (this.at === this.taken.length) {
      // It is common to want one entry, and no other.
      await this.take(this.isFirst ? 1 : MOST_TAKEN);
      this.isFirst = false;
    } else this.assertNotAborted();
    const raw = this.taken[this.at++];
    return raw === undefined ? undefined : this.give(raw);
  }

  /** The next items, `size` at most; fewer before the end if they have more bytes than the high-water mark. */
  async nextv(size: number): Promise<Item[]> {
    this.isFirst = false;
    const items: Item[] = [];
    let bytes = 0;
    while (items.length < size && bytes <= this.highWaterMarkBytes) {
      if (this.at === this.taken.length) {
        await this.take(size - items.length);
        if (this.taken.length === 0) break;
      } else this.assertNotAborted();
      while (this.at < this.taken.length && items.length < size && bytes <= this.highWaterMarkBytes) {
        const raw = this.taken[this.at++] as Raw;
        bytes += sizeOf(raw);
        items.push(this.give(raw));
      }
    }
    return items;
  }

  /** Goes to the first entry from `target` on, in its direction. A target that is out of range is the end. Errors: `LEVEL_INVALID_KEY`. */
  seek(target: Encoded): void {
    const key = copyOfKey(target);
    this.taken = [];
    this.at = 0;
    this.isFirst = true;
    this.ended = !isWithin(key, this.bounds);
    this.stream = this.ended ? null : this.open(boundsFrom(key, this.bounds, this.options.reverse));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.ended = true;
    this.stream = null;
    this.taken = [];
    this.at = 0;
    this.source.release();
  }

  private open(bounds: Bounds): Stream<Raw> {
    const { reverse, limit } = this.options;
    try {
      return openWithin(bounds, (range) => {
        // How many are wanted in all tells how far to read ahead.
        const all = { ...range, reverse, ...(limit < 0 ? {} : { limit: Math.max(0, limit - this.given) }) };
        return this.streamOf(all);
      });
    } catch (error) {
      throw levelError(error);
    }
  }

  private streamOf(range: RangeOptions<Uint8Array>): Stream<Raw> {
    const { source, shape, options } = this;
    if (shape === 'keys' || (shape === 'entries' && options.values === false)) return source.keys(range);
    if (shape === 'values' || options.keys === false) return source.values(range);
    return source.range(range);
  }

  private async take(most: number): Promise<void> {
    this.assertNotAborted();
    this.at = 0;
    this.taken = [];
    const { stream } = this;
    if (stream === null || this.ended) return;
    try {
      const reading = stream.nextMany(most);
      const { signal } = this.options;
      const taken = await (signal == null ? reading : unlessAborted(reading, signal));
      // Closed meanwhile by an abort.
      if (this.stream !== stream) return;
      this.taken = taken;
      this.ended = taken.length === 0;
    } catch (error) {
      throw levelError(error);
    }
  }

  private assertNotAborted(): void {
    const { signal } = this.options;
    if (signal?.aborted) throw aborted(signal);
  }

  private give(raw: Raw): Item {
    const { shape, options, prefixLength } = this;
    this.given++;
    if (shape === 'keys') return keyFrom(raw as Uint8Array, prefixLength, options.keyEncoding);
    if (shape === 'values') return inFormat(raw as Uint8Array, options.valueEncoding);
    if (Array.isArray(raw)) {
      return [keyFrom(raw[0], prefixLength, options.keyEncoding), inFormat(raw[1], options.valueEncoding)];
    }
    if (options.values === false) {
      return [options.keys === false ? undefined : keyFrom(raw, prefixLength, options.keyEncoding), undefined];
    }
    return [undefined, inFormat(raw, options.valueEncoding)];
  }
}

function sizeOf(raw: Raw): number {
  return Array.isArray(raw) ? raw[0].length + raw[1].length : raw.length;
}

/** What is read, or the error of the signal if it comes first: the read then ends by itself. */
function unlessAborted<Result>(reading: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal));
    signal.addEventListener('abort', abort, { once: true });
    reading.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
