/**
 * Who holds a lock, written so that another process can tell whether the holder still lives. A process number alone does
 * not say it: numbers are used again, and mean nothing on another machine or in another container.
 */
import fs from 'node:fs';
import os from 'node:os';
import { crc32 } from 'node:zlib';

/** A holder, as a lock file names it. What a system cannot tell is null. */
export interface Holder {
  readonly token: string;
  readonly pid: number;
  /** When the process started, in clock ticks since the machine did. */
  readonly processStart: string | null;
  /** Changes with every start of the machine. */
  readonly bootId: string | null;
  /** The space in which `pid` means anything: a container has one of its own. */
  readonly pidNamespace: string | null;
  readonly host: string;
  /** A descriptor that the holding thread keeps open on its lock file. The system closes it when the thread ends. */
  readonly fd: number;
  /** Whether that descriptor has the lock file locked in the kernel as well, and so has every thread that has joined. */
  readonly isKernelLocked: boolean;
}

/** Alive, dead, or on a machine or in a container into which this process cannot see. */
export type Liveness = 'alive' | 'dead' | 'unknown';

/** This process as a holder. */
export function describeSelf(token: string, fd: number, isKernelLocked = false): Holder {
  return {
    token,
    fd,
    isKernelLocked,
    pid: process.pid,
    processStart: processOf(process.pid)?.start ?? null,
    ...here(),
  };
}

/** A file, whatever its name. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** Whether a holder lives. `file` is the lock file which names it. */
export function livenessOf(holder: Holder, file: FileIdentity): Liveness {
  const self = here();
  if (holder.bootId !== null && self.bootId !== null && holder.bootId !== self.bootId) {
    return holder.host === self.host ? 'dead' : 'unknown'; // this machine started again since; or it is another one
  }
  const comparable = holder.bootId !== null && holder.pidNamespace !== null && self.pidNamespace !== null;
  const visible = comparable ? holder.pidNamespace === self.pidNamespace : holder.host === self.host;
  if (!visible) return 'unknown';
  if (!isRunning(holder)) return 'dead';
  return holder.pid === process.pid && !isHeldHere(holder, file) ? 'dead' : 'alive';
}

/** Whether a holder runs, or ran, on this machine, and since it was started last. */
export function isOfThisBoot(holder: Holder): boolean {
  return holder.bootId !== null && holder.bootId === here().bootId;
}

/** The text of a lock file. It carries a checksum: a living holder must not pass for a dead one because a bit is wrong. */
export function textOf(holder: Holder): string {
  return `${JSON.stringify({ ...holder, check: checksumOf(holder) })}\n`;
}

/**
 * What stands in place of the last character of a record, the end of its line, once a thread without a lock of the kernel has joined: that the kernel's lock is free says nothing
 * from then on. One byte, so that whoever reads meanwhile finds the one or the other.
 */
export const NOT_ALL_KERNEL_LOCKED = '-';

/** The holder that a lock file names, or null if it is not the text of one. A record without a checksum is taken as it is. */
export function parseHolder(text: string): Holder | null {
  if (!text.endsWith(NOT_ALL_KERNEL_LOCKED)) return parseRecord(text);
  const holder = parseRecord(text.slice(0, -NOT_ALL_KERNEL_LOCKED.length));
  return holder && { ...holder, isKernelLocked: false };
}

function parseRecord(text: string): Holder | null {
  let value: Partial<Record<keyof Holder | 'check', unknown>> | null;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { token, pid, processStart, bootId, pidNamespace, host, fd, isKernelLocked = false, check } = value;
  const isTextOrNull = (field: unknown): field is string | null => field === null || typeof field === 'string';
  if (typeof token !== 'string' || !/^[\w-]+$/.test(token) || typeof host !== 'string') return null;
  // A pid of zero or less would ask after a whole group of processes.
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  if (typeof fd !== 'number' || !Number.isSafeInteger(fd) || fd < 0) return null;
  if (typeof isKernelLocked !== 'boolean') return null;
  if (!isTextOrNull(processStart) || !isTextOrNull(bootId) || !isTextOrNull(pidNamespace)) return null;
  const holder = { token, pid, processStart, bootId, pidNamespace, host, fd, isKernelLocked };
  return check === undefined || check === checksumOf(holder) ? holder : null;
}

function checksumOf({ token, fd, pid, processStart, bootId, pidNamespace, host, isKernelLocked }: Holder): number {
  const fields = [token, fd, pid, processStart, bootId, pidNamespace, host];
  return crc32(JSON.stringify(isKernelLocked ? [...fields, true] : fields));
}

function here(): Pick<Holder, 'bootId' | 'pidNamespace' | 'host'> {
  return {
    bootId: tryTo(() => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: tryTo(() => fs.readlinkSync('/proc/self/ns/pid')),
    host: os.hostname(),
  };
}

function isRunning(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false; // EPERM: it runs, as another user
  }
  const found = processOf(holder.pid);
  if (found === null) return true; // no /proc here, or it is hidden
  if (found.ended) return false;
  return holder.processStart === null || holder.processStart === found.start;
}

/**
 * Start time and end of a process, from /proc. A process that was killed is a zombie until its parent asks for it, but
 * only when its last thread is gone has its last write ended.
 */
function processOf(pid: number): { start: string; ended: boolean } | null {
  return tryTo(() => {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Field 2 is the name, in parentheses, and may contain both spaces and parentheses. What follows begins with field 3.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, start] = [fields[0], fields[22 - 3]];
    if (start === undefined) return null;
    const zombie = state === 'Z' || state === 'X';
    return { start, ended: zombie && fs.readdirSync(`/proc/${pid}/task`).length <= 1 };
  });
}

/**
 * Whether the thread of this process that took the lock has it still, or another one that has joined it: each keeps a descriptor open on the lock file, for
 * writing, which tells it from who just reads it.
 */
function isHeldHere(holder: Holder, file: FileIdentity): boolean {
  if (isDescriptorOpen(holder.fd, file)) return true;
  const descriptors = tryTo(() => fs.readdirSync(DESCRIPTORS)) ?? [];
  return descriptors.some((fd) => isOpenOn(fd, file) && isForWriting(fd));
}

const DESCRIPTORS = '/proc/self/fd';

/** Whether the system says what descriptors of this process are open on. */
export function showsDescriptors(): boolean {
  return tryTo(() => fs.statSync(DESCRIPTORS)) !== null;
}

/**
 * Whether a descriptor of this process is open on the file, for writing: who just reads a lock file may have got the number of a holder that has ended. True where the
 * system does not say.
 */
export function isDescriptorOpen(fd: number, file: FileIdentity): boolean {
  return !showsDescriptors() || (isOpenOn(String(fd), file) && isForWriting(String(fd)));
}

function isOpenOn(fd: string, { dev, ino }: FileIdentity): boolean {
  const found = tryTo(() => fs.statSync(`${DESCRIPTORS}/${fd}`, { bigint: true }));
  return found !== null && found.dev === dev && found.ino === ino;
}

/** True if it cannot be told. */
function isForWriting(fd: string): boolean {
  const info = tryTo(() => fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'));
  const flags = info?.match(/^flags:\s*([0-7]+)$/m)?.[1];
  const { O_RDONLY, O_WRONLY, O_RDWR } = fs.constants;
  return flags === undefined || (Number.parseInt(flags, 8) & (O_WRONLY | O_RDWR)) !== O_RDONLY;
}

function tryTo<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
