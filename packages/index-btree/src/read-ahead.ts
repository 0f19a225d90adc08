/**
 * Reading ahead of a cursor. A scan that misses one leaf after the other will miss the next ones, too; so it asks for those
 * that follow below the same inner page together with the one that it needs: two at first, then twice as many each time.
 * Where the store reads without blocking, the next ones are asked for when half of the last ones have been gone through.
 *
 * Must hold: the first leaf of a scan is read alone, so that a short one reads one leaf too many at most; no leaf is asked
 * for that lies beyond what the scan is known to want; and a page that did not come is not asked for again: it is read
 * when it is needed.
 */
import { type PageStore, type SeekOptions, SWIP_COLD, SWIP_TAG_MASK } from '@pagewright/core';
import { type Descent, LEAF_LEVEL, type MissingPages } from './descent.js';
import { childOffset, INNER_SLOT_SIZE, slotOfChild } from './inner-layout.js';
import { compareKeys } from './key-order.js';
import { copyKey } from './node-keys.js';
import { countOf } from './node-layout.js';
import type { TreeParts } from './tree-parts.js';

const LARGEST_WINDOW = 32;

export class ReadAhead implements MissingPages {
  readonly #pages: PageStore;
  readonly #descent: Descent;
  readonly #parts: TreeParts;
  #reverse = false;
  #end: Uint8Array | null = null;
  /** Entries that are wanted still, as far as is known. */
  #wanted = Number.POSITIVE_INFINITY;
  /** Entries of the leaf that was gone through last; 0 if there was none. */
  #leafEntries = 0;
  #leaves = 0;
  /** Leaves that the next miss asks for. */
  #window = 1;
  /** Leaves that were asked for and not gone through: the first is the one where the cursor is. */
  #asked = 0;
  /** Asks for more when fewer than that are left. */
  #enough = 0;

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#pages = parts.context.pages;
    this.#descent = parts.descent;
  }

  /** Leaves that the scan has gone through. */
  get gonePast(): number {
    return this.#leaves;
  }

  /** A new scan begins. */
  begin({ reverse = false, end = null, limit = Number.POSITIVE_INFINITY }: SeekOptions): void {
    this.#reverse = reverse;
    this.#end = end;
    this.#wanted = limit;
    this.#leafEntries = 0;
    this.#leaves = 0;
    this.#window = 1;
    this.#asked = 0;
    this.#enough = 0;
  }

  /** The descent meets a page that is not in memory, and goes on to read it. */
  missed(parent: number, version: number, _offset: number, slot: number, level: number): boolean {
    if (level !== LEAF_LEVEL || this.#asked > 0) return false;
    this.#ask(parent, version, slot, 0);
    return false;
  }

  /** The cursor has read the leaf that the descent has found. */
  reached(): void {
    const { parent, parentVersion, slot, atRoot } = this.#descent;
    if (atRoot || this.#window === 1 || this.#asked > this.#enough || !this.#pages.faulting) return;
    this.#ask(parent, parentVersion, slot, Math.max(this.#asked, 1));
  }

  /** Entries were handed out. */
  took(entries: number): void {
    this.#wanted -= entries;
  }

  /** The cursor is through with a leaf of so many entries. */
  passed(entries: number): void {
    this.#leafEntries = entries;
    this.#leaves++;
    if (this.#asked > 0) this.#asked--;
  }

  /** Asks for a window of leaves that begins so many after the one in the slot. */
  #ask(parent: number, version: number, slot: number, skip: number): void {
    const { wanted } = this.#parts.workspace;
    const size = Math.min(this.#window, this.#leavesWanted() - skip);
    wanted.clear();
    let leaves = 0;
    for (; leaves < size; leaves++) {
      const at = slot + (this.#reverse ? -1 : 1) * (skip + leaves);
      if (skip + leaves > 0 && !this.#isWanted(parent, at)) break;
      if (this.#isCold(parent, at)) wanted.add(parent, version, childOffset(at));
    }
    this.#asked = skip + leaves;
    this.#window = Math.min(2 * this.#window, LARGEST_WINDOW);
    // What the cursor needs now it reads anyway.
    if (wanted.count > (skip === 0 ? 1 : 0)) {
      const dealtWith = this.#pages.prefetch(wanted);
      if (dealtWith < wanted.count) this.#asked = Math.abs(slotOfChild(wanted.offsets[dealtWith]!) - slot);
    }
    this.#enough = this.#asked >>> 1;
  }

  /** Leaves that the entries which are wanted will take; one at least. */
  #leavesWanted(): number {
    return this.#leafEntries === 0 ? LARGEST_WINDOW * 2 : Math.max(1, Math.ceil(this.#wanted / this.#leafEntries));
  }

  /** Whether there is such a child, and it may have keys on this side of the end. The page may be torn. */
  #isWanted(parent: number, slot: number): boolean {
    const { pageSize } = this.#pages;
    const segment = this.#pages.segmentOf(parent);
    const base = this.#pages.baseOf(parent);
    if (slot < 0 || slot > countOf(segment, base) || childOffset(slot + 1) > pageSize) return false;
    if (this.#end === null) return true;
    // Keys below the separator in its slot, and from the one before it on. The bound is the one towards the cursor.
    const { keyB } = this.#parts.workspace;
    const bound = this.#reverse ? slot : slot - 1;
    const length = copyKey(segment, base, pageSize, INNER_SLOT_SIZE, bound, keyB);
    if (length < 0) return false;
    const order = compareKeys(keyB, length, this.#end, this.#end.length);
    return this.#reverse ? order > 0 : order <= 0;
  }

  #isCold(parent: number, slot: number): boolean {
    const at = (this.#pages.baseOf(parent) + childOffset(slot)) >>> 2;
    return (this.#pages.segmentOf(parent).u32[at]! & SWIP_TAG_MASK) === SWIP_COLD;
  }
}
