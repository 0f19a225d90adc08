/**
 * A disk in memory that can lose power. It keeps what the page cache shows and what is durable: a crash keeps or drops
 * every unsynced 512-byte sector, file size and directory entry, and every part of an operation that is in flight.
 * Operations can be counted, failed, held back, cut off, spread over time and spoiled; the same seed gives the same run.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileLock, type IoBackend, type IoFile, type OpenFlags, PagewrightError } from '@pagewright/core';
import { checkNames, checkOneOf } from '../option-check.js';
import { Random } from '../random.js';
import { DirectoryTree } from './directory-tree.js';
import { FaultPlan, type FaultRule, type InjectedFault } from './fault-plan.js';
import { type Deed, type DiskOperation, ioError, type Part, sectorsOf, wholeOf } from './operation.js';
import { PinBoard } from './pin-board.js';
import { type Disk, SimulatedFile } from './simulated-file.js';
import { SETTLED, StoredFile } from './stored-file.js';
import { dropAll, type Survival } from './survival.js';
import { Transfer } from './transfer.js';
import { type Schedule, Turns } from './turns.js';

/** How a {@link SimulatedDevice} behaves. */
export interface DeviceOptions {
  /** All that the device chooses follows from it. Default: 0. */
  readonly seed?: number;
  /** Lets operations that do not wait in place overtake each other. Default: each happens at once, in order of issue. */
  readonly schedule?: Schedule;
  /** Faults from the beginning; {@link SimulatedDevice.inject} adds others. */
  readonly faults?: readonly FaultRule[];
  /** Keeps a {@link SimulatedDevice.trace}: of `operations`, or of their `content` too. Default: none. */
  readonly trace?: 'operations' | 'content';
}

export class SimulatedDevice implements IoBackend {
  readonly name = 'simulated';
  /** Called before each operation: throws to fail it. */
  onOperation: ((operation: DiskOperation) => void) | null = null;
  /** Called when a sync has met a failed write-back, before whoever waits for it is told. */
  onWriteBackError: (() => void) | null = null;
  /** Called before an operation in the background: what it returns is waited for. */
  hold: ((operation: DiskOperation) => Promise<void> | undefined) | null = null;
  /** The operation of this number, and all later ones, find the power gone. It may still have been on its way. */
  crashAt = Number.POSITIVE_INFINITY;
  /** Bytes that all files together may have. */
  capacity = Number.POSITIVE_INFINITY;
  /** Readers may write nothing beside a file: publishing a pin is `PW_PERMISSION`. */
  pinsRefused = false;
  /** Operations that were issued. */
  operations = 0;
  /** Syncs that succeeded. */
  syncs = 0;
  /** All operations, in the order in which they were issued. */
  readonly history: DiskOperation[] = [];
  /** A line for each operation, in the order in which they ended: number, kind (`!` in place), place, CRC-32, error. */
  readonly trace: string[] = [];
  readonly #options: DeviceOptions;
  readonly #turns: Turns | null;
  readonly #faults: FaultPlan;
  readonly #coverage: Random;
  readonly #disk: Disk;
  /** Operations that were issued and have not ended, with the parts of each that have not happened. */
  readonly #inFlight = new Map<Deed, Part[]>();
  readonly #locked = new Set<StoredFile>();
  /** What readers show of files. Those after a crash find none: who had published is dead. */
  readonly #pins = new PinBoard();
  #tree = new DirectoryTree();
  #dead = false;
  #clock = 0;

