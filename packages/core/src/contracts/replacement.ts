/**
 * Page replacement: which pages leave memory next. A policy decides that and nothing else; how a page leaves (its latch,
 * its write, its swip: P1, P2, P4) is the page store's. Registered under the token `REPLACEMENTS`, chosen by name.
 *
 * A hit on a hot page calls nobody, so a policy never learns of it. What it has instead is LeanStore's trick: it asks for a
 * page to be *cooled*. A cool page is in memory still, but the next touch of it takes the slow path once, and that is told:
 * `rewarmed`. So a page that stayed cool for a while was not touched for that while, and the choice of how many pages cool,
 * which, and for how long is all that a policy is.
 *
 * Must hold for a policy: it hands out only pages that are in memory and may leave, each once in a batch; one that was touched
 * while it was cool only after it has cooled anew. Its work in one call is bounded by the number of frames. The same calls and the
 * same random numbers give the same choice. Asked often enough, it comes to every page that may leave.
 *
 * Its state is memory that the store gives it, and nothing else. Every thread that works on the store makes an object of its own
 * over that memory. Calls come one at a time, but each from whichever thread it happens on: what one object has noted, another one
 * has to find. So nothing that decides is kept in a field; what was computed from the number of frames may be.
 */

/** What a policy may ask of the page store. Frames are small integers; a page larger than one frame is named by its first. */
export interface ReplaceableFrames {
  /** Frames have numbers from 0 up to, not including, this one. It does not change. */
  readonly count: number;
  /**
   * A random page that is hot and may leave, or -1. A random frame, and from a page with children in memory on to one of
   * these, and so on down: LeanStore's way to keep inner pages in memory longer than leaves. -1 does not mean that there is none.
   */
  sample(): number;
  /** Whether the page in this frame may leave now: it is in the tree, unlatched, unpinned, not being written, without children in memory. */
  mayLeave(frame: number): boolean;
  /**
   * Turns a page that may leave cool; whether it did. The page may be touched again before the call returns: the policy is
   * then told `rewarmed` within it, and so has to have it down as cool before it calls.
   */
  cool(frame: number): boolean;
  /** 32 random bits. Of the store's own generator: the same run draws the same numbers. */
  random(): number;
}

/** Decides which pages leave. One object for each thread of a page store; what it is told are events off the hit path. */
export interface ReplacementPolicy {
  /**
   * A page came into this frame, hot: read from the file, or new. It has 2^sizeClass frames, from this one on. With `isScanned` it was read for a long scan, which will
   * probably not come back to it.
   */
  entered(frame: number, sizeClass: number, isScanned?: boolean): void;
  /** The page, which was cool, is hot again: it was touched, by a long scan if so said, or is losing its place in the tree. */
  rewarmed(frame: number, isScanned?: boolean): void;
  /** The page has left the frame: it was evicted, or given up. It may have been cool. */
  left(frame: number): void;
  /** The page is in another frame now, as cool or hot as before. What was known of `from` goes with it. */
  moved(from: number, to: number): void;
  /**
   * Gets candidates ready, by cooling pages. Called before victims are asked for, and again after they have left, so that
   * candidates have time to be touched before their turn comes.
   */
  prepare(): void;
  /**
   * Fills the batch from its beginning with pages that are to leave, the first of all first; how many. They have not left when
   * it returns: `left` tells, or nothing, when writing them failed. 0 if it has none ready that may leave; if a frame is needed at once,
   * the store then looks for one itself.
   */
  victims(batch: Int32Array): number;
}

/** How a policy is made; registered under the token `REPLACEMENTS`. */
export interface ReplacementPolicyType {
  /** By which the page store's options name it. */
  readonly name: string;
  /** Bytes of memory that it needs to keep its state of so many frames. For one number always the same. */
  stateBytes(frames: number): number;
  /**
   * Makes an object over the state. Memory of zeros, which is what a new store gives, is the state of a policy that was told nothing
   * yet; else it is in use by other objects already, and stays as it is.
   */
  attach(frames: ReplaceableFrames, state: SharedArrayBuffer): ReplacementPolicy;
}
