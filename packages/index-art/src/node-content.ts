/**
 * A node out of its page, as whoever changes its shape sees it: a prefix, a terminator, and children in order of their bytes. What grows, shrinks,
 * gets a slice or loses one is read, changed here, and written as the kind that fits.
 *
 * Must hold: what is read was found sound, or is on a page whose latch is held and was bounded by its caller.
 */
import type { Segment } from '@pagewright/core';
import {
  capacityOf,
  fixedSize,
  kindFor,
  kindOf,
  NO_BYTE,
  NODE_COUNT,
  NODE_KEYS,
  NODE_TERMINATOR,
  NODE4,
  NODE4_REFERENCES,
  NODE16,
  NODE16_REFERENCES,
  NODE48,
  NODE48_INDEX,
  NODE48_REFERENCES,
  NODE256_REFERENCES,
  nodeSize,
  prefixLengthAt,
  SLICE,
  terminatorAt,
} from './node-layout.js';
import { byteFrom, childFor, sliceEnd } from './node-search.js';

export class NodeContent {
  readonly prefix: Uint8Array;
  prefixLength = 0;
  /** The reference of the leaf of the key that ends behind the prefix; 0 if there is none. */
  terminator = 0;
  count = 0;
  /** The byte of each child, and the last one if it is a slice. */
  readonly first = new Uint8Array(256);
  readonly last = new Uint8Array(256);
  readonly references = new Uint16Array(256);

  constructor(longestKey: number) {
    this.prefix = new Uint8Array(longestKey);
  }

  /** A node without children. */
  clear(): void {
    this.prefixLength = this.terminator = this.count = 0;
  }

  read(segment: Segment, at: number, kind: number): void {
    const { u8 } = segment;
    this.prefixLength = Math.min(prefixLengthAt(segment, at), this.prefix.length);
    this.terminator = terminatorAt(segment, at);
    const from = at + fixedSize(kind);
    for (let i = 0; i < this.prefixLength; i++) this.prefix[i] = u8[from + i]!;
    this.count = 0;
    for (let byte = byteFrom(segment, at, kind, 0); byte < NO_BYTE; ) {
      const reference = childFor(segment, at, kind, byte);
      const last = kindOf(reference) === SLICE ? sliceEnd(segment, at, kind, byte) : byte;
      this.add(byte, last, reference);
      byte = byteFrom(segment, at, kind, last + 1);
    }
  }

  /** Adds a child behind all others. */
  add(first: number, last: number, reference: number): void {
    const { count } = this;
    this.first[count] = first;
    this.last[count] = last;
    this.references[count] = reference;
    this.count = count + 1;
  }

  /** Puts a child in its place. There is none for the byte, and no slice has it. */
  insert(byte: number, reference: number): void {
    let at = 0;
    while (at < this.count && this.first[at]! < byte) at++;
    this.#makePlace(at);
    this.first[at] = this.last[at] = byte;
    this.references[at] = reference;
  }

  /** Which child has the byte; -1: none. */
  indexOf(byte: number): number {
    for (let at = 0; at < this.count; at++) if (this.first[at]! <= byte && byte <= this.last[at]!) return at;
    return -1;
  }

  /** Takes away so many children from one on. */
  remove(at: number, many = 1): void {
    this.first.copyWithin(at, at + many, this.count);
    this.last.copyWithin(at, at + many, this.count);
    this.references.copyWithin(at, at + many, this.count);
    this.count -= many;
  }

  /** Puts the children of a slice where the slice was. */
  spread(at: number, slice: NodeContent): void {
    this.remove(at);
    for (let i = 0; i < slice.count; i++) {
      this.#makePlace(at + i);
      this.first[at + i] = slice.first[i]!;
      this.last[at + i] = slice.last[i]!;
      this.references[at + i] = slice.references[i]!;
    }
  }

  /** Divides a child in two at a byte within it, or behind it. */
  divide(at: number, byte: number, reference: number): void {
    this.#makePlace(at + 1);
    this.first[at + 1] = byte;
    this.last[at + 1] = Math.max(byte, this.last[at]!);
    this.references[at + 1] = reference;
    this.last[at] = byte - 1;
  }

  #makePlace(at: number): void {
    const { count } = this;
    this.first.copyWithin(at + 1, at, count);
    this.last.copyWithin(at + 1, at, count);
    this.references.copyWithin(at + 1, at, count);
    this.count = count + 1;
  }

  /** Places that it takes in a small node: two for a slice of several bytes. */
  get places(): number {
    let places = 0;
    for (let i = 0; i < this.count; i++) places += this.first[i] === this.last[i] ? 1 : 2;
    return places;
  }

  /** Whether a node of the kind holds it. */
  fits(kind: number): boolean {
    return (kind >= NODE48 ? this.count : this.places) <= capacityOf(kind);
  }

  /** The smallest kind that holds it. */
  get kind(): number {
    return kindFor(this.places, this.count);
  }

  get size(): number {
    return nodeSize(this.kind, this.prefixLength);
  }

  /** Writes it as a node of a kind that holds it. */
  write(segment: Segment, at: number, kind: number): void {
    const { u8, u16, u32 } = segment;
    const fixed = fixedSize(kind);
    u32.fill(0, at >>> 2, (at + fixed) >>> 2);
    u16[at >>> 1] = this.prefixLength;
    u16[(at + NODE_TERMINATOR) >>> 1] = this.terminator;
    if (kind === NODE4 || kind === NODE16) this.#writeSmall(segment, at, kind);
    else for (let i = 0; i < this.count; i++) this.#writeChild(segment, at, kind, i);
    if (kind === NODE48) u16[(at + NODE_COUNT) >>> 1] = this.count;
    for (let i = 0; i < this.prefixLength; i++) u8[at + fixed + i] = this.prefix[i]!;
  }

  #writeSmall({ u8, u16 }: Segment, at: number, kind: number): void {
    const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
    let place = 0;
    for (let i = 0; i < this.count; i++) {
      const [first, last] = [this.first[i]!, this.last[i]!];
      u8[at + NODE_KEYS + place] = first;
      u16[references + place++] = this.references[i]!;
      if (first === last) continue;
      u8[at + NODE_KEYS + place] = last;
      u16[references + place++] = this.references[i]!;
    }
  }

  #writeChild({ u8, u16 }: Segment, at: number, kind: number, i: number): void {
    const reference = this.references[i]!;
    if (kind === NODE48) u16[((at + NODE48_REFERENCES) >>> 1) + i] = reference;
    else u16[(at + NODE_COUNT) >>> 1] = u16[(at + NODE_COUNT) >>> 1]! + this.last[i]! - this.first[i]! + 1;
    for (let byte = this.first[i]!; byte <= this.last[i]!; byte++) {
      if (kind === NODE48) u8[at + NODE48_INDEX + byte] = i + 1;
      else u16[(at + NODE256_REFERENCES + 2 * byte) >>> 1] = reference;
    }
  }
}
