/**
 * Tells when threads stand in each other's way at a leaf though they change different entries: then it is to be split between
 * them, full or not (contention split; Alhomssi and Leis, "Contention and Space Management in B-Trees", CIDR 2021).
 *
 * Each thread notes for itself what it had to wait for. Where nobody waits nothing is noted, and a change costs nothing more.
 */

/** Leaves that are kept in mind: a power of two. A hotter one takes the place of another. */
const PLACES = 64;
/** So many changes of a leaf that had to wait … */
export const WAITS = 32;
/** … among so many changes of this thread anywhere are too many. */
export const WINDOW = 1024;

export class Contention {
  readonly #frames = new Int32Array(PLACES).fill(-1);
  readonly #waits = new Int32Array(PLACES);
  readonly #since = new Float64Array(PLACES);
  readonly #slots = new Int32Array(PLACES);
  /** Changes of this thread. */
  #changes = 0;

  /** A change came through. */
  changed(): void {
    this.#changes++;
  }

  /**
   * A change of the entry in a slot of a leaf had to wait. The number of entries that the leaf is to keep if it is to be split
   * between this entry and the one that waited before it; else 0.
   */
  waited(frame: number, slot: number): number {
    const place = frame & (PLACES - 1);
    const isNew = this.#frames[place] !== frame || this.#changes - this.#since[place]! > WINDOW;
    const before = this.#slots[place]!;
    this.#slots[place] = slot;
    if (isNew) {
      this.#frames[place] = frame;
      this.#since[place] = this.#changes;
      this.#waits[place] = 1;
      return 0;
    }
    this.#waits[place] = this.#waits[place]! + 1;
    // Those who want the same entry would wait for each other in any leaf.
    if (this.#waits[place]! < WAITS || slot === before) return 0;
    this.#frames[place] = -1;
    return (slot + before + 1) >>> 1;
  }
}
