/**
 * A disk in memory that can lose power. It keeps what the page cache shows and what is durable: a crash keeps or drops
 * every unsynced 512-byte sector, file size and directory entry by a seeded choice. Operations can be counted, failed,
 * held back and cut off.
 */
import { dirname } from 'node:path';
import {
  type FileLock,
  type IoBackend,
  type IoFile,
  type IoOperation,
  type OpenFlags,
  PagewrightError,
} from '@pagewright/core';
import { Random } from '../random.js';

const SECTOR = 512;

export type OperationKind =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'allocate'
  | 'truncate'
  | 'make-directory'
  | 'remove'
  | 'rename'
  | 'sync-directory';

export interface DiskOperation {
  readonly number: number;
  readonly kind: OperationKind;
  readonly path: string;
  readonly inPlace: boolean;
}

/** What becomes of each unsynced thing at a crash: 0 drops it, 1 keeps it. */
export type Survival = () => boolean;
export const dropAll: Survival = () => false;
export const keepAll: Survival = () => true;
export function keepSome(seed: number, share = 0.5): Survival {
  const random = new Random(seed);
  return () => random.chance(share);
}

class Inode {
  live = new Uint8Array(0);
  size = 0;
  durable = new Uint8Array(0);
  durableSize = 0;
  /** What each unsynced sector has been since the last sync, oldest first. */
  readonly pending = new Map<number, Uint8Array[]>();
  pendingSizes: number[] = [];
  /** Write-backs that failed: each open file is told once, and what was to be written counts as clean from then on. */
  failedWriteBacks = 0;

  resize(size: number): void {
    if (size > this.live.length) this.live = grown(this.live, Math.max(size, this.live.length * 2));
    if (size < this.size) this.live.fill(0, size, this.size);
    this.size = size;
    this.pendingSizes.push(size);
  }

  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.size) this.resize(end);
    this.live.set(bytes, offset);
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector++) {
      const versions = this.pending.get(sector) ?? [];
      versions.push(padded(this.live, sector));
      this.pending.set(sector, versions);
    }
  }

  sync(): void {
    for (const [sector, versions] of this.pending) this.#settle(sector, versions[versions.length - 1]!);
    this.durableSize = this.size;
    this.pending.clear();
    this.pendingSizes = [];
  }

  /** What is on the disk after a crash. */
  crashed(survives: Survival): Inode {
    const after = new Inode();
    after.durable = this.durable.slice();
    after.durableSize = this.durableSize;
    for (const size of this.pendingSizes) if (survives()) after.durableSize = size;
    for (const [sector, versions] of this.pending) {
      for (const version of versions) if (survives()) after.#settle(sector, version);
    }
    after.size = after.durableSize;
    after.live = grown(after.durable.subarray(0, after.size), after.size);
    after.durable = after.live.slice();
    return after;
  }

  clone(): Inode {
    const copy = this.crashed(dropAll);
    copy.live = this.live.slice();
    copy.size = this.size;
    copy.pendingSizes = [...this.pendingSizes];
    for (const [sector, versions] of this.pending) copy.pending.set(sector, [...versions]);
    return copy;
  }

  #settle(sector: number, bytes: Uint8Array): void {
    const end = (sector + 1) * SECTOR;
    if (end > this.durable.length) this.durable = grown(this.durable, Math.max(end, this.durable.length * 2));
    this.durable.set(bytes, sector * SECTOR);
  }
}

interface EntryChange {
  readonly directory: string;
  apply(entries: Map<string, Inode>, directories: Set<string>): void;
}

export class SimulatedDevice implements IoBackend {
  readonly name = 'simulated';
  /** Called before each operation: throws to fail it. */
  onOperation: ((operation: DiskOperation) => void) | null = null;
  /** Called when a sync has met a failed write-back, before whoever waits for it is told. */
  onWriteBackError: (() => void) | null = null;
  /** Called before an operation in the background: what it returns is waited for. */
  hold: ((operation: DiskOperation) => Promise<void> | undefined) | null = null;
  /** The operation of this number, and all later ones, find the power gone. */
  crashAt = Number.POSITIVE_INFINITY;
  capacity = Number.POSITIVE_INFINITY;
  operations = 0;
  syncs = 0;
  readonly history: DiskOperation[] = [];
  #dead = false;
  #entries = new Map<string, Inode>();
  #directories = new Set<string>(['/', '/store']);
  #durableEntries = new Map<string, Inode>();
  #durableDirectories = new Set<string>(['/', '/store']);
  #changes: EntryChange[] = [];

