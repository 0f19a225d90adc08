/**
 * What entries were before they were replaced, for snapshots that still need it. The newest version is in the index; a
 * version here says what a key held until the commit that replaced it, *absent* included.
 *
 * A snapshot at S sees the first version of a key that was replaced above S; if there is none, what the index has. That
 * is true as long as the snapshot stands (T4): versions go when no snapshot needs them, and never before.
 *
 * Between threads, T2: a commit puts the version aside before it changes the entry, and a reader looks at the entry before it looks for a version. So
 * - whoever has met the new entry finds the version, as it was there before, unless it is not needed: then the snapshot does not stand;
 * - whoever has met the old entry finds the version, which says the same, or finds none, and the entry is right: were it of a commit above S, then
 *   what that one has replaced, or something older that was replaced above S, would be found, by the sentence above.
 * Commits of one key come one after the other, under its lock, and so do its versions.
 *
 * All of it is in shared memory, under the version latch. Versions are kept for an index by its number and incarnation, so that those of a
 * cleared incarnation cannot be taken for versions of the next one.
 */
import { POINT, schedulePoint } from '@pagewright/core';
import type { ReplacedEntry } from './replaced-entry.js';
import type { Latch, Sharing } from './sharing.js';
import type { SnapshotList } from './snapshots.js';
import { BLOCK_BYTES, VersionBlocks } from './version-blocks.js';
import { type Tree, VersionChains } from './version-chains.js';
import {
  ABSENT,
  CHAIN_COUNT,
  CHAIN_FIRST,
  CHAIN_INDEX,
  CHAIN_LAST,
  VERSION_AHEAD,
  VERSION_BEHIND,
  VERSION_CHAIN,
  VERSION_LENGTH,
  VERSION_REPLACED_F64,
  VERSION_VALUE,
  VERSION_YOUNGER,
} from './version-layout.js';

/** Words of the memory, and behind them how many versions indexes have. */
const FIRST = 0;
const LAST = 1;
const COUNT = 2;
/** Threads have left something else among the blocks. */
const OTHERS = 3;
const COUNTS = 16;
/** Versions are counted by index, as far as this tells indexes apart. */
const INDEXES = 64;

/** So many versions go one by one; more of them, when no snapshot is left, all at once. */
const FEW = 64;
/** A value that is larger is copied into its blocks while nobody waits for the latch. */
const SMALL_VALUE = 512;

/** What a snapshot sees of a key: the entry in the index, or that the key was absent; else the version of that number. */
export const IN_INDEX = 0;
export const WAS_ABSENT = -1;

export class VersionStore {
  readonly #words: Int32Array;
  readonly #fence = new Int32Array(new SharedArrayBuffer(64));
  #foundLength = 0;
  #hasRevoked = false;

  static bytes(): number {
    return (COUNTS + INDEXES) * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly blocks: VersionBlocks,
    private readonly chains: VersionChains,
    private readonly sharing: Sharing,
    private readonly latch: Latch,
    private readonly snapshots: SnapshotList,
  ) {
    this.#words = new Int32Array(memory);
  }

  /** What all versions take. */
  get bytes(): number {
    return this.blocks.used;
  }

  get count(): number {
    return this.#words[COUNT]!;
  }

  /** What versions may take. */
  get limit(): number {
    return this.blocks.capacity * BLOCK_BYTES;
  }

