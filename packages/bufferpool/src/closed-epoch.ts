/**
 * The closed epoch: the tree as it was at the gate, on its way to the file while work goes on (C1, C2). Nothing is noted of
 * its pages at the gate. They are found later, each by whichever comes first: the checkpoint, which goes down from the top
 * and writes children before parents; eviction; or a change, which puts the page's image aside.
 *
 * Must hold, for each page that is dirty in the closed epoch and in memory:
 * 1. It owes its image and has not changed, or it is dirty in the open epoch, and so are all pages above it, whose images
 *    were taken before.
 * 2. Its parent is dirty in one of the two epochs until its own image has its address.
 * 3. An image that is put aside was named before, by the one above it, which was put aside earlier. A page for which that
 *    is not so is out of reach of the checkpoint: its parent was not marked.
 */
import {
  invariant,
  POINT,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_TAG_MASK,
  schedulePoint,
  type Translation,
} from '@pagewright/core/contracts';
import type { Arena } from './arena.js';
import { type Counters, WRITES } from './counters.js';
import { EPOCH, type EpochMemory } from './epoch-memory.js';
import type { FileSpace } from './file-space.js';
import {
  ADDRESS,
  CHECKSUM,
  DIRTY_EPOCH,
  ENTRY,
  type FrameTable,
  NO_FRAME,
  PARENT,
  SIZE_CLASS,
  WRITING,
} from './frames.js';
import type { OwedImages } from './owed-images.js';
import { ASIDE, NO_ENTRY, OWED, STAGED } from './owed-pages.js';
import type { PageFile } from './page-file.js';
import { type ImagePool, type PageImage, readSwipTable, type SwipTable, swipTableOfImage } from './page-image.js';

/** Images that are written at once because there is no room to put more aside: so many bytes. */
const ROOM_BYTES = 256 * 1024;

/** An image on its way to the file. */
export interface StagedImage {
  /** The entry; 0 for an eviction. */
  readonly entry: number;
  /** The frame that is evicted; else `NO_FRAME`. */
  readonly frame: number;
  /** The epoch whose content it is. */
  readonly epoch: number;
  readonly address: number;
  readonly image: PageImage;
}

export interface EpochParts {
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly translation: Translation;
  readonly file: PageFile;
  readonly space: FileSpace;
  readonly counters: Counters;
}

export class ClosedEpoch {
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(
    private readonly parts: EpochParts,
    private readonly memory: EpochMemory,
    private readonly owedImages: OwedImages,
    /** Memory of this thread. */
    private readonly images: ImagePool,
  ) {}

  // ── Pages that go on ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The page, which is dirty in the closed epoch and not in the open one, is about to change or to go: its image is put
   * aside, or is in the file or on its way there already. Errors: those of writing.
   */
  putAside(frame: number): void {
    const { frames } = this.parts;
    const { owed, area } = this.memory;
    // An eviction that is under way writes what the page was: it will be told so.
    frames.set(frame, WRITING, 0);
    while (this.owedImages.isOwed(frame)) {
      const entry = frames.get(frame, ENTRY);
      invariant(entry !== 0, 'A page changes that no image names: it is out of reach of the checkpoint');
      if (owed.get(entry, OWED.state) === STAGED) return;
      const sizeClass = owed.get(entry, OWED.sizeClass);
      const image = area.take(sizeClass, entry);
      if (image < 0) {
        this.#makeRoom(entry);
        continue;
      }
      this.owedImages.copy(frame, area.bytes, area.words, area.offsetOf(image), entry);
      owed.set(entry, OWED.state, ASIDE);
      owed.set(entry, OWED.image, image);
      schedulePoint(POINT.imagePutAside);
      return;
    }
  }

  /** The frame stands for the page no longer: it is gone, or stored elsewhere as it is in the open epoch. */
  detach(frame: number): void {
    this.memory.owed.set(this.parts.frames.get(frame, ENTRY), OWED.frame, NO_FRAME);
    this.parts.frames.set(frame, ENTRY, 0);
  }

  pageMoved(to: number): void {
    const entry = this.parts.frames.get(to, ENTRY);
    if (entry !== 0) this.memory.owed.set(entry, OWED.frame, to);
  }

