import { NO_LOG, SwipList } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it, vi } from 'vitest';
import { BufferPool } from '../src/index.js';

const steps = { gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} };
const CLOSED = expect.objectContaining({ name: 'PagewrightError', code: 'PW_CLOSED' });

function request(io = new SimulatedDevice(), create = true) {
  return { path: '/store.pw', io, create, errorIfExists: false, readOnly: false };
}

/** A pool whose `open` has failed, as there is no store. */
async function failed(): Promise<BufferPool> {
  const pool = new BufferPool({ memory: '1MiB' });
  await expect(pool.open(request(undefined, false))).rejects.toMatchObject({ code: 'PW_NOT_FOUND' });
  return pool;
}

const USES: [string, (pool: BufferPool) => unknown][] = [
  ['share', (pool) => pool.share()],
  ['stats', (pool) => pool.stats()],
  ['threads', (pool) => pool.threads.slot],
  ['segmentOf', (pool) => pool.segmentOf(0).u8],
  ['sizeOf', (pool) => pool.sizeOf(0)],
  ['readVersion', (pool) => pool.readVersion(0)],
  ['validate', (pool) => pool.validate(0, 0)],
  ['upgrade', (pool) => pool.upgrade(0, 0)],
  ['latch', (pool) => pool.latch(0)],
  ['unlatch', (pool) => pool.unlatch(0)],
  ['child', (pool) => pool.child(0, 64, 0)],
  ['childOfLatched', (pool) => pool.childOfLatched(0, 64)],
  ['loadFault', (pool) => pool.loadFault()],
  ['prefetch', (pool) => pool.prefetch(new SwipList(4))],
  ['enterGate', (pool) => pool.enterGate()],
  ['leaveGate', (pool) => pool.leaveGate()],
  ['modify', (pool) => pool.modify(0, 1)],
  ['allocate', (pool) => pool.allocate(1, 1, 0, 1)],
  ['link', (pool) => pool.link(0, 64, 1)],
  ['unlink', (pool) => pool.unlink(0, 64)],
  ['free', (pool) => pool.free(1)],
  ['discard', (pool) => pool.discard(0, 64)],
  ['releaseTree', (pool) => pool.releaseTree(pool.root, 1, 1)],
  ['secureSpace', (pool) => pool.secureSpace(1)],
  ['giveSpace', (pool) => pool.giveSpace(1)],
  ['pin', (pool) => pool.pin(0)],
  ['unpin', (pool) => pool.unpin(0)],
  ['checkpoint', (pool) => pool.checkpoint(steps)],
  ['verify', (pool) => pool.verify({} as never)],
  ['backup', (pool) => pool.backup({} as never)],
  ['compact', (pool) => pool.compact({} as never)],
  ['follow', (pool) => pool.follow(() => {})],
];

