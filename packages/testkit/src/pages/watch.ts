/**
 * What the hostile store knows of latches and bytes. Must hold: a page changes only between `modify` and `unlatch` of
 * the thread that has its latch (C2, X1); its swips only by way of the store; and of its header, nothing that is the
 * store's. Throws where that is broken, at the first call that can tell.
 */
import { PAGE_CLASS, PAGE_EPOCH, PAGE_INDEX, PAGE_TIMESTAMP } from '@pagewright/core';
import type { Frames } from './frames.js';

export class Watch {
  /** Latches that are held. */
  held = 0;
  readonly #latched: Uint8Array;
  readonly #modified: Uint8Array;
  /** What each page looked like when its latch was last given back; kept if bytes are watched. */
  readonly #shadows = new Map<number, Uint8Array>();
  /** The stamp that `modify` or `allocate` gave a page that is changing. */
  readonly #stamps = new Map<number, number>();

  constructor(
    private readonly frames: Frames,
    private readonly watchesBytes: boolean,
  ) {
    this.#latched = new Uint8Array(frames.count);
    this.#modified = new Uint8Array(frames.count);
  }

  isLatched(frame: number): boolean {
    return this.#latched[frame] === 1;
  }

  hold(frame: number): void {
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is latched twice by one thread`);
    this.#latched[frame] = 1;
    this.held++;
  }

  /** The latch is given back, or the page is given up. */
  letGo(frame: number): void {
    if (this.#latched[frame]) this.held--;
    this.#latched[frame] = 0;
    this.#modified[frame] = 0;
    this.#stamps.delete(frame);
  }

  /** The latched page, which has not changed so far, may change from now on; its stamp will be at least this one. */
  beginChange(frame: number, stamp: number): void {
    if (!this.#modified[frame]) this.assertUnchanged(frame, 'was changed before modify');
    this.#modified[frame] = 1;
    this.#stamps.set(frame, stamp);
  }

  /** The latched page is as it should be from now on. */
  endChange(frame: number): void {
    if (!this.#modified[frame]) {
      this.assertUnchanged(frame, 'was changed without modify');
      return;
    }
    this.#assertHeader(frame);
    this.remember(frame);
  }

  /** The page is as it should be. */
  remember(frame: number): void {
    if (this.watchesBytes) this.#shadows.set(frame, new Uint8Array(this.frames.bytes(frame)));
  }

  forget(frame: number): void {
    this.#shadows.delete(frame);
  }

  /** The store has written this word of a page, which its index need not have asked for. */
  noteWord(frame: number, offset: number, word: number): void {
    const shadow = this.#shadows.get(frame);
    if (shadow !== undefined) new DataView(shadow.buffer, shadow.byteOffset).setUint32(offset, word, true);
  }

  assertUnchanged(frame: number, what: string): void {
    const shadow = this.#shadows.get(frame);
    if (shadow === undefined) return;
    const bytes = this.frames.bytes(frame);
    if (Buffer.compare(shadow, bytes) === 0) return;
    const at = shadow.findIndex((byte, offset) => byte !== bytes[offset]);
    throw new Error(`The page in frame ${frame} ${what}, at byte ${at}`);
  }

  assertLatched(frame: number, what: string): void {
    if (!this.#latched[frame]) throw new Error(`Frame ${frame} is ${what} without its latch`);
  }

  assertChanging(frame: number, call: string): void {
    this.assertLatched(frame, `changed by ${call}`);
    if (!this.#modified[frame]) throw new Error(`Frame ${frame} is changed by ${call} before modify`);
  }

  assertNoneHeld(when: string): void {
    if (this.held > 0) throw new Error(`${this.held} latches are held at ${when}`);
  }

  #assertHeader(frame: number): void {
    const stamp = this.#stamps.get(frame) ?? 0;
    if (!(this.#stampOf(frame) >= stamp))
      throw new Error(`The stamp of frame ${frame} was lowered from ${stamp} to ${this.#stampOf(frame)} (X1)`);
    const shadow = this.#shadows.get(frame);
    if (shadow === undefined) return;
    const before = new DataView(shadow.buffer, shadow.byteOffset);
    const bytes = this.frames.bytes(frame);
    const after = new DataView(bytes.buffer, bytes.byteOffset);
    const isKept =
      before.getUint8(PAGE_CLASS) === after.getUint8(PAGE_CLASS) &&
      before.getUint32(PAGE_INDEX, true) === after.getUint32(PAGE_INDEX, true) &&
      before.getFloat64(PAGE_EPOCH, true) === after.getFloat64(PAGE_EPOCH, true);
    if (!isKept) throw new Error(`Class, index or epoch in the header of frame ${frame} were written over`);
  }

  #stampOf(frame: number): number {
    return this.frames.segmentOf(frame).f64[(this.frames.baseOf(frame) + PAGE_TIMESTAMP) >>> 3]!;
  }
}