  /** Eviction has written the page, which is as it was at the gate: that was its checkpoint write. */
  evicted(frame: number, address: number, checksum: number): void {
    const entry = this.parts.frames.get(frame, ENTRY);
    const previous = this.parts.frames.get(frame, ADDRESS) >>> 0;
    if (entry !== 0) {
      this.owedImages.publish(entry, address, checksum);
      this.memory.owed.remove(entry);
    }
    this.#written(frame, this.parts.frames.get(frame, SIZE_CLASS), previous, address, checksum);
  }

  /** A copy of a page that has no children in memory, for eviction. */
  copyForEviction(frame: number): PageImage {
    const image = this.images.take(this.parts.arena.pageSize << this.parts.frames.get(frame, SIZE_CLASS));
    this.owedImages.copy(frame, image.bytes, image.words, 0, NO_ENTRY);
    return image;
  }

  // ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Stages images, children before parents, until they have so many bytes; how many they have. 0: nothing is left to
   * stage, or what comes next is being evicted.
   */
  stage(into: StagedImage[], most: number): number {
    const { owed, area } = this.memory;
    // Whoever finds the area full has to write: what is complete goes before it comes to that.
    let bytes = area.usedPages * 2 > area.pages ? this.#stageComplete(into, most) : 0;
    while (bytes < most && owed.agenda !== NO_ENTRY) {
      const entry = this.#descend(false);
      if (entry === NO_ENTRY) break;
      bytes += this.#stageEntry(entry, into);
    }
    return bytes;
  }

  /** A staged image is in the file. Its memory is for the caller to give back. */
  settle(staged: StagedImage): void {
    const { owed } = this.memory;
    const { entry, address } = staged;
    const frame = owed.get(entry, OWED.frame);
    const checksum = owed.get(entry, OWED.checksum);
    const previous = owed.get(entry, OWED.previous) >>> 0;
    const sizeClass = owed.get(entry, OWED.sizeClass);
    owed.remove(entry);
    this.parts.counters.addOf(WRITES, sizeClass);
    this.#written(frame, sizeClass, previous, address, checksum);
  }

  /** Takes back what was staged and not written. */
  withdraw(staged: StagedImage): void {
    this.parts.space.withdraw(staged.address);
    this.images.give(staged.image);
  }

  /**
   * The checkpoint has failed: entries and images are forgotten. Calls back for the pages that images name by addresses
   * which nothing will be written to.
   */
  forget(unwritten: (frame: number) => void): void {
    const { frames } = this.parts;
    const { owed, area } = this.memory;
    const staged: number[] = [];
    owed.forEach((entry) => {
      const frame = owed.get(entry, OWED.frame);
      if (frame === NO_FRAME) return;
      if (this.owedImages.isStaged(frame)) staged.push(frame);
      frames.set(frame, ENTRY, 0);
    });
    owed.clear();
    area.clear();
    for (const frame of staged) unwritten(frame);
  }

