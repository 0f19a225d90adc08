/**
 * Probation: a page that has come into memory is a newcomer until it is touched once more, and newcomers leave before pages
 * that have proven themselves. So pages that are read once, by a scan, push out one another and little else, as in 2Q (VLDB
 * 1994) and S3-FIFO (SOSP 2023). Pages that have proven themselves are the business of another policy, which sees no newcomers.
 *
 * A newcomer is hot for a while, because a page is often touched a few times when it comes and then never again. Then it is
 * cooled, and waits for its turn; whatever touches it meanwhile proves it. Newcomers stand in a ring of links in the order in
 * which they came: node 0 is its head, a frame is the node after its number. Memory of zeros is an empty ring.
 *
 * Must hold: a frame is in the ring or the other policy's, never both. In the ring cool pages are older than all hot ones.
 */
import type { ReplaceableFrames, ReplacementPolicy } from '@pagewright/core/contracts';

/** Decides about pages that have proven themselves. How large they are it is not told. */
export interface ProvenPolicy extends Omit<ReplacementPolicy, 'entered'> {
  entered(frame: number): void;
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
/** Cooled in one call: more than leave meanwhile, so that newcomers are cool for long, and few enough for a call to be short. */
const MOST_COOLED = 64;
/**
 * For so many newcomers one proven page leaves, so that what proved itself long ago does not stay for ever. A larger number is better
 * against scans, a smaller one when all that is used changes at once (docs/decisions/0009 has figures).
 */
const NEWCOMERS_FOR_PROVEN = 16;
const NONE = -1;
const HEAD = 0;

// Words of the header:
const NEWCOMERS = 0;
/** How many of them are hot. */
const HOT = 1;
/** The oldest newcomer that is hot, or `HEAD`. */
const OLDEST_HOT = 2;
/** Newcomers handed out since the last proven page. */
const HANDED_OUT = 3;
/** 1 if nothing was found to hand out: then newcomers leave however few and new they are. */
const IN_NEED = 4;
const HEADER_WORDS = 5;

export class Probation implements ReplacementPolicy {
  readonly #header: Int32Array;
  /** Neighbours in the ring, by node. The newest page has the head as its newer neighbour, as have all that are not in the ring. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  /** By node, whether it is a newcomer that has cooled. */
  readonly #cooled: Uint8Array;
  readonly #proven: ProvenPolicy;

  constructor(
    private readonly frames: ReplaceableFrames,
    state: SharedArrayBuffer,
    proven: ProvenPolicyType,
  ) {
    const nodes = frames.count + 1;
    const at = alignedBytes(proven, frames.count);
    this.#header = new Int32Array(state, at, HEADER_WORDS);
    this.#newer = new Int32Array(state, at + 4 * HEADER_WORDS, nodes);
    this.#older = new Int32Array(state, at + 4 * (HEADER_WORDS + nodes), nodes);
    this.#cooled = new Uint8Array(state, at + 4 * (HEADER_WORDS + 2 * nodes), nodes);
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
    const nodes = frames + 1;
    return alignedBytes(proven, frames) + 4 * (HEADER_WORDS + 2 * nodes) + nodes;
  }

  entered(frame: number): void {
    const node = frame + 1;
    this.#join(this.#older[HEAD] as number, node);
    this.#join(node, HEAD);
    this.#add(NEWCOMERS, 1);
    this.#add(HOT, 1);
    if (this.#get(OLDEST_HOT) === HEAD) this.#header[OLDEST_HOT] = node;
  }

  rewarmed(frame: number): void {
    if (this.#isNewcomer(frame + 1)) {
      this.#remove(frame + 1);
      this.#proven.entered(frame);
    } else this.#proven.rewarmed(frame);
  }

  left(frame: number): void {
    if (this.#isNewcomer(frame + 1)) this.#remove(frame + 1);
    else this.#proven.left(frame);
  }

  moved(from: number, to: number): void {
    if (!this.#isNewcomer(from + 1)) {
      this.#proven.moved(from, to);
      return;
    }
    const [source, target] = [from + 1, to + 1];
    const newer = this.#newer[source] as number;
    this.#newer[source] = HEAD;
    this.#join(this.#older[source] as number, target);
    this.#join(target, newer);
    this.#cooled[target] = this.#cooled[source] as number;
    this.#cooled[source] = 0;
    if (this.#get(OLDEST_HOT) === source) this.#header[OLDEST_HOT] = target;
  }

  prepare(): void {
    const spared = this.#isInNeed() ? 0 : Math.floor(this.frames.count * HOT_SHARE);
    for (let left = MOST_COOLED; left > 0 && this.#get(HOT) > spared; left--) {
      const node = this.#get(OLDEST_HOT);
      // First down as cool: whoever touches the page as soon as it is finds it so, and proves it.
      this.#notHot(node);
      this.#cooled[node] = 1;
      // One that may not leave now, because pages are below it or somebody works on it or beside it, gets in line again.
      if (this.frames.cool(node - 1) || !this.#isNewcomer(node)) continue;
      this.#remove(node);
      this.entered(node - 1);
    }
    this.#proven.prepare();
  }

  victims(batch: Int32Array): number {
    let count = 0;
    if (this.#isInNeed() || this.#get(NEWCOMERS) > this.frames.count * NEWCOMERS_SHARE) {
      const due = Math.min(Math.floor(this.#get(HANDED_OUT) / NEWCOMERS_FOR_PROVEN), batch.length);
      if (due > 0) {
        this.#add(HANDED_OUT, -due * NEWCOMERS_FOR_PROVEN);
        count = this.#proven.victims(batch.subarray(0, due));
      }
      let node = this.#newer[HEAD] as number;
      for (; this.#cooled[node] === 1 && count < batch.length; node = this.#newer[node] as number) {
        if (!this.frames.mayLeave(node - 1)) continue;
        batch[count++] = node - 1;
        this.#add(HANDED_OUT, 1);
      }
    }
    if (count === 0) count = this.#proven.victims(batch);
    this.#header[IN_NEED] = count === 0 ? 1 : 0;
    return count;
  }

  #sampleProven(): number {
    const frame = this.frames.sample();
    return frame !== NONE && this.#isNewcomer(frame + 1) ? NONE : frame;
  }

  #isInNeed(): boolean {
    return this.#get(IN_NEED) === 1;
  }

  #isNewcomer(node: number): boolean {
    return this.#newer[node] !== HEAD || this.#older[HEAD] === node;
  }

  #remove(node: number): void {
    if (this.#cooled[node] === 0) this.#notHot(node);
    this.#cooled[node] = 0;
    this.#join(this.#older[node] as number, this.#newer[node] as number);
    this.#newer[node] = HEAD;
    this.#add(NEWCOMERS, -1);
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

/** The other policy's bytes, up to where words may begin. */
function alignedBytes(proven: ProvenPolicyType, frames: number): number {
  return Math.ceil(proven.stateBytes(frames) / 4) * 4;
}
