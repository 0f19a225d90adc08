/** The explorers find what is planted, say how to see it again, and leave alone what is sound. */
import {
  COMMIT_POLICIES,
  type CommitRecord,
  definePlugin,
  type IoBackend,
  type IoFile,
  instancePerContainerCachingFactory,
  LOG,
  type Log,
  type OpenFlags,
  PagewrightError,
  type ReplayedRecord,
} from '@pagewright/core';
import { WriteAheadLog, wal } from '@pagewright/wal';
import { describe, expect, it, vi } from 'vitest';
import { Checkpointer } from '../../bufferpool/src/checkpointer.js';
import {
  CrashExplorer,
  type CrashFinding,
  FaultExplorer,
  makeWorkload,
  type OpenOn,
  SimulatedDevice,
  type Step,
  shrink,
  type Workload,
} from '../src/index.js';
import { engineWith } from './explored-engine.js';

/** A log that is changed after it was made. */
function changedLog(change: (log: Log) => void) {
  return definePlugin({
    name: 'changed-log',
    kind: 'log',
    contract: 1,
    provides: [LOG],
    setup(container) {
      const make = () => {
        const log = new WriteAheadLog({ segmentSize: '64KiB' });
        change(log);
        return log;
      };
      container.register(LOG, { useFactory: instancePerContainerCachingFactory(make) });
    },
  })();
}

const eager = definePlugin({
  name: 'eager',
  kind: 'extension',
  contract: 1,
  provides: [COMMIT_POLICIES],
  setup(container) {
    const attach = () => ({ commit: () => Promise.resolve(), commitSync: () => undefined });
    container.register(COMMIT_POLICIES, { useValue: { name: 'eager', attach } });
  },
});