  probe(): { supported: boolean } {
    return { supported: true };
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Whoever has this disk open finds it gone from now on. */
  cutPower(): void {
    this.#dead = true;
  }

  /** The disk as it is found when the power is back. */
  afterCrash(survives: Survival): SimulatedDevice {
    this.cutPower();
    const after = new SimulatedDevice();
    const entries = new Map(this.#durableEntries);
    const directories = new Set(this.#durableDirectories);
    for (const change of this.#changes) if (survives()) change.apply(entries, directories);
    for (const [path, inode] of entries) {
      if (directories.has(dirname(path))) after.#entries.set(path, inode.crashed(survives));
    }
    after.#durableEntries = new Map(after.#entries);
    after.#directories = directories;
    after.#durableDirectories = new Set(directories);
    return after;
  }

  /** The disk as the next process finds it when this one was killed: the page cache shows what was never synced. */
  afterKill(): SimulatedDevice {
    this.cutPower();
    return this.copy();
  }

  /** The same disk once more, page cache included; this one works on. */
  copy(): SimulatedDevice {
    const after = new SimulatedDevice();
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const copy = copies.get(inode) ?? inode.clone();
      copies.set(inode, copy);
      return copy;
    };
    for (const [path, inode] of this.#entries) after.#entries.set(path, copyOf(inode));
    for (const [path, inode] of this.#durableEntries) after.#durableEntries.set(path, copyOf(inode));
    after.#directories = new Set(this.#directories);
    after.#durableDirectories = new Set(this.#durableDirectories);
    after.#changes = this.#changes.map(({ directory, apply }) => ({
      directory,
      apply: (entries, directories) => {
        const scratch = new Map(entries);
        apply(scratch, directories);
        entries.clear();
        for (const [path, inode] of scratch) entries.set(path, copies.get(inode) ?? inode);
      },
    }));
    return after;
  }

  // ── What tests do to it ─────────────────────────────────────────────────────────────────────────────────────
  files(): string[] {
    return [...this.#entries.keys()].sort();
  }

  sizeOf(path: string): number {
    return this.#inode(path).size;
  }

  contentOf(path: string): Uint8Array {
    const inode = this.#inode(path);
    return inode.live.slice(0, inode.size);
  }

  /** What was written to the file and not synced is lost, though the page cache goes on showing it. */
  failWriteBack(path: string): void {
    const inode = this.#inode(path);
    inode.failedWriteBacks++;
    inode.pending.clear();
  }

  /** Changes what is on the disk, as decay does. */
  put(path: string, bytes: Uint8Array): void {
    const inode = new Inode();
    inode.write(bytes, 0);
    inode.sync();
    this.#entries.set(path, inode);
    this.#durableEntries.set(path, inode);
  }

  flip(path: string, offset: number, bit: number): void {
    const inode = this.#inode(path);
    inode.live[offset]! ^= 1 << bit;
    inode.durable[offset]! ^= 1 << bit;
  }

  drop(path: string): void {
    this.#entries.delete(path);
    this.#durableEntries.delete(path);
  }

  get used(): number {
    let bytes = 0;
    for (const inode of this.#entries.values()) bytes += inode.size;
    return bytes;
  }

  // ── IoBackend ───────────────────────────────────────────────────────────────────────────────────────────────
  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    await this.begin('open', path);
    let inode = this.#entries.get(path);
    if (inode === undefined) {
      if (flags.create !== true) throw new PagewrightError('PW_NOT_FOUND', `${path} does not exist`);
      if (!this.#directories.has(dirname(path)))
        throw new PagewrightError('PW_NOT_FOUND', `${dirname(path)} does not exist`);
      const made = new Inode();
      inode = made;
      this.#change(path, (entries) => entries.set(path, made));
    }
    return new SimulatedFile(this, path, inode, flags.readOnly === true);
  }

  async exists(path: string): Promise<boolean> {
    return this.#entries.has(path);
  }

  async list(directory: string): Promise<string[]> {
    await null;
    return [...this.#entries.keys()]
      .filter((path) => dirname(path) === directory)
      .map((path) => path.slice(directory.length + 1));
  }

  async makeDirectory(directory: string): Promise<void> {
    await this.begin('make-directory', directory);
    if (!this.#directories.has(directory)) this.#change(directory, (_, directories) => directories.add(directory));
  }

  async remove(path: string): Promise<void> {
    await this.begin('remove', path);
    if (this.#entries.has(path)) this.#change(path, (entries) => entries.delete(path));
  }

  async removeDirectory(directory: string): Promise<void> {
    await this.begin('remove', directory);
    const empty = [...this.#entries.keys()].every((path) => dirname(path) !== directory);
    if (empty) this.#change(directory, (_, directories) => directories.delete(directory));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.begin('rename', from);
    this.#change(from, (entries) => {
      const inode = entries.get(from);
      if (inode === undefined) return;
      entries.delete(from);
      entries.set(to, inode);
    });
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.begin('sync-directory', directory);
    this.assertAlive(directory);
    const settled = this.#changes.filter((change) => change.directory === directory);
    this.#changes = this.#changes.filter((change) => change.directory !== directory);
    for (const change of settled) change.apply(this.#durableEntries, this.#durableDirectories);
  }

  /** Counts an operation in the background; throws if it is to fail. A cut-off write may still have been on its way. */
  async begin(kind: OperationKind, path: string, onItsWay?: () => void): Promise<void> {
    const operation = this.#count(kind, path, false);
    await this.hold?.(operation);
    this.#check(operation, onItsWay);
  }

  /** The power may have gone between the check and the effect. */
  assertAlive(path: string): void {
    if (this.#dead) throw ioError('EIO', path, 'the power is gone');
  }

  beginInPlace(kind: OperationKind, path: string, onItsWay?: () => void): void {
    this.#check(this.#count(kind, path, true), onItsWay);
  }

  #count(kind: OperationKind, path: string, inPlace: boolean): DiskOperation {
    const operation = { number: ++this.operations, kind, path, inPlace };
    this.history.push(operation);
    return operation;
  }

  #check(operation: DiskOperation, onItsWay?: () => void): void {
    if (!this.#dead && operation.number >= this.crashAt) {
      this.#dead = true;
      onItsWay?.();
    } else if (this.#dead && operation.number < this.crashAt) {
      onItsWay?.();
    }
    this.assertAlive(operation.path);
    this.onOperation?.(operation);
  }

  #change(path: string, apply: EntryChange['apply']): void {
    this.assertAlive(path);
    apply(this.#entries, this.#directories);
    this.#changes.push({ directory: dirname(path), apply });
  }

  #inode(path: string): Inode {
    const inode = this.#entries.get(path);
    if (inode === undefined) throw new Error(`no file ${path}`);
    return inode;
  }
}

export function ioError(errno: string, path: string, message = errno): PagewrightError {
  const code = errno === 'ENOSPC' ? 'PW_FULL' : 'PW_IO';
  return new PagewrightError(code, `${path}: ${message}`, { details: { errno, path, offset: 0 } });
}

class SimulatedFile implements IoFile {
  readonly #disk: SimulatedDevice;
  readonly #inode: Inode;
  readonly #readOnly: boolean;
  #closed = false;
  #toldWriteBacks: number;
  readonly #inFlight = new Set<Promise<unknown>>();

  constructor(
    disk: SimulatedDevice,
    readonly path: string,
    inode: Inode,
    readOnly: boolean,
  ) {
    this.#disk = disk;
    this.#inode = inode;
    this.#readOnly = readOnly;
    this.#toldWriteBacks = inode.failedWriteBacks;
  }

  size(): number {
    return this.#inode.size;
  }

  read(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#run(async () => {
      await this.#disk.begin('read', this.path);
      this.#copyOut(buffer, offset);
    });
  }

  readSync(buffer: Uint8Array, offset: number): void {
    this.#disk.beginInPlace('read', this.path);
    this.#copyOut(buffer, offset);
  }

  write(buffer: Uint8Array, offset: number): Promise<void> {
    return this.#run(async () => {
      const land = () => this.#land(buffer, offset);
      await this.#disk.begin('write', this.path, land);
      land();
    });
  }

  writeSync(buffer: Uint8Array, offset: number): void {
    const land = () => this.#land(buffer, offset);
    this.#disk.beginInPlace('write', this.path, land);
    land();
  }

  sync(): Promise<void> {
    return this.#run(async () => {
      await this.#disk.begin('sync', this.path);
      this.#settle();
    });
  }

  syncSync(): void {
    this.#disk.beginInPlace('sync', this.path);
    this.#settle();
  }

  truncate(size: number): Promise<void> {
    return this.#run(async () => {
      await this.#disk.begin('truncate', this.path);
      this.#inode.resize(size);
    });
  }

  truncateSync(size: number): void {
    this.#disk.beginInPlace('truncate', this.path);
    this.#inode.resize(size);
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#run(async () => {
      await this.#disk.begin('allocate', this.path);
      this.#extend(offset + length);
    });
  }

  allocateSync(offset: number, length: number): void {
    this.#disk.beginInPlace('allocate', this.path);
    this.#extend(offset + length);
  }

  async submit(operations: readonly IoOperation[], options: { sync?: boolean } = {}): Promise<void> {
    await this.#run(async () => {
      for (const { kind, buffer, offset } of operations) {
        if (kind === 'write') await this.write(buffer, offset);
        else await this.read(buffer, offset);
      }
      if (options.sync === true) await this.sync();
    });
  }

  submitSync(operations: readonly IoOperation[], options: { sync?: boolean } = {}): void {
    for (const { kind, buffer, offset } of operations) {
      if (kind === 'write') this.writeSync(buffer, offset);
      else this.readSync(buffer, offset);
    }
    if (options.sync === true) this.syncSync();
  }

  async lock(): Promise<FileLock> {
    return { release: async () => undefined };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
    this.#closed = true;
  }

  #run(operation: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new Error(`${this.path} is used after it was closed`);
    const running = operation();
    this.#inFlight.add(running);
    const over = () => this.#inFlight.delete(running);
    running.then(over, over);
    return running;
  }

  #copyOut(buffer: Uint8Array, offset: number): void {
    if (offset + buffer.length > this.#inode.size) throw ioError('EOF', this.path);
    buffer.set(this.#inode.live.subarray(offset, offset + buffer.length));
  }

  #land(buffer: Uint8Array, offset: number): void {
    this.#assertWritable();
    if (offset + buffer.length > this.#inode.size) throw new Error(`a write extends ${this.path}`);
    this.#inode.write(buffer, offset);
  }

  #settle(): void {
    this.#assertWritable();
    this.#disk.assertAlive(this.path);
    if (this.#toldWriteBacks < this.#inode.failedWriteBacks) {
      this.#toldWriteBacks = this.#inode.failedWriteBacks;
      this.#disk.onWriteBackError?.();
      throw ioError('EIO', this.path, 'a write-back has failed');
    }
    this.#disk.syncs++;
    this.#inode.sync();
  }

  #extend(end: number): void {
    this.#assertWritable();
    const more = end - this.#inode.size;
    if (more <= 0) return;
    if (this.#disk.used + more > this.#disk.capacity) throw ioError('ENOSPC', this.path);
    this.#inode.resize(end);
  }

  #assertWritable(): void {
    if (this.#readOnly) throw new PagewrightError('PW_READ_ONLY', `${this.path} is open for reading`);
    if (this.#closed) throw new Error(`${this.path} is used after it was closed`);
  }
}

function grown(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes.subarray(0, length));
  return larger;
}

function padded(bytes: Uint8Array, sector: number): Uint8Array {
  return grown(bytes.subarray(sector * SECTOR, (sector + 1) * SECTOR), SECTOR);
}
