/**
 * A hash table in shared memory, as textbook buffer pools have it: open addressing with linear probing. A slot holds a frame and nothing else;
 * the name that it is compared by is in the entry of the frame, in the cache line of the version that a reader looks at next.
 *
 * Readers take no latch. Must hold: what they find is the frame of that name while the page above is unchanged, because a page enters,
 * leaves or moves only while the page above it is latched; entries of other pages may shift under a reader's eyes, which is why a frame is
 * asked for its name, and not the slot. Whoever finds nothing because of that asks again under the pool latch.
 */
import { invariant, type NamedFrames, type Translation } from '@pagewright/core/contracts';
import { NO_FRAME } from '../frames.js';
import { freeName, MOST_NAMES } from './given-names.js';

/** At least so many slots for each frame, so that half of them are empty, or more. */
const SLOTS_FOR_FRAME = 2;
/** 2^32 divided by the golden ratio: neighbouring names are spread over the table (Knuth, volume 3, section 6.4). */
const GOLDEN = 0x9e3779b1;
const EMPTY = 0;

export class HashTable implements Translation {
  /** The frame plus 1, or `EMPTY`. */
  readonly #slots: Int32Array;
  /** One word: counts new pages. */
  readonly #newPages: Int32Array;
  readonly #mask: number;
  readonly #shift: number;
  readonly #isTaken = (name: number): boolean => this.frameOf(name) !== NO_FRAME;

  constructor(
    private readonly named: NamedFrames,
    state: SharedArrayBuffer,
  ) {
    const slots = slotsFor(named.count);
    this.#slots = new Int32Array(state, 0, slots);
    this.#newPages = new Int32Array(state, 4 * slots, 1);
    this.#mask = slots - 1;
    this.#shift = 32 - Math.log2(slots);
  }

  static stateBytes(frames: number): number {
    return 4 * (slotsFor(frames) + 1);
  }

  frameOf(name: number): number {
    const slots = this.#slots;
    for (let slot = this.#homeOf(name); ; slot = (slot + 1) & this.#mask) {
      const found = slots[slot] as number;
      if (found === EMPTY) return NO_FRAME;
      if (this.named.nameOf(found - 1) === name) return found - 1;
    }
  }

  enter(frame: number, unit: number): number {
    const name = freeName(unit, MOST_NAMES - 1, this.#newPages, 0, this.#isTaken);
    let slot = this.#homeOf(name);
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & this.#mask;
    this.named.setName(frame, name);
    this.#slots[slot] = frame + 1;
    return name;
  }

  leave(frame: number): void {
    this.#empty(this.#slotOf(frame));
    this.named.setName(frame, 0);
  }

  move(from: number, to: number): number {
    const name = this.named.nameOf(from);
    const slot = this.#slotOf(from);
    this.named.setName(to, name);
    this.#slots[slot] = to + 1;
    this.named.setName(from, 0);
    return name;
  }

  #homeOf(name: number): number {
    return Math.imul(name, GOLDEN) >>> this.#shift;
  }

  #slotOf(frame: number): number {
    let slot = this.#homeOf(this.named.nameOf(frame));
    for (; this.#slots[slot] !== frame + 1; slot = (slot + 1) & this.#mask)
      invariant(this.#slots[slot] !== EMPTY, 'A page that has a name is not in the table of names');
    return slot;
  }

  /** Empties a slot, and moves back into the gap what stands behind it and has its home before it: algorithm R of the same section. */
  #empty(slot: number): void {
    const slots = this.#slots;
    let gap = slot;
    for (let at = (slot + 1) & this.#mask; slots[at] !== EMPTY; at = (at + 1) & this.#mask) {
      const found = slots[at] as number;
      const fromHome = (at - this.#homeOf(this.named.nameOf(found - 1))) & this.#mask;
      if (fromHome < ((at - gap) & this.#mask)) continue;
      slots[gap] = found;
      gap = at;
    }
    slots[gap] = EMPTY;
  }
}

function slotsFor(frames: number): number {
  return 2 ** Math.ceil(Math.log2(SLOTS_FOR_FRAME * frames));
}
