/** The schedules themselves: the same seed goes the same way, and what is broken is found, named and made smaller. */
import { BufferPool } from '@pagewright/bufferpool';
import {
  type IndexContext,
  type IndexType,
  type IoBackend,
  type IoFile,
  type PageStore,
  POINT,
  TAG_TOMBSTONE,
} from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { Mvcc } from '@pagewright/mvcc';
import { WriteAheadLog } from '@pagewright/wal';
import { describe, expect, it } from 'vitest';
import { DEFAULT_PARTS, engineOf, joined, poolOn } from '../../../soak/schedules/subjects.js';
import { Random, runSchedules, type ScheduleFailure, type ScheduleSubject } from '../src/index.js';
import { ScheduleCoverage } from '../src/schedules/coverage.js';
import { engineOperations, intruderOperations } from '../src/schedules/engine-operations.js';
import { filledStore, runEngineRound } from '../src/schedules/engine-round.js';
import { uniformPauses } from '../src/schedules/pause-policy.js';
import { RegisterHistory } from '../src/schedules/register-history.js';
import { tagOf, valueBytes, versionRead } from '../src/schedules/tree-model.js';
import { treeOperations } from '../src/schedules/tree-operations.js';
import { runTreeRound } from '../src/schedules/tree-round.js';
import { filledTree } from '../src/schedules/tree-store.js';
import { shrink } from '../src/shrink.js';

/** What the first rounds from this seed find. */
async function failureOf(subject: ScheduleSubject, seed: number, rounds: number): Promise<ScheduleFailure> {
  const options = { seed, goesOn: (count: number) => count < rounds, shrinkBudget: 2 };
  const { failure } = await runSchedules(subject, options);
  if (failure === null) throw new Error(`Nothing was found in ${rounds} rounds from seed ${seed}`);
  return failure;
}

