/**
 * The snapshots that are open in all threads, oldest first. Whatever is kept for readers of the past is kept for a member of this list,
 * and nothing that one of them needs goes while it stands (T2, T4).
 *
 * A snapshot is of the last timestamp that was *taken* when it was registered, and is given out when V has reached that. Both happens under
 * the order latch, under which commits take their timestamps as well, after they have looked whether a snapshot was registered since they decided what to
 * keep. So a commit above a snapshot knows of it, and keeps what it replaces; one that did not know of it is not above it.
 *
 * Members are of a thread and a timestamp, with a count. Those of a thread that has ended lapse. The list is changed under the version latch.
 */
import { PagewrightError, POINT, type Snapshot, schedulePoint } from '@pagewright/core';
import type { Latch, Sharing } from './sharing.js';
import type { Timestamps } from './timestamps.js';

/** Members there can be; one more, and the oldest snapshot is revoked. */
const MOST_MEMBERS = 16384;

/** Words of a member, and of the head, which is in the place of the first. */
const MEMBER_SHIFT = 3;
const MEMBER_WORDS = 1 << MEMBER_SHIFT;
const AHEAD = 0;
const BEHIND = 1;
const TAG = 2;
const COUNT = 3;
const TIMESTAMP_F64 = 2;

const OLDEST = 0;
const NEWEST = 1;
/** Members that can be used again, and below which all were used once. */
const UNUSED = 2;
const TOUCHED = 3;
/** Of 8 bytes: snapshots up to this timestamp were revoked; those below the other are gone, because a reader has gone on. */
const REVOKED_F64 = 2;
const PASSED_F64 = 3;
/** In the second place. */
const OPENINGS = 8;
const REVOCATIONS = 9;
const ACTIVE = 10;
const MEMBERS = 11;
/** Of 8 bytes: those above the first timestamp, and up to the second, were revoked because there were too many. */
const CROWDED_AFTER_F64 = 6;
const CROWDED_F64 = 7;
const FIRST_MEMBER = 2;

export class ActiveSnapshot implements Snapshot {
  private state: 'open' | 'released' | 'revoked' = 'open';

  constructor(
    readonly timestamp: number,
    /** Its member of the list, which is another's when it was revoked. */
    readonly member: number,
    /** It stood after so many revocations. */
    private seen: number,
    private readonly list: SnapshotList,
  ) {}

  assertStands(): void {
    if (this.state === 'open' && this.list.revocations === this.seen) return;
    if (this.state !== 'released') {
      const seen = this.list.revocations;
      this.list.assertNotRevoked(this.timestamp);
      this.seen = seen;
      return;
    }
    throw new PagewrightError('PW_CLOSED', 'The snapshot was released. Take a new one.', {
      details: { timestamp: this.timestamp },
    });
  }

  release(): void {
    if (this.state !== 'open') return;
    this.state = 'released';
    if (!this.list.remove(this)) this.state = 'revoked';
  }
}

export class SnapshotList {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  #tag = 1;
  /** Whether one was revoked for want of members, and nobody was told yet. */
  #hasCrowdedOut = false;

  static bytes(): number {
    return (FIRST_MEMBER + MOST_MEMBERS) * MEMBER_WORDS * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
    private readonly order: Latch,
    private readonly latch: Latch,
    private readonly timestamps: Timestamps,
    /** Told when one has gone, with no latch held. */
    private readonly gone: (wasOldest: boolean) => void,
  ) {
    this.#words = new Int32Array(memory);
    this.#numbers = new Float64Array(memory);
  }

  /** In the thread that has made the memory. */
  begin(): void {
    this.#words[TOUCHED] = FIRST_MEMBER;
    for (const number of [REVOKED_F64, CROWDED_AFTER_F64, CROWDED_F64]) this.#numbers[number] = -1;
    this.#numbers[PASSED_F64] = -1;
  }

