/**
 * A page store as one thread sees it: attached to the pages of all, as in a thread of its own. Operations of several "threads" run
 * on one, nested in each other, so it is kept here which latches each holds, and whether it is inside the store.
 *
 * Must hold: an operation never waits for a latch that an operation below it on the stack holds. It cannot: that one goes
 * on when this one is over. It gives up by `WouldWait` instead.
 */
import {
  type BackupRequest,
  type BackupResult,
  type CheckpointResult,
  type CheckpointSteps,
  type CompactRequest,
  type CompactResult,
  type PageExpectation,
  type PageStore,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  type PageStoreStats,
  POINT,
  type Segment,
  type StoreState,
  type SwipList,
  type SwipLocation,
  type Threads,
  type VerifyProgress,
  type VerifyRequest,
} from '@pagewright/core';
import { WouldWait } from './nested-waits.js';

/** The threads of a round: which one runs, and which latches are held. */
export class ThreadStack {
  /** Those of views: from before they are taken until they are given back. */
  readonly held = new Map<number, ThreadView>();
  /** How many latches are held now, those that the store takes for itself included. */
  latches = 0;
  readonly #running: ThreadView[] = [];

  /** The thread whose operation runs now; null between operations, as in what an I/O completion sets off. */
  get current(): ThreadView | null {
    return this.#running[this.#running.length - 1] ?? null;
  }

  /** To be told of every point. */
  reached(point: number): void {
    if (point === POINT.latchTaken) this.latches++;
    else if (point === POINT.latchReleased) this.latches--;
  }

  isRunning(view: ThreadView): boolean {
    return this.#running.includes(view);
  }

  /** Runs an operation as one of this thread. With `peeks` it reads what is in memory, and gives up where it would wait. */
  run<Result>(view: ThreadView, peeks: boolean, operation: () => Result): Result {
    this.#running.push(view);
    const { faulting } = view;
    view.peeks = peeks;
    if (peeks) view.faulting = true;
    try {
      const result = operation();
      if (view.holds > 0) throw new Error(`An operation is over and holds ${view.holds} latches`);
      return result;
    } finally {
      view.faulting = faulting;
      view.peeks = false;
      this.#running.pop();
    }
  }
}

export class ThreadView implements PageStore {
  faulting = false;
  scanned = 0;
  peeks = false;
  /** Latches that this thread holds. */
  holds = 0;
  /** Above 0 while the store does something for it that is more than an access to a latch. */
  inStore = 0;

  constructor(
    readonly store: PageStore,
    private readonly stack: ThreadStack,
  ) {}

  get pageSize(): number {
    return this.store.pageSize;
  }
  get maxSizeClass(): number {
    return this.store.maxSizeClass;
  }
  get root(): SwipLocation {
    return this.store.root;
  }
  get threads(): Threads {
    return this.store.threads;
  }
  open(request: PageStoreOpenRequest): Promise<StoreState> {
    return this.store.open(request);
  }

  follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
    return this.store.follow(moved);
  }
  checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    return this.store.checkpoint(steps);
  }
  verify<Expectation extends PageExpectation>(request: VerifyRequest<Expectation>): Promise<VerifyProgress> {
    return this.store.verify(request);
  }
  share(): unknown {
    return this.store.share();
  }
  attach(request: PageStoreAttachRequest): Promise<void> {
    return this.store.attach(request);
  }
  backup(request: BackupRequest): Promise<BackupResult> {
    return this.store.backup(request);
  }
  compact(request: CompactRequest): Promise<CompactResult> {
    return this.store.compact(request);
  }
  close(): Promise<void> {
    return this.store.close();
  }
  stats(): PageStoreStats {
    return this.store.stats();
  }
  segmentOf(frame: number): Segment {
    return this.store.segmentOf(frame);
  }
  baseOf(frame: number): number {
    return this.store.baseOf(frame);
  }
  sizeOf(frame: number): number {
    return this.store.sizeOf(frame);
  }
  validate(frame: number, version: number): boolean {
    return this.store.validate(frame, version);
  }
  pin(frame: number): void {
    this.store.pin(frame);
  }
  unpin(frame: number): void {
    this.store.unpin(frame);
  }
  secureSpace(pages: number): void {
    this.store.secureSpace(pages);
  }
  giveSpace(pages: number): void {
    this.store.giveSpace(pages);
  }
  loadFault(): Promise<void> {
    return this.store.loadFault();
  }
  /** All threads of a round are one: an operation is over before another begins, or stands where no checkpoint may begin. */
  enterGate(): void {}
  leaveGate(): void {}

  /** What is read in the midst of another operation is in memory: it asks for nothing ahead. */
  prefetch(swips: SwipList): number {
    if (this.peeks) return 0;
    this.store.faulting = this.faulting;
    this.store.scanned = this.scanned;
    try {
      return this.#inside(() => this.store.prefetch(swips));
    } finally {
      this.store.faulting = false;
      this.store.scanned = 0;
    }
  }

  // ── Latches ─────────────────────────────────────────────────────────────────────────────────────────────────

  readVersion(frame: number): number {
    this.#assertFree(frame);
    return this.store.readVersion(frame);
  }

  upgrade(frame: number, version: number): boolean {
    // What may be done at the point where a latch was just taken depends on its being known to be held.
    this.#take(frame);
    const taken = this.store.upgrade(frame, version);
    if (!taken) this.#give(frame);
    return taken;
  }

  latch(frame: number): void {
    if (this.peeks) throw new WouldWait();
    this.#assertFree(frame);
    this.#take(frame);
    this.store.latch(frame);
  }

  unlatch(frame: number): number {
    this.#give(frame);
    return this.store.unlatch(frame);
  }

  // ── What the store does ─────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number, parentVersion: number): number {
    this.store.faulting = this.faulting;
    this.store.scanned = this.scanned;
    this.inStore++;
    try {
      return this.store.child(parent, offset, parentVersion);
    } finally {
      this.inStore--;
      this.store.faulting = false;
      this.store.scanned = 0;
    }
  }

  childOfLatched(parent: number, offset: number): number {
    return this.#inside(() => this.store.childOfLatched(parent, offset));
  }

  modify(frame: number, timestamp: number): void {
    this.#inside(() => this.store.modify(frame, timestamp));
  }

  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    const frame = this.#inside(() => this.store.allocate(index, kind, sizeClass, timestamp));
    this.#take(frame);
    return frame;
  }

  link(parent: number, offset: number, child: number): void {
    this.#inside(() => this.store.link(parent, offset, child));
  }

  unlink(parent: number, offset: number): number {
    return this.#inside(() => this.store.unlink(parent, offset));
  }

  free(frame: number): void {
    this.#inside(() => this.store.free(frame));
    this.#give(frame);
  }

  discard(parent: number, offset: number): void {
    this.#inside(() => this.store.discard(parent, offset));
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.#inside(() => this.store.moveSwips(from, fromOffset, to, toOffset, count, stride));
  }

  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean {
    return this.#inside(() => this.store.releaseTree(location, timestamp, budget));
  }

  #inside<Result>(operation: () => Result): Result {
    this.inStore++;
    try {
      return operation();
    } finally {
      this.inStore--;
    }
  }

  #assertFree(frame: number): void {
    const holder = this.stack.held.get(frame);
    if (holder !== undefined && holder !== this) throw new WouldWait();
  }

  #take(frame: number): void {
    if (this.stack.held.has(frame)) return;
    this.stack.held.set(frame, this);
    this.holds++;
  }

  #give(frame: number): void {
    if (this.stack.held.get(frame) !== this) return;
    this.stack.held.delete(frame);
    this.holds--;
  }
}
