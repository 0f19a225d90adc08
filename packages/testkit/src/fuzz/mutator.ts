/**
 * Damages valid bytes. Every change is a small plain object, so that an input is its valid original and a list of changes:
 * it can be made again, told in words, and shrunk by leaving changes out.
 */
import type { Random } from '../random.js';

/** One change. Offsets count in the input as the changes before have left it; what lies beyond its end has no effect. */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  /** A little-endian number of `width` bytes. */
  | { readonly kind: 'number'; readonly at: number; readonly width: 1 | 2 | 4 | 8; readonly value: number }
  | { readonly kind: 'double'; readonly at: number; readonly value: number }
  | { readonly kind: 'fill'; readonly at: number; readonly length: number; readonly value: number }
  /** The first range is written over the second, or both change places. */
  | { readonly kind: 'copy' | 'swap'; readonly from: number; readonly to: number; readonly length: number }
  /** A range of another valid input takes the place of the one here. */
  | { readonly kind: 'splice'; readonly other: number; readonly at: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly length: number }
  | { readonly kind: 'extend'; readonly length: number; readonly value: number };

/** A stretch of an input whose bytes mean something: half of the changes go there. */
export interface Field {
  readonly start: number;
  readonly end: number;
}

/** What the mutator must know of the input that it is to damage. */
export interface Mutable {
  readonly length: number;
  readonly fields: readonly Field[];
  /** Whether the length may change. */
  readonly resizes: boolean;
  /** How many valid inputs there are to splice with. */
  readonly others: number;
}

/** Bytes at the edges of their range. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff] as const;
const WIDTHS = [1, 2, 4, 8] as const;
/** Numbers at which lengths, counts and signs go wrong. */
const NUMBERS = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  9,
  0x7f,
  0x80,
  0xff,
  0x100,
  0xfff,
  0x1000,
  0x7fff,
  0x8000,
  0xfff8,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
] as const;
const DOUBLES = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, -0, 0.5, 2 ** 53, 1e300] as const;
/** An input gets from 1 to this many changes, most often few. */
const MOST_CHANGES = 6;
const LONGEST_EXTENSION = 64;

/** Chooses what is done to one input. */
export class Mutator {
  constructor(
    private readonly random: Random,
    private readonly input: Mutable,
  ) {}

