/**
 * Images of the closed epoch as they are taken: of a page that is in its frame as it was at the gate, with its children
 * named as the closed epoch has them. A child that is clean in it is named by the address and checksum in its frame. One that
 * is owed is named by its entry, until its address is known: then that is written into the image. So an image needs no
 * frame but its own, and once nothing is pending in it, none at all.
 *
 * Must hold: where an image is taken, no child has changed since the gate, so that what its frame says is true.
 */
import { invariant, SWIP_COLD, SWIP_HOT, SWIP_NULL, SWIP_TAG_MASK, type Translation } from '@pagewright/core/contracts';
import type { Arena } from './arena.js';
import { EPOCH, type EpochMemory } from './epoch-memory.js';
import { ADDRESS, CHECKSUM, DIRTY_EPOCH, ENTRY, type FrameTable, SIZE_CLASS } from './frames.js';
import { NO_ENTRY, OWED, STAGED, TOP } from './owed-pages.js';
import { readSwipTable, type SwipTable } from './page-image.js';

export class OwedImages {
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(
    private readonly arena: Arena,
    private readonly frames: FrameTable,
    private readonly translation: Translation,
    private readonly memory: EpochMemory,
  ) {}

  /** The closed epoch. */
  get number(): number {
    return this.memory.get(EPOCH.open) - 1;
  }

  /** Dirty in the closed epoch, and not changed since. */
  isOwed(frame: number): boolean {
    return this.frames.get(frame, DIRTY_EPOCH) === this.number;
  }

  /** Whether the checkpoint is writing the page as it stands in the frame. */
  isStaged(frame: number): boolean {
    const entry = this.frames.get(frame, ENTRY);
    return entry !== 0 && this.isOwed(frame) && this.memory.owed.get(entry, OWED.state) === STAGED;
  }

  /** The entry of an owed page, made if there is none. */
  entryOf(frame: number): number {
    const { frames } = this;
    const known = frames.get(frame, ENTRY);
    if (known !== 0) return known;
    const entry = this.memory.owed.add(frame, frames.get(frame, SIZE_CLASS), frames.get(frame, ADDRESS));
    frames.set(frame, ENTRY, entry);
    return entry;
  }

  /** At the gate: takes what the root block names, as it is now. The root block is no page of the file. */
  takeTop(root: number): void {
    const { arena, frames, memory } = this;
    const segment = arena.segmentOf(root);
    const base = arena.baseOf(root);
    readSwipTable(segment, base, arena.pageSize, this.#table);
    invariant(this.#table.count === 1, 'The root block has one swip');
    const at = (base + this.#table.offset) >>> 2;
    const word = segment.u32[at] as number;
    const tag = word & SWIP_TAG_MASK;
    if (word === SWIP_NULL || tag === SWIP_COLD) {
      this.#setTop(word >>> 2, segment.u32[at + 1] as number);
      return;
    }
    const child = this.translation.frameOf(word >>> 2);
    if (this.isOwed(child)) {
      const entry = this.entryOf(child);
      memory.owed.set(entry, OWED.namedBy, TOP);
      memory.owed.queue(entry);
      this.#setTop(0, 0);
    } else this.#setTop(frames.get(child, ADDRESS), frames.get(child, CHECKSUM));
  }

  /**
   * Copies a page and makes its swips cold, as the closed epoch has them. Children whose addresses are not known are named
   * by their entries, tagged hot, if the image is put aside under an entry; else there are none.
   */
  copy(frame: number, bytes: Uint8Array, words: Uint32Array, offset: number, namer: number): void {
    const { arena, frames, translation } = this;
    const { owed } = this.memory;
    const segment = arena.segmentOf(frame);
    const base = arena.baseOf(frame);
    const size = arena.pageSize << frames.get(frame, SIZE_CLASS);
    const table = this.#table;
    readSwipTable(segment, base, size, table);
    bytes.set(segment.u8.subarray(base, base + size), offset);
    let pending = 0;
    const step = table.stride >>> 2;
    for (let left = table.count, at = (offset + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = words[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (word === SWIP_NULL || tag === SWIP_COLD) continue;
      const child = translation.frameOf(word >>> 2);
      const epoch = frames.get(child, DIRTY_EPOCH);
      invariant(epoch === 0 || epoch === this.number, 'A page has changed before the image of its parent was taken');
      let address = frames.get(child, ADDRESS) >>> 0;
      let checksum = frames.get(child, CHECKSUM);
      if (epoch !== 0) {
        const entry = namer === NO_ENTRY ? frames.get(child, ENTRY) : this.entryOf(child);
        const isStaged = entry !== 0 && owed.get(entry, OWED.state) === STAGED;
        invariant(isStaged || namer !== NO_ENTRY, 'A page is written before its child');
        if (!isStaged) {
          words[at] = ((entry << 2) | SWIP_HOT) >>> 0;
          words[at + 1] = 0;
          owed.set(entry, OWED.namedBy, namer);
          owed.set(entry, OWED.namedAt, at);
          pending++;
          continue;
        }
        address = owed.get(entry, OWED.address) >>> 0;
        checksum = owed.get(entry, OWED.checksum);
      }
      invariant(address !== 0, 'A page is as it was stored, and stored nowhere');
      words[at] = ((address << 2) | SWIP_COLD) >>> 0;
      words[at + 1] = checksum;
    }
    if (namer !== NO_ENTRY) owed.set(namer, OWED.pending, pending);
  }

  /** The address of an image is known: the one above it names it by that from now on. */
  publish(entry: number, address: number, checksum: number): void {
    const { owed, area } = this.memory;
    owed.set(entry, OWED.address, address);
    owed.set(entry, OWED.checksum, checksum);
    const above = owed.get(entry, OWED.namedBy);
    if (above === TOP) this.#setTop(address, checksum);
    else if (above !== 0) {
      const at = owed.get(entry, OWED.namedAt);
      area.words[at] = ((address << 2) | SWIP_COLD) >>> 0;
      area.words[at + 1] = checksum;
      owed.set(above, OWED.pending, owed.get(above, OWED.pending) - 1);
    }
    owed.set(entry, OWED.namedBy, 0);
  }

  #setTop(address: number, checksum: number): void {
    this.memory.set(EPOCH.topAddress, address);
    this.memory.set(EPOCH.topChecksum, checksum);
  }
}
