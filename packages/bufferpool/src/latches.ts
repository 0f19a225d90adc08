/**
 * Latches with versions, one for each frame (hybrid latches of LeanStore, without the shared mode). A reader takes no
 * latch: it remembers the version and compares it afterwards. A writer takes the latch by compare-exchange, spins
 * briefly, then sleeps in `Atomics.wait`, always with a time-out.
 *
 * Must hold: M1 a version is never reset, so a reader of a frame that was given to another page sees a change. M2 the
 * loads of a read are ordered before its validation.
 */
import { arch } from 'node:process';
import { PagewrightError, POINT, schedulePoint, type Threads } from '@pagewright/core/contracts';
import { type Counters, LATCH_WAITS } from './counters.js';
import { type FrameTable, OWNER, SIZE_CLASS, VERSION } from './frames.js';

const HELD = 1;
const WAITERS = 2;
/** What giving a latch back adds to the version: the count begins at bit 2. */
const STEP = 4;
const SPINS = 64;
const WAIT_MS = 10;
/** So many waits in vain, and the threads are looked at: the one that holds the latch may be gone. */
const WAITS_BEFORE_SWEEP = 50;

export class Latches {
  readonly #words: Int32Array;
  /** What says in a frame's word that this thread holds its latch. */
  readonly #thread: number;
  readonly #shown: Int32Array;
  readonly #shownAt: number;
  /** On arm64 an earlier load may pass a later acquire: a store before it keeps them in order. Elsewhere null. */
  readonly #fence: Int32Array | null;

  constructor(
    private readonly frames: FrameTable,
    private readonly threads: Threads,
    private readonly counters: Counters,
  ) {
    this.#words = frames.words;
    this.#thread = threads.slot + 1;
    this.#shown = threads.words;
    this.#shownAt = threads.at('latches');
    this.#fence = arch === 'arm64' ? new Int32Array(new SharedArrayBuffer(64)) : null;
  }

  /** The version of a frame whose latch nobody holds; waits for that. */
  readVersion(frame: number): number {
    const version = Atomics.load(this.#words, this.frames.at(frame) + VERSION);
    return (version & HELD) === 0 ? version : this.#waitUntilFree(frame);
  }

  /** Whether the frame is as it was when its version was read. */
  validate(frame: number, version: number): boolean {
    if (this.#fence !== null) Atomics.store(this.#fence, 0, 0);
    return Atomics.load(this.#words, this.frames.at(frame) + VERSION) === version;
  }

  /** Takes the latch if the frame is as it was when its version was read. */
  upgrade(frame: number, version: number): boolean {
    const at = this.frames.at(frame);
    // M6: shown before it is held.
    this.#show(1);
    if (Atomics.compareExchange(this.#words, at + VERSION, version, version | HELD) !== version) {
      this.#show(-1);
      schedulePoint(POINT.upgradeFailed);
      return false;
    }
    Atomics.store(this.#words, at + OWNER, this.#thread);
    schedulePoint(POINT.latchTaken);
    return true;
  }

  /** Takes the latch if nobody holds it. */
  tryLatch(frame: number): boolean {
    const version = Atomics.load(this.#words, this.frames.at(frame) + VERSION);
    return (version & HELD) === 0 && this.upgrade(frame, version);
  }

  latch(frame: number): void {
    while (!this.upgrade(frame, this.readVersion(frame)));
  }

  /** Returns the version from now on. */
  unlatch(frame: number): number {
    const at = this.frames.at(frame);
    Atomics.store(this.#words, at + OWNER, 0);
    // Only the holder counts the version on; others can only set the waiters bit, so exchange tells whether to wake them.
    const held = Atomics.load(this.#words, at + VERSION);
    const version = ((held & ~(HELD | WAITERS)) + STEP) | 0;
    const before = Atomics.exchange(this.#words, at + VERSION, version);
    if ((before & WAITERS) !== 0) Atomics.notify(this.#words, at + VERSION);
    this.#show(-1);
    schedulePoint(POINT.latchReleased);
    return version;
  }

  isHeld(frame: number): boolean {
    return (Atomics.load(this.#words, this.frames.at(frame) + VERSION) & HELD) !== 0;
  }

  /** Whether this thread holds it. */
  isOwn(frame: number): boolean {
    return this.isHeld(frame) && Atomics.load(this.#words, this.frames.at(frame) + OWNER) === this.#thread;
  }

  /** Nobody else writes this word, so that adding to it needs no more than a store that others see. */
  #show(difference: number): void {
    Atomics.store(this.#shown, this.#shownAt, (this.#shown[this.#shownAt] as number) + difference);
  }

  #waitUntilFree(frame: number): number {
    const at = this.frames.at(frame) + VERSION;
    if (this.isOwn(frame)) {
      throw new PagewrightError('PW_INTERNAL', `Frame ${frame} is latched twice by one thread. Please report this.`);
    }
    this.counters.addOf(LATCH_WAITS, this.frames.get(frame, SIZE_CLASS));
    for (let spin = 0; ; spin++) {
      const version = Atomics.load(this.#words, at);
      if ((version & HELD) === 0) return version;
      if (spin < SPINS) continue;
      if ((spin - SPINS + 1) % WAITS_BEFORE_SWEEP === 0) this.threads.sweepWhileBlocked();
      this.threads.assertWhole();
      const waiting = version | WAITERS;
      if (version !== waiting && Atomics.compareExchange(this.#words, at, version, waiting) !== version) continue;
      Atomics.wait(this.#words, at, waiting, WAIT_MS);
    }
  }
}