/** The backend with files that are changed when they are opened. */
function changedFiles(sound: IoBackend, change: (file: IoFile) => void): IoBackend {
  return new Proxy(sound, {
    get(target, name) {
      if (name === 'open') {
        return async (...request: Parameters<IoBackend['open']>) => {
          const file = await target.open(...request);
          change(file);
          return file;
        };
      }
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function withoutSync(isMeant: (path: string) => boolean, every = 1): (sound: IoBackend) => IoBackend {
  return (sound) =>
    changedFiles(sound, (file) => {
      if (!isMeant(file.path)) return;
      let calls = 0;
      const { sync, syncSync, submit, submitSync } = file;
      const skips = () => ++calls % every === 0;
      file.sync = () => (skips() ? Promise.resolve() : sync.call(file));
      file.syncSync = () => (skips() ? undefined : syncSync.call(file));
      file.submit = (operations, options) => submit.call(file, operations, options?.sync && !skips() ? options : {});
      file.submitSync = (operations, options) =>
        submitSync.call(file, operations, options?.sync && !skips() ? options : {});
    });
}

const isPageFile = (path: string) => path.endsWith('.pw');
const isBackup = (path: string) => path.endsWith('.pw-part');
const isLog = (path: string) => path.endsWith('.log');

function underItsOwnName(sound: IoBackend): IoBackend {
  return new Proxy(sound, {
    get(target, name) {
      if (name === 'open') {
        return (path: string, flags: OpenFlags) => target.open(path.replace('.pw-part', ''), flags);
      }
      if (name === 'rename') return async () => undefined;
      // It finds what it has written itself.
      if (name === 'exists') return async (path: string) => !path.includes('backup') && target.exists(path);
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Backups begin without a checkpoint. */
function withStaleBackups(open: OpenOn): OpenOn {
  return async (io, path) => {
    const engine = await open(io, path);
    const { checkpoints } = (engine as unknown as { core: { checkpoints: { run: () => Promise<unknown> } } }).core;
    const backup = engine.backup.bind(engine);
    const run = checkpoints.run.bind(checkpoints);
    engine.backup = (...request) => {
      checkpoints.run = async () => undefined;
      const copying = backup(...request);
      checkpoints.run = run;
      return copying;
    };
    return engine;
  };
}

const PUT: Step = { do: 'write', form: 'put', index: 0, keys: [1], size: 300, deletes: 0, waits: true };

/** A little, so that there is something to copy, and a backup between two writes. */
const BACKUPS: Workload = {
  theme: 'backups',
  seed: 3,
  steps: [PUT, { do: 'checkpoint', waits: true }, { ...PUT, keys: [2] }, { do: 'backup', waits: true }, PUT],
};

const FILLING: Step = { ...PUT, form: 'batch', keys: Array.from({ length: 40 }, (_, key) => key), size: 9000 };

/** A file that was filled and emptied, so that its end can go. */
const COMPACTION: Workload = {
  theme: 'compaction',
  seed: 3,
  steps: [
    FILLING,
    { do: 'checkpoint', waits: true },
    { do: 'drop', index: 0 },
    { do: 'idle' },
    { do: 'checkpoint', waits: true },
    { do: 'compact', waits: true },
    PUT,
  ],
};

/** Name, engine with the fault, workload that meets it. */
const PLANTED: [string, OpenOn, Workload][] = [
  ['the page file is never synced', engineWith({ io: withoutSync(isPageFile) }), makeWorkload('checkpoints', 3, 20)],
  [
    'of two syncs of a checkpoint one is left out',
    engineWith({ io: withoutSync(isPageFile, 2) }),
    makeWorkload('checkpoints', 3, 20),
  ],
  ['the log is never synced', engineWith({ io: withoutSync(isLog) }), makeWorkload('mixed', 3, 12)],
  [
    'directories are never synced',
    engineWith({
      io: (sound) =>
        new Proxy(sound, {
          get: (target, name) => {
            if (name === 'syncDirectory') return async () => undefined;
            const value = Reflect.get(target, name) as unknown;
            return typeof value === 'function' ? value.bind(target) : value;
          },
        }),
    }),
    makeWorkload('recycling', 3, 20),
  ],
  [
    'commits are acknowledged before they are durable',
    engineWith({ log: wal({ commit: 'eager', segmentSize: '64KiB' }), plugins: [eager()] }),
    makeWorkload('mixed', 3, 12),
  ],
  [
    'half of each transaction is logged',
    engineWith({
      log: changedLog((log) => {
        const append = log.append.bind(log);
        log.append = (record: CommitRecord) =>
          append({ ...record, operations: [...record.operations].slice(0, Math.ceil(record.operations.length / 2)) });
      }),
    }),
    makeWorkload('mixed', 3, 20),
  ],
  [
    'recovery leaves out the last record',
    engineWith({
      log: changedLog((log) => {
        const open = log.open.bind(log);
        log.open = async (request) => {
          const replay = await open(request);
          const records = replay.records.bind(replay);
          replay.records = async function* () {
            let held: ReplayedRecord | null = null;
            for await (const record of records()) {
              if (held !== null) yield held;
              held = record;
            }
          };
          return replay;
        };
      }),
    }),
    makeWorkload('mixed', 3, 12),
  ],
  [
    'the log is recycled before the superblock that makes it superfluous is written',
    engineWith({
      log: changedLog((log) => {
        const secure = log.secure.bind(log);
        log.secure = async (mark) => {
          await secure(mark);
          await log.recycle(mark);
        };
      }),
    }),
    makeWorkload('recycling', 8, 40),
  ],
  ['a backup is never synced', engineWith({ io: withoutSync(isBackup) }), BACKUPS],
  ['a backup has its name before it is whole', engineWith({ io: underItsOwnName }), BACKUPS],
  ['a backup is of an earlier checkpoint', withStaleBackups(engineWith({})), BACKUPS],
];

describe('the crash explorer', () => {
  it('finds nothing in a sound engine, and goes through every operation', async () => {
    const explorer = new CrashExplorer(engineWith({}), { losses: { exhaustive: 2, samples: 1 }, window: 7 });
    const exploration = await explorer.explore(makeWorkload('mixed', 11, 9));
    expect(exploration.findings).toEqual([]);
    expect(exploration.crashes).toBeGreaterThan(2 * exploration.operations);
    expect(exploration.recrashes).toBeGreaterThan(10);
  });

  it.each(PLANTED)('finds that %s, and shows it again from what it has printed', async (_, open, workload) => {
    const explorer = new CrashExplorer(open, { losses: { exhaustive: 3, samples: 6 }, recrash: 0 });
    const { findings } = await explorer.explore(workload);
    expect(findings).toHaveLength(1);
    const printed = JSON.parse(JSON.stringify(findings[0])) as CrashFinding;
    expect(await explorer.replay(printed)).not.toBeNull();
  });

  it('shows a finding again when not each run of its workload does the same, and says when it is gone', async () => {
    const [, faulty, workload] = PLANTED[4] as (typeof PLANTED)[number];
    const sound = engineWith({});
    // So many runs of the workload are as if the clock had made them others.
    let others = 0;
    const open: OpenOn = (device, path) => {
      const isOfWorkload = (device as SimulatedDevice).onOperation !== null;
      return (isOfWorkload && others-- > 0 ? sound : faulty)(device, path);
    };
    const explorer = new CrashExplorer(open, { losses: { exhaustive: 3, samples: 6 }, recrash: 0 });
    const { findings } = await explorer.explore(workload);
    const [finding] = findings;
    if (finding === undefined) expect.fail('The fault was not found.');
    others = 3;
    expect(await explorer.replay(finding)).not.toBeNull();
    expect(others).toBeLessThan(1);
    others = Number.POSITIVE_INFINITY;
    const isOther = /^The operation of this number is '(.+)' by now, and was '(.+)': explore it again\.$/;
    const refused = await explorer.replay(finding).catch((error: Error) => error);
    const [, now = '', was] = isOther.exec(String((refused as Error).message)) ?? [];
    expect(was).toBe(finding.at);
    // The same operation, and nothing is wrong with it.
    expect(await explorer.replay({ ...finding, at: now })).toBeNull();
    await expect(explorer.replay({ ...finding, operation: 1e6 })).rejects.toThrow('explore it again');
    await expect(explorer.replay({ ...finding, loss: 'all:1/12345' })).rejects.toThrow('is of another state');
    await expect(explorer.replay({ ...finding, loss: 'half' })).rejects.toThrow('is the label of no survival');
  });

  it('finds that the page file is cut off before both superblocks know of it', async () => {
    vi.spyOn(Checkpointer.prototype, 'mappedUnits', 'get').mockReturnValue(0);
    try {
      const explorer = new CrashExplorer(engineWith({}), { losses: { exhaustive: 2, samples: 1 }, recrash: 0 });
      const { findings } = await explorer.explore(COMPACTION);
      expect(findings).toHaveLength(1);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('makes a workload smaller for as long as it still shows the fault', async () => {
    const [, open, workload] = PLANTED[4] as (typeof PLANTED)[number];
    const explorer = new CrashExplorer(open, { losses: { exhaustive: 0, samples: 0 }, recrash: 0 });
    const fails = async ([steps = []]: readonly Workload['steps'][]) => {
      const { findings } = await explorer.explore({ ...workload, steps });
      return findings.length > 0;
    };
    const [steps = []] = await shrink([workload.steps], fails, 100);
    expect(steps.length).toBeLessThanOrEqual(2);
    expect(steps.some((step) => step.do === 'write')).toBe(true);
  });
});

describe('the fault explorer', () => {
  it('finds nothing in a sound engine, and lets every operation fail', async () => {
    const exploration = await new FaultExplorer(engineWith({})).explore(makeWorkload('mixed', 11, 8));
    expect(exploration.findings).toEqual([]);
    expect(exploration.faults).toBeGreaterThan(exploration.operations);
  });

  it('tells how many operations there are, and how often one has failed', async () => {
    const opened = new Set<SimulatedDevice>();
    const failed = new Set<SimulatedDevice>();
    const open = engineWith({});
    const watched: OpenOn = (io, path) => {
      const device = io as SimulatedDevice;
      const { onOperation } = device;
      if (onOperation !== null && !opened.has(device)) {
        opened.add(device);
        device.onOperation = (operation) => {
          try {
            onOperation(operation);
          } catch (error) {
            failed.add(device);
            throw error;
          }
        };
      }
      return open(io, path);
    };
    const workload: Workload = { theme: 'mixed', seed: 3, steps: [PUT] };
    const exploration = await new FaultExplorer(watched, { stride: 3 }).explore(workload);
    expect(exploration.faults).toBe(failed.size);
    expect(exploration.operations).toBe([...opened][0]?.operations);
    expect(opened.size).toBeGreaterThan(failed.size + 1);
    const far = new FaultExplorer(open, { stride: 1e9 });
    await expect(far.explore(workload)).rejects.toThrow(/^stride is 1000000000; of the \d+ operations/);
  });

  const swallow = (file: IoFile): void => {
    const { submit, submitSync, sync } = file;
    file.submit = (...batch) => submit.apply(file, batch).catch(() => undefined);
    file.sync = () => sync.call(file).catch(() => undefined);
    file.submitSync = (...batch) => {
      try {
        submitSync.apply(file, batch);
      } catch {}
    };
  };
  it.each([
    ['of the log', isLog],
    ['of the page file', isPageFile],
  ])('finds that failures %s are swallowed', async (_, isMeant) => {
    const io = (sound: IoBackend) => changedFiles(sound, (file) => void (isMeant(file.path) && swallow(file)));
    const explorer = new FaultExplorer(engineWith({ io }));
    const { findings } = await explorer.explore(makeWorkload('checkpoints', 3, 20));
    expect(findings.length).toBeGreaterThan(0);
    expect(await explorer.replay(JSON.parse(JSON.stringify(findings[0])))).not.toBeNull();
  });

  it('finds that failures of a backup are swallowed', async () => {
    const io = (sound: IoBackend) => changedFiles(sound, (file) => void (isBackup(file.path) && swallow(file)));
    const { findings } = await new FaultExplorer(engineWith({ io })).explore(BACKUPS);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings[0]?.message).toContain('backup');
  });

  it('finds that a sync which failed is tried once more, as if it could then be believed', async () => {
    const io = (sound: IoBackend) =>
      changedFiles(sound, (file) => {
        const { submit, submitSync } = file;
        file.submit = (...batch) => submit.apply(file, batch).catch(() => file.sync());
        file.submitSync = (...batch) => {
          try {
            submitSync.apply(file, batch);
          } catch {
            file.syncSync();
          }
        };
      });
    const { findings } = await new FaultExplorer(engineWith({ io })).explore(makeWorkload('mixed', 3, 12));
    expect(findings.length).toBeGreaterThan(0);
  });

  it('finds that a commit is refused which is there', async () => {
    const log = changedLog((log) => {
      const commit = log.commit.bind(log);
      log.commit = (position) =>
        commit(position).catch(() => {
          throw new PagewrightError('PW_READ_ONLY', 'This is not true.');
        });
    });
    const { findings } = await new FaultExplorer(engineWith({ log })).explore(makeWorkload('mixed', 3, 20));
    expect(findings.length).toBeGreaterThan(0);
  });
});

describe('explorers refuse', () => {
  const open = engineWith({});
  it.each<[string, () => unknown, RegExp]>([
    ['a length of no steps', () => makeWorkload('mixed', 1, Number.NaN), /^length is NaN/],
    ['a negative length', () => makeWorkload('mixed', 1, -1), /^length is -1/],
    ['a seed that is no number', () => makeWorkload('mixed', Number.NaN, 1), /^seed is NaN/],
    ['a seed of a device that is none', () => new SimulatedDevice({ seed: 0.5 }), /^seed is 0.5/],
    ['a seed of crashes that is none', () => new CrashExplorer(open, { seed: Number.NaN }), /^seed is NaN/],
    ['the same of faults', () => new FaultExplorer(open, { seed: '7' as never }), /^seed is 7;/],
    ['isOver that is undefined', () => new CrashExplorer(open, { isOver: undefined as never }), /^isOver is undefined/],
    ['the same of faults', () => new FaultExplorer(open, { isOver: undefined as never }), /^isOver is undefined/],
    [
      'what is misspelt',
      () => new CrashExplorer(open, { recrashes: 1 } as object),
      /^CrashExplorer has no 'recrashes'/,
    ],
    ['the same of faults', () => new FaultExplorer(open, { strides: 1 } as object), /^FaultExplorer has no 'strides'/],
    [
      'the same of losses',
      () => new CrashExplorer(open, { losses: { exhaustive: 1, samples: 1, sample: 2 } as never }),
      /^losses has no 'sample'/,
    ],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
