/**
 * Which blocks are free, class by class: bitmaps in shared memory with summaries above them. The lowest free block of a
 * class is found in a few words however many units there are, and what is kept is about two bits a unit.
 *
 * Units are taken in chunks of 2^k. The blocks of a chunk are the nodes of a binary tree, numbered as in a heap: node 1 is
 * the whole chunk, and the block of class c at unit u of the chunk is node (2^k + u) >> c. One bit for each node is a bitmap
 * in which class c has the run from 2^(k-c) to 2^(k-c+1). A summary has one bit for each word of the level below, so what
 * stands for node n is bit n >> 5: the same tree without its lowest five classes. For each class there is a level at which
 * its run lies in one word; there its summaries end.
 *
 * | words | |
 * | --- | --- |
 * | 0 | the classes of which there are free blocks, one bit each |
 * | 1, 2 | units; those of them that are free |
 * | from 3 | for each class how many free blocks it has |
 * | from 32 | for each class the chunks in which it has free blocks, one bit each |
 * | then, for each chunk | its levels, the highest first |
 *
 * Must hold: a bit of a summary is set exactly if its word below has a bit of that class. Memory of zeros is no units.
 * Calls come one at a time, from any thread.
 */
import { invariant } from '@pagewright/core/contracts';

const CLASSES = 0;
const UNITS = 1;
const FREE_UNITS = 2;
const BLOCKS = 3;
const CHUNK_MAPS = 32;

/** A chunk has at most 2^20 units: about 264 KiB of bits. So `maxClass` is at most this. */
const LARGEST_CHUNK = 20;

export class FreeBlocks {
  readonly #shape: Shape;
  /** The memory as far as it was used when this view was made. Fixed in length: a view that follows the memory's length makes code 30 times slower. */
  #words: Int32Array;

  /** `memory`: of `FreeBlocks.bytes`, or from `FreeBlocks.growing`, with the same `maxClass` and `capacity`. */
  constructor(
    private readonly memory: SharedArrayBuffer,
    maxClass: number,
    capacity: number,
  ) {
    this.#shape = shapeOf(maxClass, capacity);
    this.#words = viewOf(memory);
  }

  /** Memory that it takes. */
  get bytes(): number {
    return this.memory.byteLength;
  }

  /** Bytes of memory for so many units. */
  static bytes(maxClass: number, capacity: number): number {
    return bytesOf(shapeOf(maxClass, capacity), capacity);
  }

  /** Memory that grows with the units, up to the capacity. What there are no units for is address space alone. */
  static growing(maxClass: number, capacity: number): SharedArrayBuffer {
    const shape = shapeOf(maxClass, capacity);
    return new SharedArrayBuffer(bytesOf(shape, 0), { maxByteLength: bytesOf(shape, capacity) });
  }

  get units(): number {
    return this.#words[UNITS] as number;
  }

  get freeUnits(): number {
    return this.#words[FREE_UNITS] as number;
  }

  /** How many free blocks of that class there are. */
  countOf(sizeClass: number): number {
    return this.#words[BLOCKS + sizeClass] as number;
  }

  /** The classes of which there are free blocks, one bit each. */
  get classes(): number {
    return this.#words[CLASSES] as number;
  }

