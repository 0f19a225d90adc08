/**
 * What must hold of a store that was crashed, killed, or had its disk fail: it opens, has what was acknowledged, each entry
 * whole and in order, verifies, takes writes, and is the same when it was closed and opened again. Of each backup there is nothing, or
 * all, and of one that was reported all.
 */
import type { Engine, IoBackend } from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import type { Content } from './history.js';
import { type BackupMark, type RunMark, readContent, type WorkloadRun } from './workload-run.js';

/** Where the store is on the device. */
export const STORE_PATH = '/store/explored.pw';

/** Opens a store with the parts that are tested, creating it if it is missing. */
export type OpenOn = (io: IoBackend, path: string) => Promise<Engine>;

/** What is wrong with the store on a device, in words; null if nothing is. */
export async function whatIsWrong(
  open: OpenOn,
  run: WorkloadRun,
  mark: RunMark,
  device: SimulatedDevice,
): Promise<string | null> {
  let engine: Engine | null = null;
  try {
    engine = await open(device, STORE_PATH);
    const found = await readContent(engine);
    for (const history of ['ordered', 'inPlace'] as const) {
      const state = run[history].match(found[history], mark[history]);
      if (typeof state === 'string') return state;
    }
    const problems = await verify(engine);
    if (problems !== null) return problems;
    await probeWriting(engine);
    await engine.close();
    engine = await open(device, STORE_PATH);
    const again = await readContent(engine);
    again.ordered.delete(PROBE);
    if (plain(again.ordered) !== plain(found.ordered) || plain(again.inPlace) !== plain(found.inPlace)) {
      return 'what was found has changed by being closed and opened again';
    }
    return await whatIsWrongWithBackups(open, run, mark, device);
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } finally {
    await engine?.close().catch(() => undefined);
  }
}

/** Looks at those that were under way, and at the last one that was not: the others are as they were at an earlier crash. */
async function whatIsWrongWithBackups(
  open: OpenOn,
  run: WorkloadRun,
  mark: RunMark,
  device: SimulatedDevice,
): Promise<string | null> {
  const last = mark.backups.findLastIndex(({ outcome }) => outcome !== 'open');
  for (const [number, backup] of mark.backups.entries()) {
    if (number < last && backup.outcome !== 'open') continue;
    const isThere = await device.exists(backup.path);
    if (!isThere && backup.outcome === 'made') return `the backup ${backup.path} was reported, and is gone`;
    const message = isThere ? await whatIsWrongWithBackup(open, run, backup, device) : null;
    if (message !== null) return `the backup ${backup.path}: ${message}`;
  }
  return null;
}

async function whatIsWrongWithBackup(
  open: OpenOn,
  run: WorkloadRun,
  backup: BackupMark,
  device: SimulatedDevice,
): Promise<string | null> {
  const copy = await open(device, backup.path);
  try {
    const found = await readContent(copy);
    for (const history of ['ordered', 'inPlace'] as const) {
      const state = run[history].match(found[history], backup[history]);
      if (typeof state === 'string') return state;
    }
    const problems = await verify(copy);
    // One that was reported took writes when it was looked at before.
    if (problems === null && backup.outcome === 'open') await probeWriting(copy);
    return problems;
  } finally {
    await copy.close();
  }
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
