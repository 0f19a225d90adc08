/**
 * Epochs (C1, C2): which pages have changed since the last checkpoint, and what is owed to the one that runs. While it runs
 * there is a closed epoch, whose tree is being written (`closed-epoch.ts`), and an open one, in which work goes on.
 *
 * All state is in shared memory: the epochs' own, and a few words of each frame. Any thread may make any call, one at a
 * time, under the pool latch; writes to the file that take turns of the event loop, or that are made without the latch,
 * are bracketed by two calls, and between them anything may happen to the page.
 *
 * A page's `DIRTY_EPOCH` is 0, the closed epoch, or the open one. What becomes of a page that is dirty in the closed epoch:
 *
 * | before its image is in the file | what happens |
 * | --- | --- |
 * | it, or a page below it, changes | images of all above it, then its own, are put aside; it is dirty in the open epoch |
 * | it is freed, or unlinked and linked elsewhere | what named it has changed, so that an image names it by its entry; if it is freed its image is put aside, and the entry needs no frame any more, whatever the frame is used for |
 * | its swip moves to another page | as above: both pages have changed; the entry goes on standing for it |
 * | it is evicted, unchanged | that is its checkpoint write: its address replaces its entry in the image above, or its frame in the page above |
 * | it is evicted after a change | its image stays aside without a frame; what is written is of the open epoch |
 * | it moves to another frame | the entry names that one; an eviction that is writing it has written in vain |
 * | it is met by the checkpoint | it is staged when all below it is: images above take its address at once |
 *
 * A page that is clean in the closed epoch keeps the address that the closed epoch has for it until it changes, and then
 * the images above it are taken first. A page allocated since is in no image: where it is linked was put aside before.
 *
 * Must hold: if a page is dirty in the open epoch, all pages above it are. A page that is dirty has no clean page above it.
 */
import { invariant } from '@pagewright/core/contracts';
import { ClosedEpoch, type EpochParts, type StagedImage } from './closed-epoch.js';
import { EPOCH, EpochMemory, FAILED, NONE, RUNNING } from './epoch-memory.js';
import { ADDRESS, CHECKSUM, DIRTY_EPOCH, ENTRY, NO_FRAME, PARENT, SIZE_CLASS, WRITING } from './frames.js';
import { OwedImages } from './owed-images.js';
import { ImagePool } from './page-image.js';

/** Large private images kept for later use, in bytes. */
const KEPT_IMAGES = 2 * 1024 * 1024;

export class Epochs {
  readonly #memory: EpochMemory;
  readonly #owedImages: OwedImages;
  readonly #closed: ClosedEpoch;
  readonly #images = new ImagePool(KEPT_IMAGES);

  /** Bytes of shared memory for a pool of so many frames. */
  static bytes(frames: number, pageSize: number): number {
    return EpochMemory.bytes(frames, pageSize);
  }

  /** Memory that it takes: of the area for images what was touched, and private images that are kept for later. */
  get bytes(): number {
    const { area } = this.#memory;
    return this.memory.byteLength - area.bytes.byteLength + area.touchedBytes + this.#images.bytes;
  }

  constructor(
    private readonly parts: EpochParts,
    private readonly memory: SharedArrayBuffer,
  ) {
    this.#memory = new EpochMemory(memory, parts.frames.count, parts.arena.pageSize);
    this.#owedImages = new OwedImages(parts.arena, parts.frames, parts.translation, this.#memory);
    this.#closed = new ClosedEpoch(parts, this.#memory, this.#owedImages, this.#images);
  }

  /** By the thread that creates the memory, which is all zeros: the epoch in which changes are made first. */
  initialize(open: number): void {
    this.#memory.set(EPOCH.open, open);
  }

  /** The epoch in which changes are made now. */
  get open(): number {
    return this.#memory.get(EPOCH.open);
  }

  /** Units of the file that the pages dirty in the open epoch will need. */
  get dirtyUnits(): number {
    return this.#memory.get(EPOCH.dirtyUnits);
  }

  /** Pages dirty in the open epoch. */
  get dirtyPages(): number {
    return this.#memory.get(EPOCH.dirtyPages);
  }

