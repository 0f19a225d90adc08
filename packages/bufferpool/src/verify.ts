/**
 * Verification of a whole store beside other work. A tree that changes cannot be gone through page by page over many turns
 * of the event loop, so three things are gone through that stand still:
 *
 * 1. The tree of the last checkpoint, in the file, whole: nothing ever changes it, and its extents are held until the end.
 * 2. The tree of the checkpoint before, to which the store falls back if the newer superblock rots, as far as it differs.
 * 3. The pages in memory, and what is stored below them: at instants, and for as long as the swips stand.
 *
 * What was committed since the last checkpoint is therefore verified where it is: in memory, or where eviction put it.
 */
import type { PageExpectation, VerifyProgress, VerifyRequest } from '@pagewright/core/contracts';
import type { AllocationMap } from './allocation-map.js';
import type { Checkpointer } from './checkpointer.js';
import type { FileSpace } from './file-space.js';
import type { Gate } from './gate.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';
import type { Superblock } from './superblock.js';
import { UnitSet } from './verify-extents.js';
import { Findings, Place } from './verify-findings.js';
import { ResidentPages } from './verify-memory.js';
import { checkMap, checkNotFree, checkSuperblocks, readMap } from './verify-space.js';
import { StoredPages, type TreeView } from './verify-tree.js';

/** Pages looked at between two turns of the event loop, and bytes. */
const PAGES_A_TURN = 64;
const BYTES_A_TURN = 1024 * 1024;

export interface VerifyParts extends PoolParts {
  readonly space: FileSpace;
  readonly residency: Residency;
  readonly checkpointer: Checkpointer;
  readonly gate: Gate;
  readonly rootFrame: number;
}

/** Errors: what `request.advanced` throws, `PW_CLOSED`. */
export async function verifyStore<Expectation extends PageExpectation>(
  parts: VerifyParts,
  request: VerifyRequest<Expectation>,
): Promise<VerifyProgress> {
  const { file, space, checkpointer, poolLatch } = parts;
  while (checkpointer.isRunning) await checkpointer.idle();
  // From here to the hold is one step: no superblock is on its way, and what the two name stays.
  const findings = new Findings((problem) => request.report(problem));
  checkSuperblocks(file, findings);
  const { superblock, olderSuperblock } = file;
  const letGo = poolLatch.holding(() =>
    space.hold(Math.min(superblock.epoch, olderSuperblock?.epoch ?? superblock.epoch)),
  );
  try {
    return await new Verification(parts, request, findings).run(superblock, olderSuperblock);
  } finally {
    poolLatch.holding(letGo);
  }
}

class Verification<Expectation extends PageExpectation> {
  #pages = 0;
  #bytes = 0;
  #totalBytes = 0;
  #pagesThisTurn = 0;
  #bytesThisTurn = 0;
  readonly #stored: StoredPages<Expectation>;

  constructor(
    private readonly parts: VerifyParts,
    private readonly request: VerifyRequest<Expectation>,
    private readonly findings: Findings,
  ) {
    this.#stored = new StoredPages({ ...parts, findings, advanced: (pages, bytes) => this.#advanced(pages, bytes) });
  }

  async run(newest: Superblock, older: Superblock | null): Promise<VerifyProgress> {
    const { file, space } = this.parts;
    const place = new Place(null, `checkpoint ${newest.epoch}`);
    const map = await readMap(file, newest, place, this.findings);
    this.#totalBytes = bytesInUse(map, file.pageSize);
    const tree = await this.#tree(newest, place, null);
    const reached = tree.reached as UnitSet;
    if (map !== null) checkMap(file, map, newest, { reached, complete: tree.complete }, place, this.findings);
    if (older !== null && older.catalogAddress !== newest.catalogAddress) await this.#olderTree(older, reached);
    await this.#memory(reached);
    checkNotFree(space, file.pageSize, reached, place, this.findings);
    await this.#turn();
    return this.#progress();
  }

  /** Goes through the tree of a checkpoint. Of what is known already, only that it is still what the tree names. */
  async #tree(superblock: Superblock, place: Place, known: UnitSet | null): Promise<TreeView<Expectation>> {
    const inspector = this.request.begin();
    const { catalogAddress, catalogChecksum, epoch, mark } = superblock;
    const tree = {
      inspector,
      highestStamp: () => mark.timestamp,
      reached: new UnitSet(this.parts.space.units),
      known,
      stands: () => true,
      complete: true,
    };
    const root = {
      address: catalogAddress,
      checksum: catalogChecksum,
      index: inspector.root.index,
      expected: inspector.root,
      above: place,
      epoch,
    };
    if (catalogAddress !== 0) await this.#stored.follow(root, tree);
    return tree;
  }

  async #olderTree(older: Superblock, known: UnitSet): Promise<void> {
    const { file, space } = this.parts;
    const place = new Place(null, `checkpoint ${older.epoch}, the one before`);
    const tree = await this.#tree(older, place, known);
    checkNotFree(space, file.pageSize, tree.reached as UnitSet, place, this.findings);
  }

  async #memory(known: UnitSet): Promise<void> {
    const { parts, findings, request } = this;
    const { reservedUnits } = parts.file;
    const { gate, poolLatch } = parts;
    // Changes are made in the gate; what else happens to pages and frames, under the pool latch.
    const standing = <Result>(step: () => Result): Result => gate.whileClosed(() => poolLatch.holding(step));
    const resident = new ResidentPages<Expectation>(
      { ...parts, reservedUnits, findings, turn: () => this.#turn(), standing },
      () => request.begin(),
      () => request.visible(),
    );
    await resident.check(this.#stored, known);
  }

  async #advanced(pages: number, bytes: number): Promise<void> {
    this.#pages += pages;
    this.#bytes += bytes;
    this.#pagesThisTurn++;
    this.#bytesThisTurn += bytes;
    if (this.#pagesThisTurn >= PAGES_A_TURN || this.#bytesThisTurn >= BYTES_A_TURN) await this.#turn();
  }

  async #turn(): Promise<void> {
    this.#pagesThisTurn = 0;
    this.#bytesThisTurn = 0;
    this.request.advanced(this.#progress());
    await new Promise(setImmediate);
  }

  #progress(): VerifyProgress {
    return { pages: this.#pages, bytes: this.#bytes, totalBytes: this.#totalBytes };
  }
}

function bytesInUse(map: AllocationMap | null, pageSize: number): number {
  let units = 0;
  for (const byte of map?.bits ?? []) for (let left = byte; left > 0; left &= left - 1) units++;
  return units * pageSize;
}
