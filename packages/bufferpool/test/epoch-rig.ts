/**
 * Epochs without the rest of a pool: a tree of small pages in an arena and in a file, beside its model, with every step of an
 * eviction and of a checkpoint in the hands of the test. Calls go by turns to two objects over one memory, as from two threads.
 *
 * Must hold, and is looked at after each step that `check` is called for: what is dirty has nothing clean above it; the tree in
 * memory is the model; the last checkpoint that counts can be read whole, and after the next one its map names what it reaches.
 */
import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import {
  PAGE_CLASS,
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_COLD,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  sizeClassOf,
  Threads,
  unitOf,
} from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { hasBit, setBits } from '../src/allocation-map.js';
import { Arena } from '../src/arena.js';
import { Checkpointer } from '../src/checkpointer.js';
import type { StagedImage } from '../src/closed-epoch.js';
import { Counters } from '../src/counters.js';
import { Epochs } from '../src/epochs.js';
import { FileSpace } from '../src/file-space.js';
import {
  ADDRESS,
  CHECKSUM,
  DIRTY_EPOCH,
  FrameTable,
  NO_FRAME,
  PARENT,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_FREE,
  STATE_HOT,
} from '../src/frames.js';
import { Gate } from '../src/gate.js';
import { PageFile } from '../src/page-file.js';
import { formatPage } from '../src/page-image.js';
import { PoolLatch } from '../src/pool-latch.js';
import { ReaderPins } from '../src/reader-pins.js';
import { Swizzled } from '../src/translation/swizzled.js';

const PAGE = 4096;
const ROOT = 0;
const SWIPS = PAGE_HEADER_SIZE;
export const FANOUT = 5;
/** Where a page has its number. */
const NUMBER = SWIPS + FANOUT * SWIP_SIZE;

/** A page of the model. */
export interface Node {
  number: number;
  readonly sizeClass: number;
  /** `NO_FRAME` while the page is in the file alone. */
  frame: number;
  parent: Node | null;
  slot: number;
  readonly children: (Node | null)[];
}

interface Snapshot {
  readonly number: number;
  readonly sizeClass: number;
  readonly children: (Snapshot | null)[];
}

interface Named {
  readonly address: number;
  readonly checksum: number;
}

export class EpochRig {
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly threads: readonly Epochs[];
  top: Node | null = null;
  /** Images of the running checkpoint that are on their way. */
  batch: StagedImage[] = [];
  isRunning = false;
  /** Evictions on their way. */
  readonly inFlight: { readonly node: Node; readonly frame: number; readonly staged: StagedImage; checksum: number }[] =
    [];
  #next = 1;
  #turn = 0;
  #atGate: Snapshot | null = null;
  #durable: { readonly tree: Snapshot | null; readonly top: Named } = { tree: null, top: { address: 0, checksum: 0 } };

