/**
 * Sorts entries of a transaction by key. Of each key the bits in which keys differ, behind what all have in common, are made a number, the *head*, with the
 * place of the entry in its lowest bits, and the numbers are sorted as such, which the runtime does several times as fast as anything that calls back. Keys
 * with the same head are sorted among themselves, from there on.
 */

/** So few are sorted by comparing them. */
const FEW = 24;
/** So many bytes of all keys are looked at together. */
const WINDOW = 16;

/** Where the keys of entries lie. */
export interface Keys {
  chunkOf(entry: number): Uint8Array;
  /** Of the chunk. */
  viewOf(entry: number): DataView;
  /** The key, which ends where the value begins. */
  keyStart(entry: number): number;
  valueStart(entry: number): number;
  /** Negative, zero or positive, as the first key sorts before, with or after the second one. Bytes before `from` are known to be the same. */
  compare(a: number, b: number, from: number): number;
}

/** Entries that the first bytes of their keys do not tell apart: from the first one on, up to the last. They are in the order that they had. */
export interface Alike {
  readonly first: number;
  readonly end: number;
}

/** Sorts `entries`, all of one index and rising; those of one key stay in that order. Returns whether there are such. */
export function sortByKey(keys: Keys, entries: Uint32Array): boolean {
  return sortFrom(keys, entries, 0);
}

/** The first step of sorting many entries: by heads alone. `depth`: so many bytes of their keys those that are alike have in common. */
export function sortByHead(
  keys: Keys,
  entries: Uint32Array,
): { readonly alike: readonly Alike[]; readonly depth: number } {
  const alike: Alike[] = [];
  const depth = sortHeads(keys, entries, 0, (first, end) => alike.push({ first, end }));
  return { alike, depth };
}

/** All keys agree in their first `depth` bytes, where a key that is shorter counts as followed by zeros. */
export function sortFrom(keys: Keys, entries: Uint32Array, depth: number): boolean {
  if (entries.length <= FEW) return insertionSort(keys, entries, depth);
  let hasSame = false;
  if (depth > 0 && !isAnyLonger(keys, entries, depth)) {
    // They differ in nothing but the zeros at their ends, if at all.
    entries.sort((a, b) => {
      const order = keys.compare(a, b, depth);
      if (order === 0 && a !== b) hasSame = true;
      return order === 0 ? a - b : order;
    });
    return hasSame;
  }
  const alike: number[] = [];
  const end = sortHeads(keys, entries, depth, (first, end) => alike.push(first, end));
  for (let i = 0; i < alike.length; i += 2) {
    if (sortFrom(keys, entries.subarray(alike[i]!, alike[i + 1]!), end)) hasSame = true;
  }
  return hasSame;
}

/** Sorts by heads, and calls back for each group whose heads are the same. Returns how many bytes the keys of such a group have in common. */
function sortHeads(
  keys: Keys,
  entries: Uint32Array,
  depth: number,
  onAlike: (first: number, end: number) => void,
): number {
  const count = entries.length;
  const placeBits = 32 - Math.clz32(count - 1);
  const columns = columnsOf(keys, entries, depth, 64 - placeBits);
  const { end } = columns;
  const heads = headsOf(keys, entries, columns, placeBits);
  const words = new Uint32Array(heads.buffer);
  heads.sort();
  const before = new Uint32Array(entries);
  const placeMask = 2 ** placeBits - 1;
  const headMask = ~placeMask;
  for (let i = 0; i < count; i++) entries[i] = before[words[2 * i]! & placeMask]!;
  for (let first = 0, i = 1; i <= count; i++) {
    const isSame =
      i < count && words[2 * i + 1] === words[2 * first + 1] && ((words[2 * i]! ^ words[2 * first]!) & headMask) === 0;
    if (isSame) continue;
    if (i - first > 1) onAlike(first, i);
    first = i;
  }
  return end;
}

