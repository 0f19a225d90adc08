/**
 * What entries were before they were replaced, for snapshots that still need it. The newest version is in the index; a
 * version here says what a key held until the commit that replaced it, *absent* included.
 *
 * A snapshot at S sees the first version of a key that was replaced above S; if there is none, what the index has. That
 * is true as long as the snapshot stands (T4): versions go when no snapshot needs them, and never before.
 *
 * Versions are kept for an index object, not for a number, so that those of a cleared incarnation cannot be taken for
 * versions of the next one.
 */
import { type Index, POINT, schedulePoint } from '@pagewright/core';
import { LinkedQueue, type Links } from './linked-queue.js';
import type { SnapshotList } from './snapshots.js';

/** What a version takes beside its key and value: objects, links and the map's entry. An estimate. */
const VERSION_OVERHEAD = 200;

export class Version implements Links<Version> {
  ahead: Version | null = null;
  behind: Version | null = null;

  constructor(
    readonly chain: Chain,
    /** Null: the key was absent. */
    readonly value: Uint8Array | null,
    /** The commit that put something else in its place. */
    readonly replacedBy: number,
    readonly bytes: number,
  ) {}
}

/** The versions of one key, oldest first. Never empty. */
class Chain {
  readonly versions: Version[] = [];

  constructor(
    readonly chains: Map<string, Chain>,
    readonly index: Index,
    readonly key: string,
  ) {}
}

export class VersionStore {
  /** What all versions take, roughly. */
  bytes = 0;
  private readonly byIndex = new Map<Index, Map<string, Chain>>();
  /** All versions, in order of the commits that replaced them. */
  private readonly queue = new LinkedQueue<Version>();

  get count(): number {
    return this.queue.count;
  }

  /** Whether any key of the index has versions: if not, none need be looked for. */
  holds(index: Index): boolean {
    return this.byIndex.has(index);
  }

  /** What a snapshot sees instead of the entry in the index; null if it sees that entry. */
  find(index: Index, key: string, snapshot: number): Version | null {
    const chain = this.byIndex.get(index)?.get(key);
    if (chain === undefined) return null;
    for (const version of chain.versions) {
      if (version.replacedBy > snapshot) return version;
    }
    return null;
  }

  /** The last commit known to have changed the key; 0 if none is known, which is certain for as long as some snapshot is older. */
  lastReplacement(index: Index, key: string): number {
    const versions = this.byIndex.get(index)?.get(key)?.versions;
    return versions === undefined ? 0 : versions[versions.length - 1]!.replacedBy;
  }

  add(index: Index, key: string, value: Uint8Array | null, replacedBy: number, snapshots: SnapshotList): void {
    let chains = this.byIndex.get(index);
    if (chains === undefined) {
      chains = new Map();
      this.byIndex.set(index, chains);
    }
    let chain = chains.get(key);
    if (chain === undefined) {
      chain = new Chain(chains, index, key);
      chains.set(key, chain);
    }
    const bytes = VERSION_OVERHEAD + 2 * key.length + (value === null ? 0 : value.length);
    const version = new Version(chain, value === null ? null : ownBytes(value), replacedBy, bytes);
    chain.versions.push(version);
    this.queue.append(version);
    this.bytes += bytes;
    if (chain.versions.length > 2 * snapshots.count) this.prune(chain, snapshots);
  }

  /** Removes versions that all snapshots have passed, `budget` of them at most; true if some are left. */
  trim(oldestNeeded: number, budget: number): boolean {
    for (let removed = 0; removed < budget; removed++) {
      const version = this.queue.first;
      if (version === null || version.replacedBy > oldestNeeded) return false;
      // The oldest of all is the oldest of its chain.
      version.chain.versions.shift();
      this.forget(version);
      schedulePoint(POINT.versionTrimmed);
    }
    const next = this.queue.first;
    return next !== null && next.replacedBy <= oldestNeeded;
  }

  /** No snapshot is open: nothing is needed. Takes the same time however much there is. */
  clear(): void {
    this.byIndex.clear();
    this.queue.clear();
    this.bytes = 0;
  }

  /**
   * Removes versions that no snapshot can see, though older snapshots stand: a version is seen from the commit that made
   * it to the one that replaced it. The spans of a chain do not overlap, so at most one for each snapshot is needed, and
   * a chain twice as long loses at least half: eager pruning, as in Steam (Böttcher et al., VLDB 2019, 4.3).
   */
  private prune(chain: Chain, snapshots: SnapshotList): void {
    const versions = chain.versions;
    let snapshot = snapshots.oldest;
    let madeBy = 0;
    let kept = 0;
    for (let i = 0; i < versions.length; i++) {
      const version = versions[i]!;
      while (snapshot !== null && snapshot.timestamp < madeBy) snapshot = snapshot.behind;
      madeBy = version.replacedBy;
      if (snapshot !== null && snapshot.timestamp < version.replacedBy) versions[kept++] = version;
      else this.drop(version);
    }
    versions.length = kept;
    if (kept === 0) this.removeChain(chain);
  }

  private forget(version: Version): void {
    this.drop(version);
    if (version.chain.versions.length === 0) this.removeChain(version.chain);
  }

  private drop(version: Version): void {
    this.queue.remove(version);
    this.bytes -= version.bytes;
  }

  private removeChain(chain: Chain): void {
    chain.chains.delete(chain.key);
    if (chain.chains.size === 0) this.byIndex.delete(chain.index);
  }
}

/** An index cuts small values from larger buffers: kept as they are, each might keep a whole buffer alive. */
function ownBytes(value: Uint8Array): Uint8Array {
  return value.length * 2 < value.buffer.byteLength ? value.slice() : value;
}
