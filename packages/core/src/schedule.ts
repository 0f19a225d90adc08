/**
 * Schedule points: places in the engine where another thread could step in and make a difference. In production they do
 * nothing. Under test a driver is installed, and what it does at a point is what a thread that was held up there would
 * have let others do; with several threads each installs its own, which waits in `Atomics.wait`.
 *
 * Must hold: a point is one predictable branch while no driver is installed (compiled code knows that there is none, and
 * drops it), and it stands where the state that others can see is one that they may see.
 */

/**
 * Every point, numbered densely from 0. What is said of each is where it stands; `docs/testing/schedules.md` says what may
 * go on there meanwhile.
 */
export const POINT = {
  // ── Latches ─────────────────────────────────────────────────────────────────────────────────────────────────
  /** A latch was taken. */
  latchTaken: 0,
  /** A latch was given back. */
  latchReleased: 1,
  /** A latch was not taken, because the page has changed since its version was read. */
  upgradeFailed: 2,

  // ── Swips and frames ────────────────────────────────────────────────────────────────────────────────────────
  /** A swip that is not hot was read, and its page is about to be latched for it. */
  swipNotHot: 3,
  /** A page was read in place; its swip still names its address. */
  pageRead: 4,
  /** A page has arrived that was read without blocking; nothing is known of its swip any more. */
  loadArrived: 5,
  /** A swip has turned hot. */
  swipHot: 6,
  /** A page is about to cool. */
  pageCooling: 7,
  /** The replacement policy has cooled what it wants to be cool. */
  pageCooled: 8,
  /** Images of pages that will be evicted have addresses, and are about to be written, without the pool latch. */
  evictionStaged: 9,
  /** They are written; the swips name frames still (P2). */
  evictionWritten: 10,
  /** The swip of an evicted page names its address. */
  pageEvicted: 11,
  /** A page has moved to another frame. */
  pageMoved: 12,

  // ── Checkpoints ─────────────────────────────────────────────────────────────────────────────────────────────
  /** The image of a page that is about to change was put aside (C2). */
  imagePutAside: 13,
  /** A checkpoint was asked for, and nothing of it has begun. */
  checkpointAsked: 14,
  /** The epoch has closed (C1), and no image is written. */
  gateClosed: 15,
  /** A batch of images is in the file, and their pages are not known to be clean yet. */
  imagesWritten: 16,
  /** The allocation map is in the file. */
  mapWritten: 17,
  /** Images and map are durable. */
  pagesSynced: 18,
  /** The log is durable up to the mark. */
  logSecured: 19,
  /** The superblock is durable, and nothing was recycled yet (C3). */
  superblockWritten: 20,
  /** What no superblock names any more is free. */
  spaceRecycled: 21,

  // ── B+-tree ─────────────────────────────────────────────────────────────────────────────────────────────────
  /** The frame of a child is known, and its version is not. */
  descentFrame: 22,
  /** The version of a child is known, and its parent was not validated. */
  descentVersion: 23,
  /** It is known by which swip of a page the descent goes on. */
  descentSlot: 24,
  /** A descent has found its page, which nobody holds. */
  descentEnd: 25,
  /** An entry of a leaf was copied, and the leaf was not validated. */
  leafCopied: 26,
  /** The parent is latched, the page is not. */
  pairHalfLatched: 27,
  /** The frame of a value's page is known, and its version is not. */
  valueFrame: 28,
  /** A leaf is too full for an entry. */
  splitDue: 29,
  /** A page must be split, and its parent before it. */
  splitGoesUp: 30,
  /** There may be room for an entry now. */
  splitDone: 31,
  /** A leaf was left underfull. */
  mergeDue: 32,
  /** A merge on one level is over, and the next one is about to begin. */
  mergeStep: 33,
  /** A cursor begins to look for its next leaf. */
  cursorBatch: 34,
  /** A cursor has copied a leaf, and did not validate it. */
  cursorCopied: 35,

  // ── Transactions ────────────────────────────────────────────────────────────────────────────────────────────
  /** A snapshot is registered, and V has reached it. */
  snapshotOpened: 36,
  /** A snapshot is registered no more, and what was kept for it is still there. */
  snapshotGone: 37,
  /** The keys of a transaction are locked, it has no conflicts, and its commit was not begun. */
  transactionChecked: 38,
  /** A commit begins: its keys are locked. */
  commitBegun: 39,
  /** Nothing keeps a commit from being logged. It is not in the gate. */
  commitPrepared: 40,
  /** A commit is logged, and nothing of it is installed. It is in the gate until it is published. */
  commitAppended: 41,
  /** An entry of a commit is installed, perhaps not the last. */
  entryInstalled: 42,
  /** All entries of a commit are installed, and it is not visible. */
  commitPublishing: 43,
  /** A commit is published: visible, if all before it are. */
  commitPublished: 44,
  /** A commit is over, well or not. It holds nothing any more, and may wait for those before it. */
  commitEnded: 45,
  /** A version that no snapshot needs was removed. */
  versionTrimmed: 46,
  /** A snapshot was revoked, because versions take too much memory (T4). */
  snapshotRevoked: 47,
  /** A tombstone that all snapshots have passed was removed. */
  tombstoneCollected: 48,
  /** A tombstone of an earlier process was looked at. */
  tombstoneSwept: 49,

  // ── Log ─────────────────────────────────────────────────────────────────────────────────────────────────────
  /** A record is in the buffer. */
  recordAppended: 50,
  /** The log has gone on to its next segment. */
  segmentBegun: 51,
  /** It is known what a flush will write. */
  flushCollected: 52,
  /** A flush is durable, and nobody knows. */
  flushSynced: 53,
  /** It is known how far the log is durable, and those who wait were not told. */
  flushKnown: 54,
  /** A segment that no replay needs is about to be used again or removed. */
  segmentRetiring: 55,

  // ── Engine ──────────────────────────────────────────────────────────────────────────────────────────────────
  /** A write was asked for, and has its turn. */
  writeAsked: 56,
  /** Its pages were brought into memory. */
  writeTouched: 57,
  /** All writes before it have taken effect. */
  writeInTurn: 58,
  /** There is room for it in the log. */
  writeReserved: 59,
  /** It is visible, and waits for the log. */
  writeVisible: 60,
  /** It is durable, and its caller was not told. */
  writeDurable: 61,
  /** Housekeeping begins a turn. */
  housekeeping: 62,
} as const;

/** The name of each point, by its number. */
export const POINT_NAMES: readonly string[] = Object.freeze(Object.keys(POINT));

/** What a driver does when a point is reached: nothing, or something that others could do meanwhile, or wait. It must not throw. */
export type ScheduleDriver = (point: number) => void;

// A property that was never assigned counts as constant in compiled code, so that there the branch costs nothing.
const schedule: { driver: ScheduleDriver | null } = { driver: null };

/** Says that a point is reached. */
export function schedulePoint(point: number): void {
  if (schedule.driver !== null) schedule.driver(point);
}

/** Installs a driver for this thread, or with null ends its use. Returns the one that was there before. For tests. */
export function driveSchedule(driver: ScheduleDriver | null): ScheduleDriver | null {
  const before = schedule.driver;
  schedule.driver = driver;
  return before;
}
