import assert from 'node:assert/strict';
import { type CommitPolicyType, type LogOpenRequest, type LogStream, Threads } from '@pagewright/core';
import { dropAll, ioError, SimulatedDevice } from '@pagewright/testkit';
import {
  LOG_DIRECTORY,
  type LogStore,
  newSuperblock,
  readAll,
  recordOf,
  settled,
  stateOf,
} from '@pagewright/testkit/rig';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { WalOptions } from '../src/options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from '../src/write-ahead-log.js';
import { openLogStore, SMALL } from './store.js';

async function openWith(commit: string, options: WalOptions = {}): Promise<LogStore> {
  return openLogStore(new SimulatedDevice(), newSuperblock(), { options: { ...options, commit } });
}

describe('the sync policy', () => {
  test('makes one flush for each commit, concurrent or not, in place or not', async () => {
    const store = await openWith('sync');
    const before = store.disk.syncs;
    for (let i = 0; i < 10; i++) await store.commit();
    for (let i = 0; i < 10; i++) store.commitSync();
    await Promise.all(Array.from({ length: 10 }, () => store.commit()));
    expect(store.disk.syncs - before).toBe(30);
    expect(store.log.stats()).toMatchObject({ policy: 'sync', records: 30, flushes: 30, pendingBytes: 0 });
  });

  test('acknowledges in the order in which commits came', async () => {
    const store = await openWith('sync');
    const order: number[] = [];
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.commit().then(() => order.push(i))));
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

describe('the pipelined policy', () => {
  test('flushes once for all commits that are ready together', async () => {
    const store = await openWith('pipelined');
    const before = store.disk.syncs;
    await Promise.all(Array.from({ length: 64 }, () => store.commit()));
    expect(store.disk.syncs - before).toBe(1);
  });

  test('needs few flushes for clients that commit again as soon as they are acknowledged', async () => {
    const store = await openWith('pipelined');
    const before = store.disk.syncs;
    const client = async (_: unknown, number: number) => {
      for (let i = 0; i < 10; i++) {
        await store.commit();
        for (let step = number % 7; step > 0; step--) await null; // as much as a caller's own promises
      }
    };
    await Promise.all(Array.from({ length: 64 }, client));
    expect(store.disk.syncs - before).toBeLessThanOrEqual(12);
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toHaveLength(640);
  });

  test('lets what arrives during a flush go with the next one', async () => {
    const store = await openWith('pipelined');
    const before = store.disk.syncs;
    let inFlight: () => void = () => undefined;
    let release: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (inFlight = resolve));
    store.disk.hold = ({ kind }) => {
      if (kind !== 'sync') return undefined;
      store.disk.hold = null;
      inFlight();
      return new Promise((resolve) => (release = resolve));
    };
    const first = store.commit();
    await reached;
    const others = Array.from({ length: 30 }, () => store.commit());
    release();
    await Promise.all([first, ...others]);
    expect(store.disk.syncs - before).toBe(2);
  });

  test('does not flush for a commit that a flush in place has made durable', async () => {
    const store = await openWith('pipelined');
    const position = store.append(10);
    store.commitSync(10);
    const before = store.disk.syncs;
    await store.log.commit(position);
    store.log.commitSync(position);
    expect(store.disk.syncs).toBe(before);
  });

  test('shares one promise among the commits of a flush', async () => {
    const store = await openWith('pipelined');
    const commits = [store.log.commit(store.append(1)), store.log.commit(store.append(1))];
    expect(commits[0]).toBe(commits[1]);
    await Promise.all(commits);
  });
});

describe('the group policy', () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  /** Whether each of the commits is acknowledged by now, with time as it stands. */
  async function acknowledged(commits: readonly Promise<unknown>[]): Promise<boolean[]> {
    const found = commits.map(() => false);
    for (const [i, commit] of commits.entries()) void commit.then(() => (found[i] = true));
    await settled(30);
    return found;
  }

  async function openGroup(options: WalOptions): Promise<LogStore> {
    const store = await openWith('group', options);
    await store.commit();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    return store;
  }

  test('gathers commits for the window, and flushes them together', async () => {
    const store = await openGroup({ groupWindowMs: 7, groupBytes: '1GiB' });
    const before = store.disk.syncs;
    const first = store.commit();
    await vi.advanceTimersByTimeAsync(3);
    const commits = [first, store.commit(20_000)];
    await vi.advanceTimersByTimeAsync(3);
    expect(await acknowledged(commits)).toEqual([false, false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await acknowledged(commits)).toEqual([true, true]);
    expect(store.disk.syncs - before).toBe(1);
  });

  test.each([0.5, 1.5])('honours a window of %d ms', async (groupWindowMs) => {
    const store = await openGroup({ groupWindowMs });
    let now = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const commits = [store.commit()];
    now += Math.floor(groupWindowMs);
    await vi.advanceTimersByTimeAsync(Math.floor(groupWindowMs));
    expect(await acknowledged(commits)).toEqual([false]);
    now += 0.5;
    expect(await acknowledged(commits)).toEqual([true]);
  });

  test('with a window of 0 waits for no timer, and for those that commit in the same turn', async () => {
    const store = await openGroup({ groupWindowMs: 0 });
    const before = store.disk.syncs;
    const commits = Array.from({ length: 10 }, () => store.commit());
    expect(await acknowledged(commits)).toEqual(commits.map(() => true));
    expect(store.disk.syncs - before).toBe(1);
  });

  test('flushes at once when there are bytes enough', async () => {
    const store = await openGroup({ groupWindowMs: 1000, groupBytes: 10_000 });
    const commits = [store.commit(4000)];
    expect(await acknowledged(commits)).toEqual([false]);
    commits.push(store.commit(4000));
    expect(await acknowledged(commits)).toEqual([false, false]);
    commits.push(store.commit(4000));
    expect(await acknowledged(commits)).toEqual([true, true, true]);
  });
});

describe('commit policies', () => {
  test.each([
    ['throws', () => assert.fail('no window'), 'no window'],
    ['gives nothing', () => undefined, 'gives no policy'],
    ['gives what waits for nothing', () => ({ commit: () => Promise.resolve() }), 'gives no policy'],
  ])("are their author's to correct if attaching one %s", async (_, attach, fault) => {
    const policies = [{ name: 'mine', attach } as unknown as CommitPolicyType];
    const opening = openLogStore(new SimulatedDevice(), newSuperblock(), { options: { commit: 'mine' }, policies });
    await expect(opening).rejects.toMatchObject({
      code: 'PW_PLUGIN_INVALID',
      message: expect.stringMatching(`^The commit policy "mine": .*${fault}`),
      details: { policy: 'mine' },
    });
  });

  test('of others are found by their name', async () => {
    const asked: number[] = [];
    const eager: CommitPolicyType = {
      name: 'eager',
      attach: (stream) => ({
        commit: async (position) => {
          asked.push(position);
          stream.flushSync();
        },
        commitSync: () => void stream.flushSync(),
      }),
    };
    const log = new WriteAheadLog({ ...SMALL, commit: 'eager' }, [...BUILT_IN_POLICIES, eager]);
    const disk = new SimulatedDevice();
    const state = stateOf(newSuperblock());
    const request: LogOpenRequest = {
      directory: LOG_DIRECTORY,
      io: disk,
      state,
      threads: Threads.alone(),
      readOnly: false,
      onFailure: () => undefined,
    };
    await readAll(await log.open(request));
    await log.secure(log.begin());
    const record = recordOf(1, 0, 10);
    await log.reserve(log.sizeOf(record.operations));
    const position = log.append(record);
    expect(log.stats()).toMatchObject({ policy: 'eager', pendingBytes: position });
    await log.commit(position);
    expect(asked).toEqual([position]);
    expect(log.stats()).toMatchObject({ pendingBytes: 0, flushes: 1 });
    await log.close({ discard: true });
  });

  test('may ask for a flush at any time: it covers what is appended then, also while another is in flight', async () => {
    const { store, stream } = await openBare();
    let reached: () => void = () => undefined;
    let release: () => void = () => undefined;
    const inFlight = new Promise<void>((resolve) => (reached = resolve));
    store.disk.hold = ({ kind }) => {
      if (kind !== 'sync') return undefined;
      store.disk.hold = null;
      reached();
      return new Promise((resolve) => (release = resolve));
    };
    store.append(10);
    const first = stream().flush();
    await inFlight;
    const late = [store.append(10), store.append(10)];
    const flushes = late.map(() => stream().flush());
    release();
    expect(await first).toBeLessThan(late[0]!);
    for (const durable of await Promise.all(flushes)) expect(durable).toBeGreaterThanOrEqual(late[1]!);
    expect(store.log.stats().flushes).toBe(2);
  });

  test('cannot bring a failed stream back to life', async () => {
    const { store, stream } = await openBare();
    store.append(10);
    store.disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync') throw ioError('EIO', path);
    };
    await expect(stream().flush()).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    store.disk.onOperation = null;
    const { operations } = store.disk;
    await expect(stream().flush()).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(() => stream().flushSync()).toThrow(expect.objectContaining({ code: 'PW_COMMIT_UNKNOWN' }));
    expect(stream().durable).toBe(0);
    expect(store.disk.operations).toBe(operations);
  });

  test('that nobody brings, or two do, are refused before anything is opened', () => {
    expect(() => new WriteAheadLog({ commit: 'never' })).toThrow(
      expect.objectContaining({
        code: 'PW_OPTION_INVALID',
        message: expect.stringContaining('pipelined, autonomous, group, sync'),
      }),
    );
    expect(() => new WriteAheadLog({}, [...BUILT_IN_POLICIES, ...BUILT_IN_POLICIES])).toThrow(
      expect.objectContaining({ code: 'PW_PLUGIN_DUPLICATE' }),
    );
  });
});

/** A store whose policy hands out the stream. */
async function openBare(): Promise<{ store: LogStore; stream: () => LogStream }> {
  let stream: LogStream | undefined;
  const bare: CommitPolicyType = {
    name: 'bare',
    attach: (attached) => {
      stream = attached;
      return { commit: () => Promise.resolve(), commitSync: () => undefined };
    },
  };
  const store = await openLogStore(new SimulatedDevice(), newSuperblock(), {
    options: { commit: 'bare' },
    policies: [bare],
  });
  return { store, stream: () => stream! };
}
