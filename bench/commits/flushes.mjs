/**
 * Who really flushes: the system calls of a cell, as `strace` has seen them. A flush is a call that returns once something is durable: `fsync` and its like, or a write to a file that
 * was opened with `O_DSYNC`. A cell that is to be counted opens a file of a known name before its first commit, and again after each that was acknowledged: between two of them there has to be
 * a flush from beginning to end.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const MARK = 'committed.mark';
const FLUSHES = ['fsync', 'fdatasync', 'sync', 'syncfs'];
const WRITES = ['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'];
// What a system does not have is left out where a question mark says so.
const CALLS = ['openat', '?open', 'close', ...FLUSHES, 'msync', ...WRITES, '?io_uring_enter'];

/** The beginning of a command line that runs what follows and writes what it calls to a file. */
export function underStrace(file) {
  return ['strace', '-f', '-y', '-s', '0', '-e', `trace=${CALLS.join(',')}`, '-e', 'signal=none', '-o', file];
}

/** Why nothing can be counted here; undefined if it can. */
export function whyNotCounted(directory) {
  const [command, ...args] = underStrace(join(directory, 'strace'));
  const { status, error, stderr } = spawnSync(command, [...args, process.execPath, '-e', '0'], { encoding: 'utf8' });
  if (error !== undefined) return `strace cannot be started (${error.code})`;
  return status === 0 ? undefined : `strace does not work here: ${stderr.trim().split('\n').at(-1)}`;
}

export function mark(directory) {
  closeSync(openSync(join(directory, MARK), 'w'));
}

/**
 * `perCommit`: flushes for each commit. `without`: how many commits were acknowledged without one. `kinds`: which calls they were. `usesRing`: whether the
 * store writes through io_uring, whose flushes are not seen.
 */
export function countFlushes(file) {
  const durable = new Set();
  const kinds = {};
  const ofCommits = [];
  let marks = 0;
  let usesRing = false;
  for (const { call, marksBefore } of callsIn(readFileSync(file, 'utf8'), () => marks)) {
    const [, name, descriptor] = /^(\w+)\((-?\d+)?/.exec(call) ?? [];
    const result = Number(/\) += (-?\d+)/.exec(call)?.[1] ?? -1);
    if (name === undefined || result < 0) continue;
    if (name === 'openat' || name === 'open') {
      if (call.includes(`${MARK}"`)) marks++;
      else if (isDurable(call)) durable.add(result);
      else durable.delete(result);
    } else if (name === 'close') durable.delete(Number(descriptor));
    else if (name === 'io_uring_enter') usesRing ||= marks > 0;
    else {
      const kind = flushKind(name, call, durable.has(Number(descriptor)));
      if (kind === null || marks === 0 || marksBefore !== marks) continue;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
      ofCommits[marks - 1] = (ofCommits[marks - 1] ?? 0) + 1;
    }
  }
  const commits = marks - 1;
  const counts = Array.from({ length: commits }, (_, at) => ofCommits[at] ?? 0);
  const flushes = counts.reduce((sum, count) => sum + count, 0);
  const without = counts.filter((count) => count === 0).length;
  return { commits, flushes, perCommit: flushes / commits, without, kinds, usesRing };
}

function flushKind(name, call, isDurableFile) {
  if (FLUSHES.includes(name)) return name;
  if (name === 'msync') return call.includes('MS_SYNC') ? name : null;
  if (isDurableFile) return 'O_DSYNC';
  return /RWF_D?SYNC/.test(call) ? 'RWF_DSYNC' : null;
}

/** Whether what is opened so is written durably. Paths may be called anything. */
function isDurable(call) {
  return /\bO_D?SYNC\b/.test(call.replace(/"[^"]*"|<[^>]*>/g, ''));
}

/** Calls in the order in which they returned, each as one line, and how many marks there were when it began. */
function* callsIn(text, marks) {
  const begun = new Map();
  for (const line of text.split('\n')) {
    const [, thread, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (rest === undefined) continue;
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, { call: rest.slice(0, -'<unfinished ...>'.length), marksBefore: marks() });
      continue;
    }
    const [, tail] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    if (tail === undefined) yield { call: rest, marksBefore: marks() };
    else {
      const { call, marksBefore } = begun.get(thread) ?? { call: '', marksBefore: -1 };
      yield { call: call + tail, marksBefore };
    }
  }
}
