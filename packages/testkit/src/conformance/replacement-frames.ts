/**
 * Frames without a pool around them, to drive a replacement policy by: what the policy is told is what happens here, and what it
 * hands out is checked at once.
 */
import type { ReplaceableFrames, ReplacementPolicy, ReplacementPolicyType } from '@pagewright/core';
import { Random } from '../random.js';

const FREE = 0;
/** Part of the page that begins in a frame before this one. */
const TAIL = 1;
const HOT = 2;
const COOL = 3;

const NONE = -1;

/** Work that a policy may ask for in one call, for each frame that there is. */
const WORK_PER_FRAME = 64;

export class SimulatedFrames implements ReplaceableFrames {
  /** Pages are touched again as soon as they are cool, before the policy hears that they are. */
  touchesAtOnce = false;
  /** Pages were cooled so many times. */
  cooled = 0;
  readonly #states: Uint8Array;
  readonly #classes: Uint8Array;
  readonly #busy: Uint8Array;
  readonly #random: Random;
  readonly #state: SharedArrayBuffer;
  /** One for each thread that has attached; they take turns. */
  readonly #policies: ReplacementPolicy[] = [];
  #turn = 0;
  #work = 0;

  constructor(
    readonly count: number,
    private readonly type: ReplacementPolicyType,
    seed = 1,
  ) {
    this.#states = new Uint8Array(count);
    this.#classes = new Uint8Array(count);
    this.#busy = new Uint8Array(count);
    this.#random = new Random(seed);
    this.#state = new SharedArrayBuffer(type.stateBytes(count));
    this.attach();
  }

  /** One more thread attaches: it has an object of its own over the state that there is. */
  attach(): this {
    this.#policies.push(this.type.attach(this, this.#state));
    return this;
  }

  /** The thread that attached first has ended. */
  detach(): void {
    this.#policies.shift();
  }

  // ── What the policy asks ────────────────────────────────────────────────────────────────────────────────────

  sample(): number {
    this.#spend();
    let frame = this.#random.below(this.count);
    while (this.#states[frame] === TAIL) frame--;
    return this.#states[frame] === HOT && this.#busy[frame] === 0 ? frame : NONE;
  }

  mayLeave(frame: number): boolean {
    this.#spend();
    return this.isResident(frame) && this.#busy[frame] === 0;
  }

  cool(frame: number): boolean {
    this.#spend();
    if (!this.isResident(frame) || this.#busy[frame] !== 0) return false;
    if (this.#states[frame] === HOT) this.cooled++;
    this.#states[frame] = COOL;
    if (this.touchesAtOnce) {
      this.#states[frame] = HOT;
      // Within a call: in the same thread.
      this.#policy.rewarmed(frame);
    }
    return true;
  }

  random(): number {
    this.#spend();
    return this.#random.below(2 ** 32);
  }

  // ── What happens to pages ───────────────────────────────────────────────────────────────────────────────────

  isResident(frame: number): boolean {
    return this.#states[frame] === HOT || this.#states[frame] === COOL;
  }

  isCool(frame: number): boolean {
    return this.#states[frame] === COOL;
  }

  /** Frames in which a page begins, in order. */
  residents(): number[] {
    return Array.from({ length: this.count }, (_, frame) => frame).filter((frame) => this.isResident(frame));
  }

  coolPages(): number[] {
    return this.residents().filter((frame) => this.isCool(frame));
  }

  /** The first run of free frames that takes a page of this class, aligned to its size; -1 if there is none. */
  freeRun(sizeClass: number): number {
    const size = 1 << sizeClass;
    for (let frame = 0; frame + size <= this.count; frame += size) {
      if (this.#states.subarray(frame, frame + size).every((state) => state === FREE)) return frame;
    }
    return NONE;
  }

  enter(frame: number, sizeClass = 0, isScanned = false): void {
    this.#place(frame, sizeClass, HOT);
    this.#ask('entered', (policy) => policy.entered(frame, sizeClass, isScanned));
  }

  /** Fills all frames with pages of one frame each. */
  fill(): this {
    for (let frame = 0; frame < this.count; frame++) if (this.#states[frame] === FREE) this.enter(frame);
    return this;
  }

  /** A touch of a hot page is seen by nobody. */
  touch(frame: number, isScanned = false): void {
    if (this.#states[frame] !== COOL) return;
    this.#states[frame] = HOT;
    this.#ask('rewarmed', (policy) => policy.rewarmed(frame, isScanned));
  }

  leave(frame: number): void {
    this.#ask('left', (policy) => policy.left(frame));
    this.#clear(frame);
  }

  move(from: number, to: number): void {
    this.#place(to, this.#classes[from] as number, this.#states[from] as number);
    this.#busy[to] = this.#busy[from] as number;
    this.#clear(from);
    this.#ask('moved', (policy) => policy.moved(from, to));
  }

  /** Moves a page to wherever there is room for it; nowhere if there is none. */
  moveAway(from: number): void {
    const to = this.freeRun(this.#classes[from] as number);
    if (to !== NONE) this.move(from, to);
  }

  /** Latched, pinned, or with children in memory: it may not leave. */
  setBusy(frame: number, busy: boolean): void {
    this.#busy[frame] = busy ? 1 : 0;
  }

  prepare(): void {
    this.#ask('prepare', (policy) => policy.prepare());
  }

  /** What the policy hands out, checked; nothing leaves. */
  victims(most = 32): number[] {
    const batch = new Int32Array(most).fill(NONE);
    const count = this.#ask('victims', (policy) => policy.victims(batch));
    if (!(Number.isInteger(count) && count >= 0 && count <= most))
      throw new Error(`Asked for ${most} pages at most, it says that it handed out ${count}.`);
    const victims = [...batch.subarray(0, count)];
    for (const [at, frame] of victims.entries()) {
      if (!this.isResident(frame)) throw new Error(`It handed out frame ${frame}, in which no page begins.`);
      if (this.#busy[frame] !== 0) throw new Error(`It handed out frame ${frame}, whose page may not leave.`);
      if (victims.indexOf(frame) !== at) throw new Error(`It handed out frame ${frame} twice in one batch.`);
    }
    return victims;
  }

  /** As a pool does when it wants frames: candidates are made ready, a batch leaves, the next candidates are made ready. */
  evict(most = 32): number[] {
    this.prepare();
    const victims = this.victims(most);
    for (const frame of victims) this.leave(frame);
    this.prepare();
    return victims;
  }

  #place(frame: number, sizeClass: number, state: number): void {
    this.#states.fill(TAIL, frame, frame + (1 << sizeClass));
    this.#states[frame] = state;
    this.#classes[frame] = sizeClass;
    this.#busy[frame] = 0;
  }

  #clear(frame: number): void {
    this.#states.fill(FREE, frame, frame + (1 << (this.#classes[frame] as number)));
    this.#busy[frame] = 0;
  }

  /** The object of the thread whose turn it is. */
  get #policy(): ReplacementPolicy {
    return this.#policies[this.#turn % this.#policies.length] as ReplacementPolicy;
  }

  #ask<Answer>(what: string, call: (policy: ReplacementPolicy) => Answer): Answer {
    this.#work = 0;
    this.#turn++;
    try {
      return call(this.#policy);
    } catch (error) {
      if (error instanceof TooMuchWork) error.message = `One call of ${what} ${error.message}`;
      throw error;
    }
  }

  #spend(): void {
    if (++this.#work > WORK_PER_FRAME * this.count)
      throw new TooMuchWork(`asked more than ${WORK_PER_FRAME} questions for each of ${this.count} frames.`);
  }
}

class TooMuchWork extends Error {}
