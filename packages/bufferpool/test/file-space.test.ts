import { foldAddress, type IoFile, sizeClassOf, unitOf } from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AllocationMap, decodeMap, encodeMap, hasBit, mapBytes } from '../src/allocation-map.js';
import { FileSpace, type FileSpaceMemory } from '../src/file-space.js';

const PAGE = 4096;
const RESERVED = 2;

async function openFile(): Promise<IoFile> {
  const file = await new SimulatedDevice().open('/space.pw', { create: true, readOnly: false });
  file.allocateSync(0, RESERVED * PAGE);
  return file;
}

/** As threads have them: each over the same memory, which may have grown in another's hands. */
function threadsOver(memory: FileSpaceMemory, file: IoFile, count = 2): FileSpace[] {
  return Array.from({ length: count }, () => new FileSpace(file, structuredClone(memory), PAGE, RESERVED, false));
}

type Epoch = 'open' | 'closed';

interface Extent {
  readonly address: number;
  /** The epochs that name it: those from `since` on, and none from `until` on. */
  readonly since: number;
  until: number;
}

/** C4 in the plainest way: every extent with the epochs that name it. */
class NaiveSpace {
  readonly extents = new Map<number, Extent>();
  readonly holders: number[] = [];
  open = 3;
  closing = false;
  oldest = 1;

  allocate(address: number, epoch: Epoch): void {
    for (let unit = unitOf(address); unit < unitOf(address) + 2 ** sizeClassOf(address); unit++) {
      expect(this.holderOf(unit), `unit ${unit} is given out, and is in use`).toBeNull();
    }
    this.extents.set(address, { address, since: this.numberOf(epoch), until: Infinity });
  }

  giveUp(address: number, epoch: Epoch): void {
    const extent = this.extents.get(address) as Extent;
    extent.until = this.numberOf(epoch);
    this.clean();
  }

  /** What no epoch names is free at once; what an earlier one names, when no slot and no holder is of such an epoch. */
  clean(): void {
    const limit = Math.min(this.oldest, ...this.holders);
    for (const { address, since, until } of this.extents.values()) {
      if (until <= since) this.extents.delete(address);
      else if (until <= limit && this.released >= until) this.extents.delete(address);
    }
  }

  /** The epoch of the last release: only then is what was given up looked at. */
  released = 0;

  release(oldest: number): void {
    this.oldest = oldest;
    this.released = oldest;
    this.clean();
  }

  numberOf(epoch: Epoch): number {
    return epoch === 'open' ? this.open : this.open - 1;
  }

  holderOf(unit: number): Extent | null {
    for (const extent of this.extents.values()) {
      const first = unitOf(extent.address);
      if (unit >= first && unit < first + 2 ** sizeClassOf(extent.address)) return extent;
    }
    return null;
  }

  get retained(): Extent[] {
    return [...this.extents.values()].filter((extent) => extent.until < Infinity);
  }

  get live(): Extent[] {
    return [...this.extents.values()].filter((extent) => extent.until === Infinity);
  }
}

function unitsOf(extents: readonly Extent[]): number {
  return extents.reduce((sum, { address }) => sum + 2 ** sizeClassOf(address), 0);
}

function unitsInUse(map: AllocationMap): number[] {
  return Array.from({ length: map.units }, (_, unit) => unit).filter((unit) => hasBit(map.bits, unit));
}

/** C5: the closed epoch's tree, what is kept for older ones, and the superblocks; and what was given up, by then. */
function expectMap(map: AllocationMap, model: NaiveSpace): void {
  const closed = model.open - 1;
  const named = [...model.extents.values()].filter(({ since }) => since <= closed);
  const expected = named.flatMap(({ address }) =>
    Array.from({ length: 2 ** sizeClassOf(address) }, (_, at) => unitOf(address) + at),
  );
  expect(unitsInUse(map)).toEqual([...Array(RESERVED).keys(), ...expected].sort((a, b) => a - b));
  const givenUp = model.retained.filter(({ until }) => until <= closed).map(({ address, until }) => [address, until]);
  const byAddress = (a: number[], b: number[]): number => (a[0] as number) - (b[0] as number);
  expect(map.givenUp.map(({ address, epoch }) => [address, epoch]).sort(byAddress)).toEqual(givenUp.sort(byAddress));
}

async function agree(seed: number, steps: number): Promise<void> {
  const random = new Random(seed);
  const file = await openFile();
  const threads = threadsOver(FileSpace.memory(), file, 3);
  (threads[0] as FileSpace).load(null, 1);
  const model = new NaiveSpace();
  const letGo: { readonly epoch: number; readonly done: () => void }[] = [];
  for (let left = steps; left > 0; left--) {
    const space = random.pick(threads);
    const epoch: Epoch = model.closing && random.chance(0.4) ? 'closed' : 'open';
    const what = random.fraction();
    if (what < 0.45) {
      const address = space.allocate(random.chance(0.8) ? 0 : random.between(1, 6), epoch);
      model.allocate(address, epoch);
    } else if (what < 0.8) {
      // The closed epoch gives up what it names; what only the open one names is the open one's.
      const named = model.live.filter(({ since }) => since <= model.numberOf(epoch));
      if (named.length === 0) continue;
      const { address, since } = random.pick(named);
      if (since === model.numberOf(epoch) && random.chance(0.2)) {
        space.withdraw(address);
        model.extents.delete(address);
        continue;
      }
      space.giveUp(address, epoch, model.numberOf(epoch));
      model.giveUp(address, epoch);
    } else if (what < 0.84) {
      if (model.closing) continue;
      space.closeEpoch();
      model.open++;
      model.closing = true;
    } else if (what < 0.9) {
      if (!model.closing) continue;
      const map = space.closedMap(model.open - 1);
      expectMap(map, model);
      const block = Buffer.alloc(space.closedMapBytes());
      expect(mapBytes(map.units, map.givenUp.length)).toBeLessThanOrEqual(block.length);
      encodeMap(map, block);
      expect(decodeMap(block, RESERVED, file.path)).toEqual(map);
      space.settleClosed();
      space.release(model.open - 2);
      model.closing = false;
      model.release(model.open - 2);
      await expectReopened(file, map, model);
    } else if (what < 0.93) {
      const held = model.oldest;
      model.holders.push(held);
      letGo.push({ epoch: held, done: space.hold(held) });
    } else if (what < 0.96 && letGo.length > 0) {
      const { epoch: held, done } = letGo.splice(random.below(letGo.length), 1)[0] as (typeof letGo)[0];
      done();
      model.holders.splice(model.holders.indexOf(held), 1);
      model.clean();
    } else random.pick(threads).secure(random.below(40));
    for (const { units, freeUnits, retainedUnits } of threads) {
      expect(retainedUnits).toBe(unitsOf(model.retained));
      expect(freeUnits).toBe(units - RESERVED - unitsOf([...model.extents.values()]));
      expect(file.size()).toBe(units * PAGE);
    }
  }
}