  /** The thread has a slot from now on: what it has registered so far is its own. */
  share(): void {
    const words = this.#words;
    this.#tag = this.sharing.threads.tag;
    for (let member = words[OLDEST]!; member !== 0; member = words[at(member) + BEHIND]!) {
      if (words[at(member) + TAG] === 1) words[at(member) + TAG] = this.#tag;
    }
  }

  /** Errors: `PW_THREAD_LOST`, `PW_ENGINE_FAILED`, `PW_CLOSED`. */
  open(): ActiveSnapshot {
    let timestamp = 0;
    let member = 0;
    let seen = 0;
    this.order.take();
    try {
      this.latch.take();
      try {
        timestamp = this.timestamps.taken;
        member = this.#register(timestamp);
        seen = this.#words[REVOCATIONS]!;
      } finally {
        this.latch.give();
      }
    } finally {
      this.order.give();
    }
    const snapshot = new ActiveSnapshot(timestamp, member, seen, this);
    try {
      this.#tellCrowdedOut();
      if (this.sharing.isShared) this.timestamps.waitFor(timestamp);
    } catch (error) {
      snapshot.release();
      throw error;
    }
    schedulePoint(POINT.snapshotOpened);
    return snapshot;
  }

  /** So many were opened. If it is the same under the order latch, none was opened meanwhile. */
  get openings(): number {
    return this.#load(OPENINGS);
  }

  /** Goes on with each revocation. */
  get revocations(): number {
    return this.#load(REVOCATIONS);
  }

  /** How many are open. */
  get count(): number {
    return this.#load(ACTIVE);
  }

  /** Members of the list: no more than there are snapshots. */
  get members(): number {
    return this.#load(MEMBERS);
  }

  /** The timestamp of the oldest one, or null; V as it was before that was looked for, so that no snapshot below it can come. */
  oldest(): { readonly timestamp: number | null; readonly visible: number } {
    this.latch.take();
    try {
      const { visible } = this.timestamps;
      return { timestamp: this.first === 0 ? null : this.timestampOf(this.first), visible };
    } finally {
      this.latch.give();
    }
  }

  /** Whether one of a timestamp from `from` on, and below `below`, is open, or can be opened yet. */
  isSeen(from: number, below: number): boolean {
    if (from >= below) return false;
    this.latch.take();
    try {
      // One that is opened from now on is not below V.
      if (this.timestamps.visible < below) return true;
      let member = this.first;
      while (member !== 0 && this.timestampOf(member) < from) member = this.after(member);
      return member !== 0 && this.timestampOf(member) < below;
    } finally {
      this.latch.give();
    }
  }

  /** Timestamps of all that are open, each once; null if there are more than `most` members. */
  timestampsOf(most: number): ReadonlySet<number> | null {
    const found = new Set<number>();
    this.latch.take();
    try {
      if (this.members > most) return null;
      for (let member = this.first; member !== 0; member = this.after(member)) found.add(this.timestampOf(member));
    } finally {
      this.latch.give();
    }
    return found;
  }

  // ── Under the version latch ─────────────────────────────────────────────────────────────────────────────────

  /** The oldest member; 0 if there is none. */
  get first(): number {
    return this.#words[OLDEST]!;
  }

  after(member: number): number {
    return this.#words[at(member) + BEHIND]!;
  }

  timestampOf(member: number): number {
    return this.#numbers[(member << (MEMBER_SHIFT - 1)) + TIMESTAMP_F64]!;
  }

  /** The timestamp of the newest snapshot that is below `timestamp`; -1 if there is none. */
  newestBelow(timestamp: number): number {
    const words = this.#words;
    for (let member = words[NEWEST]!; member !== 0; member = words[at(member) + AHEAD]!) {
      const found = this.timestampOf(member);
      if (found < timestamp) return found;
    }
    return -1;
  }

