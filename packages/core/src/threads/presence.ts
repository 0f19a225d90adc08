/**
 * By what other threads of the process can tell that a thread is there: two words, which are never another thread's. It may end at any instruction, so it is
 * not asked: the system is.
 *
 * On Linux they are the thread's number in the system and when it began. Elsewhere a worker opens a file of its own, which has no name any more, and the words say
 * under which descriptor and what is in it: descriptors are the process's, and Node.js closes those of a worker when that ends, however it does. The end of the
 * main thread is that of the process.
 *
 * Must hold: a thread that is there is never taken for one that has ended.
 */
import { randomInt, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

/** What a thread shows of itself. */
export interface Presence {
  /** Above 0 a number of the system's, below 0 a descriptor; 0: it cannot be told whether it is there. */
  readonly who: number;
  readonly since: number;
  /** Nothing is to be told of it any more. */
  end(): void;
}

/** Of the calling thread. */
export function ownPresence(): Presence {
  return ofTask() ?? (isMainThread ? UNKNOWN : (ofDescriptor() ?? UNKNOWN));
}

/** Whether a thread is there; true if that cannot be told. */
export function isThere(who: number, since: number): boolean {
  if (who > 0) return isTask(who, since);
  return who === 0 || isOpen(~who, since);
}

const UNKNOWN: Presence = Object.freeze({ who: 0, since: 0, end: () => {} });

// ── Threads as Linux shows them ──────────────────────────────────────────────────────────────────────────────────

function ofTask(): Presence | null {
  try {
    const task = Number(readlinkSync('/proc/thread-self').split('/').pop());
    const began = beganOf(task);
    if (Number.isInteger(task) && began !== GONE) return { who: task, since: began, end: () => {} };
  } catch {
    // Not Linux, or without /proc.
  }
  return null;
}

function isTask(task: number, known: number): boolean {
  const began = beganOf(task);
  // There is a thread of that number. That it is another one must be seen: a process may have no descriptor left to look with.
  return began === known || began === UNREADABLE || (known === UNREADABLE && began !== GONE);
}

const GONE = -1;
/** The thread is there, and its file cannot be read at the moment. */
const UNREADABLE = -2;

/** When a thread of this process began, in ticks of the system as far as they fit into a word; `UNREADABLE`, or `GONE` if there is none. */
function beganOf(task: number): number {
  const directory = `/proc/self/task/${task}`;
  try {
    const stat = readFileSync(`${directory}/stat`, 'latin1');
    // The name, in parentheses, may hold anything. What follows begins with the third field; the 22nd is the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return GONE;
    return Number(fields[19]) & 0x7fffffff;
  } catch {
    return existsSync(directory) ? UNREADABLE : GONE;
  }
}

// ── Threads by what they have open ───────────────────────────────────────────────────────────────────────────────

const MAGIC = Buffer.from('pw thread  1');
const WITNESS_BYTES = MAGIC.length + 4;

/** Null where no file can be made. */
export function ofDescriptor(): Presence | null {
  const token = randomInt(1, 2 ** 31);
  const path = join(tmpdir(), `pagewright-thread-${randomUUID()}`);
  try {
    const fd = openSync(path, 'wx+', 0o600);
    try {
      writeSync(fd, witnessOf(token), 0, WITNESS_BYTES, 0);
      return { who: ~fd, since: token, end: () => closeIfOpen(fd, token) };
    } catch (error) {
      closeSync(fd);
      throw error;
    } finally {
      unlinkSync(path);
    }
  } catch {
    return null;
  }
}

function witnessOf(token: number): Buffer {
  const bytes = Buffer.alloc(WITNESS_BYTES);
  MAGIC.copy(bytes);
  bytes.writeInt32LE(token, MAGIC.length);
  return bytes;
}

/** Whether the descriptor is open on the file that has this token in it. */
function isOpen(fd: number, token: number): boolean {
  try {
    // It may be anything by now: only a file is read.
    const found = fstatSync(fd);
    if (!found.isFile() || found.size !== WITNESS_BYTES) return false;
    const bytes = Buffer.alloc(WITNESS_BYTES);
    return readSync(fd, bytes, 0, WITNESS_BYTES, 0) === WITNESS_BYTES && bytes.equals(witnessOf(token));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'EBADF' && code !== 'ESPIPE';
  }
}

function closeIfOpen(fd: number, token: number): void {
  if (isOpen(fd, token)) closeSync(fd);
}
