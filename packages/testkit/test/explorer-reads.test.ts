/** The explorers find an engine that answers reads wrongly: while it is used, after a crash, and when a fault has made it read-only. */
import type { Engine, EngineSnapshot, IndexHandle, ReadOptions } from '@pagewright/core';
import { describe, expect, it } from 'vitest';
import {
  CrashExplorer,
  FaultExplorer,
  makeWorkload,
  type OpenOn,
  type SimulatedDevice,
  type Step,
  type Workload,
} from '../src/index.js';
import { engineWith } from './explored-engine.js';

type Handle = IndexHandle<string, Uint8Array>;
type Lie = (
  key: string,
  options: ReadOptions | undefined,
  read: Handle['getSync'],
  all: () => Iterable<[string, Uint8Array]>,
) => Uint8Array | undefined;

/** Lies by both ways of reading a key, for as long as `isLying` says so. */
function lying(lie: () => Lie, isLying: (engine: Engine, device: SimulatedDevice) => boolean = () => true): OpenOn {
  const open = engineWith();
  return async (io, path) => {
    const engine = await open(io, path);
    const index = engine.index.bind(engine) as (...request: unknown[]) => Promise<Handle>;
    const answer = lie();
    const lied = async (...request: unknown[]): Promise<Handle> => {
      const handle = await index(...request);
      const [get, getSync] = [handle.get.bind(handle), handle.getSync.bind(handle)];
      const isTrue = () => !isLying(engine, io as SimulatedDevice) || handle.name === 'written after the crash';
      const now: Handle['getSync'] = (key, options) =>
        isTrue()
          ? getSync(key, options)
          : answer(
              `${handle.name} ${key}`,
              options,
              (_, other) => getSync(key, other),
              () => handle.rangeSync(),
            );
      handle.getSync = now;
      handle.get = async (key, options) => (isTrue() ? get(key, options) : now(key, options));
      return handle;
    };
    engine.index = lied as Engine['index'];
    return engine;
  };
}

const STALE = 'with what a key had before';
const LIES: Record<string, () => Lie> = {
  'with the value of another key': () => (key, options, read, all) => {
    const right = read(key, options);
    for (const [other, value] of all()) if (!key.endsWith(` ${other}`)) return right && value;
    return right;
  },
  'that a key is absent which is there': () => () => undefined,
  [STALE]: () => {
    const first = new Map<string, Uint8Array>();
    return (key, options, read) => {
      // Snapshots are read as they are.
      if (options?.snapshot !== undefined) return read(key, options);
      const value = first.get(key) ?? read(key, options);
      if (value !== undefined) first.set(key, value);
      return value;
    };
  },
};

/** A snapshot shows what is newest. */
function withMovingSnapshots(): OpenOn {
  const open = engineWith();
  return async (io, path) => {
    const engine = await open(io, path);
    const take = engine.snapshot.bind(engine);
    engine.snapshot = (): EngineSnapshot => {
      let core = take();
      const moving = Object.create(core) as EngineSnapshot;
      Object.defineProperty(moving, 'core', {
        get() {
          core.release();
          core = take();
          return (core as unknown as { core: unknown }).core;
        },
      });
      moving.release = () => core.release();
      return moving;
    };
    return engine;
  };
}

const USED = (_: Engine, device: SimulatedDevice): boolean => device.onOperation !== null;
const CRASHED = (_: Engine, device: SimulatedDevice): boolean => device.onOperation === null;

/** Writes, and reads what was written before, by snapshots too. */
const WORKLOAD: Workload = makeWorkload('snapshots', 3, 25);
const PUT: Step = { do: 'write', form: 'put', index: 0, keys: [1], size: 300, deletes: 0, waits: true };
/** Without reads of its own. */
const WRITES: Workload = { ...WORKLOAD, steps: WORKLOAD.steps.filter((step) => step.do === 'write') };
const TWICE: Workload = {
  theme: 'mixed',
  seed: 3,
  steps: [PUT, { do: 'read', keys: [] }, PUT, { do: 'read', keys: [] }],
};
const LOSSES = { losses: { exhaustive: 0, samples: 0 }, recrash: 0, stride: 11 };

