/**
 * Reading ahead of a cursor. A scan that misses one page after the other will miss the next ones, too; so it asks for those that follow below the same
 * page together with the one that it needs: one more than it has gone through, up to a limit. Where the store reads without blocking, the next ones are asked
 * for when half of the last ones have been gone through.
 *
 * Must hold: the first page of a scan is read alone, so that a short one reads one page too many at most; no page is asked for that lies beyond what the
 * scan is known to want; and a page that did not come is not asked for again: it is read when it is needed.
 */
import type { PageStore, SeekOptions } from '@pagewright/core';
import { isCold, type MissingPages } from './descent.js';
import { compareKeys } from './key-order.js';
import { kindOf, SLICE } from './node-layout.js';
import { AT_ENTRY, AT_PAGE, type PageScan } from './page-scan.js';
import type { ScanDescent } from './scan-descent.js';
import type { TreeParts } from './tree-parts.js';

const LARGEST_WINDOW = 32;
/** From so many pages on a scan has shown that it goes on: what is met on the way down to the next entry is not read alone any more. */
const LONG_SCAN = 8;

export class ReadAhead implements MissingPages {
  readonly #parts: TreeParts;
  readonly #store: PageStore;
  readonly #way: ScanDescent;
  /** Goes through the links of the page above. */
  readonly #scan: PageScan;
  #reverse = false;
  #end: Uint8Array | null = null;
  /** Entries that are wanted still, as far as is known. */
  #wanted = Number.POSITIVE_INFINITY;
  /** Pages that were gone through, and entries that were handed out. */
  #pages = 0;
  #entries = 0;
  /** Whether entries were handed out since pages were last asked for. */
  #hasTaken = false;
  /** The page below which pages were asked for; how many of them were not gone through: the first is the one where the cursor is. */
  #parent = -1;
  #asked = 0;
  /** Asks for more when fewer than that are left. */
  #enough = 0;

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#store = parts.context.pages;
    this.#way = parts.scanDescent;
    this.#scan = parts.workspace.scanAhead;
  }

  /** Pages that the scan has gone through. */
  get gonePast(): number {
    return this.#pages;
  }

  /** A new scan begins. */
  begin({ reverse = false, end = null, limit = Number.POSITIVE_INFINITY }: SeekOptions): void {
    this.#reverse = reverse;
    this.#end = end;
    this.#wanted = limit;
    this.#pages = 0;
    this.#entries = 0;
    this.#hasTaken = false;
    this.#parent = -1;
    this.#asked = 0;
    this.#enough = 0;
  }

  /** The way of the scan meets a page that is not in memory, and goes on to read it. */
  missed(parent: number, version: number): boolean {
    const { scan, isAtRoot } = this.#way;
    if (isAtRoot || (parent === this.#parent && this.#asked > 0)) return false;
    const { pathLength, reference, first, last } = scan;
    this.#ask(parent, version, pathLength, kindOf(reference) === SLICE ? [first, last] : null, 0);
    return false;
  }

  /** The cursor has read the page that its way has found. */
  reached(): void {
    const { parent, parentVersion, depth, isSlice, first, last } = this.#way;
    if (parent !== this.#parent || this.#pages === 0 || this.#asked > this.#enough || !this.#store.faulting) return;
    this.#ask(parent, parentVersion, depth, isSlice ? [first, last] : null, Math.max(this.#asked, 1));
  }

  /** Entries of a page were handed out. */
  took(entries: number): void {
    this.#wanted -= entries;
    this.#entries += entries;
    if (entries > 0) this.#hasTaken = true;
  }

  /** The cursor is through with the page that its way has found. */
  passed(): void {
    this.#pages++;
    if (this.#way.parent === this.#parent && this.#asked > 0) this.#asked--;
  }

  /**
   * Asks for a window of pages that begins so many after the one to which a path of this length leads, or that has this range of the bytes behind it.
   * What is read of the page above may be torn.
   */
  #ask(parent: number, version: number, depth: number, slice: readonly [number, number] | null, skip: number): void {
    const { wanted } = this.#parts.workspace;
    // No more than one beyond what the scan has gone through.
    const window = this.#hasTaken || this.#pages >= LONG_SCAN ? Math.min(this.#pages + 1, LARGEST_WINDOW) : 1;
    const size = Math.min(window, this.#pagesWanted() - skip);
    this.#hasTaken = false;
    const ordinals: number[] = [];
    wanted.clear();
    let pages = 0;
    for (const offset of this.#linksFrom(parent, depth, slice)) {
      if (pages >= skip + size) break;
      if (pages >= skip && isCold(this.#store.segmentOf(parent), this.#store.baseOf(parent), offset)) {
        ordinals[wanted.count] = pages;
        wanted.add(parent, version, offset);
      }
      pages++;
    }
    this.#parent = parent;
    this.#asked = Math.max(skip, pages);
    // What the cursor needs now it reads anyway.
    if (wanted.count > (skip === 0 ? 1 : 0)) {
      const dealtWith = this.#store.prefetch(wanted);
      if (dealtWith < wanted.count) this.#asked = ordinals[dealtWith]!;
    }
    this.#enough = this.#asked >>> 1;
  }

  /** Where a page has the swips of its links, from one on in the direction of the scan and not beyond its end. */
  *#linksFrom(page: number, depth: number, slice: readonly [number, number] | null): Generator<number> {
    const segment = this.#store.segmentOf(page);
    const base = this.#store.baseOf(page);
    const scan = this.#scan;
    const { path } = this.#way.scan;
    const bound = path.slice(0, slice === null ? depth : depth + 1);
    if (slice !== null) bound[depth] = slice[this.#reverse ? 1 : 0];
    scan.path.set(bound);
    for (
      let at = scan.begin(segment, base, bound, false, this.#reverse);
      at === AT_PAGE || at === AT_ENTRY;
      at = scan.advance()
    ) {
      if (at === AT_ENTRY) continue;
      if (this.#isBehindEnd(scan)) return;
      const offset = this.#parts.descent.linkOffset(segment, base, scan.reference);
      if (offset < 0) return;
      yield offset;
    }
  }

  /** Whether all that a link leads to lies behind the end of the scan. */
  #isBehindEnd({ path, pathLength, reference, first, last }: PageScan): boolean {
    const end = this.#end;
    if (end === null) return false;
    const length = Math.min(pathLength, end.length);
    const order = compareKeys(path, length, end, length);
    if (order !== 0) return order > 0 !== this.#reverse;
    const isSlice = kindOf(reference) === SLICE;
    // What a slice has is longer than its path; another page may have the path itself as a key.
    if (end.length < pathLength || (isSlice && end.length === pathLength)) return !this.#reverse;
    if (!isSlice) return false;
    return this.#reverse ? last < end[pathLength]! : first > end[pathLength]!;
  }

  /** Pages that the entries which are wanted will take, if they are like those before; one at least. */
  #pagesWanted(): number {
    if (this.#entries === 0 || this.#pages === 0) return LARGEST_WINDOW * 2;
    return Math.max(1, Math.ceil((this.#wanted * this.#pages) / this.#entries));
  }
}
