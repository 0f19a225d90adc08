/** The store that rounds of an index begin with: filled once, to several levels, and copied for each round. */
import { type Index, type IndexType, type IoBackend, NO_LOG, type PageBounds, type PageStore } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { TreeModel, tagOf, type Version, valueBytes } from './tree-model.js';
import { KEYS, keyOf, PREFILLED } from './tree-operations.js';

/** What a round tests. */
export interface TreeSubject {
  /** A page store of the least memory that it takes, open on a store of this device; created if there is none. */
  openPages(io: IoBackend, path: string): Promise<PageStore>;
  /** A store that is attached to the pages of this one, as in another thread. */
  joinPages(pages: PageStore, io: IoBackend): Promise<PageStore>;
  /** A new one for each actor: threads share no memory of their own. */
  indexType(): IndexType;
}

/** What a store holds, so that rounds need not fill one each. */
export interface FilledTree {
  readonly device: SimulatedDevice;
  readonly content: ReadonlyMap<string, Version>;
  readonly timestamp: number;
}

export const PATH = '/store/schedules.pw';
/** Number of the index. */
export const INDEX = 7;
/** Every so many keys begin with a large value. */
const BULKY_STEP = 24;

/** A store with an index of several levels. */
export async function filledTree(subject: TreeSubject): Promise<FilledTree> {
  const device = new SimulatedDevice();
  const pages = await subject.openPages(device, PATH);
  const model = new TreeModel();
  const index = subject.indexType().create({ pages, number: INDEX, root: pages.root }, 1);
  for (let number = 0; number < KEYS; number += PREFILLED) {
    // Pages of several frames need room side by side: others must leave it, or move.
    const size = number % BULKY_STEP === 0 ? 12_000 : number % BULKY_STEP === BULKY_STEP / 2 ? 6000 : 150;
    const version = model.beginWrite(keyOf(number), size);
    index.upsert(bytes(keyOf(number)), tagOf(version), valueBytes(version.id, version.size), version.stamp);
    model.endWrite(keyOf(number));
    if (number % 500 === 0) await checkpoint(pages, model);
  }
  await checkpoint(pages, model);
  await pages.close();
  return { device, content: model.content(), timestamp: model.timestamp };
}

/** Everything that the index says of its own pages. */
export function checkPages(index: Index, pages: PageStore): void {
  const damage: string[] = [];
  const visit = (frame: number, bounds: PageBounds): void => {
    // Pinned, so that it stays where it is while its children are brought in.
    pages.pin(frame);
    const children = index.check(frame, bounds, (message) => damage.push(message));
    for (const [offset, below] of children) visit(childOf(pages, frame, offset), below);
    pages.unpin(frame);
  };
  visit(childOf(pages, pages.root.frame, pages.root.offset), { lower: null, upper: null });
  if (damage.length > 0) throw new Error(`The pages of the index are damaged: ${damage.slice(0, 5).join('; ')}`);
}

function childOf(pages: PageStore, frame: number, offset: number): number {
  pages.latch(frame);
  try {
    return pages.childOfLatched(frame, offset);
  } finally {
    pages.unlatch(frame);
  }
}

/** The bytes of a key. */
export function bytes(key: string): Uint8Array {
  return Uint8Array.from(Buffer.from(key, 'latin1'));
}

/** Number of a key whose value is large at the beginning. */
export function bulky(number: number): number {
  return (number % Math.floor(KEYS / BULKY_STEP)) * BULKY_STEP;
}

/** A key as messages name it. */
export function name(key: string): string {
  return `${key.slice(0, 4)}…${key.slice(-2)}`;
}

async function checkpoint(pages: PageStore, model: TreeModel): Promise<void> {
  await pages.checkpoint({
    gate: () => ({ timestamp: model.timestamp, log: NO_LOG }),
    secureLog: async () => undefined,
  });
}
