/**
 * A file as a disk and its page cache have it: what reads see, what is durable, and in between every version that each
 * sector and the size have had since the last sync. A sync makes versions durable; a crash keeps any of them, or none.
 */
import { SECTOR } from './operation.js';
import type { Survival } from './survival.js';

/** The operation that made a version. */
export interface Origin {
  /** When it ended, by the device's count; infinite while it is under way. */
  ended: number;
}

/** What was there from the beginning. */
export const SETTLED: Origin = { ended: 0 };

/** Bytes of a file. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

interface Version {
  /** Place in the order in which things happened to this file. */
  readonly at: number;
  readonly origin: Origin;
}

interface SizeVersion extends Version {
  readonly size: number;
  /** Whether it cut bytes off. They are zero if the file grows again. */
  readonly cuts: boolean;
}

interface SectorVersion extends Version {
  readonly bytes: Uint8Array;
}

export class StoredFile {
  /** What reads see. Zero beyond the size. */
  live = new Uint8Array(0);
  size = 0;
  /** What is left if all power goes and nothing unsynced survives. */
  durable = new Uint8Array(0);
  durableSize = 0;
  /** Write-backs that failed: each open file is told once. */
  failedWriteBacks = 0;
  #sizes: SizeVersion[] = [];
  #sectors = new Map<number, SectorVersion[]>();
  #happened = 0;

  resize(size: number, origin: Origin): void {
    if (size > this.live.length) this.live = grown(this.live, Math.max(size, this.live.length * 2));
    if (size < this.size) this.live.fill(0, size, this.size);
    this.#sizes.push({ size, cuts: size < this.size, at: ++this.#happened, origin });
    this.size = size;
  }

  write(bytes: Uint8Array, offset: number, origin: Origin): void {
    const end = offset + bytes.length;
    if (end > this.size) this.resize(end, origin);
    this.live.set(bytes, offset);
    const at = ++this.#happened;
    const first = Math.floor(offset / SECTOR);
    const count = Math.ceil(end / SECTOR) - first;
    // One copy for all: a write of many sectors would else make as many arrays.
    const sectors = grown(this.live.subarray(first * SECTOR), count * SECTOR);
    for (let index = 0; index < count; index++) {
      const sector = first + index;
      const version = { bytes: sectors.subarray(index * SECTOR, (index + 1) * SECTOR), at, origin };
      const versions = this.#sectors.get(sector);
      if (versions === undefined) this.#sectors.set(sector, [version]);
      else versions.push(version);
    }
  }

