/**
 * Moves what lies above the ceiling of the file's space to places below it, by going through the tree once. A page in memory is
 * marked dirty, so that the next checkpoint, or eviction, gives it a new place. A page that is only in the file, and names no others, is
 * copied there byte for byte: it keeps its checksum, takes no frame, and drives nothing out. Pages that name others are brought in.
 *
 * The tree changes meanwhile, so a place in it is kept as the way down, in numbers of swips; what slips past is found the
 * next time.
 *
 * Must hold: nothing is held while something is awaited (M5). The copy of a page counts only if its swip still names what was
 * copied, and in the epoch in which its place was allocated (C4).
 */
import {
  invariant,
  isPagewrightError,
  PAGE_SWIP_COUNT,
  SWIP_COLD,
  SWIP_NULL,
  SWIP_TAG_MASK,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import { offsetOfColdSwip } from './cold-swips.js';
import type { CompactParts } from './compact.js';
import { ADDRESS, DIRTY_EPOCH, SIZE_CLASS } from './frames.js';
import { readSwipTable, type SwipTable } from './page-image.js';
import { swipsOfStored } from './stored-swips.js';

/** Bytes that are read, or marked, between two turns of the event loop, unless one page is larger. */
const BATCH_BYTES = 512 * 1024;
/** Swips looked at between two turns. */
const SWIPS_A_TURN = 4096;
/** Deeper trees than this have a cycle. */
const DEEPEST = 64;

/** A page that is in the file alone, as the swip in a page in memory names it. */
interface StoredPage {
  readonly parent: number;
  /** Which of the parent's swips it is. */
  readonly ordinal: number;
  readonly word: number;
  readonly address: number;
  readonly checksum: number;
  readonly bytes: Buffer;
}

/** One that is being copied to another extent. */
interface Move {
  readonly page: StoredPage;
  readonly to: number;
  /** Whose content the extent is to hold. */
  readonly epoch: number;
}

export class Moving {
  /** Moved, or marked to be. */
  pages = 0;
  bytes = 0;
  /** The way to the swip that is looked at next: for each level which of the page's swips leads on. */
  #way: number[] = [];
  /** So many pages are read next: one where pages have swips, or may have, and more the longer they have none. */
  #ahead = 1;
  #buffer = Buffer.alloc(0);
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(
    private readonly parts: CompactParts,
    /** Told after each batch, and waited for. */
    private readonly advanced: () => Promise<void>,
  ) {}

  /** Goes through the tree. Errors: `PW_FULL`, `PW_CORRUPT_PAGE`, `PW_IO`, `PW_POOL_EXHAUSTED`, and what `advanced` throws. */
  async run(): Promise<void> {
    this.#way = [0];
    this.#ahead = 1;
    while (this.#way.length > 0) {
      const batch = this.#look();
      if (batch.length > 0) await this.#handle(batch);
      await this.advanced();
      await new Promise(setImmediate);
    }
  }

  // ── Pages in memory ─────────────────────────────────────────────────────────────────────────────────────────

  /** Goes on for a turn, in one step; the pages that have to be read. */
  #look(): StoredPage[] {
    const { gate, latches, residency } = this.parts;
    residency.keepRoom();
    gate.enter();
    try {
      const frame = this.#descend();
      // Somebody else is at work on the way: another turn.
      if (frame < 0) return [];
      try {
        return this.#lookThrough(frame);
      } finally {
        latches.unlatch(frame);
      }
    } finally {
      gate.leave();
    }
  }

  /** The page that the way ends in, latched, or -1 if another thread has a page on it. Where there is no way any more, it ends earlier. */
  #descend(): number {
    const { latches, residency, rootFrame } = this.parts;
    if (!latches.tryLatch(rootFrame)) return -1;
    let frame = rootFrame;
    for (let level = 0; level < this.#way.length - 1; level++) {
      const swip = this.#swipAt(frame, this.#way[level] as number);
      if (swip === null || swip.word === SWIP_NULL) {
        this.#way.length = level + 1;
        break;
      }
      let child: number;
      try {
        child = residency.resolve(frame, swip.offset);
      } catch (error) {
        latches.unlatch(frame);
        throw error;
      }
      const isFree = latches.tryLatch(child);
      latches.unlatch(frame);
      if (!isFree) return -1;
      frame = child;
    }
    return frame;
  }

  /** Looks at the page's swips from the way's last number on, and goes a level down or up where it comes to that. */
  #lookThrough(frame: number): StoredPage[] {
    const way = this.#way;
    const last = way.length - 1;
    const batch: StoredPage[] = [];
    if (way[last] === 0) this.#markIfHigh(frame);
    let marked = 0;
    let gathered = 0;
    for (let looked = 0; looked < SWIPS_A_TURN; looked++) {
      const ordinal = way[last] as number;
      const swip = this.#swipAt(frame, ordinal);
      if (swip === null) {
        // What is to be read comes first: it may have swips.
        if (batch.length === 0) this.#ascend();
        break;
      }
      const { word, checksum } = swip;
      if (word !== SWIP_NULL && (word & SWIP_TAG_MASK) === SWIP_COLD) {
        const size = this.parts.file.bytesOf(word >>> 2);
        if (batch.length > 0 && (batch.length >= this.#ahead || gathered + size > BATCH_BYTES)) break;
        gathered += size;
        batch.push({ parent: frame, ordinal, word, address: word >>> 2, checksum, bytes: Buffer.alloc(0) });
      } else if (word !== SWIP_NULL) {
        const child = this.#residentChild(frame, swip.offset, word);
        if (this.#hasSwips(child)) {
          if (batch.length === 0) this.#goDown(ordinal);
          break;
        }
        marked += this.#markChild(child);
        if (marked > BATCH_BYTES) break;
      }
      way[last] = ordinal + 1;
    }
    return batch;
  }

  #goDown(ordinal: number): void {
    invariant(this.#way.length < DEEPEST, 'A tree is deeper than any can be: its pages name each other in a circle');
    this.#way[this.#way.length - 1] = ordinal;
    this.#way.push(0);
    this.#ahead = 1;
  }

  #ascend(): void {
    this.#way.pop();
    const last = this.#way.length - 1;
    if (last >= 0) this.#way[last] = (this.#way[last] as number) + 1;
  }

  #swipAt(
    frame: number,
    ordinal: number,
  ): { readonly offset: number; readonly word: number; readonly checksum: number } | null {
    const { arena, frames } = this.parts;
    const segment = arena.segmentOf(frame);
    const base = arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, arena.pageSize << frames.get(frame, SIZE_CLASS), table);
    if (ordinal >= table.count) return null;
    const offset = table.offset + ordinal * table.stride;
    const at = (base + offset) >>> 2;
    return { offset, word: segment.u32[at] as number, checksum: segment.u32[at + 1] as number };
  }

  /** The frame that a swip of a latched page names. */
  #residentChild(frame: number, offset: number, word: number): number {
    const { poolLatch, residency } = this.parts;
    return poolLatch.holding(() => residency.frameNamedBy(frame, offset, word));
  }

  /** Its parent is latched. If it is just being given others, it is looked at the next time. */
  #hasSwips(frame: number): boolean {
    const { arena } = this.parts;
    return arena.segmentOf(frame).u16[(arena.baseOf(frame) + PAGE_SWIP_COUNT) >>> 1] !== 0;
  }

  /** Bytes that were marked. Whoever has the page's latch is changing it, so that it moves anyway. */
  #markChild(frame: number): number {
    const { latches } = this.parts;
    if (!latches.tryLatch(frame)) return 0;
    try {
      return this.#markIfHigh(frame);
    } finally {
      latches.unlatch(frame);
    }
  }

  /** Marks a latched page dirty if it is stored above the ceiling; its bytes if so. */
  #markIfHigh(frame: number): number {
    const { epochs, file, frames, poolLatch } = this.parts;
    return poolLatch.holding(() => {
      const address = frames.get(frame, ADDRESS) >>> 0;
      if (address === 0 || frames.get(frame, DIRTY_EPOCH) !== 0 || !this.#isHigh(address)) return 0;
      this.#secure(2 ** sizeClassOf(address) + DEEPEST);
      epochs.markDirty(frame);
      const bytes = file.bytesOf(address);
      this.#moved(bytes);
      return bytes;
    });
  }

  /** C6: what is marked has room in the file. */
  #secure(units: number): void {
    this.parts.space.secure(this.parts.neededUnits() + units);
  }

  #isHigh(address: number): boolean {
    return unitOf(address) + 2 ** sizeClassOf(address) > this.parts.space.ceiling;
  }

  #moved(bytes: number): void {
    this.pages++;
    this.bytes += bytes;
  }

  // ── Pages that are in the file alone ────────────────────────────────────────────────────────────────────────

  async #handle(gathered: readonly StoredPage[]): Promise<void> {
    const batch = this.#withBuffers(gathered);
    await this.parts.file.readExtents(batch);
    const sound = batch.filter((page) => this.#isSound(page));
    const inner = sound.findIndex(({ bytes }) => swipsOfStored(bytes)?.length !== 0);
    if (inner >= 0) this.#goDown((sound[inner] as StoredPage).ordinal);
    else this.#ahead *= 2;
    const high = sound.slice(0, inner < 0 ? sound.length : inner).filter(({ address }) => this.#isHigh(address));
    const moves = this.parts.poolLatch.holding(() => this.#placesFor(high));
    if (moves.length > 0) await this.#copy(moves);
  }

  #withBuffers(batch: readonly StoredPage[]): StoredPage[] {
    const { file } = this.parts;
    const bytes = batch.reduce((sum, { address }) => sum + file.bytesOf(address), 0);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(Math.max(bytes, BATCH_BYTES));
    let end = 0;
    return batch.map((page) => {
      const start = end;
      end += file.bytesOf(page.address);
      return { ...page, bytes: this.#buffer.subarray(start, end) };
    });
  }

  /** Whether what was read is what the swip names. If that names something else by now, its place may have been used again. */
  #isSound({ bytes, address, checksum, parent, word }: StoredPage): boolean {
    try {
      this.parts.file.verify(bytes, address, checksum);
      return true;
    } catch (error) {
      const { latches } = this.parts;
      latches.latch(parent);
      try {
        if (isPagewrightError(error, 'PW_CORRUPT_PAGE') && offsetOfColdSwip(this.parts, parent, word, checksum) === 0)
          return false;
      } finally {
        latches.unlatch(parent);
      }
      throw error;
    }
  }

  /** Extents below the ceiling, as long as there are any and what is dirty has room besides. */
  #placesFor(pages: readonly StoredPage[]): Move[] {
    const { epochs, neededUnits, space } = this.parts;
    const moves: Move[] = [];
    for (const page of pages) {
      const sizeClass = sizeClassOf(page.address);
      if (space.freeUnits - 2 ** sizeClass < neededUnits()) break;
      const to = space.allocateBelowCeiling(sizeClass);
      if (to !== 0) moves.push({ page, to, epoch: epochs.beginWrite() });
    }
    return moves;
  }

  async #copy(moves: readonly Move[]): Promise<void> {
    const { file, gate, poolLatch } = this.parts;
    const open = new Set(moves);
    try {
      await file.writeImages(moves.map(({ page, to }) => ({ address: to, image: page })));
      gate.enter();
      try {
        for (const move of moves) if (this.#rename(move)) open.delete(move);
      } finally {
        gate.leave();
      }
    } finally {
      poolLatch.holding(() => {
        for (const { to } of open) this.parts.space.withdraw(to);
        for (const { epoch } of moves) this.parts.epochs.endWrite(epoch);
      });
    }
  }

  /** Has the swip name the copy; whether it still named what was copied. */
  #rename({ page, to, epoch }: Move): boolean {
    const { arena, epochs, latches, poolLatch } = this.parts;
    const { parent, word, checksum } = page;
    latches.latch(parent);
    try {
      const offset = offsetOfColdSwip(this.parts, parent, word, checksum);
      // A place that was allocated in an epoch that is closed now belongs to a checkpoint that does not name it.
      if (offset === 0 || epochs.open !== epoch) return false;
      poolLatch.holding(() => {
        this.#secure(DEEPEST);
        epochs.markDirty(parent);
        epochs.extentFreed(page.address);
      });
      arena.segmentOf(parent).u32[(arena.baseOf(parent) + offset) >>> 2] = ((to << 2) | SWIP_COLD) >>> 0;
      this.#moved(page.bytes.length);
      return true;
    } finally {
      latches.unlatch(parent);
    }
  }
}
