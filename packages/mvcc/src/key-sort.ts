/**
 * Sorts entries of a transaction by key. Of each key the bits in which keys differ, behind what all have in common, are made a number, the *head*, with the
 * place of the entry in its lowest bits, and the numbers are sorted as such, which the runtime does several times as fast as anything that calls back. Keys
 * with the same head are sorted among themselves, from there on.
 */
import type { WriteMemory } from './write-memory.js';

/** So few are sorted by comparing them. */
const FEW = 24;
/** So many bytes of all keys are looked at together. */
const WINDOW = 16;

/** Sorts `entries`, all of one index and rising; those of one key stay in that order. Returns whether there are such. */
export function sortByKey(memory: WriteMemory, entries: Uint32Array): boolean {
  return sortFrom(memory, entries, 0);
}

/** All keys agree in their first `depth` bytes, where a key that is shorter counts as followed by zeros. */
function sortFrom(memory: WriteMemory, entries: Uint32Array, depth: number): boolean {
  const count = entries.length;
  if (count <= FEW) return insertionSort(memory, entries, depth);
  if (depth > 0 && !isAnyLonger(memory, entries, depth)) {
    // They differ in nothing but the zeros at their ends, if at all.
    let hasSame = false;
    entries.sort((a, b) => {
      const order = memory.compare(a, b, depth);
      if (order === 0 && a !== b) hasSame = true;
      return order === 0 ? a - b : order;
    });
    return hasSame;
  }
  const placeBits = 32 - Math.clz32(count - 1);
  const columns = columnsOf(memory, entries, depth, 64 - placeBits);
  const heads = headsOf(memory, entries, columns, placeBits);
  const words = new Uint32Array(heads.buffer);
  heads.sort();
  const before = entries.slice();
  const placeMask = 2 ** placeBits - 1;
  const headMask = ~placeMask;
  for (let i = 0; i < count; i++) entries[i] = before[words[2 * i]! & placeMask]!;
  let hasSame = false;
  for (let first = 0, i = 1; i <= count; i++) {
    const isSame =
      i < count && words[2 * i + 1] === words[2 * first + 1] && ((words[2 * i]! ^ words[2 * first]!) & headMask) === 0;
    if (isSame) continue;
    if (i - first > 1 && sortFrom(memory, entries.subarray(first, i), columns.end)) hasSame = true;
    first = i;
  }
  return hasSame;
}

/** Which bits of which bytes heads are made of: the lowest ones, where all above are the same in all keys. */
interface Columns {
  readonly positions: Uint32Array;
  readonly widths: Uint32Array;
  /** All bytes before it are in the heads, or the same in all keys. */
  readonly end: number;
}

/** The columns behind what all keys have in common, which are their first `depth` bytes at least. */
function columnsOf(memory: WriteMemory, entries: Uint32Array, depth: number, bits: number): Columns {
  const positions: number[] = [];
  const widths: number[] = [];
  let left = bits;
  for (let from = depth; ; from += WINDOW) {
    const differing = differingBits(memory, entries, from);
    for (let i = 0; i < WINDOW; i++) {
      const width = 32 - Math.clz32(differing[i]!);
      if (width > left)
        return { positions: Uint32Array.from(positions), widths: Uint32Array.from(widths), end: from + i };
      left -= width;
      if (width === 0) continue;
      positions.push(from + i);
      widths.push(width);
    }
    // Where heads tell something each pass over the keys that makes them longer costs as much as one that goes on from there.
    if (positions.length > 0 || !isAnyLonger(memory, entries, from + WINDOW)) {
      return { positions: Uint32Array.from(positions), widths: Uint32Array.from(widths), end: from + WINDOW };
    }
  }
}

/** Of each byte of a window of the keys the bits that are not the same in all of them. A key that is shorter counts as followed by zeros. */
function differingBits(memory: WriteMemory, entries: Uint32Array, from: number): Uint8Array {
  const differing = new Int32Array(WINDOW >>> 2);
  const wanted = new Int32Array(WINDOW >>> 2);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const view = memory.viewOf(entry);
    const start = memory.keyStart(entry) + from;
    const length = Math.max(0, Math.min(WINDOW, memory.valueStart(entry) - start));
    const whole = length >>> 2;
    for (let word = 0; word < wanted.length; word++) {
      const bytes =
        word < whole ? view.getInt32(start + 4 * word, true) : lastBytes(view, start + 4 * word, length - 4 * word);
      if (i === 0) wanted[word] = bytes;
      else differing[word]! |= bytes ^ wanted[word]!;
    }
  }
  const bytes = new DataView(new ArrayBuffer(WINDOW));
  for (let word = 0; word < differing.length; word++) bytes.setInt32(4 * word, differing[word]!, true);
  return new Uint8Array(bytes.buffer);
}

/** The bytes that there are of a word, at most three, with zeros behind them. */
function lastBytes(view: DataView, start: number, length: number): number {
  let bytes = 0;
  for (let i = 0; i < length; i++) bytes |= view.getUint8(start + i) << (8 * i);
  return bytes;
}

function isAnyLonger(memory: WriteMemory, entries: Uint32Array, length: number): boolean {
  for (let i = 0; i < entries.length; i++) if (memory.keyLength(entries[i]!) > length) return true;
  return false;
}

/** For each entry 64 bits: the head, and its place in the lowest bits. */
function headsOf(memory: WriteMemory, entries: Uint32Array, columns: Columns, placeBits: number): BigUint64Array {
  const { positions, widths } = columns;
  const heads = new BigUint64Array(entries.length);
  const words = new Uint32Array(heads.buffer);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const chunk = memory.chunkOf(entry);
    const start = memory.keyStart(entry);
    const length = memory.valueStart(entry) - start;
    let high = 0;
    let low = 0;
    for (let column = 0; column < positions.length; column++) {
      const position = positions[column]!;
      const width = widths[column]!;
      const byte = position < length ? chunk[start + position]! : 0;
      high = (high << width) | (low >>> (32 - width));
      low = (low << width) | (byte & ((1 << width) - 1));
    }
    words[2 * i + 1] = (high << placeBits) | (low >>> (32 - placeBits));
    words[2 * i] = (low << placeBits) | i;
  }
  return heads;
}

function insertionSort(memory: WriteMemory, entries: Uint32Array, depth: number): boolean {
  let hasSame = false;
  for (let i = 1; i < entries.length; i++) {
    const entry = entries[i]!;
    let at = i;
    for (; at > 0; at--) {
      const order = memory.compare(entries[at - 1]!, entry, depth);
      if (order === 0) hasSame = true;
      if (order <= 0) break;
      entries[at] = entries[at - 1]!;
    }
    entries[at] = entry;
  }
  return hasSame;
}