  /** Units that the closed epoch still has to write. */
  get owedUnits(): number {
    return this.#memory.get(EPOCH.owedUnits);
  }

  get closedNumber(): number {
    return this.#owedImages.number;
  }

  /** C2: marks the page and all above it, before any of them changes. Those above come first. Errors: those of writing. */
  markDirty(frame: number): void {
    const { words } = this.parts.frames;
    const at = this.parts.frames.at(frame);
    // What eviction may be writing of the page will not be what it is.
    words[at + WRITING] = 0;
    if (words[at + DIRTY_EPOCH] === this.open) return;
    const parent = words[at + PARENT] as number;
    if (parent !== NO_FRAME) this.markDirty(parent);
    if (words[at + DIRTY_EPOCH] !== 0) this.#putAside(frame);
    const units = 1 << (words[at + SIZE_CLASS] as number);
    // Of a checkpoint that has failed nothing is owed but what the pages are now.
    if (words[at + DIRTY_EPOCH] !== 0 && this.#memory.get(EPOCH.closed) === FAILED)
      this.#memory.add(EPOCH.owedUnits, -units);
    words[at + DIRTY_EPOCH] = this.open;
    this.#memory.add(EPOCH.dirtyUnits, units);
    this.#memory.add(EPOCH.dirtyPages, 1);
  }

  /** Whether what is in the frame differs from the extent that it came from. */
  isDirty(frame: number): boolean {
    return this.parts.frames.get(frame, DIRTY_EPOCH) !== 0;
  }

  /** A page whose image is being written as it stands in the frame: it must stay in memory until that is over. */
  isBeingWritten(frame: number): boolean {
    return this.parts.frames.get(frame, WRITING) !== 0 || this.#owedImages.isStaged(frame);
  }

  // ── Writing a page because its frame is wanted ──────────────────────────────────────────────────────────────

  /**
   * Makes the image of a dirty page without resident children, and an extent for it. If the page is as it was when the
   * epoch closed, this is its checkpoint write. Then come `sealForEviction`, the write, and `settleEvicted` or `withdraw`.
   */
  stageForEviction(frame: number): StagedImage {
    invariant(!this.isBeingWritten(frame), 'A page is written twice at the same time');
    const epoch = this.parts.frames.get(frame, DIRTY_EPOCH);
    const isOpen = epoch === this.open;
    const image = this.#closed.copyForEviction(frame);
    let address: number;
    try {
      address = this.parts.space.allocate(this.parts.frames.get(frame, SIZE_CLASS), isOpen ? 'open' : 'closed');
    } catch (error) {
      this.#images.give(image);
      throw error;
    }
    this.parts.frames.set(frame, WRITING, address);
    this.#memory.add(isOpen ? EPOCH.openWrites : EPOCH.closedWrites, 1);
    return { entry: 0, frame, epoch, address, image };
  }

  /** Seals the image; its checksum. Needs no latch. */
  sealForEviction(_frame: number, staged: StagedImage): number {
    return staged.image.seal(staged.epoch);
  }

  /**
   * The image is in the file: the page is clean now, unless it has changed or gone since it was staged. Then the extent is
   * free again, the answer is false, and the frame must not be touched for its sake.
   */
  settleEvicted(frame: number, staged: StagedImage, checksum: number): boolean {
    const { frames, space } = this.parts;
    const { address, epoch } = staged;
    if (frames.get(frame, WRITING) !== address || frames.get(frame, DIRTY_EPOCH) !== epoch) {
      this.withdraw(staged);
      return false;
    }
    if (epoch === this.open) {
      const previous = frames.get(frame, ADDRESS) >>> 0;
      // The image that is still owed takes the place of what was there before; this one comes after both.
      if (frames.get(frame, ENTRY) !== 0) this.#closed.detach(frame);
      else if (previous !== 0) space.giveUp(previous, 'open', this.open);
      frames.set(frame, ADDRESS, address);
      frames.set(frame, CHECKSUM, checksum);
      this.#forgetDirty(frame);
    } else this.#closed.evicted(frame, address, checksum);
    this.#endEviction(staged);
    return true;
  }

  /** The image was not written, or is of no use: its extent is free again. */
  withdraw(staged: StagedImage): void {
    this.parts.space.withdraw(staged.address);
    this.#endEviction(staged);
  }

  // ── Writing a stored page elsewhere ─────────────────────────────────────────────────────────────────────────

  /** A write to an extent of the open epoch begins. The checkpoint of that epoch waits for `endWrite`. Returns the epoch. */
  beginWrite(): number {
    this.#memory.add(EPOCH.openWrites, 1);
    return this.open;
  }

  endWrite(epoch: number): void {
    this.#memory.add(epoch === this.open ? EPOCH.openWrites : EPOCH.closedWrites, -1);
  }

  // ── Pages that go or move ───────────────────────────────────────────────────────────────────────────────────

  /** The page is given up in the open epoch. Errors: those of writing; then it is not. */
  pageFreed(frame: number): void {
    const { frames, space } = this.parts;
    if (frames.get(frame, DIRTY_EPOCH) === this.closedNumber) this.#putAside(frame);
    // What had to be put aside may have been written at once: then the page owes nothing any more, and has a new address.
    if (frames.get(frame, ENTRY) !== 0) this.#closed.detach(frame);
    else if (frames.get(frame, ADDRESS) !== 0) space.giveUp(frames.get(frame, ADDRESS) >>> 0, 'open', this.open);
    this.#forgetDirty(frame);
    frames.set(frame, WRITING, 0);
  }

  /** A page that is not in memory is given up in the open epoch. */
  extentFreed(address: number): void {
    this.parts.space.giveUp(address, 'open', this.open);
  }

  /** The page has moved to another frame, with its words. An eviction that is writing it is told so by the frame that it knows. */
  pageMoved(from: number, to: number): void {
    this.parts.frames.set(from, WRITING, 0);
    this.parts.frames.set(to, WRITING, 0);
    this.#closed.pageMoved(to);
  }

  // ── The checkpoint's side ───────────────────────────────────────────────────────────────────────────────────

  /** The gate: closes the open epoch. Takes the same time whatever has changed in it. */
  close(root: number): void {
    const memory = this.#memory;
    invariant(memory.get(EPOCH.closed) === NONE, 'An epoch was closed while another checkpoint runs');
    const hasChanged = this.parts.frames.get(root, DIRTY_EPOCH) === this.open;
    if (hasChanged) this.#forgetDirty(root);
    memory.set(EPOCH.closed, RUNNING);
    memory.set(EPOCH.hasChanged, hasChanged ? 1 : 0);
    memory.set(EPOCH.closedUnits, this.dirtyUnits);
    memory.set(EPOCH.closedPages, this.dirtyPages);
    memory.set(EPOCH.owedUnits, this.dirtyUnits);
    memory.set(EPOCH.closedWrites, memory.get(EPOCH.openWrites));
    memory.set(EPOCH.dirtyUnits, 0);
    memory.set(EPOCH.dirtyPages, 0);
    memory.set(EPOCH.openWrites, 0);
    this.parts.space.closeEpoch();
    memory.add(EPOCH.open, 1);
    if (hasChanged) this.#owedImages.takeTop(root);
  }

  /** Checkpoints that were completed since the store was opened. */
  get checkpoints(): number {
    return this.#memory.get(EPOCH.checkpoints);
  }

  countCheckpoint(): void {
    this.#memory.add(EPOCH.checkpoints, 1);
  }

  /** How many pages were dirty when the epoch closed. */
  get closedPages(): number {
    return this.#memory.get(EPOCH.closedPages);
  }

  /** Address and checksum of the topmost image, 0 for an empty tree; null if nothing has changed. Known when all is written. */
  get topImage(): { readonly address: number; readonly checksum: number } | null {
    if (this.#memory.get(EPOCH.hasChanged) === 0) return null;
    return {
      address: this.#memory.get(EPOCH.topAddress) >>> 0,
      checksum: this.#memory.get(EPOCH.topChecksum) >>> 0,
    };
  }

  /**
   * Stages images of the closed epoch, children before parents, until they have so many bytes or nothing more can be staged
   * now; how many bytes. All of them are settled, or one of them unstaged.
   */
  stage(into: StagedImage[], most: number): number {
    return this.#memory.get(EPOCH.closed) === FAILED ? 0 : this.#closed.stage(into, most);
  }

  /** Whether all that the checkpoint reaches was staged, and no eviction of the closed epoch is under way. */
  get isStaged(): boolean {
    return this.#memory.owed.agenda === 0 && this.#memory.get(EPOCH.closedWrites) === 0;
  }

  /** Of what was dirty when the epoch closed, the share that is in the file: 0 to 1. */
  get shareWritten(): number {
    const units = this.#memory.get(EPOCH.closedUnits);
    return units === 0 ? 1 : 1 - this.owedUnits / units;
  }

  /** Whether a write has failed, here or in the thread of a change that had to make room. */
  get hasFailed(): boolean {
    return this.#memory.get(EPOCH.closed) === FAILED;
  }

  /** A staged image is in the file. */
  settleStaged(staged: StagedImage): void {
    if (this.hasFailed) this.#closed.withdraw(staged);
    else {
      this.#closed.settle(staged);
      this.giveImage(staged);
    }
  }

  /** The same while the image is on its way once more, with the same bytes. Then comes `giveImage`. The checkpoint has not failed. */
  settleAhead(staged: StagedImage): void {
    this.#closed.settle(staged);
  }

  /** No write needs the memory of the image any more. */
  giveImage({ image }: StagedImage): void {
    this.#images.give(image);
  }

  /** A staged image could not be written: the checkpoint has failed. */
  unstage(staged: StagedImage): void {
    this.fail();
    this.#closed.withdraw(staged);
  }

  /** The checkpoint has failed, and none comes after it. What was dirty stays so. */
  fail(): void {
    if (this.#memory.get(EPOCH.closed) !== RUNNING) return;
    this.#memory.set(EPOCH.closed, FAILED);
    // An image that is in the file may name one that is not: what holds it counts as changed, up to the top.
    this.#closed.forget((frame) => this.markDirty(frame));
  }

  /** When all is in the file, before anything counts: each page that was dirty was reached. */
  checkReached(): void {
    const units = this.#memory.get(EPOCH.closedUnits);
    const reached = units - this.owedUnits;
    // A dirty page that is not reached would be missing from the checkpoint: its parent was not marked (C2).
    invariant(reached === units, `A checkpoint reaches ${reached} dirty units of ${units}`);
    const { owed, area } = this.#memory;
    invariant(owed.used === 0 && area.usedPages === 0, 'A checkpoint ends before all that its images name');
  }

  /** The superblock of the closed epoch counts. */
  settle(): void {
    this.parts.space.settleClosed();
    this.#memory.set(EPOCH.closed, NONE);
  }

  #putAside(frame: number): void {
    if (this.#memory.get(EPOCH.closed) === FAILED) return;
    try {
      this.#closed.putAside(frame);
    } catch (error) {
      this.fail();
      throw error;
    }
  }

  #forgetDirty(frame: number): void {
    const { frames } = this.parts;
    const units = 1 << frames.get(frame, SIZE_CLASS);
    const epoch = frames.get(frame, DIRTY_EPOCH);
    if (epoch === this.open) {
      this.#memory.add(EPOCH.dirtyUnits, -units);
      this.#memory.add(EPOCH.dirtyPages, -1);
    } else if (epoch !== 0 && this.hasFailed) this.#memory.add(EPOCH.owedUnits, -units);
    frames.set(frame, DIRTY_EPOCH, 0);
  }

  #endEviction({ frame, address, epoch, image }: StagedImage): void {
    if (this.parts.frames.get(frame, WRITING) === address) this.parts.frames.set(frame, WRITING, 0);
    this.#memory.add(epoch === this.open ? EPOCH.openWrites : EPOCH.closedWrites, -1);
    this.#images.give(image);
  }
}
