/** What commits survive that ask for less than a loss of power. */
import { dropAll, SimulatedDevice } from '@pagewright/testkit';
import { type LogStore, newSuperblock, settled } from '@pagewright/testkit/rig';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BUILT_IN_POLICIES } from '../src/write-ahead-log.js';
import { openLogStore } from './store.js';

const KIB = 1024;

async function openStore(commit = 'pipelined'): Promise<LogStore> {
  const options = { commit, segmentSize: 64 * KIB, bufferLimit: 256 * KIB };
  return openLogStore(new SimulatedDevice(), newSuperblock(), { options });
}

/** How many records there are after the process has died, or the machine. */
async function countAfter(store: LogStore, death: 'kill' | 'power'): Promise<number> {
  const disk = death === 'kill' ? store.disk.copy().afterKill() : store.disk.copy().afterCrash(dropAll);
  return (await openLogStore(disk, { ...store.superblock })).recovered.length;
}

afterEach(() => {
  vi.useRealTimers();
});

describe.each(BUILT_IN_POLICIES.map(({ name }) => name))('by the policy %s', (policy) => {
  test('a relaxed commit survives the process, in either form, and asks for no sync', async () => {
    const store = await openStore(policy);
    const { syncs } = store.disk;
    await store.log.commit(store.append(100), { durability: 'relaxed' });
    expect(await countAfter(store, 'kill')).toBe(1);
    store.log.commitSync(store.append(100), { durability: 'relaxed' });
    expect(await countAfter(store, 'kill')).toBe(2);
    expect(store.disk.syncs).toBe(syncs);
    expect(store.log.stats().pendingBytes).toBeGreaterThan(200);
  });

  test('a commit that wants nothing waits for nothing', async () => {
    const store = await openStore(policy);
    const { operations } = store.disk;
    await store.log.commit(store.append(100), { durability: 'none' });
    store.log.commitSync(store.append(100), { durability: 'none' });
    expect(store.disk.operations).toBe(operations);
    expect(await countAfter(store, 'kill')).toBe(0);
  });

  test('what came before a durable commit is durable with it, whatever it asked for', async () => {
    const store = await openStore(policy);
    for (const durability of ['none', 'relaxed', 'none', 'durable'] as const) {
      await store.log.commit(store.append(100), { durability });
    }
    expect(await countAfter(store, 'power')).toBe(4);
    for (const durability of ['relaxed', 'none', 'durable'] as const) {
      store.log.commitSync(store.append(100), { durability });
    }
    expect(await countAfter(store, 'power')).toBe(7);
  });
});

test('relaxed commits that come together are one write, and those that come meanwhile one more', async () => {
  const store = await openStore();
  const writes = (): number => store.disk.history.filter(({ kind }) => kind === 'write').length;
  const before = writes();
  const first = Array.from({ length: 20 }, () => store.log.commit(store.append(100), { durability: 'relaxed' }));
  await Promise.resolve();
  const second = Array.from({ length: 20 }, () => store.log.commit(store.append(100), { durability: 'relaxed' }));
  await Promise.all([...first, ...second]);
  expect(writes() - before).toBeLessThanOrEqual(2);
  expect(await countAfter(store, 'kill')).toBe(40);
});

test('who makes one relaxed commit after the other lets the event loop turn now and then', async () => {
  const store = await openStore();
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  for (let i = 0; i < 100; i++) await store.log.commit(store.append(10), { durability: 'relaxed' });
  isOver = true;
  expect(turns).toBeGreaterThan(2);
  expect(await countAfter(store, 'kill')).toBe(100);
});

test('what nobody waits for is durable in a second all the same', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const store = await openStore();
  await store.log.commit(store.append(100), { durability: 'none' });
  await store.log.commit(store.append(100), { durability: 'relaxed' });
  vi.advanceTimersByTime(900);
  await settled();
  expect(await countAfter(store, 'power')).toBe(0);
  vi.advanceTimersByTime(200);
  await settled(10);
  expect(await countAfter(store, 'power')).toBe(2);
  await store.log.commit(store.append(100), { durability: 'none' });
  vi.advanceTimersByTime(1100);
  await settled(10);
  expect(await countAfter(store, 'power')).toBe(3);
});

test('closing makes it durable', async () => {
  const store = await openStore();
  await store.log.commit(store.append(100), { durability: 'none' });
  await store.close({ discard: false });
  expect(await countAfter(store, 'power')).toBe(1);
});

test('the log can be set up for less, and a commit ask for more', async () => {
  const options = { durability: 'none', segmentSize: 64 * KIB } as const;
  const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options });
  await store.commit();
  store.commitSync();
  expect(await countAfter(store, 'kill')).toBe(0);
  await store.log.commit(store.append(10), { durability: 'durable' });
  expect(await countAfter(store, 'power')).toBe(3);
});

test.each(['relaxed', 'none'] as const)('after a failure a %s commit is refused as any other', async (durability) => {
  const store = await openStore();
  store.disk.onOperation = ({ kind, path }) => {
    if (kind === 'sync') throw new Error(`EIO ${path}`);
  };
  await expect(store.commit()).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
  store.disk.onOperation = null;
  const { appendedBytes } = store.log.stats();
  await expect(store.log.commit(appendedBytes, { durability })).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
  expect(() => store.log.commitSync(appendedBytes, { durability })).toThrow(
    expect.objectContaining({ code: 'PW_COMMIT_UNKNOWN' }),
  );
});

test('a relaxed write that fails ends the log', async () => {
  const store = await openStore();
  store.disk.onOperation = ({ kind, path }) => {
    if (kind === 'write') throw new Error(`EIO ${path}`);
  };
  const commit = store.log.commit(store.append(10), { durability: 'relaxed' });
  await expect(commit).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
  store.disk.onOperation = null;
  await expect(store.log.commit(store.log.stats().appendedBytes)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
  expect(store.failures).toHaveLength(1);
});
