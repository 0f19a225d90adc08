/** A replacement policy is chosen by name, may come from another plugin, and is not trusted. */
import { PAGES, type PageStore, REPLACEMENTS, type ReplacementPolicyType, SHARED_TOKENS } from '@pagewright/core';
import { PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { container } from 'tsyringe';
import { describe, expect, it } from 'vitest';
import { BufferPool, bufferPool, builtInReplacements } from '../src/index.js';

const MEMORY = 64 * 4096;

/** Hands out what is sampled, one at a time; `fault` changes what it hands out. */
function byChance(fault: (frame: number) => number = (frame) => frame): ReplacementPolicyType & { asked: number } {
  const type = {
    name: 'chance',
    asked: 0,
    stateBytes: () => 0,
    attach(frames: Parameters<ReplacementPolicyType['attach']>[0]) {
      return {
        entered() {},
        rewarmed() {},
        left() {},
        moved() {},
        prepare() {},
        victims(batch: Int32Array) {
          type.asked++;
          const frame = frames.sample();
          if (frame >= 0) batch[0] = fault(frame);
          return frame >= 0 ? 1 : 0;
        },
      };
    },
  };
  return type;
}

async function drive(pool: PageStore): Promise<PageTreeDriver> {
  await pool.open({
    path: '/store/pages.pw',
    io: new SimulatedDevice(),
    create: true,
    errorIfExists: false,
    readOnly: false,
  });
  return new PageTreeDriver(pool, new Random(5));
}

describe('a replacement policy', () => {
  it('of a stranger is asked for victims, and the tree holds what it should', async () => {
    const chance = byChance();
    const pool = new BufferPool({ memory: MEMORY, pageSize: 4096, replacement: 'chance' }, [chance]);
    const driver = (await drive(pool)).run(1500);
    driver.tree.check(driver.model);
    expect(chance.asked).toBeGreaterThan(0);
    expect(pool.stats().evictions).toBeGreaterThan(0);
    await pool.close();
  });

  it('of another plugin is found by its name among those of the pool', async () => {
    expect(SHARED_TOKENS).toContain(REPLACEMENTS);
    const chance = byChance();
    const engine = container.createChildContainer();
    bufferPool.definition.setup(engine, { memory: MEMORY, pageSize: 4096, replacement: 'chance' });
    engine.register(REPLACEMENTS, { useValue: chance });
    const pool = engine.resolve(PAGES);
    (await drive(pool)).run(1500);
    expect(chance.asked).toBeGreaterThan(0);
    await pool.close();
  });

  it('that hands out what may not leave is an error, and no page is lost', async () => {
    for (const wrong of [0, -1, 64, 1e6]) {
      const chance = byChance(() => wrong);
      const pool = new BufferPool({ memory: MEMORY, pageSize: 4096, replacement: 'chance' }, [chance]);
      const driver = await drive(pool);
      expect(() => driver.run(1500)).toThrow(expect.objectContaining({ code: 'PW_INTERNAL' }));
      await pool.close();
    }
  });

  it('must be one that there is, once', () => {
    const twice = [...builtInReplacements(0.1), ...builtInReplacements(0.1)];
    const pool = (replacement: string) => (): unknown => new BufferPool({ replacement }, twice);
    expect(pool('clock')).toThrow(expect.objectContaining({ code: 'PW_PLUGIN_DUPLICATE' }));
    expect(pool('lru')).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
  });
});
