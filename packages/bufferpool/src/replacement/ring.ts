/**
 * Pages in the order in which they came, each hot for a while and then cool. A cool one waits for its turn to leave, and whatever touches it meanwhile shows.
 *
 * A ring of links: node 0 is its head, a frame is the node after its number. The head links to the oldest page as the newer one, and to the newest as the
 * older one; so memory of zeros is an empty ring.
 *
 * Must hold: cool pages are older than all hot ones. A node that is not in the ring links to node 0 as the newer one.
 */
import type { ReplaceableFrames } from '@pagewright/core/contracts';

const HEAD = 0;

// Words of the header:
const COUNT = 0;
/** How many of them are hot. */
const HOT = 1;
/** The oldest page that is hot, or `HEAD`. */
const OLDEST_HOT = 2;
const HEADER_WORDS = 3;

export class Ring {
  readonly #header: Int32Array;
  /** Neighbours, by node. The newest page has the head as its newer neighbour, as have all that are not in the ring. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  /** By node, whether it is in the ring and has cooled. */
  readonly #cooled: Uint8Array;

  /** Over the bytes of `state` from `at` on, a multiple of four. */
  constructor(
    private readonly frames: ReplaceableFrames,
    state: SharedArrayBuffer,
    at: number,
  ) {
    const nodes = frames.count + 1;
    this.#header = new Int32Array(state, at, HEADER_WORDS);
    this.#newer = new Int32Array(state, at + 4 * HEADER_WORDS, nodes);
    this.#older = new Int32Array(state, at + 4 * (HEADER_WORDS + nodes), nodes);
    this.#cooled = new Uint8Array(state, at + 4 * (HEADER_WORDS + 2 * nodes), nodes);
  }

  /** A multiple of four. */
  static stateBytes(frames: number): number {
    const nodes = frames + 1;
    return 4 * (HEADER_WORDS + 2 * nodes) + Math.ceil(nodes / 4) * 4;
  }

  get count(): number {
    return this.#get(COUNT);
  }

  has(frame: number): boolean {
    return this.#newer[frame + 1] !== HEAD || this.#older[HEAD] === frame + 1;
  }

  /** As the newest, hot. */
  add(frame: number): void {
    const node = frame + 1;
    this.#join(this.#older[HEAD] as number, node);
    this.#join(node, HEAD);
    this.#add(COUNT, 1);
    this.#add(HOT, 1);
    if (this.#get(OLDEST_HOT) === HEAD) this.#header[OLDEST_HOT] = node;
  }

  remove(frame: number): void {
    const node = frame + 1;
    if (this.#cooled[node] === 0) this.#notHot(node);
    this.#cooled[node] = 0;
    this.#join(this.#older[node] as number, this.#newer[node] as number);
    this.#newer[node] = HEAD;
    this.#add(COUNT, -1);
  }

  /** The page is in another frame now, and in the same place here. */
  move(from: number, to: number): void {
    const [source, target] = [from + 1, to + 1];
    const newer = this.#newer[source] as number;
    this.#newer[source] = HEAD;
    this.#join(this.#older[source] as number, target);
    this.#join(target, newer);
    this.#cooled[target] = this.#cooled[source] as number;
    this.#cooled[source] = 0;
    if (this.#get(OLDEST_HOT) === source) this.#header[OLDEST_HOT] = target;
  }

  /** Cools the oldest that are hot, so many at most, until no more than these are. */
  cool(spared: number, most: number): void {
    for (let left = most; left > 0 && this.#get(HOT) > spared; left--) {
      const node = this.#get(OLDEST_HOT);
      // First down as cool: whoever touches the page as soon as it is finds it so.
      this.#notHot(node);
      this.#cooled[node] = 1;
      // One that may not leave now, because pages are below it or somebody works on it or beside it, gets in line again.
      if (this.frames.cool(node - 1) || !this.has(node - 1)) continue;
      this.remove(node - 1);
      this.add(node - 1);
    }
  }

  /** Puts cool pages that may leave into the batch, the oldest first, from one place on and up to another; where it ends. */
  take(batch: Int32Array, from: number, to: number): number {
    let at = from;
    let node = this.#newer[HEAD] as number;
    for (; this.#cooled[node] === 1 && at < to; node = this.#newer[node] as number) {
      if (this.frames.mayLeave(node - 1)) batch[at++] = node - 1;
    }
    return at;
  }

  #notHot(node: number): void {
    if (this.#get(OLDEST_HOT) === node) this.#header[OLDEST_HOT] = this.#newer[node] as number;
    this.#add(HOT, -1);
  }

  /** From now on these two are neighbours. */
  #join(older: number, newer: number): void {
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }

  #get(word: number): number {
    return this.#header[word] as number;
  }

  #add(word: number, count: number): void {
    this.#header[word] = this.#get(word) + count;
  }
}
