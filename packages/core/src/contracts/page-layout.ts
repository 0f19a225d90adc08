/**
 * What every page has in common: its header, and how a swip is written. This module alone knows the offsets; a page
 * store reads no more of a page than this, so that no plugin's code runs in eviction, checkpoint, verify or backup.
 * Byte order is little-endian throughout. `docs/format/pages.md` describes the same for people.
 */

/**
 * Header of a page, 32 bytes:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 0 | u16 | kind: what the page is to its index; 0 is a page not yet formatted |
 * | 2 | u8 | size class: the page has `pageSize << class` bytes |
 * | 3 | u8 | reserved, 0 |
 * | 4 | u32 | number of the index that it belongs to; 0 is the catalog |
 * | 8 | f64 | highest commit timestamp of its entries |
 * | 16 | u32 | byte offset of the swip table, a multiple of 8 |
 * | 20 | u16 | number of swips in the table, null ones included |
 * | 22 | u16 | stride of the table in bytes, a multiple of 8 |
 * | 24 | f64 | epoch whose content the stored page holds; written by the page store alone |
 */
export const PAGE_KIND = 0;
export const PAGE_CLASS = 2;
export const PAGE_INDEX = 4;
export const PAGE_TIMESTAMP = 8;
export const PAGE_SWIP_OFFSET = 16;
export const PAGE_SWIP_COUNT = 20;
export const PAGE_SWIP_STRIDE = 22;
export const PAGE_EPOCH = 24;
export const PAGE_HEADER_SIZE = 32;

/**
 * A swip is two words, eight-byte aligned. Word 0 says in its two low bits how the page is reached; word 1 is the CRC-32
 * of the stored page when it is cold, else 0. A word 0 of 0 is the null swip.
 */
export const SWIP_SIZE = 8;
export const SWIP_NULL = 0;
export const SWIP_TAG_MASK = 3;
/** In a frame: `name << 2 | SWIP_HOT`. The name is the frame, unless the store translates otherwise (`translation.ts`). */
export const SWIP_HOT = 1;
/** In a frame that waits in the cooling queue. */
export const SWIP_COOL = 2;
/** In the file: `foldedAddress << 2 | SWIP_COLD`. */
export const SWIP_COLD = 3;

/** The answer of a call that found that what it stood on has changed: start again from the root. */
export const RESTART = -1;

/**
 * An extent of class c is aligned to its size, so its unit (in pages of class 0) ends in c zero bits. Folding doubles
 * the unit and sets bit c: the lowest set bit tells the class. 30 bits hold it, hence {@link MAX_UNITS}.
 */
export function foldAddress(unit: number, sizeClass: number): number {
  return unit * 2 + 2 ** sizeClass;
}
export function sizeClassOf(folded: number): number {
  return 31 - Math.clz32(folded & -folded);
}
export function unitOf(folded: number): number {
  return (folded & (folded - 1)) >>> 1;
}

/** A store has at most this many units: 8 TiB with pages of 16 KiB. */
export const MAX_UNITS = 2 ** 29 - 1;

/** The smallest and largest page size that can be chosen, in bytes. */
export const MIN_PAGE_SIZE = 4096;
export const MAX_PAGE_SIZE = 65536;
/** The largest page of any class, in bytes. */
export const LARGEST_PAGE = 16 * 1024 * 1024;
