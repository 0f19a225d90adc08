/** What a pool that is used alone refuses, because it would not be what its caller believes. */
import { channel } from 'node:diagnostics_channel';
import {
  type CheckpointSteps,
  NO_LOG,
  type PageStoreOpenRequest,
  RESTART,
  type ReplacementPolicyType,
  type TranslationType,
} from '@pagewright/core';
import { PageTree, SimulatedDevice } from '@pagewright/testkit';
import { codeOf } from '@pagewright/testkit/rig';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BufferPool, type BufferPoolOptions, builtInReplacements, type PoolProvider } from '../src/index.js';

const STEPS: CheckpointSteps = { gate: () => ({ timestamp: 9, log: NO_LOG }), secureLog: async () => {} };
const POOL: BufferPoolOptions = { memory: 64 * 4096, pageSize: 4096 };

afterEach(() => {
  vi.useRealTimers();
});

function openingOn(io: SimulatedDevice): PageStoreOpenRequest {
  return { path: '/store.pw', io, create: true, errorIfExists: false, readOnly: false };
}

it('a pool that is open read-only changes nothing, and goes on being read', async () => {
  const device = new SimulatedDevice();
  const writer = new BufferPool(POOL);
  await writer.open(openingOn(device));
  new PageTree(writer).plant(1);
  await writer.checkpoint(STEPS);
  await writer.close();
  const reader = new BufferPool(POOL);
  await reader.open({ ...openingOn(device), create: false, readOnly: true });
  const { frame: root, offset } = reader.root;
  expect(reader.child(root, offset, reader.readVersion(root))).toBe(RESTART); // It was read just now.
  const page = reader.child(root, offset, reader.readVersion(root));
  reader.latch(root);
  for (const change of [
    () => reader.modify(root, 10),
    () => reader.allocate(1, 1, 0, 10),
    () => reader.discard(root, offset),
    () => reader.secureSpace(1),
    () => reader.releaseTree(reader.root, 10, 10),
  ])
    expect(codeOf(change)).toBe('PW_READ_ONLY');
  reader.unlatch(root);
  expect(reader.child(root, offset, reader.readVersion(root))).toBe(page);
  await reader.close();
});

it('a thread that has closed its pool changes nothing, while others go on', async () => {
  const device = new SimulatedDevice();
  const owner = new BufferPool(POOL);
  await owner.open(openingOn(device));
  const other = new BufferPool();
  await other.attach({ io: device, handle: owner.share() });
  await other.close();
  expect(codeOf(() => other.enterGate())).toBe('PW_CLOSED');
  expect(codeOf(() => other.allocate(1, 1, 0, 1))).toBe('PW_CLOSED');
  await other.close();
  new PageTree(owner).plant(1);
  await owner.checkpoint(STEPS);
  await owner.close();
});

describe('policies and translations to choose from', () => {
  it.each([
    ['a name instead of a list', 'clock'],
    ['one that is in no list', builtInReplacements()[0]],
    ['one without the size of its state', [{ name: 'mine', attach: (): unknown => null }]],
    ['one that cannot be attached', [{ name: 'mine', stateBytes: (): number => 0 }]],
    ['one without a name', [{ stateBytes: (): number => 0, attach: (): unknown => null }]],
    ['nothing in it', [null]],
  ])('are refused if there is %s', (_, types) => {
    const given = types as unknown as readonly ReplacementPolicyType[];
    expect(codeOf(() => new BufferPool(POOL, given))).toBe('PW_OPTION_INVALID');
    expect(codeOf(() => new BufferPool(POOL, undefined, given as never))).toBe('PW_OPTION_INVALID');
  });

  it.each([
    -5,
    1.5,
    Number.NaN,
    undefined,
    '64',
  ])("are their author's to correct if their state takes %s bytes", async (bytes) => {
    const mine = [{ name: 'mine', stateBytes: () => bytes, attach: (): unknown => null }] as unknown;
    const device = new SimulatedDevice();
    for (const pool of [
      new BufferPool({ ...POOL, replacement: 'mine' }, mine as readonly ReplacementPolicyType[]),
      new BufferPool({ ...POOL, translation: 'mine' }, undefined, mine as readonly TranslationType[]),
    ]) {
      await expect(pool.open(openingOn(device))).rejects.toMatchObject({
        code: 'PW_PLUGIN_INVALID',
        message: expect.stringMatching(/^The (replacement policy|translation) "mine" asks for /),
      });
      await pool.close();
    }
  });

  it.each(['coolingFraction', 'replacement', 'translation'])('null is no %s', (option) => {
    expect(codeOf(() => new BufferPool({ ...POOL, [option]: null }))).toBe('PW_OPTION_INVALID');
  });
});

it.each([
  'verify',
  'backup',
  'compact',
] as const)('%s refuses what an engine takes and a pool does not', async (call) => {
  const device = new SimulatedDevice();
  const pool = new BufferPool(POOL);
  await pool.open(openingOn(device));
  const functions = ['begin', 'visible', 'report', 'advanced', 'checkpoint'].map((name) => [name, () => {}]);
  const wanted = { verify: 4, backup: 4, compact: 5 }[call];
  const request = { ...Object.fromEntries(functions.slice(0, wanted)), signal: AbortSignal.abort() };
  if (call === 'backup') {
    for (const name of ['begin', 'visible', 'report']) delete request[name];
    Object.assign(request, { path: '/copy.pw', io: device });
  }
  if (call === 'compact') for (const name of ['begin', 'visible', 'report']) delete request[name];
  const asked = (pool[call] as (request: unknown) => Promise<unknown>).call(pool, request);
  await expect(asked).rejects.toMatchObject({ code: 'PW_ARGUMENT', details: { field: 'signal' } });
  await pool.close();
});

it('tells that no page provider can be had when one is wanted, once', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const heard: unknown[] = [];
  const listen = (message: unknown): void => void heard.push((message as PoolProvider).event);
  channel('pagewright:pool:provider').subscribe(listen);
  try {
    const pool = new BufferPool({ ...POOL, pageProvider: true });
    await pool.open(openingOn(new SimulatedDevice()));
    vi.advanceTimersByTime(1000);
    expect(heard).toEqual([]);
    const frames = Array.from({ length: 60 }, () => pool.allocate(1, 1, 0, 1));
    vi.advanceTimersByTime(1000);
    expect(heard).toEqual(['unavailable']);
    for (const frame of frames) pool.free(frame);
    await pool.close();
  } finally {
    channel('pagewright:pool:provider').unsubscribe(listen);
  }
});
