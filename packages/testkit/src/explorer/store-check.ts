/**
 * What must hold of a store that was crashed, killed, or had its disk fail: it opens, has what was acknowledged, each entry
 * whole and in order, verifies, takes writes, and is the same when it was closed and opened again.
 */
import type { Engine, IoBackend } from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import type { Content } from './history.js';
import { type RunMark, readContent, type WorkloadRun } from './workload-run.js';

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
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } finally {
    await engine?.close().catch(() => undefined);
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
