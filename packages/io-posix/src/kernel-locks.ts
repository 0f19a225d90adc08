/**
 * Locks of the kernel on a lock file, beside what stands in it. They end with the last descriptor of who has them, so that of a holder that cannot be looked up (in another container of this machine)
 * it can be told whether it lives. They never replace the lock file: who has no such locks would not see them.
 */
import fs from 'node:fs';
import { promisify } from 'node:util';

const statfs = promisify(fs.statfs);

/** Open file description locks, by whoever has calls for them. */
export interface KernelLocks {
  /** Locks the file for this descriptor, together with others that do the same. 0, or an errno. */
  lockShared(fd: number): number;
  /** Whether anybody else has it locked, or an errno. */
  isLocked(fd: number): boolean | number;
}

/** By their magic numbers: file systems of which all mounts on a machine see the same locks. Not those of a network. */
const LOCAL_FILE_SYSTEMS: readonly number[] = [
  0xef53, // ext2 to ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x01021994, // tmpfs
];

/** Locks an open lock file. Returns whether that can be relied on. */
export async function lockByKernel(locks: KernelLocks | undefined, fd: number, path: string): Promise<boolean> {
  if (locks === undefined) return false;
  const { type } = await statfs(path);
  return LOCAL_FILE_SYSTEMS.includes(type >>> 0) && locks.lockShared(fd) === 0;
}

/** Whether nobody has the lock file locked any more; false where it cannot be told. */
export function isFreeByKernel(locks: KernelLocks | undefined, fd: number): boolean {
  return locks?.isLocked(fd) === false;
}
