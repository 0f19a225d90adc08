/** What lies where in a page file, for tests that damage it: superblocks, map, and pages by what they are to their index. */
import {
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_COLD,
  SWIP_TAG_MASK,
  sizeClassOf,
  unitOf,
} from '@pagewright/core';
import { mapBytes } from '../packages/bufferpool/src/allocation-map.js';
import { decodeSlot, SLOT_SIZE, type Superblock } from '../packages/bufferpool/src/superblock.js';
import { KIND_INNER, KIND_LEAF, NODE_LEVEL } from '../packages/index-btree/src/node-layout.js';

/** A stretch of a file that is one thing. */
export interface Region {
  /** What it is: several regions have the same. */
  readonly what: string;
  readonly start: number;
  readonly end: number;
  /** Bytes at its beginning of which each has a meaning of its own. */
  readonly header: number;
}

/** Bytes of a superblock that are in use. */
const SUPERBLOCK_FIELDS = 88;
const NODE_FIELDS = 128;
const VALUE_FIELDS = 40;

/** The regions of the file, in order, without gaps. */
export function regionsOfPageFile(bytes: Uint8Array): Region[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const slots = [0, 1].map((slot) => {
    const found = decodeSlot(file.subarray(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE));
    if (found.kind !== 'valid') throw new Error(`superblock ${slot} is ${found.kind}`);
    return found.superblock;
  }) as [Superblock, Superblock];
  const newest = slots[0].epoch > slots[1].epoch ? 0 : 1;
  const regions: Region[] = [];
  for (const slot of [0, 1]) {
    const what = slot === newest ? 'superblock that counts' : 'superblock before it';
    const start = slot * SLOT_SIZE;
    regions.push({ what, start, end: start + SUPERBLOCK_FIELDS, header: SUPERBLOCK_FIELDS });
    regions.push({ what: 'rest of a superblock', start: start + SUPERBLOCK_FIELDS, end: start + SLOT_SIZE, header: 0 });
  }
  const seen = new Set<number>();
  const add = (region: Region): void => {
    if (seen.has(region.start)) return;
    seen.add(region.start);
    regions.push(region);
  };
  for (const region of regionsOfCheckpoint(file, slots[newest]!)) add(region);
  for (const region of regionsOfCheckpoint(file, slots[1 - newest]!))
    add({ ...region, what: 'checkpoint before it', header: 0 });
  return withFreeSpace(regions, file.length);
}

/** How many levels the tallest tree has. */
export function tallestTree(bytes: Uint8Array): number {
  const inner = regionsOfPageFile(bytes).filter(({ what }) => what === 'inner page');
  return 1 + Math.max(0, ...inner.map(({ start }) => bytes[start + NODE_LEVEL] as number));
}

function regionsOfCheckpoint(file: Buffer, { pageSize, mapAddress, catalogAddress }: Superblock): Region[] {
  const extentOf = (address: number, what: string, header: number): Region => {
    const start = unitOf(address) * pageSize;
    return { what, start, end: start + (pageSize << sizeClassOf(address)), header };
  };
  const map = unitOf(mapAddress) * pageSize;
  const mapFields = Math.min(160, mapBytes(file.readUInt32LE(map + 4), file.readUInt32LE(map + 8)));
  const regions: Region[] = [extentOf(mapAddress, 'allocation map', mapFields)];
  const walk = (address: number): void => {
    const { start } = extentOf(address, '', 0);
    const what = whatIs(file, start);
    regions.push(extentOf(address, what, what === 'value page' ? VALUE_FIELDS : NODE_FIELDS));
    const offset = file.readUInt32LE(start + PAGE_SWIP_OFFSET);
    const stride = file.readUInt16LE(start + PAGE_SWIP_STRIDE);
    for (let swip = 0; swip < file.readUInt16LE(start + PAGE_SWIP_COUNT); swip++) {
      const word = file.readUInt32LE(start + offset + swip * stride);
      if ((word & SWIP_TAG_MASK) === SWIP_COLD) walk(word >>> 2);
    }
  };
  walk(catalogAddress);
  return regions;
}

/** What a page is, by its header. */
export function whatIs(file: Buffer, start: number): string {
  const kind = file.readUInt16LE(start + PAGE_KIND);
  if (file.readUInt32LE(start + PAGE_INDEX) === 0) return kind === 1 ? 'catalog root' : 'catalog entries';
  if (kind === KIND_INNER) return 'inner page';
  return kind === KIND_LEAF ? 'leaf' : 'value page';
}

function withFreeSpace(regions: readonly Region[], size: number): Region[] {
  const all: Region[] = [];
  let end = 0;
  for (const region of [...regions].sort((a, b) => a.start - b.start)) {
    if (region.start > end) all.push({ what: 'free space', start: end, end: region.start, header: 0 });
    all.push(region);
    end = region.end;
  }
  if (size > end) all.push({ what: 'free space', start: end, end: size, header: 0 });
  return all;
}
