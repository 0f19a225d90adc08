/**
 * What the pool does for a replacement policy: samples pages that are in use, says which may leave, and turns pages cool.
 * And it keeps the policy told of what becomes of them. The policy sees frames; pages, swips and latches stay here.
 */
import {
  POINT,
  type ReplaceableFrames,
  type ReplacementPolicy,
  type ReplacementPolicyType,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_TAG_MASK,
  schedulePoint,
} from '@pagewright/core';
import { NO_FRAME, PARENT, RESIDENT_CHILDREN, STATE, STATE_COOL, STATE_HOT } from './frames.js';
import type { Placement, PoolParts } from './placement.js';

/** How far sampling goes down from an inner page. */
const DEEPEST_SAMPLE = 16;

export class Cooler implements ReplaceableFrames {
  readonly count: number;
  readonly policy: ReplacementPolicy;
  /** Pages that are cool now. */
  coolPages = 0;
  /** Pages that were cooled, ever. */
  cooled = 0;
  /** State of xorshift32: sampling needs no better randomness, and the same run samples the same frames. */
  #random = 0x9e3779b9;

  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    replacement: ReplacementPolicyType,
  ) {
    this.count = parts.frames.count;
    this.policy = replacement.attach(this);
  }

  // ── For the policy ──────────────────────────────────────────────────────────────────────────────────────────

  sample(): number {
    const { frames } = this.parts;
    let frame = frames.headOf(this.random() % this.count);
    for (let depth = 0; frame !== NO_FRAME && depth < DEEPEST_SAMPLE; depth++) {
      if (frames.get(frame, STATE) !== STATE_HOT) return NO_FRAME;
      if (frames.get(frame, RESIDENT_CHILDREN) === 0) return this.mayLeave(frame) ? frame : NO_FRAME;
      frame = this.#randomChild(frame);
    }
    return NO_FRAME;
  }

  mayLeave(frame: number): boolean {
    return this.placement.mayLeave(frame, false);
  }

  cool(frame: number): boolean {
    const { arena, frames, latches } = this.parts;
    schedulePoint(POINT.pageCooling);
    if (!this.mayLeave(frame)) return false;
    if (frames.get(frame, STATE) === STATE_COOL) return true;
    const parent = frames.get(frame, PARENT);
    if (!latches.tryLatch(parent)) return false;
    try {
      const at = this.placement.findSwip(parent, frame);
      arena.segmentOf(parent).u32[at] = (frame << 2) | SWIP_COOL;
      frames.set(frame, STATE, STATE_COOL);
      this.coolPages++;
      this.cooled++;
    } finally {
      latches.unlatch(parent);
    }
    return true; // though it may have been touched since the latch was given back
  }

  random(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }

  // ── For the pool ────────────────────────────────────────────────────────────────────────────────────────────

  /** Makes a cool page hot again, because it was touched or its swip is about to go; whether it was cool. The swip is the caller's. */
  rewarm(frame: number): boolean {
    if (this.parts.frames.get(frame, STATE) !== STATE_COOL) return false;
    this.parts.frames.set(frame, STATE, STATE_HOT);
    this.coolPages--;
    this.policy.rewarmed(frame);
    return true;
  }

  /** The page is about to leave its frame. */
  leaves(frame: number): void {
    if (this.parts.frames.get(frame, STATE) === STATE_COOL) this.coolPages--;
    this.policy.left(frame);
  }

  #randomChild(frame: number): number {
    const segment = this.parts.arena.segmentOf(frame);
    const base = this.parts.arena.baseOf(frame);
    const table = this.placement.swipTableOf(frame);
    let index = this.random() % table.count;
    for (let left = table.count; left > 0; left--) {
      const word = segment.u32[(base + table.offset + index * table.stride) >>> 2] as number;
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) return word >>> 2;
      index = index + 1 === table.count ? 0 : index + 1;
    }
    return NO_FRAME;
  }
}
