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
} from '@pagewright/core/contracts';
import { COOL_PAGES, COOLED } from './counters.js';
import { NO_FRAME, PARENT, RESIDENT_CHILDREN, SIZE_CLASS, STATE, STATE_COOL, STATE_HOT } from './frames.js';
import { stateMemory } from './parts-check.js';
import type { Placement, PoolParts } from './placement.js';

/** How far sampling goes down from an inner page. */
const DEEPEST_SAMPLE = 16;
/** Where the random numbers begin: memory of zeros stands for it, as xorshift never comes to 0. */
const SEED = 0x9e3779b9;

/** A policy has a buffer to itself, so that it can reach nobody else's state. */
export interface CoolerMemory {
  readonly random: SharedArrayBuffer;
  readonly policy: SharedArrayBuffer;
}

/** Memory for a new pool. `PW_PLUGIN_INVALID` if the policy asks for what cannot be. */
export function coolerMemory(frames: number, replacement: ReplacementPolicyType): CoolerMemory {
  const bytes = replacement.stateBytes(frames);
  return { random: new SharedArrayBuffer(4), policy: stateMemory(`replacement policy "${replacement.name}"`, bytes) };
}

export class Cooler implements ReplaceableFrames {
  readonly count: number;
  /** Of the policy. */
  readonly name: string;
  readonly policy: ReplacementPolicy;
  /** One word, the state of xorshift32: sampling needs no better randomness, and the same run samples the same frames. */
  readonly #random: Int32Array;

  /** Over memory that was zeros in the beginning. */
  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    replacement: ReplacementPolicyType,
    memory: CoolerMemory,
  ) {
    this.count = parts.frames.count;
    this.#random = new Int32Array(memory.random);
    this.name = replacement.name;
    this.policy = replacement.attach(this, memory.policy);
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
    const { arena, frames, latches, counters } = this.parts;
    schedulePoint(POINT.pageCooling);
    if (!this.mayLeave(frame)) return false;
    if (frames.get(frame, STATE) === STATE_COOL) return true;
    const parent = frames.get(frame, PARENT);
    if (!latches.tryLatch(parent)) return false;
    try {
      const at = this.placement.findSwip(parent, frame);
      arena.segmentOf(parent).u32[at] = ((frames.nameOf(frame) << 2) | SWIP_COOL) >>> 0;
      frames.set(frame, STATE, STATE_COOL);
      const sizeClass = frames.get(frame, SIZE_CLASS);
      counters.addOf(COOLED, sizeClass);
      counters.addOf(COOL_PAGES, sizeClass);
    } finally {
      latches.unlatch(parent);
    }
    return true; // though it may have been touched since the latch was given back
  }

  random(): number {
    let x = this.#random[0] || SEED;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random[0] = x;
    return x >>> 0;
  }

  // ── For the pool ────────────────────────────────────────────────────────────────────────────────────────────

  /** Makes a cool page hot again, because it was touched or its swip is about to go; whether it was cool. The swip is the caller's. */
  rewarm(frame: number, isScanned = false): boolean {
    const { frames, counters } = this.parts;
    if (frames.get(frame, STATE) !== STATE_COOL) return false;
    frames.set(frame, STATE, STATE_HOT);
    counters.addOf(COOL_PAGES, frames.get(frame, SIZE_CLASS), -1);
    this.policy.rewarmed(frame, isScanned);
    return true;
  }

  /** The page is about to leave its frame. */
  leaves(frame: number): void {
    const { frames, counters } = this.parts;
    if (frames.get(frame, STATE) === STATE_COOL) counters.addOf(COOL_PAGES, frames.get(frame, SIZE_CLASS), -1);
    this.policy.left(frame);
  }

  #randomChild(frame: number): number {
    const segment = this.parts.arena.segmentOf(frame);
    const base = this.parts.arena.baseOf(frame);
    // M3: another thread may be changing the page. A table that cannot be has no children; a frame is asked itself what it is.
    const table = this.placement.tornSwipTableOf(frame);
    let index = this.random() % table.count;
    for (let left = table.count; left > 0; left--) {
      const word = segment.u32[(base + table.offset + index * table.stride) >>> 2] as number;
      const child = (word & SWIP_TAG_MASK) === SWIP_HOT ? this.parts.translation.frameOf(word >>> 2) : NO_FRAME;
      if (child !== NO_FRAME) return child;
      index = index + 1 === table.count ? 0 : index + 1;
    }
    return NO_FRAME;
  }
}