  /** Adds units at the end, none of them free. */
  extend(units: number): void {
    const total = this.units + units;
    const bytes = bytesOf(this.#shape, total);
    if (bytes > this.memory.byteLength) {
      invariant(this.memory.growable && bytes <= this.memory.maxByteLength, `There is no memory for ${total} units`);
      this.memory.grow(bytes);
    }
    this.#words[UNITS] = total;
  }

  /** Takes units away at the end. None of them is in a free block. */
  cut(units: number): void {
    this.#words[UNITS] = this.units - units;
  }

  has(unit: number, sizeClass: number): boolean {
    const { chunkShift, lowest } = this.#shape;
    const node = this.#nodeOf(unit, sizeClass);
    const at = this.#baseOf(unit >>> chunkShift) + lowest + (node >>> 5);
    return ((this.#words[at] as number) & (1 << (node & 31))) !== 0;
  }

  /** Whether the unit is in a free block of this class or a larger one. */
  covers(unit: number, sizeClass: number): boolean {
    const { chunkShift, lowest } = this.#shape;
    const nodes = this.#baseOf(unit >>> chunkShift) + lowest;
    const words = this.#words;
    let node = this.#nodeOf(unit, sizeClass);
    for (let classes = (words[CLASSES] as number) >>> sizeClass; classes !== 0; classes >>>= 1, node >>>= 1) {
      if (((words[nodes + (node >>> 5)] as number) & (1 << (node & 31))) !== 0) return true;
    }
    return false;
  }

  add(unit: number, sizeClass: number): void {
    const { chunkShift, levelAt, top, mapWords } = this.#shape;
    const chunk = unit >>> chunkShift;
    const base = this.#baseOf(chunk);
    const words = this.#words;
    words[FREE_UNITS] = (words[FREE_UNITS] as number) + (1 << sizeClass);
    words[BLOCKS + sizeClass] = (words[BLOCKS + sizeClass] as number) + 1;
    const last = top[sizeClass] as number;
    let node = this.#nodeOf(unit, sizeClass);
    for (let level = 0; ; level++, node >>>= 5) {
      const at = base + (levelAt[level] as number) + (node >>> 5);
      const before = words[at] as number;
      words[at] = before | (1 << (node & 31));
      if (level === last) break;
      if (before !== 0) return;
    }
    const at = CHUNK_MAPS + sizeClass * mapWords + (chunk >>> 5);
    words[at] = (words[at] as number) | (1 << (chunk & 31));
    words[CLASSES] = (words[CLASSES] as number) | (1 << sizeClass);
  }

  remove(unit: number, sizeClass: number): void {
    const { chunkShift, levelAt, top, topMask, mapWords } = this.#shape;
    const chunk = unit >>> chunkShift;
    const base = this.#baseOf(chunk);
    const words = this.#words;
    words[FREE_UNITS] = (words[FREE_UNITS] as number) - (1 << sizeClass);
    words[BLOCKS + sizeClass] = (words[BLOCKS + sizeClass] as number) - 1;
    const last = top[sizeClass] as number;
    let node = this.#nodeOf(unit, sizeClass);
    for (let level = 0; ; level++, node >>>= 5) {
      const at = base + (levelAt[level] as number) + (node >>> 5);
      const after = (words[at] as number) & ~(1 << (node & 31));
      words[at] = after;
      if (level === last) {
        if ((after & (topMask[sizeClass] as number)) !== 0) return;
        break;
      }
      if (after !== 0) return;
    }
    const map = CHUNK_MAPS + sizeClass * mapWords;
    const at = map + (chunk >>> 5);
    words[at] = (words[at] as number) & ~(1 << (chunk & 31));
    for (let word = map; word < map + mapWords; word++) if (words[word] !== 0) return;
    words[CLASSES] = (words[CLASSES] as number) & ~(1 << sizeClass);
  }

  /** The lowest free block of this class that begins at this unit or above; -1 if there is none. */
  next(sizeClass: number, from: number): number {
    const { chunkShift } = this.#shape;
    const chunk = from >>> chunkShift;
    const within = from & ((1 << chunkShift) - 1);
    if (within !== 0 && from < this.units) {
      const found = this.#nextWithin(chunk, sizeClass, within);
      if (found >= 0) return found;
    }
    return this.#lowestFrom(sizeClass, within === 0 ? chunk : chunk + 1);
  }

  /** The lowest in the chunks from this one on. */
  #lowestFrom(sizeClass: number, chunk: number): number {
    const { mapWords, top, topMask } = this.#shape;
    const map = CHUNK_MAPS + sizeClass * mapWords;
    let mask = -1 << (chunk & 31);
    for (let word = chunk >>> 5; word < mapWords; word++, mask = -1) {
      const chunks = (this.#words[map + word] as number) & mask;
      if (chunks === 0) continue;
      const found = word * 32 + lowestBit(chunks);
      const level = top[sizeClass] as number;
      const summary = topMask[sizeClass] as number;
      // A run of 32 nodes has word 1 to itself; shorter ones share word 0.
      const node = summary === -1 ? 1 : 0;
      return this.#descend(found, sizeClass, level, node, summary);
    }
    return -1;
  }

  /** As `next`, in one chunk; `within` counts from its first unit. Goes up until a word has something, then down. */
  #nextWithin(chunk: number, sizeClass: number, within: number): number {
    const { chunkShift, levelAt, top, topMask } = this.#shape;
    const base = this.#baseOf(chunk);
    const last = top[sizeClass] as number;
    let node = ((1 << chunkShift) + within + (1 << sizeClass) - 1) >>> sizeClass;
    for (let level = 0, end = 2 << (chunkShift - sizeClass); node < end; level++, end >>>= 5) {
      const mask = (-1 << (node & 31)) & (level === last ? (topMask[sizeClass] as number) : -1);
      const word = (this.#words[base + (levelAt[level] as number) + (node >>> 5)] as number) & mask;
      if (word !== 0) return this.#descend(chunk, sizeClass, level, node >>> 5, mask);
      if (level === last) return -1;
      node = (node >>> 5) + 1;
    }
    return -1;
  }

  /** The lowest block below a word of a level; of that word only what the mask leaves counts. */
  #descend(chunk: number, sizeClass: number, from: number, word: number, mask: number): number {
    const { chunkShift, levelAt } = this.#shape;
    const base = this.#baseOf(chunk);
    let node = word;
    let bits = mask;
    for (let level = from; level >= 0; level--, bits = -1) {
      const found = (this.#words[base + (levelAt[level] as number) + node] as number) & bits;
      node = node * 32 + lowestBit(found);
    }
    return (chunk << chunkShift) + (node << sizeClass) - (1 << chunkShift);
  }

  #nodeOf(unit: number, sizeClass: number): number {
    const { chunkShift } = this.#shape;
    return ((1 << chunkShift) | (unit & ((1 << chunkShift) - 1))) >>> sizeClass;
  }

  /** Index of the chunk's first word. Another thread may have made the memory larger than this one has seen it. */
  #baseOf(chunk: number): number {
    const { header, chunkWords } = this.#shape;
    const base = header + chunk * chunkWords;
    if (base + chunkWords > this.#words.length) this.#words = viewOf(this.memory);
    return base;
  }
}

/** Where what is. It follows from `maxClass` and capacity, and is the same in all threads. */
interface Shape {
  /** A chunk has 2^chunkShift units. */
  readonly chunkShift: number;
  /** Words in the map of chunks that each class has. */
  readonly mapWords: number;
  /** Words before the first chunk. */
  readonly header: number;
  readonly chunkWords: number;
  /** Where in a chunk each level begins. Level 0, the nodes themselves, comes last. */
  readonly levelAt: readonly number[];
  /** `levelAt[0]`. */
  readonly lowest: number;
  /** For each class the level at which its run lies in one word. */
  readonly top: readonly number[];
  /** The bits of that word that are the class's. */
  readonly topMask: readonly number[];
}

function shapeOf(maxClass: number, capacity: number): Shape {
  invariant(maxClass <= LARGEST_CHUNK, `Blocks of class ${maxClass} are larger than a chunk`);
  const chunkShift = Math.max(maxClass, Math.min(LARGEST_CHUNK, Math.ceil(Math.log2(Math.max(1, capacity)))));
  const mapWords = Math.ceil(Math.ceil(capacity / 2 ** chunkShift) / 32);
  const top: number[] = [];
  const topMask: number[] = [];
  for (let sizeClass = 0; sizeClass <= maxClass; sizeClass++) {
    const level = Math.max(0, Math.ceil((chunkShift - sizeClass - 5) / 5));
    const run = 2 ** (chunkShift - sizeClass - 5 * level);
    top.push(level);
    topMask.push(run === 32 ? -1 : ((1 << run) - 1) << run);
  }
  const levelAt: number[] = [];
  let chunkWords = 0;
  for (let level = top[0] as number; level >= 0; level--) {
    levelAt[level] = chunkWords;
    chunkWords += Math.max(1, 2 ** (chunkShift + 1 - 5 * (level + 1)));
  }
  const header = CHUNK_MAPS + (maxClass + 1) * mapWords;
  return { chunkShift, mapWords, header, chunkWords, levelAt, lowest: levelAt[0] as number, top, topMask };
}

function bytesOf(shape: Shape, units: number): number {
  return (shape.header + Math.ceil(units / 2 ** shape.chunkShift) * shape.chunkWords) * 4;
}

function viewOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, memory.byteLength >>> 2);
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