  /** Follows the agenda down to an entry with nothing below it left to stage. With `takeOver` evictions under way lose their pages. */
  #descend(takeOver: boolean): number {
    const { frames } = this.parts;
    const { owed } = this.memory;
    for (;;) {
      const entry = owed.agenda;
      const isAside = owed.get(entry, OWED.state) === ASIDE;
      const frame = owed.get(entry, OWED.frame);
      if (!isAside) {
        invariant(this.owedImages.isOwed(frame) && frames.get(frame, ENTRY) === entry, 'An entry has lost its page');
        if (frames.get(frame, WRITING) !== 0) {
          if (!takeOver) return NO_ENTRY;
          frames.set(frame, WRITING, 0);
        }
      }
      const below = isAside ? this.#nextNamed(entry) : this.#nextOwedChild(entry, frame);
      if (below === NO_ENTRY) return entry;
      owed.queue(below);
    }
  }

  /** The next entry that an image names. */
  #nextNamed(entry: number): number {
    const { owed, area } = this.memory;
    if (owed.get(entry, OWED.pending) === 0) return NO_ENTRY;
    const { words } = area;
    const offset = area.offsetOf(owed.get(entry, OWED.image));
    const table = swipTableOfImage(words, offset, this.#table);
    for (let swip = owed.get(entry, OWED.cursor); ; swip++) {
      invariant(swip < table.count, 'An image waits for pages that it does not name');
      const word = words[(offset + table.offset + swip * table.stride) >>> 2] as number;
      if ((word & SWIP_TAG_MASK) !== SWIP_HOT) continue;
      owed.set(entry, OWED.cursor, swip);
      return word >>> 2;
    }
  }

  /** The entry of the next child that is owed and not staged, of a page in its frame. */
  #nextOwedChild(entry: number, frame: number): number {
    const { arena, frames, translation } = this.parts;
    const { owed } = this.memory;
    const segment = arena.segmentOf(frame);
    const base = arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, arena.pageSize << owed.get(entry, OWED.sizeClass), table);
    for (let swip = owed.get(entry, OWED.cursor); swip < table.count; swip++) {
      const word = segment.u32[(base + table.offset + swip * table.stride) >>> 2] as number;
      const tag = word & SWIP_TAG_MASK;
      if (tag !== SWIP_HOT && tag !== SWIP_COOL) continue;
      const child = translation.frameOf(word >>> 2);
      if (!this.owedImages.isOwed(child) || this.owedImages.isStaged(child)) continue;
      invariant(frames.get(child, PARENT) === frame, 'A swip names a page that has its place elsewhere');
      owed.set(entry, OWED.cursor, swip);
      return this.owedImages.entryOf(child);
    }
    owed.set(entry, OWED.cursor, table.count);
    return NO_ENTRY;
  }

  /** Gives an image its address, and a copy to write; its bytes. All below it have addresses. */
  #stageEntry(entry: number, into: StagedImage[]): number {
    const { arena, space } = this.parts;
    const { owed, area } = this.memory;
    const sizeClass = owed.get(entry, OWED.sizeClass);
    const address = space.allocate(sizeClass, 'closed');
    const image = this.images.take(arena.pageSize << sizeClass);
    const frame = owed.get(entry, OWED.frame);
    if (owed.get(entry, OWED.state) === ASIDE) {
      invariant(owed.get(entry, OWED.pending) === 0, 'An image is staged before its children');
      const page = owed.get(entry, OWED.image);
      const offset = area.offsetOf(page);
      image.bytes.set(area.bytes.subarray(offset, offset + image.size));
      area.give(page, sizeClass);
    } else this.owedImages.copy(frame, image.bytes, image.words, 0, NO_ENTRY);
    const checksum = image.seal(this.owedImages.number);
    owed.set(entry, OWED.state, STAGED);
    owed.unqueue(entry);
    this.owedImages.publish(entry, address, checksum);
    into.push({ entry, frame: NO_FRAME, epoch: this.owedImages.number, address, image });
    return image.size;
  }

  /** The image of a page is in the file. */
  #written(frame: number, sizeClass: number, previous: number, address: number, checksum: number): void {
    const { frames, space } = this.parts;
    this.memory.add(EPOCH.owedUnits, -(1 << sizeClass));
    if (previous !== 0) space.giveUp(previous, 'closed', this.owedImages.number);
    if (frame === NO_FRAME) {
      // The page has gone on, or is gone: the closed epoch is the only one that names this image.
      space.giveUp(address, 'open', this.memory.get(EPOCH.open));
      return;
    }
    frames.set(frame, ADDRESS, address);
    frames.set(frame, CHECKSUM, checksum);
    frames.set(frame, ENTRY, 0);
    if (this.owedImages.isOwed(frame)) frames.set(frame, DIRTY_EPOCH, 0);
  }

  // ── Room for images ─────────────────────────────────────────────────────────────────────────────────────────

  /**
   * The image area is full. What is complete in it is written; if all that is left there waits for pages below, the page
   * that wanted room is written itself, after those below it, which takes no room at all.
   */
  #makeRoom(entry: number): void {
    const { owed } = this.memory;
    const batch: StagedImage[] = [];
    try {
      let bytes = this.#stageComplete(batch, ROOM_BYTES);
      if (bytes === 0) owed.queue(entry);
      while (bytes < ROOM_BYTES && owed.get(entry, OWED.queued) === 1) {
        bytes += this.#stageEntry(this.#descend(true), batch);
      }
      this.parts.file.writeImagesSync(batch);
    } catch (error) {
      for (const staged of batch) this.withdraw(staged);
      throw error;
    }
    for (const staged of batch) {
      this.settle(staged);
      this.images.give(staged.image);
    }
  }

  /** Stages images put aside in which nothing is pending, until they have so many bytes; how many they have. */
  #stageComplete(into: StagedImage[], most: number): number {
    const { owed, area } = this.memory;
    let bytes = 0;
    area.forEachEntry((aside) => {
      if (owed.get(aside, OWED.pending) === 0) bytes += this.#stageEntry(aside, into);
      return bytes < most;
    });
    return bytes;
  }
}