  /** Takes away the right of the oldest snapshots to be answered: of all that share the oldest timestamp (T4). */
  revokeOldest(): void {
    const timestamp = this.timestampOf(this.first);
    this.#numbers[REVOKED_F64] = timestamp;
    this.#removeUpTo(timestamp);
  }

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Those below the timestamp are not answered any more: what they saw is gone. */
  revokeBelow(timestamp: number): void {
    this.latch.take();
    try {
      this.#numbers[PASSED_F64] = timestamp;
      if (this.first === 0 || this.timestampOf(this.first) >= timestamp) return;
      this.#removeUpTo(timestamp - 1);
    } finally {
      this.latch.give();
    }
    this.gone(true);
  }

  /** Errors: `PW_SNAPSHOT_TOO_OLD`. */
  assertNotRevoked(timestamp: number): void {
    this.latch.take();
    const revoked = this.#numbers[REVOKED_F64]!;
    const passed = this.#numbers[PASSED_F64]!;
    const wasCrowdedOut = this.#numbers[CROWDED_AFTER_F64]! < timestamp && timestamp <= this.#numbers[CROWDED_F64]!;
    this.latch.give();
    if (wasCrowdedOut) {
      throw new PagewrightError(
        'PW_SNAPSHOT_TOO_OLD',
        `The snapshot of commit ${timestamp} was given up, because snapshots of more than ${MOST_MEMBERS} different commits were open. ` +
          'Start again with a new one, and release snapshots and end transactions that are not needed any more.',
        { details: { timestamp, snapshots: MOST_MEMBERS } },
      );
    }
    if (timestamp <= revoked) {
      throw new PagewrightError(
        'PW_SNAPSHOT_TOO_OLD',
        `The snapshot of commit ${timestamp} was given up, because keeping the versions that it needs would have ` +
          'taken more than `versionMemory`. Start again with a new one, keep snapshots open for less time, or raise `versionMemory`.',
        { details: { timestamp } },
      );
    }
    if (timestamp < passed) {
      throw new PagewrightError(
        'PW_SNAPSHOT_TOO_OLD',
        `The snapshot of commit ${timestamp} is gone, because this reader has gone on to a later checkpoint. Start again with ` +
          'a new one; call refresh() only when none is needed any more.',
        { details: { timestamp } },
      );
    }
  }

  /** False if it was gone already, because it was revoked. */
  remove({ timestamp, member }: ActiveSnapshot): boolean {
    const words = this.#words;
    let wasOldest = false;
    try {
      this.latch.take();
    } catch {
      // The store has failed, or is closed: nobody asks any more who has a snapshot.
      return true;
    }
    try {
      if (timestamp <= this.#numbers[REVOKED_F64]! || timestamp < this.#numbers[PASSED_F64]!) return false;
      words[ACTIVE]!--;
      if (--words[at(member) + COUNT]! > 0) return true;
      wasOldest = this.first === member;
      this.#unlink(member);
    } finally {
      this.latch.give();
    }
    this.gone(wasOldest);
    return true;
  }

  /** Removes those of threads that have ended; whether there were any. */
  lapse(): boolean {
    return this.#removeOf((tag) => !this.sharing.threads.isPresent(tag));
  }

  /** Removes all of the calling thread. */
  leave(): void {
    this.#removeOf((tag) => tag === this.#tag);
  }

  /** Whether the oldest snapshot is of another thread. */
  get isForOther(): boolean {
    this.latch.take();
    const { first } = this;
    const isForOther = first !== 0 && this.#words[at(first) + TAG] !== this.#tag;
    this.latch.give();
    return isForOther;
  }

  #removeOf(isTheirs: (tag: number) => boolean): boolean {
    const words = this.#words;
    let wasOldest = false;
    let count = 0;
    this.latch.take();
    try {
      for (let member = this.first, next = 0; member !== 0; member = next) {
        next = this.after(member);
        if (!isTheirs(words[at(member) + TAG]!)) continue;
        words[ACTIVE]! -= words[at(member) + COUNT]!;
        wasOldest ||= this.first === member;
        count++;
        this.#unlink(member);
      }
    } finally {
      this.latch.give();
    }
    if (count > 0) this.gone(wasOldest);
    return count > 0;
  }