  /** Errors: `RangeError` and `TypeError` for options that there are not. */
  constructor(options: DeviceOptions = {}) {
    checkNames('SimulatedDevice', options, ['seed', 'schedule', 'faults', 'trace']);
    if (options.trace !== undefined) checkOneOf('trace', options.trace, ['operations', 'content']);
    const random = new Random(options.seed ?? 0);
    this.#options = options;
    this.#turns = options.schedule === undefined ? null : new Turns(random.fork('schedule'), options.schedule);
    this.#coverage = random.fork('coverage');
    this.#faults = new FaultPlan(random.fork('faults'), {
      paths: () => this.#tree.paths(),
      file: (path) => this.#tree.file(path),
    });
    for (const rule of options.faults ?? []) this.inject(rule);
    this.#disk = {
      scheduled: this.#turns !== null,
      perform: (deed) => this.#perform(deed),
      performInPlace: (deed) => this.#performInPlace(deed),
      tick: () => ++this.#clock,
      assertRoom: (path, offset, more) => this.#assertRoom(path, offset, more),
      alsoCovers: () => this.#coverage.chance(0.5),
      syncEnded: (covered) => {
        if (covered) this.syncs++;
        else this.onWriteBackError?.();
      },
      lock: (path, file) => this.#lock(path, file),
      publishPin: (path, file, text) => {
        this.#assertAlive(path);
        if (this.pinsRefused) throw notPermitted(path);
        return this.#pins.publish(file, text);
      },
      pins: (path, file) => {
        this.#assertAlive(path);
        return this.#pins.shownOf(file);
      },
    };
  }

  // ── Power ───────────────────────────────────────────────────────────────────────────────────────────────────
  get isDead(): boolean {
    return this.#dead;
  }

  /** Whoever has this disk open finds it gone from now on. What was in flight is as unsynced as what was not synced. */
  cutPower(): void {
    if (this.#dead) return;
    this.#dead = true;
    for (const [deed, parts] of this.#inFlight) {
      if (deed.changes) for (const part of parts) happenIfItCan(deed, part);
    }
    this.#inFlight.clear();
  }

  /** The disk as it is found when the power is back. Can be asked again, with another survival. */
  afterCrash(survives: Survival): SimulatedDevice {
    this.cutPower();
    return this.#successor(this.#tree.crashed(survives));
  }

  /**
   * The disk as the next process finds it when this one was killed: the page cache shows what was never synced. Of what
   * was in flight there is what `landed` says, sector by sector.
   */
  afterKill(landed: Survival = dropAll): SimulatedDevice {
    if (!this.#dead) {
      for (const [deed, parts] of this.#inFlight) {
        for (const part of parts.flatMap((whole) => [...sectorsOf(deed, whole)])) {
          if (deed.changes && landed()) happenIfItCan(deed, part);
        }
      }
      this.#inFlight.clear();
      this.#dead = true;
    }
    return this.copy();
  }

  /** The same disk once more, page cache included, without what is in flight; this one works on. */
  copy(): SimulatedDevice {
    return this.#successor(this.#tree.clone());
  }

  /** How many unsynced versions each thing has that a crash decides about. The power goes. */
  unsynced(): readonly number[] {
    this.cutPower();
    return this.#tree.unsynced();
  }

  /** SHA-256 of all that is stored: what reads see, what is durable, what is in between. */
  digest(): string {
    const hash = createHash('sha256');
    for (const bytes of this.#tree.state()) hash.update(bytes).update(`\n${bytes.length}\n`);
    return hash.digest('hex');
  }

  // ── What tests do to it ─────────────────────────────────────────────────────────────────────────────────────
  /** Plans a fault; returns how to take it back. */
  inject(rule: FaultRule): () => void {
    return this.#faults.add(rule);
  }

  /** The faults that have happened, in order. */
  get faults(): readonly InjectedFault[] {
    return this.#faults.injected;
  }

  files(): string[] {
    return this.#tree.paths();
  }

  sizeOf(path: string): number {
    return this.#fileAt(path).size;
  }

  contentOf(path: string): Uint8Array {
    const { live, size } = this.#fileAt(path);
    return live.slice(0, size);
  }

  /** Writing back what is unsynced of a file fails: see the fault `failed-sync`. */
  failWriteBack(path: string, dirty: 'dropped' | 'kept' = 'dropped'): void {
    this.#fileAt(path).failWriteBack(dirty);
  }

  /** Everyone who has published a pin dies with it. */
  loseReaders(): void {
    this.#pins.clear();
  }

  /** Puts a file there, durable, in the place of what has the name. */
  put(path: string, bytes: Uint8Array): void {
    const file = new StoredFile();
    file.write(bytes, 0, SETTLED);
    file.sync(Number.POSITIVE_INFINITY, () => true);
    this.#tree.put(path, file);
  }

  /** Turns one bit of what is stored, as decay does. */
  flip(path: string, offset: number, bit: number): void {
    this.#fileAt(path).flip(offset, bit);
  }

  /** Takes a file away, durably. */
  drop(path: string): void {
    this.#tree.drop(path);
  }

  /** Bytes of all files together. */
  get used(): number {
    let bytes = 0;
    for (const { size } of this.#tree.files()) bytes += size;
    return bytes;
  }

  // ── IoBackend ───────────────────────────────────────────────────────────────────────────────────────────────
  probe(): { supported: boolean } {
    return { supported: true };
  }

  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    const opening = this.#opening(path, flags);
    await this.#perform(opening.deed);
    return opening.file();
  }

  openSync(path: string, flags: OpenFlags): IoFile {
    const opening = this.#opening(path, flags);
    this.#performInPlace(opening.deed);
    return opening.file();
  }

  async exists(path: string): Promise<boolean> {
    return this.#tree.file(path) !== undefined || this.#tree.isDirectory(path);
  }

  async list(directory: string): Promise<string[]> {
    await null;
    const prefix = directory.endsWith('/') ? directory : `${directory}/`;
    const paths = this.#tree.paths().filter((path) => path.startsWith(prefix));
    return paths.map((path) => path.slice(prefix.length)).filter((name) => !name.includes('/'));
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#changeNames('make-directory', path, () => {
      if (this.#tree.isDirectory(path)) return;
      if (this.#tree.file(path) !== undefined) throw ioError('EEXIST', path, 'a file has that name');
      this.#assertDirectory(dirname(path));
      this.#tree.change({ kind: 'make', path });
    });
  }

  async remove(path: string): Promise<void> {
    await this.#changeNames('remove', path, () => {
      if (this.#tree.isDirectory(path)) throw ioError('EISDIR', path, 'it is a directory');
      const file = this.#tree.file(path);
      if (file !== undefined) this.#tree.change({ kind: 'leave', path, file });
    });
  }

  async removeDirectory(path: string): Promise<void> {
    await this.#changeNames('remove', path, () => {
      if (this.#tree.file(path) !== undefined) throw ioError('ENOTDIR', path, 'it is a file');
      if (this.#tree.isDirectory(path) && this.#tree.isEmpty(path)) this.#tree.change({ kind: 'unmake', path });
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#changeNames('rename', from, () => {
      const file = this.#tree.file(from);
      if (file === undefined) throw ioError('ENOENT', from, 'it does not exist, or is a directory');
      if (this.#tree.isDirectory(to)) throw ioError('EISDIR', to, 'it is a directory');
      this.#assertDirectory(dirname(to));
      if (this.#tree.file(to) !== file) this.#tree.change({ kind: 'move', path: from, to, file });
    });
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#perform({
      kind: 'sync-directory',
      path,
      changes: false,
      happen: () => {
        this.#assertDirectory(path);
        this.#tree.syncDirectory(path);
      },
    });
  }

  #opening(path: string, flags: OpenFlags): { readonly deed: Deed; file(): IoFile } {
    let file: StoredFile | undefined;
    const deed: Deed = {
      kind: 'open',
      path,
      changes: flags.create === true,
      happen: () => {
        if (this.#tree.isDirectory(path)) throw ioError('EISDIR', path, 'it is a directory');
        file = this.#tree.file(path);
        if (file !== undefined) return;
        if (flags.create !== true) throw notFound(path);
        if (!this.#tree.isDirectory(dirname(path))) throw notFound(dirname(path));
        file = new StoredFile();
        this.#tree.change({ kind: 'enter', path, file });
      },
    };
    return {
      deed,
      file: () => new SimulatedFile(this.#disk, path, file as StoredFile, flags.readOnly === true),
    };
  }

  // ── Operations ──────────────────────────────────────────────────────────────────────────────────────────────
  async #changeNames(kind: 'make-directory' | 'remove' | 'rename', path: string, happen: () => void): Promise<void> {
    await this.#perform({ kind, path, changes: true, happen });
  }

  async #perform(deed: Deed): Promise<void> {
    const operation = this.#issue(deed, false);
    try {
      await this.hold?.(operation);
      this.#check(operation, deed);
      deed.begin?.();
      if (this.#turns === null) this.#happen(operation, deed, wholeOf(deed));
      else await this.#spread(this.#turns, operation, deed);
    } catch (error) {
      this.#failed(operation, deed, error);
    }
  }

  #performInPlace(deed: Deed): void {
    const operation = this.#issue(deed, true);
    try {
      this.#check(operation, deed);
      deed.begin?.();
      this.#happen(operation, deed, wholeOf(deed));
    } catch (error) {
      this.#failed(operation, deed, error);
    }
  }

  #spread(turns: Turns, operation: DiskOperation, deed: Deed): Promise<void> {
    const parts = deed instanceof Transfer ? turns.partsOf(deed.offset, deed.length) : [wholeOf(deed)];
    this.#inFlight.set(deed, parts);
    return turns.spread(parts, (part) => this.#happen(operation, deed, part));
  }

  /** Counts the operation, which is in flight from now on. */
  #issue(deed: Deed, inPlace: boolean): DiskOperation {
    const { kind, path, offset, length } = deed;
    const place = { ...(offset === undefined ? {} : { offset }), ...(length === undefined ? {} : { length }) };
    const operation = { number: ++this.operations, kind, path, inPlace, ...place };
    this.history.push(operation);
    if (!this.#dead) this.#inFlight.set(deed, [wholeOf(deed)]);
    return operation;
  }

  #check(operation: DiskOperation, deed: Deed): void {
    if (operation.number >= this.crashAt) this.cutPower();
    this.#assertAlive(operation.path);
    this.onOperation?.(operation);
    this.#faults.apply(operation, deed);
  }

  #happen(operation: DiskOperation, deed: Deed, part: Part): void {
    this.#assertAlive(operation.path);
    deed.happen(part);
    const left = this.#inFlight.get(deed)?.filter(({ from }) => from !== part.from) ?? [];
    this.#inFlight.set(deed, left);
    if (left.length > 0) return;
    deed.end?.();
    this.#inFlight.delete(deed);
    this.#note(operation, deed);
  }

  #failed(operation: DiskOperation, deed: Deed, error: unknown): never {
    this.#inFlight.delete(deed);
    this.#note(operation, deed, error);
    throw error;
  }

  #note({ number, kind, path, inPlace, offset, length }: DiskOperation, deed: Deed, error?: unknown): void {
    if (this.#options.trace === undefined) return;
    const words = [number, `${kind}${inPlace ? '!' : ''}`, path];
    if (offset !== undefined) words.push(length === undefined ? offset : `${offset}+${length}`);
    if (error instanceof Error) words.push(error instanceof PagewrightError ? error.code : error.message);
    else if (deed instanceof Transfer && this.#options.trace === 'content') words.push(crc32(deed.buffer).toString(16));
    this.trace.push(words.join(' '));
  }

  #lock(path: string, file: StoredFile): FileLock {
    this.#assertAlive(path);
    if (this.#locked.has(file)) {
      throw new PagewrightError('PW_LOCKED', `${path} is locked by process ${process.pid}.`, {
        details: { path, pid: process.pid },
      });
    }
    this.#locked.add(file);
    let held = true;
    const release = async (): Promise<void> => {
      if (held) this.#locked.delete(file);
      held = false;
    };
    return { release };
  }

  #successor(tree: DirectoryTree): SimulatedDevice {
    const { schedule, trace, seed = 0 } = this.#options;
    const next = {
      seed: new Random(seed).fork('successor').seed,
      ...(schedule && { schedule }),
      ...(trace && { trace }),
    };
    const after = new SimulatedDevice(next);
    after.#tree = tree;
    return after;
  }

  #assertAlive(path: string): void {
    if (this.#dead) throw ioError('EIO', path, 'the power is gone');
  }

  #assertRoom(path: string, offset: number, more: number): void {
    if (this.used + more > this.capacity) throw ioError('ENOSPC', path, 'the disk is full', offset);
  }

  #assertDirectory(path: string): void {
    if (!this.#tree.isDirectory(path)) throw ioError('ENOENT', path, 'there is no such directory');
  }

  #fileAt(path: string): StoredFile {
    const file = this.#tree.file(path);
    if (file === undefined) throw new Error(`no file ${path}`);
    return file;
  }
}

/** For what is cut off: whatever stands in its way, nobody is told. */
function happenIfItCan(deed: Deed, part: Part): void {
  try {
    deed.happen(part);
  } catch {
    // It would have failed.
  }
}

function notPermitted(path: string): PagewrightError {
  return new PagewrightError('PW_PERMISSION', `Nothing may be written beside ${path}.`, {
    details: { errno: 'EACCES', path },
  });
}

function notFound(path: string): PagewrightError {
  return new PagewrightError('PW_NOT_FOUND', `${path} does not exist`, { details: { errno: 'ENOENT', path } });
}
