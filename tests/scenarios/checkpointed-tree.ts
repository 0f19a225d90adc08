/**
 * A tree of pages on a page store whose checkpoints can be stopped half-way: the epoch is closed, some images are on their
 * way and cannot land, and the test does what it wants to the tree before they can. Afterwards, the file must hold the tree
 * as it was at the gate.
 */
import { BufferPool } from '@pagewright/bufferpool';
import { NO_LOG, PAGE_HEADER_SIZE, type PageExpectation, SWIP_COLD, SWIP_NULL, SWIP_TAG_MASK } from '@pagewright/core';
import { copyOfModel, FANOUT, newModel, type PageModel, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect } from 'vitest';

const PATH = '/store/tree.pw';
const PAGE_SIZE = 4096;
/** The smallest pool. The first batch of images of a checkpoint is an eighth of it. */
const FRAMES = 64;
/** Below the root in this slot there are more pages than the pool has frames: going through them drives others out. */
const BALLAST = FANOUT - 1;

export type Path = readonly number[];

export class CheckpointedTree {
  readonly disk = new SimulatedDevice();
  model: PageModel = newModel(1);
  #next = 2;
  #ballastAt = 0;

  private constructor(
    readonly pool: BufferPool,
    readonly tree: PageTree,
    disk: SimulatedDevice,
  ) {
    this.disk = disk;
  }

  /** A root, and ballast below it, all of it in a checkpoint. */
  static async create(): Promise<CheckpointedTree> {
    const disk = new SimulatedDevice();
    const pool = await openPool(disk);
    const made = new CheckpointedTree(pool, new PageTree(pool), disk);
    made.tree.plant(1);
    made.insert([], BALLAST);
    for (let a = 0; a < 8; a++) {
      made.insert([BALLAST], a);
      for (let b = 0; b < FANOUT; b++) made.insert([BALLAST, a], b);
    }
    await made.checkpoint();
    return made;
  }

  // ── What is done to the tree and to its model ───────────────────────────────────────────────────────────────

  insert(path: Path, slot: number, sizeClass = 0): void {
    this.tree.insert(path, slot, this.#next, sizeClass);
    this.#nodeAt(path).children[slot] = newModel(this.#next++, sizeClass);
  }

  change(path: Path): void {
    this.tree.change(path, this.#next);
    this.#nodeAt(path).number = this.#next++;
  }

  remove(path: Path, slot: number): void {
    this.tree.remove(path, slot);
    this.#nodeAt(path).children[slot] = null;
  }

  discard(path: Path, slot: number): void {
    this.tree.discardLeaf(path, slot);
    this.#nodeAt(path).children[slot] = null;
  }

  move(from: Path, fromSlot: number, to: Path, toSlot: number): void {
    this.tree.move(from, fromSlot, to, toSlot);
    const [source, target] = [this.#nodeAt(from), this.#nodeAt(to)];
    target.children[toSlot] = source.children[fromSlot] as PageModel;
    source.children[fromSlot] = null;
  }

  /** Brings the page into memory, and touches it. */
  touch(path: Path): void {
    expect(this.tree.numberAt(path)).toBe(this.#nodeAt(path).number);
  }

  /** Whether the page is out of memory; it is if its parent is (P1). */
  isCold(path: Path): boolean {
    const word = this.#wordOf(path);
    return word === null || (word & SWIP_TAG_MASK) === SWIP_COLD;
  }

  /** Goes through ballast until these pages have left their frames, or so many of them. Those whose images are on their way stay. */
  driveOut(paths: readonly Path[], least = paths.length): void {
    for (let round = 0; paths.filter((path) => this.isCold(path)).length < least; round++) {
      if (round === 5000) throw new Error('The pages do not leave their frames');
      this.touchBallast();
    }
  }

  touchBallast(): void {
    const at = this.#ballastAt++ % (8 * FANOUT);
    this.touch([BALLAST, at >>> 4, at & 15]);
  }

  // ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────

  async checkpoint(): Promise<void> {
    await this.pool.checkpoint({
      gate: () => ({ timestamp: this.tree.timestamp, log: NO_LOG }),
      secureLog: async () => undefined,
    });
  }

  /**
   * Begins a checkpoint, lets `landing` of its images land, and stops it; calls back, lets it come to its end, and expects that
   * the file holds the tree as it was at the beginning, and memory as it is now.
   */
  async checkpointAround(meanwhile: () => void, landing = 0): Promise<void> {
    const atGate = copyOfModel(this.model) as PageModel;
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let stopped = false;
    let landed = 0;
    this.disk.hold = ({ kind, inPlace }) => {
      if (kind !== 'write' || inPlace || landed++ < landing) return undefined;
      stopped = true;
      return released;
    };
    const checkpoint = this.checkpoint();
    for (let turn = 0; !stopped; turn++) {
      if (turn === 10_000) throw new Error('The checkpoint has not so many images');
      await null;
    }
    meanwhile();
    this.disk.hold = null;
    release();
    await checkpoint;
    this.tree.check(this.model);
    await expectSound(this.pool);
    await this.expectInFile(atGate);
  }

  /** Opens what the file holds now beside the running store, and compares. */
  async expectInFile(model: PageModel): Promise<void> {
    const disk = new SimulatedDevice();
    disk.put(PATH, this.disk.contentOf(PATH));
    const pool = await openPool(disk);
    new PageTree(pool).check(model);
    await expectSound(pool);
    await pool.close();
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  #nodeAt(path: Path): PageModel {
    let node: PageModel = this.model;
    for (const slot of path) node = node.children[slot] as PageModel;
    return node;
  }

  /** The first word of the swip that names the page; null if a page above it is not in memory. */
  #wordOf(path: Path): number | null {
    const { pool } = this;
    let { frame, offset } = pool.root;
    for (let depth = 0; ; depth++) {
      const word = pool.segmentOf(frame).u32[(pool.baseOf(frame) + offset) >>> 2] as number;
      if (depth === path.length) return word;
      if (word === SWIP_NULL || (word & SWIP_TAG_MASK) === SWIP_COLD) return null;
      frame = word >>> 2;
      offset = PAGE_HEADER_SIZE + 8 * (path[depth] as number);
    }
  }
}

async function openPool(disk: SimulatedDevice): Promise<BufferPool> {
  const pool = new BufferPool({ memory: FRAMES * PAGE_SIZE, pageSize: PAGE_SIZE });
  await pool.open({ path: PATH, io: disk, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

/** Nothing is wrong with the store, as far as can be told without knowing what is on its pages. */
async function expectSound(pool: BufferPool): Promise<void> {
  const problems: string[] = [];
  const expected: PageExpectation = { index: 1, label: 'tree' };
  await pool.verify<PageExpectation>({
    begin: () => ({ root: expected, inspect: () => new Map() }),
    visible: () => Number.MAX_SAFE_INTEGER,
    report: ({ path, message }) => problems.push(`${path}: ${message}`),
    advanced: () => undefined,
  });
  expect(problems).toEqual([]);
}