/** Which bits of which bytes heads are made of: the lowest ones, where all above are the same in all keys. */
class Columns {
  count = 0;
  readonly positions = new Uint32Array(WINDOW);
  readonly widths = new Uint32Array(WINDOW);
  /** All bytes before it are in the heads, or the same in all keys. */
  end = 0;

  add(position: number, width: number): void {
    this.positions[this.count] = position;
    this.widths[this.count++] = width;
  }
}

// Most groups are small, and memory of their own would take longer than sorting them. Each is used and done with before the next group is begun.
const COLUMNS = new Columns();
const FIRST = new Int32Array(WINDOW >>> 2);
const DIFFERING = new Int32Array(WINDOW >>> 2);

/** The columns behind what all keys have in common, which are their first `depth` bytes at least. Good until the next call. */
function columnsOf(keys: Keys, entries: Uint32Array, depth: number, bits: number): Columns {
  const columns = COLUMNS;
  columns.count = 0;
  let left = bits;
  for (let from = depth; ; from += WINDOW) {
    findDiffering(keys, entries, from);
    for (let i = 0; i < WINDOW; i++) {
      // Bytes of words stand in them as they do in a key, the first one lowest.
      const width = 32 - Math.clz32((DIFFERING[i >>> 2]! >>> (8 * (i & 3))) & 0xff);
      if (width > left) {
        columns.end = from + i;
        return columns;
      }
      left -= width;
      if (width > 0) columns.add(from + i, width);
    }
    // Where heads tell something each pass over the keys that makes them longer costs as much as one that goes on from there.
    if (columns.count > 0 || !isAnyLonger(keys, entries, from + WINDOW)) {
      columns.end = from + WINDOW;
      return columns;
    }
  }
}

/** Of a window of the keys the bits that are not the same in all of them, in `DIFFERING`. A key that is shorter counts as followed by zeros. */
function findDiffering(keys: Keys, entries: Uint32Array, from: number): void {
  DIFFERING.fill(0);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const view = keys.viewOf(entry);
    const start = keys.keyStart(entry) + from;
    const length = Math.max(0, Math.min(WINDOW, keys.valueStart(entry) - start));
    const whole = length >>> 2;
    for (let word = 0; word < FIRST.length; word++) {
      const bytes =
        word < whole ? view.getInt32(start + 4 * word, true) : lastBytes(view, start + 4 * word, length - 4 * word);
      if (i === 0) FIRST[word] = bytes;
      else DIFFERING[word]! |= bytes ^ FIRST[word]!;
    }
  }
}

/** The bytes that there are of a word, at most three, with zeros behind them. */
function lastBytes(view: DataView, start: number, length: number): number {
  let bytes = 0;
  for (let i = 0; i < length; i++) bytes |= view.getUint8(start + i) << (8 * i);
  return bytes;
}

function isAnyLonger(keys: Keys, entries: Uint32Array, length: number): boolean {
  for (let i = 0; i < entries.length; i++)
    if (keys.valueStart(entries[i]!) - keys.keyStart(entries[i]!) > length) return true;
  return false;
}

/** For each entry 64 bits: the head, and its place in the lowest bits. */
function headsOf(keys: Keys, entries: Uint32Array, columns: Columns, placeBits: number): BigUint64Array {
  const { positions, widths, count } = columns;
  const heads = new BigUint64Array(entries.length);
  const words = new Uint32Array(heads.buffer);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    const chunk = keys.chunkOf(entry);
    const start = keys.keyStart(entry);
    const length = keys.valueStart(entry) - start;
    let high = 0;
    let low = 0;
    for (let column = 0; column < count; column++) {
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

function insertionSort(keys: Keys, entries: Uint32Array, depth: number): boolean {
  let hasSame = false;
  for (let i = 1; i < entries.length; i++) {
    const entry = entries[i]!;
    let at = i;
    for (; at > 0; at--) {
      const order = keys.compare(entries[at - 1]!, entry, depth);
      if (order === 0) hasSame = true;
      if (order <= 0) break;
      entries[at] = entries[at - 1]!;
    }
    entries[at] = entry;
  }
  return hasSame;
}