  /** The changes of one input. */
  choose(): Mutation[] {
    const mutations = [this.#one()];
    while (mutations.length < MOST_CHANGES && this.random.chance(0.4)) mutations.push(this.#one());
    return mutations;
  }

  #one(): Mutation {
    const { random, input } = this;
    const kind = random.below(input.resizes ? 16 : 14);
    const at = this.#place();
    if (kind < 3) return { kind: 'flip', at, bit: random.below(8) };
    if (kind < 5) return { kind: 'number', at, width: 1, value: random.pick(EDGES) };
    if (kind < 9) return this.#number(at);
    if (kind === 9) return { kind: 'double', at: at & ~7, value: random.pick(DOUBLES) };
    if (kind === 10)
      return { kind: 'fill', at, length: this.#stretch(), value: random.chance(0.5) ? 0 : random.below(256) };
    if (kind === 11) return { kind: 'copy', from: this.#place(), to: at, length: this.#stretch() };
    if (kind === 12) return { kind: 'swap', from: this.#place(), to: at, length: this.#stretch() };
    if (kind === 13) return { kind: 'splice', other: random.below(input.others), at, length: this.#stretch() };
    if (kind === 14) return { kind: 'truncate', length: random.below(input.length + 1) };
    return { kind: 'extend', length: random.between(1, LONGEST_EXTENSION), value: random.pick(EDGES) };
  }

  /** Aligned to its width or not; a number of note, one near the input's length, or any. */
  #number(place: number): Mutation {
    const { random, input } = this;
    const width = random.pick(WIDTHS);
    const at = random.chance(0.75) ? place - (place % width) : place;
    const choice = random.below(4);
    let value: number = random.pick(NUMBERS);
    if (choice === 2) value = Math.max(0, input.length + random.between(-9, 9));
    if (choice === 3) value = random.below(random.chance(0.5) ? 256 : 2 ** 32);
    return { kind: 'number', at, width, value: value % 2 ** (8 * width) };
  }

  #place(): number {
    const { random, input } = this;
    if (input.fields.length === 0 || random.chance(0.5)) return random.below(Math.max(1, input.length));
    const { start, end } = random.pick(input.fields);
    return start + random.below(end - start);
  }

  /** A length: that of a field, of a slot, or of a sector. */
  #stretch(): number {
    return 1 << this.random.below(10);
  }
}

/** The damaged copy of an input. `others` are the valid inputs that a splice may take from. */
export function mutated(
  original: Uint8Array,
  mutations: readonly Mutation[],
  others: readonly Uint8Array[],
): Uint8Array {
  let bytes = new Uint8Array(original);
  for (const mutation of mutations) bytes = apply(bytes, mutation, others);
  return bytes;
}

/** A change in words. */
export function describeMutation(mutation: Mutation): string {
  switch (mutation.kind) {
    case 'flip':
      return `bit ${mutation.bit} of byte ${mutation.at} flipped`;
    case 'number':
      return `u${8 * mutation.width} at ${mutation.at} set to ${mutation.value}`;
    case 'double':
      return `f64 at ${mutation.at} set to ${mutation.value}`;
    case 'fill':
      return `${mutation.length} bytes from ${mutation.at} on set to ${mutation.value}`;
    case 'copy':
      return `${mutation.length} bytes from ${mutation.from} copied to ${mutation.to}`;
    case 'swap':
      return `${mutation.length} bytes from ${mutation.from} and from ${mutation.to} exchanged`;
    case 'splice':
      return `${mutation.length} bytes from ${mutation.at} on taken from input ${mutation.other}`;
    case 'truncate':
      return `cut off at ${mutation.length}`;
    case 'extend':
      return `extended by ${mutation.length} bytes of ${mutation.value}`;
  }
}

function apply(
  bytes: Uint8Array<ArrayBuffer>,
  mutation: Mutation,
  others: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  switch (mutation.kind) {
    case 'flip':
      if (mutation.at < bytes.length) bytes[mutation.at]! ^= 1 << mutation.bit;
      return bytes;
    case 'number':
      writeNumber(bytes, mutation.at, mutation.width, mutation.value);
      return bytes;
    case 'double':
      if (mutation.at + 8 <= bytes.length) new DataView(bytes.buffer).setFloat64(mutation.at, mutation.value, true);
      return bytes;
    case 'fill':
      return bytes.fill(mutation.value, mutation.at, mutation.at + mutation.length);
    case 'copy':
      return bytes.copyWithin(mutation.to, mutation.from, mutation.from + mutation.length);
    case 'swap':
      exchange(bytes, mutation.from, mutation.to, mutation.length);
      return bytes;
    case 'splice': {
      const other = others[mutation.other] ?? bytes;
      const end = Math.min(mutation.at + mutation.length, bytes.length, other.length);
      if (end > mutation.at) bytes.set(other.subarray(mutation.at, end), mutation.at);
      return bytes;
    }
    case 'truncate':
      return bytes.slice(0, mutation.length);
    case 'extend': {
      const longer = new Uint8Array(bytes.length + mutation.length).fill(mutation.value);
      longer.set(bytes);
      return longer;
    }
  }
}

function writeNumber(bytes: Uint8Array, at: number, width: number, value: number): void {
  let rest = value;
  for (let i = at; i < Math.min(at + width, bytes.length); i++) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function exchange(bytes: Uint8Array, a: number, b: number, length: number): void {
  for (let i = 0; i < length && Math.max(a, b) + i < bytes.length; i++) {
    const byte = bytes[a + i]!;
    bytes[a + i] = bytes[b + i]!;
    bytes[b + i] = byte;
  }
}
