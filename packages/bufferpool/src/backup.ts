/**
 * Backup of the last checkpoint while other work goes on. Its tree stands still in the file, and its extents are held until
 * the end, so that it is copied page by page over as many turns of the event loop as it takes. The copy is a page file of its own: the
 * tree without gaps, its allocation map, and two superblocks that name both.
 *
 * Must hold: the copy names no log, so it opens alone. It keeps the store's id and the checkpoint's timestamp, by which segments of the log
 * can be told to follow it; a log of another store, or one that does not begin at that very timestamp, is not replayed onto it.
 */
import { crc32 } from 'node:zlib';
import { type BackupRequest, type BackupResult, NO_LOG, sizeClassOf } from '@pagewright/core/contracts';
import { emptyBits, encodeMap, mapBytes, setBits } from './allocation-map.js';
import { BackupFile } from './backup-file.js';
import { BackupSpace } from './backup-space.js';
import { BackupTree, type StoredPage } from './backup-tree.js';
import type { FileSpace } from './file-space.js';
import type { PageFile } from './page-file.js';
import type { PoolLatch } from './pool-latch.js';
import { encodeSuperblock, type Superblock } from './superblock.js';

export interface BackupParts {
  readonly file: PageFile;
  readonly space: FileSpace;
  readonly poolLatch: PoolLatch;
}

const NOWHERE: StoredPage = { address: 0, checksum: 0 };

/** Errors: see `PageStore.backup`. */
export async function backupStore(
  { file, space, poolLatch }: BackupParts,
  request: BackupRequest,
): Promise<BackupResult> {
  // One step: what this superblock names is not given out again from here on.
  const { superblock } = file;
  const letGo = poolLatch.holding(() => space.hold(superblock.epoch));
  try {
    const target = await BackupFile.create(request.io, request.path);
    try {
      return await new Backup(file, target, superblock, request, estimate(file, space)).run();
    } catch (error) {
      await target.discard();
      throw error;
    }
  } finally {
    poolLatch.holding(letGo);
  }
}

class Backup {
  readonly #space: BackupSpace;

  constructor(
    private readonly source: PageFile,
    private readonly target: BackupFile,
    private readonly superblock: Superblock,
    private readonly request: BackupRequest,
    private readonly estimatedBytes: number,
  ) {
    this.#space = new BackupSpace(source.reservedUnits);
  }

  async run(): Promise<BackupResult> {
    const { source, target, superblock, request, estimatedBytes } = this;
    const tree = new BackupTree(source, target, this.#space, (copied) =>
      request.advanced({ ...copied, totalBytes: Math.max(estimatedBytes, copied.bytes) }),
    );
    await request.advanced({ ...tree.copied, totalBytes: estimatedBytes });
    await target.allocate(0, source.reservedUnits * source.pageSize);
    const { catalogAddress: address, catalogChecksum: checksum } = superblock;
    const catalog = address === 0 ? NOWHERE : await tree.copy({ address, checksum });
    await target.flush();
    const map = address === 0 ? NOWHERE : await this.#writeMap();
    await request.advanced({ ...tree.copied, totalBytes: tree.copied.bytes });
    const bytes = await target.complete(this.#head(catalog, map));
    return { epoch: superblock.epoch, mark: superblock.mark, pages: tree.copied.pages, bytes };
  }

  /** The map of a file in which all is in use but what alignment has left over. */
  async #writeMap(): Promise<StoredPage> {
    const { source, target } = this;
    const { pageSize } = source;
    const address = this.#space.allocate(this.#classForMap());
    const { units } = this.#space;
    const bits = emptyBits(units);
    setBits(bits, 0, units, true);
    const gaps: [unit: number, count: number][] = [];
    this.#space.forEachGap((unit, count) => gaps.push([unit, count]));
    for (const [unit, count] of gaps) {
      setBits(bits, unit, count, false);
      await target.allocate(unit * pageSize, count * pageSize);
    }
    const block = Buffer.alloc(pageSize * 2 ** sizeClassOf(address));
    encodeMap({ units, bits, givenUp: [] }, block);
    target.stage(block, source.offsetOf(address));
    await target.flush();
    return { address, checksum: crc32(block) };
  }

  /** The map's own extent, and what is left over before it, make the file longer by less than two of it. */
  #classForMap(): number {
    let sizeClass = 0;
    while (mapBytes(this.#space.units + 2 ** (sizeClass + 1), 0) > this.source.pageSize * 2 ** sizeClass) sizeClass++;
    return sizeClass;
  }

  /** Two superblocks, so that the copy can do without either. */
  #head(catalog: StoredPage, map: StoredPage): Buffer {
    const { pageSize, storeId, epoch, mark } = this.superblock;
    const superblock = {
      pageSize,
      storeId,
      mark: { timestamp: mark.timestamp, log: NO_LOG },
      catalogAddress: catalog.address,
      catalogChecksum: catalog.checksum,
      mapAddress: map.address,
      mapChecksum: map.checksum,
    };
    // No page of the tree is of a later epoch than either.
    return Buffer.concat([epoch, epoch + 1].map((number) => encodeSuperblock({ ...superblock, epoch: number })));
  }
}

/** What is in use now is about what the checkpoint reaches. */
function estimate(file: PageFile, space: FileSpace): number {
  return (space.units - space.freeUnits - space.retainedUnits - file.reservedUnits) * file.pageSize;
}
