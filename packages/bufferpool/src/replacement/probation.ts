/**
 * Probation: a page that has come into memory is a newcomer until it is touched once more, and newcomers leave before pages
 * that have proven themselves. So pages that are read once push out one another and little else, as in 2Q (VLDB
 * 1994) and S3-FIFO (SOSP 2023). Pages that have proven themselves are the business of another policy, which sees no newcomers.
 *
 * A newcomer is hot for a while, because a page is often touched a few times when it comes and then never again. Then it is
 * cooled, and waits for its turn; whatever touches it meanwhile proves it. A page that a long scan brings is a passer-by: those leave before newcomers, and
 * the scan itself proves none of them.
 *
 * Must hold: a frame is in one of the rings or the other policy's, never both.
 */
import type { ReplaceableFrames, ReplacementPolicy } from '@pagewright/core/contracts';
import { Ring } from './ring.js';

/** Decides about pages that have proven themselves. How large they are it is not told. */
export interface ProvenPolicy extends Omit<ReplacementPolicy, 'entered' | 'rewarmed'> {
  entered(frame: number): void;
  rewarmed(frame: number): void;
}

/** How it is made; as with `ReplacementPolicyType`. */
export interface ProvenPolicyType {
  stateBytes(frames: number): number;
  attach(frames: ReplaceableFrames, state: SharedArrayBuffer): ProvenPolicy;
}

/** This share of the frames is for newcomers: while there are no more, proven pages leave instead. 2Q advises a quarter, S3-FIFO a tenth. */
const NEWCOMERS_SHARE = 0.2;
/** And of this share the newest stay hot. */
const HOT_SHARE = 0.1;
/** And this one for passers-by, of which half stay hot while scans go on: room for what they have read ahead. */
const PASSING_SHARE = 0.1;
const PASSING_HOT_SHARE = 0.05;
/** While there are no more than that, one of so many pages that leave is one of them: scans end, and what they have left must go. */
const LEAVING_FOR_PASSING = 8;
/** For so many passers-by one other page leaves, so that what nobody wants any more makes room for what is scanned again and again. */
const PASSING_FOR_OTHERS = 64;
/** Cooled in one call: more than leave meanwhile, so that newcomers are cool for long, and few enough for a call to be short. */
const MOST_COOLED = 64;
/**
 * For so many newcomers one proven page leaves, so that what proved itself long ago does not stay for ever. A larger number is better
 * against scans, a smaller one when all that is used changes at once (docs/decisions/0009 has figures).
 */
const NEWCOMERS_FOR_PROVEN = 16;
const NONE = -1;

// Words of the header:
/** Newcomers handed out since the last proven page. */
const HANDED_OUT = 0;
/** 1 if nothing was found to hand out: then newcomers leave however few and new they are. */
const IN_NEED = 1;
/** Passers-by handed out since the last page that is none. */
const PASSED_OUT = 2;
/** Newcomers that have come since the last passer-by. */
const SINCE_PASSING = 3;
const HEADER_WORDS = 4;

export class Probation implements ReplacementPolicy {
  readonly #header: Int32Array;
  readonly #newcomers: Ring;
  readonly #passing: Ring;
  readonly #proven: ProvenPolicy;

  constructor(
    private readonly frames: ReplaceableFrames,
    state: SharedArrayBuffer,
    proven: ProvenPolicyType,
  ) {
    const at = alignedBytes(proven, frames.count);
    const rings = at + 4 * HEADER_WORDS;
    this.#header = new Int32Array(state, at, HEADER_WORDS);
    this.#newcomers = new Ring(frames, state, rings);
    this.#passing = new Ring(frames, state, rings + Ring.stateBytes(frames.count));
    const provenFrames: ReplaceableFrames = {
      count: frames.count,
      sample: () => this.#sampleProven(),
      mayLeave: (frame) => frames.mayLeave(frame),
      cool: (frame) => frames.cool(frame),
      random: () => frames.random(),
    };
    // Its state comes first.
    this.#proven = proven.attach(provenFrames, state);
  }

