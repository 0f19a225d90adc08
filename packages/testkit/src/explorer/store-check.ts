/**
 * What must hold of a store that was crashed, killed, or had its disk fail: it opens, has what was acknowledged, each entry
 * whole and in order, verifies, takes writes, and is the same when it was closed and opened again. Of each backup there is nothing, or
 * all, and of one that was reported all.
 */
import type { Engine, IoBackend } from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import type { Content } from './history.js';
import { readContent } from './reading.js';
import type { BackupMark, RunMark } from './run-mark.js';
import type { WorkloadRun } from './workload-run.js';

/** Where the store is on the device. */
export const STORE_PATH = '/store/explored.pw';

/** Opens a store with the parts that are tested, creating it if it is missing. */
export type OpenOn = (io: IoBackend, path: string) => Promise<Engine>;

/** What a store on a device is found to be, whatever had been promised of it. */
export interface Examined {
  /** Null if that could not be read. */
  readonly found: FoundContent | null;
  /** What is wrong with it by itself; null if nothing is. */
  readonly problem: string | null;
  /** Of backups that are to be looked at, by path. */
  readonly backups: ReadonlyMap<string, ExaminedBackup>;
}

interface ExaminedBackup {
  /** Null if there is none. */
  readonly found: FoundContent | null;
  readonly problem: string | null;
}

type FoundContent = Awaited<ReturnType<typeof readContent>>;

/** What is wrong with the store on a device, in words; null if nothing is. */
export async function whatIsWrong(
  open: OpenOn,
  run: WorkloadRun,
  mark: RunMark,
  device: SimulatedDevice,
): Promise<string | null> {
  return judge(await examine(open, mark, device), run, mark);
}

/** What is wrong with what the engine of a run answers, in words, when nothing is under way; null if nothing is. */
export async function whatIsAnsweredWrong(run: WorkloadRun): Promise<string | null> {
  try {
    await run.answered();
    return mismatchOf(await readContent(run.engine as Engine), run, run.mark());
  } catch (error) {
    return textOf(error);
  }
}

/** Opens the store and what backups of the mark have to be looked at. What comes out depends on these and on what is on the device, and on nothing else. */
export async function examine(open: OpenOn, mark: RunMark, device: SimulatedDevice): Promise<Examined> {
  const { found, problem } = await examineStore(open, device);
  const backups = new Map<string, ExaminedBackup>();
  if (problem === null) {
    for (const backup of relevantBackups(mark)) backups.set(backup.path, await examineBackup(open, backup, device));
  }
  return { found, problem, backups };
}

/** Holds what was found against what was promised. */
export function judge({ found, problem, backups }: Examined, run: WorkloadRun, mark: RunMark): string | null {
  const mismatch = found === null ? null : mismatchOf(found, run, mark);
  if (mismatch !== null || problem !== null) return mismatch ?? problem;
  for (const backup of relevantBackups(mark)) {
    const copy = backups.get(backup.path)!;
    const message = copy.found === null ? copy.problem : (mismatchOf(copy.found, run, backup) ?? copy.problem);
    if (message !== null) return `the backup ${backup.path}: ${message}`;
    if (copy.found === null && backup.outcome === 'made') return `the backup ${backup.path} was reported, and is gone`;
  }
  return null;
}

/** Those that were under way, and the last one that was not: the others are as they were at an earlier crash. */
export function relevantBackups({ backups }: RunMark): BackupMark[] {
  const last = backups.findLastIndex(({ outcome }) => outcome !== 'open');
  return backups.filter(({ outcome }, number) => number >= last || outcome === 'open');
}

function mismatchOf(found: FoundContent, run: WorkloadRun, mark: Pick<RunMark, 'ordered' | 'inPlace'>): string | null {
  for (const history of ['ordered', 'inPlace'] as const) {
    const mismatch = run[history].mismatch(found[history], mark[history]);
    if (mismatch !== null) return mismatch;
  }
  return null;
}

async function examineStore(open: OpenOn, device: SimulatedDevice): Promise<Omit<Examined, 'backups'>> {
  let engine: Engine | null = null;
  let found: FoundContent | null = null;
  try {
    engine = await open(device, STORE_PATH);
    found = await readContent(engine);
    const problem = await verify(engine);
    if (problem !== null) return { found, problem };
    await probeWriting(engine);
    await engine.close();
    engine = await open(device, STORE_PATH);
    const again = await readContent(engine);
    again.ordered.delete(PROBE);
    const isSame = plain(again.ordered) === plain(found.ordered) && plain(again.inPlace) === plain(found.inPlace);
    return { found, problem: isSame ? null : 'what was found has changed by being closed and opened again' };
  } catch (error) {
    return { found, problem: textOf(error) };
  } finally {
    await engine?.close().catch(() => undefined);
  }
}

async function examineBackup(open: OpenOn, backup: BackupMark, device: SimulatedDevice): Promise<ExaminedBackup> {
  if (!(await device.exists(backup.path))) return { found: null, problem: null };
  let copy: Engine | null = null;
  let found: FoundContent | null = null;
  try {
    copy = await open(device, backup.path);
    found = await readContent(copy);
    const problem = await verify(copy);
    // One that was reported took writes when it was looked at before.
    if (problem === null && backup.outcome === 'open') await probeWriting(copy);
    await copy.close();
    return { found, problem };
  } catch (error) {
    return { found, problem: textOf(error) };
  } finally {
    await copy?.close().catch(() => undefined);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

const PROBE = 'written after the crash';

/** The store takes writes, and gives them back. */
async function probeWriting(engine: Engine): Promise<void> {
  const index = await engine.index<string, Uint8Array>(PROBE, { key: 'utf8', value: 'buffer' });
  const value = new Uint8Array(5000).fill(7);
  await index.put('key', value);
  index.putSync('in place', value);
  const found = index.getSync('key');
  if (found === undefined || Buffer.compare(found, value) !== 0) throw new Error('what was written is not there');
}

async function verify(engine: Engine): Promise<string | null> {
  const report = await engine.verify();
  if (report.ok) return null;
  return `verify: ${report.problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`;
}

function plain(content: Content): string {
  return JSON.stringify([...content].map(([index, entries]) => [index, [...entries]]).sort());
}
