/**
 * Changes a page file as a faulty engine might have written it: what is changed is sealed again, checksum by checksum up to
 * the superblocks, so that nothing but the change itself is wrong. Without sealing, it is plain decay.
 */
import { crc32 } from 'node:zlib';
import {
  foldAddress,
  PAGE_INDEX,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_COLD,
  SWIP_TAG_MASK,
  sizeClassOf,
  unitOf,
} from '@pagewright/core';
import { type AllocationMap, decodeMap, encodeMap } from '../packages/bufferpool/src/allocation-map.js';
import {
  decodeSlot,
  encodeSuperblock,
  SLOT_COUNT,
  SLOT_SIZE,
  type Superblock,
} from '../packages/bufferpool/src/superblock.js';
import { whatIs } from './page-file-anatomy.js';

/** A page of the tree, and where it is named. */
export interface StoredPage {
  readonly address: number;
  /** Byte offset in the file. */
  readonly start: number;
  readonly size: number;
  readonly what: string;
  readonly index: number;
  readonly parent: StoredPage | null;
  /** Byte offset, in the file, of the swip that names it; 0 for the catalog's root. */
  readonly swip: number;
}

export class PageFileSurgery {
  readonly file: Buffer;
  readonly pageSize: number;

  constructor(bytes: Uint8Array) {
    this.file = Buffer.from(bytes);
    this.pageSize = this.superblock.pageSize;
  }

  /** The one that counts. */
  get superblock(): Superblock {
    const [a, b] = this.#slots();
    return a.epoch > b.epoch ? a : b;
  }

  /** Pages of the tree that counts, parents before children, children in the order of their swips. */
  pages(what?: string): StoredPage[] {
    const pages: StoredPage[] = [];
    const walk = (address: number, parent: StoredPage | null, swip: number): void => {
      const start = unitOf(address) * this.pageSize;
      const index = this.file.readUInt32LE(start + PAGE_INDEX);
      const size = this.pageSize << sizeClassOf(address);
      const page = { address, start, size, what: whatIs(this.file, start), index, parent, swip };
      pages.push(page);
      for (const at of this.swipsOf(page)) {
        const word = this.file.readUInt32LE(at);
        if ((word & SWIP_TAG_MASK) === SWIP_COLD) walk(word >>> 2, page, at);
      }
    };
    walk(this.superblock.catalogAddress, null, 0);
    return what === undefined ? pages : pages.filter((page) => page.what === what);
  }

  /** Byte offsets, in the file, of the swips of a page. */
  swipsOf({ start }: StoredPage): number[] {
    const offset = this.file.readUInt32LE(start + PAGE_SWIP_OFFSET);
    const stride = this.file.readUInt16LE(start + PAGE_SWIP_STRIDE);
    const count = this.file.readUInt16LE(start + PAGE_SWIP_COUNT);
    return Array.from({ length: count }, (_, number) => start + offset + number * stride);
  }

  flip(offset: number): void {
    this.file[offset]! ^= 1;
  }

  /** Makes the checksums above a changed page right again. */
  seal(page: StoredPage): void {
    let checksum = 0;
    for (let at: StoredPage | null = page; at !== null; at = at.parent) {
      checksum = crc32(this.file.subarray(at.start, at.start + at.size));
      if (at.parent !== null) this.file.writeUInt32LE(checksum, at.swip + 4);
    }
    this.#rewrite((superblock) => ({ ...superblock, catalogChecksum: checksum }));
  }

  map(): AllocationMap {
    const reserved = Math.ceil((SLOT_COUNT * SLOT_SIZE) / this.pageSize);
    return decodeMap(this.#mapBlock(), reserved, 'the file of the test');
  }

  writeMap(map: AllocationMap): void {
    const block = this.#mapBlock();
    encodeMap(map, block);
    this.#rewrite((superblock) => ({ ...superblock, mapChecksum: crc32(block) }));
  }

  /** A unit that the map says is free. */
  freeUnit(): number {
    const { bits, units } = this.map();
    for (let unit = 0; unit < units; unit++) if ((bits[unit >>> 3]! & (1 << (unit & 7))) === 0) return unit;
    throw new Error('the file has no free unit');
  }

  /** The page of one unit that begins there. */
  addressOf(unit: number): number {
    return foldAddress(unit, 0);
  }

  #mapBlock(): Buffer {
    const { mapAddress } = this.superblock;
    const start = unitOf(mapAddress) * this.pageSize;
    return this.file.subarray(start, start + (this.pageSize << sizeClassOf(mapAddress)));
  }

  #slots(): [Superblock, Superblock] {
    return [0, 1].map((slot) => {
      const found = decodeSlot(this.file.subarray(slot * SLOT_SIZE, (slot + 1) * SLOT_SIZE));
      if (found.kind !== 'valid') throw new Error(`superblock ${slot} is ${found.kind}`);
      return found.superblock;
    }) as [Superblock, Superblock];
  }

  #rewrite(change: (superblock: Superblock) => Superblock): void {
    const { catalogAddress } = this.superblock;
    for (const [slot, superblock] of this.#slots().entries()) {
      // After a clean close both name the same tree; one that names another stays as it is.
      if (superblock.catalogAddress !== catalogAddress) continue;
      encodeSuperblock(change(superblock)).copy(this.file, slot * SLOT_SIZE);
    }
  }
}