  private constructor(
    readonly files: SimulatedDevice,
    readonly file: PageFile,
    readonly space: FileSpace,
    count: number,
  ) {
    this.arena = new Arena(count, PAGE);
    this.frames = new FrameTable(count);
    const memory = new SharedArrayBuffer(Epochs.bytes(count, PAGE));
    const { arena, frames } = this;
    const translation = new Swizzled(frames);
    const counters = new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0);
    this.threads = [0, 1].map(() => new Epochs({ arena, frames, translation, file, space, counters }, memory));
    this.threads[0]!.initialize(file.superblock.epoch + 1);
    this.#format(ROOT, 0, 1);
  }

  static async create(count = 64): Promise<EpochRig> {
    const files = new SimulatedDevice();
    const request = { path: '/store.pw', io: files, create: true, errorIfExists: false, readOnly: false };
    const file = await PageFile.open(request, { memory: count * PAGE, pageSize: PAGE }, PAGE);
    const space = new FileSpace(file.io, FileSpace.memory(), PAGE, file.reservedUnits, false);
    space.load(null, file.superblock.epoch);
    return new EpochRig(files, file, space, count);
  }

  /** One thread, and the next time the other one. */
  get epochs(): Epochs {
    return this.threads[this.#turn++ & 1] as Epochs;
  }

  checkpointer(batchBytes: number, threads = new Threads(new SharedArrayBuffer(Threads.bytes()))): Checkpointer {
    const gate = new Gate(new SharedArrayBuffer(Gate.bytes()), threads);
    const poolLatch = new PoolLatch(new SharedArrayBuffer(PoolLatch.bytes()), threads);
    const readers = new ReaderPins(this.file.io, this.file.superblock.storeId);
    return new Checkpointer(this.epochs, this.space, this.file, ROOT, batchBytes, gate, poolLatch, readers);
  }

  // ── Changes ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A new page; null if there is no frame for it. */
  insert(parent: Node | null, slot: number, sizeClass = 0): Node | null {
    const above = parent === null ? ROOT : this.bringIn(parent);
    const frame = above === NO_FRAME ? NO_FRAME : this.#acquire(sizeClass);
    if (frame === NO_FRAME) return null;
    this.#format(frame, sizeClass, FANOUT);
    this.epochs.markDirty(frame);
    this.epochs.markDirty(above);
    const children = new Array<Node | null>(FANOUT).fill(null);
    const node: Node = { number: this.#next++, sizeClass, frame, parent, slot, children };
    this.#word(frame, NUMBER, node.number);
    this.#hang(frame, above, slot);
    if (parent === null) this.top = node;
    else parent.children[slot] = node;
    return node;
  }

  change(node: Node): boolean {
    if (this.bringIn(node) === NO_FRAME) return false;
    this.epochs.markDirty(node.frame);
    node.number = this.#next++;
    this.#word(node.frame, NUMBER, node.number);
    return true;
  }

  /** Gives up a leaf, in memory or not. */
  remove(node: Node): void {
    const above = this.#above(node);
    if (above === NO_FRAME) return;
    this.epochs.markDirty(above);
    const at = this.#swipAt(above, node.slot);
    const words = this.arena.segmentOf(above).u32;
    if (node.frame === NO_FRAME) this.epochs.extentFreed((words[at] as number) >>> 2);
    else {
      this.frames.add(above, RESIDENT_CHILDREN, -1);
      this.frames.set(node.frame, PARENT, NO_FRAME);
      this.epochs.pageFreed(node.frame);
      this.#release(node.frame, 0xdead);
    }
    words[at] = SWIP_NULL;
    words[at + 1] = 0;
    if (node.parent === null) this.top = null;
    else node.parent.children[node.slot] = null;
  }

  /** Gives a page another parent, as `moveSwips` does. */
  move(node: Node, to: Node, slot: number): void {
    const above = this.#above(node);
    if (above === NO_FRAME || this.bringIn(to) === NO_FRAME) return;
    this.epochs.markDirty(above);
    this.epochs.markDirty(to.frame);
    const source = this.#swipAt(above, node.slot);
    const target = this.#swipAt(to.frame, slot);
    const from = this.arena.segmentOf(above).u32;
    this.arena.segmentOf(to.frame).u32.set([from[source] as number, from[source + 1] as number], target);
    from.fill(0, source, source + 2);
    if (node.frame !== NO_FRAME) {
      this.frames.set(node.frame, PARENT, to.frame);
      this.frames.add(above, RESIDENT_CHILDREN, -1);
      this.frames.add(to.frame, RESIDENT_CHILDREN, 1);
    }
    (node.parent as Node).children[node.slot] = null;
    node.parent = to;
    node.slot = slot;
    to.children[slot] = node;
  }

  // ── Frames ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The frame of the page, read if need be, and with it what is above it; `NO_FRAME` if there is no room. */
  bringIn(node: Node): number {
    if (node.frame !== NO_FRAME) return node.frame;
    const above = this.#above(node);
    const frame = above === NO_FRAME ? NO_FRAME : this.#acquire(node.sizeClass);
    if (frame === NO_FRAME) return NO_FRAME;
    const at = this.#swipAt(above, node.slot);
    const words = this.arena.segmentOf(above).u32;
    const address = (words[at] as number) >>> 2;
    const checksum = words[at + 1] as number;
    assert.equal((words[at] as number) & SWIP_TAG_MASK, SWIP_COLD);
    const bytes = this.#read({ address, checksum });
    this.arena.view(frame, node.sizeClass).set(bytes);
    this.frames.set(frame, ADDRESS, address);
    this.frames.set(frame, CHECKSUM, checksum);
    this.#hang(frame, above, node.slot);
    node.frame = frame;
    return frame;
  }

  mayLeave(node: Node): boolean {
    return this.frames.get(node.frame, RESIDENT_CHILDREN) === 0 && !this.epochs.isBeingWritten(node.frame);
  }

  /** Evicts a page in one go; false if it may not leave. */
  evict(node: Node): boolean {
    if (node.frame === NO_FRAME || !this.mayLeave(node)) return false;
    if (!this.epochs.isDirty(node.frame)) this.#leave(node);
    else {
      this.beginEviction(node);
      assert.ok(this.endEviction(this.inFlight.length - 1));
    }
    return true;
  }

  beginEviction(node: Node): void {
    const staged = this.epochs.stageForEviction(node.frame);
    const checksum = this.epochs.sealForEviction(node.frame, staged);
    this.inFlight.push({ node, frame: node.frame, staged, checksum });
  }

  /** Whether the page has left. A write that fails leaves it where it is. */
  endEviction(which: number, hasFailed = false): boolean {
    const [{ node, frame, staged, checksum }] = this.inFlight.splice(which, 1) as [(typeof this.inFlight)[0]];
    if (hasFailed) {
      this.epochs.withdraw(staged);
      return false;
    }
    this.file.writeImagesSync([staged]);
    if (!this.epochs.settleEvicted(frame, staged, checksum)) return false;
    assert.equal(node.frame, frame, 'The eviction of a page that is gone has settled');
    if (!this.mayLeave(node)) return false;
    this.#leave(node);
    return true;
  }

  /** Moves a page to another frame; false if it may not, or there is none. */
  relocate(node: Node): boolean {
    const from = node.frame;
    if (from === NO_FRAME) return false;
    const to = this.#acquire(node.sizeClass);
    if (to === NO_FRAME) return false;
    this.arena.view(to, node.sizeClass).set(this.arena.view(from, node.sizeClass));
    this.frames.transfer(from, to);
    const above = this.frames.get(to, PARENT);
    this.arena.segmentOf(above).u32[this.#swipAt(above, node.slot)] = (to << 2) | SWIP_HOT;
    for (const child of node.children) {
      if (child !== null && child.frame !== NO_FRAME) this.frames.set(child.frame, PARENT, to);
    }
    this.epochs.pageMoved(from, to);
    node.frame = to;
    this.#release(from, 0xbeef);
    return true;
  }

  // ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────

  gate(): void {
    this.epochs.close(ROOT);
    this.isRunning = true;
    this.#atGate = snapshot(this.top);
  }

  stage(most: number): number {
    return this.epochs.stage(this.batch, most);
  }

  writeBatch(): void {
    this.file.writeImagesSync(this.batch);
    const { batch } = this;
    this.batch = [];
    for (const staged of batch) this.epochs.settleStaged(staged);
  }

  /** Writes what is left, and lets the checkpoint count if all is as it was at the gate. Evictions under way end before. */
  finish(): void {
    while (this.inFlight.length > 0) this.endEviction(0);
    while (this.stage(4 * PAGE) > 0) this.writeBatch();
    this.writeBatch();
    assert.ok(this.epochs.isStaged, 'Nothing can be staged, and not all was');
    this.epochs.checkReached();
    assert.equal(this.epochs.owedUnits, 0);
    const epoch = this.epochs.closedNumber;
    const top = this.epochs.topImage ?? this.#durable.top;
    const map = this.space.closedMap(epoch);
    const bits = Uint8Array.from(map.bits);
    setBits(bits, 0, this.file.reservedUnits, false);
    for (const { address } of map.givenUp) this.#strike(bits, address, 'given up');
    this.#compare(top, this.#atGate, (address) => this.#strike(bits, address, 'reached'));
    assert.ok(
      bits.every((byte) => byte === 0),
      'The map says of units that nothing reaches that they are in use',
    );
    this.checkDurable();
    this.epochs.settle();
    this.space.release(epoch - 1);
    this.#durable = { tree: this.#atGate, top };
    this.isRunning = false;
    this.checkDurable();
  }

  /** The last checkpoint that counts is there, whole. */
  checkDurable(): void {
    this.#compare(this.#durable.top, this.#durable.tree, () => {});
  }

  check(): void {
    const { frames } = this;
    const epochs = this.threads[0] as Epochs;
    let dirty = 0;
    let owed = 0;
    for (let frame = 0; frame < frames.count; frame++) {
      if (frames.get(frame, STATE) !== STATE_HOT) continue;
      const epoch = frames.get(frame, DIRTY_EPOCH);
      if (epoch === epochs.open) dirty++;
      else if (epoch !== 0) owed += 1 << frames.get(frame, SIZE_CLASS);
      if (frame === ROOT || epoch === 0) continue;
      const parent = frames.get(frame, PARENT);
      const above = frames.get(parent, DIRTY_EPOCH);
      // The root block is no page: it owes nothing. And a page may be written together with what is above it.
      const isTaken = above !== 0 || parent === ROOT || epochs.isBeingWritten(frame);
      assert.ok(
        epoch === epochs.open ? above === epoch : isTaken,
        `Frame ${frame} is dirty in ${epoch}, and its parent in ${above}`,
      );
    }
    assert.equal(epochs.dirtyPages, dirty);
    assert.ok(owed <= epochs.owedUnits, `${owed} units are owed by frames, and ${epochs.owedUnits} altogether`);
    this.#checkLive(this.top, ROOT, 0);
  }

  #checkLive(node: Node | null, above: number, slot: number): void {
    const at = this.#swipAt(above, slot);
    const { u32 } = this.arena.segmentOf(above);
    const word = u32[at] as number;
    if (node === null) assert.equal(word, SWIP_NULL);
    else if (node.frame === NO_FRAME) {
      const named = { address: word >>> 2, checksum: u32[at + 1] as number };
      this.#compare(named, snapshot(node), () => {});
    } else {
      assert.equal(word, ((node.frame << 2) | SWIP_HOT) >>> 0);
      assert.equal(u32.at(this.#at(node.frame, NUMBER)), node.number);
      for (const [below, child] of node.children.entries()) this.#checkLive(child, node.frame, below);
    }
  }

  /** Reads a tree from the file and holds it against what it should be. */
  #compare({ address, checksum }: Named, expected: Snapshot | null, reached: (address: number) => void): void {
    assert.equal(address !== 0, expected !== null);
    if (expected === null) return;
    reached(address);
    const bytes = this.#read({ address, checksum });
    assert.equal(bytes[PAGE_CLASS], expected.sizeClass);
    assert.equal(bytes.readUInt32LE(NUMBER), expected.number);
    for (const [slot, child] of expected.children.entries()) {
      const word = bytes.readUInt32LE(SWIPS + slot * SWIP_SIZE);
      if (word !== SWIP_NULL) assert.equal(word & SWIP_TAG_MASK, SWIP_COLD, 'An image names a frame or an entry');
      this.#compare(
        { address: word >>> 2, checksum: bytes.readUInt32LE(SWIPS + slot * SWIP_SIZE + 4) },
        child,
        reached,
      );
    }
  }

  #read({ address, checksum }: Named): Buffer {
    const bytes = Buffer.alloc(PAGE << sizeClassOf(address));
    this.file.io.readSync(bytes, this.file.offsetOf(address));
    assert.equal(crc32(bytes), checksum >>> 0, `The page at ${address} does not match its checksum`);
    return bytes;
  }

  #strike(bits: Uint8Array, address: number, what: string): void {
    for (let unit = unitOf(address); unit < unitOf(address) + 2 ** sizeClassOf(address); unit++) {
      assert.ok(hasBit(bits, unit), `Unit ${unit}, which is ${what}, is free in the map, or in use twice`);
      setBits(bits, unit, 1, false);
    }
  }

  #above(node: Node): number {
    return node.parent === null ? ROOT : this.bringIn(node.parent);
  }

  #acquire(sizeClass: number): number {
    const size = 1 << sizeClass;
    for (let frame = size; frame + size <= this.frames.count; frame += size) {
      let free = 0;
      while (free < size && this.frames.get(frame + free, STATE) === STATE_FREE) free++;
      if (free < size) continue;
      this.frames.initialize(frame, sizeClass, STATE_HOT);
      return frame;
    }
    return NO_FRAME;
  }

  /** What is left in the frame is not what was there, so that whoever still reads it is found out. */
  #release(frame: number, remains: number): void {
    const sizeClass = this.frames.get(frame, SIZE_CLASS);
    this.frames.clear(frame, sizeClass);
    const base = this.arena.baseOf(frame) >>> 2;
    this.arena.segmentOf(frame).u32.fill(remains, base, base + ((PAGE << sizeClass) >>> 2));
  }

  #leave(node: Node): void {
    const above = this.frames.get(node.frame, PARENT);
    const at = this.#swipAt(above, node.slot);
    const words = this.arena.segmentOf(above).u32;
    words[at] = ((this.frames.get(node.frame, ADDRESS) << 2) | SWIP_COLD) >>> 0;
    words[at + 1] = this.frames.get(node.frame, CHECKSUM);
    this.frames.add(above, RESIDENT_CHILDREN, -1);
    this.#release(node.frame, 0xcafe);
    node.frame = NO_FRAME;
  }

  #format(frame: number, sizeClass: number, swips: number): void {
    if (frame === ROOT) this.frames.initialize(ROOT, 0, STATE_HOT);
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
    formatPage(segment, base, { index: 0, kind: 1, sizeClass, timestamp: 0 });
    segment.u8.fill(0, base + SWIPS, base + NUMBER + 4);
    segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = SWIPS;
    segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = swips;
    segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = SWIP_SIZE;
  }

  #hang(frame: number, above: number, slot: number): void {
    const at = this.#swipAt(above, slot);
    this.arena.segmentOf(above).u32[at] = (frame << 2) | SWIP_HOT;
    this.arena.segmentOf(above).u32[at + 1] = 0;
    this.frames.set(frame, PARENT, above);
    this.frames.add(above, RESIDENT_CHILDREN, 1);
  }

  #at(frame: number, offset: number): number {
    return (this.arena.baseOf(frame) + offset) >>> 2;
  }

  #swipAt(frame: number, slot: number): number {
    return this.#at(frame, SWIPS + slot * SWIP_SIZE);
  }

  #word(frame: number, offset: number, value: number): void {
    this.arena.segmentOf(frame).u32[this.#at(frame, offset)] = value;
  }
}

function snapshot(node: Node | null): Snapshot | null {
  if (node === null) return null;
  return { number: node.number, sizeClass: node.sizeClass, children: node.children.map(snapshot) };
}
