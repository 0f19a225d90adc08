/**
 * What other threads, and a store short of memory, may do to a page between two calls, by chance: tear it under its
 * reader, or change its version. What a torn page held comes back before anybody could know the difference, as it does
 * when a writer has finished; only its version tells.
 */
import type { Random } from '../random.js';
import { CATALOG, type Frames, NOWHERE } from './frames.js';

/** Chances from 0 to 1, at each call at which it may happen. Default: 0, unless it says otherwise. */
export interface Chances {
  /** That some page moves to another frame. */
  relocate: number;
  /** That some page is evicted. */
  evict: number;
  /** That a validation fails, or a latch is not got, because "another thread" was there. */
  interfere: number;
  /** That a page is read while "another thread" is writing it: full of rubbish, until the next call that would tell. */
  tear: number;
  /** That a page which is asked for ahead is loaded. Default: 1. */
  prefetch: number;
}

/** How often each has happened. */
export interface HostileCounts {
  tears: number;
  relocations: number;
  evictions: number;
  loads: number;
  allocations: number;
  interferences: number;
  /** Calls of `modify`. */
  marks: number;
  /** Cold swips that were asked for ahead. */
  wanted: number;
}

export function noCounts(): HostileCounts {
  return { tears: 0, relocations: 0, evictions: 0, loads: 0, allocations: 0, interferences: 0, marks: 0, wanted: 0 };
}

export class Hostility {
  /** A page that is being torn, and its bytes. */
  #torn: { readonly frame: number; readonly bytes: Uint8Array } | null = null;

  constructor(
    private readonly frames: Frames,
    private readonly random: Random,
    readonly chances: Chances,
    private readonly counts: HostileCounts,
  ) {}

  /** Another thread may be writing the page, whose version was just read. */
  mayTear(frame: number): void {
    const { frames, random } = this;
    if (this.chances.tear === 0 || !random.chance(this.chances.tear)) return;
    if (this.#torn !== null || frame === CATALOG || !frames.isLive(frame)) return;
    const bytes = frames.bytes(frame);
    this.#torn = { frame, bytes: new Uint8Array(bytes) };
    this.counts.tears++;
    const everywhere = random.chance(0.3);
    const changes = everywhere ? bytes.length : random.between(1, 40);
    // Half of them where headers are: there it hurts most.
    const reach = random.chance(0.5) ? 96 : bytes.length;
    for (let i = 0; i < changes; i++)
      bytes[everywhere ? i : random.below(reach)] = random.chance(0.3) ? 0xff : random.below(256);
    frames.touch(frame);
  }

  /** The other thread is done with the page, or with whichever it was: whoever looks at the version sees it. */
  mend(frame = NOWHERE): void {
    if (this.#torn === null || (frame !== NOWHERE && frame !== this.#torn.frame)) return;
    const { frame: torn, bytes } = this.#torn;
    this.#torn = null;
    this.frames.bytes(torn).set(bytes);
  }

  /** Another thread may have been at the page since its version was read. */
  mayInterfere(frame: number): void {
    if (this.chances.interfere === 0 || !this.random.chance(this.chances.interfere)) return;
    this.counts.interferences++;
    this.frames.touch(frame);
  }

  /** Whether something comes about that has this chance. */
  lets(chance: number): boolean {
    return chance >= 1 || this.random.chance(chance);
  }

  /** A page that is to be relocated, or -1. */
  pickToRelocate(): number {
    return this.#pick(this.chances.relocate);
  }

  /** A page that is to be evicted, or -1. */
  pickToEvict(): number {
    return this.#pick(this.chances.evict);
  }

  #pick(chance: number): number {
    return chance > 0 && this.random.chance(chance) ? this.random.pick(this.frames.live) : NOWHERE;
  }
}
