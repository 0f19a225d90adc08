/**
 * One writer for a file, by a lock file beside it. At any time at most one living holder is named by it.
 *
 * The lock file appears whole and only where there was none, by `link`. A record in it is never changed, only succeeded:
 * whoever wants to follow a dead holder X links its own record to a place named after X, which one taker alone can do,
 * looks whether X is still the one to follow, and moves that record onto the lock file. If it dies half-way, the next
 * taker follows it in the same manner; so the records form a chain, and who is at its end, if alive, is the holder.
 *
 * Threads that work on what another thread of their process has locked join its lock: each opens the lock file for writing, and writes nothing. When the
 * holder ends nobody in that process takes the lock over before the last of them has let go; other processes look at the process alone.
 *
 * Where there are locks of the kernel, all of these descriptors have one on the lock file, and the record says so. Who cannot tell from the record whether
 * the holder lives asks for these, too. A thread that has none and joins takes that back first, the one change that a record ever sees.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { link, readdir, realpath, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type FileLock, PagewrightError } from '@pagewright/core/contracts';
import { errnoOf, faultOf } from './fault.js';
import { isFreeByKernel, type KernelLocks, lockByKernel } from './kernel-locks.js';
import {
  describeSelf,
  type FileIdentity,
  type Holder,
  isDescriptorOpen,
  isOfThisBoot,
  livenessOf,
  NOT_ALL_KERNEL_LOCKED,
  parseHolder,
  showsDescriptors,
  textOf,
} from './process-identity.js';
import type { Target } from './transfer.js';

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const write: (fd: number, text: string, position: number) => Promise<unknown> = promisify(fs.write);
const writeFile = promisify(fs.writeFile);
const read = promisify(fs.read);
const fdatasync = promisify(fs.fdatasync);

/** Times that the lock may change hands while it is asked for. */
const MOST_ROUNDS = 100;

/** A record that stands in a lock file, or in a place beside it. */
interface LockRecord {
  /** Null if the text is not that of a holder. */
  readonly holder: Holder | null;
  readonly file: FileIdentity;
}

/** This taker's own record, in a file of its own until it has won. */
interface Claim {
  readonly token: string;
  readonly path: string;
  /** Open as long as the claim or the lock lasts: it shows that this thread lives. */
  readonly fd: number;
}

/** Files that this thread holds, by device and inode, so that another name of a file does not pass for another file. */
const heldHere = new Set<string>();

/** Takes the file for writing. @throws PW_LOCKED with `pid`, `host`, `path` and `lockFile` in the details; PW_PERMISSION, PW_IO */
export async function acquireLock(target: Target, locks?: KernelLocks): Promise<FileLock> {
  const identity = await fstat(target.fd, { bigint: true });
  const key = `${identity.dev}:${identity.ino}`;
  if (heldHere.has(key)) throw lockedByUs(target.path);
  heldHere.add(key);
  try {
    const place = `${await canonicalPath(target, identity, 'lock')}.lock`;
    const claim = await writeClaim(place, locks);
    try {
      await win(target.path, place, claim, locks);
      await removeLeftovers(place, claim);
    } catch (error) {
      await close(claim.fd);
      throw error;
    } finally {
      await removeIfThere(claim.path);
    }
    return new LockFile(target.path, place, claim, key);
  } catch (error) {
    heldHere.delete(key);
    throw faultOf(error, { operation: 'lock', path: target.path });
  }
}

/**
 * Holds the file as well, on behalf of the lock of that name, which another thread of this process has.
 * @throws PW_CLOSED if that one holds it no more; PW_PERMISSION, PW_IO
 */
export async function joinLock(target: Target, name: string, locks?: KernelLocks): Promise<FileLock> {
  try {
    const identity = await fstat(target.fd, { bigint: true });
    const place = `${await canonicalPath(target, identity, 'lock')}.lock`;
    // Where nobody can see descriptors the lock lasts as long as the process, and is only looked at.
    const fd = await open(place, showsDescriptors() ? 'r+' : 'r');
    let isJoined = false;
    try {
      const isLocked = showsDescriptors() && (await lockByKernel(locks, fd, place));
      const { holder, file } = await recordIn(fd);
      const isNamed = holder?.token === name;
      if (isNamed && holder.isKernelLocked && !isLocked) await relyOnKernelNoMore(fd);
      // In this order: who finds the holder gone later, finds this descriptor, and its lock or that there are others than the kernel's.
      const isHeld = isNamed && holder.fd !== fd && isDescriptorOpen(holder.fd, file);
      isJoined = isHeld && showsDescriptors();
      if (isHeld) return new JoinedLock(name, isJoined ? fd : null);
    } finally {
      if (!isJoined) await close(fd);
    }
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw faultOf(error, { operation: 'lock', path: target.path });
  }
  throw new PagewrightError(
    'PW_CLOSED',
    `The thread that had ${target.path} locked has closed it, or has ended. Open it again, when it was closed in all threads.`,
    { details: { path: target.path } },
  );
}