/** What opens the file with this map has in use what the map says. */
async function expectReopened(file: IoFile, map: AllocationMap, model: NaiveSpace): Promise<void> {
  const [space] = threadsOver(FileSpace.memory(), file) as [FileSpace];
  space.load(map, model.open - 2);
  const kept = map.givenUp.filter(({ epoch }) => epoch > model.open - 2);
  const freed = map.givenUp.filter(({ epoch }) => epoch <= model.open - 2);
  const units = (list: AllocationMap['givenUp']): number =>
    list.reduce((sum, { address }) => sum + 2 ** sizeClassOf(address), 0);
  expect(space.retainedUnits).toBe(units(kept));
  expect(space.freeUnits).toBe(space.units - unitsInUse(map).length + units(freed));
}

describe('the space of a file', () => {
  it('is what a naive model says it is, with three threads by turns, epochs, holders and growth', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), (seed) => agree(seed, 300)),
      { numRuns: 40 },
    );
  });

  it('keeps as many extents as there are until no superblock names them', async () => {
    const [space, other] = threadsOver(FileSpace.memory(), await openFile()) as [FileSpace, FileSpace];
    space.load(null, 1);
    const count = 20_000;
    const addresses = Array.from({ length: count }, () => space.allocate(0, 'open'));
    space.closeEpoch();
    space.settleClosed();
    for (const [at, address] of addresses.entries()) (at % 2 === 0 ? space : other).giveUp(address, 'open', 4);
    expect(other.retainedUnits).toBe(count);
    other.release(3);
    expect(space.retainedUnits).toBe(count);
    space.release(4);
    expect(other.retainedUnits).toBe(0);
    expect(other.freeUnits).toBe(other.units - RESERVED);
  });

  it('is kept for the holder of the oldest tree, in whichever thread it is', async () => {
    const [space, other] = threadsOver(FileSpace.memory(), await openFile()) as [FileSpace, FileSpace];
    space.load(null, 1);
    const address = space.allocate(3, 'open');
    space.closeEpoch();
    space.settleClosed();
    space.release(3);
    const first = space.hold(3);
    const second = other.hold(3);
    other.giveUp(address, 'open', 4);
    other.release(9);
    expect(space.retainedUnits).toBe(8);
    first();
    expect(space.retainedUnits).toBe(8);
    second();
    expect(space.retainedUnits).toBe(0);
  });

  it('holds extents of the largest class, and no more of the file than they need', async () => {
    let size = 0;
    const file = {
      path: '/large.pw',
      size: () => size,
      allocateSync: (at: number, bytes: number) => (size = at + bytes),
    };
    const [space, other] = threadsOver(FileSpace.memory(), file as unknown as IoFile) as [FileSpace, FileSpace];
    space.load(null, 1);
    const largest = [space.allocate(20, 'open'), other.allocate(20, 'open')];
    expect(largest).toEqual([foldAddress(2 ** 20, 20), foldAddress(2 ** 21, 20)]);
    expect(other.units).toBe(3 * 2 ** 20);
    // What lies before them is free, and is what is taken next.
    expect(other.allocate(0, 'open')).toBe(foldAddress(RESERVED, 0));
    // Each is given up by the thread that did not allocate it.
    for (const [at, address] of largest.entries()) (at === 0 ? other : space).giveUp(address, 'open', 3);
    expect(space.freeUnits).toBe(space.units - RESERVED - 1);
  });

  it('says when the file cannot become larger, and gives out all that there is before', async () => {
    let size = (2 ** 29 - 1 - 5) * PAGE;
    const file = {
      path: '/full.pw',
      size: () => size,
      allocateSync: (at: number, bytes: number) => (size = at + bytes),
    };
    const [space] = threadsOver(FileSpace.memory(), file as unknown as IoFile) as [FileSpace];
    const memory = process.memoryUsage();
    space.load(null, 1);
    space.secure(2 ** 29 - 1 - RESERVED);
    expect(space.units).toBe(2 ** 29 - 1);
    expect(() => space.secure(2 ** 29 - 1)).toThrow(expect.objectContaining({ code: 'PW_FULL' }));
    expect(space.freeUnits).toBe(2 ** 29 - 1 - RESERVED);
    // The largest file there can be, and next to nothing of what is kept about it is in memory.
    const { rss, external } = process.memoryUsage();
    expect(external - memory.external).toBeLessThan(2 ** 28);
    expect(rss - memory.rss).toBeLessThan(2 ** 28);
  });
});
