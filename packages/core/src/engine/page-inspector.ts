/**
 * What the pages of a store mean, for its verification: which are the catalog's, which belong to which index, and what the
 * index itself says of them. Pages of trees that are being given up, and of indexes that were dropped since the checkpoint,
 * are looked at no further: a tree that is half gone is none any more.
 */
import type { Index, PageBounds } from '../contracts/index-plugin.js';
import { SWIP_NULL, SWIP_SIZE } from '../contracts/page-layout.js';
import type { PageStore } from '../contracts/pages.js';
import type { PageExpectation, PageInspector } from '../contracts/verification.js';
import type { Catalog } from './catalog.js';
import {
  CATALOG_INDEX,
  CatalogDamage,
  entryPagesPerRoot,
  ROOT_SWIPS,
  readEntries,
  readRoot,
  type SlotContent,
  STATE_LIVE,
  slotOffset,
} from './catalog-layout.js';

export type ExpectedPage = PageExpectation &
  (
    | { readonly part: 'catalog root' | 'catalog entries' | 'given up' }
    | { readonly part: 'index'; readonly tree: Index; readonly bounds: PageBounds }
  );

const OPEN_BOUNDS: PageBounds = Object.freeze({ lower: null, upper: null });
const NONE: ReadonlyMap<number, ExpectedPage> = new Map();

/** For one tree: an index is in it once. */
export class StoreInspector implements PageInspector<ExpectedPage> {
  readonly root: ExpectedPage = { index: CATALOG_INDEX, label: 'catalog', part: 'catalog root' };
  private nextNumber = Number.POSITIVE_INFINITY;
  private readonly names = new Set<string>();
  private readonly numbers = new Set<number>();

  constructor(
    private readonly pages: PageStore,
    private readonly catalog: Catalog,
    /** Gets the names of indexes of which no plugin knows the type. */
    private readonly unchecked: Set<string>,
  ) {}

  inspect(frame: number, expected: ExpectedPage, report: (message: string) => void): ReadonlyMap<number, ExpectedPage> {
    if (expected.part === 'index') return this.inspectIndex(frame, expected, report);
    if (expected.part === 'given up') return NONE;
    const page = this.copyOf(frame);
    try {
      if (page.byteLength !== this.pages.pageSize) throw new CatalogDamage(`has ${page.byteLength} bytes`);
      return expected.part === 'catalog root' ? this.inspectRoot(page, report) : this.inspectEntries(page, report);
    } catch (error) {
      if (!(error instanceof CatalogDamage)) throw error;
      report(`The page of the catalog ${error.what}`);
      return NONE;
    }
  }

  private inspectRoot(page: DataView, report: (message: string) => void): ReadonlyMap<number, ExpectedPage> {
    this.nextNumber = readRoot(page).nextNumber;
    const children = new Map<number, ExpectedPage>();
    let ended = false;
    for (let number = 0; number < entryPagesPerRoot(page.byteLength); number++) {
      const offset = ROOT_SWIPS + number * SWIP_SIZE;
      if (isNull(page, offset)) {
        ended = true;
        continue;
      }
      if (ended) report(`The catalog has an entry page in place ${number}, behind one that is free`);
      children.set(offset, { index: CATALOG_INDEX, label: '', part: 'catalog entries' });
    }
    return children;
  }

  private inspectEntries(page: DataView, report: (message: string) => void): ReadonlyMap<number, ExpectedPage> {
    const children = new Map<number, ExpectedPage>();
    for (const [slot, content] of readEntries(page).entries()) {
      const offset = slotOffset(slot);
      const hasTree = !isNull(page, offset);
      if (content === undefined) {
        if (hasTree) report(`Slot ${slot} of the catalog is free, and has a tree`);
        continue;
      }
      this.checkSlot(slot, content, hasTree, report);
      if (hasTree) children.set(offset, this.expectedRoot(content));
    }
    return children;
  }

  private checkSlot(slot: number, content: SlotContent, hasTree: boolean, report: (message: string) => void): void {
    const { number, name, state } = content;
    if (number >= this.nextNumber)
      report(`Slot ${slot} of the catalog has an index of number ${number}, which was not given yet`);
    if (state !== STATE_LIVE) return;
    if (!hasTree) report(`Slot ${slot} of the catalog has the index '${name}' without a tree`);
    if (this.names.has(name) || this.numbers.has(number))
      report(`The catalog has the index '${name}' (${number}) twice`);
    this.names.add(name);
    this.numbers.add(number);
  }

  private expectedRoot({ number, name, type, state }: SlotContent): ExpectedPage {
    const index = number;
    // One that is being built means nothing as yet.
    if (state !== STATE_LIVE) return { index, label: `a tree of '${name}' that is not in use`, part: 'given up' };
    const label = `index '${name}'`;
    const { pages, catalog, unchecked } = this;
    const entry = catalog.live(number);
    if (entry === undefined) return { index, label, part: 'given up' };
    if (!catalog.types.has(type)) {
      unchecked.add(name);
      return { index, label, part: 'given up' };
    }
    entry.open(pages, catalog.types);
    return { index, label, part: 'index', tree: entry.index, bounds: OPEN_BOUNDS };
  }

  private inspectIndex(
    frame: number,
    { index, tree, bounds }: ExpectedPage & { readonly part: 'index' },
    report: (message: string) => void,
  ): ReadonlyMap<number, ExpectedPage> {
    const children = new Map<number, ExpectedPage>();
    for (const [offset, below] of tree.check(frame, bounds, report)) {
      children.set(offset, { index, label: '', part: 'index', tree, bounds: below });
    }
    return children;
  }

  /** M4: what is decoded does not change meanwhile. */
  private copyOf(frame: number): DataView {
    const { pages } = this;
    const base = pages.baseOf(frame);
    const copy = new Uint8Array(pages.sizeOf(frame));
    copy.set(pages.segmentOf(frame).u8.subarray(base, base + copy.length));
    return new DataView(copy.buffer);
  }
}

function isNull(page: DataView, offset: number): boolean {
  return page.getUint32(offset, true) === SWIP_NULL;
}
