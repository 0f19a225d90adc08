/**
 * Which pages are in frames and which are cold: loading, eviction, relocation, and the swips that say so. A swip is
 * written here and nowhere else. Must hold: a cold page has no page in memory below it (P1), and each page is named by
 * one swip.
 */
import { foldAddress, PagewrightError, SWIP_COLD, SWIP_HOT, SWIP_TAG_MASK, sizeClassOf } from '@pagewright/core';
import { type Frames, hotWord, NOWHERE } from './frames.js';
import type { HostileCounts } from './hostility.js';
import type { Watch } from './watch.js';

export class Residency {
  /** Pages that must be loaded cannot be. */
  failLoads = false;
  /** Evicted pages by word 0 of the swips that name them. */
  readonly cold = new Map<number, Uint8Array>();
  #nextAddress = 1;

  constructor(
    private readonly frames: Frames,
    private readonly watch: Watch,
    private readonly counts: HostileCounts,
    private readonly maxSizeClass: number,
  ) {}

  /** The frame of the page that a swip names, loaded if need be. Errors: `PW_CORRUPT_PAGE` if there is no such page, `PW_IO`. */
  resolve(parent: number, offset: number): number {
    const { frames } = this;
    const word = frames.word(parent, offset);
    const tag = word & SWIP_TAG_MASK;
    if (tag === SWIP_HOT && word >>> 2 < frames.count && frames.parents[word >>> 2] === parent) return word >>> 2;
    const bytes = tag === SWIP_COLD ? this.cold.get(word) : undefined;
    if (bytes === undefined)
      throw new PagewrightError('PW_CORRUPT_PAGE', `The swip at ${offset} of frame ${parent} names no page.`);
    if (this.failLoads) throw new PagewrightError('PW_IO', 'This load was told to fail.');
    const frame = frames.take(sizeClassOf(word >>> 2));
    frames.bytes(frame).set(bytes);
    this.watch.remember(frame);
    this.cold.delete(word);
    this.swizzle(parent, offset, frame);
    this.counts.loads++;
    return frame;
  }

  /** Moves the page to another frame, if nobody holds it. */
  relocate(frame: number): void {
    const { frames } = this;
    if (!this.#mayMove(frame)) return;
    const parent = frames.parents[frame]!;
    const offset = frames.swipTo(frame);
    const target = frames.take(frames.classOf(frame));
    frames.bytes(target).set(frames.bytes(frame));
    for (const swip of frames.swips(target)) {
      const word = frames.word(target, swip);
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) frames.parents[word >>> 2] = target;
    }
    this.watch.remember(target);
    this.release(frame);
    this.swizzle(parent, offset, target);
    frames.touch(parent);
    frames.touch(target);
    this.counts.relocations++;
  }

  /** Evicts the page, if nobody holds it and it has no children in memory. */
  evict(frame: number): void {
    const { frames } = this;
    if (!frames.isLive(frame) || !this.#mayMove(frame)) return;
    if (frames.swips(frame).some((offset) => (frames.word(frame, offset) & SWIP_TAG_MASK) === SWIP_HOT)) return;
    const parent = frames.parents[frame]!;
    const offset = frames.swipTo(frame);
    // Any unit that is aligned to the size of the page will do for a name.
    const folded = foldAddress(this.#nextAddress++ * 2 ** this.maxSizeClass, frames.classOf(frame));
    const word = ((folded << 2) | SWIP_COLD) >>> 0;
    this.cold.set(word, new Uint8Array(frames.bytes(frame)));
    this.release(frame);
    this.setSwip(parent, offset, word);
    frames.touch(parent);
    this.counts.evictions++;
  }

  /** Gives up a frame and all that is known of it. */
  release(frame: number): void {
    this.watch.letGo(frame);
    this.watch.forget(frame);
    this.frames.giveUp(frame);
  }

  swizzle(parent: number, offset: number, frame: number): void {
    this.setSwip(parent, offset, hotWord(frame));
    this.frames.parents[frame] = parent;
  }

  setSwip(frame: number, offset: number, word: number): void {
    const { u32 } = this.frames.segmentOf(frame);
    const at = (this.frames.baseOf(frame) + offset) >>> 2;
    const checksum = (word & SWIP_TAG_MASK) === SWIP_COLD ? (word ^ 0x5a5a5a5a) >>> 0 : 0;
    u32[at] = word;
    u32[at + 1] = checksum;
    this.watch.noteWord(frame, offset, word);
    this.watch.noteWord(frame, offset + 4, checksum);
  }

  #mayMove(frame: number): boolean {
    const { parents, pins } = this.frames;
    return parents[frame] !== NOWHERE && pins[frame] === 0 && !this.watch.isLatched(frame);
  }
}