/** The same object with some methods of others. */
function changed<Subject extends object>(subject: Subject, changes: Partial<Subject>): Subject {
  return new Proxy(subject, {
    get: (target, name) => {
      const value = Reflect.get(name in changes ? changes : target, name, name in changes ? changes : target);
      return typeof value === 'function' ? value.bind(name in changes ? changes : target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/** B+-trees that see the page store otherwise than it is. */
function treesOn(change: (pages: PageStore) => Partial<PageStore>): ScheduleSubject {
  const indexType = (): IndexType => {
    const type = new BtreeType();
    return changed<IndexType>(type, {
      open: (context: IndexContext) => type.open({ ...context, pages: changed(context.pages, change(context.pages)) }),
    });
  };
  return { index: { ...DEFAULT_PARTS.index, indexType } };
}

describe('the same seed', () => {
  it('gives the same interleaving of an index, and another one another', async () => {
    const filled = await filledTree(DEFAULT_PARTS.index);
    const run = (seed: number): Promise<number> => {
      const random = new Random(seed);
      const scripts = [treeOperations(random, 12, true), treeOperations(random, 12, true)];
      const policy = (from: Random) => uniformPauses(from, 0.1);
      const plan = { seed, scripts, intruders: treeOperations(random, 80, false), policy };
      return runTreeRound(DEFAULT_PARTS.index, filled, plan, new ScheduleCoverage());
    };
    const first = await run(5);
    expect(await run(5)).toBe(first);
    expect(await run(6)).not.toBe(first);
  });

  it('gives the same interleaving of an engine', async () => {
    const filled = await filledStore(DEFAULT_PARTS.engine);
    const run = (): Promise<number> => {
      const random = new Random(11);
      const scripts = [engineOperations(random, 15), engineOperations(random, 15), engineOperations(random, 15)];
      const policy = (from: Random) => uniformPauses(from, 0.05);
      const plan = { seed: 11, scripts, intruders: intruderOperations(random, 80), policy };
      return runEngineRound(DEFAULT_PARTS.engine, filled, plan, new ScheduleCoverage());
    };
    const first = await run();
    expect(await run()).toBe(first);
    // However slow the machine is.
    const { now } = performance;
    let ms = now.call(performance);
    performance.now = () => (ms += 20);
    try {
      expect(await run()).toBe(first);
    } finally {
      performance.now = now;
    }
  });
});

describe('the coverage', () => {
  it('says that an index placed no point in its descents, and that none of its races was looked for', () => {
    const coverage = new ScheduleCoverage();
    expect(coverage.isBlind).toBe(false);
    coverage.reached[POINT.latchTaken] = 1;
    expect(coverage.isBlind).toBe(false);
    coverage.indexRounds = 1;
    expect(coverage.isBlind).toBe(true);
    expect(coverage.report()).toMatch(/^No point within a descent was ever reached: .*schedulePoint/);
    coverage.reached[POINT.descentVersion] = 1;
    expect(coverage.isBlind).toBe(false);
    expect(coverage.report()).toMatch(/^latchTaken: reached 1, paused 0$/m);
  });

  it('counts the rounds of an index, in which a B+-tree reaches points within descents', async () => {
    const { coverage } = await runSchedules({ index: DEFAULT_PARTS.index }, { seed: 1, goesOn: (count) => count < 1 });
    expect(coverage.indexRounds).toBe(1);
    expect(coverage.isBlind).toBe(false);
  });
});

describe('a fault is found', () => {
  it('in an index that does not validate the parent after it took the version of the child', async () => {
    const failure = await failureOf(
      treesOn(() => ({ validate: () => true })),
      1,
      60,
    );
    expect(failure.message).toMatch(/^index round of seed \d+: /);
  });

  it('in a latch that is taken though the page has changed since its version was read', async () => {
    const careless = treesOn((pages) => ({ upgrade: (frame) => pages.upgrade(frame, pages.readVersion(frame)) }));
    expect((await failureOf(careless, 1, 60)).kind).toBe('index');
  });

  it('in a page store that publishes the address of a page whose write is not over', async () => {
    const openPages = async (io: IoBackend, path: string) => poolOn(new BufferPool(SMALL), lateWrites(io), path);
    const joinPages = async (pages: PageStore, io: IoBackend) => joined(new BufferPool(), pages, lateWrites(io));
    const failure = await failureOf({ index: { ...DEFAULT_PARTS.index, openPages, joinPages } }, 1, 30);
    expect(failure.message).toMatch(/checksum|crash|EOF/);
  });

  it('in transactions that collect versions which a snapshot still needs', async () => {
    class Eager extends Mvcc {
      override collect(budget: number): boolean {
        // As if no snapshot were open.
        const { snapshots }: { snapshots: object } = Reflect.get(this as object, 'parts');
        Object.defineProperty(snapshots, 'first', { get: () => 0, configurable: true });
        try {
          return super.collect(budget);
        } finally {
          Reflect.deleteProperty(snapshots, 'first');
        }
      }
    }
    const failure = await failureOf(
      { engine: { openEngine: (...to) => engineOf(...to, { concurrency: new Eager() }) } },
      1,
      30,
    );
    expect(failure.kind).toBe('engine');
  });

  it('in a log that acknowledges before it has written', async () => {
    class Hasty extends WriteAheadLog {
      override commit(): Promise<void> {
        return Promise.resolve();
      }
    }
    const failure = await failureOf(
      { engine: { openEngine: (...to) => engineOf(...to, { log: new Hasty() }) } },
      1,
      40,
    );
    expect(failure.message).toMatch(/overwritten before|lost|counts/);
  });

  it('in transactions that commit in spite of a conflict', async () => {
    class Blind extends Mvcc {
      override begin() {
        const core = super.begin();
        const late = (): ReturnType<typeof core.commit> => {
          const writes = [...core.writes()];
          core.abort();
          return this.commit(writes);
        };
        return changed(core, { commit: late });
      }
    }
    const failure = await failureOf(
      { engine: { openEngine: (...to) => engineOf(...to, { concurrency: new Blind() }) } },
      1,
      30,
    );
    expect(failure.message).toMatch(/counts|accounts/);
  });
});

const SMALL = { memory: 64 * 4096, pageSize: 4096 };

/** A device on which writes in place land a little after they are said to be over: with the next operation in the background. */
function lateWrites(io: IoBackend): IoBackend {
  return changed<IoBackend>(io, {
    open: async (path, flags) => {
      const file = await io.open(path, flags);
      const late: (() => void)[] = [];
      const land = (): void => {
        for (const write of late.splice(0)) write();
      };
      return changed<IoFile>(file, {
        submitSync: (operations) => {
          const copies = operations.map((operation) => ({ ...operation, buffer: operation.buffer.slice() }));
          late.push(() => file.submitSync(copies));
        },
        submit: (operations, options) => {
          land();
          return file.submit(operations, options);
        },
        close: () => {
          land();
          return file.close();
        },
      });
    },
  });
}

describe('a history of one key', () => {
  /** Writes `1`, `2`, … with these ends, and reads of them. */
  function historyOf(
    writes: readonly (readonly [number, number])[],
    reads: readonly (readonly [number, number, number])[],
  ) {
    const history = new RegisterHistory();
    for (const [at, [start, end]] of writes.entries()) {
      const write = history.beginWrite('key', at + 1, false);
      Object.assign(write, { start, end });
    }
    for (const [id, start, end] of reads) history.read('key', id === 0 ? null : id, start, end);
    return history;
  }

  it('lets a read see either of two writes that overlap it', () => {
    historyOf(
      [
        [1, 10],
        [2, 9],
      ],
      [
        [1, 3, 11],
        [2, 4, 5],
      ],
    ).check();
    historyOf(
      [
        [1, 10],
        [2, 9],
      ],
      [
        [2, 3, 11],
        [1, 4, 5],
      ],
    ).check();
  });

  it('refuses what was overwritten before the read began, and what came later', () => {
    expect(() =>
      historyOf(
        [
          [1, 2],
          [3, 4],
        ],
        [[1, 5, 6]],
      ).check(),
    ).toThrow(/overwritten before the read began/);
    expect(() => historyOf([[1, 2]], [[0, 5, 6]]).check()).toThrow(/absent/);
    expect(() => historyOf([[7, 9]], [[1, 2, 3]]).check()).toThrow(/nobody wrote/);
  });

  it('refuses a value that comes back after another one was seen', () => {
    expect(() =>
      historyOf(
        [
          [1, 20],
          [2, 20],
        ],
        [
          [1, 3, 4],
          [2, 5, 6],
          [1, 7, 8],
        ],
      ).check(),
    ).toThrow(/came back|in the midst/);
  });

  it('lets a write that nobody was told of happen at any time, or never', () => {
    historyOf(
      [
        [1, 2],
        [3, Number.POSITIVE_INFINITY],
      ],
      [[1, 50, 51]],
    ).check();
    historyOf(
      [
        [1, 2],
        [3, Number.POSITIVE_INFINITY],
      ],
      [
        [1, 50, 51],
        [2, 52, 53],
      ],
    ).check();
  });
});

it('of two versions without a byte, the tag says which was read', () => {
  const versions = [
    { id: 7, size: 0, stamp: 20 },
    { id: 8, size: 0, stamp: 21 },
    { id: 9, size: 4, stamp: 22 },
  ];
  for (const version of versions.slice(0, 2))
    expect(versionRead(new Uint8Array(0), tagOf(version), versions)).toBe(version);
  expect(versionRead(valueBytes(9, 4), tagOf(versions[2]!), versions)).toBe(versions[2]);
  expect(versionRead(new Uint8Array(1), tagOf(versions[0]!), versions)).toBeUndefined();
});

it('a failing plan is made smaller until every operation of it is needed', async () => {
  const lists = [Array.from({ length: 40 }, (_, at) => at), Array.from({ length: 100 }, (_, at) => at)];
  const fails = async (left: readonly (readonly number[])[]): Promise<boolean> =>
    left[0]?.includes(17) === true && left[1]?.includes(3) === true && left[1]?.includes(80) === true;
  expect(await shrink(lists, fails, 500)).toEqual([[17], [3, 80]]);
});

it('rounds of an index store no tombstone with a value, whatever the versions are', () => {
  for (let id = 0; id < 600; id++) {
    expect(tagOf({ id, size: 300, stamp: 1 })).not.toBe(TAG_TOMBSTONE);
    expect(tagOf({ id, size: 0, stamp: 1 })).toBe(id & 0xff);
  }
});