  /**
   * Makes durable what had ended at `issued`. What came later, or is not over, is covered as far as `alsoCovers` says; a
   * page cache has one copy of a sector, so a version is never covered without those before it. If it is a sync of some ranges
   * alone, the other sectors are covered as if they had come later.
   */
  sync(issued: number, alsoCovers: () => boolean, ranges?: readonly Range[]): void {
    const sizes = this.#sizes.splice(0, this.#sizesCovered(issued, alsoCovers, ranges));
    const covered = new Map<number, SectorVersion>();
    for (const [sector, versions] of this.#sectors) {
      const isMeant = ranges === undefined || ranges.some((range) => touches(range, sector));
      const count = coveredOf(versions, isMeant ? issued : Number.NEGATIVE_INFINITY, alsoCovers);
      const last = versions.splice(0, count).at(-1);
      if (last !== undefined) covered.set(sector, last);
      if (versions.length === 0) this.#sectors.delete(sector);
    }
    this.#layDown(sizes, covered);
    const cuts = cutsOf(sizes);
    if (cuts.length === 0) return;
    // A later crash must not bring back what this sync has cut off.
    for (const [sector, versions] of this.#sectors) {
      this.#sectors.set(
        sector,
        versions.map((version) => ({ ...version, bytes: afterCuts(version, sector, cuts) })),
      );
    }
  }

  /**
   * The system could not write back what is unsynced. If that is `dropped` it counts as clean from now on, and reads go on
   * showing it, but it never is durable; if it is `kept` a later sync may cover it.
   */
  failWriteBack(dirty: 'dropped' | 'kept'): void {
    this.failedWriteBacks++;
    if (dirty === 'dropped') this.#sectors.clear();
  }

  /** How many unsynced versions the size and each sector have, in the order in which {@link crashed} asks about them. */
  unsynced(): number[] {
    const versions = [...this.#sectors.values()].map(({ length }) => length);
    return this.#sizes.length === 0 ? versions : [this.#sizes.length, ...versions];
  }

  /** What is on the disk after a crash. */
  crashed(survives: Survival): StoredFile {
    const after = new StoredFile();
    after.durable = new Uint8Array(this.durable);
    after.durableSize = this.durableSize;
    const sizes = this.#sizes.slice(0, lastKept(this.#sizes, survives) + 1);
    const kept = new Map<number, SectorVersion>();
    for (const [sector, versions] of this.#sectors) {
      const version = versions[lastKept(versions, survives)];
      if (version !== undefined) kept.set(sector, version);
    }
    after.#layDown(sizes, kept);
    after.size = after.durableSize;
    after.live = grown(after.durable.subarray(0, after.size), after.size);
    after.durable = new Uint8Array(after.live);
    return after;
  }

  clone(): StoredFile {
    const copy = new StoredFile();
    copy.live = new Uint8Array(this.live);
    copy.size = this.size;
    copy.durable = new Uint8Array(this.durable);
    copy.durableSize = this.durableSize;
    copy.#sizes = [...this.#sizes];
    for (const [sector, versions] of this.#sectors) copy.#sectors.set(sector, [...versions]);
    copy.#happened = this.#happened;
    return copy;
  }

  /** Decay: one bit of what is stored is another from now on. */
  flip(offset: number, bit: number): void {
    for (const bytes of [this.live, this.durable]) {
      if (offset < bytes.length) bytes[offset]! ^= 1 << bit;
    }
    const sector = Math.floor(offset / SECTOR);
    for (const { bytes } of this.#sectors.get(sector) ?? []) bytes[offset - sector * SECTOR]! ^= 1 << bit;
  }

  /** All that makes up its state, as byte strings in a fixed order. */
  *state(): Iterable<Uint8Array | string> {
    yield `${this.size} ${this.durableSize} ${this.failedWriteBacks} ${this.#sizes.map(({ size }) => size).join()}`;
    const live = this.live.subarray(0, this.size);
    const durable = this.durable.subarray(0, this.durableSize);
    yield live;
    // After a crash they are the same, and to compare them takes less than to hash one.
    yield Buffer.compare(live, durable) === 0 ? 'all of it durable' : durable;
    for (const [sector, versions] of [...this.#sectors].sort(([a], [b]) => a - b)) {
      yield `sector ${sector}`;
      for (const { bytes } of versions) yield bytes;
    }
  }

  /** A sync of ranges alone needs no larger size than these reach. */
  #sizesCovered(issued: number, alsoCovers: () => boolean, ranges?: readonly Range[]): number {
    if (ranges === undefined) return coveredOf(this.#sizes, issued, alsoCovers);
    const end = Math.max(0, ...ranges.map(({ offset, length }) => offset + length));
    let count = this.durableSize >= end ? 0 : this.#sizes.findIndex(({ size }) => size >= end) + 1;
    while (count < this.#sizes.length && alsoCovers()) count++;
    return count;
  }

  #layDown(sizes: readonly SizeVersion[], sectors: ReadonlyMap<number, SectorVersion>): void {
    const cuts = cutsOf(sizes);
    for (const { size } of cuts) this.durable.fill(0, size);
    this.durableSize = sizes.at(-1)?.size ?? this.durableSize;
    for (const [sector, version] of sectors) {
      const end = (sector + 1) * SECTOR;
      if (end > this.durable.length) this.durable = grown(this.durable, Math.max(end, this.durable.length * 2));
      this.durable.set(afterCuts(version, sector, cuts), sector * SECTOR);
    }
    if (this.durable.length < this.durableSize) this.durable = grown(this.durable, this.durableSize);
  }
}

function touches({ offset, length }: Range, sector: number): boolean {
  return length > 0 && offset < (sector + 1) * SECTOR && offset + length > sector * SECTOR;
}

/** How many of the versions, from the oldest, a sync covers. */
function coveredOf(versions: readonly Version[], issued: number, alsoCovers: () => boolean): number {
  let count = versions.findLastIndex(({ origin }) => origin.ended <= issued) + 1;
  while (count < versions.length && alsoCovers()) count++;
  return count;
}

/** Asks about every version, so that the number of questions does not depend on the answers. */
function lastKept(versions: readonly Version[], survives: Survival): number {
  let last = -1;
  versions.forEach((_, index) => {
    if (survives()) last = index;
  });
  return last;
}

function cutsOf(sizes: readonly SizeVersion[]): SizeVersion[] {
  return sizes.filter(({ cuts }) => cuts);
}

/** The bytes of a sector without what was cut off the file after they were written. */
function afterCuts({ at, bytes }: SectorVersion, sector: number, cuts: readonly SizeVersion[]): Uint8Array {
  let end = SECTOR;
  for (const cut of cuts) if (cut.at > at) end = Math.min(end, Math.max(0, cut.size - sector * SECTOR));
  return end === SECTOR ? bytes : new Uint8Array(bytes).fill(0, end);
}

function grown(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes.subarray(0, length));
  return larger;
}
