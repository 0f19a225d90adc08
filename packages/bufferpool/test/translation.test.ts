/** How a swip comes to its frame is chosen by name, may come from another plugin, and is not to be seen in the file. */
import {
  PAGE_HEADER_SIZE,
  PAGES,
  type PageStore,
  SHARED_TOKENS,
  TRANSLATIONS,
  type TranslationType,
} from '@pagewright/core';
import { PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { container } from 'tsyringe';
import { describe, expect, it } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool, bufferPool, builtInTranslations } from '../src/index.js';

const PATH = '/store.pw';
const FRAMES = 128;
const MEMORY = FRAMES * 4096;
/** The superblocks have the number of the store, which is random. */
const SUPERBLOCKS = 2 * 4096;
const NAMES = builtInTranslations.map(({ name }) => name);

async function openOn(
  io: SimulatedDevice,
  translation: string,
  from?: readonly TranslationType[],
): Promise<BufferPool> {
  const pool = new BufferPool({ memory: MEMORY, pageSize: 4096, translation }, undefined, from);
  await pool.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

/** The same, where nothing of what was in a frame before is left in a new page: a tree does not fill its pages, and names are different. */
function withoutRemains(pool: BufferPool): PageStore {
  return over<PageStore>(pool, {
    allocate: (...given) => {
      const frame = pool.allocate(...given);
      const base = pool.baseOf(frame);
      pool.segmentOf(frame).u8.fill(0, base + PAGE_HEADER_SIZE, base + pool.sizeOf(frame));
      return frame;
    },
  });
}

/** Frames as names, and a count of how often it was asked. */
function counting(): TranslationType & { asked: number } {
  const type = {
    name: 'counting',
    namesFrames: false,
    asked: 0,
    stateBytes: () => 0,
    attach: (frames: Parameters<TranslationType['attach']>[0]) => ({
      frameOf(name: number) {
        type.asked++;
        return name < frames.count ? name : -1;
      },
      enter(frame: number) {
        frames.setName(frame, frame);
        return frame;
      },
      leave: (frame: number) => frames.setName(frame, 0),
      move(from: number, to: number) {
        frames.setName(from, 0);
        frames.setName(to, to);
        return to;
      },
    }),
  };
  return type;
}

describe('a translation', () => {
  it('is not to be seen in the file: the same changes leave the same bytes', async () => {
    const stored: Buffer[] = [];
    for (const translation of NAMES) {
      const io = new SimulatedDevice();
      const pool = await openOn(io, translation);
      const driver = await new PageTreeDriver(withoutRemains(pool), new Random(21)).runWithCheckpoints(1200);
      expect(pool.stats().evictions).toBeGreaterThan(100);
      expect(pool.stats().relocations).toBeGreaterThan(0);
      driver.tree.check(driver.model);
      await pool.close();
      stored.push(Buffer.from(io.contentOf(PATH)).subarray(SUPERBLOCKS));
    }
    const [first, ...others] = stored as [Buffer, ...Buffer[]];
    expect(first.length).toBeGreaterThan(0);
    for (const other of others) expect(other.equals(first)).toBe(true);
  });

  it('may be another one each time that a store is opened', async () => {
    const io = new SimulatedDevice();
    let before: PageTreeDriver | null = null;
    for (const [round, translation] of [...NAMES, ...NAMES].entries()) {
      const pool = await openOn(io, translation);
      const driver: PageTreeDriver = new PageTreeDriver(pool, new Random(round));
      if (before !== null) driver.resume(before.durable, before.tree.timestamp);
      driver.tree.check(driver.model);
      await driver.runWithCheckpoints(500);
      await pool.close();
      before = driver;
    }
  });

  it('of a stranger is asked for every page', async () => {
    const own = counting();
    const pool = await openOn(new SimulatedDevice(), 'counting', [own]);
    const driver = new PageTreeDriver(pool, new Random(5)).run(1500);
    driver.tree.check(driver.model);
    expect(own.asked).toBeGreaterThan(1500);
    await pool.close();
  });

  it('of another plugin is found by its name among those of the pool', async () => {
    expect(SHARED_TOKENS).toContain(TRANSLATIONS);
    const own = counting();
    const engine = container.createChildContainer();
    bufferPool.definition.setup(engine, { memory: MEMORY, pageSize: 4096, translation: 'counting' });
    engine.register(TRANSLATIONS, { useValue: own });
    const pool = engine.resolve(PAGES);
    const io = new SimulatedDevice();
    await pool.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
    new PageTreeDriver(pool, new Random(5)).run(500);
    expect(own.asked).toBeGreaterThan(0);
    await pool.close();
  });

  it('counts as memory of the pool', async () => {
    const bytes: number[] = [];
    for (const translation of ['swizzled', 'hash', 'array']) {
      const pool = await openOn(new SimulatedDevice(), translation);
      bytes.push(pool.stats().memoryBytes);
      await pool.close();
    }
    const [swizzled, hash, array] = bytes as [number, number, number];
    expect(hash - swizzled).toBe(4 * (2 * FRAMES + 1));
    expect(array - swizzled).toBe(4 * 4 * FRAMES);
  });

  it('must be one that there is, once', () => {
    const twice = [...builtInTranslations, ...builtInTranslations];
    const pool = (translation: string) => (): unknown => new BufferPool({ translation }, undefined, twice);
    expect(pool('hash')).toThrow(expect.objectContaining({ code: 'PW_PLUGIN_DUPLICATE' }));
    expect(pool('page table')).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
  });
});
