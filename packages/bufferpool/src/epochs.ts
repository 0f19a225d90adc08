/**
 * Epochs, and the images that a checkpoint needs of pages that go on changing (C1, C2). While a checkpoint runs there is
 * a closed epoch, whose tree is being written, and an open one, in which work goes on. Each page that was dirty when the
 * epoch closed has an *entry*; before such a page changes, its image is put aside. In images, children that have entries
 * are named by these until their addresses are known, so that an image outlives the frames.
 *
 * Must hold: if a page is dirty in the open epoch, all pages above it are, and none of them still owes an image. So
 * eviction of a changed page, which changes its parent's swip, needs no image of the parent any more.
 */
import {
  invariant,
  POINT,
  SWIP_COLD,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_TAG_MASK,
  schedulePoint,
} from '@pagewright/core';
import type { Arena } from './arena.js';
import { type Counters, WRITES } from './counters.js';
import type { FileSpace } from './file-space.js';
import { ADDRESS, CHECKSUM, DIRTY_EPOCH, ENTRY, type FrameTable, NO_FRAME, PARENT, SIZE_CLASS } from './frames.js';
import type { PageFile } from './page-file.js';
import { ImagePool, type PageImage, readSwipTable, type SwipTable } from './page-image.js';

/** The image is the page itself, which has not changed since the gate. */
const LIVE = 0;
/** The image was put aside. */
const ASIDE = 1;
/** The image has its address and is being written. */
const STAGED = 2;
/** The image is in the file. */
const DONE = 3;

/** Images put aside beyond so many bytes are written at once. */
const ASIDE_LIMIT = 4 * 1024 * 1024;
const KEPT_IMAGES = 6 * 1024 * 1024;

/** What the checkpoint of one epoch has to write, children before parents. */
class ClosedEpoch {
  readonly frame: number[] = [];
  readonly state: number[] = [];
  /** The extent that held the page before; 0 if there was none. */
  readonly previous: number[] = [];
  readonly address: number[] = [];
  readonly checksum: number[] = [];
  readonly image: (PageImage | null)[] = [];
  readonly sizeClass: number[] = [];
  /** Entries that may be put aside and complete; looked through when memory for images runs short. */
  readonly aside: number[] = [];
  undone = 0;

  constructor(readonly number: number) {}
}

/** An image on its way to the file. */
export interface StagedImage {
  readonly entry: number;
  readonly address: number;
  readonly image: PageImage;
}

export class Epochs {
  /** The epoch in which changes are made now. */
  open: number;
  /** Units of the file that the pages dirty in the open epoch will need. */
  dirtyUnits = 0;
  /** Pages dirty in the open epoch. */
  dirtyPages = 0;
  readonly images = new ImagePool(KEPT_IMAGES);
  #closed: ClosedEpoch | null = null;
  #asideBytes = 0;
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(
    private readonly arena: Arena,
    private readonly frames: FrameTable,
    private readonly file: PageFile,
    private readonly space: FileSpace,
    private readonly counters: Counters,
    open: number,
  ) {
    this.open = open;
  }

  /** Units that the closed epoch still has to write. */
  get owedUnits(): number {
    return this.#closed === null ? 0 : this.#closed.undone;
  }

