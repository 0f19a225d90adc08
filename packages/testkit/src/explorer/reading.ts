/**
 * What a store answers when it is read. A key can be asked for in several ways; whichever it is, the answer must be the one
 * that the store's history allows, and nothing is known of a way that was not tried.
 */
import type { Engine, EngineSnapshot, IndexHandle } from '@pagewright/core';
import type { Content } from './history.js';
import { labelOf } from './value-labels.js';
import { SYNC_INDEX } from './workload.js';

export type Handle = IndexHandle<string, Uint8Array>;

/** A read gave what no history of the store allows. */
export class WrongRead extends Error {}

/** What is wrong with the label of a key that was read, in words. */
export function wrongLabel(
  index: string,
  key: string,
  label: string | null,
  allowed: ReadonlySet<string | null>,
): string {
  const right = [...allowed].map((one) => one ?? 'absent').join(', or ');
  return `${key} in ${index} should be ${right}, and is ${label ?? 'absent'}`;
}

export function nameOfIndex(number: number): string {
  return number === SYNC_INDEX ? 'in-place' : `index ${number}`;
}

export function nameOfKey(key: number): string {
  return `key/${String(key).padStart(4, '0')}${key % 7 === 0 ? '/with a longer tail of its own' : ''}`;
}

/** An index in order of its keys: what is there now, or what a snapshot shows. */
export function entriesOf(handle: Handle, snapshot?: EngineSnapshot): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  let previous = '';
  for (const [key, value] of handle.rangeSync({ snapshot })) {
    if (previous >= key && entries.size > 0) throw new WrongRead(`${key} comes after ${previous} in ${handle.name}`);
    entries.set(key, value);
    previous = key;
  }
  return entries;
}

/** The same by label. */
export function labelsOf(entries: ReadonlyMap<string, Uint8Array>): Map<string, string> {
  return new Map(Array.from(entries, ([key, value]) => [key, labelOf(value)]));
}

/**
 * All that the store holds, by history. Each key is read by itself as well, now and through a snapshot. Nothing may be
 * committed meanwhile.
 */
export async function readContent(engine: Engine): Promise<{ ordered: Content; inPlace: Content }> {
  const ordered: Content = new Map();
  const inPlace: Content = new Map();
  for (const { name } of engine.indexes()) {
    const index = await engine.index<string, Uint8Array>(name, { key: 'utf8', value: 'buffer' });
    const entries = entriesOf(index);
    const snapshot = engine.snapshot();
    try {
      for (const [key, value] of entries) await readAlone(index, key, value, snapshot);
      await readAlone(index, ABSENT, undefined, snapshot);
    } finally {
      snapshot.release();
    }
    (name === nameOfIndex(SYNC_INDEX) ? inPlace : ordered).set(name, labelsOf(entries));
  }
  return { ordered, inPlace };
}

/** Among the keys of workloads, and none of them. */
const ABSENT = 'key/0100/that nobody writes';

/** One key in every way, which must give what the range has. */
async function readAlone(
  index: Handle,
  key: string,
  value: Uint8Array | undefined,
  snapshot: EngineSnapshot,
): Promise<void> {
  check('get', await index.get(key));
  check('getSync', index.getSync(key));
  check('getSync with a snapshot', index.getSync(key, { snapshot }));
  function check(way: string, found: Uint8Array | undefined): void {
    if (found === undefined ? value === undefined : value !== undefined && Buffer.compare(found, value) === 0) return;
    throw new WrongRead(`${key} in ${index.name} is ${textOf(value)} in a range, and ${textOf(found)} by ${way}`);
  }
}

function textOf(value: Uint8Array | undefined): string {
  return value === undefined ? 'absent' : labelOf(value);
}