describe('a pool that is not open', () => {
  it.each(USES)('says so when it is used: %s', async (_, use) => {
    for (const pool of [new BufferPool({ memory: '1MiB' }), await failed()]) {
      await expect((async () => use(pool))()).rejects.toEqual(CLOSED);
      await expect((async () => use(pool))()).rejects.toThrow(/not open\. Await open\(\) or attach\(\)/);
    }
  });

  it('can be closed all the same, so that what was wrong with opening it is not hidden', async () => {
    await new BufferPool().close();
    const pool = await failed();
    await pool.close();
    await pool.close();
  });

  it('is not opened after it failed or was closed: another pool is', async () => {
    const closed = new BufferPool({ memory: '1MiB' });
    await closed.close();
    for (const pool of [await failed(), closed]) {
      await expect(pool.open(request())).rejects.toEqual(CLOSED);
      await expect(pool.attach({ io: new SimulatedDevice(), handle: null })).rejects.toThrow(/another BufferPool/);
      await pool.close();
    }
  });

  it('stays open when it is opened once more', async () => {
    const pool = new BufferPool({ memory: '1MiB' });
    await pool.open(request());
    await expect(pool.open(request())).rejects.toEqual(CLOSED);
    expect(pool.stats().frames).toBe(64);
    await pool.close();
  });

  it('is closed also by a call that comes while it is being opened', async () => {
    const io = new SimulatedDevice();
    const pool = new BufferPool({ memory: '1MiB' });
    const opening = pool.open(request(io));
    await pool.close();
    await opening;
    const again = new BufferPool({ memory: '1MiB' });
    await again.open(request(io));
    await again.close();
  });

  it('can be closed after it failed to attach', async () => {
    const pool = new BufferPool();
    await expect(pool.attach({ io: new SimulatedDevice(), handle: {} })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    await pool.close();
  });
});

describe('a pool that is used alone', () => {
  const backup = { path: '/copy.pw', io: new SimulatedDevice(), advanced: () => {} };
  const verify = { begin: () => {}, visible: () => 1, report: () => {}, advanced: () => {} };
  const compact = { checkpoint: async () => {}, advanced: () => {} };
  const WRONG: [string, (pool: BufferPool, given: never) => unknown, readonly unknown[]][] = [
    ['checkpoint', (pool, given) => pool.checkpoint(given), without(steps, { advanced: 1 })],
    ['verify', (pool, given) => pool.verify(given), without(verify)],
    ['backup', (pool, given) => pool.backup(given), without(backup, { path: '' }, { io: {} })],
    ['compact', (pool, given) => pool.compact(given), without(compact, { tailOnly: 'yes' })],
    ['latch', (pool, given) => pool.latch(given), [undefined, -1, 64, 1e6, 0.5]],
    ['pin', (pool, given) => pool.pin(given), [undefined, -1, 64, 1e6, 0.5]],
  ];

  it.each(WRONG)('says what is wrong with what %s() is given, and goes on', async (_, use, all) => {
    const pool = new BufferPool({ memory: '1MiB' });
    await pool.open(request());
    for (const given of all) {
      await expect((async () => use(pool, given as never))()).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    pool.latch(0);
    pool.unlatch(0);
    expect(await pool.checkpoint(steps)).toMatchObject({ pagesWritten: 0 });
    await pool.close();
  });

  it('says what is wrong with what it is to open or to attach to, and can be opened afterwards', async () => {
    const pool = new BufferPool({ memory: '1MiB' });
    for (const given of without(request(), { path: '' }, { io: {} }, { readOnly: 'no' })) {
      await expect(pool.open(given as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    for (const given of [undefined, null, {}, { io: 1, handle: {} }]) {
      await expect(pool.attach(given as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    }
    await pool.open(request());
    await pool.close();
  });
});

/** No argument, others that cannot be, what is right but for one field that is not there, and what is right but for these. */
function without(right: object, ...wrong: readonly object[]): unknown[] {
  const lacking = Object.keys(right).map((field) => ({ ...right, [field]: undefined }));
  return [undefined, null, 1, {}, ...lacking, ...wrong.map((fields) => ({ ...right, ...fields }))];
}

/** As where there is not so much address space, or the system promises no more than it has. */
class NoMemory {
  constructor() {
    throw new RangeError('WebAssembly.Memory(): could not allocate memory');
  }
}

describe('options', () => {
  it.each([
    [null, /null/],
    ['64MiB', /of type string/],
    [[], /of type array/],
    [{ cooling: 1 }, /no option 'cooling'.*coolingFraction/],
  ])('%j are refused by the constructor as by the plugin', (options, message) => {
    const make = () => new BufferPool(options as never);
    expect(make).toThrow(expect.objectContaining({ code: 'PW_OPTION_INVALID' }));
    expect(make).toThrow(message);
  });

  it('more memory than can be had is an option that cannot be', async () => {
    const pool = new BufferPool({ memory: '64MiB' });
    vi.stubGlobal('WebAssembly', { Memory: NoMemory });
    await expect(pool.open(request())).rejects.toMatchObject({
      code: 'PW_OPTION_INVALID',
      message: expect.stringContaining('memory is 67108864 bytes; so much cannot be had'),
      details: { option: 'memory' },
    });
    vi.unstubAllGlobals();
    await pool.close();
  });
});