/** The lock of another thread, as one that works beside it has it. */
class JoinedLock implements FileLock {
  #released: Promise<void> | undefined;

  constructor(
    readonly name: string,
    /** Null where it would be of no use. */
    private readonly fd: number | null,
  ) {}

  release(): Promise<void> {
    this.#released ??= this.fd === null ? Promise.resolve() : close(this.fd);
    return this.#released;
  }
}

class LockFile implements FileLock {
  readonly #path: string;
  readonly #place: string;
  readonly #claim: Claim;
  readonly #key: string;
  #released: Promise<void> | undefined;

  constructor(path: string, place: string, claim: Claim, key: string) {
    this.#path = path;
    this.#place = place;
    this.#claim = claim;
    this.#key = key;
  }

  get name(): string {
    return this.#claim.token;
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #release(): Promise<void> {
    try {
      // Someone may have removed it by hand, and another may hold the file since. No descriptor is opened for it: there may be none left.
      const { file, holder } = await recordIn(this.#claim.fd);
      const { dev, ino } = await stat(this.#place, { bigint: true });
      if (ino === file.ino && dev === file.dev && holder?.token === this.#claim.token) await unlink(this.#place);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw faultOf(error, { operation: 'unlock', path: this.#path });
    } finally {
      heldHere.delete(this.#key);
      await close(this.#claim.fd);
    }
  }
}

/**
 * The name of the file itself, whatever symbolic link led to it: beside it stand the lock file and the pins of readers.
 * @throws PW_IO (`ESTALE`) if the name is another file's by now
 */
export async function canonicalPath(target: Target, identity: fs.BigIntStats, operation: string): Promise<string> {
  const canonical = await realpath(target.path);
  const named = await stat(canonical, { bigint: true });
  if (named.ino === identity.ino && named.dev === identity.dev) return canonical;
  throw new PagewrightError(
    'PW_IO',
    `Cannot ${operation} ${target.path}: another file has taken its name since it was opened. Open it again.`,
    { details: { errno: 'ESTALE', operation, path: target.path } },
  );
}

async function writeClaim(place: string, locks: KernelLocks | undefined): Promise<Claim> {
  const token = randomUUID();
  const claim = { token, path: `${place}.claim-${token}`, fd: await open(`${place}.claim-${token}`, 'wx+') };
  try {
    // Before anybody can find the record.
    const isLocked = await lockByKernel(locks, claim.fd, claim.path);
    await writeFile(claim.fd, textOf(describeSelf(token, claim.fd, isLocked)));
    await fdatasync(claim.fd); // else a lock file may be empty after a power failure
    return claim;
  } catch (error) {
    await close(claim.fd);
    await removeIfThere(claim.path);
    throw error;
  }
}

async function win(path: string, place: string, claim: Claim, locks: KernelLocks | undefined): Promise<void> {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    if (await linkIfFree(claim.path, place)) return;
    const dead = await findDeadHolders(path, place, locks);
    const last = dead.at(-1);
    if (last === undefined) continue; // released meanwhile
    const seat = successorOf(place, last);
    if (!(await linkIfFree(claim.path, seat))) continue; // another taker was faster: see whether it lives
    try {
      if (await stillStands(place, dead)) {
        await rename(seat, place);
        return;
      }
    } catch (error) {
      await removeIfThere(seat);
      throw error;
    }
    await removeIfThere(seat);
  }
  throw new PagewrightError('PW_LOCKED', `${path} changes hands too fast to be locked. Try again.`, {
    details: { path, lockFile: place },
  });
}

/** The chain of holders from the lock file on, all dead; empty if there is no lock file. Throws PW_LOCKED if one may live. */
async function findDeadHolders(path: string, place: string, locks: KernelLocks | undefined): Promise<Holder[]> {
  const dead: Holder[] = [];
  for (let at = place; ; at = successorOf(place, dead.at(-1)!)) {
    const record = await readRecord(at);
    if (record === null) return dead;
    const { holder, file } = record;
    if (holder === null) throw lockedByUnknown(path, at);
    const liveness = livenessOf(holder, file);
    const isGone = liveness === 'unknown' && (await isUnlocked(at, holder, file, locks));
    if (liveness !== 'dead' && !isGone) throw lockedBy(holder, liveness, path, at);
    dead.push(holder);
  }
}

/** Whether a holder into whose container this process cannot see has ended: the kernel, which is the same for both, has given up its lock. */
async function isUnlocked(
  at: string,
  holder: Holder,
  file: FileIdentity,
  locks: KernelLocks | undefined,
): Promise<boolean> {
  if (!holder.isKernelLocked || !isOfThisBoot(holder)) return false;
  const fd = await open(at, 'r').catch(() => null);
  if (fd === null) return false;
  try {
    const { dev, ino } = await fstat(fd, { bigint: true });
    if (dev !== file.dev || ino !== file.ino || !isFreeByKernel(locks, fd)) return false;
    // Once more, and later than that: a thread without such a lock may have joined before the holder ended.
    return (await recordIn(fd)).holder?.isKernelLocked === true;
  } finally {
    await close(fd);
  }
}

/** Whether the chain is still the one that was found. While one's own record stands at its end, nobody else changes it. */
async function stillStands(place: string, dead: readonly Holder[]): Promise<boolean> {
  let at = place;
  for (const holder of dead) {
    const record = await readRecord(at);
    if (record?.holder?.token !== holder.token) return false;
    at = successorOf(place, holder);
  }
  return true;
}

/**
 * Removes what takers that died have left: seats after holders that are history, and claims of the dead. They are in
 * nobody's way, so that failing to remove them is no reason to fail.
 */
async function removeLeftovers(place: string, claim: Claim): Promise<void> {
  const directory = path.dirname(place);
  const prefix = path.basename(place);
  for (const name of await readdir(directory).catch((): string[] => [])) {
    if (name.endsWith(claim.token)) continue;
    const file = path.join(directory, name);
    try {
      if (name.startsWith(`${prefix}.after-`)) await unlink(file);
      else if (name.startsWith(`${prefix}.claim-`)) await removeIfDead(file);
    } catch {
      // Removed by another, or not ours to remove.
    }
  }
}

async function removeIfDead(file: string): Promise<void> {
  const record = await readRecord(file);
  if (record?.holder && livenessOf(record.holder, record.file) === 'dead') await unlink(file);
}

function successorOf(place: string, holder: Holder): string {
  return `${place}.after-${holder.token}`;
}

/** The record in a file, or null if there is no such file. */
async function readRecord(file: string): Promise<LockRecord | null> {
  let fd: number;
  try {
    fd = await open(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    return await recordIn(fd);
  } finally {
    await close(fd);
  }
}

async function recordIn(fd: number): Promise<LockRecord> {
  const { dev, ino, size } = await fstat(fd, { bigint: true });
  const text = Buffer.alloc(Number(size));
  const { bytesRead } = await read(fd, text, 0, text.length, 0);
  return { holder: parseHolder(text.toString('utf8', 0, bytesRead)), file: { dev, ino } };
}

/** Says in a record that not all who hold the file by it have a lock of the kernel. */
async function relyOnKernelNoMore(fd: number): Promise<void> {
  const { size } = await fstat(fd);
  await write(fd, NOT_ALL_KERNEL_LOCKED, size - NOT_ALL_KERNEL_LOCKED.length);
}

async function linkIfFree(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

function lockedByUs(path: string): PagewrightError {
  return new PagewrightError(
    'PW_LOCKED',
    `${path} is open for writing in this process already, under this or another name. Use that one, or close it first.`,
    { details: { pid: process.pid, path } },
  );
}

function lockedBy(holder: Holder, liveness: 'alive' | 'unknown', path: string, lockFile: string): PagewrightError {
  const { pid, host } = holder;
  const where = pid === process.pid ? 'another thread of this process has' : `process ${pid} has`;
  const advice =
    liveness === 'alive'
      ? `${where} it open. Close it there first${pid === process.pid ? ', and in all threads that attached to it' : ''}.`
      : `process ${pid} on host ${host} had it open for writing, and from here it cannot be told whether it still has (another machine or container). Make sure that it has not; then remove ${lockFile}.`;
  return new PagewrightError('PW_LOCKED', `${path} is locked: ${advice}`, { details: { pid, host, path, lockFile } });
}

function lockedByUnknown(path: string, lockFile: string): PagewrightError {
  return new PagewrightError(
    'PW_LOCKED',
    `${path} is locked by ${lockFile}, which is not a lock file that this release can read. Make sure that nobody has the file open for writing; then remove ${lockFile}.`,
    { details: { path, lockFile } },
  );
}