  get closedNumber(): number {
    return (this.#closed as ClosedEpoch).number;
  }

  /** C2: marks the page and all above it, before any of them changes. */
  markDirty(frame: number): void {
    const words = this.frames.words;
    for (let page = frame; page !== NO_FRAME; ) {
      const at = this.frames.at(page);
      if (words[at + DIRTY_EPOCH] === this.open) return;
      if (words[at + ENTRY] !== 0) this.#putAside(page);
      words[at + DIRTY_EPOCH] = this.open;
      this.dirtyUnits += 1 << (words[at + SIZE_CLASS] as number);
      this.dirtyPages++;
      page = words[at + PARENT] as number;
    }
  }

  /** Whether what is in the frame differs from the extent that it came from. */
  isDirty(frame: number): boolean {
    return this.frames.get(frame, DIRTY_EPOCH) === this.open || this.frames.get(frame, ENTRY) !== 0;
  }

  /** A page whose image is being written as it stands in the frame: it must stay until that is over. */
  isBeingWritten(frame: number): boolean {
    const entry = this.frames.get(frame, ENTRY);
    if (entry === 0 || this.frames.get(frame, DIRTY_EPOCH) === this.open) return false;
    return (this.#closed as ClosedEpoch).state[entry - 1] === STAGED;
  }

  // ── Writing a page because its frame is wanted ──────────────────────────────────────────────────────────────

  /**
   * Makes the image of a dirty page without resident children, and an extent for it. If the page is as it was when the
   * epoch closed, this is its checkpoint write.
   */
  stageForEviction(frame: number): StagedImage {
    const epoch = this.frames.get(frame, DIRTY_EPOCH) === this.open ? 'open' : 'closed';
    const sizeClass = this.frames.get(frame, SIZE_CLASS);
    const image = this.images.take(this.arena.pageSize << sizeClass);
    this.#copy(frame, image);
    return { entry: -1, address: this.space.allocate(sizeClass, epoch), image };
  }

  /** Seals the image; its checksum. */
  sealForEviction(frame: number, staged: StagedImage): number {
    return staged.image.seal(this.frames.get(frame, DIRTY_EPOCH) === this.open ? this.open : this.open - 1);
  }

  /** The image is in the file: the page is clean. */
  settleEvicted(frame: number, staged: StagedImage, checksum: number): void {
    const at = this.frames.at(frame);
    const words = this.frames.words;
    const entry = words[at + ENTRY] as number;
    if (words[at + DIRTY_EPOCH] === this.open) {
      const previous = words[at + ADDRESS] as number;
      // The image that is still owed takes the place of what was there before; this one comes after both.
      if (entry !== 0) this.#detach(frame);
      else if (previous !== 0) this.space.giveUp(previous >>> 0, 'open', this.open);
      words[at + ADDRESS] = staged.address;
      words[at + CHECKSUM] = checksum;
      this.#forgetDirty(frame);
    } else {
      const closed = this.#closed as ClosedEpoch;
      closed.address[entry - 1] = staged.address;
      closed.checksum[entry - 1] = checksum;
      this.#complete(entry - 1);
    }
    this.images.give(staged.image);
  }

  /** The image could not be written: its extent is free again. */
  withdraw(staged: StagedImage): void {
    this.space.withdraw(staged.address);
    this.images.give(staged.image);
  }

  // ── Pages that go or move ───────────────────────────────────────────────────────────────────────────────────

  /** The page is given up in the open epoch. */
  pageFreed(frame: number): void {
    const at = this.frames.at(frame);
    const words = this.frames.words;
    if (words[at + ENTRY] !== 0 && words[at + DIRTY_EPOCH] !== this.open) this.#putAside(frame);
    // What was put aside may have been written at once: then the page owes nothing any more, and has a new address.
    if (words[at + ENTRY] !== 0) this.#detach(frame);
    else if (words[at + ADDRESS] !== 0) this.space.giveUp((words[at + ADDRESS] as number) >>> 0, 'open', this.open);
    this.#forgetDirty(frame);
  }

  /** A page that is not in memory is given up in the open epoch. */
  extentFreed(address: number): void {
    this.space.giveUp(address, 'open', this.open);
  }

  /** The page has moved to another frame. */
  pageMoved(to: number): void {
    const entry = this.frames.get(to, ENTRY);
    if (entry !== 0) (this.#closed as ClosedEpoch).frame[entry - 1] = to;
  }

  // ── The checkpoint's side ───────────────────────────────────────────────────────────────────────────────────

  /** The gate: closes the open epoch and makes an entry for each page that is dirty in it, children before parents. */
  close(root: number): void {
    invariant(this.#closed === null, 'An epoch was closed while another checkpoint runs');
    const closed = new ClosedEpoch(this.open);
    this.#collect(root, closed);
    this.space.closeEpoch();
    this.#closed = closed;
    this.open++;
    this.dirtyUnits = 0;
    this.dirtyPages = 0;
  }

  /** How many entries the closed epoch has. */
  get entries(): number {
    return (this.#closed as ClosedEpoch).frame.length;
  }

  /** Address and checksum of the last entry's image: the page nearest to the root, which comes after all others. */
  get topImage(): { readonly address: number; readonly checksum: number } {
    const closed = this.#closed as ClosedEpoch;
    const last = closed.frame.length - 1;
    return { address: closed.address[last] as number, checksum: closed.checksum[last] as number };
  }

  /** Gives an entry's image its address, and a copy to write; null if it is in the file already. Entries come in order. */
  stage(entry: number): StagedImage | null {
    const closed = this.#closed as ClosedEpoch;
    const state = closed.state[entry];
    if (state === DONE) return null;
    invariant(state === LIVE || state === ASIDE, 'An image is staged twice');
    const sizeClass = closed.sizeClass[entry] as number;
    const address = this.space.allocate(sizeClass, 'closed');
    let image = closed.image[entry] as PageImage | null;
    if (image === null) {
      image = this.images.take(this.arena.pageSize << sizeClass);
      this.#copy(closed.frame[entry] as number, image);
    } else {
      this.#asideBytes -= image.size;
      closed.image[entry] = null;
    }
    invariant(this.#resolveEntries(image), 'An image is staged before its children');
    closed.state[entry] = STAGED;
    closed.address[entry] = address;
    closed.checksum[entry] = image.seal(closed.number);
    return { entry, address, image };
  }

  /** A staged image could not be written. It is kept as one put aside, so that the page may go on changing. */
  unstage(staged: StagedImage): void {
    const closed = this.#closed as ClosedEpoch;
    this.space.withdraw(staged.address);
    closed.address[staged.entry] = 0;
    closed.state[staged.entry] = ASIDE;
    closed.image[staged.entry] = staged.image;
    this.#asideBytes += staged.image.size;
  }

  /** A staged image is in the file. */
  settleStaged(staged: StagedImage): void {
    this.counters.addOf(WRITES, (this.#closed as ClosedEpoch).sizeClass[staged.entry] as number);
    this.#complete(staged.entry);
    this.images.give(staged.image);
  }

  /** The superblock of the closed epoch counts. */
  settle(): void {
    invariant((this.#closed as ClosedEpoch).undone === 0, 'A checkpoint ended before all its pages were written');
    this.space.settleClosed();
    this.#closed = null;
  }

  /** Depth-first over the dirty pages; a page's number is given when it is left. The root block is no page of the file. */
  #collect(root: number, closed: ClosedEpoch): void {
    const words = this.frames.words;
    if (this.frames.get(root, DIRTY_EPOCH) !== closed.number) return;
    this.#forgetDirty(root);
    const stack: number[] = [root];
    const entered: boolean[] = [false];
    while (stack.length > 0) {
      const frame = stack[stack.length - 1] as number;
      if (entered[entered.length - 1] === false) {
        entered[entered.length - 1] = true;
        this.#forEachResident(frame, (child) => {
          if (words[this.frames.at(child) + DIRTY_EPOCH] !== closed.number) return;
          stack.push(child);
          entered.push(false);
        });
        continue;
      }
      stack.pop();
      entered.pop();
      if (frame === root) continue;
      const at = this.frames.at(frame);
      const sizeClass = words[at + SIZE_CLASS] as number;
      closed.frame.push(frame);
      closed.state.push(LIVE);
      closed.previous.push((words[at + ADDRESS] as number) >>> 0);
      closed.address.push(0);
      closed.checksum.push(0);
      closed.image.push(null);
      closed.sizeClass.push(sizeClass);
      words[at + ENTRY] = closed.frame.length;
      closed.undone += 1 << sizeClass;
    }
    // A dirty page that is not reached would be missing from the checkpoint: its parent was not marked (C2).
    invariant(
      closed.undone === this.dirtyUnits,
      `A checkpoint reaches ${closed.undone} dirty units of ${this.dirtyUnits}`,
    );
  }

  #forEachResident(frame: number, visit: (child: number) => void): void {
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, this.arena.pageSize << this.frames.get(frame, SIZE_CLASS), table);
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += table.stride >>> 2) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (tag === SWIP_HOT || tag === SWIP_COOL) visit(word >>> 2);
    }
  }

  #putAside(frame: number): void {
    const closed = this.#closed as ClosedEpoch;
    const entry = this.frames.get(frame, ENTRY) - 1;
    if (closed.state[entry] !== LIVE) return;
    const image = this.images.take(this.arena.pageSize << (closed.sizeClass[entry] as number));
    this.#copy(frame, image);
    closed.image[entry] = image;
    closed.state[entry] = ASIDE;
    closed.aside.push(entry);
    this.#asideBytes += image.size;
    schedulePoint(POINT.imagePutAside);
    if (this.#asideBytes > ASIDE_LIMIT) this.#writeAside(closed);
  }

  /** Writes all images put aside whose children have addresses. Those that wait for children stay; they are inner pages, and few. */
  #writeAside(closed: ClosedEpoch): void {
    const waiting: number[] = [];
    for (const entry of closed.aside) {
      const image = closed.image[entry] as PageImage | null;
      if (closed.state[entry] !== ASIDE || image === null) continue;
      if (!this.#resolveEntries(image)) {
        waiting.push(entry);
        continue;
      }
      const staged = this.stage(entry) as StagedImage;
      try {
        this.file.io.writeSync(staged.image.bytes, this.file.offsetOf(staged.address));
      } catch (error) {
        this.unstage(staged);
        throw error;
      }
      this.settleStaged(staged);
    }
    closed.aside.length = 0;
    closed.aside.push(...waiting);
  }

  #complete(entry: number): void {
    const closed = this.#closed as ClosedEpoch;
    const address = closed.address[entry] as number;
    const previous = closed.previous[entry] as number;
    const frame = closed.frame[entry] as number;
    closed.state[entry] = DONE;
    closed.undone -= 1 << (closed.sizeClass[entry] as number);
    if (previous !== 0) this.space.giveUp(previous, 'closed', closed.number);
    if (frame === NO_FRAME) {
      // The page has gone on, or is gone: the closed epoch is the only one that names this image.
      this.space.giveUp(address, 'open', this.open);
      return;
    }
    const at = this.frames.at(frame);
    this.frames.words[at + ADDRESS] = address;
    this.frames.words[at + CHECKSUM] = closed.checksum[entry] as number;
    this.frames.words[at + ENTRY] = 0;
    if (this.frames.words[at + DIRTY_EPOCH] !== this.open) this.frames.words[at + DIRTY_EPOCH] = 0;
  }

  /** The frame will no longer stand for the entry's page. */
  #detach(frame: number): void {
    const entry = this.frames.get(frame, ENTRY) - 1;
    (this.#closed as ClosedEpoch).frame[entry] = NO_FRAME;
    this.frames.set(frame, ENTRY, 0);
  }

  #forgetDirty(frame: number): void {
    if (this.frames.get(frame, DIRTY_EPOCH) === this.open) {
      this.dirtyUnits -= 1 << this.frames.get(frame, SIZE_CLASS);
      this.dirtyPages--;
    }
    this.frames.set(frame, DIRTY_EPOCH, 0);
  }

