/**
 * The catalog's pages: a root with a table of entry pages, and entry pages with slots of one size, each of which holds
 * the root swip of one tree and what is known of it. Slots have one stride, so that the swips are a table like any
 * other page's. `docs/format/catalog.md` describes the same for people. This module alone knows the offsets.
 */
import {
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_SIZE,
} from '../contracts/page-layout.js';
import type { Segment } from '../contracts/pages.js';

/** The catalog's pages carry this number of index. */
export const CATALOG_INDEX = 0;
export const KIND_CATALOG_ROOT = 1;
export const KIND_CATALOG_ENTRIES = 2;

const CATALOG_VERSION = 1;

/**
 * Root page, after the header:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 32 | u32 | version of the catalog, 1 |
 * | 36 | u32 | number for the next index; numbers below were used |
 * | 64 | swip × n | entry pages, to the end of the page; used from the first on |
 */
const ROOT_VERSION = 32;
const ROOT_NEXT_NUMBER = 36;
export const ROOT_SWIPS = 64;

/**
 * Entry page: slots of 256 bytes from offset 256 to the end. Slot:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 0 | swip | root page of the tree |
 * | 8 | u32 | number of the index |
 * | 12 | u8 | state: 0 free, 1 live, 2 dropped: the tree is being given up, 3 being built, 4 built: it waits for the commit that makes it live, 5 abandoned: it will be dropped |
 * | 13 | u8 | flags: bit 0, the tree may have tombstones |
 * | 14 | u8 × 4 | lengths of type, key encoding, value encoding and name, in bytes |
 * | 20 | u32 | of a tree in state 3 or 4: the thread that builds it; means nothing when the store is opened again |
 * | 24 | f64 | incarnation: timestamp of the commit that made the tree; of one in state 3 to 5, the last when it was begun |
 * | 32 | utf8 | type, at most 32 bytes |
 * | 64 | utf8 | key encoding, at most 32 bytes |
 * | 96 | utf8 | value encoding, at most 32 bytes |
 * | 128 | utf8 | name, at most 128 bytes |
 */
export const SLOT_SIZE = 256;
const FIRST_SLOT = 256;
const SLOT_NUMBER = 8;
const SLOT_STATE = 12;
const SLOT_FLAGS = 13;
const SLOT_LENGTHS = 14;
const SLOT_LOADER = 20;
const SLOT_INCARNATION = 24;

const FIELDS = [
  { field: 'type', offset: 32, size: 32 },
  { field: 'keyEncoding', offset: 64, size: 32 },
  { field: 'valueEncoding', offset: 96, size: 32 },
  { field: 'name', offset: 128, size: 128 },
] as const;

export const STATE_FREE = 0;
export const STATE_LIVE = 1;
export const STATE_DROPPED = 2;
/** A tree that a bulk load is filling: whoever opens the store gives it up. */
export const STATE_BUILDING = 3;
/** A tree that a bulk load has filled, and that is in every checkpoint from which its commit may be replayed. */
export const STATE_BUILT = 4;
/** It was being built, and never will be live. It is dropped when no checkpoint has it as built. */
export const STATE_ABANDONED = 5;
const LAST_STATE = STATE_ABANDONED;
const FLAG_TOMBSTONES = 1;

/** In bytes of UTF-8. */
export const MAX_NAME_BYTES = 128;
/** For names of index types and of encodings, in bytes of UTF-8. */
export const MAX_LABEL_BYTES = 32;

/** What an index is, without what is in it. */
export interface IndexDescription {
  readonly type: string;
  readonly keyEncoding: string;
  readonly valueEncoding: string;
  readonly name: string;
}

export interface SlotContent extends IndexDescription {
  readonly number: number;
  readonly state: number;
  readonly incarnation: number;
  readonly mayHaveTombstones: boolean;
  /** Tag of the thread that builds the tree; 0 if none does. */
  readonly loader: number;
}

export function entryPagesPerRoot(pageSize: number): number {
  return Math.floor((pageSize - ROOT_SWIPS) / SWIP_SIZE);
}

export function slotsPerPage(pageSize: number): number {
  return Math.floor((pageSize - FIRST_SLOT) / SLOT_SIZE);
}

/** Byte offset of a slot, and of its root swip, in its page. */
export function slotOffset(slot: number): number {
  return FIRST_SLOT + slot * SLOT_SIZE;
}

export function formatRoot(segment: Segment, base: number, pageSize: number): void {
  clearBody(segment, base, pageSize);
  formatSwipTable(segment, base, ROOT_SWIPS, entryPagesPerRoot(pageSize), SWIP_SIZE);
  segment.u32[(base + ROOT_VERSION) >>> 2] = CATALOG_VERSION;
  segment.u32[(base + ROOT_NEXT_NUMBER) >>> 2] = 1;
}

export function formatEntries(segment: Segment, base: number, pageSize: number): void {
  clearBody(segment, base, pageSize);
  formatSwipTable(segment, base, FIRST_SLOT, slotsPerPage(pageSize), SLOT_SIZE);
}

export function writeNextNumber(segment: Segment, base: number, next: number): void {
  segment.u32[(base + ROOT_NEXT_NUMBER) >>> 2] = next;
}

