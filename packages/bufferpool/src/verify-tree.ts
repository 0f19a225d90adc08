/**
 * Going through trees as they are stored: from a swip down, each page is read, held against the checksum in the swip, and
 * then its header, its swips, and what the inspector finds on it. Checksums name their pages, so a page that is right by
 * its checksum, and was gone through before, need not be gone through again, nor anything below it.
 *
 * Must hold: what does not match its checksum is not believed, so nothing below it is followed.
 */
import { crc32 } from 'node:zlib';
import {
  type ErrorCode,
  isPagewrightError,
  PAGE_CLASS,
  PAGE_EPOCH,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  type PageExpectation,
  type PageInspector,
  SWIP_COLD,
  SWIP_NULL,
  SWIP_TAG_MASK,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import type { Arena } from './arena.js';
import type { FileSpace } from './file-space.js';
import { STATE_LOADING } from './frames.js';
import type { PageFile } from './page-file.js';
import { isSwipTable, type SwipTable } from './page-image.js';
import type { PoolLatch } from './pool-latch.js';
import type { Residency } from './residency.js';
import type { UnitSet } from './verify-extents.js';
import type { Findings, Place } from './verify-findings.js';

/** Deeper trees than this have a cycle. */
const DEEPEST = 64;
/** Stands for the number of an index that is not known. */
export const ANY_INDEX = -1;

/** A page that is named and was not looked at yet. */
export interface NamedPage<Expectation> {
  readonly address: number;
  readonly checksum: number;
  /** The number that it must carry, or `ANY_INDEX`. */
  readonly index: number;
  /** Null if its content cannot be checked. */
  readonly expected: Expectation | null;
  /** Where it is named. */
  readonly above: Place;
  /** The page above holds this epoch, or the superblock does. */
  readonly epoch: number;
}

/** One tree, and what is true of all its pages. */
export interface TreeView<Expectation extends PageExpectation> {
  readonly inspector: PageInspector<Expectation>;
  /** No page has a higher stamp. */
  highestStamp(): number;
  /** What it has reached so far; null if that is not of interest. */
  readonly reached: UnitSet | null;
  /** What was gone through as a part of another tree. */
  readonly known: UnitSet | null;
  /** Whether the tree is still as it was when its topmost page was named: if not, what was read may be anything. */
  stands(): boolean;
  /** Set to false when a part of it could not be gone through. */
  complete: boolean;
}

/** What is needed to read stored pages and to show them to an inspector. */
export interface StoredPagesParts {
  readonly poolLatch: PoolLatch;
  readonly file: PageFile;
  readonly space: FileSpace;
  readonly arena: Arena;
  readonly residency: Residency;
  readonly findings: Findings;
  /** Called for each page that was read; what it throws ends the verification. */
  readonly advanced: (pages: number, bytes: number) => Promise<void>;
}

/** A swip of a stored page, before it is followed. */
interface StoredSwip {
  readonly offset: number;
  readonly word: number;
  readonly checksum: number;
}

export class StoredPages<Expectation extends PageExpectation> {
  #buffer = Buffer.alloc(0);

  constructor(private readonly parts: StoredPagesParts) {}

  /** Goes through the page and all that is below it. */
  async follow(page: NamedPage<Expectation>, tree: TreeView<Expectation>, depth = 0): Promise<void> {
    const { file, advanced } = this.parts;
    const { address, above, expected } = page;
    if (!this.isExtent(address)) {
      this.#report(tree, above, `A swip names an extent that cannot be: ${address}`);
      tree.complete = false;
      return;
    }
    const place = above.storedPage(file.offsetOf(address), expected?.label ?? '');
    if (tree.reached !== null && !tree.reached.claim(address)) {
      this.#report(tree, place, 'The page, or a part of it, is reached by another way as well');
      return;
    }
    if (depth > DEEPEST) {
      this.#report(tree, place, 'The tree is deeper than any can be: its pages name each other in a circle');
      tree.complete = false;
      return;
    }
    const bytes = await this.#read(page, place, tree);
    if (bytes === null) return;
    const isNew = !(tree.known?.hasExtent(address) ?? false);
    const below = isNew ? this.#look(bytes, page, place, tree) : [];
    await advanced(isNew ? 1 : 0, isNew ? bytes.length : 0);
    for (const child of below) await this.follow(child, tree, depth + 1);
  }

  /** Whether the address is that of an extent of the file, behind the superblocks. */
  isExtent(address: number): boolean {
    const { file, space } = this.parts;
    return (
      address > 0 && unitOf(address) >= file.reservedUnits && unitOf(address) + 2 ** sizeClassOf(address) <= space.units
    );
  }

  /** The page's bytes, if they match its checksum; they are overwritten by the next call. */
  async #read({ address, checksum }: NamedPage<Expectation>, place: Place, tree: TreeView<Expectation>) {
    const { file, findings } = this.parts;
    const size = file.bytesOf(address);
    if (this.#buffer.length < size) this.#buffer = Buffer.alloc(size);
    const bytes = this.#buffer.subarray(0, size);
    try {
      await file.io.read(bytes, file.offsetOf(address));
    } catch (error) {
      if (!isPagewrightError(error) || error.code === 'PW_CLOSED') throw error;
      if (tree.stands()) findings.reportExtent(address, place, `The page cannot be read: ${error.message}`, error.code);
      tree.complete = false;
      return null;
    }
    if (!tree.stands()) return null;
    if (crc32(bytes) === checksum >>> 0) return bytes;
    findings.reportExtent(address, place, 'The page does not match its checksum');
    tree.complete = false;
    return null;
  }

  /** Checks a page that matches its checksum; what it names. */
  #look(
    bytes: Buffer,
    page: NamedPage<Expectation>,
    place: Place,
    tree: TreeView<Expectation>,
  ): NamedPage<Expectation>[] {
    const isSound = this.#checkHeader(bytes, page, place, tree);
    const swips = swipsOf(bytes);
    if (swips === null) {
      this.#report(tree, place, 'The swip table lies beyond the end of the page');
      tree.complete = false;
      return [];
    }
    const index = bytes.readUInt32LE(PAGE_INDEX);
    const children =
      isSound && page.expected !== null ? this.#inspect(bytes, page.expected, place, page.address, tree) : null;
    const below: NamedPage<Expectation>[] = [];
    for (const { offset, word, checksum } of swips) {
      if (word === SWIP_NULL) continue;
      if ((word & SWIP_TAG_MASK) !== SWIP_COLD) {
        this.#report(tree, place, `The swip at offset ${offset} names no page of the file`);
        tree.complete = false;
        continue;
      }
      const expected = children?.get(offset) ?? null;
      below.push({
        address: word >>> 2,
        checksum,
        index: expected?.index ?? (page.index > 0 ? page.index : index > 0 ? index : ANY_INDEX),
        expected,
        above: place,
        epoch: bytes.readDoubleLE(PAGE_EPOCH),
      });
    }
    return below;
  }

  #checkHeader(bytes: Buffer, page: NamedPage<Expectation>, place: Place, tree: TreeView<Expectation>): boolean {
    let isSound = true;
    const report = (message: string): void => {
      isSound = false;
      this.#report(tree, place, message);
    };
    const index = bytes.readUInt32LE(PAGE_INDEX);
    const stamp = bytes.readDoubleLE(PAGE_TIMESTAMP);
    const epoch = bytes.readDoubleLE(PAGE_EPOCH);
    if (bytes.readUInt16LE(PAGE_KIND) === 0) report('The page has no kind: it was never formatted');
    if (bytes.readUInt8(PAGE_CLASS) !== sizeClassOf(page.address))
      report(
        `The page says that it is of class ${bytes.readUInt8(PAGE_CLASS)}, and its extent is of class ${sizeClassOf(page.address)}`,
      );
    if (page.index !== ANY_INDEX && index !== page.index)
      report(`The page belongs to index ${index} instead of ${page.index}`);
    if (!(stamp >= 0 && stamp <= tree.highestStamp()))
      report(`The page has the stamp ${stamp}, above that of the last commit, ${tree.highestStamp()}`);
    if (!(epoch >= 0 && epoch <= page.epoch))
      report(`The page is of epoch ${epoch}, later than ${page.epoch}, in which it is named`);
    return isSound;
  }

  /** Puts the page into a frame for as long as the inspector looks at it. Null: it could not be. */
  #inspect(
    bytes: Buffer,
    expected: Expectation,
    place: Place,
    address: number,
    tree: TreeView<Expectation>,
  ): ReadonlyMap<number, Expectation> | null {
    const { arena, poolLatch, residency } = this.parts;
    const sizeClass = sizeClassOf(address);
    try {
      if (sizeClass > residency.largestClass) {
        this.#report(tree, place, 'The page is too large for the memory that the pool has', 'PW_POOL_EXHAUSTED');
        return null;
      }
      const frame = poolLatch.holding(() => residency.acquire(sizeClass, STATE_LOADING));
      try {
        arena.view(frame, sizeClass).set(bytes);
        return tree.inspector.inspect(frame, expected, (message) => this.#report(tree, place, message));
      } finally {
        poolLatch.holding(() => residency.release(frame));
      }
    } catch (error) {
      this.#report(tree, place, `The page cannot be looked at: ${messageOf(error)}`, codeOf(error));
      return null;
    }
  }

  #report(tree: TreeView<Expectation>, place: Place, message: string, code: ErrorCode = 'PW_CORRUPT_PAGE'): void {
    if (tree.stands()) this.parts.findings.report(place, message, code);
  }
}

/** The swips of a stored page; null if its table is not within it. */
function swipsOf(bytes: Buffer): StoredSwip[] | null {
  const table: SwipTable = {
    offset: bytes.readUInt32LE(PAGE_SWIP_OFFSET),
    count: bytes.readUInt16LE(PAGE_SWIP_COUNT),
    stride: bytes.readUInt16LE(PAGE_SWIP_STRIDE),
  };
  if (!isSwipTable(table, bytes.length)) return null;
  return Array.from({ length: table.count }, (_, number) => {
    const offset = table.offset + number * table.stride;
    return { offset, word: bytes.readUInt32LE(offset), checksum: bytes.readUInt32LE(offset + 4) };
  });
}

/** What kept something from being looked at. */
export function codeOf(error: unknown): ErrorCode {
  return isPagewrightError(error) ? error.code : 'PW_INTERNAL';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