function found(open: OpenOn, workload = WORKLOAD): { byCrashes: Promise<string>; byFaults: Promise<string> } {
  const told = (exploration: Promise<{ findings: readonly { message: string }[] }>) =>
    exploration.then(({ findings: [finding] }) => finding?.message ?? 'nothing', String);
  return {
    byCrashes: told(new CrashExplorer(open, LOSSES).explore(workload)),
    byFaults: told(new FaultExplorer(open, { stride: 23 }).explore(workload)),
  };
}

describe('the explorers', () => {
  it('find no fault with a sound engine, whose reads they make', async () => {
    const { byCrashes, byFaults } = found(engineWith());
    expect([await byCrashes, await byFaults]).toEqual(['nothing', 'nothing']);
  });

  for (const [what, lie] of Object.entries(LIES)) {
    it(`find an engine that answers ${what}`, async () => {
      const { byCrashes, byFaults } = found(lying(lie, USED), what === STALE ? TWICE : WORKLOAD);
      for (const message of [await byCrashes, await byFaults])
        expect(message).toMatch(/^Error: key.* should be .*, and is/);
    });
    // Nothing was there before.
    if (what === STALE) continue;
    it(`find an engine that answers so after a crash: ${what}`, async () => {
      const { byCrashes, byFaults } = found(lying(lie, CRASHED));
      for (const message of [await byCrashes, await byFaults]) expect(message).toMatch(/in a range, and .* by get/);
    });
  }

  it('find an engine that, read-only after a fault, answers no reads any more, or lies', async () => {
    const isReadOnly = (engine: Engine): boolean => engine.state === 'read-only';
    const refusing = (): Lie => () => {
      throw new Error('no reads any more');
    };
    for (const lie of [refusing, ...Object.values(LIES).slice(0, 2)]) {
      const explorer = new FaultExplorer(lying(lie, isReadOnly), { stride: 5 });
      const { findings } = await explorer.explore(WRITES);
      expect(findings[0]?.message).toMatch(/read-only after the fault/);
      expect(await explorer.replay(JSON.parse(JSON.stringify(findings[0])))).not.toBeNull();
    }
  });

  it('find an engine whose snapshots move', async () => {
    const { byCrashes, byFaults } = found(withMovingSnapshots());
    for (const message of [await byCrashes, await byFaults]) expect(message).toMatch(/snapshot/);
  });

  it('find snapshots that show by key what is newest, and others that do so in ranges', async () => {
    const byKey: Lie = (key, options, read) => read(key, options?.snapshot === undefined ? options : undefined);
    const inRanges: OpenOn = async (io, path) => {
      const engine = await engineWith()(io, path);
      const index = engine.index.bind(engine) as (...request: unknown[]) => Promise<Handle>;
      const moving = async (...request: unknown[]): Promise<Handle> => {
        const handle = await index(...request);
        const { rangeSync } = handle;
        handle.rangeSync = (options) => rangeSync.call(handle, { ...options, snapshot: undefined });
        return handle;
      };
      engine.index = moving as Engine['index'];
      return engine;
    };
    const steps: Step[] = [PUT, { do: 'snapshot' }, PUT, { do: 'read', keys: [] }, { do: 'release' }];
    const single = found(
      lying(() => byKey, USED),
      { ...TWICE, steps },
    );
    for (const message of [await single.byCrashes, await single.byFaults]) {
      expect(message).toMatch(/^Error: key\/0001 .* should be .* in a snapshot/);
    }
    const ranges = found(inRanges, { ...TWICE, steps: steps.filter((step) => step.do !== 'read') });
    for (const message of [await ranges.byCrashes, await ranges.byFaults]) {
      expect(message).toMatch(/^Error: A snapshot does not show the store as it was/);
    }
  });
});