/** Writes all of a slot but its swip. `at` is the slot's byte offset in the segment. */
export function writeSlot(segment: Segment, at: number, content: SlotContent): void {
  segment.u8.fill(0, at + SWIP_SIZE, at + SLOT_SIZE);
  segment.u32[(at + SLOT_NUMBER) >>> 2] = content.number;
  segment.u8[at + SLOT_STATE] = content.state;
  segment.u8[at + SLOT_FLAGS] = content.mayHaveTombstones ? FLAG_TOMBSTONES : 0;
  segment.u32[(at + SLOT_LOADER) >>> 2] = content.loader;
  segment.f64[(at + SLOT_INCARNATION) >>> 3] = content.incarnation;
  FIELDS.forEach(({ field, offset }, i) => {
    const text = Buffer.from(content[field]);
    segment.u8[at + SLOT_LENGTHS + i] = text.length;
    segment.u8.set(text, at + offset);
  });
}

export function writeSlotState(segment: Segment, at: number, state: number): void {
  segment.u8[at + SLOT_STATE] = state;
}

export function writeTombstoneFlag(segment: Segment, at: number, mayHaveTombstones: boolean): void {
  segment.u8[at + SLOT_FLAGS] = mayHaveTombstones ? FLAG_TOMBSTONES : 0;
}

/** What is wrong with a page, in words; the caller knows which page it is. */
export class CatalogDamage {
  constructor(readonly what: string) {}
}

/** Reads a root page from a private copy. Throws {@link CatalogDamage}. */
export function readRoot(page: DataView): { readonly nextNumber: number } {
  expectHeader(page, KIND_CATALOG_ROOT, ROOT_SWIPS, entryPagesPerRoot(page.byteLength), SWIP_SIZE);
  const version = page.getUint32(ROOT_VERSION, true);
  if (version !== CATALOG_VERSION)
    throw new CatalogDamage(`has version ${version} of the catalog instead of ${CATALOG_VERSION}`);
  const nextNumber = page.getUint32(ROOT_NEXT_NUMBER, true);
  if (nextNumber === 0) throw new CatalogDamage('says that the next index has the number 0');
  return { nextNumber };
}

/** Reads the slots of an entry page from a private copy; undefined for a free one. Throws {@link CatalogDamage}. */
export function readEntries(page: DataView): (SlotContent | undefined)[] {
  const count = slotsPerPage(page.byteLength);
  expectHeader(page, KIND_CATALOG_ENTRIES, FIRST_SLOT, count, SLOT_SIZE);
  return Array.from({ length: count }, (_, slot) => readSlot(page, slotOffset(slot)));
}

function readSlot(page: DataView, at: number): SlotContent | undefined {
  const state = page.getUint8(at + SLOT_STATE);
  if (state === STATE_FREE) return undefined;
  if (state > LAST_STATE) throw new CatalogDamage(`has a slot in state ${state}`);
  const flags = page.getUint8(at + SLOT_FLAGS);
  const number = page.getUint32(at + SLOT_NUMBER, true);
  const loader = page.getUint32(at + SLOT_LOADER, true);
  const incarnation = page.getFloat64(at + SLOT_INCARNATION, true);
  if (number === CATALOG_INDEX) throw new CatalogDamage('has an index with the number of the catalog');
  if (!Number.isSafeInteger(incarnation) || incarnation < 0)
    throw new CatalogDamage(`has an index of incarnation ${incarnation}`);
  const texts = { type: '', keyEncoding: '', valueEncoding: '', name: '' };
  FIELDS.forEach(({ field, offset, size }, i) => {
    const length = page.getUint8(at + SLOT_LENGTHS + i);
    if (length === 0 || length > size) throw new CatalogDamage(`has a ${field} of ${length} bytes`);
    texts[field] = decodeText(new Uint8Array(page.buffer, page.byteOffset + at + offset, length));
  });
  return { ...texts, number, state, incarnation, mayHaveTombstones: (flags & FLAG_TOMBSTONES) !== 0, loader };
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CatalogDamage('has a name that is not UTF-8');
  }
}

function expectHeader(page: DataView, kind: number, swips: number, count: number, stride: number): void {
  const found = page.getUint16(PAGE_KIND, true);
  if (found !== kind) throw new CatalogDamage(`is of kind ${found} instead of ${kind}`);
  const index = page.getUint32(PAGE_INDEX, true);
  if (index !== CATALOG_INDEX) throw new CatalogDamage(`belongs to index ${index} instead of the catalog`);
  const table = [
    page.getUint32(PAGE_SWIP_OFFSET, true),
    page.getUint16(PAGE_SWIP_COUNT, true),
    page.getUint16(PAGE_SWIP_STRIDE, true),
  ];
  if (table[0] !== swips || table[1] !== count || table[2] !== stride)
    throw new CatalogDamage('has a swip table of another form');
}

function formatSwipTable(segment: Segment, base: number, offset: number, count: number, stride: number): void {
  segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = offset;
  segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = count;
  segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = stride;
}

function clearBody(segment: Segment, base: number, pageSize: number): void {
  segment.u8.fill(0, base + PAGE_HEADER_SIZE, base + pageSize);
}