  /** Whether any key of the index may have versions: if not, none need be looked for. Asked after the entry was looked at. */
  holds(index: number): boolean {
    const at = COUNTS + (index % INDEXES);
    return (this.sharing.isShared ? Atomics.load(this.#words, at) : this.#words[at]) !== 0;
  }

  /** What a snapshot sees: {@link IN_INDEX}, {@link WAS_ABSENT}, or a version, which is there while the snapshot stands. */
  find(tree: Tree, key: Uint8Array, snapshot: number): number {
    const { words } = this.blocks;
    this.latch.take();
    let version = IN_INDEX;
    const chain = this.chains.find(tree, key);
    if (chain !== 0) {
      version = words[this.blocks.wordOf(chain) + CHAIN_FIRST]!;
      while (version !== 0 && this.#replacedBy(version) <= snapshot) {
        version = words[this.blocks.wordOf(version) + VERSION_YOUNGER]!;
      }
      if (version !== 0) {
        this.#foundLength = words[this.blocks.wordOf(version) + VERSION_LENGTH]!;
        if (this.#foundLength === ABSENT) version = WAS_ABSENT;
      }
    }
    this.latch.give();
    return version;
  }

  /** A copy of the value of the version that was found last. Means something only if the snapshot stands afterwards. */
  valueOf(version: number): Uint8Array {
    const value = new Uint8Array(this.#foundLength);
    this.blocks.copy(version, VERSION_VALUE, value);
    // On arm64 what was read could otherwise be read after it was asked whether the snapshot stands.
    if (this.sharing.isShared) Atomics.store(this.#fence, 0, 0);
    return value;
  }

  /** The last commit known to have changed the key; 0 if none is known, which is certain for as long as some snapshot is older. */
  lastReplacement(tree: Tree, key: Uint8Array): number {
    if (!this.holds(tree.number)) return 0;
    this.latch.take();
    try {
      return this.#lastReplacement(tree, key);
    } finally {
      this.latch.give();
    }
  }

  /**
   * The newest snapshot that sees a value which the key had and has no more; -1 if there is none. To be asked while no commit of the key is under way: snapshots that are opened later are not
   * below what is committed, so that it stays as it is.
   */
  newestViewer(tree: Tree, key: Uint8Array): number {
    const { words } = this.blocks;
    const { snapshots } = this;
    let viewer = -1;
    this.latch.take();
    const chain = this.chains.find(tree, key);
    if (chain !== 0) {
      let madeBy = 0;
      let version = words[this.blocks.wordOf(chain) + CHAIN_FIRST]!;
      for (; version !== 0; version = words[this.blocks.wordOf(version) + VERSION_YOUNGER]!) {
        const replacedBy = this.#replacedBy(version);
        if (words[this.blocks.wordOf(version) + VERSION_LENGTH] !== ABSENT) {
          const newest = snapshots.newestBelow(replacedBy);
          if (newest >= madeBy) viewer = newest;
        }
        madeBy = replacedBy;
      }
    }
    this.latch.give();
    return viewer;
  }

  /** Whether someone may want to see what the key holds now, when it is replaced. */
  isWanted(tree: Tree, key: Uint8Array): boolean {
    this.latch.take();
    try {
      return this.#lastReplacement(tree, key) <= this.snapshots.newestBelow(Number.POSITIVE_INFINITY);
    } finally {
      this.latch.give();
    }
  }

  /**
   * Puts aside what a commit is about to replace, if a snapshot can see it. False if no snapshot is below the commit: then nobody needs to meet its
   * key. What was not read of the entry, because it was not wanted, is not wanted now: snapshots that were opened since are not below it.
   */
  keep(tree: Tree, key: Uint8Array, replaced: ReplacedEntry | undefined, timestamp: number): boolean {
    const value = replaced?.value ?? null;
    const isLarge = value !== null && value.length > SMALL_VALUE;
    let version = 0;
    this.latch.take();
    try {
      if (replaced === undefined) return this.#giveUpBelow(timestamp);
      if (!replaced.wanted) return this.snapshots.newestBelow(timestamp) >= 0;
      const blocks = VersionBlocks.count(VERSION_VALUE, value === null ? 0 : value.length);
      if (!this.#hasRoomFor(tree, key, blocks, timestamp)) return this.snapshots.newestBelow(timestamp) >= 0;
      version = this.blocks.allocate(blocks);
      this.blocks.words[this.blocks.wordOf(version) + VERSION_LENGTH] = value === null ? ABSENT : value.length;
      if (!isLarge) {
        if (value !== null) this.blocks.fill(version, VERSION_VALUE, value);
        this.#link(this.chains.findOrAdd(tree, key), version, timestamp);
        return true;
      }
      this.holdOthers(1);
    } finally {
      this.latch.give();
      this.#tellRevoked();
    }
    this.blocks.fill(version, VERSION_VALUE, value);
    return this.#keepLarge(tree, key, version, timestamp);
  }

  /** Removes versions that all snapshots have passed, `budget` of them at most. Returns how many. */
  trim(budget: number): number {
    for (let removed = 0; removed < budget; removed++) {
      this.latch.take();
      let isRemoved = false;
      try {
        isRemoved = this.#trimFirst();
      } finally {
        this.latch.give();
      }
      if (!isRemoved) return removed;
      schedulePoint(POINT.versionTrimmed);
    }
    return budget;
  }

  /** Whether there are versions that all snapshots have passed. */
  get hasPassed(): boolean {
    this.latch.take();
    try {
      return this.#isPassed(this.#words[FIRST]!);
    } finally {
      this.latch.give();
    }
  }

  /** Removes all versions, if no snapshot is open. Takes about the same time however many there are. */
  clear(): void {
    this.latch.take();
    try {
      const words = this.#words;
      if (this.snapshots.first !== 0) return;
      if (words[COUNT]! <= FEW || words[OTHERS] !== 0) {
        for (let i = 0; i < FEW && this.#trimFirst(); i++) {}
        return;
      }
      this.blocks.clear();
      this.chains.clear();
      for (let at = 0; at < INDEXES; at++) this.#setCount(at, 0);
      words[FIRST] = 0;
      words[LAST] = 0;
      words[COUNT] = 0;
    } finally {
      this.latch.give();
    }
  }

  /** Something else is among the blocks from now on, or is not any more. Under the version latch. */
  holdOthers(difference: number): void {
    this.#words[OTHERS]! += difference;
  }

  // ── Under the version latch ─────────────────────────────────────────────────────────────────────────────────

  /**
   * What a commit replaces was not read, because it is more than versions may take: snapshots below it lose what they need (T4), those too that
   * were opened while it was read, and of which nobody knew what they want. False: nobody can see it any more.
   */
  #giveUpBelow(timestamp: number): false {
    while (this.snapshots.newestBelow(timestamp) >= 0) {
      this.snapshots.revokeOldest();
      this.#hasRevoked = true;
    }
    return false;
  }

  /** What was filled while others had the latch. */
  #keepLarge(tree: Tree, key: Uint8Array, version: number, timestamp: number): boolean {
    this.latch.take();
    try {
      this.holdOthers(-1);
      if (this.#hasRoomFor(tree, key, 0, timestamp)) this.#link(this.chains.findOrAdd(tree, key), version, timestamp);
      else this.#freeVersion(version);
      return this.snapshots.newestBelow(timestamp) >= 0;
    } finally {
      this.latch.give();
      this.#tellRevoked();
    }
  }

  /**
   * Whether a snapshot can see what the commit replaces; then there is room for so many blocks, and its key. T4: if room runs short, what snapshots
   * have passed goes first, then the oldest snapshots lose what they need.
   */
  #hasRoomFor(tree: Tree, key: Uint8Array, blocks: number, timestamp: number): boolean {
    const wanted = blocks + VersionChains.blocksFor(key);
    for (;;) {
      const newest = this.snapshots.newestBelow(timestamp);
      // If the key was replaced after the newest of them began, no one can see what is there now.
      if (newest < 0 || this.#lastReplacement(tree, key) > newest) return false;
      if (this.blocks.hasRoom(wanted)) return true;
      if (this.#trimFirst()) continue;
      this.snapshots.revokeOldest();
      this.#hasRevoked = true;
    }
  }

  #tellRevoked(): void {
    if (!this.#hasRevoked) return;
    this.#hasRevoked = false;
    this.sharing.host.kept();
    schedulePoint(POINT.snapshotRevoked);
  }

  #isPassed(version: number): boolean {
    if (version === 0) return false;
    const oldest = this.snapshots.first;
    return oldest === 0 || this.#replacedBy(version) <= this.snapshots.timestampOf(oldest);
  }

  #trimFirst(): boolean {
    const version = this.#words[FIRST]!;
    if (!this.#isPassed(version)) return false;
    // Commits of other keys may have come before it though they are younger; of its chain it is the oldest.
    const { words } = this.blocks;
    const chain = words[this.blocks.wordOf(version) + VERSION_CHAIN]!;
    const at = this.blocks.wordOf(chain);
    const younger = words[this.blocks.wordOf(version) + VERSION_YOUNGER]!;
    words[at + CHAIN_FIRST] = younger;
    words[at + CHAIN_COUNT]!--;
    this.#drop(version, chain);
    if (younger === 0) this.chains.remove(chain);
    return true;
  }

  #link(chain: number, version: number, timestamp: number): void {
    const { words, numbers } = this.blocks;
    const at = this.blocks.wordOf(version);
    const chainAt = this.blocks.wordOf(chain);
    numbers[(at >>> 1) + VERSION_REPLACED_F64] = timestamp;
    words[at + VERSION_CHAIN] = chain;
    words[at + VERSION_YOUNGER] = 0;
    const before = words[chainAt + CHAIN_LAST]!;
    if (before === 0) words[chainAt + CHAIN_FIRST] = version;
    else words[this.blocks.wordOf(before) + VERSION_YOUNGER] = version;
    words[chainAt + CHAIN_LAST] = version;
    const count = ++words[chainAt + CHAIN_COUNT]!;
    const ahead = this.#words[LAST]!;
    words[at + VERSION_AHEAD] = ahead;
    words[at + VERSION_BEHIND] = 0;
    if (ahead === 0) this.#words[FIRST] = version;
    else words[this.blocks.wordOf(ahead) + VERSION_BEHIND] = version;
    this.#words[LAST] = version;
    this.#words[COUNT]!++;
    const index = words[chainAt + CHAIN_INDEX]!;
    this.#setCount((index >>> 0) % INDEXES, this.#words[COUNTS + ((index >>> 0) % INDEXES)]! + 1);
    if (count > 2 * this.snapshots.members) this.#prune(chain);
  }

  /**
   * Removes versions that no snapshot can see, though older snapshots stand: a version is seen from the commit that made
   * it to the one that replaced it. The spans of a chain do not overlap, so at most one for each snapshot is needed, and
   * a chain twice as long loses at least half: eager pruning, as in Steam (Böttcher et al., VLDB 2019, 4.3).
   */
  #prune(chain: number): void {
    const { words } = this.blocks;
    const { snapshots } = this;
    const chainAt = this.blocks.wordOf(chain);
    let snapshot = snapshots.first;
    let madeBy = 0;
    let last = 0;
    let kept = 0;
    for (let version = words[chainAt + CHAIN_FIRST]!, younger = 0; version !== 0; version = younger) {
      const at = this.blocks.wordOf(version);
      const replacedBy = this.#replacedBy(version);
      younger = words[at + VERSION_YOUNGER]!;
      while (snapshot !== 0 && snapshots.timestampOf(snapshot) < madeBy) snapshot = snapshots.after(snapshot);
      madeBy = replacedBy;
      if (snapshot !== 0 && snapshots.timestampOf(snapshot) < replacedBy) {
        if (last === 0) words[chainAt + CHAIN_FIRST] = version;
        else words[this.blocks.wordOf(last) + VERSION_YOUNGER] = version;
        last = version;
        kept++;
      } else this.#drop(version, chain);
    }
    words[chainAt + CHAIN_LAST] = last;
    words[chainAt + CHAIN_COUNT] = kept;
    if (kept === 0) this.chains.remove(chain);
    else words[this.blocks.wordOf(last) + VERSION_YOUNGER] = 0;
  }

  /** Takes a version out of the order of replacement, and gives back its blocks. Its chain does not name it any more. */
  #drop(version: number, chain: number): void {
    const { words } = this.blocks;
    const at = this.blocks.wordOf(version);
    const ahead = words[at + VERSION_AHEAD]!;
    const behind = words[at + VERSION_BEHIND]!;
    if (ahead === 0) this.#words[FIRST] = behind;
    else words[this.blocks.wordOf(ahead) + VERSION_BEHIND] = behind;
    if (behind === 0) this.#words[LAST] = ahead;
    else words[this.blocks.wordOf(behind) + VERSION_AHEAD] = ahead;
    this.#words[COUNT]!--;
    const index = words[this.blocks.wordOf(chain) + CHAIN_INDEX]! >>> 0;
    this.#setCount(index % INDEXES, this.#words[COUNTS + (index % INDEXES)]! - 1);
    this.#freeVersion(version);
  }

  #freeVersion(version: number): void {
    const length = this.blocks.words[this.blocks.wordOf(version) + VERSION_LENGTH]!;
    this.blocks.free(version, VersionBlocks.count(VERSION_VALUE, Math.max(0, length)));
  }

  #lastReplacement(tree: Tree, key: Uint8Array): number {
    const chain = this.chains.find(tree, key);
    return chain === 0 ? 0 : this.#replacedBy(this.blocks.words[this.blocks.wordOf(chain) + CHAIN_LAST]!);
  }

  #replacedBy(version: number): number {
    return this.blocks.numbers[(this.blocks.wordOf(version) >>> 1) + VERSION_REPLACED_F64]!;
  }

  /** Read without the latch: written by the thread that has it. */
  #setCount(index: number, count: number): void {
    if (this.sharing.isShared) Atomics.store(this.#words, COUNTS + index, count);
    else this.#words[COUNTS + index] = count;
  }
}
