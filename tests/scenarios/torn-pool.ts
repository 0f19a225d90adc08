/**
 * A buffer pool in which pages are torn under their readers. Now and then, when a reader takes a version, "another thread"
 * latches the page and begins to write rubbish; the reader sees that until it asks whether what it read was right, and then
 * the page is whole again, and its version is another.
 */
import { BufferPool } from '@pagewright/bufferpool';
import { SWIP_HOT, SWIP_TAG_MASK } from '@pagewright/core';
import type { Random } from '@pagewright/testkit';

export class TornPool extends BufferPool {
  /** How often a version that is taken begins a tear, from 0 to 1. */
  tornShare = 0;
  tears = 0;
  #torn: { readonly frame: number; readonly bytes: Uint8Array } | null = null;

  constructor(
    private readonly frames: number,
    pageSize: number,
    private readonly random: Random,
  ) {
    super({ memory: frames * pageSize, pageSize });
  }

  override readVersion(frame: number): number {
    this.#mend(frame);
    const version = super.readVersion(frame);
    if (this.#torn === null && frame !== this.root.frame && this.random.chance(this.tornShare)) this.#tear(frame);
    return version;
  }

  override validate(frame: number, version: number): boolean {
    this.#mend(frame);
    return super.validate(frame, version);
  }

  override upgrade(frame: number, version: number): boolean {
    this.#mend(frame);
    return super.upgrade(frame, version);
  }

  override latch(frame: number): void {
    this.#mend(frame);
    super.latch(frame);
  }

  override child(parent: number, offset: number, parentVersion: number): number {
    const word = this.segmentOf(parent).u32[(this.baseOf(parent) + offset) >>> 2] as number;
    const isFast = (word & SWIP_TAG_MASK) === SWIP_HOT && word >>> 2 < this.frames;
    // Whatever is done about a swip that names no frame takes the latch, and so finds the page whole.
    if (!isFast) this.#mend(parent);
    return super.child(parent, offset, parentVersion);
  }

  #tear(frame: number): void {
    const bytes = this.#bytesOf(frame);
    this.#torn = { frame, bytes: bytes.slice() };
    this.tears++;
    const words = this.segmentOf(frame).u32.subarray(
      this.baseOf(frame) >>> 2,
      (this.baseOf(frame) + this.sizeOf(frame)) >>> 2,
    );
    // The header stays half: what a reader finds may be right in parts.
    const from = this.random.pick([0, 32, 64, bytes.length >>> 1]);
    const kind = this.random.below(4);
    if (kind === 0) bytes.fill(0xff, from);
    else if (kind === 1) this.random.fill(bytes.subarray(from));
    else if (kind === 2) words.fill(((frame << 2) | SWIP_HOT) >>> 0, from >>> 2);
    else bytes.fill(0, from);
  }

  /** The other thread is done with the page, if it is this one. */
  #mend(frame: number): void {
    if (this.#torn?.frame !== frame) return;
    const { bytes } = this.#torn;
    this.#torn = null;
    super.latch(frame);
    this.#bytesOf(frame).set(bytes);
    this.unlatch(frame);
  }

  #bytesOf(frame: number): Uint8Array {
    return this.segmentOf(frame).u8.subarray(this.baseOf(frame), this.baseOf(frame) + this.sizeOf(frame));
  }
}
