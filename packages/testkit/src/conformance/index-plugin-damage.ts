/**
 * Planting damage on the pages of an index whose format nobody here knows, and telling by its reads alone whether it
 * answers as a sound index could.
 */
import {
  EntryReference,
  type Index,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageBounds,
} from '@pagewright/core';
import type { HostilePages } from '../pages/hostile-pages.js';
import { swipOffsets } from '../pages/swip-table.js';
import type { Random } from '../random.js';
import { keyBytes, type ModeledIndex, nameOf, readCursor, type ScannedEntry } from './index-plugin-model.js';

/** A page while the index is sound: where it is, what its parent says of it, and its bytes. */
export interface SoundPage {
  readonly frame: number;
  readonly bounds: PageBounds;
  readonly bytes: Uint8Array;
}

/** All pages of a sound index, parents first. None may move from now on. */
export function soundPages({ index, pages, root }: ModeledIndex<HostilePages>): SoundPage[] {
  const sound: SoundPage[] = [];
  const bounds = new Map<string, PageBounds>();
  pages.walk(root, (frame, offset, parent) => {
    const own = bounds.get(`${parent}:${offset}`) ?? { lower: null, upper: null };
    for (const [swip, below] of index.check(frame, own, () => undefined)) bounds.set(`${frame}:${swip}`, below);
    sound.push({ frame, bounds: own, bytes: new Uint8Array(bytesOf(pages, frame)) });
  });
  return sound;
}

/** The bytes of a page, in place. */
export function bytesOf(pages: HostilePages, frame: number): Uint8Array {
  const base = pages.baseOf(frame);
  return pages.segmentOf(frame).u8.subarray(base, base + pages.sizeOf(frame));
}

/** Makes a page as it was. */
export function restore(pages: HostilePages, { frame, bytes }: SoundPage): void {
  bytesOf(pages, frame).set(bytes);
}

/** Changes some bytes of a page, and says how: bits, words, stretches that change places, or its table of swips. */
export function plantDamage(page: Uint8Array, random: Random): string {
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  // Headers and slots are where most pages have their structure.
  const reach = random.pick([64, 256, page.length]);
  const chosen = random.below(8);
  if (chosen < 3) {
    const at = random.below(reach);
    const bits = random.between(1, 255);
    view.setUint8(at, view.getUint8(at) ^ bits);
    return `bits ${bits} of byte ${at} flipped`;
  }
  if (chosen < 5) {
    const at = random.below(reach >>> 1) * 2;
    const before = view.getUint16(at, true);
    const word = random.pick([0, 0xffff, before + 1, before - 1, random.below(65_536), random.below(page.length)]);
    view.setUint16(at, word & 0xffff, true);
    return `the word at ${at} is ${word & 0xffff} instead of ${before}`;
  }
  if (chosen < 7) {
    const size = random.pick([4, 8, 12, 16]);
    const places = Math.floor(reach / size);
    const [one, other] = [random.below(places) * size, random.below(places) * size];
    swap(page, one, other, size);
    return `${size} bytes at ${one} and at ${other} have changed places`;
  }
  return damageSwips(page, view, random);
}

function damageSwips(page: Uint8Array, view: DataView, random: Random): string {
  const offsets = swipOffsets(page);
  if (offsets.length === 0) return 'nothing, as there are no swips';
  const [one, other] = [random.pick(offsets), random.pick(offsets)];
  switch (random.below(4)) {
    case 0:
      swap(page, one, other, 8);
      return `the swips at ${one} and ${other} have changed places`;
    case 1:
      view.setFloat64(one, 0);
      return `the swip at ${one} is null`;
    case 2:
      view.setUint16(PAGE_SWIP_COUNT, offsets.length + random.pick([-1, 1]), true);
      return `the table of ${offsets.length} swips has ${view.getUint16(PAGE_SWIP_COUNT, true)}`;
    default: {
      const field = random.pick([PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE]);
      view.setUint16(field, view.getUint16(field, true) + random.pick([-8, 8, 4]), true);
      return `offset or stride of the table of swips has changed, at byte ${field}`;
    }
  }
}

function swap(page: Uint8Array, one: number, other: number, size: number): void {
  const kept = page.slice(one, one + size);
  page.copyWithin(one, other, other + size);
  page.set(kept, other);
}

/**
 * What a sound index would never do, if this one does it: keys of a scan that do not rise, a scan backwards that is not the
 * one forwards in reverse, a look-up that does not find what the scan has, or finds what it has not, or another entry; or an
 * error. Null if its reads agree with each other: then it may still hold other entries than before.
 */
export function contradictionOf(index: Index, known: readonly string[]): string | null {
  try {
    const most = known.length * 4;
    const cursor = index.cursor();
    cursor.seek(null, {});
    const forwards = readCursor(cursor, 100, most);
    cursor.seek(null, { reverse: true });
    const backwards = readCursor(cursor, 100, most).reverse();
    for (const [at, { key }] of forwards.entries())
      if (at > 0 && key <= forwards[at - 1]!.key) return `entry ${at} of a scan is not above the one before`;
    if (keysOf(forwards) !== keysOf(backwards)) return 'scans forwards and backwards do not meet the same entries';
    return lookupContradiction(index, forwards, known);
  } catch (error) {
    return `reading fails: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function lookupContradiction(index: Index, scanned: readonly ScannedEntry[], known: readonly string[]): string | null {
  const entries = new Map(scanned.map((entry) => [entry.key, entry]));
  const reference = new EntryReference();
  for (const key of new Set([...known, ...entries.keys()])) {
    const entry = entries.get(key);
    if (index.lookup(keyBytes(key), reference) !== (entry !== undefined))
      return `${nameOf(key)} is found by a scan or by a look-up, and not by both`;
    if (entry === undefined) continue;
    if (entry.tag !== reference.tag || Buffer.compare(entry.value, reference.value) !== 0)
      return `${nameOf(key)} is not the same to a scan and to a look-up`;
  }
  return null;
}

function keysOf(entries: readonly ScannedEntry[]): string {
  return entries.map(({ key }) => `${key.length}:${key}`).join();
}