  static stateBytes(frames: number, proven: ProvenPolicyType): number {
    return alignedBytes(proven, frames) + 4 * HEADER_WORDS + 2 * Ring.stateBytes(frames);
  }

  entered(frame: number, _sizeClass: number, isScanned = false): void {
    if (isScanned) this.#passing.add(frame);
    else this.#newcomers.add(frame);
    this.#header[SINCE_PASSING] = isScanned ? 0 : Math.min(this.#get(SINCE_PASSING) + 1, this.frames.count);
  }

  rewarmed(frame: number, isScanned = false): void {
    const ring = this.#ringOf(frame);
    if (ring === null) {
      this.#proven.rewarmed(frame);
      return;
    }
    ring.remove(frame);
    if (isScanned) ring.add(frame);
    else this.#proven.entered(frame);
  }

  left(frame: number): void {
    const ring = this.#ringOf(frame);
    if (ring === null) this.#proven.left(frame);
    else ring.remove(frame);
  }

  moved(from: number, to: number): void {
    const ring = this.#ringOf(from);
    if (ring === null) this.#proven.moved(from, to);
    else ring.move(from, to);
  }

  prepare(): void {
    const { count } = this.frames;
    const isInNeed = this.#isInNeed();
    const isOver = this.#get(SINCE_PASSING) > count * PASSING_HOT_SHARE;
    this.#passing.cool(isInNeed || isOver ? 0 : Math.floor(count * PASSING_HOT_SHARE), MOST_COOLED);
    this.#newcomers.cool(isInNeed ? 0 : Math.floor(count * HOT_SHARE), MOST_COOLED);
    this.#proven.prepare();
  }

  victims(batch: Int32Array): number {
    const due = Math.min(Math.floor(this.#get(PASSED_OUT) / PASSING_FOR_OTHERS), batch.length);
    const passing = this.#passing.take(batch, 0, Math.min(this.#mostPassing(batch.length), batch.length - due));
    this.#add(PASSED_OUT, passing - due * PASSING_FOR_OTHERS);
    const count = passing + this.#others(batch.subarray(passing));
    this.#header[IN_NEED] = count === 0 ? 1 : 0;
    return count;
  }

  #mostPassing(most: number): number {
    if (this.#isInNeed()) return most;
    const many = Math.floor(this.#passing.count - this.frames.count * PASSING_SHARE);
    return Math.min(most, Math.max(many, Math.ceil(most / LEAVING_FOR_PASSING)));
  }

  /** Newcomers, and proven pages for some of them, or only these while newcomers are few. */
  #others(batch: Int32Array): number {
    let count = 0;
    if (this.#isInNeed() || this.#newcomers.count > this.frames.count * NEWCOMERS_SHARE) {
      const due = Math.min(Math.floor(this.#get(HANDED_OUT) / NEWCOMERS_FOR_PROVEN), batch.length);
      if (due > 0) {
        this.#add(HANDED_OUT, -due * NEWCOMERS_FOR_PROVEN);
        count = this.#proven.victims(batch.subarray(0, due));
      }
      const end = this.#newcomers.take(batch, count, batch.length);
      this.#add(HANDED_OUT, end - count);
      count = end;
    }
    return count > 0 ? count : this.#proven.victims(batch);
  }

  #sampleProven(): number {
    const frame = this.frames.sample();
    return frame !== NONE && this.#ringOf(frame) !== null ? NONE : frame;
  }

  /** The ring that a frame is in; null: it is the other policy's. */
  #ringOf(frame: number): Ring | null {
    if (this.#newcomers.has(frame)) return this.#newcomers;
    return this.#passing.has(frame) ? this.#passing : null;
  }

  #isInNeed(): boolean {
    return this.#get(IN_NEED) === 1;
  }

  #get(word: number): number {
    return this.#header[word] as number;
  }

  #add(word: number, count: number): void {
    this.#header[word] = this.#get(word) + count;
  }
}

/** The other policy's bytes, up to where words may begin. */
function alignedBytes(proven: ProvenPolicyType, frames: number): number {
  return Math.ceil(proven.stateBytes(frames) / 4) * 4;
}