  #register(timestamp: number): number {
    const words = this.#words;
    let member = words[NEWEST]!;
    // Timestamps of new snapshots never go down, which keeps the list sorted; of each thread one member has the newest.
    while (member !== 0 && this.timestampOf(member) === timestamp && words[at(member) + TAG] !== this.#tag) {
      member = words[at(member) + AHEAD]!;
    }
    const isThere = member !== 0 && this.timestampOf(member) === timestamp;
    if (!isThere) member = this.#append(timestamp);
    words[at(member) + COUNT]!++;
    words[ACTIVE]!++;
    // Last: who sees that it has changed sees the member as well.
    if (this.sharing.isShared) Atomics.add(words, OPENINGS, 1);
    else words[OPENINGS]!++;
    return member;
  }

  #append(timestamp: number): number {
    const words = this.#words;
    if (words[UNUSED] === 0 && words[TOUCHED]! >= FIRST_MEMBER + MOST_MEMBERS) this.#crowdOut();
    let member = words[UNUSED]!;
    if (member === 0) member = words[TOUCHED]!++;
    else words[UNUSED] = words[at(member) + BEHIND]!;
    const newest = words[NEWEST]!;
    words[at(member) + AHEAD] = newest;
    words[at(member) + BEHIND] = 0;
    words[at(member) + TAG] = this.#tag;
    words[at(member) + COUNT] = 0;
    this.#numbers[(member << (MEMBER_SHIFT - 1)) + TIMESTAMP_F64] = timestamp;
    if (newest === 0) words[OLDEST] = member;
    else words[at(newest) + BEHIND] = member;
    words[NEWEST] = member;
    words[MEMBERS]!++;
    return member;
  }

  /** Revokes the oldest one for want of members. */
  #crowdOut(): void {
    const numbers = this.#numbers;
    // Others may have been revoked for want of memory since the last of these.
    if (numbers[REVOKED_F64] !== numbers[CROWDED_F64]) numbers[CROWDED_AFTER_F64] = numbers[REVOKED_F64]!;
    this.revokeOldest();
    numbers[CROWDED_F64] = numbers[REVOKED_F64]!;
    this.#hasCrowdedOut = true;
  }

  /** With no latch held. */
  #tellCrowdedOut(): void {
    if (!this.#hasCrowdedOut) return;
    this.#hasCrowdedOut = false;
    this.sharing.host.kept();
    schedulePoint(POINT.snapshotRevoked);
    this.gone(true);
  }

  #unlink(member: number): void {
    const words = this.#words;
    const ahead = words[at(member) + AHEAD]!;
    const behind = words[at(member) + BEHIND]!;
    if (ahead === 0) words[OLDEST] = behind;
    else words[at(ahead) + BEHIND] = behind;
    if (behind === 0) words[NEWEST] = ahead;
    else words[at(behind) + AHEAD] = ahead;
    words[at(member) + BEHIND] = words[UNUSED]!;
    words[UNUSED] = member;
    words[MEMBERS]!--;
  }

  #removeUpTo(timestamp: number): void {
    const words = this.#words;
    while (this.first !== 0 && this.timestampOf(this.first) <= timestamp) {
      words[ACTIVE]! -= words[at(this.first) + COUNT]!;
      this.#unlink(this.first);
    }
    // Said before anything that they need goes: who still finds the same number afterwards has read before that (T4).
    if (this.sharing.isShared) Atomics.add(words, REVOCATIONS, 1);
    else words[REVOCATIONS]!++;
  }

  #load(word: number): number {
    return this.sharing.isShared ? Atomics.load(this.#words, word) : this.#words[word]!;
  }
}

/** The first word of a member. */
function at(member: number): number {
  return member << MEMBER_SHIFT;
}
