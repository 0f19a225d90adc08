/**
 * Who reads the log while it is written, in the thread that opened it: what they keep of it, and how they hear that there is more.
 *
 * Must hold: no segment is given up that a reader has not read, unless readers keep more than the limit. Then the furthest behind has lost what it
 * kept, and knows it before it is given up: nothing of a file that may be written anew gets to anyone.
 */

import type { LogReaderStats } from '@pagewright/core';

export interface ReadersContext {
  /** Bytes of segment files. */
  readonly limit: number;
  /** Bytes of the segment's file. */
  sizeOf(segment: number): number;
  /** Resolves when more is durable than when it is called. */
  progressed(): Promise<void>;
  /** A reader needs less than before. */
  onLess(): void;
}

/** A reader, and what it keeps. */
export class Reader {
  /** The lowest segment that it needs; infinite for one that reads elsewhere. */
  segment = Number.POSITIVE_INFINITY;
  /** Whether what it needed may be gone. */
  hasLost = false;
}

interface Change {
  readonly promise: Promise<void>;
  resolve(): void;
}

export class Readers {
  readonly #context: ReadersContext;
  readonly #readers = new Set<Reader>();
  /** Of segments that are kept for readers alone. */
  readonly #sizes = new Map<number, number>();
  #change: Change | null = null;
  #isWatching = false;
  #isOver = false;

  constructor(context: ReadersContext) {
    this.#context = context;
  }

  enter(): Reader {
    const reader = new Reader();
    this.#readers.add(reader);
    return reader;
  }

  leave(reader: Reader): void {
    if (this.#readers.delete(reader)) this.#context.onLess();
  }

  /** From now on the reader needs this segment, and those behind it. */
  keep(reader: Reader, segment: number): void {
    const before = reader.segment;
    reader.segment = segment;
    reader.hasLost = false;
    if (segment > before) this.#context.onLess();
  }

  /** Of the segments before this one, which nothing else needs: those before what it returns can be given up. */
  giveUp(before: number): number {
    this.#forgetSizes(before);
    for (let kept = this.#lowest; ; kept = this.#lowest) {
      if (kept >= before) return before;
      if (this.#bytes(kept, before) <= this.#context.limit) return kept;
      for (const reader of this.#readers) {
        if (reader.segment !== kept) continue;
        reader.segment = Number.POSITIVE_INFINITY;
        reader.hasLost = true;
      }
      this.wake();
    }
  }

  /** `newest`: the segment in use; `sizeOf`: as it is in the context, of this instant, and waits for nothing. Null if there are none. */
  stats(newest: number, sizeOf: (segment: number) => number): LogReaderStats | null {
    if (this.#readers.size === 0) return null;
    const lowest = this.#lowest;
    let behindBytes = 0;
    for (let segment = lowest; segment <= newest; segment++) behindBytes += this.#sizes.get(segment) ?? sizeOf(segment);
    return { count: this.#readers.size, behindBytes, limitBytes: this.#context.limit };
  }

  /** Resolves when more is durable than now, or when something else happens that concerns readers. To be called before a reader looks. */
  changed(): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    this.#change ??= changeToCome();
    if (!this.#isWatching) {
      this.#isWatching = true;
      void this.#context.progressed().then(() => {
        this.#isWatching = false;
        this.wake();
      });
    }
    return this.#change.promise;
  }

  wake(): void {
    const change = this.#change;
    this.#change = null;
    change?.resolve();
  }

  /** The log is over, and its files may go. */
  end(): void {
    this.#isOver = true;
    this.wake();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get #lowest(): number {
    return Math.min(...[...this.#readers].map(({ segment }) => segment));
  }

  #bytes(from: number, to: number): number {
    let bytes = 0;
    for (let segment = from; segment < to; segment++) {
      const size = this.#sizes.get(segment) ?? this.#context.sizeOf(segment);
      this.#sizes.set(segment, size);
      bytes += size;
    }
    return bytes;
  }

  #forgetSizes(before: number): void {
    const lowest = Math.min(this.#lowest, before);
    for (const segment of this.#sizes.keys()) if (segment < lowest) this.#sizes.delete(segment);
  }
}

function changeToCome(): Change {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
