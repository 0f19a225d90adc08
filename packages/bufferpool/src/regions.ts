/**
 * Room for large pages: an aligned run of blocks is emptied by evicting what is in it, and by moving to other frames what
 * must stay because its children are in memory.
 */
import { POINT, SWIP_COOL, SWIP_HOT, SWIP_TAG_MASK, schedulePoint } from '@pagewright/core/contracts';
import type { Cooler } from './cooler.js';
import { RELOCATIONS } from './counters.js';
import type { Eviction } from './eviction.js';
import { NO_FRAME, PARENT, RESIDENT_CHILDREN, SIZE_CLASS, STATE, STATE_CLAIMED } from './frames.js';
import type { Placement, PoolParts } from './placement.js';

export class Regions {
  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    private readonly eviction: Eviction,
    private readonly cooler: Cooler,
  ) {}

  /** Makes an aligned run of blocks free, by evicting what is in it and moving what must stay; its first block, or -1. */
  clearRegion(sizeClass: number): number {
    const size = 2 ** sizeClass;
    const regions = Math.floor(this.parts.frames.count / size);
    const first = this.cooler.random() % regions;
    // As with single frames, children of pages that this thread has latched are spared as long as possible.
    for (const ofLatched of [false, true]) {
      for (let step = 0; step < regions; step++) {
        const region = ((first + step) % regions) * size;
        if (this.#evictLarger(region, sizeClass, ofLatched)) return this.parts.blocks.allocate(sizeClass);
        if (this.#isMovable(region, size, ofLatched) && this.#clear(region, sizeClass, ofLatched)) return region;
      }
    }
    return -1;
  }

  /** Evicts the page that covers the region, if it is a larger one: what it leaves is split. */
  #evictLarger(region: number, sizeClass: number, ofLatched: boolean): boolean {
    const head = this.parts.frames.headOf(region);
    if (head === NO_FRAME || this.parts.frames.get(head, SIZE_CLASS) <= sizeClass) return false;
    return this.placement.mayLeave(head, ofLatched) && this.eviction.evict([head]) > 0;
  }

  /** Whether every page that touches the region lies in it and may leave or move. */
  #isMovable(region: number, size: number, ofLatched: boolean): boolean {
    for (let block = region; block < region + size; ) {
      const head = this.parts.frames.headOf(block);
      if (head === NO_FRAME) {
        // Another thread is clearing the region, or one around it.
        if (this.parts.frames.get(block, STATE) === STATE_CLAIMED) return false;
        block++;
        continue;
      }
      const pages = 1 << this.parts.frames.get(head, SIZE_CLASS);
      if (head < region || head + pages > region + size || !this.placement.mayMove(head, ofLatched)) return false;
      block = head + pages;
    }
    return true;
  }

  /**
   * Empties the region and takes its blocks. On failure what was taken is given back. While a page is written it shows what was
   * taken; if the thread ends meanwhile, it is lost in a transfer (M6), and nothing of the pool is used any more.
   */
  #clear(region: number, sizeClass: number, ofLatched: boolean): boolean {
    const size = 2 ** sizeClass;
    const { blocks, frames, poolLatch } = this.parts;
    const taken: [unit: number, sizeClass: number][] = [];
    const take = (): void => {
      for (const [unit, unitClass] of blocks.claimWithin(region, sizeClass)) {
        frames.claim(unit, unitClass);
        taken.push([unit, unitClass]);
      }
    };
    const giveBack = (): void => {
      for (const [unit, unitClass] of taken) {
        frames.clear(unit, unitClass);
        blocks.free(unit, unitClass);
      }
    };
    take();
    try {
      for (let block = region; block < region + size; block++) {
        const head = frames.headOf(block);
        if (head === NO_FRAME) continue;
        // Evicting one page may have changed what holds for the next.
        const stays = !this.placement.mayMove(head, ofLatched);
        if (!stays && this.placement.mayLeave(head, ofLatched)) this.eviction.evict([head]);
        else if (stays || !this.#relocate(head, ofLatched)) {
          giveBack();
          return false;
        }
        take();
      }
    } catch (error) {
      // Without the latch, because a thread was lost or the pool closed, nothing may be touched.
      if (poolLatch.isOwn) giveBack();
      throw error;
    }
    // A page that had to move may have found its place in this very region.
    if (taken.reduce((sum, [, taken]) => sum + 2 ** taken, 0) === size) return true;
    giveBack();
    return false;
  }

  /** Moves a page, which may have resident children, to another frame. */
  #relocate(frame: number, ofLatched: boolean): boolean {
    const sizeClass = this.parts.frames.get(frame, SIZE_CLASS);
    let target = this.parts.blocks.allocate(sizeClass);
    if (target < 0) {
      this.eviction.evictBatch();
      target = this.parts.blocks.allocate(sizeClass);
    }
    // While pages were written other threads went on: in the frame may be another page, of another size.
    const isSameSize = this.parts.frames.get(frame, SIZE_CLASS) === sizeClass;
    if (target < 0 || !isSameSize || !this.placement.mayMove(frame, ofLatched)) {
      if (target >= 0) this.parts.blocks.free(target, sizeClass);
      return false;
    }
    const { latches } = this.parts;
    const parent = this.parts.frames.get(frame, PARENT);
    const own = latches.isOwn(parent);
    // Latches of pages are tried only: another thread may have one, and wait for the pool latch.
    if (!own && !latches.tryLatch(parent)) return this.#stays(target, sizeClass);
    if (!latches.tryLatch(frame)) {
      if (!own) latches.unlatch(parent);
      return this.#stays(target, sizeClass);
    }
    // Nobody reaches it; but a read that began when another page was here may be about to find that out.
    if (!latches.tryLatch(target)) {
      latches.unlatch(frame);
      if (!own) latches.unlatch(parent);
      return this.#stays(target, sizeClass);
    }
    const at = this.placement.findSwip(parent, frame);
    const words = this.parts.arena.segmentOf(parent).u32;
    this.parts.arena.view(target, sizeClass).set(this.parts.arena.view(frame, sizeClass));
    this.parts.frames.transfer(frame, target);
    const name = this.parts.translation.move(frame, target);
    words[at] = ((name << 2) | ((words[at] as number) & SWIP_TAG_MASK)) >>> 0;
    this.cooler.policy.moved(frame, target);
    this.parts.epochs.pageMoved(frame, target);
    this.#adoptChildren(target);
    this.parts.frames.clear(frame, sizeClass);
    this.parts.blocks.free(frame, sizeClass);
    this.parts.counters.addOf(RELOCATIONS, sizeClass);
    latches.unlatch(target);
    latches.unlatch(frame);
    if (!own) latches.unlatch(parent);
    schedulePoint(POINT.pageMoved);
    return true;
  }

  #stays(target: number, sizeClass: number): boolean {
    this.parts.blocks.free(target, sizeClass);
    return false;
  }

  #adoptChildren(frame: number): void {
    if (this.parts.frames.get(frame, RESIDENT_CHILDREN) === 0) return;
    const segment = this.parts.arena.segmentOf(frame);
    const base = this.parts.arena.baseOf(frame);
    const table = this.placement.swipTableOf(frame);
    const step = table.stride >>> 2;
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (tag !== SWIP_HOT && tag !== SWIP_COOL) continue;
      this.parts.frames.set(this.parts.translation.frameOf(word >>> 2), PARENT, frame);
    }
  }
}