  /**
   * Copies the page and makes its swips cold, as the closed epoch has them; children whose addresses are not known yet
   * are named by their entries, tagged hot.
   */
  #copy(frame: number, image: PageImage): void {
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, image.size, table);
    image.bytes.set(segment.u8.subarray(base, base + image.size));
    const words = image.words;
    for (let left = table.count, at = table.offset >>> 2; left > 0; left--, at += table.stride >>> 2) {
      const word = words[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (word === SWIP_NULL || tag === SWIP_COLD) continue;
      const child = word >>> 2;
      const entry = this.frames.get(child, ENTRY);
      if (entry !== 0) {
        words[at] = ((entry - 1) << 2) | SWIP_HOT;
        words[at + 1] = 0;
        continue;
      }
      const address = this.frames.get(child, ADDRESS) >>> 0;
      invariant(address !== 0, 'A page is written before its child');
      words[at] = ((address << 2) | SWIP_COLD) >>> 0;
      words[at + 1] = this.frames.get(child, CHECKSUM);
    }
  }

  /** Replaces entries by addresses; false if one is not known yet. */
  #resolveEntries(image: PageImage): boolean {
    const closed = this.#closed as ClosedEpoch;
    const words = image.words;
    const step = image.swipStride >>> 2;
    let complete = true;
    for (let left = image.swipCount, at = image.swipOffset >>> 2; left > 0; left--, at += step) {
      const word = words[at] as number;
      if ((word & SWIP_TAG_MASK) !== SWIP_HOT) continue;
      const entry = word >>> 2;
      const address = closed.address[entry] as number;
      if (address === 0) {
        complete = false;
        continue;
      }
      words[at] = ((address << 2) | SWIP_COLD) >>> 0;
      words[at + 1] = closed.checksum[entry] as number;
    }
    return complete;
  }
}
